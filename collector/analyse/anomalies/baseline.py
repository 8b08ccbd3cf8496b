"""What was to be expected: the baseline of shares from the hours before the period.

The share of an hour of the day is mixed with the share of the whole series, and that with the mean of all series, so
that little data gives a cautious expectation instead of a wild one. How much hits scatter beyond the binomial is
measured for each window length by itself, on windows of the history. Nothing is winsorised: rare bursts belong to
how a series behaves. What is left out are the hours before a new level began.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from collector.analyse.anomalies.cube import DAY_H, Bools, ClockHours, Cube, by_hour, windows
from collector.analyse.anomalies.options import Options
from collector.analyse.anomalies.tails import Floats

_LEAST_SHARE, _MOST_SHARE = 1e-4, 1 - 1e-4
_LEAST_RHO, _MOST_RHO = 1e-5, 0.5
_LEAST_TRIALS = 2


@dataclass(frozen=True)
class Shares:
    """The baseline of shares: series by clock, hour of day."""

    share: Floats
    """Expected share, (clocks, series, 24)."""
    support: Floats
    """Weighted trials that it rests on, (clocks, series, 24)."""

    def hourly(self, clocks: tuple[ClockHours, ...], values: Floats) -> Floats:
        """Return *values* by hour of day as (clocks, series, hours)."""
        return np.stack([values[i][:, clock.hour_of_day] for i, clock in enumerate(clocks)])


def weights(cube: Cube, used: Bools, options: Options) -> Floats:
    """Return the weight of each hour of history, (series, hours): it halves with age; 0 where *used* is False."""
    by_age: Floats = 0.5 ** (cube.ages_days / options.half_life_days)
    return by_age * used[:, : cube.period]


def of_shares(cube: Cube, used: Bools, options: Options) -> Shares:
    """Return the baseline from the hours of history that are *used* (series, hours)."""
    weight = weights(cube, used, options)
    x, n = cube.x[:, : cube.period] * weight, cube.n[:, : cube.period] * weight
    overall = _overall(x.sum(axis=1), n.sum(axis=1), cube, options)
    share, support = [], []
    for clock in cube.clocks:
        hits, trials = (_smooth(by_hour(v, clock.hour_of_day[: cube.period], DAY_H)) for v in (x, n))
        share.append((hits + options.hour_trials * overall[:, None]) / (trials + options.hour_trials))
        support.append(trials + options.hour_trials)
    return Shares(np.clip(np.stack(share), _LEAST_SHARE, _MOST_SHARE), np.stack(support))


def _overall(hits: Floats, trials: Floats, cube: Cube, options: Options) -> Floats:
    """Return each series' share, mixed with the mean of its metric over all series."""
    fleet = _of_metric(hits, cube) / np.maximum(_of_metric(trials, cube), 1.0)
    out: Floats = (hits + options.fleet_trials * fleet) / (trials + options.fleet_trials)
    return out


def _of_metric(values: Floats, cube: Cube) -> Floats:
    """Return the sum of *values* over all series of each series' metric."""
    metric = cube.keys["metric"].rank("dense").to_numpy().astype(np.int64)
    out: Floats = np.bincount(metric, values)[metric]
    return out


def _smooth(values: Floats) -> Floats:
    """Return each hour of the day added up with the hour before and after it."""
    return values + np.roll(values, 1, axis=-1) + np.roll(values, -1, axis=-1)


def dispersions(cube: Cube, expected: Floats, used: Bools, options: Options) -> dict[int, Floats]:
    """Return the dispersion rho of each series, by window length: Var X = n p (1 - p) (1 + (n - 1) rho).

    From the windows of history, overlapping ones too: rho = sum(r^2 - 1) / sum(n - 1) with r^2 the squared error over
    the binomial variance, mixed with the same of all series of the metric. *expected*: hits by hour (series, hours).
    """
    out = {}
    keep = used[:, : cube.period]
    x, n, e = (v[:, : cube.period] * keep for v in (cube.x, cube.n, expected))
    for length in options.windows_h:
        xs, ns, es = windows(x, length), windows(n, length), windows(e, length)
        usable = ns >= _LEAST_TRIALS
        share = es / np.maximum(ns, 1)
        variance = np.where(usable, np.maximum(ns * share * (1 - share), 1e-9), 1.0)
        above = np.where(usable, (xs - es) ** 2 / variance - 1, 0.0).sum(axis=1) / length
        trials = np.where(usable, ns - 1, 0.0).sum(axis=1) / length
        fleet = np.maximum(_of_metric(above, cube) / np.maximum(_of_metric(trials, cube), 1.0), _LEAST_RHO)
        rho = (above + options.fleet_dispersion_trials * fleet) / (trials + options.fleet_dispersion_trials)
        out[length] = np.clip(rho, _LEAST_RHO, _MOST_RHO)
    return out
