"""Slots and levels of queues as they truly were, by the world's own time.

Enter: a world. Leave: facts. A slot is held as the engine has it, not as telemetry tells it.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator
from dataclasses import dataclass

from bench.truth import plan
from bench.truth.fact import Fact, grouped, ratio
from bench.truth.plan import HOUR, Queue
from bench.truth.rates import Facts
from bench.truth.world import Attempt, Run, World

UTILISATION = 0.7
"""Share of its limit that a queue should hold on average (docs/api.md, `needed_limit`)."""


@dataclass(frozen=True)
class Moment:
    """How many slots of a queue were held for some time, and whether somebody wanted one."""

    ns: int
    level: int
    waits: bool


def attempts(world: World, queue: Queue) -> Iterator[tuple[Run, Attempt]]:
    """Yield the attempts of a queue."""
    for run in world.runs:
        if run.task.queue == queue:
            for a in run.attempts:
                yield run, a


def moments(world: World, queue: Queue, from_ns: int, to_ns: int) -> list[Moment]:
    """Return what held of [*from_ns*, *to_ns*), one part after the other."""
    moves: list[tuple[int, int, int]] = [(from_ns, 0, 0), (to_ns, 0, 0)]
    for _, a in attempts(world, queue):
        for which, intervals in enumerate((a.held, a.queued)):
            for begins, ends in intervals:
                low, high = max(begins, from_ns), min(to_ns if ends is None else ends, to_ns)
                if low < high:
                    one = (1, 0) if which == 0 else (0, 1)
                    moves += [(low, *one), (high, -one[0], -one[1])]
    found, level, waiting = [], 0, 0
    moves.sort()
    for (at, held, wants), (until, _, _) in itertools.pairwise(moves):
        level, waiting = level + held, waiting + wants
        if until > at:
            found.append(Moment(until - at, level, waiting > 0))
    return found


@dataclass(frozen=True)
class Doubt:
    """What of a queue telemetry does not prove in some time: its level, and who waited."""

    level: bool
    waits: bool
    limit: bool


def doubt(world: World, queue: Queue, from_ns: int, to_ns: int) -> Doubt:
    """Tell what telemetry cannot prove: ends of those that died or go on, and waits that nobody states."""
    level = waits = False
    for run, a in attempts(world, queue):
        ends = [world.as_of_ns if b is None else b for _, b in a.held]
        if not a.queued or a.queued[0][0] >= to_ns or max(ends, default=world.as_of_ns) <= from_ns:
            continue
        level = level or run.is_lost or a.outcome == "crashed" or a.ended_ns is None
        waits = waits or run.task.is_platform or run.is_lost or not a.recorded or a.started_ns is None
    return Doubt(level, waits, queue.name in plan.UNSTATED)


def levels(world: World, queue: Queue, from_ns: int, to_ns: int) -> Facts:
    """Return the facts of `queues` about time."""
    parts = moments(world, queue, from_ns, to_ns)
    limit, window = plan.LIMITS[queue], to_ns - from_ns
    unsure = doubt(world, queue, from_ns, to_ns)
    sure, limited = not unsure.level, not unsure.level and not unsure.limit
    held = sum(p.ns * p.level for p in parts)
    by_level = sorted(grouped(parts, lambda p: p.level).items())
    reached, p95 = 0, 0
    for level, some in by_level:
        reached += sum(p.ns for p in some)
        if reached * 20 >= window * 19:
            p95 = level
            break
    full = sum(p.ns for p in parts if p.level >= limit)
    throttled = sum(p.ns for p in parts if p.level >= limit and p.waits)

    def share(ns: float, *, proved: bool = limited) -> Fact:
        return Fact(ns / window, proved=proved, how="share")

    return {
        ("level", "mean"): Fact(held / window, proved=sure, how="level"),
        ("level", "p95"): Fact(p95, proved=sure),
        ("level", "peak"): Fact(max(p.level for p in parts), proved=sure),
        ("limit", "max"): Fact(limit, proved=not unsure.limit),
        ("saturation", "share"): share(held / limit),
        ("time_at_limit", "share"): share(full),
        ("throttled", "share"): share(throttled, proved=limited and not unsure.waits),
        ("over_limit", "share"): share(0),
        ("maybe_over_limit", "share"): share(0, proved=False),
        ("paused", "share"): share(0, proved=not unsure.limit),
    }


def slot_share(world: World, queue: Queue, from_ns: int, to_ns: int) -> dict[tuple[str, str], Facts]:
    """Return by task and population whose the slot time of a queue was."""
    whose = grouped(attempts(world, queue), lambda pair: (pair[0].task.name, "replay" if pair[0].is_replay else "live"))
    ns = {
        key: sum(_inside(x, from_ns, to_ns, world.as_of_ns) for _, a in some for x in a.held)
        for key, some in whose.items()
    }
    every, sure = sum(ns.values()), not doubt(world, queue, from_ns, to_ns).level
    return {
        key: {
            ("slot_share", "share"): Fact(ratio(held, every), proved=sure, how="share"),
            ("slot_share", "total"): Fact(held, proved=sure, how="level"),
            ("orphan_slots", "count"): Fact(0, proved=sure),
        }
        for key, held in ns.items()
        if held
    }


def little(world: World, queue: Queue, from_ns: int, to_ns: int) -> Facts:
    """Return level, what starts and times held give, their difference, and the limit that follows."""
    sure = not doubt(world, queue, from_ns, to_ns).level
    pieces = [x for _, a in attempts(world, queue) for x in a.held]
    inside = sum(_inside(x, from_ns, to_ns, world.as_of_ns) for x in pieces) / (to_ns - from_ns)
    begun = [(a, world.as_of_ns if b is None else b) for a, b in pieces if from_ns <= a < to_ns]
    predicted = sum(b - a for a, b in begun) / (to_ns - from_ns)
    return {
        ("level", "mean"): Fact(inside, proved=sure, how="level"),
        ("little_level", "mean"): Fact(predicted, proved=sure, how="level"),
        ("little_difference", "mean"): Fact(inside - predicted, proved=sure, how="share"),
        ("needed_limit", "count"): Fact(max(1, math.ceil(predicted / UTILISATION)), proved=sure),
    }


def _inside(piece: tuple[int, int | None], from_ns: int, to_ns: int, now_ns: int) -> int:
    until = now_ns if piece[1] is None else piece[1]
    return max(0, min(until, to_ns) - max(piece[0], from_ns))


def closed_ns(world: World) -> int:
    """Return a whole hour before which everything that had a slot has ended by the end of the world."""
    still = [h[0][0] for run in world.runs for a in run.attempts if a.ended_ns is None and (h := a.held)]
    return min([*still, world.as_of_ns]) // HOUR * HOUR
