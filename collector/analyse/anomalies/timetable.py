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

from collector.analyse.anomalies import folding, wall
from collector.analyse.anomalies.deviation import Deviation
from collector.analyse.anomalies.folding import DAY_S
from collector.analyse.anomalies.wall import Bools, Clock, Ints
from collector.model.units import DAY_NS, HOUR_NS, SECOND_NS

_AS_GOOD = 0.99
"""Share of the best fold with which another clock's is looked at, beside the report's and UTC."""
_MOST_CLOCKS = 3
_OFTEN_NS = 2 * HOUR_NS
"""Between slots up to so far apart all runs are late ones; of others half way to the next one is."""
_ABOUT, _ABOUT_SHARE = 1.5, 0.001
"""Runs, and share of runs, by which a clock may explain fewer and still be as good as the best."""


@dataclass(frozen=True, slots=True)
class Slots:
    """Runs at times of the day. *seconds*: after local midnight, ascending; *days*: of each, those of the week."""

    seconds: tuple[int, ...]
    days: tuple[frozenset[int], ...]
    zone: str
    """Zone of the day and its hours: the report's or UTC, if they fit, else one whose clock moved as the runs did."""
    home: str
    """The report's zone."""
    zones: tuple[str, ...]
    """All that fit as well, as far as history can tell."""
    reference_ns: int
    frame_ns: int
    """What the clock was ahead of UTC at the reference."""
    also: tuple[Slots, ...]
    """Others that fit history as well; what is on time by one of them is on time."""
    grace_ns: int
    n: int


def learn(arrivals: Ints, zone: str, gaps: Sequence[tuple[int, int]], until_ns: int) -> Slots | None:
    """Return the times of the day that *arrivals* (ascending) keep on the clock that fits best; None for none."""
    reference = int(arrivals[-1])
    zones = (zone, *(z for z in ("UTC", *wall.every_zone()) if z != zone))
    alike: dict[tuple[tuple[int, int], ...], tuple[Clock, list[str]]] = {}
    for clock in wall.clocks(zones, int(arrivals[0]), until_ns, reference):
        before = np.searchsorted(arrivals, np.array(clock.changes, np.int64)).tolist()
        steps = zip(before, np.diff(clock.shifts).tolist(), strict=True)
        seen = tuple(step for step in steps if 0 < step[0] < arrivals.size)
        alike.setdefault(seen, (clock, []))[1].extend(clock.zones)
    clocks = list(alike.values())
    if len(clocks) > 1:
        scores = [_together(clock.local(arrivals)) for clock, _ in clocks]
        best_score = max(scores)
        near = sorted(zip(scores, range(len(scores)), strict=True), key=lambda s: (-s[0], s[1]))[:_MOST_CLOCKS]
        chosen = {i for score, i in near if score >= _AS_GOOD * best_score}
        chosen |= {i for i, (_, names) in enumerate(clocks) if {zone, "UTC"} & set(names)}
        clocks = [clocks[i] for i in sorted(chosen)]
    fits = []
    for clock, names in clocks:
        name = wall.called(names, zone)
        frame = wall.offset_ns(name, reference)
        f = folding.fold(arrivals, clock, frame, gaps, until_ns)
        if f is not None:
            slots = Slots(f.seconds, f.days, name, zone, tuple(names), reference, frame, (), f.grace_ns, f.n)
            fits.append((f.n - f.missed, slots))
    if not fits:
        return None
    fits.sort(key=lambda f: (-f[0], f[1].zone != zone, f[1].zone))
    best, *others = [fit for value, fit in fits if value >= fits[0][0] - _ABOUT - _ABOUT_SHARE * len(arrivals)]
    return replace(best, also=tuple(others))


def _together(local: Ints) -> float:
    """Return how much arrivals keep to few minutes of the day."""
    counts = np.bincount(local // (60 * SECOND_NS) % 1440).astype(np.float64)
    return float((counts**2).sum())


def expected(c: Slots, clock: Clock, from_ns: int, to_ns: int) -> tuple[Ints, Ints, bool]:
    """Return the slots in [*from_ns*, *to_ns*), ascending, and when the clock shows each for the last time.

    A time that the clock skips is no slot; whether it does so is told beside them.
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
    about = shown - clock.shift(np.array([to_ns]))
    skips = bool(((first < 0) & (about >= from_ns) & (about < to_ns)).any())
    return first[inside][order], last[inside][order], skips


def deviations(c: Slots, arrivals: Ints, from_ns: int, to_ns: int) -> list[Deviation]:
    """Return what was not kept on the clock by which most was; nothing where nothing was due on one of these."""
    told = [
        (*_by(s, clock, arrivals, from_ns, to_ns), c.home not in clock.zones)
        for s in (c, *c.also)
        for clock in wall.clocks(s.zones, min(from_ns, c.reference_ns) - DAY_NS, to_ns, c.reference_ns)
    ]
    most = max(kept for _, kept, _, _ in told)
    alike = [(is_other, off, skips) for off, kept, skips, is_other in told if kept == most]
    if most:
        return min(alike, key=lambda t: (len(t[1]), t[0]))[1]
    # None came at all: on whichever clock they were due, the report's is the one to tell it by.
    return (
        [] if any(not off and not skips for _, off, skips in alike) else min(alike, key=lambda t: (t[0], len(t[1])))[1]
    )


def _by(c: Slots, clock: Clock, arrivals: Ints, from_ns: int, to_ns: int) -> tuple[list[Deviation], int, bool]:
    """Return what was not kept by one clock, how many slots were, and whether it skips any."""
    slots, again, skips = expected(c, clock, from_ns - DAY_NS, to_ns)
    if not slots.size:
        return [], 0, skips
    low = np.searchsorted(arrivals, slots - c.grace_ns, "left")
    high = np.searchsorted(arrivals, slots + c.grace_ns, "right")
    came = high - low
    is_now = slots >= from_ns
    n = int(((came > 0) & is_now).sum())
    twice = again != slots
    if twice.any():  # of a time that comes twice either will do, and both may be kept
        last = np.searchsorted(arrivals, again + c.grace_ns, "right")
        second = last - np.searchsorted(arrivals, again - c.grace_ns, "left")
        n += int((twice & (second > 0) & is_now).sum())
        came = np.where(twice, np.minimum(came + second, 1), came)
    is_missing = came == 0
    if not (is_missing.any() or (came > 1).any()):
        return [], n, skips
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
    return sorted(told, key=lambda d: (d.slot_ns, d.what)), n, skips


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
            apart = int(slots[i + 1] - slots[i]) if i + 1 < slots.size else DAY_NS
            if at < slots[i] + (apart - grace_ns if apart <= _OFTEN_NS else apart // 2):
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
    for a, b in pairwise((*c.seconds, c.seconds[-1] + 2 * DAY_S)):
        if b - a != every:
            out.append((begin, a, every))
            begin = b
    if len(out) > 1 and out[0][0] + DAY_S - out[-1][1] == every:
        out = [*out[1:-1], (out[-1][0], out[0][1], every)]
    return out


def is_unsure(c: Slots, from_ns: int, to_ns: int) -> bool:
    """Tell whether clocks that fit history were set apart since, so that nobody knows when slots were due."""
    return bool(c.also) or len(wall.clocks(c.zones, max(from_ns, c.reference_ns), to_ns, c.reference_ns)) > 1
