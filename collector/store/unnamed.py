"""Runs of which no record names a queue, because they left none: only what triggered them is known."""

from __future__ import annotations

from dataclasses import replace

import polars as pl

from collector.store.handle import Handle
from collector.store.statistics import Choice

_COHORT = ("task_id", "environment", "platform_project")
_READ = (
    "project",
    *_COHORT,
    "version",
    "is_test",
    "is_replay",
    "status",
    "outcome",
    "status_source",
    "attempt_count_source",
    "queued_ns",
    "queued_source",
    "started_ns",
    "started_source",
    "ended_ns",
    "ended_source",
    "last_seen_ns",
    "at_ns",
)


def runs(h: Handle, choice: Choice, *, since_ns: int) -> pl.DataFrame:
    """Return the runs that touch *choice*'s range, never started and name no queue, a row for each that may be theirs.

    `queue`: one in which runs of the task started since *since_ns*; `is_only`: there was no other, so it is assumed.
    """
    of = replace(choice, queue=None)
    columns = [*_COHORT, "version"]
    return h.frame(
        f"SELECT {', '.join(f'r.{c}' for c in _READ)}, t.queue, t.is_only FROM (SELECT * FROM runs "  # noqa: S608 -- names of ours
        f"WHERE {of.where(columns)} AND queue IS NULL AND started_ns IS NULL "
        "AND held_from_ns < $to_ns AND held_until_ns >= $from_ns) r "
        f"JOIN (SELECT {', '.join(_COHORT)}, queue, count(*) OVER (PARTITION BY {', '.join(_COHORT)}) = 1 AS is_only "
        "FROM (SELECT DISTINCT task_id, environment, platform_project, queue FROM flow_hours WHERE project = $project "
        "AND event = 'started' AND hour_ns >= $since AND hour_ns < $to_ns AND queue IS NOT NULL)) t "
        "ON r.task_id = t.task_id AND r.environment IS NOT DISTINCT FROM t.environment "
        "AND r.platform_project IS NOT DISTINCT FROM t.platform_project",
        {**of.parameters(columns), "since": since_ns},
    )
