"""A report from what was read: pure, so that the same inputs give the same report to the byte."""

from __future__ import annotations

from dataclasses import dataclass
from hashlib import blake2b

import polars as pl

from collector.analyse.anomalies import silence
from collector.model.report import Gap, Report, Span, Totals

DAY_NS = 86_400 * 10**9
HISTORY_DAYS = 28
"""Days before the period that expectations are learnt from."""


@dataclass(frozen=True, slots=True)
class Inputs:
    """What one report is made from."""

    project: str
    schedule: str
    zone: str
    period: Span
    as_of_ns: int
    totals: Totals
    activity: pl.DataFrame
    """`hour_ns`, `n`: telemetry of anybody per hour, history and period."""


def build(given: Inputs) -> Report:
    """Return the report that *given* make."""
    until = min(given.period.to_ns, given.as_of_ns)
    first = given.activity["hour_ns"].min()
    history_ns = given.period.from_ns - int(first) if first is not None else 0  # type: ignore[arg-type]
    silent = silence.gaps(given.activity, from_ns=given.period.from_ns, to_ns=until, zone=given.zone)
    return Report(
        id=report_id(given.project, given.schedule, given.period, given.as_of_ns),
        project=given.project,
        schedule=given.schedule,
        zone=given.zone,
        period=given.period,
        as_of_ns=given.as_of_ns,
        anomalies=(),
        checked=(),
        gaps=tuple(
            Gap(
                span=Span(from_ns=s.from_ns, to_ns=s.to_ns),
                reason=f"Nobody sent telemetry; about {s.expected:.0f} records were to be expected.",
            )
            for s in silent
        ),
        totals=given.totals,
        history_days=round(max(0, history_ns) / DAY_NS, 2),
    )


def report_id(project: str, schedule: str, period: Span, as_of_ns: int) -> str:
    """Return the 16 hex digits that name the report of *schedule* for *period* as of a time."""
    text = f"{project}\0{schedule}\0{period.from_ns}\0{period.to_ns}\0{as_of_ns}"
    return blake2b(text.encode(), digest_size=8).hexdigest()
