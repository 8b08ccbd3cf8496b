"""Waits: the spans in which an attempt does nothing but wait for time, a token, a child or a batch."""

from __future__ import annotations

import polars as pl

from collector.analyse import believable
from collector.analyse.evidence import RUN
from collector.model.units import MINUTE_NS

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


def union_ns(waits: pl.DataFrame) -> pl.DataFrame:
    """Return `wait_ns` per run and attempt: time spent in at least one closed wait, overlaps counted once.

    It is NULL, and `waits_known` false, where nobody knows how long one of them lasted.
    """
    group = [*RUN, "attempt"]
    reached = pl.col("ended_ns").cum_max().shift(1).over(group)
    return (
        waits.filter(pl.col("ended_ns").is_not_null())
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
