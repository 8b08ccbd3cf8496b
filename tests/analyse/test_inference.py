"""Limits inferred from load: found where a queue works at one, not where it merely is busy."""

from __future__ import annotations

import heapq
import random
from collections import deque
from itertools import pairwise

import polars as pl
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from random_runs import HOUR_MS, MS, T0

from collector.analyse import inference, levels, limits, slots
from tests.length import examples

OF_QUEUE = {"project": "default", "queue": "q", "environment": None, "platform_project": None}
HOURS = 6


def simulate(seed: int, limit: int | None, per_minute: float, mean_s: float) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Return slots and waits of a queue with random arrivals and lengths, first come, first served."""
    dice = random.Random(seed)
    now, busy, rows = 0.0, [], []  # type: ignore[var-annotated]
    waiting: deque[float] = deque()

    def begin(due: float, start: float) -> None:
        end = start + dice.expovariate(1 / mean_s)
        heapq.heappush(busy, end)
        rows.append((due, start, end))

    while now < HOURS * 3600:
        now += dice.expovariate(per_minute / 60)
        while busy and busy[0] <= now:
            ended = heapq.heappop(busy)
            if waiting:
                begin(waiting.popleft(), ended + 0.05)
        if limit is None or len(busy) < limit:
            begin(now, now + 0.05)
        else:
            waiting.append(now)
    ns = [tuple(T0 + round(t * 1000) * MS for t in row) for row in rows]
    held = pl.DataFrame(
        [{**OF_QUEUE, "from_ns": s, "to_ns": e, "is_open": False} for _, s, e in ns],
        schema_overrides={"environment": pl.String, "platform_project": pl.String},
    )
    waits = pl.DataFrame(
        [{**OF_QUEUE, "from_ns": d, "to_ns": s, "is_sure": True} for d, s, _ in ns],
        schema_overrides={"environment": pl.String, "platform_project": pl.String},
    )
    return held, waits


@settings(max_examples=examples(6), deadline=None)
@given(st.integers(0, 10_000), st.integers(1, 6))
def test_a_busy_limited_queue_shows_its_limit(seed: int, limit: int) -> None:
    """With load near the limit the plateau, the hand-overs and the waits behind them show it, with high confidence."""
    held, waits = simulate(seed, limit, per_minute=0.9 * limit * 60 / 30, mean_s=30)
    inferred = inference.infer(held, waits, from_ns=T0, to_ns=T0 + HOURS * HOUR_MS * MS)
    assert inferred.select("limit", "source", "confidence").rows() == [(limit, "inferred", "high")]


@settings(max_examples=examples(6), deadline=None)
@given(st.integers(0, 10_000), st.sampled_from([0.5, 2.0, 8.0, 40.0]))
@example(1, 40.0)
@example(2, 40.0)
def test_a_queue_without_limit_gets_no_more_than_a_lower_bound(seed: int, per_minute: float) -> None:
    """Being busy looks like a plateau now and then, but nothing is handed over there."""
    held, waits = simulate(seed, None, per_minute=per_minute, mean_s=30)
    inferred = inference.infer(held, waits, from_ns=T0, to_ns=T0 + HOURS * HOUR_MS * MS)
    assert set(inferred["confidence"]) <= {"low"}


def test_without_told_waits_confidence_is_medium() -> None:
    """Hand-overs alone are not as sure as hand-overs to runs that waited; who may have been put off proves none."""
    held, waits = simulate(3, 2, per_minute=3.6, mean_s=30)
    for unknown in (pl.lit(None, pl.Int64).alias("from_ns"), pl.lit(False).alias("is_sure")):
        inferred = inference.infer(held, waits.with_columns(unknown), from_ns=T0, to_ns=T0 + HOURS * HOUR_MS * MS)
        assert inferred.select("limit", "confidence").rows() == [(2, "medium")]


@settings(max_examples=examples(15), deadline=None)
@given(st.lists(st.tuples(st.integers(0, 50), st.integers(0, 20)), max_size=12))
def test_segments_are_the_level_step_by_step(intervals: list[tuple[int, int]]) -> None:
    """Segments follow each other without gap, neighbours differ, and each has the level a count gives."""
    held = pl.DataFrame(
        [{**OF_QUEUE, "from_ns": s, "to_ns": s + n} for s, n in intervals],
        schema={**dict.fromkeys(slots.QUEUE, pl.String), "from_ns": pl.Int64, "to_ns": pl.Int64},
    )
    segments = levels.segments(held, from_ns=10, to_ns=40).select("from_ns", "to_ns", "level").rows()
    if not intervals:
        assert segments == []
        return
    assert segments[0][0] == 10
    assert segments[-1][1] == 40
    for before, after in pairwise(segments):
        assert before[1] == after[0]
        assert before[2] != after[2]
    for start, end, level in segments:
        for t in range(start, end):
            assert level == sum(s <= t < s + n for s, n in intervals)


def test_evidence_counts_what_it_claims() -> None:
    """Three full episodes with one hand-over each are three episodes, six ends and three hand-overs."""
    rows = []
    for k in range(3):
        base = T0 + k * 600_000 * MS
        rows += [(base, base + 10_000 * MS), (base + 10_050 * MS, base + 20_000 * MS)]
    held = pl.DataFrame(
        [{**OF_QUEUE, "from_ns": s, "to_ns": e, "is_open": False} for s, e in rows],
        schema_overrides={"environment": pl.String, "platform_project": pl.String},
    )
    times = {"from_ns": pl.Int64, "to_ns": pl.Int64, "is_sure": pl.Boolean}
    waits = pl.DataFrame(schema={**dict.fromkeys(slots.QUEUE, pl.String), **times})
    evidence = inference.evidence(held, waits, from_ns=T0, to_ns=T0 + HOUR_MS * MS).row(0, named=True)
    assert (evidence["level"], evidence["episodes"], evidence["ends"], evidence["handovers"]) == (1, 3, 6, 3)
    assert evidence["chance"] == pytest.approx(1 - 2.718281828 ** (-6 * 2 / 3600))
    assert evidence["wait_ns"] is None


_TICKS, _TICK_NS = 40, 250_000_000
_QUEUE = st.sampled_from([("a", None, None), ("a", "live", "x"), ("a", "live", "y"), (None, "live", "x")])
_SLOT = st.tuples(_QUEUE, st.integers(-5, _TICKS), st.integers(0, 30))


@settings(max_examples=examples(25), deadline=None)
@given(st.lists(_SLOT, max_size=25))
def test_the_level_is_the_highest_held_for_over_a_second(drawn: list[tuple[tuple[str, str, str], int, int]]) -> None:
    """Of every queue, unnamed ones too, the candidate is what a count of every tick says: slots before, beyond and
    without length, ends and starts at one instant included.
    """
    held = pl.DataFrame(
        [("default", *queue, T0 + a * _TICK_NS, T0 + (a + n) * _TICK_NS, a + n > _TICKS) for queue, a, n in drawn],
        schema={**dict.fromkeys(slots.QUEUE, pl.String), "from_ns": pl.Int64, "to_ns": pl.Int64, "is_open": pl.Boolean},
        orient="row",
    )
    expected = {}
    for queue in {queue for queue, _, _ in drawn}:
        ticks = [sum(q == queue and a <= t < a + n for q, a, n in drawn) for t in range(_TICKS)]
        for level in range(1, max(ticks) + 1):
            stretches = "".join("#" if here >= level else " " for here in ticks).split()
            if any(len(stretch) * _TICK_NS > 1_000_000_000 for stretch in stretches):
                expected[queue] = level
    waits = held.clear().rename({"is_open": "is_sure"})
    evidence = inference.evidence(held, waits, from_ns=T0, to_ns=T0 + _TICKS * _TICK_NS)
    found = {tuple(of): level for _, *of, level in evidence.select(*slots.QUEUE, "level").iter_rows()}
    assert found == expected


def test_an_inferred_limit_says_how_sure_it_is() -> None:
    """The note of a limit that was inferred has its confidence; a stated one and other numbers keep theirs."""
    numbers = pl.DataFrame(
        [
            {**OF_QUEUE, "measure": "limit", "provenance": "inferred", "note": "inferred from load"},
            {**OF_QUEUE, "measure": "saturation", "provenance": "inferred", "note": None},
            {**OF_QUEUE, "queue": "r", "measure": "limit", "provenance": "measured", "note": "from settings"},
        ],
        schema_overrides={"environment": pl.String, "platform_project": pl.String, "note": pl.String},
    )
    steps = pl.DataFrame(
        [
            {**OF_QUEUE, "source": "inferred", "confidence": "high"},
            {**OF_QUEUE, "queue": "r", "source": "settings", "confidence": None},
        ],
        schema_overrides={"environment": pl.String, "platform_project": pl.String, "confidence": pl.String},
    )
    notes = limits.noted(numbers, steps)["note"].to_list()
    assert notes == ["inferred from load, confidence high", None, "from settings"]
