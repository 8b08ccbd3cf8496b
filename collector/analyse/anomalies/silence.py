"""Stretches in which nobody sent anything, which are data gaps, and single senders or tasks that fell silent.

Enters: how much telemetry there is of each hour. Leaves: stretches that are longer than chance, with what was to be
expected in them. Times are hours of the UTC clock; what is usual is learnt per hour of the local day, of who falls
silent for working days, Saturdays and Sundays apart.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import date
from zoneinfo import ZoneInfo

import polars as pl

from collector.model.units import HOUR_NS

LEAST_DAYS = 3.0
"""Days of telemetry below which nothing is known to be usual."""
LEAST_EXPECTED = 20.0
"""Records expected in a stretch of empty hours below which it says nothing: chance alone leaves such hours empty."""

_WORKING, _SUNDAY = 5, 7
"""Kinds of days: Monday to Friday, Saturday (6), Sunday."""


@dataclass(frozen=True, slots=True)
class Stretch:
    """Hours without telemetry, and how many records they usually have."""

    from_ns: int
    to_ns: int
    expected: float


def gaps(activity: pl.DataFrame, *, from_ns: int, to_ns: int, zone: str) -> list[Stretch]:
    """Return the stretches of [*from_ns*, *to_ns*) without any telemetry in which at least 20 records were expected.

    *activity*: `hour_ns`, `n`, hours with telemetry alone. Before the first of them there was no sender, so no gap.
    Expected is the median of the same local hour of the day over the days that have any telemetry, of which there have
    to be three.
    """
    if activity.is_empty():
        return []
    first = max(int(activity["hour_ns"].min()), from_ns // HOUR_NS * HOUR_NS)  # type: ignore[arg-type]
    hours = pl.DataFrame({"hour_ns": pl.int_range(first, to_ns, HOUR_NS, eager=True, dtype=pl.Int64)})
    hours = hours.filter(pl.col("hour_ns") + HOUR_NS <= to_ns)
    every = pl.concat([hours, activity.select("hour_ns")]).unique()
    local = pl.from_epoch("hour_ns", "ns").dt.replace_time_zone("UTC").dt.convert_time_zone(str(ZoneInfo(zone)))
    days = (
        every.join(activity, on="hour_ns", how="left")
        .with_columns(pl.col("n").fill_null(0), day=local.dt.date(), hour=local.dt.hour())
        .with_columns(is_day=(pl.col("n").sum().over("day") > 0))
    )
    seen = days.filter("is_day")
    if seen["day"].n_unique() < LEAST_DAYS:
        return []
    usual = seen.group_by("hour").agg(usual=pl.col("n").median())
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


LEAST_HOURS = 2
"""Fewest hours of silence; one hour is a matter of volume."""
LARGEST_P = 1e-7
"""Greatest chance that a stretch as long is empty although nothing changed."""


def silent(
    hours: pl.DataFrame,
    by: list[str],
    *,
    from_ns: int,
    to_ns: int,
    zone: str,
    gaps: Sequence[tuple[int, int]] = (),
    days_off: Collection[date] = (),
) -> pl.DataFrame:
    """Return who fell silent in [*from_ns*, *to_ns*): *by*, from_ns, to_ns, p, expected, days, goes_on.

    *hours*: *by*, `hour_ns`, `n` of hours with telemetry, history and period. p: product over the stretch's hours of
    the share of days on which that hour of the day (with those beside it) was empty, of working days, Saturdays or
    Sundays; *days_off* are Sundays. The stretch may begin before the period, and *goes_on* where it lasts until
    *to_ns*. Hours in *gaps* are nobody's silence. Who was first seen less than 3 days before the stretch is left out.
    """
    if hours.is_empty():
        return hours.select(by).with_columns(from_ns=0, to_ns=0, p=0.0, expected=0.0, days=0.0, goes_on=False).clear()
    first = int(hours["hour_ns"].min())  # type: ignore[arg-type]
    grid = pl.DataFrame({"hour_ns": pl.int_range(first, to_ns // HOUR_NS * HOUR_NS, HOUR_NS, eager=True)})
    for low, high in gaps:
        grid = grid.filter((pl.col("hour_ns") + HOUR_NS <= low) | (pl.col("hour_ns") >= high))
    local = pl.from_epoch("hour_ns", "ns").dt.replace_time_zone("UTC").dt.convert_time_zone(str(ZoneInfo(zone)))
    is_off = local.dt.date().is_in(list(days_off)) if days_off else pl.lit(value=False)
    day = pl.when(is_off).then(_SUNDAY).otherwise(pl.max_horizontal(local.dt.weekday(), pl.lit(_WORKING)))
    firsts = hours.group_by(by).agg(since=pl.col("hour_ns").min())
    all_ = (
        firsts.join(grid.with_columns(hour=local.dt.hour(), day=day), how="cross")
        .filter(pl.col("hour_ns") >= pl.col("since"))
        .join(hours, on=[*by, "hour_ns"], how="left", nulls_equal=True)
        .with_columns(pl.col("n").fill_null(0))
        .sort(*by, "hour_ns")
        .with_columns(is_empty=pl.col("n") == 0)
    )
    history = all_.filter(pl.col("hour_ns") < from_ns)
    # The hour of the day and its neighbours, one empty one added: never is not known to be never.
    near = pl.concat([history.with_columns(hour=(pl.col("hour").cast(pl.Int32) + shift) % 24) for shift in (-1, 0, 1)])
    usual = near.group_by(*by, "day", "hour").agg(
        log_p=((pl.col("is_empty").sum() + 1) / (pl.len() + 1)).log(), usual=pl.col("n").mean()
    )
    runs = (
        all_.with_columns(pl.col("hour").cast(pl.Int32), stretch=pl.col("is_empty").rle_id().over(by))
        .filter("is_empty")
        .join(usual, on=[*by, "day", "hour"], how="left", nulls_equal=True)
        .group_by(*by, "stretch", "since")
        .agg(
            a=pl.col("hour_ns").min(),
            b=pl.col("hour_ns").max() + HOUR_NS,
            hours=pl.len(),
            p=pl.col("log_p").fill_null(0.0).sum().exp(),
            expected=pl.col("usual").fill_null(0.0).sum(),
        )
    )
    last = int(grid["hour_ns"].max() or 0) + HOUR_NS  # type: ignore[arg-type]
    return (
        runs.filter(
            (pl.col("b") > from_ns)
            & (pl.col("hours") >= LEAST_HOURS)
            & (pl.col("p") <= LARGEST_P)
            & (pl.col("a") - pl.col("since") >= LEAST_DAYS * 24 * HOUR_NS)
        )
        .select(
            *by,
            "p",
            "expected",
            from_ns="a",
            to_ns="b",
            days=(pl.min_horizontal(pl.col("a"), pl.lit(from_ns)) - pl.col("since")) / (24 * HOUR_NS),
            goes_on=pl.col("b") >= last,
        )
        .sort("expected", *by, descending=[True, *[False] * len(by)])
    )
