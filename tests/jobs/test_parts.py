"""What is read of runs at one time is bounded: more is done in parts, and of a run that is too large its ends count."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from collector.control import Control
from collector.jobs import levels
from collector.jobs.runner import Runner
from collector.jobs.runs import RunsJob
from collector.journal import Entry
from collector.settings import Settings, Store
from collector.store import aside, run_tables, weights
from collector.store.apply import apply
from collector.store.database import Database
from collector.store.places import Memory, Places
from tests.analyse.story import SECOND, T0, frame, log
from tests.inprocess import KEPT, SETS, Pipeline, canonical, later, recorded

SET = SETS[1]
STATISTICS = ("queue_levels", "slot_hours", "run_cohorts")
NOW = T0 + 3_600 * SECOND


def worked_out(directory: Path, name: str) -> tuple[dict[str, pl.DataFrame], int, int]:
    """Return run tables of recorded set *name* and what its runs add to findings, what they weigh, and the ticks."""
    with Pipeline(directory) as pipeline:
        requests = recorded(name)
        at_ns = later(requests)
        for third in range(3):
            pipeline.group(requests[third::3], at_ns)
        pipeline.apply()
        memory = Memory()
        job = RunsJob(pipeline.database, Settings(data=directory).runs, memory)
        control = Control.open(directory)
        runner = Runner(pipeline.database, control, memory, Settings(data=directory))
        ticks = 0
        while job.tick(at_ns):
            ticks += 1
        while runner.run(at_ns):
            pass
        assert runner.errors == {}
        control.close()
        findings = pipeline.table("run_findings").filter(~pl.col("window"))
        every = pipeline.table("runs").select("project", "run_key")
        weight = pipeline.database.reading(lambda h: weights.weigh(h, Places(h), every)["weight"].sum())
        kept = {name: canonical(pipeline.table(name)) for name in STATISTICS}
        return {**pipeline.run_model(), **kept, "findings": canonical(findings)}, weight, ticks


def test_in_parts_comes_out_what_comes_out_at_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where not all runs fit at one time, run tables, levels, slot time and findings are the same to the row."""
    whole, weight, ticks = worked_out(tmp_path / "whole", SET)
    assert all(rows.height for rows in whole.values())
    monkeypatch.setattr(weights, "MOST", weight // 2)
    monkeypatch.setattr(levels, "_MOST_TOGETHER", 2)
    in_parts, _, more = worked_out(tmp_path / "parts", SET)
    assert more > ticks
    for table, rows in whole.items():
        assert rows.equals(in_parts[table]), table


class World:
    """A store with its runs job."""

    def __init__(self, directory: Path) -> None:
        self.database = Database.open(directory, Store(threads=1), on_fatal=lambda e: None)
        self.job = RunsJob(self.database, Settings(data=directory).runs)
        self.seq = 0

    def arrive(self, *records: dict[str, Any]) -> None:
        """Store *records* as a group and work until nothing is left."""
        self.seq += 1
        rows = frame("logs", list(records)).drop("seq", "row").to_arrow()
        apply(self.database, [Entry(self.seq, T0, {"logs": rows})])
        while self.job.tick(NOW):
            pass

    def runs(self) -> dict[str, dict[str, Any]]:
        """Return the rows of runs by id."""
        rows = self.database.reading(lambda h: h.frame("SELECT * FROM runs")).to_dicts()
        return {row["run_id"]: row for row in rows}

    def asides(self) -> list[str]:
        """Return the ids of runs that are set aside."""
        return [a["run_id"] for a in self.database.reading(lambda h: aside.newest(h, 50))]


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    """Yield an empty store."""
    world = World(tmp_path)
    yield world
    world.database.close()


def test_the_run_tables_are_whole_once_nothing_is_owed(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where what did not fit is more than one tick takes up, the last of those ticks makes them whole, none before."""
    monkeypatch.setattr(weights, "MOST", 1)
    monkeypatch.setattr(run_tables, "_MOST_DUE", 1)
    told, tick = [], world.job.tick

    def ticked(as_of_ns: int) -> int:
        done = tick(as_of_ns)
        told.append(world.job.is_whole)
        return done

    monkeypatch.setattr(world.job, "tick", ticked)
    world.arrive(*(log(f"run_{n}", 0.0, "work_started", source="logger") for n in range(3)))
    assert (told, len(world.runs())) == ([False, False, True, True], 3)


def test_of_a_run_that_is_too_large_its_ends_count(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of a run that weighs more than one may the first and last records are read, so that its status and times are
    right; its row and the status of the store say so, more of it is read later, and runs beside it are whole.
    """
    monkeypatch.setattr(weights, "MOST_OF_RUN", 40 * weights.RECORD)
    monkeypatch.setattr(weights, "MOST", 60 * weights.RECORD)
    items = [log("large", 10.0 + i, f"item {i}", source="logger") for i in range(200)]
    small = [
        log("small", 10.0 + i, f"work_{phase}", source="logger") for i, phase in enumerate(("started", "completed"))
    ]
    world.arrive(log("large", 0.0, "work_started", source="logger"), *items[:100], *small)
    assert world.runs()["large"]["log_count"] < 100
    world.arrive(*items[100:], log("large", 300.0, "work_completed", source="logger"))
    large, small_ = world.runs()["large"], world.runs()["small"]
    assert (large["status"], large["started_ns"], large["ended_ns"]) == ("completed", T0, T0 + 300 * SECOND)
    assert "its 202 records are more than can be looked at together" in large["set_aside"]
    assert 10 < large["log_count"] <= 40
    assert (small_["log_count"], small_["set_aside"]) == (2, None)
    assert world.asides() == ["large"]
    assert {name for name in KEPT if world.database.reading(lambda h, n=name: h.value(f"SELECT count(*) FROM {n}"))}  # type: ignore[misc]
