"""Reports that people ask for: kept and owed at once, or not at all."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from pathlib import Path

import pytest

from collector.control import Control, firings, reports
from collector.jobs.desk import Desk
from collector.model.asked import Ask
from collector.settings.reports import Reports
from tests.report import a_report

NIGHT = a_report.night()
SETTINGS = Reports.model_validate(
    {
        "schedules": [{"name": "morning", "cron": "0 9 * * *", "deliver": ["a", "b"]}],
        "channels": [
            {"name": name, "type": "webhook", "url": "https://hooks.example.com/x", "secret": "s" * 32} for name in "ab"
        ],
    }
)


@pytest.fixture
def control(tmp_path: Path) -> Iterator[Control]:
    """Open an empty control file."""
    found = Control.open(tmp_path)
    yield found
    found.close()


def test_a_report_and_what_is_owed_of_it_are_one_transaction(control: Control) -> None:
    """A kill between the two would leave a report that was asked for and goes nowhere: there is no between."""
    said: list[str] = []
    control.reading(lambda db: db.set_trace_callback(said.append))
    desk = Desk(control, SETTINGS, lambda *given: NIGHT, lambda: None)
    report, previews = desk.make(Ask("morning", None, deliver=True))
    assert [word for word in said if word.startswith(("BEGIN", "COMMIT"))] == ["BEGIN IMMEDIATE", "COMMIT"]
    assert control.reading(reports.load, report.id) == NIGHT
    owed = {d.channel for d in control.reading(firings.waiting)}
    assert owed == {p.channel for p in previews if p.wanted} == {"a", "b"}


def test_nothing_is_kept_of_a_report_whose_deliveries_cannot_be_noted(control: Control) -> None:
    """What fails half way is taken back."""
    channels = ["a", object()]
    with pytest.raises(sqlite3.ProgrammingError):
        control.writing(firings.hand_over, NIGHT, channels, 0)  # type: ignore[arg-type]
    assert control.reading(reports.rows) == []
    assert control.reading(firings.waiting) == []
