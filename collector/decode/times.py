"""Times as senders write them: the wrong unit read as the right one, clamped to what a TIMESTAMP holds."""

from __future__ import annotations

FUTURE_NS = 600 * 10**9
DAY_NS = 86_400 * 10**9
UNITS = ((10**11, 10**9), (10**14, 10**6), (10**17, 10**3))
"""(values below, nanoseconds they stand for): as nanoseconds they would all be before 1973."""
_LAST_US = 2**63 // 1000 - 1


def nanoseconds(value: int) -> int:
    """Return *value* in nanoseconds, taking one too small for them as seconds, milli- or microseconds."""
    return next((value * factor for below, factor in UNITS if value < below), value)


def timestamp(ns: int) -> int:
    """Return nanoseconds as the microseconds of a TIMESTAMP, clamped to what it holds."""
    return min(ns // 1000, _LAST_US)
