"""What a report is made from, read from the hourly tables and, where one run matters, from the run tables.

Live runs alone, but for the question whether anybody sent anything at all. Decides nothing about a number.
"""

from __future__ import annotations

import polars as pl

from collector.model.report import Totals
from collector.store.database import Handle

LIVE = (
    "NOT coalesce(is_test, false) AND NOT coalesce(is_replay, false) "
    "AND coalesce(lower(environment), '') NOT IN ('development', 'dev', 'local')"
)
"""Condition on rows of `runs`: what `analyse.frames.population` calls live."""
_OVER = "status IN ('completed', 'failed', 'canceled', 'timed_out', 'crashed', 'expired')"
_FAILED = "status IN ('failed', 'timed_out', 'crashed')"


def activity(h: Handle, project: str, from_ns: int, to_ns: int) -> pl.DataFrame:
    """Return `hour_ns`, `n`: how much telemetry of any run there is of each hour that has some, test runs left out."""
    return h.frame(
        """
        SELECT hour_ns, sum(n)::BIGINT AS n FROM (
            SELECT hour_ns, runs AS n FROM flow_hours WHERE project = $project AND hour_ns >= $from AND hour_ns < $to
            UNION ALL
            SELECT hour_ns, attempts FROM attempt_hours WHERE project = $project AND hour_ns >= $from AND hour_ns < $to
            UNION ALL
            SELECT hour_ns, n FROM phase_hours WHERE project = $project AND hour_ns >= $from AND hour_ns < $to
        ) GROUP BY hour_ns ORDER BY hour_ns
        """,
        {"project": project, "from": from_ns, "to": to_ns},
    )


def totals(h: Handle, project: str, from_ns: int, to_ns: int, *, before: bool) -> Totals:
    """Return the runs of [*from_ns*, *to_ns*); beside them those of the same stretch before it if *before*.

    A run counts where it starts (else was queued, else first seen), its end and outcome where it ended.
    """
    sql = f"""
        SELECT
            count(*) FILTER (at_ns >= $from AND at_ns < $to)::BIGINT AS runs,
            count(DISTINCT task_id) FILTER (at_ns >= $from AND at_ns < $to)::BIGINT AS tasks,
            count(*) FILTER (over AND end_ns >= $from AND end_ns < $to)::BIGINT AS ended,
            count(*) FILTER (failed AND end_ns >= $from AND end_ns < $to)::BIGINT AS failed,
            count(*) FILTER (over AND attempt_count > 1 AND end_ns >= $from AND end_ns < $to)::BIGINT AS retried
        FROM (
            SELECT task_id, at_ns, attempt_count, coalesce(ended_ns, last_seen_ns) AS end_ns,
                   {_OVER} AS over, {_FAILED} AS failed
            FROM runs WHERE project = $project AND {LIVE} AND held_until_ns >= $from AND held_from_ns < $to
        )
    """  # noqa: S608 -- our own conditions
    now = h.frame(sql, {"project": project, "from": from_ns, "to": to_ns}).row(0, named=True)
    then = dict.fromkeys(("runs", "ended", "failed", "retried"))
    if before:
        then = h.frame(sql, {"project": project, "from": 2 * from_ns - to_ns, "to": from_ns}).row(0, named=True)
    names = ("runs", "ended", "failed", "retried")
    return Totals(**now, **{f"before_{name}": then[name] for name in names})
