"""Numbers from recorded and synthetic telemetry against what really happened, wherever telemetry proves it."""

from __future__ import annotations

from collections import Counter
from functools import cache
from itertools import pairwise
from typing import Any

import polars as pl
import pytest

from collector.analyse import durations, inference, percentiles, slots
from collector.model.statistics import nearest_rank
from collector.model.units import HOUR_NS
from tests.analyse import ground_truth, ground_truth_queues
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
            # Waste is time, not a count: as exact as the clocks, and short of what a cold start did not tell.
            short = sum(
                ground_truth.taken(o) - a["started_ns"]
                for _, a, o in ground_truth.attempts_beside(both(name))
                if not ground_truth.is_told(both(name), o)
            )
            assert -short - (coverage or 0) * len(both(name).truth) * PRECISION_MS * MS <= (ours or 0) - (true or 0)
            assert (ours or 0) <= (true or 0) + len(both(name).truth) * PRECISION_MS * MS
            continue
        assert ours == (None if true is None else pytest.approx(true, rel=1e-12)), measure
        assert coverage is None or coverage <= 1
    counted = [t for t in both(name).truth if not t.is_test]
    shown = sum(t.is_proved or len(t.attempts) > 1 for t in counted)
    assert beside["run_retry_rate"][2] == pytest.approx(shown / len(counted))


@pytest.mark.parametrize("name", [*SETS, SYNTHETIC])
def test_what_became_of_each_attempt_is_what_happened(name: str) -> None:
    """As many runs reached attempt k, succeeded in it, tried again after it or gave up there."""
    beside = ground_truth.funnel_beside(both(name))
    assert beside
    assert [ours for _, _, ours in beside] == [true for _, true, _ in beside]


@pytest.mark.parametrize("name", [n for n in SETS if "old-exporter" not in n] + [SYNTHETIC])
def test_durations_and_their_percentiles_are_those_of_what_happened(name: str) -> None:
    """Waits, execution, attempts, gaps and end to end within two clocks' precision; the synthetic ones exactly."""
    beside = ground_truth.durations_beside(both(name))
    # The workload's logs state waits in tenths of a ms.
    stated = {"queue_wait": 0.051, "end_to_end": 0.051}
    for measure, pairs in beside.items():
        assert pairs or (measure == "gap" and name in ("long-wait", "platform-internal")), measure
        most = stated.get(measure, 0) if name == SYNTHETIC else 2 * PRECISION_MS
        for true, ours in [*pairs, *(ground_truth.percentile_beside(pairs, p) for p in (500, 950) if pairs)]:
            assert abs(ours - true) <= most * MS, measure


@pytest.mark.parametrize("name", [*SETS, SYNTHETIC])
def test_every_attempt_that_left_a_record_is_found_at_its_time(name: str) -> None:
    """Attempt counts agree, and times within the clocks' precision wherever telemetry states them."""
    sides = both(name)
    beside = ground_truth.attempts_beside(sides)
    assert len(beside) == sides.attempts.height == sum(len(t.attempts) for t in sides.truth)
    for _, true, ours in beside:
        if ours["ended_source"] in ("measured", "derived"):
            assert abs(ours["ended_ns"] - true["ended_ns"]) <= PRECISION_MS * MS
        late = ground_truth.taken(ours) - true["started_ns"]
        # What does not tell of the time its process took to start is late by that, never early.
        assert late >= -PRECISION_MS * MS
        if ground_truth.is_told(sides, ours):
            assert late <= PRECISION_MS * MS


@pytest.mark.parametrize("name", [n for n in SETS if "old-exporter" not in n] + [SYNTHETIC])
def test_overlap_in_each_queue_is_that_of_what_happened(name: str) -> None:
    """As many slots were held at once, and for as long, start-up of processes included."""
    overlaps = ground_truth.overlap_beside(both(name))
    assert overlaps
    for queue, n, true_peak, our_peak, true_s, our_s in overlaps:
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
    sides = _synthetic()
    values = durations.values(sides.runs, sides.attempts, as_of_ns=sides.as_of_ns).collect()
    closed = [t for t in sides.truth if not t.is_open]
    true: dict[tuple[str, str], list[int]] = {}
    for t in closed:
        a = t.attempts
        true.setdefault((t.task, "execution"), []).append(a[-1]["ended_ns"] - a[0]["started_ns"])
        for one in a:
            true.setdefault((t.task, "attempt"), []).append(one["ended_ns"] - one["started_ns"])
        for before, after in pairwise(a):
            true.setdefault((t.task, "gap"), []).append(after["started_ns"] - before["ended_ns"])
    report = percentiles.exact(values, ["project", "task_id"]).filter(pl.col("outcome").is_null())
    value = {(r["task_id"], r["measure"], r["statistic"]): r["value"] for r in report.rows(named=True)}
    for (task, measure), lengths in true.items():
        assert value[task, measure, "count"] == len(lengths)
        assert value[task, measure, "max"] == max(lengths)
        if len(lengths) >= 20:
            assert value[task, measure, "p95"] == sorted(lengths)[nearest_rank(len(lengths), 950) - 1]
    wasted = ground_truth.numbers_beside(sides)["wasted_time"]
    assert wasted[1] == wasted[0]
    assert values.filter(pl.col("measure") == "unexplained")["value_ns"].max() == 0
    waited = {t.run_id: [a["started_ns"] - a["queued_ns"] for a in t.attempts] for t in sides.truth}
    for run_id, number, ns in sides.attempts.select("run_id", "number", "queue_wait_ns").rows():
        assert abs(ns - waited[run_id][number - 1]) <= 0.05 * MS + 1


