"""Scheduled runs that did not come, came late or came twice, from the cadence of a task's own arrivals.

A cadence is learnt, not stated: either a fixed interval, or times of the day on the wall clock of a zone (with the days
of the week on which they occur). Clock changes: a wall-clock slot that does not exist runs right after the jump, one
that comes twice runs once; where history cannot tell local time from UTC, an arrival at either is on time.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, timedelta
from itertools import pairwise
from statistics import median
from zoneinfo import ZoneInfo

from collector.model.units import DAY_NS, HOUR_NS, MINUTE_NS

LEAST_GAPS = 8
"""Fewest gaps between arrivals to take them for an interval."""
LEAST_TIMES = 5
"""Fewest arrivals at one time of the day to take it for a slot; of a weekday, `LEAST_WEEKS`."""
LEAST_WEEKS = 3
REGULAR = 0.9
"""Share of gaps (or days) that has to keep to a cadence."""
_NEAR = 0.25
_MOST_SLOTS = 24
_LEAST_GRACE_NS = 2 * MINUTE_NS
_TOGETHER_S = 900
_NEAR_MINUTE_S = 10


@dataclass(frozen=True, slots=True)
class Interval:
    """A run every `every_ns`, within `grace_ns`."""

    every_ns: int
    grace_ns: int
    n: int
    """Arrivals it was learnt from."""
    zone: str
    """Whose clock changes may lengthen or shorten one interval: every six hours on the wall clock is seven once."""


@dataclass(frozen=True, slots=True)
class Slots:
    """Runs at times of the day: (seconds after local midnight, days of the week, Monday 0)."""

    times: tuple[tuple[int, frozenset[int]], ...]
    zone: str
    also: Slots | None
    """The same on UTC's clock where history fits both; what is on time on either is on time."""
    grace_ns: int
    n: int


@dataclass(frozen=True, slots=True)
class Deviation:
    """A slot that was not kept. *what*: missed, late, double; *came_ns*: when it (or the second one) did come."""

    what: str
    slot_ns: int
    came_ns: int | None


def learn(arrivals: Sequence[int], zone: str) -> Interval | Slots | None:
    """Return the cadence of *arrivals* (ns, ascending), None where they keep none. *zone*: IANA name."""
    gaps = [b - a for a, b in pairwise(arrivals)]
    if len(gaps) < LEAST_WEEKS:
        return None
    every = int(median(gaps))
    if every <= 0:
        return None
    if every <= 12 * HOUR_NS:
        return _interval(arrivals, gaps, every, zone)
    return _slots(arrivals, zone)


