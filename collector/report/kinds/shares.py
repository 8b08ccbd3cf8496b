"""Shares of runs, attempts, calls and executions that fail or repeat, more often or less often than usual."""

from __future__ import annotations

from dataclasses import dataclass

from collector.model.report import Kind
from collector.model.shown import count
from collector.model.verdict import counts
from collector.report.found import Found, Rate
from collector.report.kinds.kind import OPTIONS, HourlyKind, Part
from collector.report.phrases import beyond_chance, history, hits, more, now, usual


@dataclass(frozen=True, slots=True, kw_only=True)
class Share(HourlyKind):
    """A share of trials."""

    trials: str
    did: str
    """What the trials did, in the past: 12 of 30 runs *failed*."""
    does: str
    """What its name does, in a title."""
    label: str
    """Of its chart."""

    def title(self, found: Found, name: str, zone: str) -> str:
        who, of = f"{self.brief[0].capitalize()}{name}", counts(found.observed)
        return f"{who} {self.does} {more(found)} often: {now(found)} ({of}), usually {usual(found)}"

    def what(self, found: Found, zone: str) -> str:
        return hits(found, f"{self.trials} {self.did}")

    def baseline(self, found: Found) -> str:
        f = found.of(Rate)
        return history(f, f"{count(f.history_x)} of {count(f.history_n)} {self.trials} {self.did}")

    def threshold(self, found: Found) -> str:
        is_many = found.of(Rate).n >= OPTIONS.many_n and found.direction == "up"
        difference = OPTIONS.many_difference if is_many else OPTIONS.least_difference
        return beyond_chance(OPTIONS, OPTIONS.least_ratio, difference, self._rate)

    def axis(self, found: Found) -> str:
        return self.label

    @property
    def _rate(self) -> float:
        """Return the false discovery rate that its tests keep to."""
        return OPTIONS.retries_q if self.kind is Kind.RETRIES else OPTIONS.q


@dataclass(frozen=True, slots=True, kw_only=True)
class Retries(Share):
    """Attempts that repeat another."""

    def title(self, found: Found, name: str, zone: str) -> str:
        return f"{name} retries {more(found)}: {now(found)} of its attempts, usually {usual(found)}"


FAILURES = Share(
    kind=Kind.FAILURES,
    trials="runs",
    did="failed",
    does="fails",
    label="share of runs that failed",
    brief=("", "failing more often", "failing less often"),
    has_counts=True,
    rank=30,
    explains=(Part.TASK, Part.CALL, Part.QUEUE, Kind.FINDINGS),
    part=Part.TASK,
)
RETRIES = Retries(
    kind=Kind.RETRIES,
    trials="attempts",
    did="were retries",
    does="retries",
    label="share of attempts that are retries",
    brief=("", "retrying more", "retrying less"),
    rank=60,
    explains=(Part.TASK, Part.CALL, Part.QUEUE, Kind.FINDINGS),
    part=Part.TASK,
)
CALL_FAILURES = Share(
    kind=Kind.CALL_FAILURES,
    trials="calls",
    did="failed",
    does="fail",
    label="share of calls that failed",
    brief=("calls to ", "failing more often", "failing less often"),
    has_counts=True,
    rank=20,
    explains=(Part.TASK, Part.CALL, Part.QUEUE),
    part=Part.CALL,
)
OPERATION_FAILURES = Share(
    kind=Kind.OPERATION_FAILURES,
    trials="executions",
    did="failed",
    does="fails",
    label="share of operations that failed",
    brief=("", "failing more often", "failing less often"),
    has_counts=True,
    rank=120,
    explains=(Kind.OPERATION_DURATION, Part.CALL),
    part=Part.TASK,
)
KINDS = (FAILURES, RETRIES, CALL_FAILURES, OPERATION_FAILURES)
