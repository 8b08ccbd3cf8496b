"""`GET /api/v1/stats/{name}`: reads what is needed, within bounds, and lets `analyse` make numbers of it.

Every answer is rows: what they are grouped by, then measure, statistic, value, unit, n, low, high, provenance,
coverage, note (`analyse.numbers.NUMBERS`), unless the name says that it lists runs.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass, replace

import polars as pl

from collector.analyse import (
    calls,
    concurrency,
    durations,
    limits,
    percentiles,
    retries,
    slots,
    stuck,
    throughput,
    trees,
)
from collector.analyse import levels as levels_
from collector.analyse.frames import COHORT, HOUR_NS, population
from collector.api import form
from collector.model.errors import BadInput
from collector.model.tables import PUBLIC
from collector.store import held, statistics
from collector.store.database import Handle
from collector.store.statistics import Choice

EXACT_RUNS = 5_000
"""Most runs of which percentiles are taken exactly; beyond, they are estimated from the hourly histograms."""
_MOST_RELATED = 20_000
"""Most runs that trees are made from, the newest."""
_MOST_USUAL = 20_000
"""Runs that tell what is usual for a task, the newest."""
_HISTORY_NS = 7 * 24 * HOUR_NS
"""What a retry horizon and what is usual for a task are learnt from."""
_LOST_NS = 24 * HOUR_NS
_LEARN_NS = 300 * 10**9
_MOST_LEARNT = 16
_MOST_RETRIED = 2_000
"""Retried runs that tell how soon a retry usually begins."""
_POPULATIONS = ("live", "replay", "development", "all")
PARAMETERS = ("from", "to", "as_of", "task", "queue", "environment", "version", "population", "by")
"""What every statistic takes."""
_GROUPS = ("task_id", "queue", "environment", "version", "population", "hour_ns")


class Basis:
    """What all questions to one store share: *grace_ns*, *lease_ns* as its run model has them, and what is learnt.

    What is learnt from a week of runs (retry horizons, what is usual) holds for some minutes.
    """

    def __init__(self, grace_ns: int, lease_ns: int) -> None:
        self.grace_ns = grace_ns
        self.lease_ns = lease_ns
        self._known: dict[tuple[str, str, int], pl.DataFrame] = {}
        self._lock = threading.Lock()

    def learned(self, name: str, project: str, as_of_ns: int, make: Callable[[], pl.DataFrame]) -> pl.DataFrame:
        """Return what *make* returned for the five minutes that *as_of_ns* is in."""
        key = (name, project, as_of_ns // _LEARN_NS)
        with self._lock:
            if key not in self._known:
                while len(self._known) >= _MOST_LEARNT:
                    self._known.pop(next(iter(self._known)))
                self._known[key] = make()
            return self._known[key]


@dataclass(frozen=True, slots=True)
class Question:
    """What is asked: which runs, grouped by what, at what time."""

    choice: Choice
    by: tuple[str, ...]
    as_of_ns: int
    basis: Basis


def _sums(table: str, *keys: str) -> list[str]:
    return [c for c in PUBLIC[table].names if c not in {*COHORT, *keys}]


def _horizon(h: Handle, q: Question) -> pl.DataFrame:
    """Return the retry horizons at the question's time, from the week before."""
    return q.basis.learned("horizon", q.choice.project, q.as_of_ns, lambda: _learn_horizon(h, q))


def _learn_horizon(h: Handle, q: Question) -> pl.DataFrame:
    past = Choice(q.choice.project, q.as_of_ns - _HISTORY_NS, q.as_of_ns, population=None)
    cohorts = statistics.summed(h, "run_cohorts", past, [*retries.HORIZON, "attempts"], ["runs"], also="attempts > 1")
    measured = statistics.summed(
        h, "duration_hours", past, [*retries.HORIZON, "measure", "ix"], ["n"], also="measure IN ('attempt', 'gap')"
    )
    return retries.horizon(cohorts, measured, floor_ns=q.basis.grace_ns)


def _cohorts(h: Handle, q: Question) -> pl.DataFrame:
    """Return what retry numbers are summed from; hours in which nothing can still retry are one, unless asked for."""
    keys = list(dict.fromkeys(["hour_ns", *retries.HORIZON, *q.by, "attempts", "outcome"]))
    sums = _sums("run_cohorts", "attempts", "outcome")
    longest = max(q.basis.grace_ns, int(_horizon(h, q)["horizon_ns"].max() or 0))  # type: ignore[arg-type]
    ripe_ns = 0 if "hour_ns" in q.by else q.as_of_ns - longest
    return statistics.summed(h, "run_cohorts", q.choice, keys, sums, ripe_ns=ripe_ns)


