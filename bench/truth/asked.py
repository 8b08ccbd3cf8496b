"""Every statistic asked of the product, beside the facts of the same window.

Enter: a world, a product that took its telemetry. Leave: verdicts.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from bench.truth import lengths, live, plan, queues, rates
from bench.truth.compare import Key, Verdict, compare
from bench.truth.fact import Fact, grouped
from bench.truth.plan import HOUR, MINUTE, Queue
from bench.truth.product import Product
from bench.truth.seen import Group, Seen, Try, hour, see
from bench.truth.told import Told
from bench.truth.world import START_NS, World

FROM_NS = START_NS + HOUR
"""Begin of the time asked for; what happened in the hour before it counts in none of it."""
_EXACT = 5_000
"""Runs that touch a range up to which they are counted themselves (docs/api.md)."""
_TASK = ("task_id", "environment", "platform_project")
_QUEUE = ("platform_project", "environment", "queue")
_SHOWN = ("queue_wait", "execution", "end_to_end")
"""Durations that the table of tasks has."""
Rows = Iterable[tuple[Key, Mapping[str, Any]]]


@dataclass(frozen=True)
class By:
    """What numbers of tasks are grouped by: columns, and what a version and a time add to a task's group."""

    names: tuple[str, ...]
    more: Callable[[str | None, int], Key] = lambda version, ns: ()

    def run(self, s: Seen) -> Key:
        """Return the group of a run that has started."""
        return (*s.group, *self.more(_version(s), s.at_ns))

    def attempt(self, s: Seen, t: Try) -> Key:
        """Return the group of an attempt."""
        return (*s.group, *self.more(t.version, t.started_ns))

    def lost(self, s: Seen) -> Key:
        """Return the group of an attempt without a record."""
        return (*s.group, *self.more(None, s.started_ns or 0))

    def event(self, e: rates.Event) -> Key:
        """Return the group of what happened to a run."""
        return (*e.run.group, *self.more(_version(e.run), e.ns))

    def lasting(self, key: Key, from_ns: int, to_ns: int) -> int:
        """Return for how long the group *key* lasts within a range."""
        if "hour_ns" not in self.names:
            return to_ns - from_ns
        begins = key[-1]
        assert isinstance(begins, int)
        return min(to_ns, begins + HOUR) - max(from_ns, begins)


BY_TASK = By(_TASK)
BY_VERSION = By((*_TASK, "version"), lambda version, ns: (version,))
BY_HOUR = By((*_TASK, "hour_ns"), lambda version, ns: (hour(ns),))


def _version(s: Seen) -> str | None:
    return s.tries[-1].version if s.tries else None


@dataclass(frozen=True)
class Range:
    """A time that is asked for, and what its figures are called by."""

    name: str
    from_ns: int
    to_ns: int

    def has(self, ns: int | None) -> bool:
        """Tell whether a time lies in it."""
        return ns is not None and self.from_ns <= ns < self.to_ns


