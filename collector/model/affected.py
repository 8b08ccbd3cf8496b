"""Which runs an anomaly counts as affected, as one word of a URL: asked of the API, kept in links, shown on the pages.

`kind:name:task:detail:bound`, each part percent-encoded, empty ones at the end left out; a bound is `over` or `under`
and nanoseconds: `failures:charge-order`, `duration:render-report:::over177600000000`.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Self
from urllib.parse import quote, unquote

from collector.model.report import Anomaly, Kind
from collector.model.shown import duration

_BOUND = re.compile(r"(over|under)(\d{1,19})")
_DURATIONS = {Kind.DURATION, Kind.CALL_DURATION, Kind.OPERATION_DURATION, Kind.QUEUE_WAIT}
UNASKED = {Kind.SATURATION, Kind.MISSED_RUN, Kind.LATE_RUN, Kind.DOUBLE_RUN, Kind.SILENCE}
"""Kinds of which no condition on runs tells who is affected."""
DID = {
    Kind.FAILURES: "{name} failed",
    Kind.RETRIES: "{name} retried",
    Kind.DURATION: "{name} took {bound}",
    Kind.VOLUME: "{name} arrived",
    Kind.CALL_FAILURES: "calls to {name} failed",
    Kind.CALL_DURATION: "calls to {name} took {bound}",
    Kind.OPERATION_FAILURES: "{name} failed",
    Kind.OPERATION_DURATION: "{name} took {bound}",
    Kind.QUEUE_WAIT: "waited in {name} for {bound}",
    Kind.STUCK: "{name} was lost",
    Kind.NEW_ERROR: "{name}: {detail}",
    Kind.FINDINGS: "{name} breaks {detail}",
}


@dataclass(frozen=True, slots=True)
class Affected:
    """Runs that a kind of anomaly counts as affected. *name*: of its task, queue, service or operation."""

    kind: Kind
    name: str
    task_id: str | None = None
    detail: str = ""
    threshold_ns: int | None = None
    is_faster: bool = False

    def __post_init__(self) -> None:
        """Raise ValueError where that asks for nothing."""
        if self.kind not in DID or not self.name or (self.kind in _DURATIONS) != (self.threshold_ns is not None):
            raise ValueError("expected kind, name and, of durations, a bound")

    @classmethod
    def of(cls, a: Anomaly) -> Self | None:
        """Return the affected runs of *a*; None where only its report knew them."""
        is_open = a.kind is Kind.STUCK and not a.detail
        if a.kind in UNASKED or is_open or (a.kind in _DURATIONS and a.threshold_ns is None):
            return None
        bound = a.threshold_ns if a.kind in _DURATIONS else None
        detail = a.detail if a.kind in (Kind.NEW_ERROR, Kind.FINDINGS, Kind.STUCK) else ""
        if a.kind in (Kind.NEW_ERROR, Kind.FINDINGS) and not detail:
            return None
        return cls(
            a.kind, a.subject.name, a.subject.task_id, detail, bound, bound is not None and a.direction == "down"
        )

    @classmethod
    def read(cls, text: str) -> Self:
        """Return what `write` wrote; raise ValueError for anything else."""
        kind, name, task, detail, bound, *more = [unquote(part) for part in text.split(":")] + [""] * 4
        match = _BOUND.fullmatch(bound)
        if any(more) or (bound and not match):
            raise ValueError("expected kind:name:task:detail:bound")
        threshold_ns = int(match[2]) if match else None
        return cls(Kind(kind), name, task or None, detail, threshold_ns, bool(match) and match[1] == "under")  # type: ignore[index]

    def write(self) -> str:
        """Return it as one word."""
        bound = f"{'under' if self.is_faster else 'over'}{self.threshold_ns}" if self.threshold_ns is not None else ""
        parts = [self.kind.value, self.name, self.task_id or "", self.detail, bound]
        return ":".join(quote(part, safe="") for part in parts).rstrip(":")

    def words(self) -> str:
        """Return it as people read it."""
        bound = f"{'less' if self.is_faster else 'more'} than {duration(self.threshold_ns)}"
        return DID[self.kind].format(name=self.name, detail=self.detail, bound=bound)
