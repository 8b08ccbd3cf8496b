"""Queues that were full while runs waited, for longer than is usual for the hour."""

from __future__ import annotations

from dataclasses import dataclass

from collector.model.report import Kind
from collector.model.verdict import value
from collector.report.found import Found, Full
from collector.report.kinds.kind import OPTIONS, AnomalyKind, Part
from collector.report.phrases import now, usual


@dataclass(frozen=True, slots=True, kw_only=True)
class Saturation(AnomalyKind):
    """A queue that was full."""

    def title(self, found: Found, name: str, zone: str) -> str:
        return f"Queue {name} was full with runs waiting {now(found)} of the time, usually {usual(found)}"

    def what(self, found: Found, zone: str) -> str:
        n = found.of(Full).hours
        hours = "1 hour" if n == 1 else f"{n} hours"
        return f"On average over {hours}; up to {value(found.expected.high, 'share')} is usual then."

    def baseline(self, found: Found) -> str:
        return "The same hours of the day before the period"

    def threshold(self, found: Found) -> str:
        return (
            f"{OPTIONS.gauge_z:g} median absolute deviations and {100 * OPTIONS.gauge_least_difference:g} points "
            f"away from the usual, in {OPTIONS.gauge_of[0]} of {OPTIONS.gauge_of[1]} hours; in some "
            f"{OPTIONS.gauge_hours} hours full for {OPTIONS.gauge_least:g} hours more than {OPTIONS.gauge_ratio:g} "
            f"times the most of the {OPTIONS.gauge_days} days before"
        )


SATURATION = Saturation(
    kind=Kind.SATURATION,
    brief=("queue ", "full with runs waiting", "full for less time"),
    rank=100,
    explains=(Kind.QUEUE_WAIT, Kind.LATE_RUN),
    part=Part.QUEUE,
)
KINDS = (SATURATION,)
