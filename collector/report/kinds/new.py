"""What was never seen before: errors, and conventions that a task begins to break (or breaks more often)."""

from __future__ import annotations

from dataclasses import dataclass

from collector.model.report import Kind
from collector.model.shown import count
from collector.model.verdict import counts
from collector.report.found import Found, New
from collector.report.inputs import HISTORY_DAYS
from collector.report.kinds.kind import AnomalyKind, Part
from collector.report.kinds.shares import Share
from collector.report.phrases import more, now, runs, usual

_NEVER = "Never before, three runs now, and a chance of at most 1 in 1,000 that it only came up now"


def _none_before(facts: New) -> str:
    return f"None of {count(facts.n_before)} runs in the {HISTORY_DAYS} days before"


@dataclass(frozen=True, slots=True, kw_only=True)
class Error(AnomalyKind):
    """An error that the history of a task does not know."""

    def title(self, found: Found, name: str, zone: str) -> str:
        return f"{name} fails with an error not seen before: {found.series.detail} ({runs(found.observed.hits)})"

    def what(self, found: Found, zone: str) -> str:
        return f"{_none_before(found.of(New))} ended so."

    def threshold(self, found: Found) -> str:
        return _NEVER


@dataclass(frozen=True, slots=True, kw_only=True)
class Breach(Share):
    """A convention that is broken more or less often, or for the first time (`New`)."""

    def title(self, found: Found, name: str, zone: str) -> str:
        what = f"{name} breaks {found.series.detail}"
        if isinstance(found.facts, New) or not found.expected.value:
            return f"{what} now: {counts(found.observed)} runs, none before"
        return f"{what} {more(found)} often: {now(found)}, usually {usual(found)}"

    def what(self, found: Found, zone: str) -> str:
        return f"{_none_before(found.facts)} did." if isinstance(found.facts, New) else Share.what(self, found, zone)

    def baseline(self, found: Found) -> str:
        return (AnomalyKind if isinstance(found.facts, New) else Share).baseline(self, found)

    def threshold(self, found: Found) -> str:
        return _NEVER if isinstance(found.facts, New) else Share.threshold(self, found)


NEW_ERROR = Error(
    kind=Kind.NEW_ERROR,
    brief=("", "with new errors", "with new errors"),
    rank=110,
    explains=(Kind.OPERATION_FAILURES, Kind.FINDINGS),
    part=Part.TASK,
    has_error=False,
    says_end=True,
)
FINDINGS = Breach(
    kind=Kind.FINDINGS,
    trials="runs",
    did="break it",
    does="breaks",
    label="share of runs that break the convention",
    brief=("", "breaking more conventions", "breaking fewer conventions"),
)
KINDS = (NEW_ERROR, FINDINGS)
