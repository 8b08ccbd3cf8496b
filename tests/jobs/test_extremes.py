"""No value stops a job: whatever number stands in a key or field, every other run is as if it had not been sent."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from polars.testing import assert_frame_equal

from collector.api import endpoints, stats
from collector.api.question import Basis
from collector.control import Control
from collector.jobs import report
from collector.jobs.runner import Runner
from collector.jobs.runs import RunsJob
from collector.model.report import Span
from collector.model.tables import LOGS, SPANS, STATISTICS
from collector.settings import Settings
from collector.store.named import queries
from collector.store.places import Memory
from tests import extremes
from tests.analyse import story
from tests.extremes import BEFORE, DOUBLES, EDGES, NOW, SECOND, context, log, request, span
from tests.inprocess import KEPT, Pipeline, canonical
from tests.jobs.invented import store

DAY = 86_400 * SECOND
ALONE, BESIDE = "calm", extremes.TASK
"""Tasks of bystanders: one of their own, and the one that all odd runs have."""


def _calm() -> Iterator[Any]:
    """Yield runs with waits, costs, retries and calls: of a task and queue of their own, and of those of odd runs."""
    for n, (task, queue) in enumerate([(ALONE, "calm-queue"), (BESIDE, extremes.QUEUE)] * 4):
        at = BEFORE + n * 10 * SECOND
        attributes = context(f"{task}-{n}", trigger=True, task=task, queue=queue, **{"$usage.costInCents": 0.25 * n})
        yield request(
            "traces",
            [
                span(n * 2, at, at + 3 * SECOND, attributes, status={"code": 2}),
                span(n * 2 + 1, at + 5 * SECOND, at + 9 * SECOND, {**attributes, "$metadata.ctx.attempt.number": 2}),
            ],
            trigger=True,
        )
        plain = context(f"{task}-plain-{n}", trigger=False, task=task, queue=queue, queue_wait_ms=21.5 + n * 8.64e7)
        yield request(
            "logs",
            [
                log("mail_send_started", at, plain),
                log("mail_send_calling_smtp", at + SECOND, plain),
                log("mail_send_completed", at + 4 * SECOND, {**plain, "processing_time_ms": 4000}),
            ],
        )


def _older_rows() -> list[tuple[str, dict[str, Any]]]:
    """Return rows that an older version stored as they were sent: every number at every edge."""
    reals = [*DOUBLES, float("nan"), float("inf"), float("-inf"), *map(float, EDGES)]
    rows: list[tuple[str, dict[str, Any]]] = []
    columns: dict[str, list[Any]] = {
        "queue_wait_ms": reals,
        "reported_ms": reals,
        "compute_ms": reals,
        "cost_cents": reals,
    }
    small = [n for n in EDGES if -(2**31) <= n < 2**31]
    columns |= dict.fromkeys(("attempt", "http_status", "severity_number"), small)
    columns |= dict.fromkeys(("dequeued_ns", "duration_ns"), extremes.INTS)
    columns |= dict.fromkeys(("time_unix_nano", "start_time_unix_nano", "end_time_unix_nano"), extremes.TIMES)
    about = {"task_id": BESIDE, "queue": extremes.QUEUE}
    at = (BEFORE - story.T0) / 1e9
    for column, values in columns.items():
        for i, value in enumerate(values):
            run, attributes = f"older-{column}-{i}", {**about, "attempt": 1, column: value, "received_ns": NOW}
            if column in LOGS.names:
                rows += [
                    ("logs", story.log(run, at, f"job_do_{word}", **attributes)) for word in ("started", "completed")
                ]
            if column in SPANS.names:
                rows.append(("spans", story.span(run, "Attempt", at, at + 1, span_type="attempt", **attributes)))
                rows.append(("spans", story.span(run, "wait", at, at + 1, wait_kind="for", **attributes)))
    return rows


class Worked:
    """A store after all its jobs."""

    def __init__(self, directory: Path, *, odd: bool) -> None:
        self.pipeline = Pipeline(directory)
        self.settings = Settings(data=directory)
        self.control = Control.open(directory)
        memory = Memory()
        self.pipeline.job = RunsJob(self.pipeline.database, self.settings.runs, memory)
        self.runner = Runner(self.pipeline.database, self.control, memory, self.settings)
        self.pipeline.group(_calm(), NOW)
        if odd:
            self.pipeline.group(extremes.requests(), NOW)
        self.pipeline.apply()
        if odd:
            store(self.pipeline.database, 3, _older_rows(), NOW)
        self.pipeline.tick(NOW)
        self.work(NOW)
        # Once more: what is open has changed, and its old contributions are taken back.
        self.pipeline.tick(NOW + DAY)
        self.work(NOW + DAY)

    def work(self, as_of_ns: int) -> None:
        """Run every job; old hours of queues, the last to be computed, may be left."""
        for _ in range(6):
            if not self.runner.run(as_of_ns):
                break

    def close(self) -> None:
        """Close the files."""
        self.control.close()
        self.pipeline.close()

    def rows(self, table: str, where: str) -> pl.DataFrame:
        """Return rows of a table without what tells of arrival."""
        read = f"SELECT * FROM {table} WHERE {where}"
        return canonical(self.pipeline.database.reading(lambda h: h.frame(read)))

    def answer(self, name: str, **more: str) -> pl.DataFrame:
        """Return a statistic over the last two days."""
        parameters = {"from": str(NOW - DAY), "to": str(NOW + DAY), **more}
        asked = endpoints.read("GET /api/v1/stats/{name}", parameters, NOW + DAY)
        question = stats.question(name, asked, "default", Basis(180 * SECOND, 3600 * SECOND))
        return self.pipeline.database.reading(lambda h: stats.STATISTICS[name].answer(h, question).rows)


@pytest.fixture(scope="module")
def odd(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Worked]:
    """Return a store of calm runs and of every extreme."""
    worked = Worked(tmp_path_factory.mktemp("odd"), odd=True)
    yield worked
    worked.close()


@pytest.fixture(scope="module")
def calm(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Worked]:
    """Return a store of the same calm runs alone."""
    worked = Worked(tmp_path_factory.mktemp("calm"), odd=False)
    yield worked
    worked.close()


def test_no_job_fails(odd: Worked) -> None:
    """With every extreme in every promoted key and field, decoded or stored by an older version, each job succeeds."""
    assert odd.runner.errors == {}
    assert odd.pipeline.table("runs").height > 3000


def test_other_runs_are_as_if_extremes_had_not_been_sent(odd: Worked, calm: Worked) -> None:
    """Runs of another task, and of the same task, queue and hour, have the rows they have alone."""
    named = "run_id LIKE 'calm-%' OR (run_id LIKE 'odd-%' AND (run_id LIKE 'odd-plain%' OR length(run_id) = 5))"
    for table in KEPT:
        expected = calm.rows(table, named)
        assert not expected.is_empty() or table == "waits"
        assert_frame_equal(odd.rows(table, named), expected)


def test_statistics_of_other_tasks_and_queues_are_untouched(odd: Worked, calm: Worked) -> None:
    """Hourly tables and every statistic of a task and queue that nothing odd has are those of the calm runs alone."""
    for table in STATISTICS:
        where = "queue = 'calm-queue'" if table == "queue_levels" else f"task_id = '{ALONE}'"
        expected = calm.rows(table, where)
        assert not expected.is_empty()
        assert_frame_equal(odd.rows(table, where), expected)
    for name, statistic in stats.STATISTICS.items():
        more = (
            {"queue": "calm-queue"}
            if "queue" in statistic.groups and "task_id" not in statistic.groups
            else {"task": ALONE}
        )
        assert_frame_equal(odd.answer(name, **more), calm.answer(name, **more))
        odd.answer(name)


def test_numbers_of_odd_runs_are_within_bounds(odd: Worked) -> None:
    """No duration is negative or longer than a year and a day, and no sum in the hourly tables is negative."""
    durations = ("wait_ns", "wall_ns", "active_ns", "backoff_ns", "duration_ns", "end_to_end_ns")
    for table in KEPT:
        rows = odd.pipeline.table(table)
        for column in (c for c in rows.columns if c.endswith(durations)):
            assert rows[column].drop_nulls().is_between(0, 366 * DAY).all(), column
    for table, schema in STATISTICS.items():
        sums = odd.pipeline.table(table).select(c for c in schema.names if c.endswith(("_ns", "nanocents")))
        assert all((sums[c].drop_nulls() >= 0).all() for c in sums.columns), table


def test_pages_and_reports_of_extremes_are_answered(odd: Worked) -> None:
    """Every named query and a report over a store of extremes give an answer."""
    values = {"from_ns": NOW - DAY, "to_ns": NOW, "bucket_ns": 3600 * SECOND, "task": BESIDE, "queue": extremes.QUEUE}
    for query in queries().values():
        for bounds in ({}, {"from_ns": 0, "to_ns": NOW + DAY, "bucket_ns": 7 * DAY}):
            parameters = {p.name: str({**values, **bounds}.get(p.name, "1")) for p in query.parameters if p.required}
            bound = endpoints.bound(query, parameters)
            odd.pipeline.database.reading(
                lambda h, q=query, b=bound: h.frame(q.sql, {**b, "project": "default"})  # type: ignore[misc]
            )
    period = Span(from_ns=NOW - DAY, to_ns=NOW)
    report.make(odd.pipeline.database, odd.control, schedule="s", period=period, zone="UTC", as_of_ns=NOW)


@pytest.mark.parametrize("wait", [{"doubleValue": 2.0**64}, {"intValue": str(NOW // 10**6)}])
def test_a_wait_that_cannot_be_is_unknown_and_its_run_told(tmp_path: Path, wait: dict[str, Any]) -> None:
    """-5 ms wrapped around 64 bits, or `now - 0` in ms: the run completed, its wait is unknown, the next one is told.

    After runs/wrapped-wait and runs/wait-since-1970 of the collected field cases (HangfireIO/Hangfire#1788).
    """
    with Pipeline(tmp_path) as p:
        for run, more in (("w1", {"queue_wait_ms": wait}), ("w2", {})):
            about = context(run, trigger=False)
            records = [
                log("import_file_started", NOW - 60 * SECOND, {**about, **more}),
                log("import_file_completed", NOW - 50 * SECOND, about),
            ]
            p.group([request("logs", records)], NOW)
            p.apply()
            p.tick(NOW)
        rows = p.table("runs").sort("run_id").select("run_id", "status", "queue_wait_ns", "queue_wait_source").rows()
        assert rows == [("w1", "completed", None, "unknown"), ("w2", "completed", None, "unknown")]


@pytest.mark.parametrize(
    ("early_s", "wait_s"), [(-90, 90), (5, 0), (600, 0), (601, None), (86_400, None), (-367 * 86_400, None)]
)
def test_a_wait_between_two_clocks_is_0_within_ten_minutes(tmp_path: Path, early_s: int, wait_s: int | None) -> None:
    """A child that starts before its parent's clock made it waited 0 up to ten minutes, beyond nobody knows."""
    queued = NOW - 3 * DAY
    start = queued - early_s * SECOND
    of_parent = context("parent", trigger=True, **{"$style.icon": "trigger", "runId": "child"})
    trigger = span(1, queued, queued + SECOND, of_parent, name="trigger()")
    trigger["attributes"] = trigger["attributes"][1:]
    child = span(2, start, start + 1000 * SECOND, context("child", trigger=True))
    with Pipeline(tmp_path) as p:
        p.group([request("traces", [trigger, child], trigger=True)], max(NOW, start + 2000 * SECOND))
        p.apply()
        p.tick(NOW + 400 * DAY)
        (row,) = p.table("runs").filter(pl.col("run_id") == "child").rows(named=True)
        assert row["queue_wait_ns"] == (None if wait_s is None else wait_s * SECOND)
        assert (row["queued_ns"] is None) is (wait_s is None)
        assert row["created_ns"] == queued
        # It took its wait and what it worked, whatever its clock says.
        assert row["end_to_end_ns"] == (None if wait_s is None else (wait_s + 1000) * SECOND)
        bound = endpoints.bound(queries()["time_quality"], {})
        quality = p.database.reading(lambda h: h.frame(queries()["time_quality"].sql, {**bound, "project": "default"}))
        counts = quality.filter(pl.col("kind") == "runs").select("clamped_queue_waits", "unknown_queue_waits").row(0)
        assert counts == (int(wait_s == 0), int(wait_s is None and early_s > 0))
