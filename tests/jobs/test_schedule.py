"""Schedules: each nominal firing is in the ledger once, through daylight saving, restarts, stops and clock steps."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from itertools import takewhile
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from cronsim import CronSim
from hypothesis import given, settings
from hypothesis import strategies as st

from collector.control import Control, firings
from collector.control.firings import Firing
from collector.jobs.cron import Times
from collector.jobs.schedule import MOST_MISSED, Plan, Scheduler
from collector.settings.reports import Reports
from tests.length import examples

S = 10**9
HOUR = 3_600 * S
CHANGES = [
    ("America/New_York", "2026-03-08"),
    ("America/New_York", "2026-11-01"),
    ("Europe/London", "2026-03-29"),
    ("Europe/London", "2026-10-25"),
    ("Europe/Moscow", "2011-03-27"),
    ("Europe/Moscow", "2014-10-26"),
    ("Australia/Lord_Howe", "2026-10-04"),
    ("Australia/Lord_Howe", "2026-04-05"),
    ("Africa/Casablanca", "2026-02-15"),
    ("Africa/Casablanca", "2026-03-22"),
    ("Antarctica/Troll", "2026-03-29"),
    ("Antarctica/Troll", "2026-10-25"),
    ("Pacific/Apia", "2011-12-30"),
    ("Pacific/Apia", "2011-09-24"),
    ("America/Sao_Paulo", "2018-11-04"),
    ("America/Sao_Paulo", "2018-02-18"),
    ("Asia/Kolkata", "2026-03-29"),
    ("UTC", "2026-03-29"),
]
"""Ten zones and the days their clocks change; Kolkata and UTC have none."""
MINUTES = ["0", "30", "15,45", "*/20", "*", "7-9", "59"]
HOURS = ["*", "0", "1", "2", "3", "*/2", "1-3", "9", "23", "0,2,3"]


def ns(moment: datetime) -> int:
    """Return ns since 1970."""
    return round((moment - datetime(1970, 1, 1, tzinfo=UTC)) / timedelta(seconds=1)) * S


def noon_before(zone: str, day: str) -> int:
    """Return noon of the day before *day*."""
    return ns(datetime.fromisoformat(f"{day}T12:00").replace(tzinfo=ZoneInfo(zone)) - timedelta(days=1))


def nominal(cron: str, zone: str, from_ns: int, to_ns: int) -> list[int]:
    """Return cronsim's own times in (from, to], asked from a day before, when no clock changes."""
    start = datetime.fromtimestamp((from_ns - 24 * HOUR) / S, ZoneInfo(zone))
    times = takewhile(lambda t: t <= to_ns, map(ns, CronSim(cron, start)))
    return [t for t in times if t > from_ns]


def reports(cron: str = "0 9 * * *", zone: str = "UTC", **more: Any) -> Reports:
    """Return settings with one schedule."""
    schedule = {"name": "morning", "cron": cron, "zone": zone, **{k: more.pop(k) for k in ("period",) if k in more}}
    return Reports.model_validate({"schedules": [schedule], **more})


@contextmanager
def ledger() -> Iterator[Control]:
    """Open a control file of its own."""
    with tempfile.TemporaryDirectory() as folder:
        control = Control.open(Path(folder))
        yield control
        control.close()


crons = st.builds(lambda m, h: f"{m} {h} * * *", st.sampled_from(MINUTES), st.sampled_from(HOURS))
zone_changes = st.sampled_from(CHANGES)


@settings(max_examples=examples(60))
@given(zone_changes, crons, st.integers(0, 48 * 3600), st.integers(0, S - 1))
def test_the_time_after_and_the_time_before_are_of_the_same_times(
    change: tuple[str, str], cron: str, seconds: int, rest: int
) -> None:
    """Wherever one asks from, within a skipped or a repeated hour too, the neighbours are those cronsim passes by."""
    zone, day = change
    begin = noon_before(zone, day)
    at = begin + seconds * S + rest
    expected = nominal(cron, zone, begin - 24 * HOUR, begin + 96 * HOUR)
    times = Times(cron, zone)
    assert times.next(at) == min(t for t in expected if t > at)
    assert times.before(at) == max(t for t in expected if t < at)


