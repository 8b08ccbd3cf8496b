"""Who holds slots, is stuck, retries or waits at the end of the world.

Enter: a world, its runs as they were seen. Leave: facts by run, or by queue.
"""

from __future__ import annotations

import itertools
import math
from typing import Any

from bench.truth import plan
from bench.truth.compare import WITHIN, WRONG, Verdict, compare
from bench.truth.fact import ENOUGH, Fact, grouped, kaplan_meier, ranked
from bench.truth.lengths import of_attempts
from bench.truth.plan import MINUTE
from bench.truth.queues import attempts
from bench.truth.rates import Facts
from bench.truth.seen import Group, Seen
from bench.truth.world import Run, World

_DAY_NS = 24 * 60 * MINUTE
LIKELY = 0.8
"""Share of runs that lie in the range that is told (docs/api.md, `eta`)."""
_FEW = 10
"""Runs that tell how often that is so."""


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
                values += [
                    (max(0, x.ns - t.waited_ns), x.goes_on or x.outcome == "canceled")
                    for x in of_attempts([(s, t)], as_of_ns)
                    if x.measure == "attempt" and x.ns is not None
                ]
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


def backlog(world: World, seen: list[Seen]) -> dict[plan.Queue, Facts]:
    """Return how many runs wait for their first slot, and for how long the oldest has.

    Nobody tells of those that were asked for from outside, so none of it is proved.
    """
    unheard = {s.run.id for s in seen if s.status == "unknown"}
    facts: dict[plan.Queue, Facts] = {}
    for queue in plan.LIMITS:
        waiting = {
            run.id: a.queued[0][0]
            for run, a in attempts(world, queue)
            if a.number == 1 and a.taken_ns is None and a.queued and a.queued[0][1] is None
        }
        age = world.as_of_ns - min(waiting.values()) if waiting else None
        facts[queue] = {
            ("backlog", "count"): Fact(len(waiting), proved=False),
            ("backlog_unheard", "count"): Fact(len(waiting.keys() & unheard), proved=False),
            ("backlog_age", "max"): Fact(age, proved=False),
            ("drain_time", "mean"): Fact(None, proved=False),
        }
    return facts


def eta(world: World, seen: list[Seen]) -> dict[str, Facts]:
    """Return by run that has not ended, as far as telemetry tells, what of its row can be told.

    Of runs that were asked for from outside nobody tells that they wait, so no place in a queue is proved.
    """
    places: dict[str, int] = {}
    for queue in plan.LIMITS:
        waiting = sorted(
            (a.queued[0][0], run.id) for run, a in attempts(world, queue) if a.taken_ns is None and a.queued
        )
        places |= {run: place for place, (_, run) in enumerate(waiting, 1)}
    facts: dict[str, Facts] = {}
    for s in seen:
        if s.status in ("queued", "running", "retrying") and s.population != "test":
            known = {"status": s.status, "started_ns": s.started_ns}
            facts[s.run.id] = {(name,): Fact(value, proved=name == "started_ns") for name, value in known.items()}
            facts[s.run.id]["position",] = Fact(None if s.tries else places.get(s.run.id), proved=False)
    return facts


def foretold(world: World, rows: list[dict[str, Any]]) -> list[Verdict]:
    """Return how often what came after the end of the world lay in the range that was told, and where none was.

    8 of 10 should (docs/api.md), give or take two standard errors. Who has died already ends no more.
    """
    later = {run.id: run for run in world.later().runs}
    verdicts: list[Verdict] = []
    for what in ("starts", "ends"):
        hits = n = 0
        for row in rows:
            low, high = row[f"{what}_low_ns"], row[f"{what}_high_ns"]
            happened = _happened(later[row["run_id"]], what, world.as_of_ns)
            if low is None:
                fact = Fact(None if happened is None else happened, proved=False)
                verdicts += compare("eta", {(row["run_id"], f"{what}_ns"): fact}, [])
            elif happened is not None:
                hits, n = hits + (low <= happened <= high), n + 1
                told = {**row, "value": row[f"{what}_ns"]}
                verdicts += compare(
                    "eta",
                    {(row["run_id"], f"{what}_ns"): Fact(happened, proved=False)},
                    [((row["run_id"], f"{what}_ns"), {"value": told["value"], "provenance": row["provenance"]})],
                )
        if n >= _FEW:
            slack = 0.1 + 2 * math.sqrt(LIKELY * (1 - LIKELY) / n)
            key = (f"{what} in the range",)
            kind = WITHIN if abs(hits / n - LIKELY) <= slack else WRONG
            row = {"value": hits / n, "provenance": "inferred", "n": n}
            verdicts.append(Verdict("eta", key, Fact(LIKELY, n), row, kind, f"of {n}"))
    return verdicts


def _happened(run: Run, what: str, now_ns: int) -> int | None:
    """Return when a run started or ended after *now_ns*, by its machine's clock; None where it never did."""
    ns = run.ended_ns if what == "ends" else next((a.started_ns for a in run.attempts if a.started_ns), None)
    return ns if ns is not None and ns > now_ns else None
