"""What a report is made from."""

from __future__ import annotations

from dataclasses import dataclass

import polars as pl

from collector.model.report import LeftOut, Report, Span, Totals
from collector.model.units import HOUR_NS

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


def judged(period: Span, as_of_ns: int) -> tuple[int, int]:
    """Return the whole UTC hours that a report of *period* judges.

    They end with the last hour that has been over for ten minutes, and begin an hour before the period, so that the
    hour that a report made on time leaves out is judged by the next one, late telemetry included.
    """
    to_ns = min(period.to_ns, as_of_ns - SETTLED_NS) // HOUR_NS * HOUR_NS
    return period.from_ns // HOUR_NS * HOUR_NS - HOUR_NS, to_ns
