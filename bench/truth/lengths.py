"""How long runs and attempts wait, work and take, and how long steps and calls take, from runs as they were seen.

Enter: runs as they were seen. Leave: facts. Percentiles are by nearest rank, Kaplan-Meier's where more than 1 % goes
on or was cut short, and estimates where the product keeps histograms alone, which tell what is over (docs/api.md).
"""

from __future__ import annotations

from collections import Counter
from typing import NamedTuple

from bench.truth.fact import Fact, grouped, kaplan_meier, known, nearest_rank, ratio
from bench.truth.rates import Facts, gaps
from bench.truth.seen import Group, Seen, Try

_PERMILLES = {"p50": 500, "p95": 950, "p99": 990}
_CUT_SHORT = ("canceled", "interrupted", "skipped")


class Length(NamedTuple):
    """A duration of a run or attempt; *goes_on*: it had lasted so long when last looked at; None: nobody told."""

    measure: str
    outcome: str
    ns: int | None
    goes_on: bool = False
    proved: bool = True
    missing: int = 0
    """How many there are of which nobody told."""


def _untold(measure: str, missing: int = 1) -> Length:
    return Length(measure, "", None, missing=missing)


def of_runs(seen: list[Seen], as_of_ns: int) -> list[Length]:
    """Return the durations of started runs that did not skip their work."""
    return [length for s in seen if s.started_ns is not None and s.outcome != "skipped" for length in _run(s, as_of_ns)]


def _run(s: Seen, as_of_ns: int) -> list[Length]:
    assert s.started_ns is not None
    lengths = []
    over = s.is_over and s.ended_ns is not None
    wait = max(0, s.started_ns - s.queued_ns) if s.start_known and s.queued_ns is not None else None
    lengths.append(
        _untold("queue_wait") if wait is None else Length("queue_wait", s.status, wait, proved=s.queued_sure)
    )
    until = s.ended_ns if over and s.ended_ns is not None else s.last_seen_ns if s.status == "unknown" else as_of_ns
    if s.start_known:
        lengths.append(Length("execution", s.status, max(0, until - s.started_ns), not over, s.sure and s.end_sure))
    else:
        lengths.append(_untold("execution"))
    if s.is_over and s.is_complete and all(t.wait_ns is not None for t in s.tries):
        waits = sum(known(t.wait_ns for t in s.tries))
        lengths.append(Length("wait", s.status, waits, proved=s.sure))
        active = sum(max(0, (t.wall_ns or 0) - (t.wait_ns or 0)) for t in s.tries)
        lengths.append(Length("active", s.status, active, proved=s.sure))
    if over and s.queued_ns is not None and s.ended_ns is not None:
        sure = s.queued_sure and s.sure and s.end_sure
        whole = max(0, s.ended_ns - min(s.queued_ns, s.started_ns))
        lengths.append(Length("end_to_end", s.status, whole, proved=sure))
        walls = [t.wall_ns for t in s.tries]
        if wait is not None and s.is_complete and None not in walls and None not in gaps(s):
            rest = abs(whole - wait - sum(known(walls)) - sum(known(gaps(s))))
            sure = sure and all(t.end_sure for t in s.tries)
            lengths.append(Length("unexplained", s.status, rest, proved=sure))
    there = {x.measure for x in lengths}
    ends = ("active", "wait", "end_to_end", "unexplained") if s.is_over else ()
    return lengths + [_untold(measure) for measure in ends if measure not in there]


def of_attempts(tries: list[tuple[Seen, Try]], as_of_ns: int) -> list[Length]:
    """Return the durations of attempts that did not skip their work."""
    lengths = []
    for s, t in tries:
        goes_on = t.status == "open"
        if t.status == "skipped":
            continue
        if t.wall_ns is None and not goes_on:
            lengths.append(_untold("attempt"))
            continue
        alive = as_of_ns if s.status == "running" else s.last_seen_ns
        lasted = alive - t.started_ns if t.wall_ns is None else t.wall_ns
        status = ("running" if s.status == "running" else "unknown") if goes_on else t.status
        lengths.append(Length("attempt", status, lasted, goes_on, t.end_sure or goes_on))
        if lost := t.number - 1 - max((b.number for b in s.tries if b.number < t.number), default=0):
            lengths.append(_untold("attempt", lost))
        boot = None if t.dequeued_ns is None else Length("boot", status, t.started_ns - t.dequeued_ns)
        lengths.append(boot or _untold("boot"))
        before = next((b for b in s.tries if b.number == t.number - 1), None)
        if t.number > 1 and (before is None or before.status != "interrupted"):
            gap_known = before is not None and before.ended_ns is not None
            told = {"gap": gap_known, "backoff": gap_known and t.queue_wait_ns is not None}
            told["requeue_wait"] = t.queue_wait_ns is not None
            lengths += [_untold(measure) for measure, is_told in told.items() if not is_told]
        if before is not None and before.ended_ns is not None:
            gap = max(0, t.started_ns - before.ended_ns)
            lengths.append(Length("gap", status, gap, proved=before.end_sure))
            if t.queue_wait_ns is not None:
                lengths.append(Length("backoff", status, max(0, gap - t.queue_wait_ns), proved=before.end_sure))
        if t.queue_wait_ns is not None:
            lengths.append(Length("requeue_wait", status, t.queue_wait_ns))
    return lengths


