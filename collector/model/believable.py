"""What a number that somebody sent may be: the bounds that decode and the run model share.

A number outside of them is no measurement. It is unknown: NULL in its column, while the attributes keep it as it was
sent. `analyse.believable` says the same to polars, for rows that were stored before there were bounds. docs/time.md
tells the bounds and why.
"""

from __future__ import annotations

import math

from collector.model.units import DAY_NS

_HOUR_MS = 3_600_000

AHEAD_NS = 600 * 10**9
"""How far clocks may differ: a time so far ahead is taken as it is, a wait that is negative by so little is 0."""
EARLIEST_NS = 10**18
"""9 September 2001, before any telemetry of this kind: an earlier time is that of a clock that is not set."""
LONGEST_NS = 366 * DAY_NS
"""No duration or wait is longer. Platforms let a run wait for months; a year and a day is a broken clock."""
LONGEST_MS = LONGEST_NS // 10**6
MOST_ATTEMPTS = 10_000
"""A run that is tried every minute for a week; above are ids and times taken for attempts."""
MOST_STATUS = 999
MOST_CENTS = 10**9
"""Ten million dollars for one attempt."""
EPOCH_SLACK_NS = DAY_NS
"""How far a time since 1970 that was taken for a duration may lie from its record's own."""

_PER_MS = {"ns": 10**6, "us": 10**3, "ms": 1, "s": 1e-3}
_LESS_MS = {"ns": 1e-3, "us": 1.0, "ms": _HOUR_MS, "s": 1000.0 * _HOUR_MS}
"""What was subtracted the wrong way round: an hour, and for short counters of us and ns, whose ends lie where real
durations do (36 and 72 minutes, 2.1 and 4.3 s), a thousand of them."""

WRAPPED_MS: tuple[tuple[float, float], ...] = tuple(
    (end - max(_LESS_MS[unit], end * 1e-9 if bits > 32 else 0.0), end)
    for bits in (31, 32, 63, 64)
    for unit, per_ms in _PER_MS.items()
    for end in (2.0**bits / per_ms,)
)
"""Where a duration in ms is an unsigned difference that fell below 0: its end is what rounding to a double gives."""
_UNDOUBTED_MS = min(low for low, _ in WRAPPED_MS)
_EPOCHS_NS = (10**9, 10**6, 10**3, 1)
"""Nanoseconds that one of what was taken for a millisecond may stand for."""

NOT_FINITE, NEGATIVE, TOO_LITTLE, WRAPPED, EPOCH, TOO_MUCH = (
    "not finite",
    "negative",
    "less than can be",
    "a wrapped subtraction",
    "a time since 1970",
    "beyond what can be",
)
"""Kinds of impossible numbers."""


def impossible(value: float, most: float, *, least: float = 0) -> str:
    """Return why *value* is no number from *least* to *most*, empty when it is one."""
    if least <= value <= most:
        return ""
    return (
        NOT_FINITE if not math.isfinite(value) else NEGATIVE if value < 0 else TOO_LITTLE if value < least else TOO_MUCH
    )


def impossible_ms(ms: float, own_ns: int) -> str:
    """Return why *ms* is no duration, empty when it is one; *own_ns* is the time of the record that states it."""
    if 0 <= ms < _UNDOUBTED_MS:
        return ""
    if not 0 <= ms < math.inf:
        return impossible(ms, LONGEST_MS)
    if any(low <= ms <= end for low, end in WRAPPED_MS):
        return WRAPPED
    if any(abs(ms * one - own_ns) <= EPOCH_SLACK_NS for one in _EPOCHS_NS):
        return EPOCH
    return impossible(ms, LONGEST_MS)


def impossible_time(ns: int, own_ns: int) -> str:
    """Return why *ns* is no time of something that led to a record of *own_ns*, empty when it is one."""
    if own_ns - LONGEST_NS <= ns <= own_ns + AHEAD_NS:
        return ""
    return NEGATIVE if ns < 0 else TOO_MUCH


def impossible_due(ns: int, own_ns: int) -> str:
    """Return why *ns* is no time at which that was due of which a record of *own_ns* tells, empty when it is one."""
    if own_ns - LONGEST_NS <= ns <= own_ns + LONGEST_NS:
        return ""
    return NEGATIVE if ns < 0 else TOO_MUCH
