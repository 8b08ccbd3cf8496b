"""Tasks and senders that reported steadily and stopped."""

from __future__ import annotations

from dataclasses import dataclass

from collector.model.report import Kind
from collector.model.units import DAY_NS
from collector.model.verdict import moment, value
from collector.report.found import Found, Silent
from collector.report.kinds.kind import AnomalyKind


@dataclass(frozen=True, slots=True, kw_only=True)
class Silence(AnomalyKind):
    """Nothing where something is usual."""

    def title(self, found: Found, name: str, zone: str) -> str:
        what = "No run of" if found.series.subject.type == "task" else "No telemetry from"
        since = moment(found.from_ns, zone)
        if found.of(Silent).goes_on:
            return f"{what} {name} since {since}"
        return f"{what} {name} from {since} until {moment(found.to_ns, zone)}"

    def what(self, found: Found, zone: str) -> str:
        noun = "runs" if found.series.subject.type == "task" else "records"
        about = value(found.expected.value, "count")
        return f"In as many hours there are usually about {about} {noun}; others went on sending."

    def threshold(self, found: Found) -> str:
        return "A chance of at most 1 in 10 million that as many hours are empty"


SILENCE = Silence(
    kind=Kind.SILENCE,
    brief=("", "silent", "silent"),
    rank=10,
    explains=(Kind.SILENCE, Kind.VOLUME, Kind.MISSED_RUN),
    is_first=True,
    is_sure=True,
    is_loss=True,
    is_all=True,
    says_end=True,
    back_ns=2 * DAY_NS,
)
KINDS = (SILENCE,)
