"""Tests of what is no count, such as the saturation of a queue: distance from the median of the hour of the day.

The fallback for values without numerator and denominator, and the weakest of the tests: it knows nothing of how much
a value rests on. So it asks for distance in the series' own scatter, for distance in the value's own unit, and for
persistence, n of m hours.
"""

from __future__ import annotations

import numpy as np
import polars as pl

from collector.analyse.anomalies.cube import DAY_H, KEY, ClockHours, Cube, Period, cube, windows
from collector.analyse.anomalies.options import Options
from collector.analyse.anomalies.tails import Floats
from collector.model.units import HOUR_NS

HOURS = pl.Schema(
    {
        "series": pl.String,
        "metric": pl.String,
        "direction": pl.String,
        "hour_ns": pl.Int64,
        "value": pl.Float64,
        "expected": pl.Float64,
        "low": pl.Float64,
        "high": pl.Float64,
        "z": pl.Float64,
        "eligible": pl.Boolean,
        "reason": pl.String,
        "fires": pl.Boolean,
    }
)
"""One row per series, metric, hour of the period and direction. `expected`: median of that hour of the day; `low`,
`high`: what would still not fire; `z`: distance in scaled median absolute deviations."""

EVENTS = pl.Schema(
    {
        "series": pl.String,
        "metric": pl.String,
        "direction": pl.String,
        "from_ns": pl.Int64,
        "to_ns": pl.Int64,
        "value": pl.Float64,
        "expected": pl.Float64,
        "low": pl.Float64,
        "high": pl.Float64,
        "z": pl.Float64,
        "hours": pl.Int64,
    }
)
"""`value`, `expected`, `low`, `high`: means over the hours that fire, `hours` how many; `z`: the greatest of them."""

_SCALED = 1.4826  # a median absolute deviation in standard deviations of a normal distribution
_LEAST_SCATTER = 0.02


def tests(values: pl.DataFrame, period: Period, options: Options | None = None) -> pl.DataFrame:
    """Return rows of `HOURS` for *values*: series, metric, hour_ns, value; hours without a row are unknown.

    Raises ValueError for an empty period or an unknown zone.
    """
    options = options or Options()
    rows = values.filter(pl.col("value").is_not_null()).select(*KEY, "hour_ns", n=pl.lit(1), x=pl.col("value"))
    whole = cube(rows, period, options)
    value = np.where(whole.n > 0, whole.x / np.maximum(whole.n, 1), np.nan)
    centre, scatter, days = (np.stack(v) for v in zip(*(_usual(whole, value, c) for c in whole.clocks), strict=True))
    distance = np.maximum(options.gauge_z * scatter, options.gauge_least_difference)
    return pl.concat([_direction(whole, value, centre, scatter, distance, days[0], d, options) for d in ("up", "down")])


def _usual(whole: Cube, value: Floats, clock: ClockHours) -> tuple[Floats, Floats, Floats]:
    """Return median, scaled MAD and number of values of the hour of the day and its neighbours, series by hours.

    Working days and weekends are apart.
    """
    history = slice(0, whole.period)
    middle, scatter, numbers = np.zeros(value.shape), np.full(value.shape, _LEAST_SCATTER), np.zeros(value.shape)
    for is_weekend in (False, True):
        like = clock.is_weekend == is_weekend
        for hour in range(DAY_H):
            near = like[history] & ((clock.hour_of_day[history] - hour + 1) % DAY_H <= 2)
            here = like & (clock.hour_of_day == hour)
            some = value[:, history][:, near]
            n = np.isfinite(some).sum(axis=1)
            filled = np.where((n > 0)[:, None], some, 0.0)  # a series without a value there is not judged
            if not (near.any() and here.any()):
                continue
            m = np.nanmedian(filled, axis=1)
            mad = _SCALED * np.nanmedian(np.abs(filled - m[:, None]), axis=1)
            middle[:, here], numbers[:, here] = m[:, None], n[:, None]
            scatter[:, here] = np.maximum(mad, _LEAST_SCATTER)[:, None]
    return middle, scatter, numbers


