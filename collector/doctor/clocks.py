"""Clocks: of this machine, of those who send, and what records say of times."""

from __future__ import annotations

import time
from collections.abc import Iterable
from typing import Any

from collector.control.senders import Sender
from collector.doctor.exporters import name
from collector.doctor.found import Check
from collector.model.shown import duration

_OFFSET_NS = 10**9
_TIMES = {
    "missing": "without a time, so arrival stands in",
    "unit_suspect": "not in nanoseconds, converted",
    "future": "more than ten minutes ahead, so arrival stands in",
    "past": "of before September 2001, a clock that is not set, so their runs are told by arrival",
    "end_before_start": "ending before they start, so without a duration",
    "too_long": "longer than a year, so without a duration",
    "clamped_queue_waits": "started a little before they were queued, so their queue wait is raised to 0",
    "unknown_queue_waits": "started more than ten minutes before they were queued, so their queue wait is unknown",
}


def times(row: dict[str, Any]) -> Check:
    """Return what a kind of records of the last day says of times."""
    told = "; ".join(f"{row[k]} {text}" for k, text in _TIMES.items() if row[k])
    return Check("times", "note", f"of {row['records']} {row['kind']} of a day: {told}", row)


def skews(rows: list[dict[str, Any]]) -> list[Check]:
    """Return how far the clocks of resources are off."""
    return _worst((str(r["service_name"] or "a service without a name")[:80], r["behind_ns"], r) for r in rows)


def _worst(off: Iterable[tuple[str, int, dict[str, Any]]]) -> list[Check]:
    """Return how far clocks are off, once per name and direction: of several the one that is off most."""
    found: dict[tuple[str, bool], list[tuple[int, dict[str, Any]]]] = {}
    for who, behind_ns, facts in sorted(off, key=lambda o: -abs(o[1])):
        found.setdefault((who, behind_ns < 0), []).append((behind_ns, facts))
    several = {key: f" ({len(own)} of that name)" if len(own) > 1 else "" for key, own in found.items()}
    return [_offset(who + several[who, ahead], *own[0]) for (who, ahead), own in found.items()]


def _offset(who: str, behind_ns: int, facts: dict[str, Any]) -> Check:
    off = duration(abs(behind_ns))
    if behind_ns < 0:
        told = f"the clock of {who} is ahead of this one by at least {off}; set both by NTP"
        return Check("clock", "problem", told, facts)
    told = f"the clock of {who} is behind this one, or its records take that long to arrive: {off}"
    return Check("clock", "note", told, facts)


def clock(senders: list[Sender]) -> list[Check]:
    """Return the time here, and whose clock is off."""
    now = time.time()
    checks = [Check("clock", "ok", f"this machine says {time.strftime('%Y-%m-%dT%H:%M:%SZ', time.gmtime(now))}")]
    off = [(name(s), s.behind_ns) for s in senders if s.behind_ns is not None and abs(s.behind_ns) > _OFFSET_NS]
    return checks + _worst((who, ns, {"sender": who, "behind_ns": ns}) for who, ns in off)
