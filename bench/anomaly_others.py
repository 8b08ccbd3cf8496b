"""Four known detectors on the same worlds, by hour: each gets its threshold from the seeds the settings came from.

Rolling z (a week), distance from the seasonal median in MADs (28 days, hour of day with its neighbours), the residual
of STL (statsmodels, fitted to the whole series, so it sees the future too), and river's GaussianScorer (a week).
They see what a dashboard would alarm on: the share, the 95th percentile, the number of arrivals; hours with fewer
than 20 runs are left out of shares and percentiles. Flags at most three hours apart are one alarm.
"""

from __future__ import annotations

import warnings
from collections import defaultdict
from collections.abc import Callable

import numpy as np
import numpy.typing as npt

from bench.anomaly_score import Score, of_flags, score
from bench.worlds import FIRST, HOURS, World

Floats = npt.NDArray[np.float64]
LEAST_N = 20
WEEK = 168
THRESHOLDS = [3.0, 4.0, 5.0, 6.0, 8.0, 10.0, 15.0, 20.0, 30.0]


def rolling(value: Floats) -> Floats:
    """Return the distance from the mean of the week before, in its standard deviations."""
    is_known = np.isfinite(value)
    filled = np.where(is_known, value, 0.0)

    def before(v: Floats) -> Floats:
        total = np.cumsum(v, axis=1)
        out = np.zeros_like(total)
        out[:, 1:] = total[:, :-1]
        out[:, WEEK + 1 :] -= total[:, : -WEEK - 1]
        return out

    n = np.maximum(before(is_known.astype(np.float64)), 1)
    mean = before(filled) / n
    deviation = np.sqrt(np.maximum(before(filled**2) / n - mean**2, 1e-8))
    out: Floats = np.where(is_known & (n >= 24), (value - mean) / deviation, 0.0)
    return out


def seasonal(value: Floats) -> Floats:
    """Return the distance from the median of the hour of the day in the 28 days before, in scaled MADs."""
    out = np.zeros_like(value)
    with np.errstate(all="ignore"), warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)  # hours of the day that a series never ran in
        for day in range(FIRST, HOURS, 24):
            past = value[:, day - 28 * 24 : day].reshape(value.shape[0], 28, 24)
            past = np.concatenate([past, np.roll(past, 1, axis=2), np.roll(past, -1, axis=2)], axis=1)
            middle = np.nanmedian(past, axis=1)
            mad = 1.4826 * np.nanmedian(np.abs(past - middle[:, None]), axis=1)
            out[:, day : day + 24] = (value[:, day : day + 24] - middle) / np.maximum(mad, 1e-3)
    return np.nan_to_num(out)


def stl(value: Floats) -> Floats:
    """Return STL's residual in scaled MADs of the quiet weeks' residuals."""
    from statsmodels.tsa.seasonal import STL

    out = np.zeros_like(value)
    for s in range(value.shape[0]):
        is_known = np.isfinite(value[s])
        if is_known.sum() < WEEK:
            continue
        filled = np.where(is_known, value[s], np.nanmedian(value[s]))
        residual = STL(filled, period=24, trend_jump=24, seasonal_jump=7, low_pass_jump=24).fit(inner_iter=1).resid
        mad = 1.4826 * np.median(np.abs(residual[:FIRST][is_known[:FIRST]])) if is_known[:FIRST].any() else 0.0
        out[s] = np.where(is_known, residual / max(mad, 1e-3), 0.0)
    return out


def river(value: Floats) -> Floats:
    """Return river's GaussianScorer over a week, its two-sided probability as a distance in standard deviations."""
    from river.anomaly import GaussianScorer
    from scipy import special

    out = np.zeros_like(value)
    for s in range(value.shape[0]):
        scorer = GaussianScorer(window_size=WEEK, grace_period=24)
        mean = 0.0
        for h in np.flatnonzero(np.isfinite(value[s])):
            one = float(value[s, h])
            sign = 1.0 if one >= mean else -1.0
            try:
                two_sided = scorer.score_one(None, one)
            except TypeError:  # its rolling variance fell below zero by rounding, and it took the root
                two_sided = 0.0
            out[s, h] = sign * special.ndtri(min((1 + two_sided) / 2, 1 - 1e-16))
            scorer.learn_one(None, one)
            mean += (one - mean) / 100
    return out


DETECTORS: dict[str, Callable[[Floats], Floats]] = {
    "rolling z": rolling,
    "seasonal MAD": seasonal,
    "STL residual": stl,
    "river GaussianScorer": river,
}


def values(made: World) -> dict[str, tuple[Floats, tuple[str, ...]]]:
    """Return what is watched, by metric, with the directions in which it matters."""
    with np.errstate(all="ignore"):
        failures = np.where(made.runs >= LEAST_N, made.failed / made.runs, np.nan)
        retries = np.where(made.attempts >= LEAST_N, made.retried / made.attempts, np.nan)
    return {
        "failures": (failures, ("up", "down")),
        "retries": (retries, ("up", "down")),
        "slow": (np.where(made.timed >= LEAST_N, made.p95, np.nan), ("up",)),
        "volume": (made.runs, ("up", "down")),
    }


def scores(made: World, metrics: tuple[str, ...] = ("failures", "slow", "volume")) -> dict[str, list[Score]]:
    """Return the scores of each metric and detector at each of `THRESHOLDS`."""
    out: dict[str, list[Score]] = defaultdict(list)
    watched = values(made)
    for metric in metrics:
        value, directions = watched[metric]
        incidents = [i for i in made.incidents if i.metric == metric]
        for name, detector in DETECTORS.items():
            z = detector(value)
            for threshold in THRESHOLDS:
                parts = [of_flags((z if d == "up" else -z) > threshold, d) for d in directions]
                alarms = parts[0].vstack(parts[1]) if len(parts) > 1 else parts[0]
                out[f"{metric}: {name}"].append(score(alarms, incidents))
    return out


def best(chosen_on: list[dict[str, list[Score]]], reported_on: list[dict[str, list[Score]]]) -> dict[str, Score]:
    """Return each detector's score on the second lot, at the threshold with the best F1 on the first."""
    out = {}
    for name in chosen_on[0]:
        first = [sum((lot[name][k] for lot in chosen_on), Score()) for k in range(len(THRESHOLDS))]
        k = max(range(len(THRESHOLDS)), key=lambda at: _f1(first[at]))
        out[f"{name} > {THRESHOLDS[k]:g}"] = sum((lot[name][k] for lot in reported_on), Score())
    return out


def _f1(one: Score) -> float:
    both = one.large_recall + one.precision
    return 2 * one.large_recall * one.precision / both if both else 0.0
