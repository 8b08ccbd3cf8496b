"""Events: tests that fire, overlap or are close together, as one thing that happened."""

from __future__ import annotations

import polars as pl

from collector.analyse.anomalies.options import Options
from collector.model.units import HOUR_NS

EVENTS = pl.Schema(
    {
        "series": pl.String,
        "metric": pl.String,
        "direction": pl.String,
        "from_ns": pl.Int64,
        "to_ns": pl.Int64,
        "window_h": pl.Int64,
        "n": pl.Int64,
        "x": pl.Int64,
        "p0": pl.Float64,
        "expected": pl.Float64,
        "low": pl.Float64,
        "high": pl.Float64,
        "p": pl.Float64,
        "q": pl.Float64,
        "excess": pl.Float64,
        "is_level": pl.Boolean,
    }
)
"""`from_ns`, `to_ns`: the span of its strongest evidence; the numbers are of the same window: what a reader can check.
`excess`: hits beyond (or below) expectation, positive. `is_level`: it is the beginning of a new level."""


_MOST = 0.9


def merge(decided: pl.DataFrame, options: Options | None = None) -> pl.DataFrame:
    """Return one row of `EVENTS` per event of *decided* (see `counts.decide`), greatest excess first.

    Windows of a series, metric and direction that overlap or lie at most `merge_gap_h` hours apart are one event.
    Its numbers are those of one window that can be checked: of those with at least nine tenths of the greatest excess
    the shortest, of these the one with the greatest; a new level's own window goes before all others.
    """
    options = options or Options()
    key = ["series", "metric", "direction"]
    up = pl.col("direction") == "up"
    gap = options.merge_gap_h * HOUR_NS
    return (
        decided.filter("fires")
        .with_columns(
            excess=pl.when(up).then(pl.col("x") - pl.col("expected")).otherwise(pl.col("expected") - pl.col("x"))
        )
        .sort(*key, "from_ns", "to_ns")
        .with_columns(reached=pl.col("to_ns").cum_max().shift(1).over(key))
        .with_columns(event=(pl.col("from_ns") > pl.col("reached") + gap).fill_null(True).cum_sum())
        .with_columns(is_most=pl.col("excess") >= _MOST * pl.col("excess").max().over("event"))
        .sort(
            "is_level",
            "is_most",
            pl.when("is_most").then("window_h"),
            "excess",
            "from_ns",
            descending=[True, True, False, True, False],
        )
        .group_by("event", maintain_order=True)
        .first()
        .sort("excess", *key, "from_ns", descending=[True, False, False, False, False])
        .select(pl.col(name).cast(kind) for name, kind in EVENTS.items())
    )
