"""Bounded reads of the statistics tables and of the runs behind them: what the numbers of the API are made from."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import Any

import polars as pl
import pyarrow as pa

from collector.model.tables import STATISTICS
from collector.model.units import HOUR_NS
from collector.store.handle import Handle
from collector.store.held import LEVELS_AS_OF
from collector.store.places import clusters, within

_RUN = ("project", "run_key")
_COLUMNS = {
    "runs": (
        *_RUN,
        "run_id",
        "task_id",
        "queue",
        "environment",
        "platform_project",
        "version",
        "is_test",
        "is_replay",
        "status",
        "outcome",
        "queued_ns",
        "queued_source",
        "queue_wait_ns",
        "queue_wait_source",
        "started_ns",
        "started_source",
        "ended_ns",
        "ended_source",
        "active_ns",
        "wait_ns",
        "backoff_ns",
        "end_to_end_ns",
        "last_seen_ns",
        "due_ns",
        "delayed_until_ns",
        "log_count",
        "error_type",
        "error_message",
        "error_group",
    ),
    "attempts": (
        *_RUN,
        "number",
        "version",
        "status",
        "outcome",
        "dequeued_ns",
        "queue_wait_ns",
        "started_ns",
        "started_source",
        "ended_ns",
        "ended_source",
        "wall_ns",
        "wait_ns",
        "idle_ns",
        "cost_cents",
        "error_type",
        "error_group",
    ),
    "phases": (*_RUN, "attempt", "started_ns", "ended_ns"),
}
"""What `analyse.durations`, `analyse.stuck` and `analyse.trees` look at."""
_OF_COHORTS = {
    "runs": ("parent_run_id", "root_run_id", "status_source", "attempt_count_source", "cost_cents", "at_ns"),
    "attempts": ("active_ns", "status_source"),
    "phases": ("operation", "phase", "called_service", "duration_ns", "outcome"),
}
"""What the hourly counts are made of beside that (`analyse.cohorts`, `analyse.calls`)."""


@dataclass(frozen=True, slots=True)
class Timing:
    """Rows of some runs, as much of them as tells how long they take."""

    runs: pl.DataFrame
    attempts: pl.DataFrame
    phases: pl.DataFrame


COUNTED = "counted"
"""Population of a choice that does not say which: the one that counts, which `counted` tells."""


_STANDING = ("status", "outcome", "status_source", "attempt_count_source")
_OF_QUEUE = ("queue", "environment", "platform_project")
_CHOSEN = {"task_id": "task", **{c: c for c in (*_OF_QUEUE, "version", "population")}}
"""Column → what of a choice it must be."""
_MAY_BE_NONE = ("environment", "platform_project")
"""Of these an empty text asks for the runs that state none."""


@dataclass(frozen=True, slots=True)
class Choice:
    """Which runs: a time range [from_ns, to_ns) and what they must have; None means any, see `_MAY_BE_NONE`."""

    project: str
    from_ns: int
    to_ns: int
    task: str | None = None
    queue: str | None = None
    environment: str | None = None
    platform_project: str | None = None
    version: str | None = None
    population: str | None = "live"

    def hours(self) -> Choice:
        """Return the choice with its range widened to whole hours."""
        first = self.from_ns // HOUR_NS * HOUR_NS
        return replace(self, from_ns=first, to_ns=-(-self.to_ns // HOUR_NS) * HOUR_NS)

    def where(self, columns: list[str]) -> str:
        """Return SQL conditions on those of `_CHOSEN` that are *columns*."""
        assert self.population != COUNTED or "population" not in columns, "not told which population counts"
        chosen = {c: p for c, p in _CHOSEN.items() if c in columns and getattr(self, p) is not None}
        each = (f"is_of({c}, ${p})" if c in _MAY_BE_NONE else f"{c} = ${p}" for c, p in chosen.items())
        return " AND ".join(["project = $project", *each])

    def parameters(self, columns: list[str]) -> dict[str, Any]:
        """Return the values of what `where` names, and of the range."""
        chosen = {p: v for c, p in _CHOSEN.items() if c in columns and (v := getattr(self, p)) is not None}
        return {"project": self.project, "from_ns": self.from_ns, "to_ns": self.to_ns, **chosen}


def counted(h: Handle, choice: Choice) -> Choice:
    """Return *choice* with the population that counts where it says none, the one that pages count."""
    if choice.population != COUNTED:
        return choice
    asked = {"project": choice.project, "environment": choice.environment}
    return replace(choice, population=h.value("SELECT counted_population($project, $environment)", asked))


def summed(
    h: Handle,
    table: str,
    choice: Choice,
    keys: list[str],
    sums: list[str],
    *,
    also: str = "true",
    ripe_ns: int = 0,
    of_runs: bool = False,
) -> pl.DataFrame:
    """Return the rows of an hourly *table* in *choice*'s hours, added up by *keys*; sums are whole numbers.

    Hours that end at *ripe_ns* or before count as one, hour 0. *of_runs*: the version of attempts is that of their run.
    """
    wide = choice.hours()
    columns = [*_CHOSEN]
    hour = f"CASE WHEN hour_ns > {ripe_ns - HOUR_NS} THEN hour_ns ELSE 0 END AS hour_ns" if ripe_ns else "hour_ns"
    named = ", ".join(hour if k == "hour_ns" else f'"{k}"' for k in keys)
    added = ", ".join(f'sum("{s}") AS "{s}"' for s in sums)
    source = f"(SELECT * REPLACE (run_version AS version) FROM {table})" if of_runs else table  # noqa: S608 -- our own names
    rows = h.frame(
        f"SELECT {named}, {added} FROM {source} "  # noqa: S608 -- ditto; values are parameters
        f"WHERE {wide.where(columns)} AND hour_ns >= $from_ns AND hour_ns < $to_ns AND {also} GROUP BY ALL",
        wide.parameters(columns),
    )
    return whole(rows, table)


def whole(rows: pl.DataFrame, table: str) -> pl.DataFrame:
    """Return *rows* with sums of *table* as whole numbers; HUGEINT leaves the store as decimals."""
    wide = [f.name for f in STATISTICS[table] if pa.types.is_decimal(f.type) and f.name in rows.columns]
    counts = [name for name, kind in rows.schema.items() if kind.is_decimal() and name not in wide]
    return rows.with_columns(pl.col(wide).cast(pl.Int128), pl.col(counts).cast(pl.Int64))


def levels(h: Handle, choice: Choice, *, buckets: bool) -> pl.DataFrame:
    """Return time per level in *choice*'s range, of each bucket or of all together.

    Limits are inferred where none is stated. Columns as in `queue_levels`; without *buckets* there is no `bucket_ns`.
    """
    columns = [*_OF_QUEUE]
    keys = (
        f'project, {", ".join(_OF_QUEUE)}, {"bucket_ns, " if buckets else ""}level, sure, most, "limit", limit_source, '
        "is_queued, may_wait"
    )
    return h.frame(
        f"SELECT {keys}, sum(ns)::BIGINT AS ns, max(peak) AS peak FROM queue_levels_limited "  # noqa: S608 -- ditto
        f"WHERE {choice.where(columns)} AND bucket_ns >= $from_ns AND bucket_ns < $to_ns GROUP BY ALL",
        choice.parameters(columns),
    )


def waiting(h: Handle, past: Choice, *, as_of_ns: int) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Return runs that may wait for their first slot, and how far their queues are: what `analyse.waiting` enters.

    Of runs: project, what tells queues apart, run_key, run_id, task_id, queued_ns, queued_source, status, is_assumed.
    One that left no record, only its parent's, which names its task, is in the queue that all runs of the task in
    *past* were in (`is_assumed`); where they were in several nobody can tell, and it is left out. One whose parent
    waited for it and saw its end does not wait. Of queues: reached_ns, longest_ns, by what started in *past*.
    """
    asked = {"project": past.project, "from_ns": past.hours().from_ns, "to_ns": past.to_ns, "now": as_of_ns}
    runs = h.frame(
        "SELECT r.project, coalesce(r.queue, t.queue) AS queue, r.environment, r.platform_project, r.run_key, "
        "r.run_id, r.task_id, r.queued_ns, r.queued_source, r.status, r.queue IS NULL AS is_assumed FROM runs r "
        "LEFT JOIN (SELECT task_id, environment, platform_project, min(queue) AS queue "
        "FROM flow_hours WHERE project = $project AND event = 'started' AND hour_ns >= $from_ns AND hour_ns < $to_ns "
        "AND queue IS NOT NULL GROUP BY ALL HAVING min(queue) = max(queue)) t ON t.task_id = r.task_id "
        "AND t.environment IS NOT DISTINCT FROM r.environment "
        "AND t.platform_project IS NOT DISTINCT FROM r.platform_project "
        "WHERE r.project = $project AND (r.status = 'queued' AND r.held_until_ns >= $now OR r.status = 'unknown' "
        "AND r.coverage = 'link' AND r.queued_ns >= $from_ns AND r.queued_ns < $now AND r.set_aside IS NULL "
        "AND (r.queued_source = 'inferred' OR r.last_seen_ns = r.queued_ns))",
        asked,
    ).filter(pl.col("queue").is_not_null())
    runs = runs.filter(*of_queue(past))
    queues = h.frame(
        "SELECT r.project, r.queue, r.environment, r.platform_project, max(r.queued_ns) AS reached_ns, "
        "max(r.queue_wait_ns) AS longest_ns FROM runs r JOIN named n ON r.queue = n.queue "
        "AND r.environment IS NOT DISTINCT FROM n.environment "
        "AND r.platform_project IS NOT DISTINCT FROM n.platform_project "
        "WHERE r.project = $project AND r.started_ns >= $from_ns AND r.started_ns <= $now GROUP BY ALL",
        {name: asked[name] for name in ("project", "from_ns", "now")},
        named=runs.select(_OF_QUEUE).unique(),
    )
    return runs, queues


