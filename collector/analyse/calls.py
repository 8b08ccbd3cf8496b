"""Phases and calls: how long the steps of an operation take, how often they fail, what retries add to calls.

Enter: rows of `phases`, `attempts` and `runs`, whole runs. Leave: rows of `phase_hours`, additive as in `cohorts`.
`{operation}_calling_{service}` lasts until the next record of its operation and failed if that is `_failed`.
"""

from __future__ import annotations

from collections.abc import Sequence

import polars as pl

from collector.analyse import believable, percentiles
from collector.analyse.durations import bucket
from collector.analyse.evidence import RUN
from collector.analyse.frames import COHORT, Frame, Window, dimensions, hour_of, inside, shaped, with_version
from collector.analyse.numbers import NO_INTERVAL, Number, count, ratio, rows, share
from collector.model.words import CUT_SHORT

STEP = ["operation", "phase", "called_service"]


def phase_hours(runs: Frame, attempts: Frame, phases: Frame, window: Window | None = None) -> pl.DataFrame:
    """Return rows of `phase_hours`; a phase that only its end shows counts in the hour of its end.

    With a *window* only phases that begin in it are counted, not all of their hour.
    """
    key = [*COHORT, *STEP, "outcome", "ix"]
    grouped = (
        _ideal(phases)
        .with_columns(at_ns=pl.coalesce("started_ns", "ended_ns"))
        .filter(inside("at_ns", window))
        .join(dimensions(runs), on=RUN, how="inner", nulls_equal=True)
        .pipe(with_version, attempts)
        .with_columns(
            hour_ns=hour_of("at_ns"),
            ix=pl.when(pl.col("duration_ns").is_not_null()).then(bucket("duration_ns")),
        )
        .group_by(key)
        .agg(n=pl.len(), ideal_n=pl.col("is_ideal").sum(), total_ns=believable.exact(pl.col("duration_ns")))
    )
    return shaped(grouped, "phase_hours", by=key)


def _ideal(phases: Frame) -> pl.LazyFrame:
    """Add `is_ideal`: the row belongs to the attempt of its run that has most of these steps, the first of equals."""
    step = [*RUN, *STEP]
    rows = phases.lazy()
    most = (
        rows.group_by(*step, "attempt")
        .agg(made=pl.len())
        .sort(*step, "made", "attempt", descending=[*[False] * len(step), True, False], nulls_last=True)
        .unique(step, keep="first", maintain_order=True)
        .select(*step, ideal_attempt="attempt")
    )
    return rows.join(most, on=step, how="left", nulls_equal=True).with_columns(
        is_ideal=pl.col("attempt").eq_missing(pl.col("ideal_attempt"))
    )


def values(runs: Frame, attempts: Frame, phases: Frame) -> pl.LazyFrame:
    """Return every duration of a step for `percentiles.exact`.

    Columns: `COHORT`, `STEP`, started_ns, measure, outcome, value_ns, is_open, weakness. One that nothing closed is
    left out: when its operation went on without a word is not known. So is one that was cut short, or skipped.
    """
    return (
        phases.lazy()
        .filter(pl.col("duration_ns").is_not_null() & _is_whole())
        .join(dimensions(runs), on=RUN, how="inner", nulls_equal=True)
        .pipe(with_version, attempts)
        .select(
            *(c for c in COHORT if c != "hour_ns"),
            *STEP,
            "started_ns",
            "outcome",
            hour_ns=hour_of("started_ns"),
            measure=pl.lit("step"),
            value_ns="duration_ns",
            is_open=pl.lit(False),
            weakness=pl.lit(1),
        )
    )


def _is_whole() -> pl.Expr:
    return ~pl.col("outcome").is_in(CUT_SHORT)


def report(hours: Frame, by: Sequence[str]) -> pl.DataFrame:
    """Return the calls in rows of `phase_hours` by *by* and `called_service`: count, failure rate, amplification.

    The failure rate counts calls whose outcome is known. Amplification counts those of one attempt of each run as
    needed; retries inside an attempt (`retry.fetch` and the like) are not seen by it.
    """
    n, outcome = pl.col("n"), pl.col("outcome")
    key = [*by, "called_service"]
    sums = (
        hours.lazy()
        .filter(pl.col("phase") == "calling")
        .group_by(key)
        .agg(
            calls=n.sum(),
            ended=n.filter(outcome.is_in(["completed", "failed"])).sum(),
            failed=n.filter(outcome == "failed").sum(),
            ideal=pl.col("ideal_n").sum(),
        )
    )
    c = pl.col
    return rows(
        sums,
        key,
        [
            count("calls", c("calls"), unit="calls"),
            share("call_failure_rate", c("failed"), c("ended"), of=c("calls"), weakness=pl.lit(1)),
            Number(
                "call_amplification",
                "mean",
                "calls",
                ratio(c("calls"), c("ideal")),
                n=c("calls"),
                coverage=pl.lit(1.0),
                weakness=pl.lit(1),
                note=pl.lit(NO_INTERVAL),
            ),
        ],
    )


def durations(hours: Frame, by: Sequence[str]) -> pl.DataFrame:
    """Return estimated percentiles of the steps in rows of `phase_hours` by *by* and `STEP`, as `percentiles.estimate`.

    What telemetry tells of a step is when its operation went on, so every duration is derived.
    """
    rows_ = (
        hours.lazy()
        .filter(pl.col("ix").is_not_null() & _is_whole())
        .with_columns(measure=pl.lit("step"), derived_n="n", inferred_n=pl.lit(0))
    )
    return percentiles.estimate(rows_, [*by, *STEP])
