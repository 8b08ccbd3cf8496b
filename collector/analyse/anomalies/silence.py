"""Stretches in which nobody sent anything: data gaps, of which nothing else can be said.

Enters: how much telemetry there is of each hour. Leaves: stretches that are longer than chance, with what was to be
expected in them. Times are hours of the UTC clock; what is usual is learnt per hour of the local day.
"""

from __future__ import annotations

from dataclasses import dataclass
from zoneinfo import ZoneInfo

import polars as pl

from collector.analyse.frames import HOUR_NS

LEAST_EXPECTED = 20.0
"""Records expected in a stretch of empty hours below which it says nothing: chance alone leaves such hours empty."""


@dataclass(frozen=True, slots=True)
class Stretch:
    """Hours without telemetry, and how many records they usually have."""

    from_ns: int
    to_ns: int
    expected: float


def gaps(activity: pl.DataFrame, *, from_ns: int, to_ns: int, zone: str) -> list[Stretch]:
    """Return the stretches of [*from_ns*, *to_ns*) without any telemetry in which at least 20 records were expected.

    *activity*: `hour_ns`, `n`, hours with telemetry alone. Before the first of them there was no sender, so no gap.
    Expected is the median of the same local hour of the day over the days that have any telemetry.
    """
    if activity.is_empty():
        return []
    first = max(int(activity["hour_ns"].min()), from_ns // HOUR_NS * HOUR_NS)  # type: ignore[arg-type]
    hours = pl.DataFrame({"hour_ns": pl.int_range(first, to_ns, HOUR_NS, eager=True, dtype=pl.Int64)})
    hours = hours.filter(pl.col("hour_ns") + HOUR_NS <= to_ns)
    known = pl.concat([hours, activity.select("hour_ns")]).unique()
    local = pl.from_epoch("hour_ns", "ns").dt.replace_time_zone("UTC").dt.convert_time_zone(str(ZoneInfo(zone)))
    days = (
        known.join(activity, on="hour_ns", how="left")
        .with_columns(pl.col("n").fill_null(0), day=local.dt.date(), hour=local.dt.hour())
        .with_columns(is_day=(pl.col("n").sum().over("day") > 0))
    )
    usual = days.filter("is_day").group_by("hour").agg(usual=pl.col("n").median())
    empty = (
        days.join(hours, on="hour_ns", how="semi")
        .join(usual, on="hour", how="left")
        .sort("hour_ns")
        .with_columns(is_empty=pl.col("n") == 0)
        .with_columns(stretch=pl.col("is_empty").rle_id())
        .filter("is_empty")
        .group_by("stretch")
        .agg(
            from_ns=pl.col("hour_ns").min(),
            to_ns=pl.col("hour_ns").max() + HOUR_NS,
            expected=pl.col("usual").fill_null(0).sum(),
        )
        .filter(pl.col("expected") >= LEAST_EXPECTED)
        .sort("from_ns")
    )
    return [Stretch(**row) for row in empty.drop("stretch").iter_rows(named=True)]
