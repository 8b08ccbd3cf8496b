"""The statistics jobs: what they keep is what a computation from all runs gives, however it came about."""

from __future__ import annotations

import datetime as dt
import re
import tempfile
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from polars.testing import assert_frame_equal, assert_series_equal

from collector.analyse import calls, cohorts, durations, levels, limits, slots
from collector.analyse.frames import population
from collector.api import endpoints, queue_stats, stats
from collector.api.question import Basis
from collector.control import Control, ledger
from collector.jobs import hourly, runner
from collector.jobs.levels import Moment, busy, touched
from collector.jobs.runner import Runner
from collector.jobs.runs import RunsJob
from collector.model.tables import STATISTICS
from collector.model.units import HOUR_NS
from collector.settings import Queues, Settings, Store
from collector.store import changes, ddl, statistics
from collector.store.database import Database
from collector.store.handle import Handle
from collector.store.named import queries
from collector.store.places import Memory
from collector.store.recent import Changes, Version
from tests.analyse.random_runs import table
from tests.analyse.story import SECOND, T0, attempt, span
from tests.jobs.invented import HOUR, arrivals, store
from tests.length import longer

_AT = [dt.datetime.fromtimestamp(T0 // SECOND + s, tz=dt.UTC) for s in (0, 1800, 3700, 100_000)]
LIMITS = Queues(limits={"mail": [*zip(_AT, (2, 0, 1, 3), strict=True)]})
"""Paused from half an hour on to just after an hour."""
LATE = T0 + 10 * 24 * 3600 * SECOND
STATS = "GET /api/v1/stats/{name}"


class Jobs:
    """A store with its jobs, in one process."""

    def __init__(self, directory: Path) -> None:
        self.settings = Settings(data=directory, queues=LIMITS)
        self.database = Database.open(directory, Store(threads=1), on_fatal=lambda e: None)
        self.control = Control.open(directory)
        self.memory = Memory()
        self.runs = RunsJob(self.database, self.settings.runs, self.memory)
        self.runner = Runner(self.database, self.control, self.memory, self.settings)

    def work(self, as_of_ns: int, *, statistics: bool = True) -> None:
        """Bring the run model, and with *statistics* everything, to where it stays at *as_of_ns*."""
        while self.runs.tick(as_of_ns):
            pass
        while statistics and self.runner.run(as_of_ns):
            pass

    def table(self, name: str) -> pl.DataFrame:
        """Return the public columns of a table."""
        rows = self.database.reading(lambda h: h.frame(f"SELECT * FROM {name}"))
        return rows.drop("built_seq", "held_from_ns", "held_until_ns", strict=False)

    def statistics(self) -> dict[str, pl.DataFrame]:
        """Return all tables of the statistics jobs, sorted."""
        return {name: _sorted(self.table(name)) for name in STATISTICS}

    def close(self) -> None:
        """Close the files."""
        self.control.close()
        self.database.close()


def _sorted(frame: pl.DataFrame) -> pl.DataFrame:
    return frame.sort(frame.columns, nulls_last=True)


def recomputed(jobs: Jobs, as_of_ns: int) -> dict[str, pl.DataFrame]:
    """Return the statistics computed from all rows of the run tables at once."""
    runs, attempts, phases, waits = (jobs.table(name) for name in ("runs", "attempts", "phases", "waits"))
    lease_ns = 3600 * SECOND
    slots_ = slots.slots(runs, attempts, waits, as_of_ns=as_of_ns, lease_ns=lease_ns).collect()
    doubted = slots.doubts(runs, attempts, waits, as_of_ns=as_of_ns, lease_ns=lease_ns).collect()
    waiting = slots.queued(runs, attempts, waits, as_of_ns=as_of_ns).collect()
    queues = pl.concat([slots_.select(slots.QUEUE), waiting.select(slots.QUEUE)]).unique()
    steps = limits.steps(limits.from_settings("default", LIMITS.stated()), queues)
    begins = [*slots_["from_ns"], *waiting["from_ns"].drop_nulls(), *waiting["to_ns"], as_of_ns]
    ends = [*slots_["to_ns"], *doubted["to_ns"], *waiting["to_ns"], min(begins)]
    last = min(as_of_ns, max(ends) // HOUR_NS * HOUR_NS + HOUR_NS)
    first = min(min(begins), last) // HOUR_NS * HOUR_NS
    level = levels.queue_levels(slots_, doubted, waiting, steps, from_ns=first, to_ns=last)
    hours = slots.slot_hours(slots_, doubted)
    return {
        "run_cohorts": _sorted(cohorts.run_cohorts(runs, attempts)),
        "attempt_hours": _sorted(cohorts.attempt_hours(runs, attempts)),
        "flow_hours": _sorted(cohorts.flow_hours(runs)),
        "duration_hours": _sorted(durations.hours(runs, attempts)),
        "phase_hours": _sorted(calls.phase_hours(runs, attempts, phases)),
        "queue_levels": _sorted(busy(level)),
        "slot_hours": _sorted(hours.filter(pl.col("hour_ns") < as_of_ns)),
    }


def same(tables: dict[str, pl.DataFrame], expected: dict[str, pl.DataFrame]) -> None:
    """Assert that every table is the same to the last row."""
    for name, rows in expected.items():
        assert_frame_equal(tables[name], rows)


def remembered(jobs: Jobs) -> None:
    """Assert that what memory tells of the changes that statistics have not seen is what the store tells."""

    def both(h: Handle) -> list[Changes | None]:
        positions = changes.positions(h)
        tick, newest = positions[runner.NAMES[0]][0], positions["runs"][0]
        return [changes.since(h, memory, tick, newest, 1000) for memory in (jobs.memory, Memory())] if tick else []

    both_ways = jobs.database.reading(both)
    if not both_ways or both_ways == [None, None]:
        return
    changed, expected = both_ways
    assert changed is not None
    assert expected is not None
    assert (changed.tick, changed.seq) == (expected.tick, expected.seq)
    assert_frame_equal(_sorted(changed.keys), _sorted(expected.keys))
    for mine, other in ((changed.before, expected.before), (changed.after, expected.after)):
        for (_, rows), (_, stored) in zip(mine.tables(), other.tables(), strict=True):
            assert_frame_equal(_sorted(rows), _sorted(stored))


def pages_agree(jobs: Jobs) -> None:
    """Assert that pages' queries of hourly tables count what those of runs count, percentiles within 2.2 %; and that
    both, and statistics, count live runs, or development runs where those were chosen or there are no others."""
    first_ns = T0 // HOUR_NS * HOUR_NS - 24 * HOUR_NS
    window = {"from_ns": str(first_ns), "to_ns": str(first_ns + 7 * 24 * HOUR_NS)}

    def rows(name: str, **more: str) -> pl.DataFrame:
        query = queries()[name]
        bound = endpoints.bound(query, {**window, **more})
        return jobs.database.reading(lambda h: h.frame(query.sql, {**bound, "project": "default"}))

    runs = jobs.table("runs").filter(pl.col("at_ns").is_between(*map(int, window.values()), closed="left"))
    kind = population()
    is_live = not jobs.table("runs").filter(kind == "live").is_empty()
    for where in ({}, {"environment": "PRODUCTION"}, {"environment": "DEVELOPMENT"}):
        counts = "live" if (is_live and not where) or "PRODUCTION" in where.values() else "development"
        chosen = runs.filter(kind == counts, *(pl.col(name) == value for name, value in where.items()))
        assert rows("page_totals", **where)["runs"].item() == chosen.height
        started = chosen["started_ns"].count()
        parameters = {"from": window["from_ns"], "to": window["to_ns"], "by": "", **where}
        asked = stats.question("throughput", endpoints.read(STATS, parameters, LATE), "default", Basis(0, 0))
        flow = jobs.database.reading(lambda h, q=asked: stats.STATISTICS["throughput"].answer(h, q).rows)
        starts = flow.filter((pl.col("measure") == "starts") & (pl.col("statistic") == "count"))
        assert starts["value"].sum() == started
        counted = rows("populations", **where)
        assert set(counted.filter("is_counted")["population"]) == ({counts} if started else set())
        assert counted.filter("is_counted")["runs"].sum() == started
    of_task = {"task": "send"}
    queries_ = (
        ("page_totals", 0, {}),
        ("page_outcomes", 1, {}),
        ("page_tasks", 1, {}),
        ("page_heatmap", 6, {}),
        ("page_task_durations", 3, of_task),
        ("page_task_durations", 1, of_task | {"environment": "PRODUCTION"}),
        ("page_totals", 0, {"environment": "DEVELOPMENT"}),
    )
    for name, hours, filters in queries_:
        more = filters | ({"bucket_ns": str(hours * HOUR_NS)} if hours else {})
        of_hours, expected = rows(f"{name}_hours", **more), rows(name, **more)
        estimates = [c for c in expected.columns if re.fullmatch(r"(.*_)?p[0-9]+(_before)?_ns", c)]
        assert_frame_equal(of_hours.drop(estimates), expected.drop(estimates))
        for c in estimates:
            mine, exact = of_hours[c].cast(pl.Float64), expected[c].cast(pl.Float64)
            assert_series_equal(mine, exact, rel_tol=durations.RELATIVE_ERROR, abs_tol=1000.0)


def little_agrees(jobs: Jobs, to_ns: int, as_of_ns: int) -> None:
    """Assert that Little's law from hours and edges is what all slots tell."""
    asked = {"from": str(T0 + HOUR_NS), "to": str(to_ns + 2 * HOUR_NS), "as_of": str(as_of_ns)}
    question = stats.question(
        "little", endpoints.read(STATS, asked, as_of_ns), "default", Basis(180 * SECOND, 3600 * SECOND)
    )
    numbers = jobs.database.reading(lambda h: queue_stats.little(h, question))
    # Time before the first sign of telemetry, within its bucket, is no time in which nothing was held.
    since_ns = jobs.database.reading(lambda h: statistics.levels_since(h, "default"))
    low = max(question.choice.hours().from_ns, since_ns)
    high = min(question.choice.hours().to_ns, as_of_ns)
    slots_ = slots.slots(
        *(jobs.table(name) for name in ("runs", "attempts", "waits")), as_of_ns=as_of_ns, lease_ns=3600 * SECOND
    )
    lasting = (
        slots_.filter(pl.col("from_ns").is_between(low, high, closed="left"))
        .group_by(slots.QUEUE)
        .agg(value=(pl.col("to_ns") - pl.col("from_ns")).sum() / (high - low), n=pl.len().cast(pl.Int64))
        .sort(slots.QUEUE, nulls_last=True)
        .collect()
    )
    mine = numbers.filter((pl.col("measure") == "little_level") & (pl.col("n") > 0)).sort(slots.QUEUE, nulls_last=True)
    assert_frame_equal(mine.select(lasting.columns), lasting, abs_tol=1e-9)


@settings(
    max_examples=longer("properties", 2, 25),
    deadline=None,
    suppress_health_check=list(HealthCheck),
)
@given(arrivals(), st.lists(st.booleans(), min_size=40, max_size=40), st.sampled_from([0.0, HOUR, 200_000.0]))
def test_statistics_kept_step_by_step_are_those_of_a_recompute(
    groups: list[list[tuple[str, dict[str, Any]]]], works: list[bool], span_s: float
) -> None:
    """Whenever the jobs run between arrivals, in any order and days apart, their tables equal a recompute exactly."""
    with tempfile.TemporaryDirectory() as directory:
        jobs = Jobs(Path(directory))
        as_of_ns = T0
        for seq, (records, work) in enumerate(zip(groups, works, strict=False), start=1):
            as_of_ns += round((span_s + 1.5) * SECOND)
            store(jobs.database, seq, records, as_of_ns)
            jobs.work(as_of_ns, statistics=False)
            remembered(jobs)
            jobs.work(as_of_ns, statistics=work)
        jobs.work(as_of_ns)
        same(jobs.statistics(), recomputed(jobs, as_of_ns))
        late_ns = max(LATE, as_of_ns)
        jobs.work(late_ns)
        same(jobs.statistics(), recomputed(jobs, late_ns))
        pages_agree(jobs)
        for to_ns in (as_of_ns, late_ns):
            little_agrees(jobs, to_ns, late_ns)
        jobs.close()


@pytest.fixture
def jobs(tmp_path: Path) -> Iterator[Jobs]:
    """Return jobs over an empty store."""
    opened = Jobs(tmp_path)
    yield opened
    opened.close()


def _two_runs(jobs: Jobs) -> None:
    about = {"task_id": "send", "queue": "mail"}
    store(jobs.database, 1, [("spans", attempt("a", 1, 0, 10, **about)), ("spans", attempt("b", 1, 5, 20, **about))])


def test_a_store_that_never_kept_statistics_gets_them_from_all_its_runs(jobs: Jobs) -> None:
    """A job without a place starts from nothing and catches up in one go."""
    _two_runs(jobs)
    jobs.work(T0 + 60 * SECOND, statistics=False)
    assert jobs.table("run_cohorts").is_empty()
    jobs.work(T0 + 60 * SECOND)
    assert jobs.table("run_cohorts")["runs"].sum() == 2
    same(jobs.statistics(), recomputed(jobs, T0 + 60 * SECOND))


def test_statistics_of_an_older_version_are_made_anew(tmp_path: Path) -> None:
    """A file whose statistics lack a column is opened, and the jobs concerned start again from all runs, and take up
    those that the upgrade has built again."""
    old = Jobs(tmp_path)
    _two_runs(old)
    old.work(T0 + 60 * SECOND)
    assert {
        table: job for job, contributions in hourly.CONTRIBUTIONS.items() for table in (c.table for c in contributions)
    } == {table: job for table, job in ddl.KEPT_BY.items() if job != runner.LEVELS}
    old.database.writing(lambda h: h.run("ALTER TABLE slot_hours DROP COLUMN starts"))
    old.database.writing(lambda h: h.run("UPDATE meta SET value = '1' WHERE name = 'version'"))
    old.close()
    new = Jobs(tmp_path)
    assert new.table("slot_hours").is_empty()
    new.work(T0 + 120 * SECOND)
    same(new.statistics(), recomputed(new, T0 + 120 * SECOND))
    assert [e.from_seq for e in new.control.reading(ledger.read, "retries")] == [0, 0]
    new.close()


def test_a_failing_job_stops_no_other_and_catches_up(jobs: Jobs, monkeypatch: pytest.MonkeyPatch) -> None:
    """A job that fails stays where it was, says why in ledger and status, and loses nothing once it works again."""
    _two_runs(jobs)
    jobs.work(T0 + 60 * SECOND)
    broken = hourly.Contribution("duration_hours", ["hour_ns"], _fails)
    working = hourly.CONTRIBUTIONS["durations"]
    monkeypatch.setitem(hourly.CONTRIBUTIONS, "durations", (broken,))
    store(jobs.database, 2, [("spans", attempt("c", 1, 30, 40, task_id="send", queue="mail"))])
    jobs.work(T0 + 120 * SECOND)
    assert "too hot" in jobs.runner.errors["durations"]
    assert jobs.control.reading(ledger.read, "durations")[0].error == jobs.runner.errors["durations"]
    assert jobs.table("run_cohorts")["runs"].sum() == 3
    monkeypatch.setitem(hourly.CONTRIBUTIONS, "durations", working)
    jobs.work(T0 + 180 * SECOND)
    assert jobs.runner.errors == {}
    same(jobs.statistics(), recomputed(jobs, T0 + 180 * SECOND))


def _fails(_: object) -> pl.DataFrame:
    raise ValueError("too hot")


def test_a_slot_is_not_held_before_its_time(jobs: Jobs) -> None:
    """An attempt that starts, by its clock, after now adds nothing until then, step by step and in a recompute."""
    about = {"task_id": "send", "queue": "mail"}
    store(jobs.database, 1, [("spans", attempt("a", 1, 0, 10, **about))])
    jobs.work(T0 + 20 * SECOND)
    store(jobs.database, 2, [("spans", attempt("ahead", 1, 60, 70, **about))])
    for as_of_ns, held_s in ((T0 + 30 * SECOND, 10), (T0 + 60 * SECOND, 10), (T0 + 90 * SECOND, 20)):
        jobs.work(as_of_ns)
        assert jobs.table("slot_hours")["slot_ns"].sum() == held_s * SECOND
        same(jobs.statistics(), recomputed(jobs, as_of_ns))


def test_an_hour_that_only_a_silent_run_may_reach_into_has_the_limit_of_its_queue(jobs: Jobs) -> None:
    """Where a day's sweep ends, and where the hour is computed alone since another queue has a late record in it."""
    records = [attempt("early", 1, 2000 - 23 * HOUR, 2010 - 23 * HOUR, task_id="build", queue="reports")]
    records.append(attempt("silent", 1, 2000, None, task_id="send", queue="mail"))
    store(jobs.database, 1, [("spans", row) for row in records])
    as_of_ns = T0 + 48 * HOUR_NS
    jobs.work(as_of_ns)
    same(jobs.statistics(), recomputed(jobs, as_of_ns))
    store(jobs.database, 2, [("spans", attempt("late", 1, 3000, 3010, task_id="build", queue="reports"))])
    jobs.work(as_of_ns)
    same(jobs.statistics(), recomputed(jobs, as_of_ns))
    tail = pl.col("bucket_ns") // HOUR_NS * HOUR_NS == (T0 + 3000 * SECOND) // HOUR_NS * HOUR_NS
    rows = jobs.table("queue_levels").filter(tail, pl.col("queue") == "mail")
    assert rows["most"].max() == 1
    assert rows["limit"].null_count() == 0


def test_a_level_is_uncertain_for_as_long_as_a_parent_waits_however_silent(jobs: Jobs) -> None:
    """While the wait goes on, hour by hour, and once it has ended, the tables are those of a recompute."""
    about = {"task_id": "send", "queue": "mail"}
    waiting = {"span_type": "wait", "wait_kind": "child", "attempt": 1, "span_id": "a" * 16, "real_span_id": "a" * 16}
    begins = [attempt("p", 1, 0, None, **about), span("p", "triggerAndWait()", 10, None, **about, **waiting)]
    store(jobs.database, 1, [("spans", row) for row in begins])
    for at in (1800, 7200, 40_000):
        jobs.work(T0 + at * SECOND)
        same(jobs.statistics(), recomputed(jobs, T0 + at * SECOND))
        sums = jobs.table("slot_hours").select(pl.col("slot_ns", "maybe_ns").sum() // SECOND)
        assert sums.row(0) == (70, at - 70)
    ends = [attempt("p", 1, 0, 30_010, **about), span("p", "triggerAndWait()", 10, 30_000, **about, **waiting)]
    store(jobs.database, 2, [("spans", row) for row in ends])
    jobs.work(T0 + 100_000 * SECOND)
    same(jobs.statistics(), recomputed(jobs, T0 + 100_000 * SECOND))
    sums = jobs.table("slot_hours").select(pl.col("slot_ns", "maybe_ns").sum() // SECOND)
    assert sums.row(0) == (80, 30_000 - 70)


def test_only_what_differs_between_two_versions_of_runs_is_computed_again() -> None:
    """Waits that ended as they did before touch no hour between them; of two runs that were last seen in one moment,
    the one that is told to have ended then touches the hours in which it may have held its slot."""
    about = [{"project": "default", "run_key": name, "queue": "mail", "started_ns": T0} for name in ("a", "b")]
    runs = [{**run, "status": "unknown", "last_seen_ns": T0} for run in about]
    tried = [{**run, "number": 1, "ended_source": "unknown"} for run in about]
    ended = [{**run, "ended_ns": T0, "ended_source": "measured"} for run in tried]
    waits = [{**about[0], "attempt": 1, "released_ns": T0, "ended_ns": T0 + h * HOUR_NS} for h in (1, 24, 240)]

    def hours(before: list[dict[str, Any]], after: list[dict[str, Any]], waits: list[dict[str, Any]]) -> list[int]:
        versions = (
            Version(table("runs", runs), table("attempts", attempts), table("phases", []), table("waits", waits))
            for attempts in (before, after)
        )
        keys, now = table("runs", runs).select("project", "run_key"), Moment(LATE, HOUR_NS)
        return [at // HOUR_NS - T0 // HOUR_NS for at in touched(Changes(1, 1, keys, *versions), now, now)]

    assert hours(ended, ended, waits) == []
    assert hours(tried, [tried[0], ended[1]], []) == [0, 1]


def test_the_ledger_tells_what_each_job_took_up(jobs: Jobs) -> None:
    """Every time a job works it leaves a row: from which journal number to which, as of when, and how many rows."""
    _two_runs(jobs)
    jobs.work(T0 + 60 * SECOND)
    store(jobs.database, 2, [("spans", attempt("c", 1, 30, 40, task_id="send", queue="mail"))])
    jobs.work(T0 + 120 * SECOND)
    for name in runner.NAMES:
        last, first = jobs.control.reading(ledger.read, name)[:2]
        assert (first.from_seq, first.to_seq, last.from_seq, last.to_seq) == (0, 1, 1, 2)
        assert last.as_of_ns == T0 + 120 * SECOND
        assert last.started_ns <= last.ended_ns
    assert jobs.control.reading(ledger.read, "retries")[0].rows > 0


def test_what_all_jobs_have_settled_is_not_kept(jobs: Jobs) -> None:
    """Old versions of runs are dropped as soon as every job has taken them into account."""
    _two_runs(jobs)
    jobs.work(T0 + 60 * SECOND)
    jobs.work(T0 + 400 * 24 * 3600 * SECOND)
    assert jobs.table("run_changes").is_empty()
    assert jobs.table("before_runs").is_empty()


@pytest.mark.long("properties")
def test_long_runs_in_many_queues_are_counted_a_few_hours_at_a_time(
    jobs: Jobs, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One turn writes no more levels than its bound, so that nobody waits for the writer; in the end all are there."""
    monkeypatch.setattr("collector.jobs.levels._MOST_CELLS", 60)
    spans = [("spans", attempt(f"r{i}", 1, 0, 100 * HOUR, task_id="send", queue=f"q{i}")) for i in range(20)]
    as_of_ns = T0 + round(101 * HOUR) * SECOND
    store(jobs.database, 1, spans, as_of_ns)
    jobs.work(as_of_ns, statistics=False)
    rows = [0]
    while jobs.runner.run(as_of_ns):
        rows.append(jobs.table("queue_levels").height)
    assert (
        max(after - before for before, after in pairwise(rows)) <= 60 * 13
    )  # a bucket in which the level changes has two rows
    assert len(rows) > 20
    same(jobs.statistics(), recomputed(jobs, as_of_ns))
