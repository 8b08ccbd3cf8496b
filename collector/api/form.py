"""How the API writes what it found: Arrow IPC streams or JSON, and times as people ask for them."""

from __future__ import annotations

import datetime as dt
import re
from decimal import Decimal
from typing import Any

import msgspec
import pyarrow as pa

from collector.model.errors import BadInput

_UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86_400, "w": 604_800}
_AT_ONCE = 500
"""Rows made into JSON without letting another thread run in between: arrow's own code does not."""
_MOST_DIGITS = 20
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


def json_rows(table: pa.Table) -> bytes:
    """Return JSON of a list of objects, as `rows` has them."""
    parts = (json_bytes(rows(table.slice(i, _AT_ONCE)))[1:-1] for i in range(0, table.num_rows, _AT_ONCE))
    return b"[" + b",".join(parts) + b"]"


def rows(table: pa.Table) -> list[dict[str, Any]]:
    """Return a list of objects; timestamps are UTC with a Z, decimals numbers."""
    times = [f.name for f in table.schema if pa.types.is_timestamp(f.type)]
    for i, field in enumerate(table.schema):
        if field.name in times:
            table = table.set_column(i, field.name, table.column(i).cast(pa.timestamp("us"), safe=False))
    try:
        found: list[dict[str, Any]] = table.to_pylist()
    except (ValueError, OverflowError):
        raise BadInput("a date is outside the years 1 to 9999; cast it to VARCHAR") from None
    for row in found:
        for name in times:
            if row[name] is not None:
                row[name] = row[name].isoformat(timespec="microseconds") + "Z"
        for name, value in row.items():
            if isinstance(value, (dt.timedelta, dt.date, dt.time)):
                row[name] = str(value)
            elif isinstance(value, Decimal):
                row[name] = int(value) if value == value.to_integral_value() else float(value)
    return found


def count(text: str, field: str, least: int, most: int) -> int:
    """Return a whole number from *least* to *most*, or raise BadInput."""
    digits = text.isascii() and text.isdigit() and len(text) < _MOST_DIGITS
    if not digits or not least <= int(text) <= most:
        raise BadInput(f"expected a whole number from {least} to {most}, got {text[:40]!r}", field=field)
    return int(text)


def moment(text: str, field: str, now_ns: int) -> int:
    """Return nanoseconds since 1970 of `24h` (ago), an ISO-8601 time (UTC unless it says otherwise) or a number."""
    found_ns = _moment(text, field, now_ns)
    if not -(2**63) <= found_ns < 2**63:
        raise BadInput(f"expected a time between the years 1678 and 2262, got {text[:40]!r}", field=field)
    return found_ns


def _moment(text: str, field: str, now_ns: int) -> int:
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
