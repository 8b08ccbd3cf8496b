"""How the API writes what it found: Arrow IPC streams or JSON."""

from __future__ import annotations

import datetime as dt
from decimal import Decimal
from typing import Any

import msgspec
import pyarrow as pa
from starlette.responses import Response

from collector.model.errors import BadInput

_AT_ONCE = 500
"""Rows made into JSON without letting another thread run in between: arrow's own code does not."""
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


def answer(value: Any, status: int = 200) -> Response:
    """Return the answer whose body is *value* in JSON."""
    return Response(json_bytes(value), status_code=status, media_type="application/json")


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
        objects: list[dict[str, Any]] = table.to_pylist()
    except (ValueError, OverflowError):
        raise BadInput("a date is outside the years 1 to 9999; cast it to VARCHAR") from None
    for row in objects:
        for name in times:
            if row[name] is not None:
                row[name] = row[name].isoformat(timespec="microseconds") + "Z"
        for name, value in row.items():
            if isinstance(value, (dt.timedelta, dt.date, dt.time)):
                row[name] = str(value)
            elif isinstance(value, Decimal):
                row[name] = int(value) if value == value.to_integral_value() else float(value)
    return objects
