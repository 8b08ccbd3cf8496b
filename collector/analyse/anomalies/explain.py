"""What is different about the affected runs, compared within the span alone, and which runs to look at.

Comparing with other times would name whatever all runs of the span share. A value is named only where it accounts for
at least half of the excess: its share among the affected runs less its share among the others.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import polars as pl

_ROUNDS = 5
_MOST_RATIO = 1e6
_AGAINST = -1.5
"""Log likelihood ratio at which hours speak against a difference."""
LEAST_AFFECTED = 5
LEAST_EXCESS = 0.5
MOST_NAMED = 3
SINGLE = ["version", "queue", "machine"]
MANY = {"tags": "tag", "services": "called service"}
"""Columns that hold lists, and what one of their values is called."""
_NAMES = {"version": "version", "queue": "queue", "machine": "machine"}

DIFFERENCES = pl.Schema(
    {
        "dimension": pl.String,
        "value": pl.String,
        "affected_hits": pl.Int64,
        "affected": pl.Int64,
        "other_hits": pl.Int64,
        "others": pl.Int64,
        "excess_share": pl.Float64,
    }
)


def differences(runs: pl.DataFrame) -> pl.DataFrame:
    """Return at most 3 rows of `DIFFERENCES`, the greatest first: one per dimension.

    *runs*: affected (bool), version, queue, machine, tags (list), services (list), task_id; rows whose `affected` is
    NULL are left out. Nothing is named where fewer than 5 runs have the value and are affected, or no other run is.
    """
    compared = runs.filter(pl.col("affected").is_not_null())
    affected, others = compared.filter("affected").height, compared.filter(~pl.col("affected")).height
    if affected < LEAST_AFFECTED or not others:
        return pl.DataFrame(schema=DIFFERENCES)
    several_tasks = compared["task_id"].n_unique() > 1
    single = [*SINGLE, *(["task_id"] if several_tasks else [])]
    parts = [
        compared.select("affected", dimension=pl.lit(_NAMES.get(c, "task")), value=pl.col(c).cast(pl.String))
        for c in single
    ]
    parts += [
        compared.select("affected", pl.lit(name).alias("dimension"), value=pl.col(c).cast(pl.List(pl.String))).explode(
            "value"
        )
        for c, name in MANY.items()
    ]
    return (
        pl.concat(parts)
        .filter(pl.col("value").is_not_null())
        .group_by("dimension", "value")
        .agg(
            affected_hits=pl.col("affected").sum().cast(pl.Int64),
            other_hits=(~pl.col("affected")).sum().cast(pl.Int64),
        )
        .with_columns(
            affected=pl.lit(affected, pl.Int64),
            others=pl.lit(others, pl.Int64),
            excess_share=pl.col("affected_hits") / affected - pl.col("other_hits") / others,
        )
        .filter((pl.col("affected_hits") >= LEAST_AFFECTED) & (pl.col("excess_share") >= LEAST_EXCESS))
        .sort("excess_share", "affected_hits", "dimension", "value", descending=[True, True, False, False])
        .unique("dimension", keep="first", maintain_order=True)
        .head(MOST_NAMED)
        .select(DIFFERENCES.names())
    )


def commonest_error(runs: pl.DataFrame) -> tuple[str, int, int] | None:
    """Return (error, affected runs that ended with it, affected runs), None where fewer than half share one."""
    affected = runs.filter(pl.col("affected").fill_null(False))
    errors = (
        affected.filter(pl.col("error_group").is_not_null())
        .group_by("error_group")
        .len()
        .sort("len", "error_group", descending=[True, False])
    )
    if errors.is_empty() or errors["len"][0] * 2 < affected.height:
        return None
    return str(errors["error_group"][0]), int(errors["len"][0]), affected.height


def examples(runs: pl.DataFrame) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Return (the first, the middle and the last affected run; at most one healthy run, the nearest to the first)."""
    affected = runs.filter(pl.col("affected").fill_null(False)).sort("at_ns", "run_key")
    indices = sorted({0, affected.height // 2, affected.height - 1}) if affected.height else []
    healthy = runs.filter((~pl.col("affected")).fill_null(False) & (pl.col("status") == "completed"))
    if affected.height:
        healthy = healthy.sort((pl.col("at_ns") - affected["at_ns"][0]).abs(), "run_key")
    return affected[indices], healthy.head(1)


def densest(hits: Sequence[float], expected: Sequence[float], window: int) -> tuple[int, int]:
    """Return the indices [first, end) of the hours that differ as the first *window* hours do together.

    The stretch with the greatest likelihood ratio of hits that come *ratio* times as often as expected (Poisson), the
    ratio being that of the stretch itself, found in a few rounds. Sums of what is beyond expectation alone would take
    in whatever chance puts beside it. It reaches to the last hour where the hours after it say nothing against that.
    """
    start = span = (0, window)
    scores = list(hits)
    for _ in range(_ROUNDS):
        x, e = sum(hits[span[0] : span[1]]), sum(expected[span[0] : span[1]])
        ratio = min(max(x / e if e > 0 else _MOST_RATIO, 1 / _MOST_RATIO), _MOST_RATIO)
        scores = [h * math.log(ratio) - m * (ratio - 1) for h, m in zip(hits, expected, strict=True)]
        stretch = _greatest(scores)
        if stretch == (0, 0):
            return start
        if stretch == span:
            break
        span = stretch
    goes_on = span[1] > span[0] and sum(scores[span[1] :]) > _AGAINST
    return (span[0], len(hits)) if goes_on else span


def _greatest(scores: Sequence[float]) -> tuple[int, int]:
    """Return the indices [first, end) of the stretch of *scores* that adds up to the most."""
    best, span, total, since = 0.0, (0, 0), 0.0, 0
    for i, value in enumerate(scores):
        if total <= 0:
            total, since = 0.0, i
        total += value
        if total > best + 1e-9:
            best, span = total, (since, i + 1)
    return span
