"""Every statistic asked of the product, beside the facts of the same window.

Enter: a world, a product that took its telemetry. Leave: verdicts.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
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


class Asked:
    """What is asked of a product, and what it should say."""

    def __init__(self, world: World, product: Product) -> None:
        self._world, self._product = world, product
        self._seen = see(world)
        self._live = [s for s in self._seen if s.population == "live"]
        self._now = world.as_of_ns
        self._closed = queues.closed_ns(world)
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

    def _by_task(self, name: str, **more: Any) -> list[dict[str, Any]]:
        return self._ask(name, by=",".join(_TASK), **more)

    def _rates(self) -> Iterator[Verdict]:
        started = [s for s in self._live if s.started_ns is not None and s.started_ns >= FROM_NS]
        ripe: dict[Group, list[Seen]] = {}
        young: dict[Group, int] = {}
        for group, some in grouped(started, lambda s: s.group).items():
            ripe[group], young[group] = rates.ripe_hours(some, self._horizons, self._now)
        tries: dict[Group, list[tuple[Seen, Try | None]]] = defaultdict(list)
        for s in self._live:
            tries[s.group] += [(s, t) for t in s.tries if t.started_ns >= FROM_NS]
            if s.started_ns is not None and s.started_ns >= FROM_NS:
                tries[s.group] += [(s, None)] * (s.attempts - len(s.tries))
        facts = _of_groups({g: rates.retries(ripe[g], young[g], tries[g]) for g in ripe})
        flow = _of_groups(
            {g: rates.throughput(some, FROM_NS, self._now) for g, some in grouped(self._live, lambda s: s.group).items()}
        )
        estimates = _of_groups(
            {
                g: lengths.estimated(lengths.of_runs(some, self._now), outcomes=False, measures=_SHOWN)
                for g, some in grouped(started, lambda s: s.group).items()
            },
        )
        estimates = {_without(key, None): fact for key, fact in estimates.items()}
        yield from compare("retries", facts, _numbers(self._by_task("retries")))
        yield from compare("throughput", flow, _numbers(self._by_task("throughput")))
        yield from compare("tasks", {**facts, **flow, **estimates}, _numbers(self._by_task("tasks")))
        steps = {(*g, *key): fact for g in ripe for key, fact in rates.funnel(ripe[g]).items()}
        yield from compare("funnel", steps, _columns(self._by_task("funnel"), (*_TASK, "attempt"), steps))
        failing = _of_groups(rates.failures(ripe, young))
        yield from compare("failures", failing, _columns(self._by_task("failures"), _TASK, failing))

    def _durations(self) -> Iterator[Verdict]:
        chosen = [s for s in self._live if _at(s) >= FROM_NS]
        for name in sorted({t.name for t in plan.TASKS}):
            facts = {}
            for group, some in grouped((s for s in chosen if s.task == name), lambda s: s.group).items():
                tries = [(s, t) for s in some for t in s.tries]
                every = lengths.of_runs(some, self._now) + lengths.of_attempts(tries, self._now)
                facts |= {(*group, *key): fact for key, fact in lengths.exact(every).items()}
            yield from compare("durations (exact)", facts, _numbers(self._by_task("durations", task=name), outcome=True))
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
        facts = {}
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
        for name, facts in (
            ("holders", live.holders(self._world)),
            ("stuck", live.stuck(self._world, self._seen)),
            ("retrying", live.retrying(self._seen)),
        ):
            of = {(run, *key): fact for run, some in facts.items() for key, fact in some.items()}
            rows = [{"run_id": self._id(row["run_key"]), **row} for row in self._ask(name)]
            yield from compare(name, of, _columns(rows, ("run_id",), of))

    def _id(self, run_key: str) -> str:
        """Return the id of a run by its key, which is all that the list of holders names."""
        asked = f"SELECT run_id FROM runs WHERE run_key = '{run_key}'"
        return str(self._product.database.reading(lambda h: h.value(asked)))


def _at(s: Seen) -> int:
    return s.started_ns if s.started_ns is not None else s.queued_ns or s.last_seen_ns


def _of_groups(groups: Mapping[Group, rates.Facts]) -> dict[Key, Fact]:
    return {(*group, *key): fact for group, facts in groups.items() for key, fact in facts.items()}


def _of_queues(groups: Mapping[Queue, rates.Facts]) -> dict[Key, Fact]:
    return {(*queue, *key): fact for queue, facts in groups.items() for key, fact in facts.items()}


def _without(key: Key, part: object) -> Key:
    return (*key[:3], *(p for p in key[3:] if p is not part))


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
