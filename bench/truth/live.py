"""Who holds slots, is stuck, retries or waits at the end of the world.

Enter: a world, its runs as they were seen. Leave: facts by run, or by queue.
"""

from __future__ import annotations

import itertools

from bench.truth import plan
from bench.truth.fact import ENOUGH, Fact, grouped, kaplan_meier, ranked
from bench.truth.lengths import of_attempts
from bench.truth.plan import MINUTE
from bench.truth.queues import attempts
from bench.truth.rates import Facts
from bench.truth.seen import Group, Seen
from bench.truth.world import World

_DAY_NS = 24 * 60 * MINUTE


def holders(world: World) -> dict[str, Facts]:
    """Return by run which attempt holds its slot, and since when; whoever gave it back, or died, holds none."""
    facts: dict[str, Facts] = {}
    for queue in plan.LIMITS:
        for run, a in attempts(world, queue):
            if not run.is_lost and a.recorded and a.started_ns is not None and a.outcome in (None, "crashed"):
                holds = bool(a.held) and a.held[-1][1] is None
                # A wait that goes on sends its span when it is over; a death sends nothing.
                proved = holds and not any(w.to_ns is None for w in a.waits)
                facts[run.id] = {("number",): Fact(a.number if holds else None, proved=proved)}
                # Only its span says when a platform's attempt was taken from the queue.
                if holds and not run.task.is_platform:
                    facts[run.id]["from_ns",] = Fact(a.held[-1][0] + a.offset_ns)
    return facts


class Usual:
    """What is usual for each task: how long an attempt takes, waits taken off, and how long it is silent."""

    def __init__(self, seen: list[Seen], as_of_ns: int) -> None:
        self.long: dict[Group, tuple[int, int | None]] = {}
        self.quiet: dict[Group, int | None] = {}
        for group, runs in grouped((s for s in seen if s.tries), lambda s: s.group).items():
            tries = [(s, t) for s in runs for t in s.tries if t.status != "skipped"]
            values = []
            for s, t in tries:
                lasted = [x for x in of_attempts([(s, t)], as_of_ns) if x.measure == "attempt"]
                values += [(max(0, x.ns - t.waited_ns), x.goes_on or x.outcome == "canceled") for x in lasted]
            ended = [ns for ns, goes_on in values if not goes_on]
            most = max(ended, default=0)
            p95, p99 = (_or(kaplan_meier(values, p), most) for p in (950, 990))
            self.long[group] = (len(ended), max(3 * p95, p99, MINUTE) if len(ended) >= ENOUGH else None)
            silences = [
                max(b - a for a, b in itertools.pairwise(times))
                for s, t in ((s, t) for s in runs for t in s.tries)
                if t.ended_ns is not None and t.status != "open"
                for times in [sorted([t.started_ns, t.ended_ns, *(ns for ns, _ in t.logs)])]
            ]
            self.quiet[group] = ranked(silences, 990) if len(silences) >= ENOUGH else None


def _or(value: int | None, other: int) -> int:
    return other if value is None else value


def stuck(world: World, seen: list[Seen]) -> dict[str, Facts]:
    """Return the stage of each run that takes unusually long, by run."""
    usual = Usual(seen, world.as_of_ns)
    now, facts = world.as_of_ns, {}
    for s in seen:
        if not s.tries or s.tries[-1].status != "open" or s.population == "test":
            continue
        (n, long_ns), quiet_ns = usual.long[s.group], usual.quiet[s.group]
        last, silent = s.tries[-1], now - s.last_seen_ns
        fell_silent = s.status == "unknown"
        active = (s.last_seen_ns if fell_silent else now) - last.started_ns - last.waited_ns
        if fell_silent and s.last_seen_ns + 2 * (quiet_ns or 0) < now - _DAY_NS:
            continue
        is_long, is_silent = long_ns is not None and active > long_ns, quiet_ns is not None and silent > quiet_ns
        stage: str | None = (
            "stuck" if is_long and is_silent else "long" if is_long else "silent" if is_silent else "usual"
        )
        if fell_silent and silent > 2 * (quiet_ns or 0):
            stage = "lost"
        elif long_ns is None:
            stage = "silent" if is_silent else None
        if stage == "usual":
            continue
        row: dict[str, float | str | None] = {"stage": stage, "active_ns": active, "silent_ns": silent}
        row |= {"long_ns": long_ns, "quiet_ns": quiet_ns, "n": n, "number": last.number}
        # What is open may wait, for all that is known.
        waits = any(w.to_ns is None for a in s.run.attempts for w in a.waits)
        facts[s.run.id] = {(name,): Fact(value, proved=not waits) for name, value in row.items()}
    return facts


def retrying(seen: list[Seen]) -> dict[str, Facts]:
    """Return by run that retries which attempt is the last, and since when."""
    facts: dict[str, Facts] = {}
    for s in seen:
        waits = s.status == "retrying"
        if waits or (s.status == "running" and s.attempts > 1):
            row: dict[str, float | str | None] = {"state": "waiting" if waits else "running", "number": s.attempts}
            row["since_ns"] = s.started_ns
            if waits or (len(s.tries) > 1 and s.tries[-2].number == s.attempts - 1):
                row["failed_ns"] = s.tries[-1 if waits else -2].ended_ns
            facts[s.run.id] = {(name,): Fact(value, proved=s.start_known) for name, value in row.items()}
            if "failed_ns" in row:
                facts[s.run.id]["failed_ns",] = Fact(row["failed_ns"], proved=s.tries[-1 if waits else -2].end_sure)
    return facts


def backlog(world: World) -> dict[plan.Queue, Facts]:
    """Return how many runs wait for their first slot, and for how long the oldest has.

    Nobody tells of those that were asked for from outside, so none of it is proved.
    """
    facts: dict[plan.Queue, Facts] = {}
    for queue in plan.LIMITS:
        waiting = [
            a.queued[0][0]
            for _, a in attempts(world, queue)
            if a.number == 1 and a.taken_ns is None and a.queued and a.queued[0][1] is None
        ]
        facts[queue] = {
            ("backlog", "count"): Fact(len(waiting), proved=False),
            ("backlog_age", "max"): Fact(world.as_of_ns - min(waiting) if waiting else None, proved=False),
            ("drain_time", "mean"): Fact(None, proved=False),
        }
    return facts
