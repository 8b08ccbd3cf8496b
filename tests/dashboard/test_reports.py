"""The Reports page over a real store: what it shows of a report, what can be said of it, and making one."""

from __future__ import annotations

import tomllib
from typing import Any

import polars as pl
import pytest

from collector.model.report import Chart, Point, Span
from collector.model.verdict import verdict
from collector.settings import Settings
from dashboard.parts import attention, report_charts, report_view, theme
from tests.dashboard.conftest import NO_LEVELS, Open
from tests.dashboard.test_pages import component, said
from tests.report import a_report
from tests.stack import Stack

NIGHT = a_report.night()
HOUR = a_report.HOUR


@pytest.mark.e2e
def test_a_report_is_shown_with_its_evidence(filled: Stack, app: Open) -> None:
    """A report by its link shows verdict, every anomaly, and of the gravest the differences, runs and reasons."""
    page = app(filled.url("api"), "reports", report=NIGHT.id)
    assert not page.exception
    words = said(page).replace("\\", "").replace("\u2060", "")
    assert verdict(NIGHT).rstrip(".") in words
    table = next(d.value for d in page.dataframe if "What" in d.value.columns)
    assert table["What"].to_list() == [
        a.title for a in (*NIGHT.anomalies[:2], NIGHT.anomalies[2], *NIGHT.expected, *NIGHT.resolved)
    ]
    gravest = NIGHT.anomalies[0]
    for part in (gravest.text, gravest.baseline, "q < 1e-12", "fired once in the 28 days", gravest.nearest.label):  # type: ignore[union-attr]
        assert part in words
    assert [r["value"] for r in component(page, "difference_bars")["rows"]] == ["96 %", "88 %"]
    runs = next(d.value for d in page.dataframe if "As" in d.value.columns)
    assert runs["Run"].to_list() == [r.run_id for r in (*gravest.affected_runs, gravest.healthy_run) if r]
    checked = next(d.value for d in page.dataframe if "Assessed" in d.value.columns)
    assert checked["Tests"].to_list() == [c.tests for c in NIGHT.checked]


@pytest.mark.e2e
def test_what_is_called_expected_is_kept_and_can_be_taken_back(filled: Stack, app: Open) -> None:
    """Calling an anomaly expected is kept by the store with its note, shown, and taken back again."""
    key = NIGHT.anomalies[0].key
    page = app(filled.url("api"), "reports", report=NIGHT.id)
    page.text_input(key=f"note_{key}").set_value("load test")
    next(b for b in page.button if b.label == "This was expected").click()
    page.run()
    (feedback,) = [f for f in filled.client.feedback() if f["key"] == key]
    assert (feedback["note"], feedback["until_ns"]) == ("load test", None)
    assert "Called expected: load test" in said(page)
    page.button(key=f"back_{key}").click().run()
    assert not [f for f in filled.client.feedback() if f["key"] == key]
    assert not page.exception


@pytest.mark.e2e
def test_a_report_made_now_is_kept_and_shown(filled: Stack, app: Open) -> None:
    """Making a report reads the store, keeps the report and shows its verdict and what was checked."""
    page = app(filled.url("api"), "reports", report=NIGHT.id)
    page.button(key="report_make").click().run()
    assert not page.exception
    newest = next(r for r in filled.client.reports() if r["schedule"] == "on demand")
    assert page.selectbox(key="report_choice").value == newest["id"]
    made = filled.client.report(newest["id"])
    assert made.totals.runs > 1000
    assert verdict(made).rstrip(".") in said(page).replace("\\", "").replace("\u2060", "")
    checked = next(d.value for d in page.dataframe if "Assessed" in d.value.columns)
    assert checked["Series"].to_list() == [c.series for c in made.checked]


@pytest.mark.e2e
def test_schedules_say_when_they_come_round(filled: Stack, app: Open) -> None:
    """A schedule of the settings is listed with its zone and its next firing, at nine in the morning there."""
    page = app(filled.url("api"), "reports", report=NIGHT.id)
    table = next(d.value for d in page.dataframe if "Cron" in d.value.columns)
    assert table.iloc[0][["Schedule", "Cron", "Zone"]].to_list() == ["weekdays", "0 9 * * 1-5", "Europe/Berlin"]
    assert table.iloc[0]["Next"].endswith(", 09:00")


@pytest.mark.e2e
def test_a_report_that_is_gone_is_said_to_be(filled: Stack, app: Open) -> None:
    """A link to a report that is not kept says so, and offers the others."""
    page = app(filled.url("api"), "reports", report="no-such-report")
    assert not page.exception
    assert "not kept here any more" in said(page)
    assert len(page.selectbox(key="report_choice").options) > 2


@pytest.mark.e2e
def test_the_lines_offered_for_a_schedule_are_settings(empty: Stack, app: Open) -> None:
    """Without reports and schedules the page offers lines for runwell.toml that the settings take."""
    page = app(empty.url("api"), "reports")
    (block,) = page.code
    settings = Settings.model_validate(tomllib.loads(block.value))
    assert [s.name for s in settings.reports.schedules] == ["morning"]
    assert "No report yet" in said(page)


def _chart(*at: int) -> Chart:
    points = tuple(Point(at_ns=i * HOUR, observed=0.5, expected=0.1, low=0.0, high=0.2) for i in at)
    return Chart(unit="share", label="x", bucket_ns=HOUR, points=points)


def test_a_chart_has_a_place_for_every_bucket(monkeypatch: pytest.MonkeyPatch) -> None:
    """Buckets without a point are places without a value, and the span is shaded from its first to its last place."""
    monkeypatch.setattr(theme, "dark", lambda: False)
    spec = report_charts.observed(_chart(0, 1, 4, 5), Span(from_ns=HOUR, to_ns=4 * HOUR), "UTC", theme.palette())
    observed = spec["series"][3]
    assert observed["data"] == [50.0, 50.0, None, None, 50.0, 50.0]
    assert observed["markArea"]["data"] == [[{"xAxis": 1}, {"xAxis": 4}]]
    assert len(spec["xAxis"]["data"]) == 6
    assert spec["series"][1]["data"][0] == 20.0


def test_the_latest_report_is_worth_a_look_when_something_is_new() -> None:
    """The Overview names the latest report first if it has new anomalies, leads to it, and is silent otherwise."""
    row: dict[str, Any] = {"id": "r1", "schedule": "morning", "zone": "UTC", "from_ns": 0, "to_ns": HOUR, "new": 2}
    now = {"retrying": 3, "unknown": 0}
    first = attention.items(now, pl.DataFrame(), NO_LEVELS, [], [row, {**row, "id": "r0"}])[0]
    assert (first.title, first.page, first.params) == ("2 new anomalies", "reports", {"report": "r1"})
    silent = attention.items(now, pl.DataFrame(), NO_LEVELS, [], [{**row, "new": 0}, row])
    assert [i.page for i in silent] == ["runs"]


def test_anomalies_are_read_gravest_first() -> None:
    """New anomalies come before those that go on, those called expected, and those that are over."""
    assert [state for _, state in report_view.ordered(NIGHT)] == ["new", "new", "ongoing", "expected", "resolved"]
