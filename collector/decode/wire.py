"""The two encodings as one: the same questions asked of a protobuf message and of an OTLP/JSON struct.

Both have the same field names; they differ in how ids, numbers, enums, absence and values are written.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from google.protobuf.internal import api_implementation
from google.protobuf.message import DecodeError
from opentelemetry.proto.logs.v1 import logs_pb2
from opentelemetry.proto.metrics.v1 import metrics_pb2
from opentelemetry.proto.trace.v1 import trace_pb2

from collector.decode import otlpjson, values
from collector.decode.values import U64_MAX, Caps
from collector.model.errors import BadInput
from collector.model.signals import Encoding, Signal

if api_implementation.Type() != "upb":
    raise ImportError(
        f"protobuf runs on its {api_implementation.Type()} backend; install a wheel with upb, "
        "the others are slow and unsafe on deeply nested input"
    )

_HEX = re.compile(r"^[0-9a-fA-F]*$")
_ENUMS = {
    "kind": trace_pb2.Span.SpanKind,
    "code": trace_pb2.Status.StatusCode,
    "severityNumber": logs_pb2.SeverityNumber,
    "aggregationTemporality": metrics_pb2.AggregationTemporality,
}


class BadId(Exception):
    """An id of the wrong length, form or all zero."""


@dataclass(frozen=True, slots=True)
class Wire:
    """How one encoding answers."""

    parse: Callable[[Signal, bytes], Any]
    value: Callable[[Any, Caps], Any]
    ident: Callable[[Any, int], str | None]
    """(field, bytes it must have) → lower-case hex, None when absent; raises BadId."""
    u64: Callable[[Any, str], int]
    i64: Callable[[Any, str], int]
    u32: Callable[[Any, str], int]
    i32: Callable[[Any, str], int]
    double: Callable[[Any, str], float]
    enum: Callable[[Any, str], int]
    has: Callable[[Any, str], bool]
    """Tell whether a field with presence is set."""

    def attributes(self, pairs: Any, caps: Caps) -> dict[str, Any]:
        """Return attributes in order; of repeated keys the last value counts."""
        value = self.value
        return {kv.key or "": value(kv.value, caps) for kv in pairs or ()}


def _parse_protobuf(signal: Signal, body: bytes) -> Any:
    request = signal.request()
    try:
        request.ParseFromString(body)
    except DecodeError:
        raise BadInput(f"body is not a valid {signal.request.DESCRIPTOR.name} in protobuf") from None
    return request


def _protobuf_ident(value: bytes, size: int) -> str | None:
    if not value:
        return None
    if len(value) != size or not any(value):
        raise BadId
    return value.hex()


def _same(value: Any, field: str) -> Any:
    return value


PROTOBUF = Wire(
    parse=_parse_protobuf,
    value=values.from_protobuf,
    ident=_protobuf_ident,
    u64=_same,
    i64=_same,
    u32=_same,
    i32=_same,
    double=_same,
    enum=_same,
    has=lambda message, field: message.HasField(field),
)


def _json_ident(value: str | None, size: int) -> str | None:
    if not value:
        return None
    if len(value) != 2 * size or not _HEX.match(value) or not value.strip("0"):
        raise BadId
    return value.lower()


def _json_enum(value: int | float | str | None, field: str) -> int:
    if isinstance(value, str) and not value.lstrip("-").isdigit():
        try:
            return int(_ENUMS[field].Value(value))
        except ValueError:
            names = ", ".join(_ENUMS[field].keys())
            raise BadInput(f"expected a number or one of {names}"[:200], field=field) from None
    return values.integer(value, field, -(2**31), 2**31 - 1)


JSON = Wire(
    parse=otlpjson.parse,
    value=values.from_json,
    ident=_json_ident,
    u64=lambda value, field: values.integer(value, field, 0, U64_MAX),
    i64=values.integer,
    u32=lambda value, field: values.integer(value, field, 0, 2**32 - 1),
    i32=lambda value, field: values.integer(value, field, -(2**31), 2**31 - 1),
    double=lambda value, field: 0.0 if value is None else values.json_double(value, field),
    enum=_json_enum,
    has=lambda message, field: getattr(message, field) is not None,
)

WIRES: dict[Encoding, Wire] = {"protobuf": PROTOBUF, "json": JSON}
