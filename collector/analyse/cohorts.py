"""Additive counts of runs and attempts: what retry, failure and throughput numbers are summed from.

Enter: rows of `runs` and `attempts`, always whole runs (a run with all its attempts). Leave: rows of `run_cohorts`,
`attempt_hours`, `flow_hours`. For sets of runs A and B that share none, f(A and B) is f(A) and f(B) added up,
so the counts of some runs can be replaced: add their new rows, subtract what their old rows gave. With a *window* only
what began in it is counted (a run or attempt with its start, an event with itself), not all of its hour.
"""

from __future__ import annotations

from collections.abc import Sequence

import polars as pl

from collector.analyse import believable
from collector.analyse.believable import exact
from collector.analyse.evidence import RUN
from collector.analyse.frames import (
    COHORT,
    Frame,
    Window,
    dimensions,
    ended_as,
    hour_of,
    inside,
    is_backward,
    nanocents,
    population,
    rank,
    shaped,
)
from collector.model.words import ENDED, FAILED, TERMINAL

_SUMS = ("wasted", "backoff", "latency")
"""What is summed up of runs, in ns."""
_EACH = 16
"""Lost attempts between two that were seen that count each by its number."""


def per_run(runs: Frame, attempts: Frame) -> pl.LazyFrame:
    """Return one row per started run that is no test: its dimensions and what its attempts came to.

    Columns: those of `RUN`, `COHORT`, run_id, parent_run_id, root_run_id, started_ns, ended_ns, last_seen_ns,
    outcome (`frames.ended_as`), attempts (highest number named, NULL if none), has_ended (an attempt ended), weakness
    (`rank` of outcome and count), and, NULL where unknown: wasted_ns, backoff_ns, latency_ns, first_ended_ns,
    cost_nanocents, wasted_cost_nanocents. is_inferred_wasted, …_backoff, …_latency: a time it rests on is inferred.
    """
    started = (
        runs.lazy()
        .filter(pl.col("started_ns").is_not_null())
        .with_columns(
            population=population(),
            hour_ns=hour_of("started_ns"),
            outcome=ended_as(),
            gaps_ns="backoff_ns",
            cost_nanocents=nanocents("cost_cents"),
        )
        .filter(pl.col("population") != "test")
    )
    last = pl.col("number") == pl.col("number").max().over(RUN)
    spent = ~last | pl.col("status").is_in(FAILED)
    again = pl.col("number") > 1
    guessed_start = (pl.col("started_source") == "inferred").fill_null(False)
    guessed_end = (pl.col("ended_source") == "inferred").fill_null(False)
    sums = (
        attempts.lazy()
        .with_columns(is_last=last, is_spent=spent, cost=nanocents("cost_cents"), idle=pl.col("idle_ns").fill_null(0))
        .with_columns(worked_ns=(pl.col("wall_ns") - pl.col("idle")).clip(0))
        .group_by(RUN)
        .agg(
            attempts=pl.col("number").max(),
            complete=pl.col("number").max() == pl.len(),
            # A second attempt proves that the first ended, even if its records were lost.
            has_ended=pl.col("status").is_in(ENDED).any() | (pl.col("number").max() > 1),
            first_ended_ns=pl.col("ended_ns").filter((pl.col("number") == 1) & ~is_backward()).first(),
            last_ended_ns=pl.col("ended_ns").filter(pl.col("is_last") & ~is_backward()).first(),
            last_status=pl.col("status").filter("is_last").first(),
            wasted=_all_known("worked_ns", "is_spent"),
            wasted_cost=_all_known("cost", "is_spent"),
            requeued_ns=believable.total(pl.col("queue_wait_ns").filter(again)),
            is_inferred_wasted=(pl.col("is_spent") & (guessed_start | guessed_end | (pl.col("idle") > 0))).any(),
            is_inferred_backoff=((again & guessed_start) | (~pl.col("is_last") & guessed_end)).any(),
            is_inferred_latency=(guessed_end & (pl.col("is_last") | ~again)).any(),
        )
    )
    whole = pl.col("complete") & pl.col("has_ended") & pl.col("last_status").is_in([*ENDED, "running", "interrupted"])
    recovered = (pl.col("outcome") == "completed") & (pl.col("attempts") > 1)
    return started.join(sums, on=RUN, how="left", nulls_equal=True).select(
        *COHORT,
        "run_key",
        "run_id",
        "parent_run_id",
        "root_run_id",
        "started_ns",
        "ended_ns",
        "last_seen_ns",
        "outcome",
        "attempts",
        "first_ended_ns",
        "cost_nanocents",
        pl.col("has_ended").fill_null(False),
        *(pl.col(f"is_inferred_{name}").fill_null(False) for name in _SUMS),
        weakness=rank("status_source", "attempt_count_source"),
        wasted_ns=pl.when(whole).then("wasted"),
        backoff_ns=pl.when(pl.col("attempts") > 1).then((pl.col("gaps_ns") - pl.col("requeued_ns")).clip(0)),
        latency_ns=pl.when(recovered).then(believable.waited(pl.col("last_ended_ns") - pl.col("first_ended_ns"))),
        wasted_cost_nanocents=pl.when(whole & pl.col("cost_nanocents").is_not_null()).then("wasted_cost"),
    )


