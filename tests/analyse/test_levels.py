"""Slots and levels against a clock that ticks every millisecond."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable
from typing import Any

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from random_runs import HOUR_MS, MS, T0, History, histories, make, table

from collector.analyse import concurrency, levels, limits, slots
from tests.length import examples

LEASE_MS = 30_000
BUCKET_MS = 3_500
WINDOW_MS = 15_000
QUEUES = [("mail", "PRODUCTION"), ("pay", "PRODUCTION"), ("mail", None)]


def _of(history: History, of: Callable[..., pl.LazyFrame]) -> pl.DataFrame:
    tables = (history.frame(name) for name in ("runs", "attempts", "waits"))
    return of(*tables, as_of_ns=history.as_of_ns, lease_ns=LEASE_MS * MS).collect()


def held_of(history: History) -> pl.DataFrame:
    return _of(history, slots.slots)


def doubted_of(history: History) -> pl.DataFrame:
    return _of(history, slots.doubts)


def waiting_of(history: History) -> pl.DataFrame:
    tables = (history.frame(name) for name in ("runs", "attempts", "waits"))
    return slots.queued(*tables, as_of_ns=history.as_of_ns).collect()


def taken(attempt: dict[str, Any]) -> int:
    """Return since when an attempt holds its slot."""
    return attempt["started_ns"] if attempt["dequeued_ns"] is None else attempt["dequeued_ns"]


def away_of(history: History, run_key: str, number: int) -> list[int]:
    """Return when an attempt gives its slot back in waits that go on."""
    waits = [w for w in history.waits if (w["run_key"], w["attempt"], w["ended_ns"]) == (run_key, number, None)]
    return [w["released_ns"] for w in waits if w["released_ns"] is not None]


def is_lost(history: History, run: dict[str, Any], attempt: dict[str, Any]) -> bool:
    """Tell whether an attempt without an end was not seen for too long, and does not wait."""
    is_silent = attempt["ended_ns"] is None and history.as_of_ns - run["last_seen_ns"] > LEASE_MS * MS
    return is_silent and not away_of(history, run["run_key"], attempt["number"])


def end_of(history: History, run: dict[str, Any], attempt: dict[str, Any]) -> int:
    """Return until when an attempt may hold its slot."""
    if attempt["ended_ns"] is not None:
        end = attempt["ended_ns"]
    elif is_lost(history, run, attempt):
        end = run["last_seen_ns"]
    else:
        end = history.as_of_ns
    return max(end, attempt["started_ns"])


def died_by(history: History, run: dict[str, Any], attempt: dict[str, Any], end: int) -> int:
    """Return until when an attempt that is believed to have died at *end* may have held its slot."""
    later = [taken(a) for a in history.of(run) if a["number"] > attempt["number"]]
    if attempt["ended_source"] == "inferred" and later:
        return min(later[0], end + LEASE_MS * MS)
    return end + LEASE_MS * MS if is_lost(history, run, attempt) and run["status"] == "unknown" else end


def clock(history: History, queue: str, environment: str | None, start_ms: int, length_ms: int) -> np.ndarray:
    """Return how many slots are held in each millisecond, how many of them surely, and how many may be.

    Looked up one attempt and one wait at a time.
    """
    count = np.zeros((3, length_ms), dtype=np.int64)
    base = T0 // MS + start_ms

    def between(a: int, b: int) -> np.ndarray:
        inside = np.zeros(length_ms, dtype=bool)
        inside[max(0, a // MS - base) : max(0, b // MS - base)] = True
        return inside

    for run in history.runs:
        if (run["queue"], run["environment"]) != (queue, environment):
            continue
        for a in history.of(run):
            if taken(a) >= history.as_of_ns:
                continue
            end = end_of(history, run, a)
            tried = between(taken(a), end)
            nothing = np.zeros(length_ms, dtype=bool)
            doubt, believed, told = nothing.copy(), nothing.copy(), nothing.copy()
            if a["ended_source"] == "inferred":
                doubt |= tried
            if a["ended_ns"] is None:
                doubt |= between(run["last_seen_ns"], end)
            for w in history.waits:
                if (w["run_key"], w["attempt"]) != (run["run_key"], a["number"]):
                    continue
                until = history.as_of_ns if w["ended_ns"] is None else w["ended_ns"]
                is_doubtful = w["released_source"] == "inferred"
                doubt |= between(w["started_ns"], until) if is_doubtful else nothing
                free = nothing if w["released_ns"] is None else between(w["released_ns"], until)
                told, believed = (told, believed | free) if is_doubtful else (told | free, believed)
            held = tried & ~told & ~believed
            count += np.array([held, held & ~doubt, (tried & ~told) | between(end, died_by(history, run, a, end))])
    return count


def _counted(moments: np.ndarray) -> list[tuple[int, ...]]:
    """Return the different columns of *moments*, and at the end of each how often it stands there."""
    return pl.DataFrame(list(moments)).group_by(pl.all()).len().rows()


def dwelt(levels_: np.ndarray, edge: int, bucket: int) -> list[int]:
    """Return the peak of each bucket of *levels_*, by milliseconds of which the first and last *edge* are around it."""
    whole = np.lib.stride_tricks.sliding_window_view(levels_, edge).min(axis=1)
    starts = range(edge, len(levels_) - edge, bucket)
    return [int(whole[at - edge + 1 : min(at + bucket, len(levels_) - edge)].max()) for at in starts]


def backlog_clock(history: History, queue: str, environment: str | None) -> tuple[np.ndarray, np.ndarray, bool | None]:
    """Return in which milliseconds of the window a run is known to wait, or may, and whether all starts in it tell."""
    sure, unsure = np.zeros(WINDOW_MS, dtype=bool), np.zeros(WINDOW_MS, dtype=bool)
    stated: list[bool] = []
    base = T0 // MS

    def mark(start: int | None, end: int, is_sure: bool = True) -> None:
        if (end if start is None else start) >= history.as_of_ns:
            return
        if 0 <= end // MS - base < HOUR_MS:
            stated.append(start is not None)
        if start is not None:
            (sure if is_sure else unsure)[max(0, start // MS - base) : max(0, end // MS - base)] = True

    for run in history.runs:
        if (run["queue"], run["environment"]) != (queue, environment):
            continue
        first = next((a for a in history.of(run) if a["number"] == 1), None)
        is_sure = run["queued_source"] != "inferred"
        if run["started_ns"] is not None:
            is_lost = first is None and bool(history.of(run))
            mark(None if is_lost else run["queued_ns"], run["started_ns"] if first is None else taken(first), is_sure)
        elif run["status"] == "queued":
            mark(run["queued_ns"], history.as_of_ns, is_sure)
        for a in history.of(run):
            if a["number"] > 1:
                since = None if a["queue_wait_ns"] is None else a["started_ns"] - a["queue_wait_ns"]
                mark(since, taken(a))
        for w in history.waits:
            if w["run_key"] == run["run_key"] and w["released_ns"] is not None and w["ended_ns"] is not None:
                mark(None, w["ended_ns"])
    return sure, unsure, (all(stated) if stated else None)


limit_steps = st.lists(
    st.tuples(st.sampled_from(QUEUES), st.integers(-2_000, WINDOW_MS // 100), st.integers(0, 4)), max_size=6
)


def limit_rows(steps: list[tuple[tuple[str, str | None], int, int]]) -> pl.DataFrame:
    return table(
        "queue_limits",
        [
            {
                "project": "default",
                "queue": queue,
                "environment": environment,
                "from_ns": T0 + at * 100 * MS,
                "limit": limit,
                "source": "settings",
            }
            for (queue, environment), at, limit in steps
        ],
    )


def limit_clock(rows: pl.DataFrame, queue: str, environment: str | None) -> list[int | None]:
    """Return the limit in force in each millisecond of the window."""
    in_force: list[int | None] = [None] * WINDOW_MS
    steps = rows.filter(pl.col("queue") == queue, pl.col("environment").eq_missing(pl.lit(environment)))
    for at, limit in steps.sort("from_ns", maintain_order=True).select("from_ns", "limit").rows():
        start = max(0, (at - T0) // MS)
        in_force[start:] = [limit] * max(0, WINDOW_MS - start)
    return in_force


@settings(max_examples=examples(25), deadline=None)
@given(histories(most=14, minutes=0.3), limit_steps)
def test_the_level_table_equals_a_count_in_every_millisecond(history: History, steps: list[Any]) -> None:
    """Level, its bounds, peak, limit, waiting: exact to the millisecond, and a bucket's rows add up to its length."""
    rows = limit_rows(steps)
    table_ = levels.queue_levels(
        held_of(history),
        doubted_of(history),
        waiting_of(history),
        rows,
        from_ns=T0,
        to_ns=T0 + WINDOW_MS * MS,
        bucket_ns=BUCKET_MS * MS,
        queues=pl.DataFrame(
            [("default", "pay", "PRODUCTION", None)], schema=dict.fromkeys(slots.QUEUE, pl.String), orient="row"
        ),
    )
    for queue, environment in QUEUES:
        of_queue = table_.filter(pl.col("queue") == queue, pl.col("environment").eq_missing(pl.lit(environment)))
        around = clock(history, queue, environment, -1_000, WINDOW_MS + 2_000)
        count = around[:, 1_000:-1_000]
        if of_queue.is_empty():
            assert (queue, environment) != ("pay", "PRODUCTION")
            assert not count.any()
            continue
        waits, maybe, all_stated = backlog_clock(history, queue, environment)
        in_force = limit_clock(rows, queue, environment)
        peaks = dwelt(around[0], 1_000, BUCKET_MS)
        buckets = np.arange(WINDOW_MS) // BUCKET_MS
        steps_ = np.array([-1 if limit is None else limit for limit in in_force])
        moments = np.stack([buckets, *count, steps_, waits, maybe & ~waits])
        expected: dict[tuple[Any, ...], int] = {}
        for bucket, *held_, limit, waits_now, may_wait, ms in _counted(moments):
            is_queued = True if waits_now else (False if all_stated and not may_wait else None)
            key = (bucket, *held_, None if limit < 0 else limit, is_queued, bool(may_wait), peaks[bucket])
            expected[key] = ms
        rows_ = of_queue.with_columns(bucket=(pl.col("bucket_ns") - T0) // (BUCKET_MS * MS), ms=pl.col("ns") // MS)
        columns = ["bucket", "level", "sure", "most", "limit", "is_queued", "may_wait", "peak"]
        actual = {r[:-1]: r[-1] for r in rows_.select(*columns, "ms").rows()}
        assert actual == expected


@settings(max_examples=examples(15), deadline=None)
@given(histories(most=14, minutes=0.3), limit_steps)
def test_saturation_numbers_equal_those_of_the_clock(history: History, steps: list[Any]) -> None:
    """Mean, 95th percentile, peak, limit, saturation, time at limit, throttled, over, paused, by their definitions, and
    for which share of the time every level that may be says the same.
    """
    rows = limit_rows(steps)
    table_ = levels.queue_levels(
        held_of(history),
        doubted_of(history),
        waiting_of(history),
        rows,
        from_ns=T0,
        to_ns=T0 + WINDOW_MS * MS,
        bucket_ns=BUCKET_MS * MS,
    )
    numbers = concurrency.report(table_)
    for queue, environment in QUEUES:
        of_queue = numbers.filter(pl.col("queue") == queue, pl.col("environment").eq_missing(pl.lit(environment)))
        if of_queue.is_empty():
            continue
        keyed = {(r["measure"], r["statistic"]): r for r in of_queue.rows(named=True)}
        value = {key: row["value"] for key, row in keyed.items()}
        around = clock(history, queue, environment, -1_000, WINDOW_MS + 2_000)
        n, sure, most_held = around[:, 1_000:-1_000]
        waits, maybe, all_stated = backlog_clock(history, queue, environment)
        limit = limit_clock(rows, queue, environment)
        assert value["level", "mean"] == pytest.approx(n.mean())
        assert value["level", "p95"] == sorted(n)[math.ceil(0.95 * WINDOW_MS) - 1]
        peaks = dwelt(around[0], 1_000, BUCKET_MS)
        lasting = max(peaks)
        assert value["level", "peak"] == (lasting or n.max())
        assert (keyed["level", "peak"]["note"] is not None) == (lasting < n.max())
        certain = sure.sum() / most_held.sum() if most_held.any() else 1.0
        for statistic in ("mean", "p95", "peak"):
            row = keyed["level", statistic]
            assert row["coverage"] == pytest.approx(certain)
            assert row["provenance"] == ("derived" if certain == 1 else "inferred")
        assert value["limit", "max"] == max((most for most in limit if most is not None), default=None)
        stated = [x for x in limit if x is not None]
        in_force = np.array([x or 0 for x in limit])
        at = in_force > 0
        if not at.any():
            assert value["saturation", "share"] is None
            assert value["paused", "share"] == (1.0 if stated else None)
            continue
        held_long = np.repeat(peaks, BUCKET_MS)[:WINDOW_MS]
        n, sure, most, in_force, waits, maybe, held_long = (
            x[at] for x in (n, sure, most_held, in_force, waits, maybe, held_long)
        )
        assert value["saturation", "share"] == pytest.approx(np.minimum(n, in_force).sum() / in_force.sum())
        full = n >= in_force
        assert value["time_at_limit", "share"] == pytest.approx(full.mean())
        agreed = ((sure >= in_force) == (most >= in_force)).mean()
        assert keyed["time_at_limit", "share"]["coverage"] == pytest.approx(agreed * len(stated) / WINDOW_MS)
        over = (sure > in_force) & (held_long > in_force)
        assert value["over_limit", "share"] == pytest.approx(over.mean())
        assert keyed["over_limit", "share"]["coverage"] == pytest.approx(
            (over == (most > in_force)).mean() * len(stated) / WINDOW_MS
        )
        maybe_over = ~over & (in_force < n)
        assert value["maybe_over_limit", "share"] == pytest.approx(maybe_over.mean())
        assert (keyed["over_limit", "share"]["note"] is not None) == maybe_over.any()
        assert value["paused", "share"] == pytest.approx(stated.count(0) / len(stated))
        told = full & (waits | (bool(all_stated) & ~maybe))
        if full.any() and not told.any():
            assert value["throttled", "share"] is None
        else:
            assert value["throttled", "share"] == pytest.approx((told & waits).sum() / (~full | told).sum())


@settings(max_examples=examples(15), deadline=None)
@given(histories(most=10, minutes=90))
def test_slot_time_per_hour_adds_up_to_the_slots(history: History) -> None:
    """Cutting slots at hours loses nothing, neither what is assumed nor whose it is, and the level table over the same
    hours holds the same slot time, and as much of it as sure.
    """
    held, doubted = held_of(history), doubted_of(history)
    hours = slots.slot_hours(held, doubted)
    by_queue = {r[:2]: r[2] for r in hours.group_by("queue", "environment").agg(pl.col("slot_ns").sum()).rows()}
    lasted = held.with_columns(ns=pl.col("to_ns") - pl.col("from_ns"))
    assert by_queue == {r[:2]: r[2] for r in lasted.group_by("queue", "environment").agg(pl.col("ns").sum()).rows()}
    assert hours["orphan_slots"].sum() == held["is_orphan"].sum()
    assumed_ = doubted.filter("is_held").with_columns(ns=pl.col("to_ns") - pl.col("from_ns"))
    assert (hours["assumed_ns"].sum() or 0) == assumed_["ns"].sum()
    free_ = doubted.filter(~pl.col("is_held")).with_columns(ns=pl.col("to_ns") - pl.col("from_ns"))
    assert (hours["maybe_ns"].sum() or 0) == free_["ns"].sum()
    shares = concurrency.slot_share(hours).filter(pl.col("measure") == "slot_share", pl.col("statistic") == "total")
    for row in shares.rows(named=True):
        same = [pl.col(c).eq_missing(pl.lit(row[c])) for c in (*slots.QUEUE, "task_id", "population")]
        ns = lasted.filter(*same)
        assert row["value"] == ns["ns"].sum()
        assumed = assumed_.filter(*same)["ns"].sum()
        maybe = free_.filter(*same)["ns"].sum()
        most = row["value"] + maybe
        assert row["coverage"] == (pytest.approx((row["value"] - assumed) / most) if most else None)
        assert row["provenance"] == ("inferred" if assumed or maybe else "derived")
    if held.is_empty():
        return
    end = int(held["to_ns"].max()) + 1  # type: ignore[arg-type]
    swept = levels.queue_levels(
        held, doubted, waiting_of(history), table("queue_limits", []), from_ns=T0 - HOUR_MS * MS, to_ns=end
    )
    for (queue, environment), ns in by_queue.items():
        of_queue = swept.filter(pl.col("queue") == queue, pl.col("environment").eq_missing(pl.lit(environment)))
        assert (of_queue["level"] * of_queue["ns"]).sum() == ns
        of_hours = [pl.col(c).eq_missing(pl.lit(v)) for c, v in (("queue", queue), ("environment", environment))]
        assert (of_queue["sure"] * of_queue["ns"]).sum() == ns - hours.filter(*of_hours)["assumed_ns"].sum()


@settings(max_examples=examples(15), deadline=None)
@given(histories(most=14, minutes=1), st.integers(1, 8))
def test_windows_put_together_equal_the_whole(history: History, cut: int) -> None:
    """Sweeping two windows, each from the intervals that touch it, gives what one sweep over both gives, peaks too."""
    held, doubted, waiting, none = (
        held_of(history),
        doubted_of(history),
        waiting_of(history),
        table("queue_limits", []),
    )
    edges = [T0, T0 + cut * BUCKET_MS * MS, T0 + 9 * BUCKET_MS * MS]
    queues = pl.concat([held.select(slots.QUEUE), waiting.select(slots.QUEUE)]).unique()
    bucket = {"bucket_ns": BUCKET_MS * MS, "queues": queues}
    parts = []
    for low, high in (edges[:2], edges[1:]):
        touching = held.filter(pl.col("from_ns") < high + levels.DWELL_NS, pl.col("to_ns") > low - levels.DWELL_NS)
        parts.append(levels.queue_levels(touching, doubted, waiting, none, from_ns=low, to_ns=high, **bucket))
    whole = levels.queue_levels(held, doubted, waiting, none, from_ns=edges[0], to_ns=edges[2], **bucket)
    assert pl.concat(parts).sort(whole.columns, nulls_last=True).equals(whole.sort(whole.columns, nulls_last=True))


@settings(max_examples=examples(15), deadline=None)
@given(histories(most=12, minutes=150), st.integers(0, 1), st.integers(1, 3))
def test_littles_law_differs_by_what_crosses_the_edges(history: History, first: int, long: int) -> None:
    """Average level less start rate times time held is the slot time that crosses the window's edges, no more."""
    held = held_of(history)
    low, high = (T0 + hours * HOUR_MS * MS for hours in (first, first + long))
    hours = slots.slot_hours(held, doubted_of(history)).filter(pl.col("hour_ns").is_between(low, high, closed="left"))
    numbers = concurrency.little(hours, held, from_ns=low, to_ns=high)
    for queue, environment in QUEUES:
        of_queue = numbers.filter(pl.col("queue") == queue, pl.col("environment").eq_missing(pl.lit(environment)))
        mine = held.filter(pl.col("queue") == queue, pl.col("environment").eq_missing(pl.lit(environment)))
        inside, lasting, starts, crossing = 0, 0, 0, 0
        for start, end in mine.select("from_ns", "to_ns").rows():
            part = max(0, min(end, high) - max(start, low))
            begins = low <= start < high
            inside, starts, lasting = inside + part, starts + begins, lasting + (end - start) * begins
            crossing += (start < low and part > 0) or (begins and end > high)
        if of_queue.is_empty():
            assert (inside, starts) == (0, 0)
            continue
        value = {m: (v, n) for m, v, n in of_queue.select("measure", "value", "n").rows()}
        window = high - low
        assert value["level"] == (pytest.approx(inside / window), starts)
        assert value["little_level"] == (pytest.approx(lasting / window, abs=1e-9), starts)
        assert value["little_difference"] == (pytest.approx((inside - lasting) / window, abs=1e-9), crossing)
        needed = max(1, math.ceil(round(lasting / window / concurrency.UTILISATION, 9))) if starts else None
        assert value["needed_limit"] == (needed, starts)


def test_limits_of_the_settings_replace_inferred_ones_and_hold_in_every_environment() -> None:
    """Stated beats inferred, the queue's own environment beats all, and neither low confidence nor what holds for one
    concurrency key is a limit of the queue.
    """
    rows = table(
        "queue_limits",
        [
            {
                "project": "default",
                "queue": "mail",
                "environment": "PRODUCTION",
                "from_ns": 5,
                "limit": 9,
                "source": "inferred",
                "confidence": "high",
            },
            {
                "project": "default",
                "queue": "mail",
                "environment": None,
                "from_ns": 0,
                "limit": 4,
                "source": "settings",
            },
            {
                "project": "default",
                "queue": "pay",
                "environment": "PRODUCTION",
                "from_ns": 5,
                "limit": 2,
                "source": "inferred",
                "confidence": "medium",
            },
            {
                "project": "default",
                "queue": "pay",
                "environment": None,
                "from_ns": 5,
                "limit": 1,
                "source": "inferred",
                "confidence": "low",
            },
            {
                "project": "default",
                "queue": "pay",
                "environment": "PRODUCTION",
                "concurrency_key": "eu",
                "from_ns": 5,
                "limit": 3,
                "source": "settings",
            },
            *(
                {
                    "project": "default",
                    "queue": "bulk",
                    "environment": environment,
                    "from_ns": 0,
                    "limit": limit,
                    "source": "settings",
                }
                for environment, limit in (("PRODUCTION", 6), (None, 7))
            ),
        ],
    )
    every = [*QUEUES, ("bulk", "PRODUCTION")]
    queues = pl.DataFrame(
        [("default", q, e, None) for q, e in every], schema=dict.fromkeys(slots.QUEUE, pl.String), orient="row"
    )
    assert limits.steps(rows, queues).select("queue", "environment", "limit", "source").rows() == [
        ("bulk", "PRODUCTION", 6, "settings"),
        ("mail", "PRODUCTION", 4, "settings"),
        ("mail", None, 4, "settings"),
        ("pay", "PRODUCTION", 2, "inferred"),
    ]


def test_of_stated_limits_the_most_special_holds() -> None:
    """That of project and environment goes before that of the project, that before the environment's, that before all;
    a limit that was inferred is of no other queue."""
    stated = [(None, None, 1), ("PRODUCTION", None, 2), (None, "y", 3), (None, "z", 4), ("PRODUCTION", "z", 5)]
    rows = limits.from_settings("default", [("mail", environment, of, n) for environment, of, n in stated])
    about = {"project": "default", "queue": "pay", "from_ns": 0, "limit": 9, "source": "inferred", "confidence": "high"}
    rows = pl.concat([rows, table("queue_limits", [about])])
    every = [(q, e, of) for q in ("mail", "pay") for e in ("PRODUCTION", None) for of in ("y", "z", None)]
    queues = pl.DataFrame([("default", *q) for q in every], schema=dict.fromkeys(slots.QUEUE, pl.String), orient="row")
    told = {tuple(r[1:4]): r[4] for r in limits.steps(rows, queues).select(*slots.QUEUE, "limit").rows()}
    assert told == {
        ("mail", "PRODUCTION", "y"): 3,
        ("mail", "PRODUCTION", "z"): 5,
        ("mail", "PRODUCTION", None): 2,
        ("mail", None, "y"): 3,
        ("mail", None, "z"): 4,
        ("mail", None, None): 1,
        ("pay", None, None): 9,
    }


def test_an_open_slot_lasts_while_its_run_is_seen_and_is_an_orphan_after() -> None:
    """Without this a single lost end would add a slot for ever; given back for a while, only what follows is open.

    Who waits is no orphan, however silent: its slot lasts until it is given back, and may be held from then on where
    nobody documents that it is.
    """
    about = {"project": "default", "run_key": "k", "task_id": "a", "queue": "mail", "environment": "PRODUCTION"}
    history = History(T0 + 60_000 * MS)
    history.runs = [{**about, "status": "running", "started_ns": T0, "last_seen_ns": T0 + 20_000 * MS}]
    history.attempts = [{**about, "number": 1, "status": "running", "started_ns": T0, "ended_source": "unknown"}]
    del history.attempts[0]["environment"]
    held = held_of(history)
    assert held.select("to_ns", "is_orphan").rows() == [(T0 + 20_000 * MS, True)]
    holding = concurrency.holders(held, as_of_ns=history.as_of_ns)
    assert holding.select("run_key", "held_ns", "is_orphan").rows() == [("k", 20_000 * MS, True)]
    history.as_of_ns = T0 + 50_000 * MS
    held = held_of(history)
    assert held.select("to_ns", "is_orphan").rows() == [(T0 + 50_000 * MS, False)]
    holding = concurrency.holders(held, as_of_ns=history.as_of_ns)
    assert holding.select("run_key", "held_ns", "is_orphan").rows() == [("k", 50_000 * MS, False)]
    wait = {"project": "default", "run_key": "k", "attempt": 1, "kind": "for", "released_source": "derived"}
    begins = T0 + 10_000 * MS
    history.waits = [{**wait, "started_ns": begins, "released_ns": begins, "ended_ns": T0 + 15_000 * MS}]
    parts = held_of(history).select("from_ns", "to_ns", "is_open", "is_assumed").sort("from_ns").rows()
    assert parts == [
        (T0, T0 + 10_000 * MS, False, True),
        (T0 + 15_000 * MS, T0 + 50_000 * MS, True, True),
    ]
    history.waits[0]["ended_ns"] = None
    for at in (50_000, 10_000_000):
        history.as_of_ns = T0 + at * MS
        parts = held_of(history).select("from_ns", "to_ns", "is_open", "is_orphan").rows()
        assert parts == [(T0, begins, False, False)]
    seen, released = T0 + 20_000 * MS, T0 + 80_000 * MS
    history.waits[0] |= {"started_ns": seen, "released_ns": released, "released_source": "inferred"}
    parts = held_of(history).select("from_ns", "to_ns", "is_open", "is_orphan").rows()
    assert parts == [(T0, released, False, False)]
    doubted = doubted_of(history).sort("from_ns").select("run_key", "number", "from_ns", "to_ns", "is_held").rows()
    assert doubted == [("k", 1, seen, released, True), ("k", 1, released, history.as_of_ns, False)]


@settings(max_examples=examples(15), deadline=None)
@given(histories(most=14, minutes=1), st.sampled_from(["", "started_ns", "ended_ns"]))
def test_a_slot_says_how_sure_its_end_is_and_who_holds_it(history: History, moment: str) -> None:
    """Assumed is a slot whose end is inferred or missing, or that a wait may have given back; of the parts of one the
    last alone is open or an orphan; one that begins at `as_of` is not held yet, and one that ends then no more.
    """
    history.as_of_ns = max((a[moment] for a in history.attempts if moment and a[moment]), default=history.as_of_ns)
    runs = {run["run_key"]: run for run in history.runs}
    attempts = {(a["run_key"], a["number"]): a for a in history.attempts if taken(a) < history.as_of_ns and a["queue"]}
    rows = held_of(history)
    held = rows.sort("from_ns", "to_ns").partition_by("run_key", "number", as_dict=True)
    assert set(held) == set(attempts)
    holding = concurrency.holders(rows, as_of_ns=history.as_of_ns).select("run_key", "number").rows()
    is_held = pl.col("is_open") | ((pl.col("from_ns") <= history.as_of_ns) & (history.as_of_ns < pl.col("to_ns")))
    assert Counter(holding) == Counter(rows.filter(is_held).select("run_key", "number").rows())
    for key, parts in held.items():
        is_open = attempts[key]["ended_ns"] is None
        waits = [w for w in history.waits if (w["run_key"], w["attempt"]) == key]
        is_away = any(at <= history.as_of_ns for at in away_of(history, *key))
        is_orphan = is_lost(history, runs[key[0]], attempts[key])
        doubts = [w for w in waits if w["released_source"] == "inferred"]
        is_assumed = is_open or attempts[key]["ended_source"] == "inferred" or bool(doubts)
        is_open = is_open and not is_away
        flags = parts.select("is_assumed", "is_open", "is_orphan").rows()
        assert flags[-1] == (is_assumed, is_open, is_orphan)
        assert set(flags[:-1]) <= {(is_assumed, False, False)}


def test_the_95th_percentile_holds_for_exactly_95_percent_of_the_time() -> None:
    """A slot held for a twentieth of the time leaves the percentile at 0, one for a moment longer does not."""
    about = {"project": "default", "queue": "mail", "environment": None, "bucket_ns": T0}

    def p95(held_ns: int) -> float:
        rows = [{**about, "level": 0, "ns": 1000 - held_ns}, {**about, "level": 1, "ns": held_ns}]
        row = concurrency.report(table("queue_levels", rows)).filter(pl.col("statistic") == "p95")
        return float(row["value"].item())

    assert (p95(50), p95(51)) == (0, 1)


def test_the_backlog_drains_only_when_more_ends_than_arrives() -> None:
    """Time to drain is backlog over net ends, with an interval that may be open, or never; paused, it has none."""
    queue = dict(zip(slots.QUEUE, ("default", "mail", "PRODUCTION", "x"), strict=True))
    waiting = pl.DataFrame(
        [
            {**queue, "queued_ns": T0 - 5_000 * MS, "is_assumed": False, "status": "queued", "is_told": True},
            {**queue, "queued_ns": None, "is_assumed": True, "status": "queued", "is_told": True},
        ]
    )

    def drain(arrived: int, ended: int, *, is_paused: bool = False) -> tuple[Any, ...]:
        backlog = concurrency.backlog(
            waiting.with_columns(is_paused=pl.lit(is_paused)),
            as_of_ns=T0,
            arrivals=pl.DataFrame([{**queue, "arrived": arrived, "ended": ended}]),
            over_ns=HOUR_MS * MS,
        )
        rows = {r["measure"]: r for r in backlog.rows(named=True)}
        assert (rows["backlog"]["value"], rows["backlog_age"]["value"], rows["backlog_age"]["n"]) == (2, 5_000 * MS, 1)
        assert rows["backlog"]["provenance"] == "inferred"
        drain_ = rows["drain_time"]
        return drain_["value"], drain_["low"], drain_["high"], drain_["note"]

    value, low, high, note = drain(100, 500)
    assert value == pytest.approx(2 / 400 * HOUR_MS * MS)
    assert low < value < high
    assert note is None
    assert drain(100, 110)[2] is None
    assert drain(110, 110)[0] is None
    assert drain(110, 110)[3] == "never: no more runs end than arrive"
    assert drain(100, 500, is_paused=True) == (None, None, None, "paused: its limit is 0")


def test_histories_reach_the_cases_that_matter() -> None:
    """The generator makes ties, zero lengths, open ends, waits that give the slot back, and lost attempts."""
    import random

    history = make(random.Random(7), 300, 3 * HOUR_MS)
    starts = [a["started_ns"] for a in history.attempts]
    assert len(set(starts)) < len(starts)
    assert any(a["ended_ns"] == a["started_ns"] for a in history.attempts)
    assert any(a["ended_ns"] is None for a in history.attempts)
    assert any(w["released_ns"] and w["ended_ns"] for w in history.waits)
    assert any(max(a["number"] for a in attempts) != len(attempts) for r in history.runs if (attempts := history.of(r)))


@pytest.mark.parametrize("buckets", [True, False])
def test_time_before_anything_is_known_is_taken_off_by_the_limit_that_held_then(buckets: bool) -> None:
    """Of a bucket that began three minutes before telemetry, the limit of two of them counts less, and so the next."""
    minute = 60_000 * MS
    queue = {"project": "default", "queue": "mail", "environment": None, "platform_project": None}
    steps = pl.DataFrame(
        [
            {**queue, "from_ns": T0 + at * minute, "limit": n, "source": "settings"}
            for at, n in ((0, 8), (2, 2), (9, 0))
        ],
        schema_overrides={"environment": pl.String, "platform_project": pl.String},
    )
    slot = {**queue, "from_ns": T0 + 4 * minute, "to_ns": T0 + 5 * minute}
    held = pl.DataFrame([slot], schema_overrides={"environment": pl.String, "platform_project": pl.String})
    sure = held.clear().with_columns(is_held=pl.lit(True), is_sure=pl.lit(True))
    rows = levels.queue_levels(held, sure, sure, steps, from_ns=T0, to_ns=T0 + 10 * minute)
    if buckets:
        rows = rows.filter(pl.col("bucket_ns") == T0)
    left = levels.without(rows, steps, from_ns=T0, to_ns=T0 + 3 * minute)
    sums = left.group_by("level", "limit").agg(pl.col("ns").sum() // minute).sort("level", "limit", descending=True)
    assert sums.rows() == ([(1, 2, 1), (0, 2, 1)] if buckets else [(1, 2, 1), (0, 2, 5), (0, 0, 1)])
