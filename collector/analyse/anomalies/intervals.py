"""Cadences that follow no wall clock: a run every so often, from the one before it, in the hours in which that is kept.

Enters: when runs of a task arrived. An interval is judged from run to run, so that it may drift, and begin anew with
its process. Hours of the local week in which it usually rests expect nothing.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from collector.analyse.anomalies import usual_days, wall
from collector.analyse.anomalies.deviation import Deviation
from collector.analyse.anomalies.wall import Bools, Ints
from collector.model.units import DAY_NS, HOUR_NS, MINUTE_NS

LEAST_GAPS = 8
"""Fewest gaps between arrivals to take them for an interval."""
REGULAR = 0.9
"""Share of gaps that has to keep to it."""
_NEAR = 0.25
_LEAST_GRACE_NS = 2 * MINUTE_NS
_MOST_NS = 12 * HOUR_NS
_BREAK = 3.5
"""Intervals without a run from which a gap may be a break."""
_LEAST_COVERED = 0.75
_PRECISE = 0.05
_LEAST_WORKING = 3
_ALWAYS = 0.97
"""Share of hours that are kept from which it is kept round the clock."""


@dataclass(frozen=True, slots=True)
class Interval:
    """A run every `every_ns`, within `grace_ns`."""

    every_ns: int
    grace_ns: int
    n: int
    """Arrivals it was learnt from."""
    zone: str
    hours: frozenset[int]
    """Hours of the week of *zone*, from Monday 0 to 167, in which it is kept."""
    is_precise: bool

    @property
    def is_always(self) -> bool:
        """Tell whether it is kept round the clock."""
        return len(self.hours) == 168


def learn(arrivals: Ints, zone: str, gaps: Sequence[tuple[int, int]]) -> Interval | None:
    """Return the interval between *arrivals* (ns, ascending), None where they keep none."""
    steps = np.diff(arrivals)
    every = int(np.median(steps)) if steps.size >= LEAST_GAPS else 0
    if not 0 < every <= _MOST_NS:
        return None
    short = steps[steps <= _BREAK * every]
    turns = np.maximum(1, np.round(short / every))
    off = np.abs(short - turns * every)
    near = np.sort(off[off <= _NEAR * every])
    if near.size < REGULAR * steps.size or short.size < max(LEAST_GAPS, REGULAR * turns.sum()):
        return None
    usual = int(near[min(near.size - 1, round(0.99 * near.size))])
    grace = min(every // 2, max(_LEAST_GRACE_NS, 3 * usual, every // 10))
    on = _hours(arrivals, steps <= _BREAK * every, zone, gaps)
    if not on:
        return None
    return Interval(every, grace, arrivals.size, zone, on, usual <= _PRECISE * every)


def _hours(arrivals: Ints, is_short: Bools, zone: str, gaps: Sequence[tuple[int, int]]) -> frozenset[int]:
    """Return the hours of the week that are usually covered by gaps of an interval's length."""
    end = int(arrivals[-1])  # what stopped is known by what it did until then
    offset = wall.offset_ns(zone, end)
    first, last = int(arrivals[0] + offset) // DAY_NS, (end + offset) // DAY_NS
    edges = np.arange(first * 24, (last + 1) * 24 + 1) * HOUR_NS - offset
    covered = np.concatenate([[0], np.cumsum(np.where(is_short, np.diff(arrivals), 0))])
    share = np.diff(np.interp(edges, arrivals, covered)) / HOUR_NS
    seen = (edges[:-1] >= arrivals[0]) & (edges[1:] <= end)
    for low, high in gaps:
        seen &= (edges[1:] <= low) | (edges[:-1] >= high)
    if not seen.any():
        return frozenset()
    days = np.arange(first, last + 1)
    kept, known = ((v.reshape(days.size, 24).T) for v in (share >= _LEAST_COVERED, seen))
    weekdays = (days + 3) % 7
    on = usual_days.usual(kept & known, known, weekdays, np.arange(24) * 3600)
    if kept[known].mean() >= _ALWAYS and end - int(arrivals[0]) >= _LEAST_WORKING * DAY_NS:
        n = known.astype(np.int64) @ np.eye(7, dtype=np.int64)[weekdays]
        seen_days = n.any(axis=0)  # three working days speak for the others, a Saturday for a Sunday
        is_seen = np.array([seen_days[:5].sum() >= _LEAST_WORKING] * 5 + [seen_days[5:].any()] * 2)
        is_mostly = (kept & known).sum(axis=1) >= usual_days.MOST_OF * known.sum(axis=1)
        on |= is_mostly[:, None] & is_seen
    hours, on_days = np.nonzero(on)
    return frozenset((on_days * 24 + hours).tolist())