def _all_known(value: str, where: str) -> pl.Expr:
    """Return the sum of *value* over rows *where*, NULL unless each of them is known."""
    chosen = pl.col(value).filter(where)
    return pl.when(chosen.is_null().any()).then(None).otherwise(exact(chosen))


def run_cohorts(runs: Frame, attempts: Frame, window: Window | None = None) -> pl.DataFrame:
    """Return rows of `run_cohorts`."""
    key = [*COHORT, "attempts", "outcome"]
    return shaped(summed(per_run(runs, attempts).filter(inside("started_ns", window)), key), "run_cohorts", by=key)


def summed(each: pl.LazyFrame, key: Sequence[str]) -> pl.LazyFrame:
    """Return rows of `per_run` added up by *key* to the sums of `run_cohorts`."""
    return each.group_by(key).agg(
        runs=pl.len().cast(pl.Int64),
        ended_runs=pl.col("has_ended").sum().cast(pl.Int64),
        **_weak("runs"),
        **{f"{name}_runs": pl.col(f"{name}_ns").count().cast(pl.Int64) for name in _SUMS},
        **{f"{name}_ns": exact(pl.col(f"{name}_ns")) for name in _SUMS},
        **{
            f"inferred_{name}_runs": (pl.col(f"{name}_ns").is_not_null() & pl.col(f"is_inferred_{name}"))
            .sum()
            .cast(pl.Int64)
            for name in _SUMS
        },
        cost_runs=pl.col("cost_nanocents").count().cast(pl.Int64),
        cost_nanocents=exact(pl.col("cost_nanocents")),
        wasted_cost_runs=pl.col("wasted_cost_nanocents").count().cast(pl.Int64),
        wasted_cost_nanocents=exact(pl.col("wasted_cost_nanocents")),
    )


def attempt_hours(runs: Frame, attempts: Frame, window: Window | None = None) -> pl.DataFrame:
    """Return rows of `attempt_hours`."""
    sums = ["wall", "active", "wait"]
    seen = (
        attempts.lazy()
        .filter(inside("started_ns", window))
        .drop("task_id", "queue", strict=False)
        .join(dimensions(runs), on=RUN, how="inner", nulls_equal=True)
        .select(
            *(name for name in COHORT if name != "hour_ns"),
            "run_version",
            "number",
            *(pl.col(f"{name}_ns") for name in sums),
            hour_ns=hour_of("started_ns"),
            outcome=ended_as(),
            attempts=1,
            lost=0,
            weakness=rank("status_source"),
            cost=nanocents("cost_cents"),
        )
    )
    gone = lost(runs, attempts, window).with_columns(
        outcome=pl.lit("failed"), lost="attempts", weakness=rank(pl.lit("derived"))
    )
    of_all = pl.col("attempts")
    grouped = (
        pl.concat([seen, gone], how="diagonal_relaxed")
        .group_by(*COHORT, "run_version", "number", "outcome")
        .agg(
            attempts=of_all.sum(),
            lost_attempts=pl.col("lost").sum(),
            derived_attempts=of_all.filter(pl.col("weakness") == 1).sum(),
            inferred_attempts=of_all.filter(pl.col("weakness") == 2).sum(),
            **{f"{name}_attempts": pl.col(f"{name}_ns").count() for name in sums},
            **{f"{name}_ns": exact(pl.col(f"{name}_ns")) for name in sums},
            cost_attempts=pl.col("cost").count(),
            cost_nanocents=exact(pl.col("cost")),
        )
    )
    return shaped(grouped, "attempt_hours", by=[*COHORT, "run_version", "number", "outcome"])


