"""Specification of making a report of a store."""

from __future__ import annotations

from pathlib import Path

import pytest

from collector.analyse.frames import population
from collector.control import Control, reports
from collector.jobs import report
from collector.model.report import Report, Span
from collector.model.units import DAY_NS, HOUR_NS
from collector.model.words import FAILED
from collector.settings import Store as StoreSettings
from collector.store.database import Database
from tests.inprocess import SETS, later, recorded
from tests.length import also
from tests.report.store import Store


@pytest.mark.parametrize("name", [SETS[0], *also("properties", *SETS[1:])])
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
        first_ns = int(live["started_ns"].min()) // HOUR_NS * HOUR_NS  # type: ignore[arg-type]
        for hours, is_told in ((1, True), (2, False)):  # the hour before it was watched, of two only one
            begun = Span(from_ns=first_ns + HOUR_NS, to_ns=first_ns + (1 + hours) * HOUR_NS)
            assert (store.report(begun).totals.before_runs is not None) == is_told
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


@pytest.mark.parametrize("ahead_days", [0, 3])
def test_an_empty_store_and_a_period_to_come_give_reports(ahead_days: int, tmp_path: Path) -> None:
    """Without any telemetry, and before a period has begun, there is a report that assessed nothing."""
    database, control = Database.open(tmp_path, StoreSettings(threads=1)), Control.open(tmp_path)
    as_of_ns = 1_790_000_000 * 10**9
    from_ns = as_of_ns + (ahead_days - 1) * DAY_NS
    try:
        made = report.make(
            database,
            control,
            schedule="morning",
            zone="Asia/Kolkata",
            as_of_ns=as_of_ns,
            period=Span(from_ns=from_ns, to_ns=from_ns + DAY_NS),
        )
    finally:
        database.close()
        control.close()
    assert (made.anomalies, made.checked, made.gaps, made.totals.runs) == ((), (), (), 0)


def test_reports_of_one_schedule_follow_each_other(tmp_path: Path) -> None:
    """What is new and what goes on refers to the last report of the same schedule, for a period before this one."""
    requests = recorded("long-wait")
    store = Store(tmp_path, requests, later(requests))
    try:
        day = [Span(from_ns=store.as_of_ns + k * DAY_NS, to_ns=store.as_of_ns + (k + 1) * DAY_NS) for k in range(3)]
        for span in day[:2]:
            store.control.writing(reports.save, store.report(span, as_of_ns=span.to_ns))
        other = store.report(day[1], schedule="weekly", as_of_ns=day[1].to_ns)
        store.control.writing(reports.save, other)
        made = store.report(day[2], as_of_ns=day[2].to_ns)
        again = store.report(day[1], as_of_ns=day[1].to_ns + 1)
        first, second = (r.id for r in reversed(store.control.reading(reports.rows, "morning")))
        assert (made.previous_id, again.previous_id, other.previous_id) == (second, first, None)
    finally:
        store.close()
