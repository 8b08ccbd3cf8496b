"""Hourly counts as dense arrays, series by hours, and which hours of day and week they are on two clocks.

A baseline by local hours is right for load that follows the wall clock, one by UTC hours for load that follows UTC.
The two differ only for some weeks after a clock change; then both are kept and an observation must be unusual on
each of them (see `Cube.clocks`), so that a clock change alone raises nothing.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import polars as pl

from collector.analyse.anomalies.options import Options
from collector.analyse.anomalies.tails import Floats
from collector.model.units import HOUR_NS

Ints = npt.NDArray[np.int64]
Bools = npt.NDArray[np.bool_]
KEY = ["series", "metric"]
_THURSDAY = 72  # hour of the week, from Monday, at which 1970 began
DAY_H = 24
WEEK_H = 168
_QUIET_H = 30
"""Hours in which nothing is told after which what was told is over: a nightly job is heard of every 23 to 25."""


@dataclass(frozen=True)
class Period:
    """What is judged: from and to (UTC ns), and *zone*, whose hours the day and the week have."""

    from_ns: int
    to_ns: int
    zone: str
    gaps: Sequence[tuple[int, int]] = ()
    """Spans (from, to) without telemetry: not assessed, and no part of the baseline."""
    told: pl.DataFrame | None = None
    """Rows of `told.TOLD`: hours of the history that a report told of, and that are no part of the baseline either."""


@dataclass(frozen=True)
class ClockHours:
    """Each hour in local (or UTC) time: its hour of the day and of the week (from Monday), whether a weekend."""

    hour_of_day: Ints
    hour_of_week: Ints

    @property
    def is_weekend(self) -> Bools:
        """Return whether each hour is on a Saturday or Sunday."""
        return self.hour_of_week >= 5 * DAY_H


@dataclass(frozen=True)
class Cube:
    """Counts *n* and *x* of each series (rows, as `keys`) and hour (columns, `hours_ns` ascending, without holes)."""

    keys: pl.DataFrame
    hours_ns: Ints
    n: Floats
    x: Floats
    period: int
    """Index of the first hour of the period; what is before is history."""
    first_seen: Ints
    """Index of each series' first hour with data, negative where it was seen before the cube begins."""
    is_known: Bools
    """By hour: whether telemetry was there; False in a data gap."""
    is_told: Bools
    """By series and hour: whether a report told of it; False in the period."""
    level_told: Ints
    """Index of the hour at which each series' last level began that a report told of; -1 for none."""
    clocks: tuple[ClockHours, ...]
    """One, or two (local, UTC) where the offset of the zone changed within the cube."""
    steps: tuple[tuple[int, int], ...]
    """(index of the hour, hours) where local time jumped forward (positive) or back (negative)."""

    @property
    def is_over(self) -> Bools:
        """Return which told hours belong to what was over before the period began: nothing was told after for a while.

        What goes on may be a new level, for which its hours speak; what is over does not.
        """
        quiet = windows((~self.is_told[:, : self.period]).astype(np.float64), _QUIET_H) >= _QUIET_H
        last = np.where(quiet.any(axis=1), self.period - 1 - quiet[:, ::-1].argmax(axis=1), -1)
        out: Bools = self.is_told & (np.arange(self.hours_ns.size) <= last[:, None])
        return out

    @property
    def ages_days(self) -> Floats:
        """Return how many days before the period each hour of history lies, from the middle of the hour."""
        return (self.period - np.arange(self.period) - 0.5) / DAY_H


