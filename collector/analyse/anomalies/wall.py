"""Wall clocks as far as arrivals can tell them apart: by when they are set back or forth, and by how much.

Zones that keep their offset all the time are one clock, and so are those that change it at the same moment. A clock
is relative: it shows what UTC did at a reference, and what it was set by before or since.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import lru_cache
from zoneinfo import ZoneInfo, available_timezones

import numpy as np
import numpy.typing as npt

from collector.model.units import DAY_NS, HOUR_NS, MINUTE_NS, SECOND_NS

Ints = npt.NDArray[np.int64]
Bools = npt.NDArray[np.bool_]
_WEEK_NS = 7 * DAY_NS
_KNOWN = ("Europe/Berlin", "America/New_York", "America/Chicago", "America/Los_Angeles", "Australia/Sydney")
"""Whom zones that change alike are called after, where none of them is the report's."""


@dataclass(frozen=True, slots=True)
class Clock:
    """What all of *zones* show: *shifts* has one more than *changes*, both in ns."""

    zones: tuple[str, ...]
    changes: tuple[int, ...]
    shifts: tuple[int, ...]

    def local(self, at: Ints) -> Ints:
        """Return what the clock shows at instants."""
        return at + self.shift(at)

    def shift(self, at: Ints) -> Ints:
        """Return by how much it is set at instants, against the reference."""
        out: Ints = np.array(self.shifts, np.int64)[np.searchsorted(np.array(self.changes, np.int64), at, "right")]
        return out

    def instants(self, local: Ints) -> tuple[Ints, Ints]:
        """Return when it shows *local*: the first and the last time; -1 where it skips it."""
        first, last = np.full(local.shape, -1, np.int64), np.full(local.shape, -1, np.int64)
        edges = [np.iinfo(np.int64).min, *self.changes, np.iinfo(np.int64).max]
        for shift, low, high in zip(self.shifts, edges[:-1], edges[1:], strict=True):
            at = local - shift
            is_shown = (at >= low) & (at < high)
            first = np.where(is_shown & (first < 0), at, first)
            last = np.where(is_shown, at, last)
        return first, last

    def unsure(self) -> list[tuple[int, int]]:
        """Return the stretches around changes in which cron implementations do different things."""
        steps = zip(self.changes, self.shifts[:-1], self.shifts[1:], strict=True)
        return [(at - abs(b - a), at + abs(b - a)) for at, a, b in steps]

    def jumps(self) -> set[int]:
        """Return the moments to which it was set forth by a part of an hour: what is due then, some leave out."""
        steps = zip(self.changes, self.shifts[:-1], self.shifts[1:], strict=True)
        return {at for at, a, b in steps if b > a and (b - a) % HOUR_NS}


def offset_ns(zone: str, at_ns: int) -> int:
    """Return how far the clock of *zone* is ahead of UTC."""
    return _offset_s(ZoneInfo(zone), at_ns // SECOND_NS) * SECOND_NS


def every_zone() -> tuple[str, ...]:
    """Return all zones that there are."""
    return _every_zone()


@lru_cache(1)
def _every_zone() -> tuple[str, ...]:
    return tuple(sorted(z for z in available_timezones() if "/" in z and not z.startswith(("Etc/", "posix", "right"))))


def clocks(zones: tuple[str, ...], from_ns: int, to_ns: int, reference_ns: int) -> tuple[Clock, ...]:
    """Return the clocks that differ from the week of *from_ns* to *to_ns*, each with those of *zones* that keep it.

    Until *to_ns*, and until the reference.
    """
    return _clocks(zones, min(from_ns, reference_ns) // _WEEK_NS, max(to_ns, reference_ns), reference_ns)


@lru_cache(64)
def _clocks(zones: tuple[str, ...], first_week: int, to_ns: int, reference_ns: int) -> tuple[Clock, ...]:
    weeks = range(first_week, to_ns // _WEEK_NS + 1)
    steps: dict[str, list[tuple[int, int]]] = {}
    for week in weeks:
        for zone, step in _changes(week).items():
            steps.setdefault(zone, []).append(step)
    alike: dict[tuple[tuple[int, ...], tuple[int, ...]], list[str]] = {}
    for zone in zones:
        inside = [(at, by) for at, by in steps.get(zone, []) if at < to_ns]
        sums = [0]
        for _, by in inside:
            sums.append(sums[-1] + by)
        now = sums[sum(at <= reference_ns for at, _ in inside)]
        alike.setdefault((tuple(at for at, _ in inside), tuple(s - now for s in sums)), []).append(zone)
    return tuple(Clock(tuple(names), at, shifts) for (at, shifts), names in alike.items())


def called(zones: Iterable[str], zone: str) -> str:
    """Return the name to call *zones* by: that of the report's *zone*, UTC, or one that is known."""
    names = set(zones)
    return next((z for z in (zone, "UTC", *_KNOWN) if z in names), min(names, default="UTC"))


@lru_cache(512)
def _changes(week: int) -> dict[str, tuple[int, int]]:
    """Return (when, by how much) for the zones whose clock is set in a week since 1970."""
    low, high = week * _WEEK_NS, (week + 1) * _WEEK_NS
    out = {}
    seen: dict[tuple[int, int, int], int] = {}
    for name in ("UTC", *_every_zone()):
        zone = ZoneInfo(name)
        before, after = _offset_s(zone, low // SECOND_NS), _offset_s(zone, high // SECOND_NS)
        if before != after:
            out[name] = (_when(zone, low, high, seen), (after - before) * SECOND_NS)
    return out


def _when(zone: ZoneInfo, low: int, high: int, seen: dict[tuple[int, int, int], int]) -> int:
    first = _offset_s(zone, low // SECOND_NS)
    for at in set(seen.values()):
        if _offset_s(zone, at // SECOND_NS - 1) == first != _offset_s(zone, at // SECOND_NS):
            return at
    begin = low
    while high - low > MINUTE_NS:
        middle = (low + high) // (2 * MINUTE_NS) * MINUTE_NS
        low, high = (middle, high) if _offset_s(zone, middle // SECOND_NS) == first else (low, middle)
    seen[begin, first, high] = high
    return high


def _offset_s(zone: ZoneInfo, second: int) -> int:
    offset = datetime.fromtimestamp(second, UTC).astimezone(zone).utcoffset()
    return round(offset.total_seconds()) if offset is not None else 0
