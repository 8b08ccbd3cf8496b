"""`GET /api/v1/stats/{name}`: what may be asked by name, and how it is asked.

Every answer is rows: what they are grouped by, then measure, statistic, value, unit, n, low, high, provenance,
coverage, note (`analyse.numbers.NUMBERS`), unless the name says that it lists runs.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import polars as pl

from collector.analyse.measures import MEASURES
from collector.api import live, queue_stats, task_stats
from collector.api.question import ALL, Basis, Question, as_asked, few, in_buckets, in_hours
from collector.model.errors import BadInput
from collector.model.units import SECOND_NS
from collector.store import statistics
from collector.store.handle import Handle
from collector.store.statistics import Choice

_GROUPS = ("task_id", "queue", "environment", "platform_project", "version", "population", "hour_ns")


@dataclass(frozen=True, slots=True)
class Answer:
    """Rows, the range in ns that they are of, and in what they are counted (`Question.widened`)."""

    rows: pl.DataFrame
    from_ns: int
    to_ns: int
    widened: str


@dataclass(frozen=True, slots=True)
class Statistic:
    """An answer by name, what it is grouped by unless asked otherwise, and what it may be grouped by.

    *of*: how its range is settled, before anything is counted.
    """

    make: Callable[[Handle, Question], pl.DataFrame]
    by: tuple[str, ...]
    groups: tuple[str, ...]
    of: Callable[[Handle, Question], Question] = as_asked

    def answer(self, h: Handle, q: Question) -> Answer:
        """Return the rows asked for; of the population that counts unless another is asked for."""
        q = self.of(h, replace(q, choice=statistics.counted(h, q.choice)))
        rows = self._made(h, q)
        if q.total:
            parts = {False: rows, True: self._made(h, replace(q, by=ALL))}
            rows = pl.concat([some.with_columns(is_total=pl.lit(of)) for of, some in parts.items()], how="diagonal")
        if q.widened and "note" in rows.columns:
            rows = rows.with_columns(
                note=pl.concat_str(pl.col("note"), pl.lit(_mark(q)), separator="; ", ignore_nulls=True)
            )
        return Answer(rows, *q.window(), q.widened)

    def _made(self, h: Handle, q: Question) -> pl.DataFrame:
        rows = self.make(h, q)
        wanted = pl.col("measure").is_in(list(q.measures)) if q.measures and "measure" in rows.columns else pl.lit(True)
        return rows.filter(wanted)


def _mark(q: Question) -> str:
    """Return, for a note, of what range a number is instead of the one that was asked for."""
    first, last = (dt.datetime.fromtimestamp(ns // SECOND_NS, dt.UTC) for ns in q.window())
    return f"{q.widened}: {first:%Y-%m-%dT%H:%M}Z to {last:%Y-%m-%dT%H:%M}Z"


_TASK = ("task_id", "environment", "platform_project")
STATISTICS: dict[str, Statistic] = {
    "tasks": Statistic(task_stats.tasks, _TASK, _GROUPS, few),
    "retries": Statistic(task_stats.retry, _TASK, _GROUPS, few),
    "funnel": Statistic(task_stats.funnel, _TASK, _GROUPS, few),
    "durations": Statistic(task_stats.duration, _TASK, _GROUPS, few),
    "trees": Statistic(task_stats.tree, _TASK, _TASK),
    "throughput": Statistic(task_stats.flow, _TASK, _GROUPS, few),
    "failures": Statistic(task_stats.failures, _TASK, _GROUPS, few),
    "calls": Statistic(task_stats.call, _TASK, _GROUPS, partial(few, phases=True)),
    "queues": Statistic(
        queue_stats.queue,
        slots_by := ("queue", "environment", "platform_project"),
        (*slots_by, "bucket_ns"),
        in_buckets,
    ),
    "slots": Statistic(queue_stats.slot_share, slots_by, slots_by, in_hours),
    "little": Statistic(queue_stats.little, slots_by, slots_by, in_hours),
    "holders": Statistic(queue_stats.holders, slots_by, slots_by),
    "eta": Statistic(live.eta, _TASK, _TASK),
    "stuck": Statistic(task_stats.stuck_runs, _TASK, _TASK),
    "retrying": Statistic(task_stats.retrying, _TASK, _TASK),
}
"""What may be asked by name."""
_TOTALLED = ("tasks", "retries", "durations", "throughput", "queues")
"""Those that can be asked of all groups together beside each."""


def question(name: str, asked: dict[str, Any], project: str, basis: Basis) -> Question:
    """Return what the parameters, as they were read, ask; raise BadInput naming the one that is wrong."""
    population = asked["population"] or statistics.COUNTED
    if asked["from"] >= asked["to"]:
        raise BadInput("expected a time before `to`", field="from")
    if asked["version"] and "version" not in STATISTICS[name].groups and "queue" in STATISTICS[name].groups:
        raise BadInput("slots are held by runs of any version; leave it out", field="version")
    choice = Choice(
        project,
        asked["from"],
        asked["to"],
        **{p: asked[p] for p in ("task", "queue", "environment", "platform_project", "version")},
        population=None if population == "all" else population,
    )
    if asked["total"] and name not in _TOTALLED:
        raise BadInput(f"{name} has no total; {', '.join(_TOTALLED)} have one", field="total")
    return Question(
        choice, _groups(name, asked["by"]), asked["as_of"], basis, _measures(asked["measures"]), asked["total"]
    )


def _measures(asked: list[str] | None) -> frozenset[str]:
    """Return the measures asked for; raise BadInput naming one that is none."""
    wrong = [part for part in asked or () if part not in MEASURES]
    if wrong:
        raise BadInput(f"no measure {wrong[0][:40]!r}; runwell stats NAME --explain tells them", field="measures")
    return frozenset(asked or ())


def _groups(name: str, asked: list[str] | None) -> tuple[str, ...]:
    """Return what to group by; raise BadInput naming what may be."""
    statistic = STATISTICS[name]
    if asked is None:
        return statistic.by
    wrong = [part for part in asked if part not in statistic.groups]
    if wrong:
        raise BadInput(f"cannot group {name} by {wrong[0][:40]!r}; there are {', '.join(statistic.groups)}", field="by")
    return tuple(dict.fromkeys(asked)) or ALL
