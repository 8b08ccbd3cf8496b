"""Cadences that follow a wall clock: times of the day, each with the days of the week on which it is kept.

Enters: when runs of a task arrived. Arrivals are folded by the day of each clock that may be theirs; where they keep
coming together is a slot, and `usual_days` says on which weekdays it is expected. The clock is inferred from how the
slots moved where clocks were set; as long as nothing tells clocks apart, what is on time on one of them is on time.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import pairwise

import numpy as np

from collector.analyse.anomalies import usual_days, wall
from collector.analyse.anomalies.deviation import Deviation
from collector.analyse.anomalies.wall import Bools, Clock, Ints
from collector.model.units import DAY_NS, SECOND_NS

_DAY_S = 86_400
_MOST_WIDTH_S = 300
"""Within how much of each other arrivals of a daily slot have to come; those of frequent ones within a tenth."""
_LEAST_TOGETHER = 3
_TAIL = 0.34
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
_AS_GOOD = 0.99
"""Share of the best fold with which another clock's is looked at, beside the report's and UTC."""
_MOST_CLOCKS = 3
_ABOUT, _ABOUT_SHARE = 1.5, 0.001
"""Runs, and share of runs, by which a clock may explain fewer and still be as good as the best."""
_WEEKEND_S = 36 * 3600
_WIDTHS = tuple(b for b in range(1, 101) if _DAY_S % b == 0)


@dataclass(frozen=True, slots=True)
class Slots:
    """Runs at times of the day. *seconds*: after local midnight, ascending; *days*: of each, those of the week."""

    seconds: tuple[int, ...]
    days: tuple[frozenset[int], ...]
    zone: str
    """Zone of the day and its hours; what else it may be stands in *zones*."""
    zones: tuple[str, ...]
    reference_ns: int
    frame_ns: int
    """What the clock was ahead of UTC at the reference."""
    also: tuple[Slots, ...]
    """Others that fit history as well; what is on time by one of them is on time."""
    grace_ns: int
    n: int
    is_known: bool = True
    """False where the arrivals moved with a clock that is not the report's."""


def learn(arrivals: Ints, zone: str, gaps: Sequence[tuple[int, int]], until_ns: int) -> Slots | None:
    """Return the times of the day that *arrivals* (ascending) keep on the clock that fits best; None for none."""
    reference = int(arrivals[-1])
    frame = wall.offset_ns(zone, reference)
    zones = (zone, *(z for z in ("UTC", *wall.every_zone()) if z != zone))
    alike: dict[tuple[tuple[int, int], ...], tuple[Clock, list[str]]] = {}
    for clock in wall.clocks(zones, int(arrivals[0]), until_ns, reference):
        steps = np.searchsorted(arrivals, np.array(clock.changes, np.int64))
        seen = (*((int(n), b - a) for n, a, b in zip(steps, clock.shifts[:-1], clock.shifts[1:]) if 0 < n < arrivals.size),)
        alike.setdefault(seen, (clock, []))[1].extend(clock.zones)
    locals_ = [(clock, clock.local(arrivals) + frame, names) for clock, names in alike.values()]
    if len(locals_) > 1:
        scores = [_together(local) for _, local, _ in locals_]
        best = max(scores)
        near = sorted(zip(scores, range(len(scores)), strict=True), key=lambda s: (-s[0], s[1]))[:_MOST_CLOCKS]
        chosen = {i for score, i in near if score >= _AS_GOOD * best}
        chosen |= {i for i, (_, _, names) in enumerate(locals_) if {zone, "UTC"} & set(names)}
        locals_ = [locals_[i] for i in sorted(chosen)]
    fits = []
    for clock, local, names in locals_:
        learnt = _fold(clock, local, arrivals, gaps, until_ns)
        if learnt is not None:
            seconds, days, grace_s, n, misses = learnt
            name, grace = wall.called(names, zone), grace_s * SECOND_NS
            is_known = bool({zone, "UTC"} & set(names))
            fit = Slots(seconds, days, name, tuple(names), reference, frame, (), grace, n, is_known)
            fits.append((n - misses, fit))
    if not fits:
        return None
    fits.sort(key=lambda f: (-f[0], f[1].zone != zone, f[1].zone))
    best, *others = [fit for value, fit in fits if value >= fits[0][0] - _ABOUT - _ABOUT_SHARE * len(arrivals)]
    return replace(best, also=tuple(others))


