"""Phases and calls: how long the steps of an operation take, how often they fail, what retries add to calls.

Enter: rows of `phases` and `runs`, whole runs. Leave: rows of `phase_hours`, additive as in `cohorts`.
`{operation}_calling_{service}` lasts until the next record of its operation and failed if that is `_failed`.
"""

from __future__ import annotations

import polars as pl

from collector.analyse.durations import bucket
from collector.analyse.evidence import RUN
from collector.analyse.frames import COHORT, Frame, dimensions, hour_of, shaped

STEP = ["operation", "phase", "called_service"]


def phase_hours(runs: Frame, phases: Frame) -> pl.DataFrame:
    """Return rows of `phase_hours`; a phase that only its end shows counts in the hour of its end."""
    key = [*COHORT, *STEP, "outcome", "ix"]
    grouped = (
        _ideal(phases)
        .with_columns(at_ns=pl.coalesce("started_ns", "ended_ns"))
        .filter(pl.col("at_ns").is_not_null())
        .join(dimensions(runs), on=RUN, how="inner", nulls_equal=True)
        .with_columns(
            hour_ns=hour_of("at_ns"),
            ix=pl.when(pl.col("duration_ns").is_not_null()).then(bucket("duration_ns")),
        )
        .group_by(key)
        .agg(n=pl.len(), ideal_n=pl.col("is_ideal").sum(), total_ns=pl.col("duration_ns").sum())
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