def _direction(
    whole: Cube,
    value: Floats,
    centre: Floats,
    scatter: Floats,
    distance: Floats,
    days: Floats,
    direction: str,
    options: Options,
) -> pl.DataFrame:
    sign = 1.0 if direction == "up" else -1.0
    clock = (sign * (value - centre) - distance).argmin(axis=0)[None]  # unusual means unusual on each clock
    e, s, d = (np.take_along_axis(v, clock, axis=0)[0] for v in (centre, scatter, distance))
    enough = days >= options.least_history_days
    out = np.nan_to_num(sign * (value - e) - d, nan=-1.0) > 0
    # An hour fires where it is out and lies in some stretch of m hours of which n are out, and that are much together.
    least, of = options.gauge_of
    holds = _of_any(windows(out.astype(np.float64), of), of) >= least
    possible = np.maximum(1.0 - e if direction == "up" else e, options.gauge_least_difference)
    beyond = windows(np.maximum(np.nan_to_num(sign * (value - e)), 0.0) / possible, options.gauge_hours)
    much = options.gauge_least + options.gauge_ratio * _most_lately(beyond, whole.period, options)
    out &= holds & (_of_any(beyond, options.gauge_hours) >= much)
    period = slice(whole.period, None)
    rows, hours = np.nonzero(np.isfinite(value[:, period]))
    at = (rows, hours + whole.period)
    reason = pl.when(~pl.col("eligible")).then(pl.lit("too little history"))
    return (
        whole.keys[rows]
        .hstack(
            [
                pl.Series("hour_ns", whole.hours_ns[at[1]]),
                pl.Series("value", value[at]),
                pl.Series("expected", e[at]),
                pl.Series("low", (e - d)[at]),
                pl.Series("high", (e + d)[at]),
                pl.Series("z", (sign * (value - e) / s)[at]),
                pl.Series("eligible", enough[at]),
                pl.Series("fires", (out & enough)[at]),
            ]
        )
        .with_columns(direction=pl.lit(direction), reason=reason)
        .select(pl.col(name).cast(kind) for name, kind in HOURS.items())
    )


def _of_any(values: Floats, length: int) -> Floats:
    """Return the greatest of the *values* of windows that each hour lies in, of windows by where they end."""
    ahead = np.pad(values, ((0, 0), (0, length - 1)), constant_values=-np.inf)
    out: Floats = np.lib.stride_tricks.sliding_window_view(ahead, length, axis=1).max(axis=2)
    return out


def _most_lately(values: Floats, period: int, options: Options) -> Floats:
    """Return the greatest of the *values* (series, hours) of the days before each hour's own day.

    Days are counted from the beginning of the period. What comes daily is news once.
    """
    lead = -period % DAY_H
    whole = np.pad(values, ((0, 0), (lead, -(lead + values.shape[1]) % DAY_H)))
    of_day = whole.reshape(values.shape[0], -1, DAY_H).max(axis=2)
    before = np.pad(of_day, ((0, 0), (options.gauge_days, 0)))[:, :-1]
    most = np.lib.stride_tricks.sliding_window_view(before, options.gauge_days, axis=1).max(axis=2)
    out: Floats = np.repeat(most, DAY_H, axis=1)[:, lead : lead + values.shape[1]]
    return out


def merge(tested: pl.DataFrame, options: Options | None = None) -> pl.DataFrame:
    """Return rows of `EVENTS`: hours that fire at most `merge_gap_h` apart, the farthest out first."""
    options = options or Options()
    key = [*KEY, "direction"]
    apart = pl.col("hour_ns") - pl.col("hour_ns").shift(1).over(key) - HOUR_NS
    return (
        tested.filter("fires")
        .sort(*key, "hour_ns")
        .with_columns(event=(apart > options.merge_gap_h * HOUR_NS).fill_null(True).cum_sum())
        .group_by(*key, "event", maintain_order=True)
        .agg(
            pl.col("value", "expected", "low", "high").mean(),
            from_ns=pl.col("hour_ns").min(),
            to_ns=pl.col("hour_ns").max() + HOUR_NS,
            z=pl.col("z").max(),
            hours=pl.len(),
        )
        .sort("z", *key, "from_ns", descending=[True, False, False, False, False])
        .select(pl.col(name).cast(kind) for name, kind in EVENTS.items())
    )