@settings(max_examples=examples(60))
@given(zone_changes, crons, st.lists(st.tuples(st.integers(1, 4 * 3600), st.booleans()), max_size=40))
def test_every_nominal_firing_is_in_the_ledger_once(
    change: tuple[str, str], cron: str, steps: list[tuple[int, bool]]
) -> None:
    """However long the steps of the clock through the day, and with restarts anywhere: one row each, none made up.

    Of those that fall into one step the latest is due and the others are skipped; periods meet without a gap.
    """
    zone, day = change
    given_settings = reports(cron, zone)
    begin = now = noon_before(zone, day)
    due: list[int] = []
    noted: list[int] = []
    with ledger() as control:
        scheduler = Scheduler(control, given_settings)
        scheduler.tick(now)
        for seconds, restart in steps:
            came = nominal(cron, zone, now, now + seconds * S)
            now += seconds * S
            if restart:
                scheduler = Scheduler(control, given_settings)
            scheduler.tick(now)
            due += came[-1:]
            noted += came[-MOST_MISSED:]
        rows = control.reading(firings.latest, limit=10_000)[::-1]
    assert [f.fire_ns for f in rows] == noted
    assert [f.fire_ns for f in rows if f.state == "due"] == due
    assert {f.state for f in rows} <= {"due", "skipped"}
    expected = nominal(cron, zone, begin - 24 * HOUR, now)
    for f in rows:
        assert (f.from_ns, f.to_ns) == (max(t for t in expected if t < f.fire_ns), f.fire_ns)


@settings(max_examples=examples(40))
@given(st.lists(st.integers(-5 * 3600, 7 * 3600), min_size=1, max_size=30), st.data())
def test_a_clock_that_goes_back_and_forth_makes_no_firing_twice(steps: list[int], data: st.DataObject) -> None:
    """A nominal time that comes round again meets its row: its state and its `as_of` stay as they were."""
    begin = now = noon_before("Europe/London", "2026-10-25")
    seen: dict[int, Firing] = {}
    with ledger() as control:
        scheduler = Scheduler(control, reports("*/30 * * * *", "Europe/London"))
        scheduler.tick(now)
        for seconds in steps:
            now += seconds * S
            if data.draw(st.booleans()):
                scheduler = Scheduler(control, reports("*/30 * * * *", "Europe/London"))
            scheduler.tick(now)
            rows = {f.fire_ns: f for f in control.reading(firings.latest, limit=10_000)}
            assert all(rows[at] == firing for at, firing in seen.items())
            seen = rows
        latest = max([begin, *(t for t in seen)])
        scheduler.tick(latest + HOUR)
        fires = [f.fire_ns for f in control.reading(firings.latest, limit=10_000)]
    assert fires[0] == nominal("*/30 * * * *", "Europe/London", latest, latest + HOUR)[-1]
    assert len(set(fires)) == len(fires)


def test_missed_firings_are_caught_up_once_with_their_nominal_period() -> None:
    """After a stop over three mornings the latest is made, of its own day; the others are skipped, and say why."""
    monday = ns(datetime(2026, 11, 23, 8, 0, tzinfo=UTC))
    with ledger() as control:
        Scheduler(control, reports()).tick(monday)
        Scheduler(control, reports()).tick(monday + 56 * HOUR)
        rows = control.reading(firings.latest)
    nine = [monday + HOUR + n * 24 * HOUR for n in range(3)]
    assert [(f.fire_ns, f.state) for f in rows] == [(nine[2], "due"), (nine[1], "skipped"), (nine[0], "skipped")]
    assert (rows[0].from_ns, rows[0].to_ns, rows[0].as_of_ns) == (nine[1], nine[2], monday + 56 * HOUR)
    assert rows[1].note == "missed; a later firing stands for it"