def of_queue(choice: Choice) -> list[pl.Expr]:
    """Return the conditions of *choice* on what queues are told apart by."""
    return [pl.col(c).fill_null("") == wanted for c in _OF_QUEUE if (wanted := getattr(choice, c)) is not None]


def taken_up(h: Handle, since: pl.DataFrame, *, as_of_ns: int) -> pl.DataFrame:
    """Return *since* (columns of a queue, since_ns) with `started`: how many of its runs started since then.

    Starts after *as_of_ns* do not count: it lies in the past, or their clock is ahead.
    """
    of = [c for c in since.columns if c != "since_ns"]
    same = " AND ".join(f"r.{c} IS NOT DISTINCT FROM s.{c}" for c in of)
    return h.frame(
        f"SELECT s.*, count(r.started_ns) AS started FROM since s LEFT JOIN (SELECT {', '.join(of)}, started_ns "  # noqa: S608 -- names of ours
        "FROM runs WHERE held_until_ns >= $first AND started_ns >= $first AND started_ns <= $now) r "
        f"ON {same} AND r.started_ns >= s.since_ns GROUP BY ALL",
        {"first": since["since_ns"].min() or 0, "now": as_of_ns},
        since=since,
    )


def levels_known(h: Handle) -> int:
    """Return up to when levels are known, ns."""
    return int(h.value("SELECT seq FROM watermark WHERE name = $name", {"name": LEVELS_AS_OF}) or 0)


