"""Durations: how long runs and attempts wait, work and take, and where the time of a run went.

Enter: rows of `runs` and `attempts`, whole runs. Leave: one row per known duration (`values`), their mergeable
histograms (`hours`, table `duration_hours`). A run counts in the hour its first attempt started, because
counting by end would favour long ones; an attempt in the hour it started.

end_to_end = queue_wait + attempts (active, wait and idle) + gaps + unexplained; a gap is backoff + requeue_wait. The
time between two deliveries of one attempt is idle, and no execution.
"""

from __future__ import annotations

import math

import polars as pl

from collector.analyse import believable
from collector.analyse.evidence import RUN
from collector.analyse.frames import (
    COHORT,
    Frame,
    dimensions,
    hour_of,
    is_backward,
    population,
    rank,
    shaped,
)
from collector.model.words import ENDED, TERMINAL

SCALE = 16
"""Histogram buckets per doubling (scale 4 of an OpenTelemetry exponential histogram)."""
RELATIVE_ERROR = (2 ** (1 / SCALE) - 1) / (2 ** (1 / SCALE) + 1)
"""How far an estimate from a bucket may be off, 2.2 %."""
_SHORTEST_NS = 1_000
_LOWEST = math.ceil(math.log2(_SHORTEST_NS / 1e6) * SCALE)


def values(runs: Frame, attempts: Frame, *, as_of_ns: int, unknown: bool = False) -> pl.LazyFrame:
    """Return every duration: `COHORT`, run_key, number, started_ns, measure, outcome, value_ns, is_open, weakness.

    `number` is NULL for measures of a run. `is_open`: the run or attempt had lasted *value_ns* when last seen or at
    *as_of_ns*, and went on (only `execution` and `attempt`). What ends before it starts has no duration. `outcome` is
    the status of the run or attempt. `weakness`: see `frames.rank`. With *unknown* a row also where there was a
    duration that nobody told, value_ns NULL; `missing` counts such ones, an attempt's also those before it that left no
    record.
    """
    parts = (of_runs, of_attempts)
    return pl.concat(part(runs, attempts, as_of_ns=as_of_ns, unknown=unknown) for part in parts)


def of_runs(runs: Frame, attempts: Frame, *, as_of_ns: int, unknown: bool = False) -> pl.LazyFrame:
    """Return those of `values` that belong to a run."""
    walls = (
        attempts.lazy()
        .group_by(RUN)
        .agg(
            wall_ns=pl.when(pl.col("wall_ns").is_not_null().all() & (pl.col("number").max() == pl.len())).then(
                believable.total(pl.col("wall_ns"))
            ),
            attempts=pl.col("number").max(),
            idle=pl.col("idle_ns").sum(),
        )
    )
    started = (
        runs.lazy()
        .with_columns(population=population())
        .filter(pl.col("started_ns").is_not_null() & (pl.col("population") != "test") & _worked())
        .join(walls, on=RUN, how="left", nulls_equal=True)
        .with_columns(
            hour_ns=hour_of("started_ns"),
            number=pl.lit(None, pl.Int32),
            outcome="status",
            is_over=pl.col("status").is_in(TERMINAL) & pl.col("ended_ns").is_not_null(),
            # One that waits to be taken up again does not work meanwhile.
            alive_ns=pl.when(pl.col("status").is_in(["unknown", "queued"])).then("last_seen_ns").otherwise(as_of_ns),
            # A run of one attempt has no gap; of more, their sum is known or not.
            gaps_ns=pl.when(pl.col("attempts") == 1).then(pl.coalesce("backoff_ns", 0)).otherwise("backoff_ns"),
        )
    )
    until = pl.when("is_over").then("ended_ns").otherwise("alive_ns")
    residual = pl.col("end_to_end_ns") - pl.sum_horizontal("queue_wait_ns", "wall_ns", "gaps_ns", ignore_nulls=False)
    measures: _Measures = {
        "queue_wait": (pl.col("queue_wait_ns"), rank("queue_wait_source")),
        "execution": (
            pl.when(~is_backward() & (pl.col("started_source") != "unknown")).then(
                (until - pl.col("started_ns") - pl.col("idle").fill_null(0)).clip(0)
            ),
            rank("started_source", _end_source(), _idle_source("idle")),
        ),
        # What an open run has worked or waited so far is no duration of a run.
        "active": (pl.when("is_over").then("active_ns"), rank("started_source", _end_source(), _idle_source("idle"))),
        "wait": (pl.when("is_over").then("wait_ns"), rank(pl.lit("measured"))),
        "end_to_end": (pl.col("end_to_end_ns"), rank("queued_source", _end_source())),
        "unexplained": (residual.abs(), rank("queued_source", _end_source())),
    }
    ended = pl.col("status").is_in(TERMINAL)
    missing = dict.fromkeys(("active", "wait", "end_to_end", "unexplained"), ended)
    return _each(started, measures, missing, open_="execution", unknown=unknown)


