"""Arrivals folded by the day of one clock: at which times of the day, on which days of the week, they keep coming.

A slot is where arrivals of several days come together. What comes less often beside it is late runs of it, and what
comes at any time has no slots. Days are cut, and weeks begin, where the work of a week begins after its rest, so that
it does not matter whose midnight it is.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from collector.analyse.anomalies import usual_days
from collector.analyse.anomalies.wall import Bools, Clock, Ints
from collector.model.units import DAY_NS, SECOND_NS

DAY_S = 86_400
_MOST_WIDTH_S = 300
"""Within how much of each other arrivals of a daily slot have to come; those of frequent ones within a tenth."""
_LEAST_TOGETHER = 3
_TAIL = 0.5
"""What comes less often than this share of what comes around it, is late runs of it and no slot."""
_NEAR_MINUTE_S = 10
_GRACE_S = (120, 300)
"""Least grace of frequent and of rare slots."""
_MOST_GRACE = 0.45
"""Share of the time to the next slot that is on time at most."""
_MOST_USUAL = 0.2
"""Share of the time to the next slot within which four of five runs have to come: what drifts keeps no slots."""
_RECENT_NS = 14 * DAY_NS
_EXPLAINED = 0.8
_KEPT = 0.75
_DEAD = 3
"""Days with other runs on which a slot was not kept, and has not been since: it is a slot no more."""
_WEEKEND_S = 36 * 3600
_WIDTHS = tuple(b for b in range(1, 101) if DAY_S % b == 0)


@dataclass(frozen=True, slots=True)
class Folded:
    """Times of the day in seconds, ascending, with their days of the week; how many runs they explain and missed."""

    seconds: tuple[int, ...]
    days: tuple[frozenset[int], ...]
    grace_ns: int
    n: int
    missed: int


@dataclass(frozen=True, slots=True)
class _Folds:
    """Arrivals by day and second of it; *monday*: the day that weeks begin with."""

    arrivals: Ints
    clock: Clock
    frame_ns: int
    inside: Ints
    day: Ints
    cut: int
    monday: int

    @property
    def first(self) -> int:
        return int(self.day[0])

    @property
    def weekdays(self) -> Ints:
        """Return those of all days from the first to the last."""
        out: Ints = (np.arange(self.first, int(self.day[-1]) + 1) - self.monday) % 7
        return out

    def instants(self, slots: Ints) -> Ints:
        """Return when slots were due, (slots, days); -1 where the clock skipped them."""
        days = np.arange(self.first, int(self.day[-1]) + 1)
        shown = (days * DAY_S + self.cut + slots[:, None]) * SECOND_NS
        return self.clock.instants(shown - self.frame_ns)[0]


def fold(arrivals: Ints, clock: Clock, frame_ns: int, gaps: Sequence[tuple[int, int]], until_ns: int) -> Folded | None:
    """Return what *arrivals* keep by *clock*, None for nothing.

    *frame_ns*: how far it is ahead of UTC at its reference.
    """
    every = int(np.median(np.diff(arrivals))) // SECOND_NS
    if every <= 0:
        return None
    at = (clock.local(arrivals) + frame_ns) // SECOND_NS
    begins = _week(at)
    is_slot, cut = _dense(at % DAY_S, every, begins)
    monday = (begins - cut) // DAY_S if begins else -3
    folds = _Folds(arrivals, clock, frame_ns, (at - cut) % DAY_S, (at - cut) // DAY_S, cut, monday)
    slots, spread, usual = _slots(folds.inside, is_slot, cut)
    for _ in range(2):
        if not slots.size:
            return None
        apart = int(np.diff(slots, append=slots[0] + DAY_S).min())
        grace = int(min(max(np.clip(apart / 10, *_GRACE_S), 3 * spread), _MOST_GRACE * apart))
        on, explained, missed = _usual(folds, slots, grace, gaps, until_ns)
        is_used = on.any(axis=1)
        slots, on = slots[is_used], on[is_used]
        if is_used.all():
            break
    if not (slots.size and explained) or usual > _MOST_USUAL * apart:
        return None
    return _folded(folds, slots, on, grace, explained, missed)


def _folded(folds: _Folds, slots: Ints, on: Bools, grace: int, explained: int, missed: int) -> Folded:
    seconds = slots + folds.cut
    turned = seconds // DAY_S  # -1: of the day before, 1: of the day after
    days = [
        frozenset(int(w + t + folds.monday + 3) % 7 for w in np.flatnonzero(row))
        for row, t in zip(on, turned, strict=True)
    ]
    times = seconds % DAY_S
    order = np.argsort(times, kind="stable")
    return Folded(
        tuple(int(times[i]) for i in order), tuple(days[i] for i in order), grace * SECOND_NS, explained, missed
    )


def _usual(
    folds: _Folds, slots: Ints, grace: int, gaps: Sequence[tuple[int, int]], until_ns: int
) -> tuple[Bools, int, int]:
    """Return (on which weekdays slots are kept, runs that explains, slots that were missed all the same).

    No run is explained where too few are.
    """
    weekdays, day = folds.weekdays, folds.day - folds.first
    nearest = np.searchsorted(slots - grace, folds.inside, "right") - 1
    hit = (nearest >= 0) & (folds.inside <= slots[nearest] + grace)
    kept = np.zeros((slots.size, weekdays.size), np.bool_)
    kept[nearest[hit], day[hit]] = True
    days = np.arange(weekdays.size)
    instants = folds.instants(slots)
    seen = _seen(instants, int(folds.arrivals[0]), until_ns, grace * SECOND_NS, gaps)
    seen &= days >= kept.argmax(axis=1)[:, None]
    on = usual_days.usual(kept, seen, weekdays, slots)
    active = np.bincount(day, minlength=days.size) > 0
    last = days.size - 1 - kept[:, ::-1].argmax(axis=1)
    since = on[:, weekdays] & seen & ~kept & active & (days > last[:, None])
    on &= (since.sum(axis=1) < _DEAD)[:, None]

    due = on[:, weekdays] & seen & active
    since_ns = int(folds.arrivals[-1]) - _RECENT_NS  # what stopped is known by what it did until then
    recent = due & (instants >= since_ns)
    explained = hit & on[nearest, weekdays[day]]
    is_recent = folds.arrivals >= since_ns
    is_kept = recent.any() and (kept & recent).sum() >= _KEPT * recent.sum()
    is_explained = explained[is_recent].sum() >= _EXPLAINED * is_recent.sum()
    return on, int(explained.sum()) if is_kept and is_explained else 0, int((due & ~kept).sum())


def _week(at: Ints) -> int:
    """Return when a week's work begins after its rest, in seconds; 0 where there is no such rest.

    So that days and weeks of a schedule can be told whatever clock it keeps.
    """
    steps = np.diff(at)
    rests = np.flatnonzero(steps >= _WEEKEND_S)
    if not rests.size:
        return 0
    hours, counts = np.unique(np.round(steps[rests] / 3600), return_counts=True)
    usual = hours[counts == counts.max()].max()
    return int(at[rests[np.round(steps[rests] / 3600) == usual][-1] + 1])


def _dense(seconds: Ints, every: int, begins: int) -> tuple[Bools, int]:
    """Return which seconds of a day have arrivals of a slot, and the second at which to cut days.

    It is from half a day before midnight on, right before the week's work *begins*.
    """
    width = int(np.clip(every * 0.1, 3, _MOST_WIDTH_S))
    bin_ = max(b for b in _WIDTHS if b <= max(1, width // 3))
    counts = np.bincount(seconds // bin_, minlength=DAY_S // bin_)
    around = np.stack([np.roll(counts, k) for k in range(-3, 4)]).sum(axis=0)
    reach = max(1, min(every // 2, 1800) // bin_)
    padded = np.concatenate([around[-reach:], around, around[:reach]])
    most = np.lib.stride_tricks.sliding_window_view(padded, 2 * reach + 1).max(axis=1)
    is_slot = around >= np.maximum(_LEAST_TOGETHER, _TAIL * most)
    near = begins % DAY_S // bin_ - np.arange(reach + 1)
    cut = int(near[around[near % around.size].argmin()]) * bin_
    return np.repeat(is_slot, bin_), (cut + DAY_S // 2) % DAY_S - DAY_S // 2


def _slots(inside: Ints, is_slot: Bools, cut: int) -> tuple[Ints, float, float]:
    """Return slots in seconds after the cut, ascending, and how far from them all but 2 % and 20 % of runs come."""
    rolled = np.roll(is_slot, -cut)
    label = np.cumsum(np.diff(rolled.astype(np.int8), prepend=0) > 0)
    of_slot = rolled[inside]
    at = np.sort(inside[of_slot])
    if at.size < _LEAST_TOGETHER:
        return np.empty(0, np.int64), 0.0, 0.0
    which = label[at]
    starts = np.flatnonzero(np.diff(which, prepend=-1))
    counts = np.diff(starts, append=at.size)
    early = at[starts + (counts - 1) // 10]
    minute = np.round((early + cut) / 60).astype(np.int64) * 60 - cut
    slots = np.where((np.abs(minute - early) <= _NEAR_MINUTE_S), minute, early)
    residuals = np.abs(at - np.repeat(slots, counts))
    return slots, float(np.quantile(residuals, 0.98)), float(np.quantile(residuals, 0.8))


def _seen(instants: Ints, from_ns: int, to_ns: int, grace_ns: int, gaps: Sequence[tuple[int, int]]) -> Bools:
    """Return for which slots it could be told whether they were kept."""
    out: Bools = (instants >= from_ns - grace_ns) & (instants + grace_ns < to_ns)
    for low, high in gaps:
        out &= (instants < low - grace_ns) | (instants >= high)
    return out
