"""Durations: of attempts, calls and operations, and waits in queues, that are longer or shorter than usual."""

from __future__ import annotations

from dataclasses import dataclass

from collector.model.report import Kind
from collector.model.shown import count, duration
from collector.report.found import Found, Pace
from collector.report.kinds.kind import OPTIONS, HourlyKind, Part
from collector.report.phrases import beyond_chance, history, hits, more

_ALIKE = 1.2
"""Ratio of medians below which 90th percentiles are told instead."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Lasting(HourlyKind):
    """Durations beyond the usual."""

    trials: str
    does: str = "takes"
    did: str = "took"

    def how(self, name: str, *, longer: bool) -> str:
        """Return in which direction those of *name* differ."""
        return f"{self.brief[0].capitalize()}{name} {self.does} {'longer' if longer else 'less time'}"

    def title(self, found: Found, name: str, zone: str) -> str:
        f = found.of(Pace)
        what, now, before = "median", f.median_ns, f.median_before_ns
        if not now or not before or max(now, before) < _ALIKE * min(now, before):
            what, now, before = "90th percentile", f.p90_ns, f.p90_before_ns
        how = self.how(name, longer=found.direction == "up")
        return f"{how}: {what} {duration(now)}, usually {duration(before)}"

    def what(self, found: Found, zone: str) -> str:
        return hits(found, f"{self.trials} {self._beyond(found)}")

    def baseline(self, found: Found) -> str:
        f = found.of(Pace)
        return history(f, f"{count(f.history_x)} of {count(f.history_n)} {self.trials} did")

    def threshold(self, found: Found) -> str:
        return beyond_chance(OPTIONS, OPTIONS.pace_ratio, OPTIONS.pace_difference, OPTIONS.pace_q)

    def axis(self, found: Found) -> str:
        return f"share of {self.trials} that {self._beyond(found)}"

    def _beyond(self, found: Found) -> str:
        return f"{self.did} {more(found)} than {duration(found.threshold_ns)}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Waiting(Lasting):
    """Waits in a queue."""

    def how(self, name: str, *, longer: bool) -> str:
        return f"Runs wait {'longer' if longer else 'less'} in queue {name}"


DURATION = Lasting(
    kind=Kind.DURATION,
    trials="attempts",
    brief=("", "slower", "faster"),
    rank=80,
    explains=(Kind.OPERATION_DURATION, Kind.CALL_DURATION, Part.QUEUE, Kind.STUCK, Kind.LATE_RUN),
    part=Part.TASK,
)
CALL_DURATION = Lasting(
    kind=Kind.CALL_DURATION,
    trials="calls",
    does="take",
    brief=("calls to ", "slower", "faster"),
    rank=70,
    explains=(Part.TASK, Part.CALL, Part.QUEUE),
    part=Part.CALL,
)
OPERATION_DURATION = Lasting(
    kind=Kind.OPERATION_DURATION,
    trials="executions",
    brief=("", "slower", "faster"),
    part=Part.TASK,
)
QUEUE_WAIT = Waiting(
    kind=Kind.QUEUE_WAIT,
    trials="runs",
    did="waited",
    brief=("queue ", "with longer waits", "with shorter waits"),
    part=Part.QUEUE,
)
KINDS = (DURATION, CALL_DURATION, OPERATION_DURATION, QUEUE_WAIT)