class Asked:
    """What is asked of a product, and what it should say."""

    def __init__(self, world: World, product: Product) -> None:
        self._world, self._product = world, product
        self._seen = see(world)
        self._live = [s for s in self._seen if s.population == "live"]
        self._now = world.as_of_ns
        self._closed = queues.closed_ns(world)
        self._horizons = rates.Horizons(self._seen)
        self._whole = Range("", FROM_NS, self._now)
        # Neither begins nor ends with an hour, and some of its runs can still retry.
        self._short = Range(" of a short range", self._now - 2 * HOUR - 7 * MINUTE, self._now - 3 * MINUTE)
        self._told = Told(product.names())

    def verdicts(self) -> Iterator[Verdict]:
        """Yield the verdict of every figure, and of every one that is told and nobody looks at."""
        for part in self._parts():
            for verdict in part:
                self._told.compared(verdict)
                yield verdict
        yield from self._told.left()

    def _parts(self) -> Iterator[Iterator[Verdict]]:
        yield self._windows()
        for by in (BY_TASK, BY_VERSION, BY_HOUR):
            yield self._rates(by, self._whole)
        yield self._rates(BY_TASK, self._short)
        if not self._is_exact(self._whole):
            for name in sorted({t.name for t in plan.TASKS}):
                yield self._durations(self._whole, name)
        for r in (self._whole, self._short):
            yield self._durations(r)
            yield self._calls(r)
        yield self._trees()
        yield self._queues()
        yield self._listed()
        yield self._eta()

    def _ask(self, name: str, r: Range, **more: Any) -> list[dict[str, Any]]:
        rows = self._product.ask(name, **{"from": r.from_ns, "to": r.to_ns, "as_of": self._now}, **more).rows
        self._told.add(name, rows)
        return rows

    def _is_exact(self, r: Range, task: str | None = None) -> bool:
        """Tell whether so few runs touch *r* that they are counted themselves."""
        return sum(s.touches(r.from_ns, r.to_ns, self._now) for s in self._seen if task in (None, s.task)) <= _EXACT

    def _windows(self) -> Iterator[Verdict]:
        """Compare of which ranges figures are told as they were asked for, and of which for whole hours."""
        for r in (self._whole, self._short):
            times = {"from": r.from_ns, "to": r.to_ns, "as_of": self._now}
            said = self._product.ask("throughput", **times).widened or "as asked"
            fact = Fact("as asked" if self._is_exact(r) else "whole hours")
            yield from compare("window", {(r.name,): fact}, [((r.name,), {"value": said})])

    def _compared(self, name: str, by: By, r: Range, facts: Mapping[Key, Fact]) -> Iterator[Verdict]:
        rows = self._ask(name, r, by=",".join(by.names))
        numbers = [(tuple(row.get(c) for c in (*by.names, "measure", "statistic")), row) for row in rows]
        what = by.names[-1].removesuffix("_ns")
        yield from compare(f"{name}{'' if by is BY_TASK else f' by {what}'}{r.name}", facts, numbers)

    def _by_task(self, name: str, r: Range, **more: Any) -> list[dict[str, Any]]:
        return self._ask(name, r, by=",".join(_TASK), **more)

    def _rates(self, by: By, r: Range) -> Iterator[Verdict]:
        is_exact = self._is_exact(r)
        ripe: dict[Key, list[Seen]] = defaultdict(list)
        young: dict[Key, int] = defaultdict(int)
        tries: dict[Key, list[tuple[Seen, Try | None]]] = defaultdict(list)
        for s in self._live:
            for t in s.tries:
                if r.has(t.started_ns):
                    tries[by.attempt(s, t)].append((s, t))
            if not r.has(s.started_ns):
                continue
            # When an attempt without a record began, and on what, nobody knows.
            tries[by.lost(s)] += [(s, None)] * (s.attempts - len(s.tries))
            ripe[by.run(s)], young[by.run(s)] = ripe[by.run(s)], young[by.run(s)]
            if self._horizons.is_ripe(s, self._now, by_run=is_exact):
                ripe[by.run(s)].append(s)
            else:
                young[by.run(s)] += 1
        facts: dict[Key, Fact] = {}
        for key in ripe:
            facts |= {(*key, *name): fact for name, fact in rates.retries(ripe[key], young[key]).items()}
        for key, some in tries.items():
            facts |= {(*key, *name): fact for name, fact in rates.attempts(some).items()}
        flow: dict[Key, Fact] = {}
        for key, of in grouped((e for e in rates.events(self._live) if r.has(e.ns)), by.event).items():
            over_ns = by.lasting(key, r.from_ns, r.to_ns)
            flow |= {(*key, *name): fact for name, fact in rates.throughput(of, over_ns).items()}
        yield from self._compared("retries", by, r, facts)
        yield from self._compared("throughput", by, r, flow)
        if by is not BY_TASK:
            return
        shown: dict[Key, Fact] = {}
        for key, runs in grouped((s for s in self._live if r.has(s.started_ns)), by.run).items():
            every = [x for x in lengths.of_runs(runs, self._now) if x.measure in _SHOWN]
            told = lengths.exact if is_exact else lengths.estimated
            shown |= {(*key, measure, name): fact for (measure, _, name), fact in told(every, outcomes=False).items()}
        yield from self._compared("tasks", by, r, {**facts, **flow, **shown})
        steps: dict[Key, Fact] = {(*g, *key): fact for g in ripe for key, fact in rates.funnel(ripe[g]).items()}
        yield from compare(f"funnel{r.name}", steps, _columns(self._by_task("funnel", r), (*_TASK, "attempt"), steps))
        failing = _of_groups(rates.failures(ripe, young, lambda key: key[2]))
        yield from compare(f"failures{r.name}", failing, _columns(self._by_task("failures", r), _TASK, failing))

    def _durations(self, r: Range, task: str | None = None) -> Iterator[Verdict]:
        is_exact = self._is_exact(r, task)
        facts: dict[Key, Fact] = {}
        for group, some in grouped((s for s in self._live if task in (None, s.task)), lambda s: s.group).items():
            tries = [(s, t) for s in some for t in s.tries if r.has(t.started_ns)]
            every = lengths.of_runs([s for s in some if r.has(s.started_ns)], self._now)
            every += lengths.of_attempts(tries, self._now)
            told = (lengths.exact if is_exact else lengths.estimated)(every, outcomes=True)
            facts |= {(*group, *key): fact for key, fact in told.items()}
        rows = self._by_task("durations", r, **({"task": task} if task else {}))
        how = "of one task" if task else "exact" if is_exact else "estimated"
        yield from compare(f"durations ({how}){r.name}", facts, _numbers(rows, outcome=True))

    def _calls(self, r: Range) -> Iterator[Verdict]:
        every = lengths.steps(self._live)
        facts: dict[Key, Fact] = {}
        for group, of in grouped(every, lambda x: x.group).items():
            some = [x for x in of if r.has(x.at_ns)]
            facts |= {(*group, *key): f for key, f in lengths.calls(some, of, is_exact=self._is_exact(r)).items()}
        named = ("operation", "phase", "called_service")
        yield from compare(f"calls{r.name}", facts, _numbers(self._by_task("calls", r), *named))

    def _trees(self) -> Iterator[Verdict]:
        r = Range("", FROM_NS, self._closed)
        facts = _of_groups(rates.trees([s for s in self._live if r.has(s.started_ns)]))
        yield from compare("trees", facts, _numbers(self._ask("trees", r), "generation"))

    def _queues(self) -> Iterator[Verdict]:
        window = {"from_ns": FROM_NS, "to_ns": self._closed}
        of = {queue: queues.levels(self._world, queue, **window) for queue in plan.LIMITS}
        r = Range("", FROM_NS, self._closed)
        rows = self._ask("queues", r)
        waiting = ("backlog", "backlog_unheard", "backlog_age", "drain_time")
        yield from compare("queues", _of_queues(of), _of_rows(row for row in rows if row["measure"] not in waiting))
        now = live.backlog(self._world, self._seen)
        late = [row for row in self._ask("queues", self._whole) if row["measure"] in waiting]
        yield from compare("queues (backlog)", _of_queues(now), _of_rows(late))
        shares = {
            (*queue, *whose, *key): fact
            for queue in plan.LIMITS
            for whose, facts in queues.slot_share(self._world, queue, **window).items()
            for key, fact in facts.items()
        }
        yield from compare("slots", shares, _of_rows(self._ask("slots", r), "task_id", "population"))
        law = {queue: queues.little(self._world, queue, **window) for queue in plan.LIMITS}
        yield from compare("little", _of_queues(law), _of_rows(self._ask("little", r)))

    def _listed(self) -> Iterator[Verdict]:
        for name, first, facts in (
            ("holders", "number", live.holders(self._world)),
            ("stuck", "stage", live.stuck(self._world, self._seen)),
            ("retrying", "state", live.retrying(self._seen)),
        ):
            of: dict[Key, Fact] = {(run, *key): fact for run, some in facts.items() for key, fact in some.items()}
            rows = [{"run_id": self._id(row["run_key"]), **row} for row in self._ask(name, self._whole)]
            told = _columns(rows, ("run_id",), {("", first): Fact(None), **of})
            # A run that should not be there is told once, and what telemetry does not say of one that is not at all.
            yield from compare(name, of, [(key, row) for key, row in told if key in of or key[-1] == first])

    def _eta(self) -> Iterator[Verdict]:
        """Compare what is foretold of each run with what came later, and how often that lay in the range told."""
        rows = self._ask("eta", self._whole)
        facts = live.eta(self._world, self._seen)
        of: dict[Key, Fact] = {(run, *key): fact for run, some in facts.items() for key, fact in some.items()}
        told = list(_columns(rows, ("run_id",), of))
        yield from compare("eta", of, [(key, row) for key, row in told if key in of])
        yield from live.foretold(self._world, rows)

    def _id(self, run_key: str) -> str:
        """Return the id of a run by its key, which is all that the list of holders names."""
        asked = f"SELECT run_id FROM runs WHERE run_key = '{run_key}'"
        return str(self._product.database.reading(lambda h: h.value(asked)))