def lost(runs: Frame, attempts: Frame, window: Window | None = None) -> pl.LazyFrame:
    """Return the attempts that must have been and left no record: `COHORT`, run_version, number, attempts (how many).

    A later attempt of their run proves that there were so many, and that they failed. When they began nobody knows:
    they count in the hour of their run; nor on which version. Of a long gap each of the first counts by its number, the
    last of those for all the rest, so that a run whose first record is of its ten thousandth attempt costs no ten
    thousand rows.
    """
    started = (
        runs.lazy()
        .filter(inside("started_ns", window))
        .select(*RUN, hour_ns=hour_of("started_ns"))
        .join(dimensions(runs), on=RUN, how="inner", nulls_equal=True)
    )
    first, gap, told = pl.col("first"), pl.col("gap"), pl.col("told")
    return (
        attempts.lazy()
        .select(*RUN, "number")
        .sort(*RUN, "number")
        .with_columns(first=pl.col("number").shift(1).over(RUN).fill_null(0) + 1)
        .with_columns(gap=pl.col("number") - first)
        .filter(gap > 0)
        .join(started, on=RUN, how="inner", nulls_equal=True)
        .with_columns(told=pl.min_horizontal(gap, _EACH), version=pl.lit(None, pl.String))
        .select(*COHORT, "run_version", "first", "gap", "told", number=pl.int_ranges(first, first + told))
        .explode("number")
        .select(
            *COHORT,
            "run_version",
            pl.col("number").cast(pl.Int32),
            attempts=pl.when(pl.col("number") == first + told - 1).then(gap - told + 1).otherwise(1),
        )
    )


def flow_hours(runs: Frame, window: Window | None = None) -> pl.DataFrame:
    """Return rows of `flow_hours`.

    A run that is over but shows no end counts at its last sign of life, one whose queueing is unknown arrives as
    it starts; both count as inferred.
    """
    counted = runs.lazy().with_columns(population=population()).filter(pl.col("population") != "test")
    plain = [name for name in COHORT if name != "hour_ns"]
    over = pl.col("status").is_in(TERMINAL)
    inferred = pl.lit("inferred")
    events = pl.concat(
        [
            counted.select(
                *plain,
                event=pl.lit("arrived"),
                outcome=pl.lit(None, pl.String),
                ns=pl.coalesce("queued_ns", "started_ns"),
                weakness=rank(pl.when(pl.col("queued_ns").is_not_null()).then("queued_source").otherwise(inferred)),
            ),
            counted.select(
                *plain,
                event=pl.lit("started"),
                outcome=pl.lit(None, pl.String),
                ns="started_ns",
                weakness=rank("started_source"),
            ),
            counted.filter(over).select(
                *plain,
                event=pl.lit("ended"),
                outcome=ended_as(),
                ns=pl.coalesce("ended_ns", "last_seen_ns"),
                weakness=rank(
                    "status_source", pl.when(pl.col("ended_ns").is_not_null()).then("ended_source").otherwise(inferred)
                ),
            ),
        ]
    )
    grouped = (
        events.filter(inside("ns", window))
        .with_columns(hour_ns=hour_of("ns"))
        .group_by(*COHORT, "event", "outcome")
        .agg(runs=pl.len(), **_weak("runs"))
    )
    return shaped(grouped, "flow_hours", by=[*COHORT, "event", "outcome"])


def _weak(what: str) -> dict[str, pl.Expr]:
    """Return counters of derived and inferred rows."""
    return {
        f"derived_{what}": (pl.col("weakness") == 1).sum(),
        f"inferred_{what}": (pl.col("weakness") == 2).sum(),
    }
