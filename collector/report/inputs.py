"""What a report is made from, and what was found in it before it is explained and told."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Literal

import polars as pl

from collector.model.report import Backtest, Chart, Checked, Kind, LeftOut, Report, Span, Totals, Value
from collector.report.subjects import Series

HOUR_NS = 3_600 * 10**9
DAY_NS = 24 * HOUR_NS
HISTORY_DAYS = 28
"""Days before the period that expectations are learnt from."""
SETTLED_NS = 600 * 10**9
"""How late telemetry may be: an hour is judged once it has been over for as long."""


@dataclass(frozen=True, slots=True)
class Inputs:
    """All that one report depends on. Frames as `store.anomaly_series` returns them."""

    project: str
    schedule: str
    zone: str
    period: Span
    as_of_ns: int
    from_ns: int
    to_ns: int
    """The hours that are judged; see `judged`."""
    totals: Totals
    activity: pl.DataFrame
    counts: pl.DataFrame
    histograms: pl.DataFrame
    full_queues: pl.DataFrame
    senders: pl.DataFrame
    regular: pl.DataFrame
    errors: pl.DataFrame
    versions: pl.DataFrame
    limit_steps: pl.DataFrame
    used: pl.DataFrame
    stuck: pl.DataFrame
    """Rows of `analyse.stuck.stages` as of the report."""
    previous: Report | None
    expected: dict[str, str]
    """Keys of anomalies that somebody called expected, with the note; what is over is left out."""
    left_out: tuple[LeftOut, ...] = ()
    """What could not be read for the report."""


@dataclass(slots=True, eq=False)
class Found:
    """One thing that differs, in numbers."""

    series: Series
    direction: Literal["up", "down"] | None
    from_ns: int
    to_ns: int
    unit: Literal["share", "ns", "count"]
    observed: Value
    expected: Value
    excess: float | None = None
    q: float | None = None
    is_level: bool = False
    facts: dict[str, Any] = field(default_factory=dict)
    """Further numbers for the words."""
    chart: Chart | None = None
    threshold_ns: int | None = None
    """Duration beyond which a run is affected."""
    run_keys: tuple[str, ...] = ()
    """Affected runs, where detection knows them."""
    backtest: Backtest | None = None
    test: tuple[str, str, str] | None = None
    """Series, metric and direction of the core's test that fired."""
    together: list[Found] = field(default_factory=list)
    """What was seen at the same time and most likely has the same cause."""

    @property
    def kind(self) -> Kind:
        """Return what it is about."""
        return self.series.kind

    @property
    def span(self) -> Span:
        """Return its stretch of time."""
        return Span(from_ns=self.from_ns, to_ns=self.to_ns)


@dataclass(frozen=True, slots=True)
class Look:
    """What one part of detection found, and what it looked at."""

    found: list[Found]
    checked: list[Checked]


def judged(period: Span, as_of_ns: int) -> tuple[int, int]:
    """Return the whole UTC hours that a report of *period* judges.

    They end with the last hour that has been over for ten minutes, and begin an hour before the period, so that the
    hour that a report made on time leaves out is judged by the next one, late telemetry included.
    """
    to_ns = min(period.to_ns, as_of_ns - SETTLED_NS) // HOUR_NS * HOUR_NS
    return period.from_ns // HOUR_NS * HOUR_NS - HOUR_NS, to_ns
