"""Specification of what a report reads: the hourly tables and the run tables say the same."""

from __future__ import annotations

from collections.abc import Iterator

import polars as pl
import pytest

from collector.analyse.frames import population
from collector.model.report import Kind
from collector.model.units import DAY_NS, HOUR_NS
from collector.model.words import FAILED
from collector.store import anomaly_runs, anomaly_series
from collector.store.anomaly_runs import Asked
from collector.store.anomaly_series import Range
from tests.inprocess import later, recorded
from tests.report.store import Store

NAME = "http-proto"


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Store]:
    """Return a store with a recorded set, settled."""
    requests = recorded(NAME)
    made = Store(tmp_path_factory.mktemp("series") / "data", requests, later(requests))
    yield made
    made.close()


@pytest.fixture
def whole(store: Store) -> Range:
    """Return all of its time as one period."""
    return Range("default", store.as_of_ns - 3 * DAY_NS, store.as_of_ns - 2 * DAY_NS, store.as_of_ns)


def live(store: Store) -> pl.DataFrame:
    """Return its live runs."""
    return store.pipeline.table("runs").filter(population() == "live")


def test_counts_are_those_of_the_runs(store: Store, whole: Range) -> None:
    """Failures per task are its failed runs of those that ended; arrivals are all of its runs; retries its attempts."""
    counts = store.pipeline.database.reading(lambda h: anomaly_series.counts(h, whole))
    sums = {
        (r["kind"], r["name"]): (r["n"], r["x"])
        for r in counts.group_by("kind", "name").agg(pl.col("n", "x").sum()).iter_rows(named=True)
    }
    runs = live(store)
    attempts = store.pipeline.table("attempts").join(runs.select("run_key"), on="run_key", how="semi")
    expected = {}
    for task in runs["task_id"].drop_nulls().unique():
        of_task = runs.filter(pl.col("task_id") == task)
        ended = of_task.filter(pl.col("status").is_in(["completed", *FAILED]))["status"]
        expected["failures", task] = (ended.len(), ended.is_in(FAILED).sum())
        arrived = of_task.filter(pl.coalesce("queued_ns", "started_ns").is_not_null()).height
        expected["volume", task] = (arrived, arrived)
        tries = attempts.filter((pl.col("task_id") == task) & pl.col("started_ns").is_not_null())["number"]
        expected["retries", task] = (tries.len(), (tries > 1).sum())
    kinds = {kind for kind, _ in expected}
    assert kinds == {"failures", "volume", "retries"}
    assert {k: v for k, v in sums.items() if k[0] in kinds} == {k: v for k, v in expected.items() if v[0]}


def test_activity_and_histograms_count_every_hour(store: Store, whole: Range) -> None:
    """Hours with telemetry are those of runs and attempts; durations are those of attempts that succeeded."""
    activity = store.pipeline.database.reading(lambda h: anomaly_series.activity(h, whole))
    starts = live(store)["started_ns"].drop_nulls() // HOUR_NS * HOUR_NS
    assert set(starts) <= set(activity["hour_ns"])
    histograms = store.pipeline.database.reading(lambda h: anomaly_series.histograms(h, whole))
    attempts = store.pipeline.table("attempts").join(live(store).select("run_key"), on="run_key", how="semi")
    fine = attempts.filter((pl.col("status") == "completed") & pl.col("wall_ns").is_not_null())
    assert histograms.filter(pl.col("kind") == "duration")["n"].sum() == fine.height


def test_affected_runs_are_those_that_failed(store: Store, whole: Range) -> None:
    """Of a task's runs in a span those that failed are affected, those that completed are not."""
    runs = live(store)
    task = runs.filter(pl.col("status").is_in(FAILED))["task_id"].sort()[0]
    asked = Asked(Kind.FAILURES, task, None, None, None, "", whole.from_ns, whole.to_ns)
    behind = store.pipeline.database.reading(lambda h: anomaly_runs.runs(h, "default", asked))
    ended = runs.filter((pl.col("task_id") == task) & pl.col("status").is_in(["completed", *FAILED]))
    assert set(behind["run_key"]) == set(ended["run_key"])
    assert behind.filter("affected")["status"].is_in(FAILED).all()
    assert not behind.filter(~pl.col("affected"))["status"].is_in(FAILED).any()


@pytest.mark.parametrize("kind", list(Kind))
def test_every_kind_can_be_asked_for_its_runs(store: Store, whole: Range, kind: Kind) -> None:
    """Whatever an anomaly is about, the runs behind it are live runs of its span, each once."""
    asked = Asked(kind, "no such name", "no such task", None, None, "", whole.from_ns, whole.to_ns, threshold_ns=10**6)
    assert store.pipeline.database.reading(lambda h: anomaly_runs.runs(h, "default", asked)).is_empty()
    for name in live(store)["task_id"].drop_nulls().unique().sort():
        of_task = Asked(kind, name, name, None, None, "MSG001", whole.from_ns, whole.to_ns, threshold_ns=10**6)
        behind = store.pipeline.database.reading(lambda h, of_task=of_task: anomaly_runs.runs(h, "default", of_task))
        assert behind["run_key"].n_unique() == behind.height
        assert set(behind["run_key"]) <= set(live(store)["run_key"])


def test_conventions_of_runs(store: Store) -> None:
    """The codes that some runs break are those that are kept for these runs, notes left out; of no run none."""
    findings = store.pipeline.table("run_findings").filter(pl.col("run_key").is_not_null())
    keys = findings["run_key"].unique().sort().to_list()
    codes = store.pipeline.database.reading(lambda h: anomaly_runs.broken(h, "default", keys))
    assert set(codes) == set(findings.filter(pl.col("severity") != "info")["code"])
    assert store.pipeline.database.reading(lambda h: anomaly_runs.broken(h, "default", [])) == []
