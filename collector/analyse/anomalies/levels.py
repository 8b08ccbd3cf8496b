"""New levels: from when on a series has been different, where it has stayed so.

One change point per series, by the likelihood ratio of the hits before and after each hour (Poisson, given what the
hour of the day lets expect, divided by the dispersion). A burst is told from a level by its persistence: each quarter
of what followed, by runs and by time, must lie beyond the middle of the two levels.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from scipy import special

from collector.analyse.anomalies.cube import DAY_H, Bools, Cube, Ints, windows
from collector.analyse.anomalies.options import Options
from collector.analyse.anomalies.tails import Floats

_PARTS = 4
_TOO_LITTLE = 2.0  # expected hits at the higher level, below which a part says nothing
_LEAST_SLOTS = 3.0
"""Hours, as many as if each expected the same, that what followed has at least: one night is no level."""
_MEDIAN_OF_SQUARE = 0.4549  # of a standard normal


def begin(cube: Cube, expected: Floats, end: int, options: Options) -> Ints:
    """Return the index of the hour at which each series' level began that it has at hour *end*, -1 for always.

    *expected*: hits by hour (series, hours) as if nothing had changed. A level has lasted `level_h` hours by *end*,
    and as long lies before it.
    """
    speaks = cube.is_known[:end] & ~cube.is_over[:, :end]
    x, e = cube.x[:, :end] * speaks, expected[:, :end] * speaks
    hits, weight = np.cumsum(x, axis=1), np.cumsum(e, axis=1)
    all_hits, all_weight = hits[:, -1:], weight[:, -1:]
    hours = hits.shape[1]
    # Split before hour t: what is before has t hours.
    x1, e1 = hits[:, :-1], weight[:, :-1]
    x2, e2 = all_hits - x1, all_weight - e1
    whole = all_hits / np.maximum(all_weight, 1e-9)
    ratio = 2 * (_term(x1, e1, whole) + _term(x2, e2, whole))
    t = np.arange(1, hours)
    seen = np.maximum(cube.first_seen, 0)
    allowed = (t >= seen[:, None] + options.level_h) & (t <= hours - options.level_h)
    ratio = np.where(allowed, ratio, 0.0) / _dispersion(x, e)[:, None]
    best = ratio.argmax(axis=1) if ratio.size else np.zeros(0, dtype=np.int64)
    begun = np.full(best.size, -1, dtype=np.int64)
    for row in np.flatnonzero(ratio.max(axis=1, initial=0.0) >= options.level_evidence):
        at = int(best[row]) + 1
        before = x1[row, at - 1] / max(e1[row, at - 1], 1e-9)
        after = x2[row, at - 1] / max(e2[row, at - 1], 1e-9)
        if _stays(x[row, at:], e[row, at:], before, after, options):
            begun[row] = at
    return begun


def _term(x: Floats, e: Floats, whole: Floats) -> Floats:
    out: Floats = special.xlogy(x, np.maximum(x, 1e-9) / np.maximum(e * whole, 1e-9))
    return out


def _dispersion(x: Floats, e: Floats) -> Floats:
    """Return by how much days differ from each other beyond Poisson, at least 1; one change of level does not count."""
    day = slice(DAY_H - 1, None, DAY_H)
    x, e = windows(x, DAY_H)[:, day], windows(e, DAY_H)[:, day]
    rate = x / np.maximum(e, 1e-9)
    mean = (x[:, 1:] + x[:, :-1]) / np.maximum(e[:, 1:] + e[:, :-1], 1e-9)
    variance = mean * (1 / np.maximum(e[:, 1:], 1e-9) + 1 / np.maximum(e[:, :-1], 1e-9))
    usable = (e[:, 1:] > 0) & (e[:, :-1] > 0) & (mean > 0)
    squares = np.where(usable, np.diff(rate, axis=1) ** 2 / np.maximum(variance, 1e-9), np.nan)
    out = np.ones(x.shape[0])
    some = usable.any(axis=1)
    out[some] = np.nanmedian(squares[some], axis=1) / _MEDIAN_OF_SQUARE
    return np.maximum(out, 1.0)


def _stays(x: Floats, e: Floats, before: float, after: float, options: Options) -> bool:
    """Return whether each quarter of what followed lies on the side of the new level, which differs enough."""
    high, low = max(before, after), min(before, after)
    if high < options.least_ratio * low or x.sum() + e.sum() == 0:
        return False
    if e.sum() ** 2 < _LEAST_SLOTS * (e**2).sum():
        return False
    middle = np.sqrt(high * max(low, high / 100))
    parts = (
        np.minimum((np.cumsum(e) / max(e.sum(), 1e-9) * _PARTS).astype(int), _PARTS - 1),  # as much to be seen in each
        np.arange(e.size) * _PARTS // e.size,  # as long each
    )
    for part in parts:
        hits, weight = np.bincount(part, x, _PARTS), np.bincount(part, e, _PARTS)
        rates = hits / np.maximum(weight, 1e-9)
        beyond = rates >= middle if after > before else rates <= middle
        if not (beyond | (weight * max(before, after) < _TOO_LITTLE)).all():
            return False
    return True


def _on_each_clock(cube: Cube, expected: Floats, end: int, options: Options) -> Ints:
    """Return where levels began that are levels on each clock: on a day with a change of clocks one alone errs."""
    begun = np.stack([begin(cube, e, end, options) for e in expected])
    out: Ints = np.where((begun >= 0).all(axis=0), begun[0], -1)
    return out


@dataclass(frozen=True)
class Split:
    """Levels of each series. Indices of hours; -1 for none."""

    before: Ints
    """Where the level began that it had already when the period began."""
    new: Ints
    """Where a level began that this period is the first to call so."""

    def until_new(self, seen: Bools) -> Bools:
        """Return which of the hours *seen* (series, hours) are before a new level began."""
        out: Bools = seen & ((self.new[:, None] < 0) | (np.arange(seen.shape[1]) < self.new[:, None]))
        return out

    def until_before(self, seen: Bools) -> Bools:
        """Return which of the hours *seen* (series, hours) are before the level that there was already."""
        out: Bools = seen & (np.arange(seen.shape[1]) < self.before[:, None])
        return out

    def used(self, seen: Bools) -> Bools:
        """Return which of the hours *seen* (series, hours) are of the level that a new one is told against."""
        out: Bools = self.until_new(seen) & (np.arange(seen.shape[1]) >= self.before[:, None])
        return out


def split(cube: Cube, expected: Floats, options: Options) -> Split:
    """Return where levels began. *expected*: hits by hour, (clocks, series, hours).

    A level is new in the period by whose end, but not by whose beginning, it can be told: so reports that follow each
    other name it once. What changed long before the period is no news, whenever it can be told.
    """
    before = _on_each_clock(cube, expected, cube.period, options)
    now = _on_each_clock(cube, expected, cube.hours_ns.size, options)
    # One that was told stays one, although too little of it was over when the period began.
    is_told = (cube.level_told >= 0) & (now >= 0) & (np.abs(now - cube.level_told) <= options.level_h)
    before = np.where(is_told, now, before)
    is_later = (now >= 0) & (now > np.maximum(before, cube.level_told) + options.level_h)
    is_news = now >= cube.period - options.level_news_h
    return Split(np.where(is_later & ~is_news, now, before), np.where(is_later & is_news, now, -1))


def scaled(cube: Cube, expected: Floats, level: Ints) -> Cube:
    """Return *cube* with the hits before a *level* began as many as the level has, by what is *expected* by hour.

    So the hours of day and week of before go on to say what is usual in them.
    """
    is_after = np.arange(cube.hours_ns.size) >= level[:, None]
    speaks = cube.is_known & ~cube.is_told & (np.arange(cube.hours_ns.size) < cube.period)
    parts = (speaks & is_after, speaks & ~is_after)
    after, before = ((cube.x * part).sum(axis=1) / np.maximum((expected * part).sum(axis=1), 1e-9) for part in parts)
    factor = np.where(level >= 0, after / np.maximum(before, 1e-9), 1.0)
    return replace(cube, x=np.where(is_after, cube.x, cube.x * factor[:, None]))