def _worked() -> pl.Expr:
    """Tell whether a run or attempt did its work: one that was skipped says nothing of how long that takes."""
    return pl.col("outcome").ne_missing("skipped")


def _idle_source(idle: str) -> pl.Expr:
    """Return the source of what leaves out the time between deliveries, which nobody states."""
    return pl.when(pl.col(idle) > 0).then(pl.lit("inferred")).otherwise(pl.lit("measured"))


def _end_source() -> pl.Expr:
    """Return the source of an end; one that has not come adds no doubt of its own."""
    return pl.when(pl.col("ended_ns").is_null()).then(pl.lit("measured")).otherwise("ended_source")


def of_attempts(runs: Frame, attempts: Frame, *, as_of_ns: int, unknown: bool = False) -> pl.LazyFrame:
    """Return those of `values` that belong to an attempt."""
    seen = runs.lazy().select(*RUN, "last_seen_ns")
    started = (
        attempts.lazy()
        .sort(*RUN, "number")
        .with_columns(lost=(pl.col("number").diff().over(RUN).fill_null(pl.col("number")) - 1).clip(0))
        .filter(pl.col("started_ns").is_not_null() & _worked())
        .drop("task_id", "queue", strict=False)
        .join(dimensions(runs), on=RUN, how="inner", nulls_equal=True)
        .join(seen, on=RUN, how="left", nulls_equal=True)
        .sort(*RUN, "number")
        .with_columns(
            hour_ns=hour_of("started_ns"),
            outcome="status",
            follows=pl.col("number").shift(1).over(RUN) == pl.col("number") - 1,
            # After an interruption nothing is tried again: what follows goes on.
            before_ns=pl.when(~is_backward() & (pl.col("status") != "interrupted")).then("ended_ns").shift(1).over(RUN),
            before_source=pl.col("ended_source").shift(1).over(RUN),
            goes_on=(pl.col("status") == "interrupted").shift(1).over(RUN).fill_null(False),
            is_over=pl.col("status").is_in(ENDED) & pl.col("wall_ns").is_not_null(),
            alive_ns=pl.when(pl.col("status") == "running").then(as_of_ns).otherwise("last_seen_ns"),
        )
        .with_columns(gap_ns=pl.when("follows").then(believable.waited(pl.col("started_ns") - pl.col("before_ns"))))
    )
    is_retry = pl.col("number") > 1
    known = pl.col("is_over") | ((pl.col("status") == "interrupted") & pl.col("wall_ns").is_not_null())
    lasted = pl.when(known).then("wall_ns").otherwise(pl.col("alive_ns") - pl.col("started_ns"))
    lasted = (lasted - pl.col("idle_ns").fill_null(0)).clip(0)
    requeue = pl.when(is_retry).then("queue_wait_ns")
    between = rank("started_source", "before_source")
    measures: _Measures = {
        "attempt": (
            pl.when(~is_backward()).then(lasted),
            rank("started_source", _end_source(), _idle_source("idle_ns")),
        ),
        "boot": (pl.col("started_ns") - pl.col("dequeued_ns"), rank("started_source")),
        "gap": (pl.col("gap_ns"), between),
        "backoff": ((pl.col("gap_ns") - requeue).clip(0), between),
        "requeue_wait": (requeue, rank(pl.lit("measured"))),
    }
    missing = {name: is_retry & ~pl.col("goes_on") for name in ("gap", "backoff", "requeue_wait")}
    return _each(started, measures, missing, open_="attempt", unknown=unknown, lost="lost")