def deviations(c: Interval, arrivals: Ints, from_ns: int, to_ns: int) -> list[Deviation]:
    """Return what was not kept in [*from_ns*, *to_ns*)."""
    came = arrivals[arrivals < to_ns]
    if not came.size:
        return []
    told: list[Deviation] = []
    steps = np.diff(came)
    odd = np.flatnonzero((np.abs(steps - c.every_ns) > c.grace_ns) & (came[1:] >= from_ns))
    until = 0
    for i in odd.tolist():
        if i < until:
            continue
        before, after = int(came[i]), int(came[i + 1])
        caught_up = _caught_up(c, came, i)
        if caught_up is not None:
            told.append(Deviation("late", before + c.every_ns, after))
            until = caught_up
        elif after - before < _NEAR * c.every_ns:
            is_restart = i + 2 < came.size and abs(int(came[i + 2]) - after - c.every_ns) < abs(
                int(came[i + 2]) - before - c.every_ns
            )
            if not is_restart:
                told.append(Deviation("double", before, after))
                until = i + 2
        else:
            told += _between(c, before, after)
    told += [Deviation("missed", slot, None) for slot in _due(c, int(came[-1]), to_ns - c.grace_ns)]
    return sorted((d for d in told if from_ns <= d.slot_ns), key=lambda d: (d.slot_ns, d.what))


def _caught_up(c: Interval, came: Ints, i: int) -> int | None:
    """Return up to which arrival runs after *i* made up for one that came late: then each of them came after all."""
    if came[i + 1] - came[i] <= c.every_ns:
        return None
    for j in range(i + 2, min(came.size, i + 60)):
        if came[j] - came[j - 1] >= c.every_ns - min(c.grace_ns, c.every_ns // 20) // 2:
            return None
        if abs(int(came[j] - came[i]) - (j - i) * c.every_ns) <= c.grace_ns:
            return j
    return None


def _between(c: Interval, before: int, after: int) -> list[Deviation]:
    turns = (after - before + c.grace_ns) // c.every_ns
    if turns <= 1:
        late = after - before - c.every_ns
        is_late = late > c.grace_ns and _is_on(c, before + c.every_ns) and _is_on(c, after)
        return [Deviation("late", before + c.every_ns, after)] if is_late else []
    return [Deviation("missed", slot, None) for slot in _due(c, before, after - c.every_ns + c.grace_ns)]


def _due(c: Interval, before: int, to_ns: int) -> list[int]:
    """Return when runs after the one *before* were due before *to_ns*, in the hours in which it is kept.

    After a break it begins anew, nobody knows when: at the latest after an interval of the hours after it.
    """
    due, at = [], before + c.every_ns
    while at < to_ns:
        if _is_on(c, at):
            due.append(at)
            at += c.every_ns
            continue
        while at < to_ns and not _is_on(c, at):
            at = _next_hour(c, at)
        at += c.every_ns
    return due


def _next_hour(c: Interval, at: int) -> int:
    offset = wall.offset_ns(c.zone, at)
    return ((at + offset) // HOUR_NS + 1) * HOUR_NS - offset


def _is_on(c: Interval, at: int) -> bool:
    if c.is_always:
        return True
    hour = (at + wall.offset_ns(c.zone, at)) // HOUR_NS
    return (hour + 72) % 168 in c.hours
