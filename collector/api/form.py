"""How the API writes what it found: Arrow IPC streams or JSON, and times as people ask for them."""

from __future__ import annotations

import datetime as dt
import re
from typing import Any

import msgspec
import pyarrow as pa

from collector.model.errors import BadInput

ARROW = "application/vnd.apache.arrow.stream"
_UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86_400, "w": 604_800}
_encoder = msgspec.json.Encoder()


def arrow_bytes(table: pa.Table) -> bytes:
    """Return *table* as an Arrow IPC stream."""
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, table.schema) as writer:
        writer.write_table(table)
    return bytes(sink.getvalue())


def json_bytes(value: Any) -> bytes:
    """Return JSON; what JSON cannot hold (NaN, infinity) becomes null."""
    return _encoder.encode(value)


def rows(table: pa.Table) -> list[dict[str, Any]]:
    """Return a list of objects; timestamps are UTC with a Z."""
    found: list[dict[str, Any]] = table.to_pylist()
    times = [f.name for f in table.schema if pa.types.is_timestamp(f.type)]
    for row in found:
        for name in times:
            if row[name] is not None:
                row[name] = row[name].replace(tzinfo=None).isoformat(timespec="microseconds") + "Z"
        for name, value in row.items():
            if isinstance(value, (dt.timedelta, dt.date, dt.time)):
                row[name] = str(value)
    return found


def moment(text: str, field: str, now_ns: int) -> int:
    """Return nanoseconds since 1970 of `24h` (ago), an ISO-8601 time (UTC unless it says otherwise) or a number."""
    text = text.strip()
    if found := re.fullmatch(r"(\d{1,9})([smhdw])", text):
        return now_ns - int(found[1]) * _UNITS[found[2]] * 10**9
    if re.fullmatch(r"-?\d{1,19}", text):
        return int(text)
    try:
        at = dt.datetime.fromisoformat(text)
    except ValueError:
        raise BadInput(
            f"expected nanoseconds, a time such as 2026-11-23T08:00:00Z, or a span such as 24h; got {text[:40]!r}",
            field=field,
        ) from None
    at = at if at.tzinfo else at.replace(tzinfo=dt.UTC)
    return int((at - dt.datetime(1970, 1, 1, tzinfo=dt.UTC)) / dt.timedelta(microseconds=1)) * 1000
