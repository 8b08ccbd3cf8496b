"""Recorded telemetry as requests: the recorded JSONL form, and OTLP/JSON lines as the Collector's file exporter writes.

Enter: lines. Leave: requests ready to post, all times moved by one constant if asked. Shifting changes times only;
everything else keeps its bytes' meaning.
"""

from __future__ import annotations

import base64
import binascii
import gzip
import io
import json
import re
import sys
import zlib
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import IO, Any

import zstandard

from collector.model.errors import BadInput, UsageError
from collector.model.signals import BY_NAME, SIGNALS, Encoding, Signal
from collector.model.units import MS_NS
from collector.otlp.answers import encoding_of
from collector.otlp.compression import decompress

_ROOTS = {"resourceLogs": "logs", "resourceSpans": "traces", "resourceMetrics": "metrics"}
_CAP = 256 * 2**20
_TIME_KEY = re.compile(r"\$metrics\.events\..+\.timestamp")
"""Attributes in which Trigger.dev writes times, ms since 1970."""
_JSON_TIMES = frozenset({"timeUnixNano", "observedTimeUnixNano", "startTimeUnixNano", "endTimeUnixNano"})
_MESSAGE_TIMES = frozenset({"time_unix_nano", "observed_time_unix_nano", "start_time_unix_nano", "end_time_unix_nano"})


@dataclass(frozen=True, slots=True)
class Recorded:
    """One request as it was recorded: plain body, its signal and encoding."""

    signal: Signal
    encoding: Encoding
    body: bytes


def read(path: str) -> Iterator[Recorded]:
    """Yield the requests of a file (`-` is stdin; .gz and .zst are opened); raise UsageError naming file and line."""
    with _open(path) as lines:
        for number, line in enumerate(_lines(path, lines), 1):
            if not line.strip():
                continue
            try:
                yield _request(line)
            except (BadInput, ValueError, RecursionError) as e:
                why = e.message if isinstance(e, BadInput) else "not JSON"
                raise UsageError(
                    f"{path}:{number}: {why}; expected a recorded request or a line of OTLP/JSON."
                ) from None


def _lines(path: str, lines: IO[bytes]) -> Iterator[bytes]:
    try:
        yield from lines
    except (EOFError, OSError, zlib.error, zstandard.ZstdError) as e:
        raise UsageError(f"{path}: cannot be read to its end ({e}); is it damaged or cut off?") from None


def _open(path: str) -> IO[bytes]:
    if path == "-":
        return sys.stdin.buffer
    try:
        raw = Path(path).open("rb")  # noqa: SIM115 -- closed by the reader that wraps it
    except OSError as e:
        raise UsageError(
            f"{path}: cannot be read ({e.strerror}); give a file that was recorded, or - for stdin."
        ) from None
    magic = raw.read(4)
    raw.seek(0)
    if magic[:2] == b"\x1f\x8b":
        return io.BufferedReader(gzip.GzipFile(fileobj=raw))
    if magic == b"\x28\xb5\x2f\xfd":
        return io.BufferedReader(zstandard.ZstdDecompressor().stream_reader(raw))
    return raw


def _request(line: bytes) -> Recorded:
    record = json.loads(line)
    if not isinstance(record, dict):
        raise BadInput("not a JSON object")
    for root, name in _ROOTS.items():
        if root in record:
            return Recorded(BY_NAME[name], "json", line.strip())
    missing = [key for key in ("signal", "content_type", "body") if not isinstance(record.get(key), str)]
    if missing:
        raise BadInput(f"{missing[0]} is missing")
    signal = BY_NAME.get(record["signal"])
    if signal is None:
        raise BadInput(f"signal must be one of {', '.join(s.name for s in SIGNALS)}")
    # A gRPC message is the same protobuf that HTTP carries.
    encoding = "protobuf" if record.get("transport") == "grpc" else encoding_of(record["content_type"])
    if encoding is None:
        raise BadInput("content_type must be application/json or application/x-protobuf")
    try:
        body = base64.b64decode(record["body"], validate=True)
    except (binascii.Error, ValueError):
        raise BadInput("body must be base64") from None
    return Recorded(signal, encoding, decompress(body, record.get("content_encoding") or "", _CAP))


def newest_ns(request: Recorded) -> int:
    """Return the latest time in a request, 0 when it has none."""
    newest = 0

    def look(ns: int) -> int:
        nonlocal newest
        newest = max(newest, ns)
        return ns

    _map_times(request, look)
    return newest


def shift(request: Recorded, by_ns: int) -> Recorded:
    """Return the request with every time moved by *by_ns*; a time of 0 means unknown and stays."""
    return _map_times(request, lambda ns: ns + by_ns if ns else 0)


def _map_times(request: Recorded, change: Any) -> Recorded:
    if request.encoding == "json":
        tree = json.loads(request.body)
        _map_json(tree, change)
        return replace(request, body=json.dumps(tree, separators=(",", ":"), ensure_ascii=False).encode())
    message = request.signal.request()
    message.ParseFromString(request.body)
    _map_message(message, change)
    return replace(request, body=message.SerializeToString())


def _map_json(tree: Any, change: Any) -> None:
    stack = [tree]
    while stack:
        item = stack.pop()
        if isinstance(item, list):
            stack.extend(item)
        elif isinstance(item, dict):
            for key, value in item.items():
                if key in _JSON_TIMES and isinstance(value, (str, int)) and str(value).isdigit():
                    changed = change(int(value))
                    item[key] = str(changed) if isinstance(value, str) else changed
                elif key == "attributes" and isinstance(value, list):
                    _map_attributes(value, change)
                elif key not in ("body", "filteredAttributes"):
                    stack.append(value)


def _map_attributes(attributes: list[Any], change: Any) -> None:
    """Change the times that a platform writes into attributes, such as when an attempt was taken from its queue."""
    for item in attributes:
        if not isinstance(item, dict) or not _TIME_KEY.fullmatch(str(item.get("key"))):
            continue
        value = item.get("value")
        number = value.get("intValue") if isinstance(value, dict) else None
        if isinstance(value, dict) and isinstance(number, (str, int)) and str(number).isdigit():
            changed = change(int(number) * MS_NS) // MS_NS
            value["intValue"] = str(changed) if isinstance(number, str) else changed


def _map_message(message: Any, change: Any) -> None:
    for field, value in message.ListFields():
        if field.name in _MESSAGE_TIMES:
            setattr(message, field.name, change(value))
        elif field.name == "attributes":
            for item in value:
                if _TIME_KEY.fullmatch(item.key) and item.value.WhichOneof("value") == "int_value":
                    item.value.int_value = change(item.value.int_value * MS_NS) // MS_NS
        elif field.message_type is not None and field.name not in ("body", "filtered_attributes"):
            for part in value if field.is_repeated else [value]:
                _map_message(part, change)
