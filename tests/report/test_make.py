"""Specification of making a report of a store."""

from __future__ import annotations

from pathlib import Path

import pytest

from collector.analyse.frames import FAILED, population
from collector.model.report import Report, Span
from tests.inprocess import SETS, later, recorded
from tests.report.store import DAY_NS, Store


@pytest.mark.parametrize("name", SETS)
def test_recorded_sets_give_reports_without_drama(name: str, tmp_path: Path) -> None:
    """A day of telemetry without any history before it gives a report that counts it and calls nothing an anomaly."""
    requests = recorded(name)
    store = Store(tmp_path, requests, later(requests))
    try:
        period = Span(from_ns=store.as_of_ns - 2 * DAY_NS, to_ns=store.as_of_ns)
        made = store.report(period)
        live = store.pipeline.table("runs").filter(population() == "live")
        assert made.totals.runs == live.height > 0
        assert made.totals.failed == live["status"].is_in(FAILED).sum()
        assert made.totals.before_runs is None, "nothing was there before, which is not the same as no runs"
        assert (made.anomalies, made.expected, made.resolved, made.gaps, made.history_days) == ((), (), (), (), 0.0)
        assert store.report(period).model_dump_json() == made.model_dump_json()
        assert {c.assessed for c in made.checked} == {0}
        # A week later nobody has sent anything for days: one day of telemetry makes that no gap and no silence.
        to_ns = store.as_of_ns + 7 * DAY_NS
        after = store.report(Span(from_ns=to_ns - DAY_NS, to_ns=to_ns), as_of_ns=to_ns)
        assert (after.anomalies, after.gaps) == ((), ())
        assert Report.model_validate_json(made.model_dump_json()) == made
    finally:
        store.close()
