"""OTLP requests as messages, in either encoding, and what decoding makes of them."""

from __future__ import annotations

import base64
import json
import secrets
import time
from typing import Any

from google.protobuf import json_format
from google.protobuf.message import Message

from collector.decode import Accepted, Batch
from collector.model.signals import BY_NAME, Encoding, Signal
from collector.settings import Limits

NOW = 1_760_000_000_123_456_789
_IDS = {"traceId": 32, "spanId": 16, "parentSpanId": 16}


def attribute(pairs: Any, key: str, value: str) -> None:
    """Add a text attribute."""
    pairs.add(key=key).value.string_value = value


def logs(n: int = 1, *, unique: bool = True, body: str = "order_charge_started") -> Message:
    """Return a request of *n* log records; a unique one equals no other."""
    request = BY_NAME["logs"].request()
    block = request.resource_logs.add()
    attribute(block.resource.attributes, "service.name", "billing")
    group = block.scope_logs.add()
    for i in range(n):
        record = group.log_records.add(time_unix_nano=time.time_ns() if unique else NOW + i, severity_number=9)
        record.body.string_value = body
        attribute(record.attributes, "nonce", secrets.token_hex(8) if unique else str(i))
    return request


def spans(n: int = 1, *, bad: int = 0, unique: bool = True) -> Message:
    """Return a request of *n* spans and *bad* ones whose span id is all zero."""
    request = BY_NAME["traces"].request()
    block = request.resource_spans.add()
    attribute(block.resource.attributes, "service.name", "billing")
    group = block.scope_spans.add()
    now = time.time_ns() if unique else NOW
    for i in range(n + bad):
        ident = secrets.token_bytes(16) if unique else (i + 1).to_bytes(16, "big")
        group.spans.add(
            trace_id=ident,
            span_id=bytes(8) if i >= n else ident[8:],
            name="work",
            kind=2,
            start_time_unix_nano=now - 1000,
            end_time_unix_nano=now,
        )
    return request


def points(n: int = 1, *, unique: bool = True) -> Message:
    """Return a request of *n* gauge points."""
    request = BY_NAME["metrics"].request()
    metric = request.resource_metrics.add().scope_metrics.add().metrics.add(name="queue.depth", unit="1")
    for i in range(n):
        metric.gauge.data_points.add(time_unix_nano=time.time_ns() if unique else NOW, as_int=i)
    return request


MAKE = {"logs": logs, "traces": spans, "metrics": points}
ENCODINGS: tuple[Encoding, ...] = ("protobuf", "json")


def otlp_json(message: Message) -> dict[str, Any]:
    """Return *message* as OTLP/JSON: hex ids and numbers for enums, otherwise protobuf's own mapping."""
    plain = json_format.MessageToDict(message, use_integers_for_enums=True)

    def fix(node: Any) -> None:
        if isinstance(node, dict):
            for key, value in node.items():
                if key in _IDS and isinstance(value, str):
                    node[key] = _hex(value)
                else:
                    fix(value)
        elif isinstance(node, list):
            for item in node:
                fix(item)

    fix(plain)
    return plain


def from_otlp_json(signal: str, body: bytes) -> Message:
    """Return the message that an OTLP/JSON body stands for."""
    plain = json.loads(body)

    def base64_ids(node: Any) -> None:
        if isinstance(node, dict):
            for key, value in node.items():
                if key in _IDS:
                    node[key] = base64.b64encode(bytes.fromhex(value)).decode()
                else:
                    base64_ids(value)
        elif isinstance(node, list):
            for item in node:
                base64_ids(item)

    base64_ids(plain)
    return json_format.ParseDict(plain, BY_NAME[signal].request(), ignore_unknown_fields=True)


def _hex(base64_text: str) -> str:
    return base64.b64decode(base64_text).hex()


def encode(message: Message, encoding: Encoding) -> bytes:
    """Return the body of a request."""
    if encoding == "protobuf":
        return message.SerializeToString()
    return json.dumps(otlp_json(message), ensure_ascii=False).encode()


def decoded(
    signal: str | Signal, encoding: Encoding, body: bytes | dict[str, Any], *, received_ns: int = NOW, **limits: Any
) -> tuple[dict[str, list[dict[str, Any]]], Accepted]:
    """Return the rows of a body by table, and what its sender is told."""
    batch = Batch(Limits(**limits))
    kind = BY_NAME[signal] if isinstance(signal, str) else signal
    raw = json.dumps(body).encode() if isinstance(body, dict) else body
    accepted = batch.add(kind, encoding, raw, project="p", received_ns=received_ns)
    return {name: table.to_pylist() for name, table in batch.tables().items()}, accepted


def one_log(record: dict[str, Any], **limits: Any) -> tuple[dict[str, Any], Accepted]:
    """Return the row of one OTLP/JSON log record."""
    rows, accepted = decoded("logs", "json", log_request(record), **limits)
    return rows["logs"][0], accepted


def log_request(*records: dict[str, Any]) -> dict[str, Any]:
    """Return an OTLP/JSON logs request."""
    return {"resourceLogs": [{"scopeLogs": [{"logRecords": list(records)}]}]}


def span_request(*spans: dict[str, Any]) -> dict[str, Any]:
    """Return an OTLP/JSON traces request."""
    return {"resourceSpans": [{"scopeSpans": [{"spans": list(spans)}]}]}


SPAN = {"traceId": "5b8efff798038103d269b633813fc60c", "spanId": "eee19b7ec3c1b174", "name": "work"}


def ld(field: int, payload: bytes) -> bytes:
    """Return a length-delimited protobuf field, whatever it says."""
    return varint(field << 3 | 2) + varint(len(payload)) + payload


def varint(value: int) -> bytes:
    """Return a protobuf varint."""
    out = bytearray()
    while True:
        value, low = value >> 7, value & 127
        out.append(low | (128 if value else 0))
        if not value:
            return bytes(out)
