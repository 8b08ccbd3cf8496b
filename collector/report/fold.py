"""One thing that happened is told once: what was seen at the same time and most likely has the same cause is folded in.

A failing service makes its callers fail, retry and take longer, and fills their queues. So a candidate takes in those
of later rank whose tasks it shares while their spans overlap: it explains them better than they explain it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import polars as pl

from collector.model.units import HOUR_NS
from collector.report.found import Found
from collector.report.kinds.catalogue import KINDS
from collector.report.kinds.kind import LAST, Part
from collector.report.subjects import WHOSE

_LEAST_OVERLAP = 0.5
_SEVERAL = 2
_SLACK_NS = HOUR_NS


def tasks_of(found: Found, used: pl.DataFrame) -> frozenset[str]:
    """Return the tasks that a candidate is about; *used*: as `Inputs.used`."""
    s = found.series.subject
    if s.type == "task":
        return frozenset([s.name])
    if s.type == "operation":
        return frozenset([s.task_id] if s.task_id else [])
    column = {"queue": "queue", "service": "called_service"}.get(s.type)
    if column is None:
        return frozenset()
    of_project = pl.col("platform_project").eq_missing(pl.lit(s.platform_project, pl.String))
    return frozenset(used.filter(pl.col(column) == s.name, of_project)["task_id"].to_list())


def fold(found: Sequence[Found], used: pl.DataFrame) -> list[Found]:
    """Return those of *found* that stand for themselves, the others in their `together`."""
    tasks = {id(f): tasks_of(f, used) for f in found}
    waiting = sorted(
        found, key=lambda f: (_rank(f, found, tasks), -(f.excess or 0.0), f.from_ns, f.series.subject.name)
    )
    heads: list[Found] = []
    taken: set[int] = set()
    for head in waiting:
        if id(head) in taken:
            continue
        together = [f for f in waiting if id(f) not in taken and f is not head and _explains(head, f, tasks)]
        taken |= {id(head), *map(id, together)}
        heads.append(replace(head, together=tuple(together)))
    return heads


def _rank(f: Found, found: Sequence[Found], tasks: dict[int, frozenset[str]]) -> int:
    """Return its rank among causes. A service comes first only where several of its callers are affected."""
    if KINDS[f.kind].part is Part.CALL:
        affected = {
            g.series.subject.name
            for g in found
            if KINDS[g.kind].part is Part.TASK
            and tasks[id(g)] <= tasks[id(f)]
            and g.series.subject.platform_project == f.series.subject.platform_project
            and overlap(f, g)
        }
        if len(affected) < _SEVERAL:
            return LAST
    return KINDS[f.kind].rank


def _explains(head: Found, other: Found, tasks: dict[int, frozenset[str]]) -> bool:
    if not {other.kind, KINDS[other.kind].part} & set(KINDS[head.kind].explains):
        return False
    if any(getattr(head.series.subject, c) != getattr(other.series.subject, c) for c in WHOSE):
        return False
    both = tasks[id(head)] & tasks[id(other)]
    if not both and other.series.subject != head.series.subject:
        return False
    # A queue or service that many tasks use is explained only by what most of them share.
    is_shared = other.series.subject.type in ("queue", "service") and head.series.subject.type == "task"
    if is_shared and len(tasks[id(other)]) > 2 * max(len(both), 1):
        return False
    return overlap(head, other) and _same_way(head, other)


def overlap(head: Found, other: Found) -> bool:
    """Tell whether most of *other* lies within *head* and the hour around it, or the other way round."""
    low, high = max(head.from_ns - _SLACK_NS, other.from_ns), min(head.to_ns + _SLACK_NS, other.to_ns)
    shorter = min(head.to_ns - head.from_ns, other.to_ns - other.from_ns)
    return high > low and high - low >= _LEAST_OVERLAP * shorter


def _same_way(head: Found, other: Found) -> bool:
    """Tell whether both got worse, or both better."""
    return is_worse(head) == is_worse(other)


def is_worse(found: Found) -> bool:
    """Tell whether somebody would want it back as it was: less failure and shorter durations are no loss."""
    return KINDS[found.kind].is_loss or found.direction != "down"
