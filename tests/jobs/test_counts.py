"""Attempts as statistics count them, through the store: from 0 or 1, all seen or some lost, in any order of arrival."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import polars as pl
import pytest
from polars.testing import assert_frame_equal

from collector.api import endpoints, stats
from collector.api.question import Basis
from collector.model.tables import STATISTICS
from tests.analyse.story import SECOND, T0, attempt, log
from tests.jobs.invented import store
from tests.jobs.test_statistics import STATS, Jobs, recomputed, same
from tests.length import also

Records = list[tuple[str, dict[str, Any]]]
AS_OF = T0 + 10 * 3600 * SECOND


def tried(run: str, first: int, *tries: tuple[int, float, float, bool], task: str, logs: bool = False) -> Records:
    """Return records of a run: *tries* are number from 1, start, end and whether it failed, told from *first* on."""
    about = {"task_id": task, "queue": "mail"}
    if not logs:
        more = {**about, "dialect": "generic"}
        return [("spans", attempt(run, n + first - 1, s, e, failed=bad, **more)) for n, s, e, bad in tries]
    return [
        ("logs", log(run, at, f"order_charge_{word}", attempt=n + first - 1, **about))
        for n, s, e, bad in tries
        for at, word in ((s, "started"), (e, "failed" if bad else "completed"))
    ]


def same_runs(first: int, task: str) -> Records:
    """Return runs of a task that counts from *first*, attempts of one number together, the first attempts last."""
    made = [
        tried(f"{task}-once", first, (1, 0, 5, False), task=task),
        tried(f"{task}-twice", first, (1, 0, 5, True), (2, 15, 20, False), task=task),
        tried(f"{task}-failed", first, (1, 7, 8, True), (2, 3_700, 3_710, True), task=task),
        tried(f"{task}-gap", first, (1, 9, 10, True), (3, 60, 70, False), task=task),
        tried(f"{task}-logs", first, (1, 20, 30, True), (2, 40, 45, True), (3, 50, 51, False), task=task, logs=True),
    ]
    every = [record for run in made for record in run]
    return sorted(every, key=lambda record: -record[1]["attempt"])


def asked(jobs: Jobs, name: str, **more: str) -> pl.DataFrame:
    """Return a statistic as the API answers it."""
    parameters = endpoints.read(STATS, {"from": str(T0 - 3600 * SECOND), "to": str(AS_OF), **more}, AS_OF)
    question = stats.question(name, parameters, "default", Basis(60 * SECOND, 3600 * SECOND))
    return jobs.database.reading(lambda h: stats.STATISTICS[name].answer(h, question).rows)


@pytest.mark.parametrize("size", [100, *also("properties", 8)])
def test_a_task_that_counts_from_0_has_the_numbers_of_one_that_counts_from_1(tmp_path: Path, size: int) -> None:
    """Whatever is counted, however its records come, and though each attempt 0 comes last."""
    jobs = Jobs(tmp_path)
    records = [r for both in zip(same_runs(0, "zero"), same_runs(1, "one"), strict=True) for r in both]
    for seq, at in enumerate(range(0, len(records), size), start=1):
        store(jobs.database, seq, records[at : at + size], T0 + 4000 * SECOND)
        jobs.work(T0 + 4000 * SECOND)
    jobs.work(AS_OF)
    same(jobs.statistics(), recomputed(jobs, AS_OF))
    for name in STATISTICS:
        rows = jobs.table(name)
        if "task_id" in rows.columns:
            zero, one = (rows.filter(pl.col("task_id") == task).drop("task_id") for task in ("zero", "one"))
            assert not one.is_empty()
            assert_frame_equal(zero, one, check_row_order=False)
    for name in ("tasks", "retries", "funnel", "durations", "throughput", "failures"):
        zero, one = (asked(jobs, name, task=task, by="").drop("task_id", strict=False) for task in ("zero", "one"))
        assert_frame_equal(zero, one)
    reached = asked(jobs, "funnel", task="zero", by="").select("attempt", "reached", "lost").rows()
    assert reached == [(1, 5, 0), (2, 4, 1), (3, 2, 0)]
    jobs.close()


@pytest.mark.parametrize(("numbers", "lost"), [((2,), 1), ((1, 4), 2)])
def test_attempts_that_left_no_record_are_failed_ones_in_every_number(
    tmp_path: Path, numbers: tuple[int, ...], lost: int
) -> None:
    """Half of twenty runs lost attempts: what speaks of attempts agrees with what speaks of runs, none counts as a
    success, and coverage says for how many records speak.
    """
    jobs = Jobs(tmp_path)
    last = numbers[-1]
    records = [r for i in range(10) for r in tried(f"whole-{i}", 1, (1, i, i + 5, False), task="t")]
    for i in range(10):
        tries = [(n, i + 20.0 * n, i + 20.0 * n + 5, n < last) for n in numbers]
        records += tried(f"lost-{i}", 1, *tries, task="t")
    store(jobs.database, 1, records, T0 + 200 * SECOND)
    jobs.work(AS_OF)
    same(jobs.statistics(), recomputed(jobs, AS_OF))
    every, missing = 10 + 10 * last, 10 * lost
    value = {(r["measure"], r["statistic"]): r for r in asked(jobs, "retries", task="t", by="").rows(named=True)}
    each = {measure: value[measure, statistic]["value"] for measure, statistic in value if statistic != "total"}
    assert each["run_retry_rate"] == each["first_attempt_success"] == each["masked_failure"] == 0.5
    assert each["attempts_per_run"] == each["load_amplification"] == pytest.approx(every / 20)
    assert each["attempt_failure_rate"] == pytest.approx(10 * (last - 1) / every)
    for measure, statistic in (("attempt_failure_rate", "share"), ("load_amplification", "mean")):
        number = value[measure, statistic]
        assert (number["n"], number["coverage"]) == (every, pytest.approx((every - missing) / every))
        assert number["provenance"] == "derived"
    for measure in ("wasted_time", "backoff_time"):
        assert value[measure, "total"]["coverage"] < 1
    funnel = asked(jobs, "funnel", task="t", by="").rows(named=True)
    assert [(r["attempt"], r["reached"], r["succeeded"], r["retried"]) for r in funnel] == [
        (k, 20 if k == 1 else 10, 10 if k in (1, last) else 0, 10 if k < last else 0) for k in range(1, last + 1)
    ]
    assert sum(r["lost"] for r in funnel) == missing
    for row in funnel:
        assert row["coverage"] == pytest.approx((row["reached"] - row["lost"]) / row["reached"])
    jobs.close()
