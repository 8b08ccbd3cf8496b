"""`GET /api/v1/stats/{name}`: what may be asked by name, and how it is asked.

Every answer is rows: what they are grouped by, then measure, statistic, value, unit, n, low, high, provenance,
coverage, note (`analyse.numbers.NUMBERS`), unless the name says that it lists runs.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import polars as pl

from collector.api import live, queue_stats, task_stats
from collector.api.question import Basis, Question
from collector.model.errors import BadInput
from collector.store import statistics
from collector.store.handle import Handle
from collector.store.statistics import Choice

_GROUPS = ("task_id", "queue", "environment", "platform_project", "version", "population", "hour_ns")


@dataclass(frozen=True, slots=True)
class Statistic:
    """An answer by name, what it is grouped by unless asked otherwise, and what it may be grouped by."""

    make: Callable[[Handle, Question], pl.DataFrame]
    by: tuple[str, ...]
    groups: tuple[str, ...]

    def answer(self, h: Handle, q: Question) -> pl.DataFrame:
        """Return the rows asked for; of the population that counts unless another is asked for."""
        return self.make(h, replace(q, choice=statistics.counted(h, q.choice)))


_TASK = ("task_id", "environment", "platform_project")
STATISTICS: dict[str, Statistic] = {
    "tasks": Statistic(task_stats.tasks, _TASK, _GROUPS),
    "retries": Statistic(task_stats.retry, _TASK, _GROUPS),
    "funnel": Statistic(task_stats.funnel, _TASK, _GROUPS),
    "durations": Statistic(task_stats.duration, _TASK, _GROUPS),
    "trees": Statistic(task_stats.tree, _TASK, _TASK),
    "throughput": Statistic(task_stats.flow, _TASK, _GROUPS),
    "failures": Statistic(task_stats.failures, _TASK, _GROUPS),
    "calls": Statistic(task_stats.call, _TASK, _GROUPS),
    "queues": Statistic(
        queue_stats.queue, slots_by := ("queue", "environment", "platform_project"), (*slots_by, "bucket_ns")
    ),
    "slots": Statistic(queue_stats.slot_share, slots_by, slots_by),
    "little": Statistic(queue_stats.little, slots_by, slots_by),
    "holders": Statistic(queue_stats.holders, slots_by, slots_by),
    "eta": Statistic(live.eta, _TASK, _TASK),
    "stuck": Statistic(task_stats.stuck_runs, _TASK, _TASK),
    "retrying": Statistic(task_stats.retrying, _TASK, _TASK),
}
"""What may be asked by name."""


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
    return Question(choice, _groups(name, asked["by"]), asked["as_of"], basis)


def _groups(name: str, asked: list[str] | None) -> tuple[str, ...]:
    """Return what to group by; raise BadInput naming what may be."""
    statistic = STATISTICS[name]
    if asked is None:
        return statistic.by
    wrong = [part for part in asked if part not in statistic.groups]
    if wrong:
        raise BadInput(f"cannot group {name} by {wrong[0][:40]!r}; there are {', '.join(statistic.groups)}", field="by")
    return tuple(dict.fromkeys(asked)) or ("project",)
