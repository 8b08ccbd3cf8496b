"""A few words to tell a run's records in: rows of the raw tables, everything unsaid NULL."""

from __future__ import annotations

from typing import Any

import polars as pl
import pyarrow as pa

from collector.model import tables
from collector.model.identity import run_key

SECOND = 1_000_000_000
T0 = 1_790_000_000 * SECOND


def frame(table: str, rows: list[dict[str, Any]]) -> pl.DataFrame:
    """Return *rows* as a frame with the columns of raw *table*."""
    empty = pl.from_arrow(pa.Table.from_batches([], tables.RAW[table]))
    assert isinstance(empty, pl.DataFrame)
    return pl.DataFrame(rows, schema=empty.schema, orient="row") if rows else empty


def _context(run: str | None, dialect: str, extra: dict[str, Any]) -> dict[str, Any]:
    return {
        "project": "default",
        "seq": 1,
        "row": 0,
        "received_ns": T0,
        "dialect": dialect,
        "environment": "PRODUCTION",
        "run_id": run,
        "run_key": run and run_key("default", dialect, "PRODUCTION", "", run),
        "time_source": "time",
        **extra,
    }


def log(run: str | None, at: float, body: str, *, dialect: str = "generic", **extra: Any) -> dict[str, Any]:
    """Return a log row *at* seconds after T0; operation and phase are read from the *body*."""
    ns = T0 + round(at * SECOND)
    operation, phase, service = None, None, None
    for word in ("started", "validating", "completed", "failed"):
        if body.endswith(f"_{word}"):
            operation, phase = body.removesuffix(f"_{word}"), word
    if "_calling_" in body:
        operation, service = body.split("_calling_", 1)
        phase = "calling"
    return _context(
        run,
        dialect,
        {
            "time_unix_nano": ns,
            "observed_time_unix_nano": ns,
            "time": _time(ns),
            "body": body,
            "attributes": "{}",
            "operation": operation,
            "phase": phase,
            "called_service": service,
            **extra,
        },
    )


def span(
    run: str,
    name: str,
    start: float,
    end: float | None,
    *,
    dialect: str = "trigger_dev",
    failed: bool = False,
    **extra: Any,
) -> dict[str, Any]:
    """Return a span row from *start* to *end* seconds after T0; without an end it is a partial span."""
    begin = T0 + round(start * SECOND)
    finish = begin if end is None else T0 + round(end * SECOND)
    ident = f"{abs(hash((run, name, start))):016x}"[:16]
    return _context(
        run,
        dialect,
        {
            "trace_id": f"{abs(hash(run)):032x}"[:32],
            "span_id": ident if end is not None else f"{abs(hash((run, name, start, 'p'))):016x}"[:16],
            "real_span_id": ident if end is None else None,
            "is_partial": end is None,
            "name": name,
            "start_time_unix_nano": begin,
            "end_time_unix_nano": finish,
            "time": _time(begin),
            "duration_ns": finish - begin,
            "status_code": 2 if failed else 0,
            "attributes": "{}",
            "events": "[]",
            **extra,
        },
    )


def attempt(run: str, number: int | None, start: float, end: float | None, **extra: Any) -> dict[str, Any]:
    """Return the span of an attempt."""
    return span(run, f"Attempt {number}", start, end, span_type="attempt", attempt=number, **extra)


def _time(ns: int) -> Any:
    import datetime as dt

    return dt.datetime.fromtimestamp(ns // 1000 / 1e6, tz=dt.UTC).replace(tzinfo=None)