def exact(lengths: list[Length], *, outcomes: bool) -> Facts:
    """Return count, mean, max and percentiles by measure and, if asked, outcome, of the durations themselves."""
    facts: Facts = {}
    missing = Counter(dict.fromkeys({x.measure for x in lengths}, 0))
    for x in lengths:
        missing[x.measure] += x.missing
    lengths = [x for x in lengths if x.ns is not None]
    both = [x._replace(outcome="") for x in lengths] + (lengths if outcomes else [])
    for (measure, outcome), some in grouped(both, lambda x: (x.measure, x.outcome)).items():
        ended = [x for x in some if not x.goes_on]
        if outcome and not ended:
            continue
        of = len(ended) if outcome else len(some) + missing[measure]
        ns, key = known(x.ns for x in ended), (measure, outcome or None)
        proved = all(x.proved for x in some)
        about = {"n": len(ns), "coverage": ratio(len(ns), of), "proved": proved}
        facts[*key, "count"] = Fact(len(ns), **about)
        facts[*key, "mean"] = Fact(ratio(sum(ns), len(ns)), **about)
        facts[*key, "max"] = Fact(max(ns, default=None), **about)
        cut = [] if outcome else _cut(lengths, measure)
        for name, permille in _PERMILLES.items():
            value = kaplan_meier(cut, permille) if cut else nearest_rank(ns, permille)
            facts[*key, name] = Fact(value, **about)
    return facts


def _cut(lengths: list[Length], measure: str) -> list[tuple[int, bool]]:
    """Return how long each lasted and whether it would have gone on, where that is so of more than 1 %."""
    lasting = measure in ("execution", "attempt")
    told = [(x.ns, x.goes_on or (lasting and x.outcome == "canceled")) for x in lengths if x.measure == measure]
    every = [(ns, goes_on) for ns, goes_on in told if ns is not None]
    return every if sum(goes_on for _, goes_on in every) > 0.01 * len(every) else []


def estimated(lengths: list[Length], *, outcomes: bool) -> Facts:
    """Return count, mean and percentiles of what is over, the latter as near as histograms are."""
    facts: Facts = {}
    ended = [x for x in lengths if x.ns is not None and not x.goes_on]
    both = [x._replace(outcome="") for x in ended] + (ended if outcomes else [])
    for (measure, outcome), some in grouped(both, lambda x: (x.measure, x.outcome)).items():
        cut = [] if outcome else _cut(ended, measure)
        facts |= {(measure, outcome or None, name): f for name, f in _histogram(some, cut).items()}
    return facts


def _histogram(some: list[Length], cut: list[tuple[int, bool]]) -> dict[str, Fact]:
    ns, proved = known(x.ns for x in some), all(x.proved for x in some)
    facts = {
        "count": Fact(len(ns), len(ns), proved=proved),
        "mean": Fact(ratio(sum(ns), len(ns)), len(ns), proved=proved),
    }
    for name, permille in _PERMILLES.items():
        value = kaplan_meier(cut, permille) if cut else nearest_rank(ns, permille)
        facts[name] = Fact(value, len(ns), proved=proved, how="noted" if cut else "estimate")
    return facts


class Step(NamedTuple):
    """A phase of an operation in one attempt: how long it took and what became of it."""

    group: Group
    run: str
    number: int
    key: tuple[str, str, str | None]
    at_ns: int
    ns: int | None
    outcome: str


def steps(seen: list[Seen]) -> list[Step]:
    """Return what the logs of all attempts tell of steps."""
    found = []
    for s in seen:
        for t in s.tries:
            operation = s.run.task.operation
            logs = [(ns, text.removeprefix(f"{operation}_")) for ns, text in t.logs]
            end = logs[-1] if logs[-1][1] in ("completed", "failed", "canceled", "skipped") else None
            for (ns, phase), after in zip(logs, [*logs[1:], None], strict=True):
                if phase == "started":
                    until, outcome = (end[0], end[1]) if end else (None, "unknown")
                elif phase in ("completed", "failed", "canceled", "skipped"):
                    continue
                else:
                    until = after[0] if after else None
                    said = after[1] if after else ""
                    outcome = said if said in ("failed", "canceled") else "completed" if after else "unknown"
                word, _, service = phase.partition("_")
                key = (operation, word, service or None)
                lasted = None if until is None else until - ns
                found.append(Step(s.group, s.run.id, t.number, key, ns, lasted, outcome))
    return found


def calls(some: list[Step], every: list[Step], *, is_exact: bool) -> Facts:
    """Return calls by service and durations of steps, of *some* steps in the window among *every* one there is."""
    facts: Facts = {}
    made = grouped(every, lambda x: (x.run, x.key, x.number))
    most: dict[tuple[str, object], tuple[int, int]] = {}
    for (run, key, number), each in made.items():
        most[run, key] = max(most.get((run, key), (0, 0)), (len(each), -number))
    for service, of in grouped((x for x in some if x.key[1] == "calling"), lambda x: x.key[2]).items():
        ended = [x for x in of if x.outcome in ("completed", "failed")]
        ideal = sum(-most[x.run, x.key][1] == x.number for x in of)
        facts[None, "calling", service, "calls", "count"] = Fact(len(of), len(of), 1.0)
        rate = ratio(sum(x.outcome == "failed" for x in ended), len(ended))
        facts[None, "calling", service, "call_failure_rate", "share"] = Fact(
            rate, len(ended), ratio(len(ended), len(of))
        )
        facts[None, "calling", service, "call_amplification", "mean"] = Fact(ratio(len(of), ideal), len(of), 1.0)
    for key, of in grouped(
        (x for x in some if x.ns is not None and x.outcome not in _CUT_SHORT), lambda x: x.key
    ).items():
        lasted = [Length("step", x.outcome, x.ns or 0) for x in of]
        told = (exact if is_exact else estimated)(lasted, outcomes=False)
        facts |= {(*key, "step", name): f for (_, _, name), f in told.items()}
    return facts
