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
from bench.truth.plan import HOUR, Queue
from bench.truth.product import Product
from bench.truth.seen import Group, Seen, Try, hour, see
from bench.truth.world import START_NS, World

FROM_NS = START_NS + HOUR
"""Begin of the time asked for; what happened in the hour before it counts in none of it."""
_EXACT = 5_000
"""Runs up to which durations are exact (docs/api.md)."""
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
        return (*s.group, *self.more(_version(s), s.started_ns or 0))

    def attempt(self, s: Seen, t: Try) -> Key:
        """Return the group of an attempt."""
        return (*s.group, *self.more(t.version, t.started_ns))

    def lost(self, s: Seen) -> Key:
        """Return the group of an attempt without a record."""
        return (*s.group, *self.more(None, s.started_ns or 0))

    def event(self, e: rates.Event) -> Key:
        """Return the group of what happened to a run."""
        return (*e.run.group, *self.more(_version(e.run), e.ns))

    def lasting(self, key: Key, now_ns: int) -> int:
        """Return for how long the group *key* lasts."""
        if "hour_ns" not in self.names:
            return now_ns - FROM_NS
        begins = key[-1]
        assert isinstance(begins, int)
        return min(now_ns - begins, HOUR)


BY_TASK = By(_TASK)
BY_VERSION = By((*_TASK, "version"), lambda version, ns: (version,))
BY_HOUR = By((*_TASK, "hour_ns"), lambda version, ns: (hour(ns),))


def _version(s: Seen) -> str | None:
    return s.tries[-1].version if s.tries else None


