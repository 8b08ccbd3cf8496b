"""Numbers from recorded and synthetic telemetry against what really happened, wherever telemetry proves it."""

from __future__ import annotations

from functools import cache
from itertools import pairwise

import polars as pl
import pytest

from collector.analyse import durations, inference, percentiles, slots
from collector.model.statistics import nearest_rank
from tests.analyse import ground_truth
from tests.analyse.ground_truth import MS, SYNTHETIC, Both, load
from tests.inprocess import SETS

PRECISION_MS = 100
"""The platform stamps milliseconds on its own side of a start and an end; telemetry does on the worker's."""

both = cache(load)


@pytest.mark.parametrize("name", [*SETS, SYNTHETIC])
def test_rates_of_runs_are_those_of_what_happened(name: str) -> None:
    """Retry rate, attempts per run, failure, recovery and masked failure agree exactly over runs that are proved."""
    beside = ground_truth.numbers_beside(both(name))
    for measure, (true, ours, coverage) in beside.items():
        if measure == "wasted_time":
            continue
        assert ours == (None if true is None else pytest.approx(true, rel=1e-12)), measure
        assert coverage is None or coverage <= 1
    counted = [t for t in both(name).truth if not t.is_test]
    shown = sum(t.is_proved or len(t.attempts) > 1 for t in counted)
    assert beside["run_retry_rate"][2] == pytest.approx(shown / len(counted))


@pytest.mark.parametrize("name", [*SETS, SYNTHETIC])
def test_every_attempt_that_left_a_record_is_found_at_its_time(name: str) -> None:
    """Attempt counts agree, and times within the clocks' precision wherever telemetry states them."""
    told = both(name)
    beside = ground_truth.attempts_beside(told)
    assert len(beside) == told.attempts.height == sum(len(t.attempts) for t in told.truth)
    for _, true, ours in beside:
        if ours["ended_source"] in ("measured", "derived"):
            assert abs(ours["ended_ns"] - true["ended_ns"]) <= PRECISION_MS * MS
        late = ground_truth.taken(ours) - true["started_ns"]
        # What does not tell of the time its process took to start is late by that, never early.
        assert late >= -PRECISION_MS * MS
        if ground_truth.is_told(told, ours):
            assert late <= PRECISION_MS * MS


@pytest.mark.parametrize("name", [n for n in SETS if "old-exporter" not in n] + [SYNTHETIC])
def test_overlap_in_each_queue_is_that_of_what_happened(name: str) -> None:
    """As many slots were held at once, and for as long, start-up of processes included."""
    found = ground_truth.overlap_beside(both(name))
    assert found
    for queue, n, true_peak, our_peak, true_s, our_s in found:
        assert our_peak == true_peak, queue
        assert our_s == pytest.approx(true_s, abs=n * PRECISION_MS / 1000)


def _synthetic() -> Both:
    return both(SYNTHETIC)


def test_the_synthetic_levels_are_exact_to_the_nanosecond() -> None:
    """Two days of eight queues: the level table of telemetry is the level table of the simulation."""
    true, ours = ground_truth.levels_beside(_synthetic())
    assert true.equals(ours)


def test_synthetic_durations_and_their_percentiles_are_exact() -> None:
    """Execution, active time, gaps and waste are the simulation's, queue waits to the tenth of a ms that logs state."""
    told = _synthetic()
    found = durations.values(told.runs, told.attempts, as_of_ns=told.as_of_ns).collect()
    closed = [t for t in told.truth if not t.is_open]
    true: dict[tuple[str, str], list[int]] = {}
    for t in closed:
        a = t.attempts
        true.setdefault((t.task, "execution"), []).append(a[-1]["ended_ns"] - a[0]["started_ns"])
        for one in a:
            true.setdefault((t.task, "attempt"), []).append(one["ended_ns"] - one["started_ns"])
        for before, after in pairwise(a):
            true.setdefault((t.task, "gap"), []).append(after["started_ns"] - before["ended_ns"])
    report = percentiles.exact(found, ["project", "task_id"]).filter(pl.col("outcome").is_null())
    value = {(r["task_id"], r["measure"], r["statistic"]): r["value"] for r in report.rows(named=True)}
    for (task, measure), lengths in true.items():
        assert value[task, measure, "count"] == len(lengths)
        assert value[task, measure, "max"] == max(lengths)
        if len(lengths) >= 20:
            assert value[task, measure, "p95"] == sorted(lengths)[nearest_rank(len(lengths), 950) - 1]
    wasted = ground_truth.numbers_beside(told)["wasted_time"]
    assert wasted[1] == wasted[0]
    assert found.filter(pl.col("measure") == "unexplained")["value_ns"].max() == 0
    waited = {t.run_id: [a["started_ns"] - a["queued_ns"] for a in t.attempts] for t in told.truth}
    for run_id, number, ns in told.attempts.select("run_id", "number", "queue_wait_ns").rows():
        assert abs(ns - waited[run_id][number - 1]) <= 0.05 * MS + 1


def test_the_synthetic_limits_are_found_where_queues_filled_up() -> None:
    """A limit that is inferred with more than low confidence is the simulation's; queues that never filled get none."""
    told = _synthetic()
    limits = {"payments": 2, "mail": 8, "media": 3, "default": 10, "reports": 1, "crm": 3, "search": 4, "webhooks": 6}
    held = slots.slots(
        told.runs, told.attempts, told.waits, as_of_ns=told.as_of_ns, lease_ns=ground_truth.LEASE_NS
    ).collect()
    waiting = slots.queued(told.runs, told.attempts, as_of_ns=told.as_of_ns)
    low = int(held["from_ns"].min())  # type: ignore[arg-type]
    found = inference.infer(held, waiting, from_ns=low, to_ns=told.as_of_ns)
    sure = found.filter(pl.col("confidence") != "low")
    assert {q: limits[q] for q in sure["queue"]} == dict(sure.select("queue", "limit").rows())
    assert set(sure["queue"]) == {"mail", "media", "payments", "reports"}
    assert all(limit <= limits[q] for q, limit in found.select("queue", "limit").rows())
