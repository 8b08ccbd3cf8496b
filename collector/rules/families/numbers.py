"""KEY, continued: numbers that cannot be, of any record or span, since runwell reads their numbers."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import msgspec
import polars as pl

from collector.decode.dialects import generic, trigger_dev
from collector.decode.dialects.base import CONVERT, JUDGED
from collector.rules.cases import attempt, log
from collector.rules.frames import RUN, Frames
from collector.rules.rule import Case, Options, Rule

_DIALECTS = {d.name: d for d in (generic.DIALECT, trigger_dev.DIALECT)}
_KEYS = {c: sorted({f'"{key}":' for d in _DIALECTS.values() for key in d.record.get(c, ())}) for c in JUDGED}
_COLUMNS = [*RUN, "task_id", "operation", "version", "seq", "row"]


def _impossible(frames: Frames, options: Options) -> pl.LazyFrame:
    hits = [_of(frames.logs, "logs", "time_ns"), _of(frames.spans, "spans", "start_ns")]
    return pl.concat(hits).lazy()


def _of(records: pl.DataFrame, table: str, time: str) -> pl.DataFrame:
    """Return a hit for each key of *records* that holds a number which its column does not have."""
    judged = [c for c in JUDGED if c in records.columns]
    # What a record does not state may have been counted.
    lacks = {c: pl.col(c).is_null() for c in judged} | {
        "attempt": (pl.col("attempt_source") != "measured").fill_null(True)
    }
    attributes = pl.col("attributes").str
    # Most records have none of the keys: they are searched for all at once first.
    some = records.filter(
        pl.any_horizontal(*lacks.values()) & attributes.contains_any(sorted({k for c in judged for k in _KEYS[c]}))
    ).filter(pl.any_horizontal(lacks[c] & attributes.contains_any(_KEYS[c]) for c in judged))
    rows = [
        (i, key, why)
        for i, (dialect, text, time_ns) in enumerate(some.select("dialect", "attributes", time).iter_rows())
        for key, why in _numbers(dialect, text, time_ns, judged)
    ]
    impossible = pl.DataFrame(rows, schema={"i": pl.UInt32, "key": pl.String, "detail": pl.String}, orient="row")
    return impossible.join(
        some.select(*_COLUMNS, time_ns=time, table=pl.lit(table)).with_row_index("i"), on="i", how="inner"
    ).drop("i")


def _numbers(dialect: str, text: str | None, time_ns: int, columns: list[str]) -> Iterator[tuple[str, str]]:
    """Yield (key, why it cannot be) for the keys that decode looked at until it found a number."""
    try:
        attributes: Any = msgspec.json.decode(text or "{}")
    except msgspec.DecodeError:
        return
    record = _DIALECTS.get(dialect, generic.DIALECT).record
    for column in columns:
        for key in record.get(column, ()):
            value = CONVERT[column](attributes.get(key))
            if value is None:
                continue
            why = JUDGED[column](value, time_ns)
            if not why:
                break
            yield key, why


KEY008 = Rule(
    code="KEY008",
    slug="impossible-number",
    severity="warning",
    grain="run",
    doc="""A number cannot be: a negative or endless wait, a wrapped subtraction, a time since 1970 for a duration.

    Why: Such a number is no measurement, so runwell takes it for unknown; one of them in a mean would be all of it.
    How to fix: Subtract times of one clock, the later from the earlier never; where a time is missing, leave the
    number out instead of subtracting 0. The bounds stand in [Times, clocks and names](../time.md).
    Not flagged: 0, fractions, waits of months, attempts counted from 0, numbers of keys that runwell reads nothing
    from.
    """,
    sentences=("24",),
    needs=("records",),
    each=_impossible,
    message="`{key}` cannot be: {details}.",
    remedy="Find where `{key}` is computed; leave it out where a time that it needs is missing.",
    bad=(
        Case(logs=(log("order_charge_started", queue_wait_ms=-5),), key="queue_wait_ms"),
        Case(logs=(log("order_charge_started", max_attempts=0),), key="max_attempts"),
        Case(logs=(log("order_charge_started", due_at=5),), key="due_at"),
        Case(
            logs=(log("order_charge_started", queue_wait_ms=2.0**64),),
            key="queue_wait_ms",
            say="-5 as an unsigned number",
        ),
        Case(
            logs=(log("order_charge_started", queue_wait_ms=1_790_000_000),),
            key="queue_wait_ms",
            say="the seconds since 1970: nobody knew when it was queued",
        ),
        Case(logs=(log("order_charge_completed", duration_ms=1e12),), key="duration_ms"),
        Case(logs=(log("order_charge_failed", level="error", http_status=-1),), key="http_status"),
        Case(spans=(attempt(1, 0, 5, keys={"$usage.costInCents": 1e300}),), key="$usage.costInCents"),
    ),
    good=(
        Case(logs=(log("order_charge_started", queue_wait_ms=0), log("order_charge_completed", 1, duration_ms=0.25))),
        Case(logs=(log("order_charge_started", queue_wait_ms=21 * 86_400_000),)),
        Case(
            logs=(
                log("order_charge_started", delay_ms=0, due_at="2026-11-23T08:00:00Z", max_attempts=3, priority="high"),
            )
        ),
        Case(logs=(log("order_charge_started", attempt=0, http_status=200, balance=-5, duration_ms="a while"),)),
        Case(spans=(attempt(1, 0, 5, keys={"$usage.costInCents": 12_000, "$usage.durationMs": 4_000.5}),)),
    ),
)

RULES = (KEY008,)