def _of_groups(groups: Mapping[Group, rates.Facts] | Mapping[Key, rates.Facts]) -> dict[Key, Fact]:
    return {(*group, *key): fact for group, facts in groups.items() for key, fact in facts.items()}


def _of_queues(groups: Mapping[Queue, rates.Facts]) -> dict[Key, Fact]:
    return {(*queue, *key): fact for queue, facts in groups.items() for key, fact in facts.items()}


def _numbers(rows: list[dict[str, Any]], *more: str, outcome: bool = False) -> Rows:
    """Return rows of numbers of tasks by group, *more*, measure, outcome where it is asked for, and statistic."""
    names = (*_TASK, *more, "measure", *(["outcome"] if outcome else []), "statistic")
    return [(tuple(row.get(name) for name in names), row) for row in rows]


def _of_rows(rows: Iterable[dict[str, Any]], *more: str) -> Rows:
    names = (*_QUEUE, *more, "measure", "statistic")
    return [(tuple(row.get(name) for name in names), row) for row in rows]


def _columns(rows: list[dict[str, Any]], by: tuple[str, ...], facts: Mapping[Key, Fact]) -> Rows:
    """Return each column that there is a fact of as a row of its own."""
    wanted = {key[-1] for key in facts}
    return [
        ((*(row.get(name) for name in by), column), {**_about(row), "value": row[column]})
        for row in rows
        for column in row
        if column in wanted
    ]


def _about(row: dict[str, Any]) -> dict[str, Any]:
    return {name: row[name] for name in ("provenance", "is_assumed") if name in row}
