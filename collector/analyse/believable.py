"""What stated and derived numbers may be, as expressions: NULL where a number is no measurement.

The bounds are those of `model.believable`, which decode applies. Here they are applied again, since rows of older
versions hold what was sent, and to what two times give. Whatever comes out fits in 64 bits.
"""

from __future__ import annotations

import polars as pl

from collector.model.believable import (
    AHEAD_NS,
    EARLIEST_NS,
    EPOCH_SLACK_NS,
    LONGEST_MS,
    LONGEST_NS,
    MOST_ATTEMPTS,
    MOST_CENTS,
    MOST_STATUS,
    WRAPPED_MS,
)


def numbers(own_ns: str, columns: list[str]) -> list[pl.Expr]:
    """Return those of *columns* that hold stated numbers, without what cannot be in a record of time *own_ns*."""
    at = pl.col(own_ns)
    bounded = {
        "attempt": _upto("attempt", MOST_ATTEMPTS),
        "http_status": _upto("http_status", MOST_STATUS),
        "cost_cents": _upto("cost_cents", MOST_CENTS),
        **{name: _ms(name, at) for name in ("reported_ms", "queue_wait_ms", "compute_ms", "delay_ms")},
        "dequeued_ns": _where("dequeued_ns", pl.col("dequeued_ns").is_between(at - LONGEST_NS, at + AHEAD_NS)),
    }
    bounded |= {
        "due_at_ns": _where("due_at_ns", pl.col("due_at_ns").is_between(at - LONGEST_NS, at + LONGEST_NS)),
        "max_attempts": _where("max_attempts", pl.col("max_attempts").is_between(1, MOST_ATTEMPTS)),
    }
    return [expr for name, expr in bounded.items() if name in columns]


def _where(column: str, holds: pl.Expr) -> pl.Expr:
    return pl.when(holds).then(column).alias(column)


def _upto(column: str, most: int) -> pl.Expr:
    return _where(column, pl.col(column).is_between(0, most))


def _ms(column: str, at: pl.Expr) -> pl.Expr:
    ms = pl.col(column)
    wrapped = pl.any_horizontal(ms.is_between(low, end) for low, end in WRAPPED_MS if low < LONGEST_MS)
    # Of times since 1970 only those in seconds are short enough to pass for milliseconds.
    epoch = (ms * 1e9 - at.cast(pl.Float64)).abs() <= EPOCH_SLACK_NS
    return _where(column, ms.is_between(0, LONGEST_MS) & ~wrapped & ~epoch)


def time(ns: pl.Expr, received_ns: str = "received_ns") -> pl.Expr:
    """Return a record's time, its arrival for one before `EARLIEST_NS` or long after that."""
    arrived = pl.col(received_ns)
    return pl.when(ns.is_between(EARLIEST_NS, arrived + LONGEST_NS)).then(ns).otherwise(arrived)


def lasted(ns: pl.Expr) -> pl.Expr:
    """Return a duration that one clock gave, NULL when it is negative or too long."""
    return pl.when(ns.is_between(0, LONGEST_NS)).then(ns)


def waited(ns: pl.Expr) -> pl.Expr:
    """Return a duration between two clocks: 0 when it is negative by what clocks may differ, NULL beyond."""
    return pl.when(ns.is_between(-AHEAD_NS, LONGEST_NS)).then(ns.clip(0))


def is_near(ns: str | pl.Expr, until: str | pl.Expr) -> pl.Expr:
    """Tell whether *ns* is not so long before *until* that nothing lasts from one to the other."""
    first, last = (pl.col(e) if isinstance(e, str) else e for e in (ns, until))
    return last - first <= LONGEST_NS


def total(ns: pl.Expr) -> pl.Expr:
    """Return the sum of durations of a run, NULL when it is too long for one."""
    return lasted(exact(ns)).cast(pl.Int64)


def exact(values: pl.Expr) -> pl.Expr:
    """Return the sum of whole numbers in 128 bits: however many are added up, it is exact."""
    return values.cast(pl.Int128).sum()