def test_the_synthetic_queues_are_as_full_as_simulated() -> None:
    """Levels, saturation, time at and over the limit and throttled time; waits are stated to a tenth of a ms."""
    beside = ground_truth_queues.queues_beside(_synthetic())
    assert {q for q, _, _ in beside} == set(ground_truth_queues.LIMITS)
    for key, (true, ours) in beside.items():
        assert ours == pytest.approx(true, rel=1e-12 if key[1] != "throttled" else 1e-4, abs=1e-9), key
    assert max(true for (_, m, _), (true, _) in beside.items() if m == "throttled") > 0.05


def test_the_synthetic_slot_time_of_each_task_is_exact() -> None:
    """Who held a shared queue's slots, to the nanosecond."""
    beside = ground_truth_queues.shares_beside(_synthetic())
    assert len(beside) > len(ground_truth_queues.LIMITS)
    assert all(true == ours for true, ours in beside.values())


def test_the_synthetic_flow_of_every_hour_is_exact() -> None:
    """Arrivals, starts and ends are counted in the hour they happened, but for waits told to a tenth of a ms."""
    beside = ground_truth_queues.flow_beside(_synthetic())
    assert len(beside) > 3 * 47
    # A schedule that fires on the hour may be told to have fired just before.
    shift = round(0.051 * MS)
    on_edge = Counter((t.queued_ns + shift) // HOUR_NS for t in _synthetic().truth if t.queued_ns % HOUR_NS <= shift)
    for (event, hour), (true, ours) in beside.items():
        doubtful = on_edge[hour] + on_edge[hour + 1] if event == "arrived" else 0
        assert abs(true - ours) <= doubtful, (event, hour)


def test_the_synthetic_limits_are_found_where_queues_filled_up() -> None:
    """A limit that is inferred with more than low confidence is the simulation's; queues that never filled get none."""
    sides = _synthetic()
    limits = ground_truth_queues.LIMITS
    held = slots.slots(
        sides.runs, sides.attempts, sides.waits, as_of_ns=sides.as_of_ns, lease_ns=ground_truth.LEASE_NS
    ).collect()
    waiting = slots.queued(sides.runs, sides.attempts, sides.waits, as_of_ns=sides.as_of_ns)
    low = int(held["from_ns"].min())  # type: ignore[arg-type]
    inferred = inference.infer(held, waiting, from_ns=low, to_ns=sides.as_of_ns)
    sure = inferred.filter(pl.col("confidence") != "low")
    assert {q: limits[q] for q in sure["queue"]} == dict(sure.select("queue", "limit").rows())
    assert set(sure["queue"]) == {"mail", "media", "payments", "reports"}
    assert all(limit <= limits[q] for q, limit in inferred.select("queue", "limit").rows())


def test_plain_records_give_every_run_its_task_queue_parent_and_end() -> None:
    """Without any platform, phases and spans tell which runs there were and how they ended; open ones are unknown."""
    runs = {r["run_id"]: r for r in both(SYNTHETIC).a_day_later["runs"].to_dicts()}
    truth = ground_truth.simulated()
    assert set(runs) == {t["run_id"] for t in truth}
    for t in truth:
        run = runs[t["run_id"]]
        named = (run["task_id"], run["queue"], run["parent_run_id"])
        assert named == (t["task"], t["queue"], t["parent_run_id"])
        assert run["status"] == {"open": "unknown"}.get(t["status"], t["status"])


def test_plain_records_give_every_attempt_and_its_outcome() -> None:
    """Attempts are counted and judged as they happened; the count of a run whose end nobody saw is unknown."""
    runs = {r["run_id"]: r for r in both(SYNTHETIC).a_day_later["runs"].to_dicts()}
    outcomes: dict[str, list[Any]] = {}
    for a in both(SYNTHETIC).a_day_later["attempts"].sort("number").to_dicts():
        outcomes.setdefault(a["run_id"], []).append((a["number"], a["status"]))
    for t in ground_truth.simulated():
        if t["status"] == "open":
            assert runs[t["run_id"]]["attempt_count"] is None
            continue
        assert runs[t["run_id"]]["attempt_count"] == len(t["attempts"])
        expected = [(a["number"], "completed" if a["ok"] else "failed") for a in t["attempts"]]
        assert outcomes[t["run_id"]] == expected
