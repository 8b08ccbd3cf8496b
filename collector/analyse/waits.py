"""Waits: the spans in which an attempt does nothing but wait for time, a token, a child or a batch.

And the time between two deliveries of one attempt, in which nobody works on it.
"""

from __future__ import annotations

import polars as pl

from collector.analyse import believable
from collector.analyse.evidence import RUN
from collector.decode.dialects import DIALECTS

IDLE = "redelivery"
"""Kind of a wait that is the time between two deliveries."""


def build(spans: pl.DataFrame) -> pl.DataFrame:
    """Return the `waits` table of these spans; open ones have no end.

    `released_ns`: when the slot was given back (of an open one: will be), NULL where it was kept, as the dialect has it
    (`Dialect.suspends`). Where that is not documented it is inferred for the whole wait, its beginning included: the
    runner may have given the slot back sooner, or not at all.
    """
    released, source = _given_back()
    return (
        spans.filter(pl.col("wait_kind").is_not_null())
        .select(
            *RUN,
            "run_id",
            "attempt",
            kind="wait_kind",
            started_ns="start_ns",
            ended_ns="end_ns",
            released_ns=released,
            released_source=source,
        )
        .sort(*RUN, "started_ns", "ended_ns", "attempt", "kind", nulls_last=True)
    )


def _given_back() -> tuple[pl.Expr, pl.Expr]:
    """Return `released_ns` and `released_source` over spans of waits."""
    released, source = pl.lit(None, pl.Int64), pl.lit("measured")
    start, end = pl.col("start_ns"), pl.col("end_ns")
    lasted = end - start
    for dialect in DIALECTS:
        if (suspends := dialect.suspends) is None:
            continue
        of_dialect = pl.col("dialect") == dialect.name
        is_documented = pl.col("wait_kind").is_in(suspends.documented)
        is_long = (lasted > suspends.after_ns).fill_null(True)
        released = pl.when(of_dialect & is_long).then(start + suspends.after_ns).otherwise(released)
        source = (
            pl.when(of_dialect & (lasted < 0))
            .then(pl.lit("unknown"))
            .when(of_dialect & is_documented)
            .then(pl.lit("derived"))
            .when(of_dialect & (lasted > suspends.sleeps_ns).fill_null(True))
            .then(pl.lit("inferred"))
            .when(of_dialect)
            .then(pl.lit("derived"))
            .otherwise(source)
        )
    return released, source


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
            released_ns="sign_ns",
            released_source=pl.lit("inferred"),
        )
        .select(*RUN, "run_id", "attempt", "kind", "started_ns", "ended_ns", "released_ns", "released_source")
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
