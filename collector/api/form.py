"""How the API writes what it found: Arrow IPC streams or JSON."""

from __future__ import annotations

import datetime as dt
from decimal import Decimal
from typing import Any

import msgspec
import pyarrow as pa
from starlette.requests import Request
from starlette.responses import Response

from collector.model.address import ARROW
from collector.model.errors import BadInput

_AT_ONCE = 500
"""Rows made into JSON without letting another thread run in between: arrow's own code does not."""
_MOST_AT_ONCE = 4 * 2**20
"""Bytes of them: as Python's objects and as JSON, where every one may be escaped, they are many times as large."""
_encoder = msgspec.json.Encoder()


def wants_arrow(request: Request) -> bool:
    """Tell whether an answer is to come as an Arrow stream."""
    return ARROW in request.headers.get("accept", "").lower()


def arrow_bytes(table: pa.Table) -> bytes:
    """Return *table* as an Arrow IPC stream."""
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, table.schema) as writer:
        writer.write_table(table)
    made: bytes = sink.getvalue().to_pybytes()
    return made


def json_bytes(value: Any) -> bytes:
    """Return JSON; what JSON cannot hold (NaN, infinity) becomes null."""
    return _encoder.encode(value)


def answer(value: Any, status: int = 200) -> Response:
    """Return the answer whose body is *value* in JSON."""
    return Response(json_bytes(value), status_code=status, media_type="application/json")


def json_rows(table: pa.Table, most_bytes: int | None = None) -> tuple[bytes, bool]:
    """Return JSON of a list of objects, as `rows` has them, and whether rows are left out beyond *most_bytes*."""
    made = bytearray(b"[")
    start = 0
    while start < table.num_rows:
        part = table.slice(start, _AT_ONCE)
        while part.num_rows > 1 and part.nbytes > _MOST_AT_ONCE:
            part = part.slice(0, part.num_rows // 2)
        text = memoryview(json_bytes(rows(part)))[1:-1]
        if most_bytes is not None and len(made) + len(text) > most_bytes:
            if not start:
                raise BadInput(
                    f"the first rows are larger than {most_bytes} bytes in JSON; select less, or ask for Arrow"
                )
            made += b"]"
            return bytes(made), True
        made += b"," if start else b""
        made += text
        start += part.num_rows
    made += b"]"
    return bytes(made), False


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