_Measures = dict[str, tuple[pl.Expr, pl.Expr]]
"""Measure → how long, and how well that is known."""


def _each(
    rows: pl.LazyFrame,
    measures: _Measures,
    missing: dict[str, pl.Expr],
    *,
    open_: str,
    unknown: bool,
    lost: str | None = None,
) -> pl.LazyFrame:
    """Return a row for each measure that is known of each of *rows*; only *open_* may still go on.

    With *unknown* also for one that is not known: *missing* tells where there must be one, everywhere if it does not
    say; *lost* counts the ones of *open_* before a row.
    """
    before = {open_: pl.col(lost).cast(pl.Int64)} if lost else {}

    def told(name: str, value: pl.Expr, weakness: pl.Expr) -> pl.Expr:
        fields = {
            "value_ns": value.cast(pl.Int64),
            "weakness": weakness,
            "is_open": ~pl.col("is_over") if name == open_ else pl.lit(False),
        }
        if unknown:
            untold = missing.get(name, pl.lit(True)) & value.is_null()
            fields["missing"] = untold.cast(pl.Int64) + before.get(name, pl.lit(0))
        return pl.struct([field.alias(column) for column, field in fields.items()]).alias(name)

    values = [told(name, *parts) for name, parts in measures.items()]
    shared = [*COHORT, "run_key", "number", "started_ns", "outcome"]
    is_told = pl.col("value_ns").is_not_null()
    return (
        rows.select(*shared, *values)
        .unpivot(list(measures), index=shared, variable_name="measure", value_name="value")
        .unnest("value")
        .filter(is_told | (pl.col("missing") > 0) if unknown else is_told)
    )


def bucket(value_ns: str = "value_ns") -> pl.Expr:
    """Return the histogram bucket `ix` of a duration in ns; everything up to a microsecond shares one."""
    ms = pl.col(value_ns).clip(_SHORTEST_NS).cast(pl.Float64) / 1e6
    return (ms.log(2) * SCALE).ceil().cast(pl.Int32)


def bucket_ns(ix: str = "ix") -> pl.Expr:
    """Return the estimate in ns of a duration in bucket *ix*: the least relative error; 0 in the lowest."""
    g = 2 ** (1 / SCALE)
    middle = (2 * pl.lit(g).pow(pl.col(ix).cast(pl.Float64)) / (g + 1) * 1e6).round().cast(pl.Int64)
    return pl.when(pl.col(ix) > _LOWEST).then(middle).otherwise(0)


def hours(runs: Frame, attempts: Frame) -> pl.DataFrame:
    """Return rows of `duration_hours`: the histograms of all durations that have ended. Additive, as in `cohorts`."""
    key = [*COHORT, "measure", "outcome", "ix"]
    grouped = (
        values(runs, attempts, as_of_ns=0)
        .filter(~pl.col("is_open"))
        .with_columns(ix=bucket())
        .group_by(key)
        .agg(
            n=pl.len(),
            total_ns=believable.exact(pl.col("value_ns")),
            derived_n=(pl.col("weakness") == 1).sum(),
            inferred_n=(pl.col("weakness") == 2).sum(),
        )
    )
    return shaped(grouped, "duration_hours", by=key)
