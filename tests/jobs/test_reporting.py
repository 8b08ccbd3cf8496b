"""Making reports when they are due: once each, through kills and failures, and when the store has what arrived."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from collector.control import Control, firings, reports
from collector.control.firings import Firing
from collector.jobs.reporting import Reporting
from collector.jobs.schedule import Plan
from collector.model.report import Report, Span
from collector.settings.reports import Reports
from tests.control.test_reports import TOTALS

S = 10**9
HOUR = 3_600 * S
NINE = 1_795_424_400 * S  # 2026-11-23T09:00:00Z
SETTINGS = Reports.model_validate(
    {
        "schedules": [{"name": "morning", "cron": "0 9 * * *", "deliver": ["all", "news"]}],
        "channels": [
            {"name": "all", "type": "apprise", "url": "json://localhost"},
            {"name": "news", "type": "apprise", "url": "json://localhost", "when": "new"},
        ],
    }
)


class Killed(BaseException):
    """The process ended here."""


class Clock:
    """A clock that stands until it is set."""

    now = NINE - 60 * S

    def __call__(self) -> int:
        return self.now


def made(plan: Plan, firing: Firing) -> Report:
    """Return a report without anomalies."""
    return Report(
        id=f"{firing.fire_ns ^ firing.as_of_ns:016x}",
        project="default",
        schedule=firing.schedule,
        zone=plan.zone,
        period=Span(from_ns=firing.from_ns, to_ns=firing.to_ns),
        as_of_ns=firing.as_of_ns,
        anomalies=(),
        checked=(),
        totals=TOTALS,
        history_days=0.0,
    )


Start = Callable[..., Reporting]


@pytest.fixture
def clock() -> Clock:
    """Return a clock a minute before nine."""
    return Clock()


@pytest.fixture
def control(tmp_path: Path) -> Iterator[Control]:
    """Open the control file."""
    opened = Control.open(tmp_path)
    yield opened
    opened.close()


@pytest.fixture
def start(control: Control, clock: Clock) -> Start:
    """Return how a process is started."""

    def start(
        make: Callable[[Plan, Firing], Report] = made, *, settings: Reports = SETTINGS, complete_ns: int = 2**62
    ) -> Reporting:
        return Reporting(control, settings, make, lambda: complete_ns, clock=clock)

    return start


def test_a_report_is_made_when_it_is_due_kept_and_owed_to_its_channels(
    control: Control, clock: Clock, start: Start
) -> None:
    """At nine, not before, and not again; a channel that wants news alone gets none without any."""
    reporting = start()
    reporting.turn()
    assert control.reading(reports.rows) == []
    clock.now = NINE
    for _ in range(3):
        reporting.turn()
    (row,) = control.reading(reports.rows)
    assert (row.schedule, row.from_ns, row.to_ns, row.as_of_ns) == ("morning", NINE - 24 * HOUR, NINE, NINE)
    assert [(f.state, f.report_id, f.attempts) for f in control.reading(firings.latest)] == [("made", row.id, 1)]
    assert [(d.report_id, d.channel) for d in control.reading(firings.waiting)] == [(row.id, "all")]


@pytest.mark.parametrize("where", ["before", "after"])
def test_a_process_that_is_killed_while_it_makes_a_report_leaves_one(
    control: Control, clock: Clock, start: Start, where: str
) -> None:
    """The next process makes it again with the same `as_of`, so it is the same report, once."""

    def killed(plan: Plan, firing: Firing) -> Report:
        if where == "after":
            control.writing(reports.save, made(plan, firing))
        raise Killed

    start().turn()
    clock.now = NINE
    with pytest.raises(Killed):
        start(killed).turn()
    clock.now = NINE + 10 * S
    start().turn()
    start().turn()
    assert [(row.as_of_ns, row.to_ns) for row in control.reading(reports.rows)] == [(NINE, NINE)]
    assert [(f.state, f.attempts) for f in control.reading(firings.latest)] == [("made", 2)]
    assert len(control.reading(firings.waiting)) == 1


def test_two_processes_on_one_ledger_leave_one_report(tmp_path: Path, control: Control, clock: Clock) -> None:
    """Whoever is second finds the firing made, or makes the same report again."""
    other = Control.open(tmp_path)
    one, two = (Reporting(c, SETTINGS, made, lambda: 2**62, clock=clock) for c in (control, other))
    for at in (NINE - S, NINE, NINE + S):
        clock.now = at
        one.turn()
        two.turn()
    assert (
        len(control.reading(reports.rows))
        == len(control.reading(firings.latest))
        == len(control.reading(firings.waiting))
        == 1
    )
    other.close()


def test_a_report_that_always_ends_the_process_is_given_up(control: Control, clock: Clock, start: Start) -> None:
    """After five beginnings it is not begun again, and the ledger says so."""

    def killed(plan: Plan, firing: Firing) -> Report:
        raise Killed

    start().turn()
    clock.now = NINE
    for _ in range(5):
        with pytest.raises(Killed):
            start(killed).turn()
    start().turn()
    assert [(f.state, f.note) for f in control.reading(firings.latest)] == [
        ("failed", "begun 5 times; the last time it ended the process")
    ]
    assert control.reading(reports.rows) == []


def test_a_report_that_fails_is_tried_again_later_and_holds_up_no_other(
    control: Control, clock: Clock, start: Start
) -> None:
    """A failure waits; a schedule beside it goes on; a restart tries at once; the fifth failure is the last."""

    def fails(plan: Plan, firing: Firing) -> Report:
        if firing.schedule == "morning":
            raise ValueError("secret of a sender")
        return made(plan, firing)

    both = {"schedules": [{"name": n, "cron": "0 9 * * *"} for n in ("morning", "evening")]}
    settings = Reports.model_validate(both)
    start(settings=settings).turn()
    clock.now = NINE
    reporting = start(fails, settings=settings)
    reporting.turn()
    reporting.turn()
    states = {f.schedule: (f.state, f.attempts) for f in control.reading(firings.latest)}
    assert states == {"evening": ("made", 1), "morning": ("due", 1)}
    for _ in range(4):
        start(fails, settings=settings).turn()
    (failed,) = [f for f in control.reading(firings.latest) if f.state == "failed"]
    assert (failed.attempts, failed.note) == (5, "ValueError; the store's log says more")


def test_a_report_waits_until_what_arrived_before_it_is_counted(control: Control, clock: Clock, start: Start) -> None:
    """A store that is behind makes no report of half the data."""
    start().turn()
    clock.now = NINE
    start(complete_ns=NINE - 1).turn()
    assert [f.state for f in control.reading(firings.latest)] == ["due"]
    start(complete_ns=NINE).turn()
    assert [f.state for f in control.reading(firings.latest)] == ["made"]


@pytest.mark.parametrize(
    ("settings", "later", "why"),
    [
        (Reports(), 0, "its schedule is not in the settings any more"),
        (SETTINGS, 26 * HOUR, "it could not be made within reports.catch_up"),
    ],
)
def test_a_firing_that_cannot_be_made_any_more_is_given_up(
    control: Control, clock: Clock, start: Start, settings: Reports, later: int, why: str
) -> None:
    """Its row says why; nothing is made of it."""
    start().turn()
    clock.now = NINE
    start(complete_ns=0).turn()
    clock.now = NINE + later
    start(settings=settings).turn()
    assert [(f.fire_ns, f.note) for f in control.reading(firings.latest) if f.state == "failed"] == [(NINE, why)]
