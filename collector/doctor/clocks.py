"""Clocks: of this machine, of those who send, and what records say of times."""

from __future__ import annotations

import time
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


def skew(row: dict[str, Any]) -> Check:
    """Return how far the clock of a resource is off."""
    service = str(row["service_name"] or "a service without a name")[:80]
    return _offset(f"{service} (resource {row['resource_id'][:8]})", row["behind_ns"], row)


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
    for s in senders:
        if s.behind_ns is not None and abs(s.behind_ns) > _OFFSET_NS:
            checks.append(_offset(name(s), s.behind_ns, {"sender": name(s), "behind_ns": s.behind_ns}))
    return checks
