"""Queues of the synthetic 48 hours: saturation, slot share and flow as simulated beside what telemetry gives.

The truth's side is one walk over sorted starts and ends in plain Python; it shares no code with what is tested.
"""

from __future__ import annotations

from collections import Counter
from itertools import pairwise
from typing import Any

import polars as pl

from collector.analyse import cohorts, concurrency, levels, limits, slots
from collector.model.units import HOUR_NS, SECOND_NS
from tests.analyse.ground_truth import LEASE_NS, Both

LIMITS = {"payments": 2, "mail": 8, "media": 3, "default": 10, "reports": 1, "crm": 3, "search": 4, "webhooks": 6}
"""What the simulation ran its queues with."""


def window(both: Both) -> tuple[int, int]:
    """Return the whole hours in which everything that ended happened."""
    starts = [t.queued_ns for t in both.truth]
    ends = [a["ended_ns"] for t in both.truth for a in t.attempts if a["ended_ns"] is not None]
    return min(starts) // HOUR_NS * HOUR_NS, max(ends) // HOUR_NS * HOUR_NS + HOUR_NS


def walked(both: Both, queue: str) -> dict[tuple[str, str], float]:
    """Return the numbers of a queue as simulated, attempts that never ended left out."""
    low, high = window(both)
    limit = LIMITS[queue]
    points: list[tuple[int, int, int]] = [(low, 0, 0), (high, 0, 0)]
    for t in both.truth:
        for a in t.attempts if t.queue == queue else ():
            if a["ended_ns"] is None:
                continue
            points += [(a["started_ns"], 1, -1), (a["ended_ns"], -1, 0), (a["queued_ns"], 0, 1)]
    points.sort()
    spent: Counter[int] = Counter()
    steps: list[tuple[int, int]] = []
    throttled = level = waits = 0
    for (at, d, q), (then, _, _) in pairwise(points):
        level, waits = level + d, waits + q
        spent[level] += then - at
        steps.append((then - at, level))
        throttled += then - at if level >= limit and waits else 0
    total = high - low
    assert (level, waits, sum(spent.values())) == (0, 0, total)
    reached, p95 = 0, 0
    for p95 in sorted(spent):
        reached += spent[p95]
        if reached * 20 >= total * 19:
            break
    return {
        ("level", "mean"): sum(n * ns for n, ns in spent.items()) / total,
        ("level", "p95"): p95,
        ("level", "peak"): max(n for n in spent if _longest(steps, n) >= SECOND_NS),
        ("saturation", "share"): sum(min(n, limit) * ns for n, ns in spent.items()) / (limit * total),
        ("time_at_limit", "share"): sum(ns for n, ns in spent.items() if n >= limit) / total,
        ("over_limit", "share"): sum(ns for n, ns in spent.items() if n > limit) / total,
        ("throttled", "share"): throttled / total,
    }


def _longest(steps: list[tuple[int, int]], level: int) -> int:
    """Return for how long at a stretch at least *level* slots were held; *steps*: how long, how many."""
    longest = lasted = 0
    for ns, held in steps:
        lasted = lasted + ns if held >= level else 0
        longest = max(longest, lasted)
    return longest


def queues_beside(both: Both) -> dict[tuple[str, str, str], tuple[float, float]]:
    """Return (queue, measure, statistic) -> (true, telemetry's) with the simulation's limits stated."""
    low, high = window(both)
    ended = both.attempts.filter(pl.col("ended_source") != "unknown")
    held = slots.slots(both.runs, ended, both.waits, as_of_ns=both.as_of_ns, lease_ns=LEASE_NS).collect()
    about = both.runs.filter(pl.col("run_key").is_in(ended["run_key"].implode()))
    doubted = slots.doubts(both.runs, ended, both.waits, as_of_ns=both.as_of_ns, lease_ns=LEASE_NS).collect()
    waiting = slots.queued(about, ended, both.waits, as_of_ns=both.as_of_ns).collect()
    steps = limits.steps(
        limits.from_settings("default", [(queue, None, None, limit) for queue, limit in LIMITS.items()]),
        held.select(slots.QUEUE).unique(),
    )
    table = levels.queue_levels(held, doubted, waiting, steps, from_ns=low, to_ns=high)
    ours = {(r["queue"], r["measure"], r["statistic"]): r["value"] for r in concurrency.report(table).rows(named=True)}
    true = {(q, *key): value for q in LIMITS for key, value in walked(both, q).items()}
    return {key: (value, ours[key]) for key, value in true.items()}


def shares_beside(both: Both) -> dict[tuple[str, str], tuple[int, int]]:
    """Return (queue, task) -> (true, telemetry's) slot time in ns of attempts that ended."""
    true: Counter[tuple[str, str]] = Counter()
    for t in both.truth:
        for a in t.attempts:
            true[t.queue, t.task] += 0 if a["ended_ns"] is None else a["ended_ns"] - a["started_ns"]
    ended = both.attempts.filter(pl.col("ended_source") != "unknown")
    at = {"as_of_ns": both.as_of_ns, "lease_ns": LEASE_NS}
    held, doubted = (of(both.runs, ended, both.waits, **at) for of in (slots.slots, slots.doubts))
    share = concurrency.slot_share(slots.slot_hours(held, doubted)).filter(pl.col("statistic") == "total")
    ours = {(q, t): v for q, t, v in share.select("queue", "task_id", "value").rows()}
    return {key: (ns, int(ours.get(key, -1))) for key, ns in true.items()}


def flow_beside(both: Both) -> dict[tuple[str, int], tuple[int, int]]:
    """Return (event, hour) -> runs, true and telemetry's, of runs that arrived, started and ended in that hour."""
    true: Counter[Any] = Counter()
    for t in both.truth:
        true["arrived", t.queued_ns // HOUR_NS] += 1
        true["started", t.attempts[0]["started_ns"] // HOUR_NS] += 1
        if not t.is_open:
            true["ended", t.attempts[-1]["ended_ns"] // HOUR_NS] += 1
    hours = cohorts.flow_hours(both.runs).group_by("event", pl.col("hour_ns") // HOUR_NS).agg(pl.col("runs").sum())
    ours = {(e, h): n for e, h, n in hours.rows()}
    return {key: (true[key], ours.get(key, 0)) for key in {*true, *ours}}


def lines(both: Both) -> list[str]:
    """Return rows of a table: queue numbers, slot time by task, flow."""
    rows = [f"| {q} {m} {s} | {a:.6f} | {b:.6f} | |" for (q, m, s), (a, b) in queues_beside(both).items()]
    shares, flow = shares_beside(both), flow_beside(both)
    apart = max(abs(a - b) for a, b in shares.values())
    rows.append(f"| slot time of {len(shares)} tasks, largest distance, ns | 0 | {apart} | |")
    wrong = sum(a != b for a, b in flow.values())
    return [*rows, f"| arrivals, starts, ends: hours that differ, of {len(flow)} | 0 | {wrong} | |"]