def cube(counts: pl.DataFrame, period: Period, options: Options) -> Cube:
    """Return the cube of *counts* (series, metric, hour_ns, n, x) for *period* and the history before it.

    Rows of the same series and hour add up; rows outside are left out. Raises ValueError for an empty period or an
    unknown zone.
    """
    first = period.from_ns // HOUR_NS
    end = -(-period.to_ns // HOUR_NS)
    if end <= first:
        raise ValueError(
            f"the period is empty: it goes from {period.from_ns} to {period.to_ns} ns; give an end after its beginning"
        )
    start = first - options.history_days * DAY_H
    rows = counts.group_by(*KEY, "hour_ns").agg(pl.col("n", "x").sum()).filter(pl.col("hour_ns") < period.to_ns)
    keys = rows.group_by(KEY).agg(seen=pl.col("hour_ns").filter(pl.col("n") > 0).min()).sort(KEY).with_row_index("row")
    inside = rows.filter(pl.col("hour_ns") >= start * HOUR_NS).join(keys.select(*KEY, "row"), on=KEY)
    shape = (keys.height, end - start)
    n, x = np.zeros(shape), np.zeros(shape)
    at = (inside["row"].to_numpy(), inside["hour_ns"].to_numpy() // HOUR_NS - start)
    n[at] = inside["n"].to_numpy()
    x[at] = inside["x"].to_numpy()
    hours = np.arange(start, end, dtype=np.int64)
    is_known = np.ones(hours.size, dtype=bool)
    for gap_from, gap_to in period.gaps:
        is_known &= (hours * HOUR_NS >= gap_to) | ((hours + 1) * HOUR_NS <= gap_from)
    clocks, steps = _clocks(hours, period.zone)
    return Cube(
        keys=keys.select(KEY),
        hours_ns=hours * HOUR_NS,
        n=n * is_known,
        x=x * is_known,
        period=options.history_days * DAY_H,
        first_seen=keys["seen"].fill_null(end * HOUR_NS).to_numpy() // HOUR_NS - start,
        is_known=is_known,
        level_told=_level_told(keys, period, start),
        is_told=_told(keys, period, hours * HOUR_NS, first - start, options),
        clocks=clocks,
        steps=steps,
    )


def _told(keys: pl.DataFrame, period: Period, hours_ns: Ints, end: int, options: Options) -> Bools:
    """Return which hours (series, hours) before hour *end* were told of, and are an exception for that.

    What is told of again and again, or has been for long, is how a series behaves.
    """
    change = np.zeros((keys.height, hours_ns.size + 1))
    if period.told is not None:
        by = [*KEY, "direction"]
        quiet = pl.col("from_ns") - pl.col("to_ns").cum_max().shift(1).over(by) > _QUIET_H * HOUR_NS
        rows = (
            period.told.filter(~pl.col("is_level"), pl.col("to_ns") > int(hours_ns[0]))
            .join(keys.select(*KEY, "row"), on=KEY)
            .sort(*by, "from_ns", "to_ns")
            .with_columns(episode=quiet.fill_null(True).cum_sum().over(by))
            .with_columns(
                episodes=pl.col("episode").max().over(by),
                lasted=pl.col("to_ns").max().over(*by, "episode") - pl.col("from_ns").min().over(*by, "episode"),
            )
            .filter(
                pl.col("episodes") <= options.told_episodes,
                pl.col("lasted") <= options.told_days * DAY_H * HOUR_NS,
            )
        )
        for column, step in (("from_ns", 1.0), ("to_ns", -1.0)):
            at = np.clip(-((int(hours_ns[0]) - rows[column].to_numpy()) // HOUR_NS), 0, end)
            np.add.at(change, (rows["row"].to_numpy(), at), step)
    out: Bools = np.cumsum(change, axis=1)[:, :-1] > 0
    return out


def _level_told(keys: pl.DataFrame, period: Period, start: int) -> Ints:
    """Return the index of the hour, counted from *start*, at which the last level of each series began; -1 for none."""
    out = np.full(keys.height, -1)
    if period.told is not None:
        levels = period.told.filter("is_level").join(keys.select(*KEY, "row"), on=KEY)
        np.maximum.at(out, levels["row"].to_numpy(), levels["from_ns"].to_numpy() // HOUR_NS - start)
    return out


def _clocks(hours: Ints, zone: str) -> tuple[tuple[ClockHours, ...], tuple[tuple[int, int], ...]]:
    """Return the clocks of *hours* (since 1970) and the steps of local time between them."""
    utc = pl.Series(hours * HOUR_NS).cast(pl.Datetime("ns", "UTC"))
    try:
        local = utc.dt.convert_time_zone(zone).dt.replace_time_zone(None)
    except pl.exceptions.ComputeError as error:
        raise ValueError(f"zone {zone!r} is not known; give an IANA name such as Europe/Berlin") from error
    local_ns = local.to_physical().to_numpy()
    offset_ns = local_ns - hours * HOUR_NS
    zoned = _clock(local_ns // HOUR_NS)
    change = np.flatnonzero(np.diff(offset_ns))
    if not change.size:
        return (zoned,), ()
    jumps = [(int(i) + 1, int(offset_ns[i + 1] - offset_ns[i])) for i in change]
    steps = tuple((i, -(-abs(ns) // HOUR_NS) * (1 if ns > 0 else -1)) for i, ns in jumps)
    return (zoned, _clock(hours)), steps


def _clock(hours: Ints) -> ClockHours:
    return ClockHours(hour_of_day=hours % DAY_H, hour_of_week=(hours + _THURSDAY) % WEEK_H)


def windows(values: Floats, length: int) -> Floats:
    """Return the sum over the *length* columns that end at each column; over fewer at the beginning."""
    total = np.cumsum(values, axis=-1)
    out = total.copy()
    out[..., length:] = total[..., length:] - total[..., :-length]
    return out


def by_hour(values: Floats, bins: Ints, size: int) -> Floats:
    """Return the sums of *values* (series by hours) by the bin of each hour, of *size* bins: series by bins."""
    out = np.zeros((values.shape[0], size))
    if bins.size:
        order = np.argsort(bins, kind="stable")
        occupied, first = np.unique(bins[order], return_index=True)
        out[:, occupied] = np.add.reduceat(values[:, order], first, axis=1)
    return out