def levels_since(h: Handle, project: str) -> int:
    """Return since when levels of any queue are known, ns: before, telemetry did not arrive, or is kept no more."""
    return int(h.value("SELECT levels_since($project)", {"project": project}) or 0)


def slot_hours(h: Handle, choice: Choice) -> pl.DataFrame:
    """Return the rows of `slot_hours` in *choice*'s hours."""
    wide = choice.hours()
    columns = ["task_id", *_OF_QUEUE]
    rows = h.frame(
        f"SELECT * FROM slot_hours WHERE {wide.where(columns)} AND hour_ns >= $from_ns AND hour_ns < $to_ns",  # noqa: S608 -- ditto
        wide.parameters(columns),
    )
    return whole(rows, "slot_hours")


def limits(h: Handle) -> pl.DataFrame:
    """Return all limits of queues, stated and inferred."""
    return h.frame("SELECT * FROM queue_limits")


_TRIED = """(version = $version OR (project, run_key) IN
    (SELECT (project, run_key) FROM attempts WHERE project = $project AND version = $version))"""
"""A run that is of a version, or one of whose attempts is."""


def _chosen(choice: Choice) -> tuple[str, dict[str, Any]]:
    """Return SQL conditions on runs of which something is in *choice*, an attempt if not the run, and parameters."""
    columns = ["task_id", *_OF_QUEUE]
    if choice.version is None:
        return choice.where(columns), choice.parameters(columns)
    return f"{choice.where(columns)} AND {_TRIED}", choice.parameters([*columns, "version"])