def _together(local: Ints) -> float:
    """Return how much arrivals keep to few minutes of the day."""
    counts = np.bincount(local // (60 * SECOND_NS) % 1440).astype(np.float64)
    return float((counts**2).sum())


def _fold(
    clock: Clock, local: Ints, arrivals: Ints, gaps: Sequence[tuple[int, int]], until_ns: int
) -> tuple[tuple[int, ...], tuple[frozenset[int], ...], int, int, int] | None:
    """Return (seconds of the day, days of the week, grace in seconds, runs explained, slots missed) by one clock."""
    every = int(np.median(np.diff(arrivals))) // SECOND_NS
    if every <= 0:
        return None
    at = local // SECOND_NS
    begins = _week(at)
    is_slot, cut = _dense(at % _DAY_S, every, begins)
    inside, day = (at - cut) % _DAY_S, (at - cut) // _DAY_S
    slots, spread, usual = _slots(inside, is_slot, cut)
    if not slots.size:
        return None
    apart = int(np.diff(slots, append=slots[0] + _DAY_S).min())
    if usual > _MOST_USUAL * apart:
        return None
    grace = int(min(max(np.clip(apart / 10, *_GRACE_S), 3 * spread), _MOST_GRACE * apart))

    first, days = int(day[0]), int(day[-1] - day[0]) + 1
    monday = (begins - cut) // _DAY_S if begins else -3
    weekdays = (np.arange(first, first + days) - monday) % 7
    nearest = np.searchsorted(slots - grace, inside, "right") - 1
    hit = (nearest >= 0) & (inside <= slots[nearest] + grace)
    kept = np.zeros((slots.size, days), np.bool_)
    kept[nearest[hit], day[hit] - first] = True
    shown = (np.arange(first, first + days) * _DAY_S + cut + slots[:, None]) * SECOND_NS
    instants = clock.instants(shown - (local[-1] - arrivals[-1]))[0]
    seen = _seen(instants, int(arrivals[0]), until_ns, grace * SECOND_NS, gaps) & (
        np.arange(days) >= kept.argmax(axis=1)[:, None]
    )
    on = usual_days.usual(kept, seen, weekdays, slots)
    expected = on[:, weekdays] & seen
    active = np.bincount(day - first, minlength=days) > 0
    last = days - 1 - kept[:, ::-1].argmax(axis=1)
    since = expected & ~kept & active & (np.arange(days) > last[:, None])
    on &= (since.sum(axis=1) < _DEAD)[:, None]

    expected, recent = on[:, weekdays] & seen, instants >= until_ns - _RECENT_NS
    explained = hit & on[nearest, weekdays[day - first]]
    is_recent = arrivals >= max(until_ns, int(arrivals[-1])) - _RECENT_NS
    judged = expected & recent & active
    if not judged.any() or (kept & judged).sum() < _KEPT * judged.sum():
        return None
    if explained[is_recent].sum() < _EXPLAINED * is_recent.sum():
        return None
    misses = int((expected & active & ~kept).sum())
    is_used = on.any(axis=1)
    seconds, usual = (slots + cut)[is_used], on[is_used]
    turned = seconds // _DAY_S  # -1: of the day before, 1: of the day after
    days_on = [
        frozenset(int(w + t + monday + 3) % 7 for w in np.flatnonzero(row)) for row, t in zip(usual, turned, strict=True)
    ]
    order = np.argsort(seconds % _DAY_S, kind="stable")
    times = seconds % _DAY_S
    return tuple(int(times[i]) for i in order), tuple(days_on[i] for i in order), grace, int(explained.sum()), misses


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
    counts = np.bincount(seconds // bin_, minlength=_DAY_S // bin_)
    around = sum(np.roll(counts, k) for k in range(-3, 4))
    reach = max(1, min(every // 2, 1800) // bin_)
    padded = np.concatenate([around[-reach:], around, around[:reach]])
    most = np.lib.stride_tricks.sliding_window_view(padded, 2 * reach + 1).max(axis=1)
    is_slot = around >= np.maximum(_LEAST_TOGETHER, _TAIL * most)
    near = begins % _DAY_S // bin_ - np.arange(reach + 1)
    cut = int(near[around[near % around.size].argmin()]) * bin_
    return np.repeat(is_slot, bin_), (cut + _DAY_S // 2) % _DAY_S - _DAY_S // 2


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


def expected(c: Slots, clock: Clock, from_ns: int, to_ns: int) -> tuple[Ints, Ints]:
    """Return the slots in [*from_ns*, *to_ns*), ascending, and when the clock shows each for the last time.

    A time that the clock skips is no slot.
    """
    low, high = (at + c.frame_ns + int(clock.shift(np.array([at]))[0]) for at in (from_ns, to_ns))
    days = np.arange(low // DAY_NS - 1, high // DAY_NS + 2)
    on = np.zeros((len(c.seconds), 7), np.bool_)
    for i, weekdays in enumerate(c.days):
        on[i, list(weekdays)] = True
    day, slot = np.nonzero(on.T[(days + 3) % 7])
    shown = days[day] * DAY_NS + np.array(c.seconds, np.int64)[slot] * SECOND_NS - c.frame_ns
    first, last = clock.instants(shown)
    inside = (first >= from_ns) & (first < to_ns)
    order = np.argsort(first[inside], kind="stable")
    return first[inside][order], last[inside][order]


def deviations(c: Slots, arrivals: Ints, from_ns: int, to_ns: int) -> list[Deviation]:
    """Return what was not kept on the clock by which most was; nothing where nothing was due on one of these."""
    told = [
        (*_by(s, clock, arrivals, from_ns, to_ns), c.zone not in clock.zones)
        for s in (c, *c.also)
        for clock in wall.clocks(s.zones, min(from_ns, c.reference_ns) - DAY_NS, to_ns, c.reference_ns)
    ]
    most = max(kept for _, kept, _ in told)
    alike = [(is_other, off) for off, kept, is_other in told if kept == most]
    if most:
        return min(alike, key=lambda t: (len(t[1]), t[0]))[1]
    # None came at all: on whichever clock they were due, the report's is the one to tell it by.
    return [] if any(not off for _, off in alike) else min(alike, key=lambda t: (t[0], len(t[1])))[1]


def _by(c: Slots, clock: Clock, arrivals: Ints, from_ns: int, to_ns: int) -> tuple[list[Deviation], int]:
    """Return what was not kept by one clock, and how many slots were."""
    slots, again = expected(c, clock, from_ns - DAY_NS, to_ns)
    if not slots.size:
        return [], 0
    low = np.searchsorted(arrivals, slots - c.grace_ns, "left")
    high = np.searchsorted(arrivals, slots + c.grace_ns, "right")
    came = high - low
    twice = again != slots
    if twice.any():  # of a time that comes twice either will do
        second = np.searchsorted(arrivals, again + c.grace_ns, "right") - np.searchsorted(
            arrivals, again - c.grace_ns, "left"
        )
        came = np.where(twice, np.minimum(came + second, 1), came)
    is_missing, n = came == 0, int(((came > 0) & (slots >= from_ns)).sum())
    if not (is_missing.any() or (came > 1).any()):
        return [], n
    is_extra = np.ones(arrivals.size, np.bool_)
    is_extra[low[high > low]] = False
    late, double = _late(slots, is_missing, arrivals[is_extra], c.grace_ns)
    unsure, jumps = clock.unsure(), clock.jumps()

    def is_judged(slot: int) -> bool:
        return slot >= from_ns and slot + c.grace_ns < to_ns

    told = [
        Deviation(what, int(slots[i]), came_ns)
        for what, some in (("late", late), ("double", double))
        for i, came_ns in some.items()
        if is_judged(int(slots[i])) and not any(a - c.grace_ns <= slots[i] < b for a, b in unsure)
    ]
    told += [
        Deviation("missed", int(slots[i]), None)
        for i in np.flatnonzero(is_missing)
        if int(i) not in late and is_judged(int(slots[i])) and int(slots[i]) not in jumps
    ]
    return sorted(told, key=lambda d: (d.slot_ns, d.what)), n


def _late(slots: Ints, is_missing: Bools, extra: Ints, grace_ns: int) -> tuple[dict[int, int], dict[int, int]]:
    """Return (late, double): when the late run, or the second one, of a slot's index came.

    A run that no slot is there for is that of the slot before, if it is missing; if not, of the last missing one of
    those just before: a backlog that is worked off.
    """
    late: dict[int, int] = {}
    double: dict[int, int] = {}
    missing = set(np.flatnonzero(is_missing).tolist())
    before = np.searchsorted(slots, extra + grace_ns, "right") - 1
    for i, at in zip(before.tolist(), extra.tolist(), strict=True):
        if i < 0:
            continue
        if i in missing:
            until = int(slots[i + 1]) if i + 1 < slots.size else int(slots[i]) + DAY_NS
            if at < slots[i] + (until - slots[i]) // 2:
                late[i] = at
                missing.discard(i)
            continue
        j = i - 1
        while j in late:
            j -= 1
        if j in missing:
            late[j] = at
            missing.discard(j)
        elif i not in late and at - slots[i] <= grace_ns:
            double.setdefault(i, at)
    return late, double


def blocks(c: Slots) -> list[tuple[int, int, int]]:
    """Return (first, last, every) of stretches of slots at equal distances, in seconds of the day."""
    steps = [b - a for a, b in pairwise(c.seconds)]
    if len(steps) < 3:
        return []
    every = int(np.median(steps))
    out: list[tuple[int, int, int]] = []
    begin = c.seconds[0]
    for a, b in pairwise((*c.seconds, c.seconds[-1] + 2 * _DAY_S)):
        if b - a != every:
            out.append((begin, a, every))
            begin = b
    if len(out) > 1 and out[0][0] + _DAY_S - out[-1][1] == every:
        out = [*out[1:-1], (out[-1][0], out[0][1], every)]
    return out
