"""Runs of a schedule that did not come, came late, or came twice."""

from __future__ import annotations

from abc import abstractmethod
from dataclasses import dataclass
from typing import Literal

from collector.analyse.anomalies import timetable
from collector.analyse.anomalies.schedules import Deviation, Interval, Slots
from collector.model.report import Kind
from collector.model.shown import count, duration
from collector.model.units import DAY_NS, HOUR_NS, MINUTE_NS, SECOND_NS
from collector.model.verdict import local, moment
from collector.report.found import Found, Off
from collector.report.kinds.kind import AnomalyKind, Part

_DAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")


@dataclass(frozen=True, slots=True, kw_only=True)
class Scheduled(AnomalyKind):
    """Scheduled runs of which some were not kept."""

    deviation: Literal["missed", "late", "double"]
    """As `schedules.deviations` calls it."""
    is_all: bool = True
    says_end: bool = True
    back_ns: int = 2 * DAY_NS
    again_ns: int = 27 * HOUR_NS  # a schedule may have one run a day

    def what(self, found: Found, zone: str) -> str:
        f = found.of(Off)
        cadence = f"From {count(f.cadence.n)} runs before it is known to run {pace(f.cadence)}."
        if isinstance(f.cadence, Slots) and timetable.is_unsure(f.cadence, found.from_ns - DAY_NS, found.to_ns):
            cadence += " Whose clock it keeps is not known."
        return self.describe(f, cadence, zone)

    @abstractmethod
    def describe(self, off: Off, cadence: str, zone: str) -> str:
        """Return what was *off*, beside the sentence about the *cadence*."""

    def baseline(self, found: Found) -> str:
        return "The cadence of the task's own arrivals before the period"

    def threshold(self, found: Found) -> str:
        return f"More than {duration(found.of(Off).cadence.grace_ns)} away from its time"


@dataclass(frozen=True, slots=True, kw_only=True)
class Missed(Scheduled):
    """Runs that did not come."""

    def title(self, found: Found, name: str, zone: str) -> str:
        f = found.of(Off)
        n = len(f.off)
        return (
            f"{name} did not run at {_clock(f.off[0].slot_ns, zone)}"
            if n == 1
            else f"{name} missed {n} of {f.slots} scheduled runs"
        )

    def describe(self, off: Off, cadence: str, zone: str) -> str:
        first, last = off.off[0].slot_ns, off.off[-1].slot_ns
        if len(off.off) > 1:
            return f"Missing are {_clock(first, zone)} to {_clock(last, zone)}. {cadence}"
        return f"{cadence} Nothing came within {duration(off.cadence.grace_ns)} of {moment(first, zone)}."


@dataclass(frozen=True, slots=True, kw_only=True)
class Late(Scheduled):
    """Runs that came late."""

    def title(self, found: Found, name: str, zone: str) -> str:
        off = found.of(Off).off
        most = duration(max((d.came_ns or d.slot_ns) - d.slot_ns for d in off))
        return f"{name} ran {most} late" if len(off) == 1 else f"{len(off)} runs of {name} came late, up to {most}"

    def describe(self, off: Off, cadence: str, zone: str) -> str:
        return f"{cadence} The run of {_clock(off.off[0].slot_ns, zone)} came at {_came(off.off[0], zone)}."


@dataclass(frozen=True, slots=True, kw_only=True)
class Double(Scheduled):
    """Runs that came twice."""

    def title(self, found: Found, name: str, zone: str) -> str:
        off = found.of(Off).off
        return f"{name} ran twice {f'at {_clock(off[0].slot_ns, zone)}' if len(off) == 1 else f'{len(off)} times'}"

    def describe(self, off: Off, cadence: str, zone: str) -> str:
        return f"{cadence} Another run came at {_came(off.off[0], zone)}."


def _clock(ns: int, zone: str) -> str:
    return f"{local(ns, zone):%H:%M}"


def _came(off: Deviation, zone: str) -> str:
    return _clock(off.came_ns, zone) if off.came_ns is not None else ""


def pace(cadence: Interval | Slots) -> str:
    """Return a cadence in words."""
    if isinstance(cadence, Interval):
        return f"every {duration(_whole(cadence.every_ns))}{_in_hours(cadence)}"
    on = _on(frozenset().union(*cadence.days))
    blocks = timetable.blocks(cadence)
    if blocks and 4 * len(blocks) <= len(cadence.seconds):
        every = duration(blocks[0][2] * SECOND_NS)
        between = " and ".join(f"between {_time(first)} and {_time(last)}" for first, last, _ in blocks[:2])
        is_always = len(blocks) == 1 and blocks[0][1] - blocks[0][0] + blocks[0][2] == DAY_NS // SECOND_NS
        times = f"every {every}" if is_always else f"every {every} {between}{' …' if len(blocks) > 2 else ''}"
        return f"{times}, {on} ({cadence.zone})"
    times = ", ".join(_time(s) for s in cadence.seconds[:4])
    return f"{on} at {times}{' …' if len(cadence.seconds) > 4 else ''} ({cadence.zone})"


def _time(seconds: int) -> str:
    return f"{seconds // 3600:02d}:{seconds % 3600 // 60:02d}"


def _in_hours(cadence: Interval) -> str:
    """Return the hours in which an interval is kept, where they are the same on all its days."""
    if cadence.is_always:
        return ""
    days, hours = {h // 24 for h in cadence.hours}, sorted({h % 24 for h in cadence.hours})
    is_block = len(days) * len(hours) == len(cadence.hours) and hours[-1] - hours[0] == len(hours) - 1
    if not is_block:
        return " in the hours in which it usually does"
    between = "" if len(hours) == 24 else f" between {hours[0]:02d}:00 and {hours[-1] + 1:02d}:00"
    return f"{between}, {_on(frozenset(days))} ({cadence.zone})"


def _on(days: frozenset[int]) -> str:
    return "every day" if len(days) == 7 else "Monday to Friday" if days == frozenset(range(5)) else _listed(days)


def _whole(ns: int) -> int:
    """Return an interval to the second where it is a minute or more: arrivals come a moment early or late."""
    return round(ns / 10**9) * 10**9 if ns >= MINUTE_NS else ns


def _listed(days: frozenset[int]) -> str:
    return "on " + ", ".join(_DAYS[d] for d in sorted(days))


MISSED_RUN = Missed(
    kind=Kind.MISSED_RUN,
    deviation="missed",
    brief=("scheduled runs of ", "missing", "missing"),
    rank=40,
    explains=(Kind.VOLUME, Kind.LATE_RUN, Kind.SILENCE),
    is_sure=True,
)
LATE_RUN = Late(
    kind=Kind.LATE_RUN,
    deviation="late",
    brief=("runs of ", "late", "late"),
    part=Part.TASK,
)
DOUBLE_RUN = Double(
    kind=Kind.DOUBLE_RUN,
    deviation="double",
    brief=("runs of ", "twice at a time", "twice at a time"),
    rank=50,
    explains=(Kind.VOLUME,),
    is_sure=True,
)
KINDS = (MISSED_RUN, LATE_RUN, DOUBLE_RUN)