def started(h: Handle, choice: Choice, *, most: int, also: str = "true", phases: bool = False) -> Timing:
    """Return the rows of the runs that start (else were queued or first seen) in *choice*'s range, the newest *most*.

    Of a version also those that only an attempt of theirs is of.
    """
    where, parameters = _chosen(choice)
    return _rows(
        h,
        f"{where} AND at_ns >= $from_ns AND at_ns < $to_ns AND {also} ORDER BY at_ns DESC, run_key LIMIT $most",
        {**parameters, "most": most},
        phases=phases,
    )


_TOUCHING = "held_from_ns < $to_ns AND held_until_ns >= $from_ns"


def count_touching(h: Handle, choice: Choice, *, most: int) -> int:
    """Return of how many runs, of any population, something may lie in *choice*'s range; beyond *most* no more."""
    where, parameters = _chosen(choice)
    return int(
        h.value(
            f"SELECT count(*) FROM (SELECT 1 FROM runs WHERE {where} AND {_TOUCHING} LIMIT $most + 1)",  # noqa: S608 -- ditto
            {**parameters, "most": most},
        )
    )


def touching(h: Handle, choice: Choice, *, phases: bool) -> Timing:
    """Return the rows of the runs that `count_touching` counts, with all that hourly counts are made of."""
    where, parameters = _chosen(choice)
    return _rows(h, f"{where} AND {_TOUCHING}", parameters, phases=phases, more=_OF_COHORTS)


def unstarted(h: Handle, choice: Choice) -> pl.DataFrame:
    """Return the runs in *choice*'s range that never started, by when they were queued or first seen: `at_ns`, ….

    They are few, and in no hourly table but that of flow. With the columns that tell cohort and population.
    """
    columns = ["task_id", *_OF_QUEUE, "version"]
    return h.frame(
        f"SELECT project, at_ns, {', '.join(columns)}, is_test, is_replay, {', '.join(_STANDING)} FROM runs "  # noqa: S608 -- ditto
        f"WHERE {choice.where(columns)} AND at_ns >= $from_ns AND at_ns < $to_ns AND started_ns IS NULL",
        choice.parameters(columns),
    )


def related(h: Handle, choice: Choice, *, most: int) -> Timing:
    """Return the rows of the runs in *choice*'s range that have a parent or a child there, the newest *most* of them.

    Of any task: that of *choice* is the root's.
    """
    any_task = replace(choice, task=None)
    columns = ["task_id", *_OF_QUEUE, "version"]
    inside = f"{any_task.where(columns)} AND at_ns >= $from_ns AND at_ns < $to_ns"
    return _rows(
        h,
        f"{inside} AND (parent_run_id IS NOT NULL OR run_id IN (SELECT parent_run_id FROM runs WHERE {inside} "  # noqa: S608 -- ditto
        "AND parent_run_id IS NOT NULL)) ORDER BY at_ns DESC, run_key LIMIT $most",
        {**any_task.parameters(columns), "most": most},
        more={"runs": ("parent_run_id", "root_run_id", "status_source", "attempt_count_source", "cost_cents")},
    )


def open_runs(h: Handle, choice: Choice, *, lost_since_ns: int) -> Timing:
    """Return the rows of runs that have not ended, and of those that fell silent after *lost_since_ns*."""
    columns = ["task_id", *_OF_QUEUE, "version"]
    parameters = {k: v for k, v in choice.parameters(columns).items() if k not in ("from_ns", "to_ns")}
    return _rows(
        h,
        f"{choice.where(columns)} AND held_until_ns >= $since "
        "AND (due_ns IS NOT NULL OR (status = 'unknown' AND last_seen_ns >= $since))",
        {**parameters, "since": lost_since_ns},
    )


def _rows(
    h: Handle,
    where: str,
    params: dict[str, Any],
    *,
    phases: bool = False,
    more: Mapping[str, tuple[str, ...]] = MappingProxyType({}),
) -> Timing:
    columns = {name: ", ".join((*own, *more.get(name, ()))) for name, own in _COLUMNS.items()}
    runs = h.frame(f"SELECT {columns['runs']}, built_seq FROM runs WHERE {where}", params)  # noqa: S608 -- ditto
    built = within("t.built_seq", clusters(runs, "built_seq", "built_seq"))
    named = runs.select(_RUN)
    read = {
        name: f"SELECT {columns[name]} FROM {name} t SEMI JOIN named USING (project, run_key) WHERE {built}"  # noqa: S608 -- ditto
        for name in ("attempts", "phases")
    }
    if not phases:
        read["phases"] += " AND false"
    return Timing(runs, **{name: h.frame(sql, named=named) for name, sql in read.items()})