def _interval(arrivals: Sequence[int], gaps: list[int], every: int, zone: str) -> Interval | None:
    if len(gaps) < LEAST_GAPS:
        return None
    off = []
    for gap in gaps:
        turns = round(gap / every)
        off.append(abs(gap - max(turns, 1) * every))
    near = sorted(o for o in off if o <= _NEAR * every)
    if len(near) < REGULAR * len(gaps):
        return None
    usual = near[min(len(near) - 1, round(0.99 * len(near)))]
    grace = min(every // 2, max(_LEAST_GRACE_NS, 3 * usual, every // 10))
    return Interval(every, grace, len(arrivals), zone)


def _slots(arrivals: Sequence[int], zone: str) -> Slots | None:
    fits = [slots for name in dict.fromkeys([zone, "UTC"]) if (slots := _in_zone(arrivals, name)) is not None]
    if not fits:
        return None
    best, *others = sorted(fits, key=lambda f: (-f.n, f.grace_ns))
    return replace(best, also=others[0] if others else None)


def _in_zone(arrivals: Sequence[int], zone: str) -> Slots | None:
    local = [datetime.fromtimestamp(ns / 1e9, ZoneInfo(zone)) for ns in arrivals]
    seconds = [t.hour * 3600 + t.minute * 60 + t.second for t in local]
    order = sorted(range(len(local)), key=lambda i: seconds[i])
    groups: list[list[int]] = []
    for i in order:
        if groups and seconds[i] - seconds[groups[-1][-1]] <= _TOGETHER_S:
            groups[-1].append(i)
        else:
            groups.append([i])
    if len(groups) > _MOST_SLOTS:
        return None
    first, last = local[0].date(), local[-1].date()
    times, spread, regular = [], 0, 0
    for group in groups:
        days = {local[i].date() for i in group}
        on = _days_of_week(days, first, last)
        if not on:
            continue
        at = _rounded(median(seconds[i] for i in group))
        spread = max(spread, *(abs(seconds[i] - at) for i in group))
        times.append((at, on))
        regular += len(group)
    if not times or regular < REGULAR * len(arrivals) or spread > _TOGETHER_S:
        return None
    grace = max(_LEAST_GRACE_NS, 3 * spread * 10**9, 5 * MINUTE_NS)
    return Slots(tuple(times), zone, None, grace, regular)


def _rounded(seconds: float) -> int:
    """Return a time of the day to the minute, where it is as good as that: schedules are written in minutes."""
    minute = round(seconds / 60) * 60
    return minute % 86_400 if abs(seconds - minute) <= _NEAR_MINUTE_S else int(seconds)


def _days_of_week(days: set[date], first: date, last: date) -> frozenset[int]:
    """Return the days of the week on which nearly all of the days from *first* to *last* are among *days*."""
    on = set()
    counted = 0
    for weekday in range(7):
        every = [
            first + timedelta(days=d)
            for d in range((last - first).days + 1)
            if (first + timedelta(days=d)).weekday() == weekday
        ]
        seen = sum(d in days for d in every)
        if every and seen >= 0.75 * len(every) and seen:
            on.add(weekday)
            counted += seen
    if len(on) >= LEAST_TIMES and counted >= LEAST_TIMES:
        return frozenset(on)
    return frozenset(on) if on and counted >= LEAST_WEEKS * len(on) else frozenset()


def deviations(
    cadence: Interval | Slots,
    arrivals: Sequence[int],
    *,
    from_ns: int,
    to_ns: int,
    gaps: Sequence[tuple[int, int]] = (),
) -> list[Deviation]:
    """Return what was not kept in [*from_ns*, *to_ns*); *arrivals*: of that time and about a day before.

    A slot counts once its grace is over. Slots in *gaps* are not judged.
    """
    if isinstance(cadence, Interval):
        deviating = _of_interval(cadence, arrivals, from_ns, to_ns)
    else:
        clocks = [cadence, *([cadence.also] if cadence.also else [])]
        deviating = min((_of_slots(c, arrivals, from_ns, to_ns) for c in clocks), key=len)
    return [d for d in deviating if not any(a - cadence.grace_ns <= d.slot_ns < b for a, b in gaps)]


def _of_interval(c: Interval, arrivals: Sequence[int], from_ns: int, to_ns: int) -> list[Deviation]:
    deviating = []
    came = [a for a in arrivals if a < to_ns]
    for before, after in pairwise(came):
        if after < from_ns:
            continue
        gap = _fairest(before, after, c)
        if gap < _NEAR * c.every_ns:
            deviating.append(Deviation("double", before, after))
            continue
        turns = round(gap / c.every_ns)
        missed = [before + c.every_ns * k for k in range(1, turns)]
        deviating += [Deviation("missed", slot, None) for slot in missed if slot >= from_ns]
        late = gap - max(turns, 1) * c.every_ns
        if late > c.grace_ns:
            deviating.append(Deviation("late", after - late, after))
    if came:
        slot = came[-1] + c.every_ns
        while slot + c.grace_ns < to_ns:
            if slot >= from_ns:
                deviating.append(Deviation("missed", slot, None))
            slot += c.every_ns
    return sorted(deviating, key=lambda d: (d.slot_ns, d.what))


def _fairest(before: int, after: int, c: Interval) -> int:
    """Return the gap between two arrivals in real or in local time, whichever is nearer to whole intervals."""
    real = after - before
    if abs(real - max(1, round(real / c.every_ns)) * c.every_ns) <= c.grace_ns:
        return real
    shift = _offset(c.zone, _moment(after)) - _offset(c.zone, _moment(before))
    local = real + int(shift.total_seconds()) * 10**9
    return min((real, local), key=lambda gap: abs(gap - max(1, round(gap / c.every_ns)) * c.every_ns))


def _of_slots(c: Slots, arrivals: Sequence[int], from_ns: int, to_ns: int) -> list[Deviation]:
    deviating = []
    slots = expected(c, from_ns - DAY_NS, to_ns)
    taken: set[int] = set()
    for i, slot in enumerate(slots):
        until = slots[i + 1] if i + 1 < len(slots) else slot + DAY_NS
        near = _between(arrivals, slot - c.grace_ns, slot + c.grace_ns + 1, taken)
        late = _between(arrivals, slot + c.grace_ns + 1, slot + (until - slot) // 2, taken)
        taken.update(near)
        if slot < from_ns or slot + c.grace_ns >= to_ns:
            continue
        if len(near) > 1:
            deviating.append(Deviation("double", slot, near[1]))
        elif not near and late:
            taken.add(late[0])
            deviating.append(Deviation("late", slot, late[0]))
        elif not near:
            deviating.append(Deviation("missed", slot, None))
    return deviating


def _between(arrivals: Sequence[int], low: int, high: int, taken: set[int]) -> list[int]:
    return [a for a in arrivals[bisect_left(arrivals, low) : bisect_left(arrivals, high)] if a not in taken]


def expected(c: Slots, from_ns: int, to_ns: int) -> list[int]:
    """Return the slots in [*from_ns*, *to_ns*), ascending; of a time that the clock skips, right after the jump."""
    zone = ZoneInfo(c.zone)
    day = datetime.fromtimestamp(from_ns / 1e9, zone).date() - timedelta(days=1)
    last = datetime.fromtimestamp(to_ns / 1e9, zone).date() + timedelta(days=1)
    instants = set()
    while day <= last:
        for seconds, days in c.times:
            if day.weekday() in days:
                instants.add(_instant(day, seconds, zone))
        day += timedelta(days=1)
    return sorted(s for s in instants if from_ns <= s < to_ns)


def _moment(ns: int) -> datetime:
    return datetime.fromtimestamp(ns / 1e9, UTC)


def _offset(zone: str, at: datetime) -> timedelta:
    return at.astimezone(ZoneInfo(zone)).utcoffset() or timedelta(0)


def _instant(day: date, seconds: int, zone: ZoneInfo) -> int:
    local = datetime(day.year, day.month, day.day, tzinfo=zone) + timedelta(seconds=seconds)
    instant = local.astimezone(UTC)
    back = instant.astimezone(zone)
    if back.replace(tzinfo=None) != local.replace(tzinfo=None):  # skipped by the clock: right after the jump
        low, high = instant - timedelta(hours=3), instant
        while high - low > timedelta(seconds=1):
            middle = low + (high - low) / 2
            if middle.astimezone(zone).utcoffset() == low.astimezone(zone).utcoffset():
                low = middle
            else:
                high = middle
        instant = high.replace(microsecond=0)
    return int(instant.timestamp()) * 10**9