def retry(h: Handle, q: Question) -> pl.DataFrame:
    """Rates of runs that retry, fail and recover, what that costs; and rates of attempts."""
    by = list(q.by)
    runs = retries.report(_cohorts(h, q), by, as_of_ns=q.as_of_ns, horizons=_horizon(h, q))
    counts = ["attempts", "derived_attempts", "inferred_attempts"]
    hours = statistics.summed(h, "attempt_hours", q.choice, [*by, "number", "outcome"], counts)
    return pl.concat([runs, retries.attempts(hours, by)])


def funnel(h: Handle, q: Question) -> pl.DataFrame:
    """What came of attempt 1, 2, …: reached, succeeded, retried, failed; yield with interval."""
    return retries.funnel(retries.ripe(_cohorts(h, q), _horizon(h, q), as_of_ns=q.as_of_ns), list(q.by))


def duration(h: Handle, q: Question) -> pl.DataFrame:
    """Percentiles of queue wait, execution, attempts, …: exact for up to 5,000 runs, else estimated."""
    if "hour_ns" not in q.by and statistics.count_runs(h, q.choice) <= EXACT_RUNS:
        v = statistics.started(h, q.choice, most=EXACT_RUNS)
        return percentiles.exact(_of(q, durations.values(v.runs, v.attempts, as_of_ns=q.as_of_ns)), list(q.by))
    return _estimated(h, q)


def tree(h: Handle, q: Question) -> pl.DataFrame:
    """Attempts per run of each generation of trees of runs, and their product, by task of the root."""
    v = statistics.related(h, q.choice, most=_MOST_RELATED)
    old = retries.mature(v.runs, _horizon(h, q), as_of_ns=q.as_of_ns)
    wanted = q.choice.population
    found = trees.report(old if wanted is None else old.filter(population() == wanted), v.attempts)
    return found if q.choice.task is None else found.filter(pl.col("task_id") == q.choice.task)


def _of(q: Question, values: pl.LazyFrame) -> pl.LazyFrame:
    wanted = q.choice.population
    return values if wanted is None else values.filter(pl.col("population") == wanted)


def _estimated(h: Handle, q: Question, measures: tuple[str, ...] = ()) -> pl.DataFrame:
    """Return estimates of all measures by outcome, or only of *measures*, for all outcomes together."""
    keys = [*q.by, "measure", *([] if measures else ["outcome"]), "ix"]
    also = f"measure IN ({', '.join(repr(m) for m in measures)})" if measures else "true"
    sums = _sums("duration_hours", "measure", "outcome", "ix")
    rows = statistics.summed(h, "duration_hours", q.choice, keys, sums, also=also)
    return percentiles.estimate(rows, list(q.by), outcomes=not measures)


def flow(h: Handle, q: Question) -> pl.DataFrame:
    """Arrivals, starts and ends, as counts and per hour."""
    rows = statistics.summed(h, "flow_hours", q.choice, [*q.by, "event"], _sums("flow_hours", "event", "outcome"))
    until = _counted_until(h, q, q.choice)
    hourly = (until - pl.col("hour_ns")).clip(1, HOUR_NS)
    whole = max(1, until - q.choice.hours().from_ns)
    return throughput.report(rows, list(q.by), over_ns=hourly if "hour_ns" in q.by else whole)


def _counted_until(h: Handle, q: Question, choice: Choice) -> int:
    """Return up to when the hourly counts of *choice* go: its last hour's end, or now if that is to come."""
    return min(choice.hours().to_ns, max(q.as_of_ns, statistics.levels_known(h)))


def failures(h: Handle, q: Question) -> pl.DataFrame:
    """Failure rates with Wilson intervals, ranked by their lower bound."""
    by = list(dict.fromkeys(["project", *q.by]))
    return throughput.failures(_cohorts(h, q), by, as_of_ns=q.as_of_ns, horizons=_horizon(h, q))


