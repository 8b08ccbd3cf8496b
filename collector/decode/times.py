"""Times as senders write them: the wrong unit read as the right one, clamped to what a TIMESTAMP holds."""

from __future__ import annotations

from collections.abc import Callable

from collector.model.believable import AHEAD_NS as FUTURE_NS
from collector.model.believable import EARLIEST_NS, LONGEST_NS
from collector.model.units import DAY_NS

Note = Callable[[str], None]
"""Counts a key of `notes.NOTED`."""

UNITS = ((10**11, 10**9), (10**14, 10**6), (10**17, 10**3))
"""(values below, nanoseconds they stand for): as nanoseconds they would all be before 1973."""
_LAST_US = 2**63 // 1000 - 1


def nanoseconds(value: int) -> int:
    """Return *value* in nanoseconds, taking one too small for them as seconds, milli- or microseconds."""
    return next((value * factor for below, factor in UNITS if value < below), value)


def timestamp(ns: int) -> int:
    """Return nanoseconds as the microseconds of a TIMESTAMP, clamped to what it holds."""
    return min(ns // 1000, _LAST_US)


def effective(stated: int, observed: int, received_ns: int, note: Note) -> tuple[int, str]:
    """Return (effective time ns, time_source): stated, else observed, else arrival.

    A time too small for nanoseconds is converted, one more than ten minutes ahead is a wrong clock and arrival
    stands in; `time_source` says so, and the raw column keeps what was sent.
    """
    ns, source = (stated, "time") if stated else (observed, "observed")
    if not ns:
        note("time_missing")
        return received_ns, "received"
    if ns < UNITS[-1][0]:
        note("time_unit_suspect")
        ns, source = nanoseconds(ns), "time_unit_suspect"
    if ns > received_ns + FUTURE_NS:
        note("time_far_ahead" if ns > received_ns + DAY_NS else "time_ahead")
        return received_ns, "time_future"
    if ns < EARLIEST_NS:
        note("time_past")
    return ns, source


def duration(start: int, end: int, received_ns: int, note: Note) -> int | None:
    """Return how long a span took by its own clock, None when it does not say, ends before it starts or after a year.

    A span that arrived has not ended more than ten minutes after it did: arrival stands in for such an end, unless its
    start is as far ahead.
    """
    if not start or not end:
        return None
    begun, ended = nanoseconds(start), nanoseconds(end)
    if begun <= received_ns + FUTURE_NS < ended:
        note("time_far_ahead" if ended > received_ns + DAY_NS else "time_ahead")
        ended = max(begun, received_ns)
    took = ended - begun
    if took < 0:
        note("end_before_start")
    elif took > LONGEST_NS:
        note("duration_impossible")
    return took if 0 <= took <= LONGEST_NS else None
