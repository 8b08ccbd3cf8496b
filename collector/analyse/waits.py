"""Waits: the spans in which an attempt does nothing but wait for time, a token, a child or a batch.

And the time between two deliveries of one attempt, in which nobody works on it.
"""

from __future__ import annotations

import polars as pl

from collector.analyse import believable
from collector.analyse.evidence import RUN
from collector.model.units import MINUTE_NS

IDLE = "redelivery"
"""Kind of a wait that is the time between two deliveries."""
SLOT_KEPT_NS = MINUTE_NS
"""Trigger.dev keeps the queue slot through time waits shorter than this; longer ones are checkpointed."""


def build(spans: pl.DataFrame) -> pl.DataFrame:
    """Return the `waits` table of these spans; open ones have no end, `holds_slot` NULL is unknown."""
    timed = pl.col("wait_kind").is_in(["for", "until"])
    lasted = pl.col("end_ns") - pl.col("start_ns")
    return (
        spans.filter(pl.col("wait_kind").is_not_null())
        .select(
            *RUN,
            "run_id",
            "attempt",
            kind="wait_kind",
            started_ns="start_ns",
            ended_ns="end_ns",
            holds_slot=pl.when((pl.col("dialect") == "trigger_dev") & timed).then(lasted < SLOT_KEPT_NS),
        )
        .sort(*RUN, "started_ns", "ended_ns", "attempt", "kind", nulls_last=True)
    )


def between_deliveries(spans: pl.DataFrame, events: pl.DataFrame, starts: pl.DataFrame) -> pl.DataFrame:
    """Return rows of `waits` for the time from the last sign of life of an attempt to when it begins once more.

    *starts*: when the outermost operation of attempts began, once each (`phases.deliveries`). Where a span tells how
    long an attempt lasted nothing is known to be idle.
    """
    attempt = [*RUN, "attempt"]
    if starts.is_empty():
        return build(spans.clear())
    again = (
        starts.with_columns(first=pl.int_range(pl.len()).over(attempt) == 0)
        .filter(~pl.col("first"))
        .join(
            spans.filter((pl.col("span_type") == "attempt") | pl.col("encloses")),
            on=attempt,
            how="anti",
            nulls_equal=True,
        )
    )
    signs = events.join(again.select(attempt).unique(), on=attempt, how="semi").select(*attempt, sign_ns="time_ns")
    return (
        again.sort("started_ns")
        .join_asof(
            signs.sort("sign_ns"),
            left_on="started_ns",
            right_on="sign_ns",
            by=attempt,
            allow_exact_matches=False,
            check_sortedness=False,
        )
        .filter(pl.col("sign_ns").is_not_null())
        .select(
            *RUN,
            run_id=pl.lit(None, pl.String),
            attempt="attempt",
            kind=pl.lit(IDLE),
            ended_ns="started_ns",
            started_ns="sign_ns",
            holds_slot=pl.lit(False),
        )
        .select(*RUN, "run_id", "attempt", "kind", "started_ns", "ended_ns", "holds_slot")
    )


def idle_ns(waits: pl.DataFrame) -> pl.DataFrame:
    """Return `idle_ns` and `deliveries` of the attempts that were delivered more than once."""
    return (
        waits.filter(pl.col("kind") == IDLE)
        .group_by(*RUN, "attempt")
        .agg(
            idle_ns=believable.total(pl.col("ended_ns") - pl.col("started_ns")),
            deliveries=(pl.len() + 1).cast(pl.Int32),
        )
    )


def union_ns(waits: pl.DataFrame) -> pl.DataFrame:
    """Return `wait_ns` per run and attempt: time spent in at least one closed wait, overlaps counted once.

    It is NULL, and `waits_known` false, where nobody knows how long one of them lasted.
    """
    group = [*RUN, "attempt"]
    reached = pl.col("ended_ns").cum_max().shift(1).over(group)
    return (
        waits.filter(pl.col("ended_ns").is_not_null() & (pl.col("kind") != IDLE))
        .sort(*group, "started_ns", "ended_ns", nulls_last=True)
        .with_columns(begins=pl.max_horizontal("started_ns", reached))
        .group_by(group)
        .agg(
            wait_ns=believable.total((pl.col("ended_ns") - pl.col("begins")).clip(0)),
            is_timed=(pl.col("ended_ns") >= pl.col("started_ns")).all(),
        )
        .with_columns(wait_ns=pl.when("is_timed").then("wait_ns"))
        .select(*group, "wait_ns", waits_known=pl.col("wait_ns").is_not_null())
    )
