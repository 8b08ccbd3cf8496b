"""Tests of arrivals: fewer or more than the hour of the week lets expect, by the negative binomial.

The expectation of an hour of the week is the weighted mean of that hour in the weeks before, mixed with the same hour
of all working days (or of the weekend), times how much the last week was above or below that. Where a zone's clocks
change, a fixed-time job of the skipped hour runs right after it, and one of the repeated hour in only one of the two:
these are clocks of their own, and an observation must be unusual on each of them. A working day on which most series
behave as on a Sunday is a holiday: it is judged as a Sunday, and is no part of the baseline.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import ClassVar

import numpy as np

from collector.analyse.anomalies import baseline, levels, tails
from collector.analyse.anomalies.cube import DAY_H, WEEK_H, Bools, ClockHours, Cube, by_hour, windows
from collector.analyse.anomalies.options import Options
from collector.analyse.anomalies.rows import Counts, Fitted
from collector.analyse.anomalies.tails import Floats

_TREND_DAYS = 7
_LEAST = 1e-3
"""Arrivals and hours are taken for as many at least: nothing is divided by 0, and no hour expects none at all."""


def fit(cube: Cube, options: Options) -> Fitted:
    """Return the arrivals of *cube* with what was to be expected of them."""
    seen = cube.is_known & (np.arange(cube.hours_ns.size) >= cube.first_seen[:, None]) & ~cube.is_told
    is_off = _days_off(cube, seen, options)
    seen = seen & ~is_off
    first = _with_days_off(cube, seen, is_off, options)
    level = levels.split(cube, first, options)
    past = _with_days_off(cube, level.until_before(seen), is_off, options)
    cube, used = levels.scaled(cube, first[0], level.before), level.until_new(seen)
    expected = _with_days_off(cube, used, is_off, options, is_ahead=True)
    law = _VolumeLaw(_dispersions(cube, expected[0], used, options), options)
    earlier = np.where((level.before >= 0)[:, None], past, expected)
    return Fitted(cube, expected, law, used, level.new, ("up", "down"), earlier, returns=("up", "down"))


def _with_days_off(cube: Cube, used: Bools, is_off: Bools, options: Options, *, is_ahead: bool = False) -> Floats:
    """Return arrivals by hour, (clocks, series, hours): on a day off as on the last day of the week."""
    expected = _expected(cube, used, cube.clocks, options, is_ahead=is_ahead)
    if not is_off.any():
        return expected
    sundays = _expected(cube, used, [_as_sunday(clock) for clock in cube.clocks], options, is_ahead=is_ahead)
    return np.where(is_off, sundays, expected)


def _as_sunday(clock: ClockHours) -> ClockHours:
    return replace(clock, hour_of_week=6 * DAY_H + clock.hour_of_day)


def _days_off(cube: Cube, used: Bools, options: Options) -> Bools:
    """Return which hours (series, hours) are a holiday: a working day on which most series behaved as on a Sunday.

    Judged by local day, so far as it is seen, over the series whose Sundays differ from their working days. A series
    that worked on such a day as on any other had no holiday.
    """
    clock = cube.clocks[0]
    usual = _expected(cube, used, cube.clocks, options)[0]
    sunday = _expected(cube, used, [_as_sunday(c) for c in cube.clocks], options)[0]
    day = np.cumsum(np.diff(clock.hour_of_day, prepend=clock.hour_of_day[:1]) < 0).astype(np.int64)
    x, e, s = (by_hour(v * cube.is_known, day, int(day[-1]) + 1) for v in (cube.x, usual, sunday))
    is_other = np.abs(np.log((e + 1) / (s + 1))) >= np.log(options.day_off_ratio)
    differs = (np.maximum(e, s) >= options.day_off_least_arrivals) & is_other
    like_sunday = np.abs(np.log((x + 1) / (s + 1))) < np.abs(np.log((x + 1) / (e + 1)))
    series = differs.sum(axis=0)
    share = (differs & like_sunday).sum(axis=0) / np.maximum(series, 1)
    is_off = (series >= options.day_off_least_series) & (share >= options.day_off_share)
    is_holiday: Bools = np.asarray(like_sunday & is_off)
    out: Bools = is_holiday[:, day] & ~clock.is_weekend
    return out


def _expected(
    cube: Cube, used: Bools, judged_as: Sequence[ClockHours], options: Options, *, is_ahead: bool = False
) -> Floats:
    """Return arrivals by hour, (clocks, series, hours), each hour of a clock expected as *judged_as* has it.

    *is_ahead*: hours of history as they would have been expected the day before, by other weeks than their own and the
    trend of the week before; what an expectation was made from is no scatter round it.
    """
    weight = baseline.weights(cube, used, options)
    out = [
        _of_clock(cube, clock, at, weight, options, is_ahead=is_ahead)
        for clock, at in zip(cube.clocks, judged_as, strict=True)
    ]
    return np.maximum(np.stack(out + _shifted(cube, out[0])), _LEAST)


def _of_clock(
    cube: Cube, clock: ClockHours, at: ClockHours, weight: Floats, options: Options, *, is_ahead: bool
) -> Floats:
    mean = _by_week(cube, clock, weight, options)
    due, as_on = mean[:, clock.hour_of_week], mean[:, at.hour_of_week]
    if is_ahead:
        for first in range(cube.period % WEEK_H, cube.period, WEEK_H):
            own = slice(first, first + WEEK_H)
            others = weight.copy()
            others[:, own] = 0.0
            known = np.asarray(others.any(axis=1))
            mean = np.where(known[:, None], _by_week(cube, clock, others, options), mean)
            due[:, own], as_on[:, own] = mean[:, clock.hour_of_week[own]], mean[:, at.hour_of_week[own]]
    trend = _trends(cube, due[:, : cube.period], weight > 0, options)
    now = np.repeat(trend[:, -1:], cube.hours_ns.size - cube.period, axis=1)
    past = np.repeat(trend[:, :-1], DAY_H, axis=1) if is_ahead else np.repeat(trend[:, -1:], cube.period, axis=1)
    out: Floats = as_on * np.concatenate([past, now], axis=1)
    return out


def _by_week(cube: Cube, clock: ClockHours, weight: Floats, options: Options) -> Floats:
    """Return the mean arrivals of each hour of the week, (series, 168)."""
    history = slice(0, cube.period)
    x = cube.x[:, history] * weight
    sums, hours, squares = (
        by_hour(v, clock.hour_of_week[history], WEEK_H) for v in (x, weight, x * cube.x[:, history])
    )
    # The same hour of all working days, or of both days of the weekend, mixed with all hours.
    week = np.arange(WEEK_H)
    like = np.where(week >= 5 * DAY_H, DAY_H, 0) + week % DAY_H
    sums_like, hours_like, squares_like = (by_hour(v, like, 2 * DAY_H) for v in (sums, hours, squares))
    whole = sums.sum(axis=1, keepdims=True) / np.maximum(hours.sum(axis=1, keepdims=True), _LEAST)
    mean_like = _mixed(sums_like, hours_like, squares_like, whole, options)[:, like]
    return _mixed(sums, hours, squares, mean_like, options)


def _trends(cube: Cube, due: Floats, used: Bools, options: Options) -> Floats:
    """Return by how much the days of the week before were above or below what was *due*: (series, days and one).

    The median of those days of it that were seen, for each day of history, and for the first day of the period.
    """
    shape = (used.shape[0], -1, DAY_H)
    seen, due, hours = ((v * used).reshape(shape).sum(axis=2) for v in (cube.x[:, : cube.period], due, 1.0))
    ratio = np.where(hours > 0, (seen + options.trend_arrivals) / (due + options.trend_arrivals), np.nan)
    before = np.concatenate([np.full((used.shape[0], _TREND_DAYS), np.nan), ratio], axis=1)
    weeks = np.lib.stride_tricks.sliding_window_view(before, _TREND_DAYS, axis=1)
    known = np.isfinite(weeks).any(axis=2)
    out = np.nanmedian(np.where(known[:, :, None], weeks, 1.0), axis=2)
    limited: Floats = np.clip(out, 1 / options.trend_most, options.trend_most)
    return limited


def _mixed(sums: Floats, hours: Floats, squares: Floats, prior: Floats, options: Options) -> Floats:
    """Return the means sums / hours mixed with the *prior*, the more so the less the means differ beyond chance.

    Weight of the prior: the variance within an hour of the week over that between them (empirical Bayes), in hours.
    """
    mean = sums / np.maximum(hours, _LEAST)
    total = np.maximum(hours.sum(axis=1, keepdims=True), _LEAST)
    within = (squares - sums * mean).sum(axis=1, keepdims=True) / total * options.hour_of_week_within
    error = (hours * (mean - prior) ** 2).sum(axis=1, keepdims=True) / total
    between = np.maximum(error - within * hours.shape[1] / total, 1e-9)
    k = np.clip(within / between, *options.hour_of_week_weight)
    out: Floats = (sums + k * prior) / (hours + k)
    return out


def _shifted(cube: Cube, local: Floats) -> list[Floats]:
    """Return what fixed-time jobs do where the clocks change: by the first and by the second of repeated hours."""
    if not cube.steps:
        return []
    first, second = local.copy(), local.copy()
    for at, hours in cube.steps:
        if hours > 0:
            # The skipped hours are those of the same day before `at`, a week earlier or later.
            for skipped in range(hours):
                source = _same_hour(cube, at, skipped)
                first[:, at] += local[:, source]
                second[:, at - 1] += local[:, source]  # where the jump is in the middle of an hour
        else:
            first[:, at : at - hours] = 0.0
            second[:, max(at + hours, 0) : at] = 0.0
    return [first, second]


def _same_hour(cube: Cube, at: int, skipped: int) -> int:
    """Return an hour of the cube whose local hour of the week is the *skipped*-th before the one at *at*."""
    hour_of_week = (cube.clocks[0].hour_of_week[at] - 1 - skipped) % WEEK_H
    return int(np.flatnonzero(cube.clocks[0].hour_of_week == hour_of_week)[0])


def _dispersions(cube: Cube, expected: Floats, used: Bools, options: Options) -> dict[tuple[int, str], Floats]:
    """Return alpha by window length and direction: Var X = m + alpha m^2, mixed with all series'.

    Of each side by itself, as if the other were its mirror: bursts say nothing of how far arrivals fall.
    """
    keep = used[:, : cube.period]
    x, e = (v[:, : cube.period] * keep for v in (cube.x, expected))
    out = {}
    for length in options.volume_windows_h:
        xs, es = windows(x, length), windows(e, length)
        for direction, is_side in (("up", xs > es), ("down", xs < es)):
            above = 2 * ((xs - es) ** 2 * is_side).sum(axis=1) - es.sum(axis=1)
            squares = (es**2).sum(axis=1)
            of_series = above / np.maximum(squares, 1e-9)
            fleet = max(float(np.median(of_series)) if of_series.size else 0.0, options.volume_alpha[0])
            share = options.volume_fleet_share
            mixed = (above + fleet * squares * share) / np.maximum(squares * (1 + share), 1e-9)
            out[length, direction] = np.clip(mixed, *options.volume_alpha)
    return out


@dataclass(frozen=True)
class _VolumeLaw:
    """Negative binomial."""

    alpha: dict[tuple[int, str], Floats]
    options: Options
    is_share: ClassVar[bool] = False

    @property
    def windows_h(self) -> Sequence[int]:
        """Return the lengths of the windows tested."""
        return self.options.volume_windows_h

    @property
    def least_history_days(self) -> float:
        """Return for how many days a series must have been seen."""
        return self.options.volume_history_days

    def margin(self, length: int) -> float:
        """Return how many times as unusual as any day of the baseline."""
        return self.options.volume_hour_margin if length < 6 else self.options.volume_usual_margin

    def scatter(self, length: int, direction: str) -> Floats:
        """Return alpha, (series, 1)."""
        lengths = {k for k, _ in self.alpha}
        longest = max(k for k in lengths if k <= max(length, min(lengths)))
        return self.alpha[longest, direction][:, None]

    def unusual(self, counts: Counts) -> Floats:
        """Return the distance in standard deviations, on a scale on which they are the same everywhere (Anscombe)."""
        root = np.sqrt(counts.scatter)
        x, e = (np.arcsinh(root * np.sqrt(v + 3 / 8)) for v in (counts.x, counts.expected))
        out: Floats = 2 / root * (x - e)
        return out

    def variance(self, counts: Counts) -> Floats:
        """Return m + alpha m^2."""
        out: Floats = counts.expected + counts.scatter * counts.expected**2
        return out

    def tails(self, counts: Counts) -> tuple[Floats, Floats]:
        """Return the negative binomial tails."""
        return tails.negative_binomial(counts.x, counts.expected, counts.scatter)

    def too_few(self, counts: Counts, direction: str) -> tuple[Bools, str]:
        """Return where even no arrival at all would not matter."""
        few = (direction == "down") & (counts.expected < self.options.volume_least_expected)
        return few, "too few expected in the window"
