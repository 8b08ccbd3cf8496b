"""Rates, counts and costs of runs and attempts, by task: what docs/api.md says of `retries`, `funnel`, `failures`,
`throughput` and `trees`, worked out run by run.

Enter: runs as they were seen. Leave: facts.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Mapping
from typing import NamedTuple

from bench.truth.fact import Fact, bucketed, grouped, known, ranked, ratio
from bench.truth.plan import HOUR
from bench.truth.seen import GRACE_NS, Group, Seen, Try, hour

Key = tuple[object, ...]
Facts = dict[Key, Fact]
_OVER = ("completed", "failed")
_APART = {
    "canceled_runs": ("canceled",),
    "expired_runs": ("expired",),
    "skipped_runs": ("skipped",),
    "unknown_runs": ("unknown",),
    "open_runs": ("queued", "running", "waiting", "retrying"),
}


class Horizons:
    """For how long after its start a run of each task may still retry, as learnt from histograms of all of its runs."""

    def __init__(self, seen: Iterable[Seen]) -> None:
        self._ns: dict[Group, int] = {}
        for group, runs in grouped((s for s in seen if s.tries), lambda s: s.group).items():
            most = max(s.attempts for s in runs) - 1
            walls = known(t.wall_ns for s in runs for t in s.tries if t.status not in ("open", "skipped"))
            every = (walls, known(g for s in runs for g in gaps(s)))
            self._ns[group] = max(GRACE_NS, most * sum(bucketed(ranked(values, 950)) for values in every if values))

    def is_ripe(self, s: Seen, as_of_ns: int, *, by_run: bool) -> bool:
        """Tell whether *s* can no longer retry; unless *by_run*, whether no run of the hour in which it started can."""
        assert s.started_ns is not None
        begun = s.started_ns if by_run else hour(s.started_ns) + HOUR
        return begun + self._ns[s.group] <= as_of_ns


def gaps(s: Seen) -> list[int | None]:
    """Return the time between each two attempts, None where it is not known."""
    return [
        max(0, b.started_ns - a.ended_ns) if b.number == a.number + 1 and a.ended_ns is not None else None
        for a, b in itertools.pairwise(s.tries)
    ]


def retries(ripe: list[Seen], immature: int) -> Facts:
    """Return the facts of runs that started in ripe hours."""
    ended = [s for s in ripe if s.attempts > 1 or s.tries[0].status != "open"]
    over = [s for s in ripe if s.outcome in _OVER]
    counted = [s for s in ripe if s.outcome not in ("canceled", "expired", "skipped")]
    failed = [s for s in over if s.outcome == "failed"]
    recovered = [s for s in over if s.outcome == "completed" and s.attempts > 1]
    again = [s for s in over if s.attempts > 1]
    retried = [s for s in ended if s.attempts > 1]
    sure = all(s.sure for s in ripe)
    facts: Facts = {}

    def share(measure: str, hits: int, n: int, of: int) -> None:
        facts[measure, "share"] = Fact(ratio(hits, n), n, ratio(n, of), sure)

    share("run_retry_rate", len(retried), len(ended), len(ripe))
    per_run = ratio(sum(s.attempts for s in ended), len(ended))
    coverage = ratio(len(ended), len(ripe))
    facts["attempts_per_run", "mean"] = Fact(per_run, len(ended), coverage, sure)
    facts["attempt_retry_ratio", "share"] = Fact(1 - 1 / per_run if per_run else None, len(ended), coverage, sure)
    share("run_failure_rate", len(failed), len(over), len(counted))
    share("run_success_rate", len(over) - len(failed), len(over), len(counted))
    share("first_attempt_success", len(over) - len(failed) - len(recovered), len(over), len(counted))
    share("masked_failure", len(recovered), len(over), len(counted))
    share("eventual_success", len(recovered), len(again), len(retried))

    def total(measure: str, values: list[int], of: int, proved: bool) -> None:
        n, summed = len(values), sum(values)
        facts[measure, "total"] = Fact(summed if n else None, n, ratio(n, of), proved)
        facts[measure, "mean"] = Fact(ratio(summed, n), n, ratio(n, of), proved)

    whole = [s for s in ended if s.is_complete and (s.tries[-1].status != "open" or s.status == "running")]
    spent = {s.run.id: [t for t in s.tries if t is not s.tries[-1] or t.status == "failed"] for s in whole}
    timed = [s for s in whole if all(t.wall_ns is not None for t in spent[s.run.id])]
    total(
        "wasted_time",
        [sum(t.wall_ns or 0 for t in spent[s.run.id]) for s in timed],
        len(ended),
        sure and all(t.end_sure for s in timed for t in spent[s.run.id]),
    )
    backoffs = [s for s in retried if s.is_complete and None not in gaps(s)]
    total(
        "backoff_time",
        [max(0, sum(known(gaps(s))) - sum(known(t.queue_wait_ns for t in s.tries))) for s in backoffs],
        len(retried),
        sure and all(t.end_sure for s in backoffs for t in s.tries[:-1]),
    )
    first = [s for s in recovered if s.start_known and s.tries[0].ended_ns is not None]
    late = [max(0, (s.tries[-1].ended_ns or 0) - (s.tries[0].ended_ns or 0)) for s in first]
    total("retry_latency", late, len(recovered), sure and all(s.tries[0].end_sure for s in first))
    costs = {s.run.id: known(t.cost for t in s.tries) for s in ripe}
    total("cost", [sum(c) for c in costs.values() if c], len(ripe), True)
    paid = [s for s in whole if costs[s.run.id] and all(t.cost is not None for t in spent[s.run.id])]
    total("wasted_cost", [sum(known(t.cost for t in spent[s.run.id])) for s in paid], len(ended), sure)
    facts["immature_runs", "count"] = Fact(immature, immature, 1.0)
    return facts


def attempts(tries: list[tuple[Seen, Try | None]]) -> Facts:
    """Return the facts of attempts; None: one that left no record."""
    decided = [t for _, t in tries if t is None or t.status in _OVER]
    lost = sum(t is None for _, t in tries)
    failed = sum(t is None or t.status == "failed" for t in decided)
    counted = len(tries) - sum(t is not None and t.status in ("canceled", "skipped") for _, t in tries)
    firsts = sum((1 if t is None else t.number) == 1 for _, t in tries)
    n, rate = len(decided), ratio(failed, len(decided))
    return {
        ("attempt_failure_rate", "share"): Fact(rate, n, ratio(n - lost, counted)),
        ("load_amplification", "mean"): Fact(
            ratio(len(tries), firsts), len(tries), ratio(len(tries) - lost, len(tries))
        ),
    }


def funnel(ripe: list[Seen]) -> Mapping[tuple[object, ...], Fact]:
    """Return what came of attempt 1, 2, … by (attempt, column)."""
    facts: Facts = {}
    sure = all(s.sure for s in ripe)
    words = {"succeeded": "completed", "failed": "failed", "canceled": "canceled", "skipped": "skipped"}
    most = max((s.attempts for s in ripe), default=0)
    for k in range(1, most + 1):
        there = [s for s in ripe if s.attempts >= k]
        last = [s for s in there if s.attempts == k]
        row: dict[str, float | None] = {name: sum(s.outcome == w for s in last) for name, w in words.items()}
        row |= {"reached": len(there), "retried": len(there) - len(last)}
        row["open"] = sum(s.outcome in _APART["open_runs"] for s in last)
        row["unknown"] = sum(s.outcome == "unknown" for s in last)
        lost = sum(all(t.number != k for t in s.tries) for s in ripe if s.attempts > k)
        n = sum(s.outcome in _OVER for s in last) + len(there) - len(last)
        row |= {"n": n, "lost": lost, "yield": ratio(row["succeeded"] or 0, n)}
        row["coverage"] = ratio(max(0, n - lost), len(there))
        row["lost_recoveries"] = sum(s.outcome == "completed" for s in there if s.attempts > k)
        row["saved_attempts"] = sum(s.attempts - k for s in there)
        facts |= {(k, name): Fact(value, proved=sure) for name, value in row.items()}
    return facts


class Event(NamedTuple):
    """A run that arrived, began, started or ended: when, and whether that is proved."""

    run: Seen
    what: str
    ns: int
    sure: bool


def events(seen: Iterable[Seen]) -> list[Event]:
    """Return what happened to runs."""
    found = []
    for s in seen:
        found.append(Event(s, "runs", s.at_ns, True))
        arrived = s.started_ns if s.queued_ns is None else s.queued_ns
        if arrived is not None:
            found.append(Event(s, "arrivals", arrived, s.queued_ns is not None and s.queued_sure))
        if s.started_ns is not None:
            found.append(Event(s, "starts", s.started_ns, s.start_known))
        if s.is_over and s.ended_ns is not None:
            found.append(Event(s, "throughput", s.ended_ns, s.sure))
    return found


def throughput(some: list[Event], over_ns: int) -> Facts:
    """Return runs, arrivals, starts and ends of a time that lasted *over_ns*."""
    begun = sum(e.what == "runs" for e in some)
    facts: Facts = {("runs", "count"): Fact(begun, begun, 1.0)} if begun else {}
    for name, words in _APART.items() if begun else ():
        apart = [e.run for e in some if e.what == "runs" and e.run.outcome in words]
        facts[name, "count"] = Fact(len(apart), len(apart), 1.0, all(s.sure for s in apart))
    hours = over_ns / HOUR
    n = {name: sum(e.what == name for e in some) for name in ("arrivals", "starts", "throughput")}
    sure = {name: all(e.sure for e in some if e.what == name) for name in n}
    for name, count in n.items():
        facts[name, "count"] = Fact(count, count, 1.0, sure[name])
        facts[name, "rate"] = Fact(count / hours, count, 1.0, sure[name])
    net, both = n["arrivals"] - n["throughput"], n["arrivals"] + n["throughput"]
    facts["net_arrivals", "rate"] = Fact(net / hours, both, 1.0, sure["arrivals"] and sure["throughput"])
    return facts


def failures(
    ripe: Mapping[Key, list[Seen]], immature: Mapping[Key, int], beside: Callable[[Key], object]
) -> dict[Key, Facts]:
    """Return by group how often it fails, and how often all others do of which *beside* says the same."""
    facts: dict[Key, Facts] = {}
    for group, runs in ripe.items():
        over = [s for s in runs if s.outcome in _OVER]
        failed, sure = sum(s.outcome == "failed" for s in over), all(s.sure for s in runs)
        others = [
            s
            for other, some in ripe.items()
            if other != group and beside(other) == beside(group)
            for s in some
            if s.outcome in _OVER
        ]
        baseline = ratio(sum(s.outcome == "failed" for s in others), len(others))
        counted = sum(s.outcome not in ("canceled", "expired", "skipped") for s in runs)
        row = {
            "failed": failed,
            "n": len(over),
            "rate": ratio(failed, len(over)),
            "baseline": baseline,
            "excess": None if baseline is None else failed - len(over) * baseline,
            "coverage": ratio(len(over), counted),
            "immature": immature[group],
        }
        facts[group] = {(name,): Fact(value, proved=sure) for name, value in row.items()}
    return facts


def trees(runs: list[Seen]) -> dict[Group, Facts]:
    """Return attempts per run by generation of the trees that *runs* make, and their product, by task of the root."""
    by_id = {s.run.id: s for s in runs}
    parents = {s.run.id: s.run.parent.id for s in runs if s.has_parent and s.run.parent and s.run.parent.id in by_id}
    children = grouped(parents, lambda child: parents[child])
    layers: dict[tuple[Group, int], list[Seen]] = {}
    for s in runs:
        if s.run.id in parents or s.run.id not in children:
            continue
        layer, depth = [s], 0
        while layer:
            layers.setdefault((s.group, depth), []).extend(layer)
            layer = [by_id[child] for one in layer for child in children.get(one.run.id, [])]
            depth += 1
    facts: dict[Group, Facts] = {}
    product: dict[Group, list[tuple[float, int]]] = {}
    for (group, depth), some in sorted(layers.items(), key=lambda item: (str(item[0][0]), item[0][1])):
        ended = [s for s in some if s.attempts > 1 or s.tries[0].status != "open"]
        mean, most = ratio(sum(s.attempts for s in ended), len(ended)), max(s.attempts for s in ended)
        sure, coverage = all(s.sure for s in some), ratio(len(ended), len(some))
        of = facts.setdefault(group, {})
        of[depth, "attempts_per_run", "mean"] = Fact(mean, len(ended), coverage, sure)
        of[depth, "attempts_per_run", "max"] = Fact(most, len(ended), coverage, sure)
        product.setdefault(group, []).append((mean or 0.0, most))
    for group, each in product.items():
        mean, most = 1.0, 1
        for one, longest in each:
            mean, most = mean * one, most * longest
        facts[group][None, "tree_amplification", "mean"] = Fact(mean, proved=False)
        facts[group][None, "tree_amplification", "max"] = Fact(most, proved=False)
        if all(s.sure for (of_group, _), some in layers.items() if of_group == group for s in some):
            facts[group] |= {key: Fact(f.value) for key, f in facts[group].items() if key[0] is None}
    return facts
