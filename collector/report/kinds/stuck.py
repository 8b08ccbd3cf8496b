"""Runs that are stuck now, and shares of runs that fell silent without an end."""

from __future__ import annotations

from dataclasses import dataclass

from collector.model.report import Kind
from collector.model.shown import count
from collector.report.found import Found, Long
from collector.report.kinds.kind import AnomalyKind, Part
from collector.report.kinds.shares import Share
from collector.report.phrases import now, usual


@dataclass(frozen=True, slots=True, kw_only=True)
class Stuck(Share):
    """A share of runs, or some runs by themselves (`Long`)."""

    def title(self, found: Found, name: str, zone: str) -> str:
        if not isinstance(found.facts, Long):
            return Share.title(self, found, name, zone)
        n = found.facts.n
        runs, are = ("A run", "is") if n == 1 else (f"{n} runs", "are")
        return f"{runs} of {name} {are} stuck: at work for {now(found)}, usually at most {usual(found)}"

    def what(self, found: Found, zone: str) -> str:
        if not isinstance(found.facts, Long):
            return Share.what(self, found, zone)
        return f"From {count(found.facts.usual_n)} attempts that ended it is known how long is usual."

    def baseline(self, found: Found) -> str:
        return (AnomalyKind if isinstance(found.facts, Long) else Share).baseline(self, found)

    def threshold(self, found: Found) -> str:
        if not isinstance(found.facts, Long):
            return Share.threshold(self, found)
        return "Three times the 95th percentile, the 99th and a minute, and silent for longer than usual"


STUCK = Stuck(
    kind=Kind.STUCK,
    trials="runs",
    did="fell silent without an end",
    does="fall silent",
    label="share of runs that fell silent",
    brief=("runs of ", "stuck or silent", "stuck or silent"),
    part=Part.TASK,
    is_sure=True,
)
KINDS = (STUCK,)
