"""The rules job: findings kept run by run are what judging everything at once gives, however the records came."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from pathlib import Path

import polars as pl
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from collector.cli.recordings import Recorded
from collector.control import Control
from collector.jobs.runner import Runner
from collector.jobs.runs import RunsJob
from collector.report import conventions
from collector.rules import catalogue
from collector.settings import Runs, Settings
from collector.store import findings as stored
from collector.store.places import Memory
from tests.inprocess import SECOND, Pipeline, recorded

LATER = 1_795_900_000 * SECOND
"""A time at which every recorded run has ended or is silent."""
SET = "http-json-batch"
_ADDED = ["code", "severity", "task_id", "operation", "key", "count", "runs", "first_seen_ns", "last_seen_ns"]


def kept(groups: Sequence[Sequence[Recorded]], *, each: int) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Store *groups* in turn, with the jobs after every *each* of them; return (what runs add, public findings)."""
    with tempfile.TemporaryDirectory() as folder:
        directory = Path(folder)
        pipeline, control, memory = Pipeline(directory), Control.open(directory), Memory()
        pipeline.job = RunsJob(pipeline.database, Runs(), memory)
        runner = Runner(pipeline.database, control, memory, Settings(data=directory))
        for n, group in enumerate(groups, 1):
            pipeline.group(group, LATER - SECOND)
            if n % each == 0 or n == len(groups):
                pipeline.apply()
                pipeline.tick(LATER)
                while runner.run(LATER):
                    pass
        assert runner.errors == {}
        alone = [r.code for r in catalogue.RULES.values() if r.grain in ("record", "run")]
        added = pipeline.database.reading(lambda h: stored.grouped(h, "default", 0))
        public = pipeline.database.reading(lambda h: conventions.findings(h, "default", 0, LATER))
        entries = control.job_entries("rules")
        pipeline.close()
        control.close()
        assert entries
        assert entries[0].error == ""
    return added.filter(pl.col("code").is_in(alone)).select(_ADDED).sort(_ADDED, nulls_last=True), public


REQUESTS = recorded(SET)
WHOLE, PUBLIC = kept([REQUESTS], each=1)


@settings(max_examples=2, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(order=st.permutations(range(len(REQUESTS))), size=st.integers(25, 60), each=st.integers(1, 2))
def test_findings_do_not_depend_on_how_records_arrive(order: list[int], size: int, each: int) -> None:
    """Any order, any grouping and any number of passes in between leave the same findings."""
    groups = [[REQUESTS[i] for i in order[at : at + size]] for at in range(0, len(order), size)]
    assert kept(groups, each=each)[0].equals(WHOLE)


def test_records_sent_twice_are_found_once() -> None:
    """A finding counts records, not arrivals; that they came twice is a finding of its own."""
    found = kept([REQUESTS, REQUESTS], each=1)[0]
    assert found.filter(pl.col("code") != "TEL005").equals(WHOLE)
    assert "TEL005" in found["code"]


@pytest.mark.parametrize("column", ["message", "remedy", "samples", "state", "slug"])
def test_every_finding_says_what_and_how(column: str) -> None:
    """No finding is without its words, its state and the records that show it."""
    assert PUBLIC.height > 0
    assert PUBLIC.filter(pl.col(column).is_null() | (pl.col(column) == "")).is_empty()
