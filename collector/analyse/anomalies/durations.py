"""Slow-downs and speed-ups as counts: how many lasted longer than the baseline's p90, or less than its p10.

A share of exceedances is tested like a share of failures, adds up over hours and needs no raw values: histograms of
logarithmic buckets are enough. The threshold keeps a margin from the percentile: a real slow-down loses little by it,
and where durations hardly vary no slow-down is made of what nobody would notice.
"""

from __future__ import annotations

import math

import polars as pl

from collector.analyse.anomalies.cube import DAY_H
from collector.analyse.anomalies.options import FAST, SLOW, Options
from collector.analyse.durations import SCALE
from collector.analyse.frames import Frame
from collector.analyse.percentiles import from_buckets
from collector.model.units import HOUR_NS

_SLOW_SHARE, _FAST_SHARE = 0.9, 0.1


def thresholds(histograms: Frame, *, from_ns: int, options: Options | None = None) -> pl.DataFrame:
    """Return series, n, median_ix, slow_ix, fast_ix of the baseline before *from_ns*, for series with enough of it.

    A duration is slow where its bucket is above `slow_ix`, `pace_margin` times the 90th percentile; fast where it is
    below `fast_ix`, the 10th percentile divided by that.
    """
    options = options or Options()
    start = from_ns // HOUR_NS * HOUR_NS - options.history_days * DAY_H * HOUR_NS
    margin = math.ceil(math.log2(options.pace_margin) * SCALE)
    share = pl.col("n").cum_sum() / pl.col("n").sum()

    def at(part: float) -> pl.Expr:
        return pl.col("ix").filter(share >= part - 1e-12).first()

    return (
        histograms.lazy()
        .filter(pl.col("ix").is_not_null(), pl.col("hour_ns").is_between(start, from_ns, closed="left"))
        .group_by("series", "ix")
        .agg(pl.col("n").sum())
        .sort("series", "ix")
        .group_by("series", maintain_order=True)
        .agg(
            n=pl.col("n").sum(),
            median_ix=at(0.5),
            slow_ix=at(_SLOW_SHARE) + margin,
            fast_ix=at(_FAST_SHARE) - margin,
        )
        .filter(pl.col("n") >= options.pace_least_n)
        .collect()
    )


def exceedances(histograms: Frame, limits: Frame) -> pl.DataFrame:
    """Return rows for `counts.tests`: series, metric `slow` and `fast`, hour_ns, n durations, x of them slow or fast.

    *histograms*: series, hour_ns, ix, n, as `duration_hours` and `phase_hours` have them; of the history and of the
    period. *limits*: their `thresholds`; a series that has none is left out.
    """
    rows = histograms.lazy().filter(pl.col("ix").is_not_null())
    n = pl.col("n")
    hourly = (
        rows.join(limits.lazy().select("series", "slow_ix", "fast_ix"), on="series")
        .group_by("series", "hour_ns")
        .agg(
            n=n.sum(),
            slow=n.filter(pl.col("ix") > pl.col("slow_ix")).sum(),
            fast=n.filter(pl.col("ix") < pl.col("fast_ix")).sum(),
        )
    )
    return (
        hourly.unpivot([SLOW, FAST], index=["series", "hour_ns", "n"], variable_name="metric", value_name="x")
        .select("series", "metric", "hour_ns", pl.col("n", "x").cast(pl.Int64))
        .sort("series", "metric", "hour_ns")
        .collect()
    )


def compare(histograms: Frame, spans: pl.DataFrame, *, permille: int = 500) -> pl.DataFrame:
    """Return *spans* (series, from_ns, to_ns) with n and estimate_ns: a percentile of the durations of each span.

    NULL where nothing ended in the span. Within `durations.RELATIVE_ERROR` of the nearest rank.
    """
    keys = spans.with_row_index("span")
    inside = (
        keys.lazy()
        .join(histograms.lazy().filter(pl.col("ix").is_not_null()), on="series")
        .filter(pl.col("hour_ns") >= pl.col("from_ns"), pl.col("hour_ns") < pl.col("to_ns"))
        .select("span", "ix", "n")
    )
    estimates = from_buckets(inside, ["span"], permille).collect()
    return keys.join(estimates, on="span", how="left", maintain_order="left").drop("span")