class Asked:
    """What is asked of a product, and what it should say."""

    def __init__(self, world: World, product: Product) -> None:
        self._world, self._product = world, product
        self._seen = see(world)
        self._live = [s for s in self._seen if s.population == "live"]
        self._now = world.as_of_ns
        self._closed = queues.closed_ns(world)
        self._groups = product.groups()["tasks"]
        self._horizons = rates.Horizons(self._seen)

    def verdicts(self) -> Iterator[Verdict]:
        """Yield the verdict of every figure."""
        yield from self._rates()
        yield from self._durations()
        yield from self._calls()
        yield from self._trees()
        yield from self._queues()
        yield from self._listed()

    def _ask(self, name: str, *, to_ns: int = 0, **more: Any) -> list[dict[str, Any]]:
        times = {"from": FROM_NS, "to": to_ns or self._now, "as_of": self._now}
        return self._product.ask(name, **times, **more)

    def _compared(self, name: str, by: By, facts: Mapping[Key, Fact]) -> Iterator[Verdict]:
        rows = self._ask(name, by=self._offered(by.names))
        numbers = [(tuple(row.get(c) for c in (*by.names, "measure", "statistic")), row) for row in rows]
        what = by.names[-1].removesuffix("_ns")
        yield from compare(name if by is BY_TASK else f"{name} by {what}", facts, numbers)

    def _by_task(self, name: str, **more: Any) -> list[dict[str, Any]]:
        return self._ask(name, by=self._offered(_TASK), **more)

    def _offered(self, names: tuple[str, ...]) -> str:
        return ",".join(name for name in names if name in self._groups)

    def _rates(self) -> Iterator[Verdict]:
        for by in (BY_TASK, BY_VERSION, BY_HOUR):
            yield from self._rates_by(by)

    def _rates_by(self, by: By) -> Iterator[Verdict]:
        ripe: dict[Key, list[Seen]] = defaultdict(list)
        young: dict[Key, int] = defaultdict(int)
        tries: dict[Key, list[tuple[Seen, Try | None]]] = defaultdict(list)
        for s in self._live:
            for t in s.tries:
                if t.started_ns >= FROM_NS:
                    tries[by.attempt(s, t)].append((s, t))
            if s.started_ns is None or s.started_ns < FROM_NS:
                continue
            # When an attempt without a record began, and on what, nobody knows.
            tries[by.lost(s)] += [(s, None)] * (s.attempts - len(s.tries))
            ripe[by.run(s)], young[by.run(s)] = ripe[by.run(s)], young[by.run(s)]
            if self._horizons.is_ripe(s, self._now):
                ripe[by.run(s)].append(s)
            else:
                young[by.run(s)] += 1
        facts: dict[Key, Fact] = {}
        for key in ripe:
            facts |= {(*key, *name): fact for name, fact in rates.retries(ripe[key], young[key]).items()}
        for key, some in tries.items():
            facts |= {(*key, *name): fact for name, fact in rates.attempts(some).items()}
        flow: dict[Key, Fact] = {}
        for key, of in grouped(rates.events(self._live, FROM_NS), by.event).items():
            over_ns = by.lasting(key, self._now)
            flow |= {(*key, *name): fact for name, fact in rates.throughput(of, over_ns).items()}
        yield from self._compared("retries", by, facts)
        yield from self._compared("throughput", by, flow)
        if by is not BY_TASK:
            return
        shown: dict[Key, Fact] = {}
        for key, runs in grouped((s for s in self._live if (s.started_ns or 0) >= FROM_NS), by.run).items():
            every = lengths.estimated(lengths.of_runs(runs, self._now), outcomes=False, measures=_SHOWN)
            shown |= {(*key, measure, name): fact for (measure, _, name), fact in every.items()}
        yield from self._compared("tasks", by, {**facts, **flow, **shown})
        steps: dict[Key, Fact] = {(*g, *key): fact for g in ripe for key, fact in rates.funnel(ripe[g]).items()}
        yield from compare("funnel", steps, _columns(self._by_task("funnel"), (*_TASK, "attempt"), steps))
        apart = "platform_project" in self._groups
        failing = _of_groups(rates.failures(ripe, young, lambda key: key[2] if apart else None))
        yield from compare("failures", failing, _columns(self._by_task("failures"), _TASK, failing))

    def _durations(self) -> Iterator[Verdict]:
        chosen = [s for s in self._live if _at(s) >= FROM_NS]
        for name in sorted({t.name for t in plan.TASKS}):
            facts: dict[Key, Fact] = {}
            for group, some in grouped((s for s in chosen if s.task == name), lambda s: s.group).items():
                tries = [(s, t) for s in some for t in s.tries]
                every = lengths.of_runs(some, self._now) + lengths.of_attempts(tries, self._now)
                facts |= {(*group, *key): fact for key, fact in lengths.exact(every).items()}
            yield from compare(
                "durations (exact)", facts, _numbers(self._by_task("durations", task=name), outcome=True)
            )
        if sum(_at(s) >= FROM_NS for s in self._seen) <= _EXACT:
            return
        facts = {}
        for group, some in grouped(self._live, lambda s: s.group).items():
            runs = [s for s in some if s.started_ns is not None and s.started_ns >= FROM_NS]
            tries = [(s, t) for s in some for t in s.tries if t.started_ns >= FROM_NS]
            every = lengths.of_runs(runs, self._now) + lengths.of_attempts(tries, self._now)
            facts |= {(*group, *key): fact for key, fact in lengths.estimated(every, outcomes=True).items()}
        yield from compare("durations (estimated)", facts, _numbers(self._by_task("durations"), outcome=True))

    def _calls(self) -> Iterator[Verdict]:
        every = lengths.steps(self._live)
        facts: dict[Key, Fact] = {}
        for group, of in grouped(every, lambda x: x.group).items():
            some = [x for x in of if hour(x.at_ns) >= FROM_NS]
            facts |= {(*group, *key): fact for key, fact in lengths.calls(some, of).items()}
        named = ("operation", "phase", "called_service")
        yield from compare("calls", facts, _numbers(self._by_task("calls"), *named))

    def _trees(self) -> Iterator[Verdict]:
        inside = [s for s in self._live if s.started_ns is not None and FROM_NS <= s.started_ns < self._closed]
        facts = _of_groups(rates.trees(inside))
        yield from compare("trees", facts, _numbers(self._ask("trees", to_ns=self._closed), "generation"))

    def _queues(self) -> Iterator[Verdict]:
        window = {"from_ns": FROM_NS, "to_ns": self._closed}
        of = {queue: queues.levels(self._world, queue, **window) for queue in plan.LIMITS}
        rows = self._ask("queues", to_ns=self._closed)
        waiting = ("backlog", "backlog_age", "drain_time")
        yield from compare("queues", _of_queues(of), _of_rows(r for r in rows if r["measure"] not in waiting))
        now = live.backlog(self._world)
        late = [r for r in self._ask("queues") if r["measure"] in waiting]
        yield from compare("queues (backlog)", _of_queues(now), _of_rows(late))
        shares = {
            (*queue, *whose, *key): fact
            for queue in plan.LIMITS
            for whose, facts in queues.slot_share(self._world, queue, **window).items()
            for key, fact in facts.items()
        }
        yield from compare("slots", shares, _of_rows(self._ask("slots", to_ns=self._closed), "task_id", "population"))
        law = {queue: queues.little(self._world, queue, **window) for queue in plan.LIMITS}
        yield from compare("little", _of_queues(law), _of_rows(self._ask("little", to_ns=self._closed)))

    def _listed(self) -> Iterator[Verdict]:
        for name, first, facts in (
            ("holders", "number", live.holders(self._world)),
            ("stuck", "stage", live.stuck(self._world, self._seen)),
            ("retrying", "state", live.retrying(self._seen)),
        ):
            of: dict[Key, Fact] = {(run, *key): fact for run, some in facts.items() for key, fact in some.items()}
            rows = [{"run_id": self._id(row["run_key"]), **row} for row in self._ask(name)]
            told = _columns(rows, ("run_id",), {("", first): Fact(None), **of})
            # A run that should not be there is told once, and what telemetry does not say of one that is not at all.
            yield from compare(name, of, [(key, row) for key, row in told if key in of or key[-1] == first])

    def _id(self, run_key: str) -> str:
        """Return the id of a run by its key, which is all that the list of holders names."""
        asked = f"SELECT run_id FROM runs WHERE run_key = '{run_key}'"
        return str(self._product.database.reading(lambda h: h.value(asked)))


def _at(s: Seen) -> int:
    return s.started_ns if s.started_ns is not None else s.queued_ns or s.last_seen_ns


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
