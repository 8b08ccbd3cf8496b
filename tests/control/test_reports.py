"""What the control file keeps of reports, feedback, firings and deliveries."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from collector.control import FILE, Control, firings, reports
from collector.control.firings import Firing
from collector.model.report import Report, Span, Totals
from collector.model.units import HOUR_NS

TOTALS = Totals(
    runs=0,
    ended=0,
    failed=0,
    retried=0,
    tasks=0,
    before_runs=None,
    before_ended=None,
    before_failed=None,
    before_retried=None,
)


def report(n: int, schedule: str = "morning") -> Report:
    """Return the report of hour *n*."""
    return Report(
        id=f"{n:016x}",
        project="default",
        schedule=schedule,
        zone="UTC",
        period=Span(from_ns=n * HOUR_NS, to_ns=(n + 1) * HOUR_NS),
        as_of_ns=(n + 1) * HOUR_NS,
        anomalies=(),
        checked=(),
        totals=TOTALS,
        history_days=0.0,
    )


def firing(n: int, schedule: str = "morning") -> Firing:
    """Return a due firing at the end of hour *n*."""
    return Firing(schedule, (n + 1) * HOUR_NS, n * HOUR_NS, (n + 1) * HOUR_NS, (n + 1) * HOUR_NS, "due")


@pytest.fixture
def control(tmp_path: Path) -> Iterator[Control]:
    """Open a control file."""
    found = Control.open(tmp_path)
    yield found
    found.close()


def test_a_report_is_read_back_as_it_was_saved(control: Control) -> None:
    """The whole report comes back by its id, the newest first in the list; saving it again changes nothing."""
    for n in (1, 3, 2):
        control.writing(reports.save, report(n))
    control.writing(reports.save, report(2))
    assert [row.id for row in control.reading(reports.rows)] == [report(n).id for n in (3, 2, 1)]
    assert [row.id for row in control.reading(reports.rows, limit=1)] == [report(3).id]
    assert control.reading(reports.load, report(2).id) == report(2)
    assert control.reading(reports.load, "nothing") is None
    assert control.reading(reports.rows, "evening") == []


def test_reports_are_bounded_by_number_and_size(control: Control, monkeypatch: pytest.MonkeyPatch) -> None:
    """The oldest of a schedule make room, then the oldest of all; the one just made always stays."""
    monkeypatch.setattr(reports, "MOST", 3)
    control.writing(reports.save, report(0, "weekly"))
    for n in range(6):
        control.writing(reports.save, report(n))
    assert [row.from_ns // HOUR_NS for row in control.reading(reports.rows, "morning")] == [5, 4, 3]
    monkeypatch.setattr(reports, "MOST_BYTES", 1)
    control.writing(reports.save, report(1, "weekly"))
    assert [(row.schedule, row.from_ns // HOUR_NS) for row in control.reading(reports.rows)] == [("weekly", 1)]


def test_a_control_file_from_before_reports_gets_their_tables(tmp_path: Path) -> None:
    """An older file keeps its marks and takes reports."""
    old = sqlite3.connect(tmp_path / FILE)
    with old:
        old.execute("CREATE TABLE mark (name TEXT PRIMARY KEY, value INTEGER NOT NULL)")
        old.executemany("INSERT INTO mark VALUES (?, ?)", [("version", 1), ("applied", 7)])
    old.close()
    control = Control.open(tmp_path)
    control.writing(reports.save, report(1))
    assert (control.mark("applied"), control.reading(reports.load, report(1).id)) == (7, report(1))
    control.close()


def test_a_report_of_another_shape_is_listed_but_not_read(control: Control, tmp_path: Path) -> None:
    """What another version wrote is no error."""
    other = report(1).model_copy(update={"totals": {"runs": "?"}})
    with pytest.warns(UserWarning, match="serialized"):
        control.writing(reports.save, other)
    assert [row.id for row in control.reading(reports.rows)] == [other.id]
    assert control.reading(reports.load, other.id) is None


def test_feedback_is_kept_replaced_forgotten_and_bounded(control: Control, monkeypatch: pytest.MonkeyPatch) -> None:
    """What was said last of an anomaly counts; what is over goes when something new is said."""
    control.writing(reports.save_feedback, "a", "a holiday", 1, 0)
    assert [(f.key, f.note, f.until_ns) for f in control.reading(reports.feedback)] == [("a", "a holiday", 1)]
    control.writing(reports.save_feedback, "b", "known", None, 1)
    control.writing(reports.save_feedback, "b", "still known", None, 2)
    assert [(f.key, f.note, f.until_ns) for f in control.reading(reports.feedback)] == [("b", "still known", None)]
    monkeypatch.setattr(reports, "MOST_FEEDBACK", 2)
    for at, key in enumerate("cde", start=3):
        control.writing(reports.save_feedback, key, "", None, at)
    assert [f.key for f in control.reading(reports.feedback)] == ["e", "d"]
    control.writing(reports.forget_feedback, "e")
    assert [f.key for f in control.reading(reports.feedback)] == ["d"]


def test_a_firing_is_noted_once_and_settled_with_its_report_and_deliveries(tmp_path: Path) -> None:
    """Two schedulers that note the same firing leave one row; its report and what it owes are one transaction."""
    one, two = Control.open(tmp_path), Control.open(tmp_path)
    one.writing(firings.note, "morning", [firing(1)], 0)
    two.writing(firings.note, "morning", [replace(firing(1), as_of_ns=9)], 0)
    assert one.reading(firings.latest) == [firing(1)] == two.reading(firings.due)
    for control in (one, two):
        control.writing(firings.made, firing(1), report(1), ["mail", "chat"], now_ns=5)
    assert [(f.state, f.report_id) for f in two.reading(firings.latest, "morning")] == [("made", report(1).id)]
    assert [(d.channel, d.state, d.due_ns) for d in two.reading(firings.waiting)] == [
        ("mail", "waiting", 5),
        ("chat", "waiting", 5),
    ]
    one.writing(firings.fail, firing(1), "too late")
    assert two.reading(firings.latest)[0].state == "made"
    one.close()
    two.close()


def test_a_mark_starts_now_goes_on_and_starts_again_with_a_new_definition(control: Control) -> None:
    """A schedule that is new or changed owes nothing of the past; one that goes on goes on where it was."""
    assert control.writing(firings.mark, "morning", "a", 5) == 5
    control.writing(firings.note, "morning", [], 7)
    assert control.writing(firings.mark, "morning", "a", 9) == 7
    assert control.writing(firings.mark, "morning", "b", 11) == 11
    assert control.writing(firings.mark, "evening", "a", 13) == 13


def test_attempts_to_make_a_report_are_counted(control: Control) -> None:
    """Each beginning is on disk before the work."""
    control.writing(firings.note, "morning", [firing(1)], 0)
    control.writing(firings.begin, firing(1))
    control.writing(firings.begin, firing(1))
    assert [f.attempts for f in control.reading(firings.due)] == [2]


def test_a_delivery_keeps_its_key_and_its_state(control: Control) -> None:
    """Report and channel make the key; what came of an attempt is read back."""
    control.writing(firings.owe, report(1).id, ["mail"], now_ns=5)
    (first,) = control.reading(firings.waiting)
    control.writing(firings.update, replace(first, attempts=1, due_ns=50, note="no answer"))
    control.writing(firings.owe, report(1).id, ["mail"], now_ns=7)
    (again,) = control.reading(firings.waiting)
    assert again == replace(first, attempts=1, due_ns=50, note="no answer")
    assert again.key == firings.delivery_key(report(1).id, "mail") != firings.delivery_key(report(2).id, "mail")
    control.writing(firings.update, replace(again, state="sent", attempts=2, ended_ns=60, note=""))
    assert control.reading(firings.waiting) == []
    assert [(d.state, d.ended_ns) for d in control.reading(firings.deliveries, report(1).id)] == [("sent", 60)]


def test_ledgers_are_bounded_and_never_drop_what_is_due(control: Control, monkeypatch: pytest.MonkeyPatch) -> None:
    """The oldest that are over make room; a firing that is due and a delivery that waits stay."""
    monkeypatch.setattr(firings, "MOST_FIRINGS", 2)
    monkeypatch.setattr(firings, "MOST_DELIVERIES", 2)
    control.writing(firings.note, "morning", [firing(0)], 0)
    for n in range(1, 6):
        control.writing(firings.note, "morning", [replace(firing(n), state="skipped")], 0)
    assert [f.fire_ns // HOUR_NS for f in control.reading(firings.latest)] == [6, 5, 1]
    control.writing(firings.owe, "waits", ["mail"], 0)
    for n in range(5):
        control.writing(firings.owe, str(n), ["mail"], 0)
        control.writing(
            firings.update, replace(control.reading(firings.deliveries, str(n))[0], state="sent", ended_ns=n)
        )
    control.writing(firings.owe, "new", ["mail"], 0)
    assert [d.report_id for d in control.reading(firings.deliveries)] == ["new", "4", "3", "waits"]