@pytest.mark.parametrize(("late_s", "state"), [(0, "due"), (7200, "due"), (7201, "skipped")])
def test_a_firing_is_caught_up_within_the_window(late_s: int, state: str) -> None:
    """Up to `reports.catch_up` late it is made, later it is skipped with the reason."""
    nine = ns(datetime(2026, 11, 23, 9, 0, tzinfo=UTC))
    with ledger() as control:
        Scheduler(control, reports(catch_up=7200)).tick(nine - S)
        Scheduler(control, reports(catch_up=7200)).tick(nine + late_s * S)
        (row,) = control.reading(firings.latest)
    assert (row.state, bool(row.note)) == (state, state == "skipped")


def test_a_schedule_that_is_new_or_changed_owes_nothing_of_the_past() -> None:
    """Firings count from when a schedule, cron or zone was first seen; a change makes up for nothing."""
    nine = ns(datetime(2026, 11, 23, 9, 0, tzinfo=UTC))
    with ledger() as control:
        Scheduler(control, reports()).tick(nine + HOUR)
        Scheduler(control, reports("30 9 * * *")).tick(nine + 2 * HOUR)
        assert control.reading(firings.latest) == []
        Scheduler(control, reports("30 9 * * *")).tick(nine + 24 * HOUR + HOUR)
        assert [f.fire_ns for f in control.reading(firings.latest)] == [nine + 24 * HOUR + HOUR // 2]


def test_a_schedule_that_comes_back_owes_nothing_of_the_time_between() -> None:
    """What was due while it was not in the settings is not made up for."""
    nine = ns(datetime(2026, 11, 23, 9, 0, tzinfo=UTC))
    with ledger() as control:
        Scheduler(control, reports()).tick(nine - S)
        Scheduler(control, Reports()).tick(nine + S)
        scheduler = Scheduler(control, reports())
        scheduler.tick(nine + 2 * S)
        assert control.reading(firings.latest) == []
        scheduler.tick(nine + 24 * HOUR)
        assert [f.fire_ns for f in control.reading(firings.due)] == [nine + 24 * HOUR]


def test_a_clock_that_jumps_by_decades_makes_one_firing_and_no_storm() -> None:
    """To 2106 and back: a bounded number of rows, one of them due, and the schedule goes on where the clock is."""
    now = ns(datetime(2026, 11, 23, 9, 0, 30, tzinfo=UTC))
    far = ns(datetime(2106, 2, 7, tzinfo=UTC))
    with ledger() as control:
        scheduler = Scheduler(control, reports("* * * * *"))
        scheduler.tick(now)
        scheduler.tick(far)
        rows = control.reading(firings.latest)
        assert [f.state for f in rows] == ["due"] + ["skipped"] * (MOST_MISSED - 1)
        assert "before it" in rows[-1].note
        scheduler.tick(now + S)
        scheduler.tick(now + 60 * S)
        assert [f.fire_ns for f in control.reading(firings.due)] == [now + 30 * S, far]
        Scheduler(control, reports("* * * * *")).tick(0)


def test_a_period_is_a_length_or_since_the_firing_before() -> None:
    """Monday's report of working days covers the weekend; a monthly one at most 31 days; a stated length is kept."""
    monday = ns(datetime(2026, 11, 23, 9, 0, tzinfo=ZoneInfo("Europe/Berlin")))
    since = {
        (cron, period): [
            (t - plan.period(t)[0]) // HOUR
            for plan in [
                Plan(reports(cron, "Europe/Berlin", **({"period": period} if period else {})).schedules[0], "")
            ]
            for t in [plan.times.before(monday + 1)]
            if t is not None
        ]
        for cron, period in [("0 9 * * 1-5", None), ("0 9 * * *", "PT12H"), ("0 9 1 */3 *", None)]
    }
    assert list(since.values()) == [[72], [12], [31 * 24]]


def test_a_day_is_as_long_as_it_was() -> None:
    """On the Sundays the clock changes, a daily report covers 23 and 25 hours."""
    plan = Plan(reports("0 9 * * *", "Europe/Berlin").schedules[0], "UTC")
    sundays = [ns(datetime(2026, m, d, 9, 0, tzinfo=ZoneInfo("Europe/Berlin"))) for m, d in ((3, 29), (10, 25))]
    assert [(t - plan.period(t)[0]) // HOUR for t in sundays] == [23, 25]