def tasks(h: Handle, q: Question) -> pl.DataFrame:
    """One set of numbers per task: retries, failures, throughput, and estimated percentiles of waits and durations."""
    return pl.concat([
        retry(h, q),
        flow(h, q),
        _estimated(h, q, ("queue_wait", "execution", "end_to_end")),
    ])  # fmt: skip


def call(h: Handle, q: Question) -> pl.DataFrame:
    """Calls to services: how many, how often they fail, how many retries add; and how long steps take."""
    by = list(q.by)
    keys = [*by, *calls.STEP, "outcome", "ix"]
    rows = statistics.summed(h, "phase_hours", q.choice, keys, ["n", "ideal_n", "total_ns"])
    report = calls.report(rows, by)
    steps = calls.durations(rows, by).filter(pl.col("outcome").is_null())
    return pl.concat([
        report.with_columns(operation=pl.lit(None, pl.String), phase=pl.lit("calling")).select(steps.columns),
        steps,
    ])  # fmt: skip


def queue(h: Handle, q: Question) -> pl.DataFrame:
    """Slots held, limit, saturation, time at it, throttled, per queue; backlog and time to drain now."""
    return _of_task(h, q, _queues(h, q))


def _of_task(h: Handle, q: Question, rows: pl.DataFrame) -> pl.DataFrame:
    """Return the rows of queues in which the task held slots; levels are of a whole queue, whoever holds them."""
    own = statistics.slot_hours(h, q.choice) if q.choice.task else rows
    return rows.join(own, on=slots.QUEUE, how="semi", nulls_equal=True)


