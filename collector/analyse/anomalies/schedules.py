"""Scheduled runs that did not come, came late or came twice, from the cadence of a task's own arrivals.

A cadence is learnt, not stated: times of the day on a wall clock (`timetable`), with the days of the week on which
they are kept, or an interval from run to run (`intervals`), with the hours in which it is kept. What history leaves
open is not expected.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from collector.analyse.anomalies import intervals, timetable
from collector.analyse.anomalies.deviation import Deviation
from collector.analyse.anomalies.intervals import Interval
from collector.analyse.anomalies.timetable import Slots
from collector.model.units import DAY_NS, HOUR_NS, MINUTE_NS

__all__ = ["Deviation", "Interval", "Slots", "deviations", "learn"]

LEAST_ARRIVALS = 4
_SHORT_NS = 30 * MINUTE_NS
"""Intervals up to which no clock is ever set by a part of one: they need no wall clock."""
_HOURLY = {24 // h for h in (1, 2, 3, 4, 6, 8, 12, 24)}
_EXACT = 0.01

Gaps = Sequence[tuple[int, int]]


def learn(
    arrivals: Sequence[int], zone: str, *, gaps: Gaps = (), until_ns: int | None = None
) -> Interval | Slots | None:
    """Return the cadence of *arrivals* (ns, ascending), None where they keep none.

    *zone*: IANA name of the report's; *gaps*: when nobody sent; *until_ns*: up to when arrivals would be known.
    """
    if len(arrivals) < LEAST_ARRIVALS:
        return None
    at = np.asarray(arrivals, np.int64)
    until = int(at[-1]) + 1 if until_ns is None else until_ns
    interval = intervals.learn(at, zone, gaps)
    if interval is not None and interval.is_always and interval.is_precise and not _is_of_clock(interval.every_ns):
        return interval
    slots = timetable.learn(at, zone, gaps, until)
    if slots is None or (interval is not None and 3 * interval.grace_ns < slots.grace_ns):
        return interval
    return slots


def _is_of_clock(every_ns: int) -> bool:
    """Tell whether runs so far apart may stand at times of the day that move when a clock is set."""
    if every_ns <= _SHORT_NS:
        return False
    turns = DAY_NS / every_ns
    return every_ns >= HOUR_NS * (1 - _EXACT) and abs(turns - round(turns)) < _EXACT * turns and round(turns) in _HOURLY


def deviations(
    cadence: Interval | Slots, arrivals: Sequence[int], *, from_ns: int, to_ns: int, gaps: Gaps = ()
) -> list[Deviation]:
    """Return what was not kept in [*from_ns*, *to_ns*); *arrivals*: of that time and about a day before.

    A slot counts once its grace is over. Slots in *gaps* are not judged.
    """
    at = np.asarray(arrivals, np.int64)
    judge = intervals.deviations if isinstance(cadence, Interval) else timetable.deviations
    told = judge(cadence, at, from_ns, to_ns)  # type: ignore[arg-type]
    return [d for d in told if not any(a - cadence.grace_ns <= d.slot_ns < b for a, b in gaps)]