def _queues(h: Handle, q: Question) -> pl.DataFrame:
    judged = -(-q.as_of_ns // levels_.BUCKET_NS) * levels_.BUCKET_NS
    until = min(q.choice.hours().to_ns, judged, statistics.levels_known(h))
    if "bucket_ns" in q.by:
        return concurrency.report(_levels(h, q, until, buckets=True), [*slots.QUEUE, "bucket_ns"], buckets=1)
    since = max(q.choice.hours().from_ns, statistics.levels_since(h, q.choice.project))
    buckets = -(-max(0, until - since) // levels_.BUCKET_NS)
    rows = concurrency.report(_levels(h, q, until, buckets=False), buckets=buckets)
    rows = limits.noted(rows, statistics.limits(h))
    own = {"queue": q.choice.queue, "environment": q.choice.environment}
    past = Choice(q.choice.project, q.as_of_ns - _HISTORY_NS, q.as_of_ns, **own)
    waiting = statistics.waiting(h, past, as_of_ns=q.as_of_ns)
    recent = Choice(q.choice.project, q.as_of_ns - HOUR_NS, q.as_of_ns, population=None, queue=q.choice.queue)
    # Arrivals are counted in a queue once a record names it; those that wait have none yet.
    unnamed = waiting.filter(pl.col("is_assumed") & (pl.col("queued_ns") >= recent.hours().from_ns))
    moved = pl.concat([
        statistics.summed(h, "flow_hours", recent, [*slots.QUEUE, "event"], ["runs"]),
        unnamed.select(*slots.QUEUE, event=pl.lit("arrived"), runs=pl.lit(1, pl.Int64)),
    ])  # fmt: skip
    runs = pl.col("runs")
    counts = moved.group_by(slots.QUEUE).agg(
        arrived=runs.filter(pl.col("event") == "arrived").sum(), ended=runs.filter(pl.col("event") == "ended").sum()
    )
    over_ns = max(1, _counted_until(h, q, recent) - recent.hours().from_ns)
    return pl.concat([rows, concurrency.backlog(waiting, as_of_ns=q.as_of_ns, arrivals=counts, over_ns=over_ns)])


def _levels(h: Handle, q: Question, until: int, *, buckets: bool) -> pl.DataFrame:
    """Return time per level from a whole hour on up to *until*, level 0 where nothing was held.

    Before anything is known of any queue nobody can tell, so that time is left out.
    """
    wide = replace(q.choice.hours(), to_ns=until)
    rows = statistics.levels(h, wide, buckets=buckets)
    queues = rows.select(slots.QUEUE).unique()
    since = max(wide.from_ns, statistics.levels_since(h, q.choice.project))
    if until <= since or queues.is_empty():
        return rows
    stated = limits.steps(statistics.limits(h).filter(pl.col("source") == "settings"), queues)
    window = {"from_ns": since, "to_ns": until}
    if buckets:
        none = pl.DataFrame(schema={**dict.fromkeys(slots.QUEUE, pl.String), "from_ns": pl.Int64, "to_ns": pl.Int64})
        idle = levels_.queue_levels(none, none, stated, **window, queues=queues)
        idle = idle.join(rows, on=[*slots.QUEUE, "bucket_ns"], how="anti", nulls_equal=True)
    else:
        idle = levels_.idle(rows, stated, queues, **window)
    # Where a limit is inferred none is stated, so it holds throughout.
    inferred = rows.filter(pl.col("limit_source") == "inferred").group_by(slots.QUEUE).agg(own=pl.col("limit").first())
    idle = idle.join(inferred, on=slots.QUEUE, how="left", nulls_equal=True).with_columns(
        limit=pl.coalesce("limit", "own"),
        limit_source=pl.coalesce("limit_source", pl.when(pl.col("own").is_not_null()).then(pl.lit("inferred"))),
    )
    return pl.concat([rows, idle.select(rows.columns)])


def slot_share(h: Handle, q: Question) -> pl.DataFrame:
    """Share of a queue's slot time per task, and slots whose end nobody saw."""
    return concurrency.slot_share(statistics.slot_hours(h, q.choice))


def _held(h: Handle, q: Question) -> pl.LazyFrame:
    v = held.touching(h, q.choice.from_ns, min(q.choice.to_ns, q.as_of_ns))
    return _chosen(q, slots.slots(v.runs, v.attempts, v.waits, as_of_ns=q.as_of_ns, lease_ns=q.basis.lease_ns))


def _chosen(q: Question, held_: pl.LazyFrame) -> pl.LazyFrame:
    chosen = held_.filter(pl.col("project") == q.choice.project)
    for column, wanted in (("queue", q.choice.queue), ("environment", q.choice.environment)):
        if wanted is not None:
            chosen = chosen.filter(pl.col(column) == wanted)
    return chosen


def holders(h: Handle, q: Question) -> pl.DataFrame:
    """Who holds slots now, the longest first, and slots nobody ended."""
    found = concurrency.holders(_held(h, replace(q, choice=_at(q.choice, q.as_of_ns))), as_of_ns=q.as_of_ns)
    return found if q.choice.task is None else found.filter(pl.col("task_id") == q.choice.task)


def _at(choice: Choice, ns: int) -> Choice:
    return Choice(choice.project, ns - 1, ns + 1, choice.task, choice.queue, choice.environment, choice.version)


def little(h: Handle, q: Question) -> pl.DataFrame:
    """Whether the level of each queue is what starts and durations give, and the limit that follows; whole hours."""
    known = statistics.levels_known(h)
    asked = q.choice.hours()
    from_ns = max(asked.from_ns, statistics.levels_since(h, asked.project))
    to_ns = min(asked.to_ns, known)
    if to_ns > q.as_of_ns:  # asked for a time long ago, and that hour's levels go on
        to_ns = q.as_of_ns // HOUR_NS * HOUR_NS
    v = held.across(h, from_ns, to_ns)
    edges = _chosen(q, slots.slots(v.runs, v.attempts, v.waits, as_of_ns=known, lease_ns=q.basis.lease_ns))
    hours = statistics.slot_hours(h, replace(asked, task=None, from_ns=from_ns, to_ns=to_ns))
    return _of_task(h, q, concurrency.little(hours, edges, from_ns=from_ns, to_ns=to_ns))


def stuck_runs(h: Handle, q: Question) -> pl.DataFrame:
    """Runs that take unusually long, with the stage: long, silent, stuck, lost; NULL when nobody can tell."""
    usual = q.basis.learned("usual", q.choice.project, q.as_of_ns, lambda: _learn_usual(h, q))
    now = statistics.open_runs(h, q.choice, lost_since_ns=q.as_of_ns - _LOST_NS)
    return stuck.stages(now.runs, now.attempts, usual, as_of_ns=q.as_of_ns, lost_since_ns=q.as_of_ns - _LOST_NS)


def _learn_usual(h: Handle, q: Question) -> pl.DataFrame:
    known = statistics.started(h, _past(q), most=_MOST_USUAL, phases=True)
    return stuck.usual(known.runs, known.attempts, known.phases, as_of_ns=q.as_of_ns)


def retrying(h: Handle, q: Question) -> pl.DataFrame:
    """Runs that retry now: since when, what failed, when the next attempt is usually there."""
    gaps = q.basis.learned("gaps", q.choice.project, q.as_of_ns, lambda: _learn_gaps(h, q))
    now = statistics.open_runs(h, q.choice, lost_since_ns=q.as_of_ns)
    return stuck.retrying(now.runs, now.attempts, gaps)


def _learn_gaps(h: Handle, q: Question) -> pl.DataFrame:
    past = statistics.started(h, _past(q), most=_MOST_RETRIED, also="attempt_count > 1")
    return stuck.usual_gaps(past.runs, past.attempts)


def _past(q: Question) -> Choice:
    return Choice(q.choice.project, q.as_of_ns - _HISTORY_NS, q.as_of_ns, population=None)


@dataclass(frozen=True, slots=True)
class Statistic:
    """An answer by name, what it is grouped by unless asked otherwise, and what it may be grouped by."""

    make: Callable[[Handle, Question], pl.DataFrame]
    by: tuple[str, ...]
    groups: tuple[str, ...]

    def answer(self, h: Handle, q: Question) -> pl.DataFrame:
        """Return the rows asked for; of the population that counts unless another is asked for."""
        return self.make(h, replace(q, choice=statistics.counted(h, q.choice)))


_TASK = ("task_id", "environment")
STATISTICS: dict[str, Statistic] = {
    "tasks": Statistic(tasks, _TASK, _GROUPS),
    "retries": Statistic(retry, _TASK, _GROUPS),
    "funnel": Statistic(funnel, _TASK, _GROUPS),
    "durations": Statistic(duration, _TASK, _GROUPS),
    "trees": Statistic(tree, _TASK, _TASK),
    "throughput": Statistic(flow, _TASK, _GROUPS),
    "failures": Statistic(failures, _TASK, _GROUPS),
    "calls": Statistic(call, _TASK, _GROUPS),
    "queues": Statistic(queue, slots_by := ("queue", "environment"), (*slots_by, "bucket_ns")),
    "slots": Statistic(slot_share, slots_by, slots_by),
    "little": Statistic(little, slots_by, slots_by),
    "holders": Statistic(holders, slots_by, slots_by),
    "stuck": Statistic(stuck_runs, _TASK, _TASK),
    "retrying": Statistic(retrying, _TASK, _TASK),
}
"""What may be asked by name."""


def question(name: str, given: dict[str, str], project: str, now_ns: int, basis: Basis) -> Question:
    """Return what the parameters ask; raise BadInput naming the one that is wrong."""
    unknown = sorted(set(given) - set(PARAMETERS))
    if unknown:
        raise BadInput(f"no such parameter of {name}; it takes {', '.join(PARAMETERS)}", field=unknown[0][:40])
    as_of_ns = form.moment(given["as_of"], "as_of", now_ns) if given.get("as_of") else now_ns
    from_ns = form.moment(given.get("from") or "24h", "from", as_of_ns)
    to_ns = form.moment(given["to"], "to", as_of_ns) if given.get("to") else as_of_ns
    if from_ns >= to_ns:
        raise BadInput("expected a time before `to`", field="from")
    population = given.get("population") or statistics.COUNTED
    if given.get("population") and population not in _POPULATIONS:
        raise BadInput(f"expected one of {', '.join(_POPULATIONS)}, got {population[:40]!r}", field="population")
    chosen = {p: given.get(p) or None for p in ("task", "queue", "environment", "version")}
    if chosen["version"] and "version" not in STATISTICS[name].groups and "queue" in STATISTICS[name].groups:
        raise BadInput("slots are held by runs of any version; leave it out", field="version")
    choice = Choice(project, from_ns, to_ns, **chosen, population=None if population == "all" else population)
    return Question(choice, _groups(name, given.get("by")), as_of_ns, basis)


def _groups(name: str, text: str | None) -> tuple[str, ...]:
    """Return what to group by; raise BadInput naming what may be."""
    known = STATISTICS[name]
    if text is None:
        return known.by
    asked = tuple(part.strip() for part in text.split(",") if part.strip())
    wrong = [part for part in asked if part not in known.groups]
    if wrong:
        raise BadInput(f"cannot group {name} by {wrong[0][:40]!r}; there are {', '.join(known.groups)}", field="by")
    return tuple(dict.fromkeys(asked)) or ("project",)
