"""What a report is made from, per series and hour: read from the hourly tables, and from run tables where they lack it.

Live runs alone, but for the question whether anybody sent anything at all. Series are named by `KEY` columns; counts
are n trials and x hits. Decides nothing about a number. Every query is bounded by the history and the period.
"""

# ruff: noqa: S608 -- queries are put together from names of ours; values are parameters

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import polars as pl

from collector.model.report import Totals
from collector.model.units import HOUR_NS
from collector.store.anomaly_kinds import IN, SOURCES
from collector.store.handle import Handle

KEY = ["kind", "type", "name", "task_id", "environment", "platform_project", "detail"]
"""Which series: kind of anomaly it is tested for, type and name of its subject, …; `detail`: code of a convention."""
_SENDER_NS = 8 * 24 * HOUR_NS
_OFTEN = 24
"""Arrivals a day beyond which a task is looked at as scheduled only where its hours are alike."""


@dataclass(frozen=True, slots=True)
class Range:
    """Which project, and from when to when; `period_ns` is where history ends and the period begins."""

    project: str
    from_ns: int
    period_ns: int
    to_ns: int

    def parameters(self, *names: str) -> dict[str, str | int]:
        """Return the values of the parameters *names*."""
        values: dict[str, str | int] = {
            "project": self.project,
            "from": self.from_ns,
            "period": self.period_ns,
            "to": self.to_ns,
        }
        return {name: values[name] for name in names}


def activity(h: Handle, r: Range) -> pl.DataFrame:
    """Return `hour_ns`, `n`: how much telemetry of any run there is of each hour that has some, test runs left out."""
    return h.frame(
        f"""
        SELECT hour_ns, sum(n)::BIGINT AS n FROM (
            SELECT hour_ns, runs AS n FROM flow_hours WHERE {IN}
            UNION ALL SELECT hour_ns, attempts - lost_attempts FROM attempt_hours WHERE {IN}
            UNION ALL SELECT hour_ns, n FROM phase_hours WHERE {IN}
        ) GROUP BY hour_ns ORDER BY hour_ns
        """,
        r.parameters("project", "from", "to"),
    )


def totals(h: Handle, project: str, from_ns: int, to_ns: int, *, before: bool) -> Totals:
    """Return the runs of [*from_ns*, *to_ns*); beside them those of the same stretch before it if *before*.

    A run counts where it starts (else was queued, else first seen), its end and outcome where it ended.
    """
    sql = """
        SELECT
            count(*) FILTER (at_ns >= $from AND at_ns < $to)::BIGINT AS runs,
            count(DISTINCT task_id) FILTER (at_ns >= $from AND at_ns < $to)::BIGINT AS tasks,
            count(*) FILTER (over AND end_ns >= $from AND end_ns < $to)::BIGINT AS ended,
            count(*) FILTER (failed AND end_ns >= $from AND end_ns < $to)::BIGINT AS failed,
            count(*) FILTER (over AND attempt_count > 1 AND end_ns >= $from AND end_ns < $to)::BIGINT AS retried
        FROM (
            SELECT task_id, at_ns, attempt_count, coalesce(ended_ns, last_seen_ns) AS end_ns,
                   is_over(status) AS over, is_failed(status) AS failed
            FROM runs WHERE project = $project AND is_live(environment, is_test, is_replay)
              AND held_until_ns >= $from AND held_from_ns < $to
        )
    """
    now = h.frame(sql, {"project": project, "from": from_ns, "to": to_ns}).row(0, named=True)
    then = dict.fromkeys(("runs", "ended", "failed", "retried"))
    if before:
        then = h.frame(sql, {"project": project, "from": 2 * from_ns - to_ns, "to": from_ns}).row(0, named=True)
    names = ("runs", "ended", "failed", "retried")
    return Totals(**now, **{f"before_{name}": then[name] for name in names})


def counts(h: Handle, r: Range) -> pl.DataFrame:
    """Return `KEY`, `hour_ns`, `n`, `x` of all series of shares, and of arrivals (kind `volume`, n = x)."""
    return pl.concat([_whole(rows) for rows in _hourly(h, r, histograms=False)])


def histograms(h: Handle, r: Range) -> pl.DataFrame:
    """Return `KEY`, `hour_ns`, `ix`, `n`: durations of attempts that succeeded, waits in queues, calls, steps."""
    n = (pl.col("hour_ns").cast(pl.Int64), pl.col("ix").cast(pl.Int32), pl.col("n").cast(pl.Int64))
    return pl.concat([rows.select(_key(), *n) for rows in _hourly(h, r, histograms=True)])


def _key() -> pl.Expr:
    """Return `KEY`, each name once however many rows have it: a month has a million."""
    return pl.col(KEY).cast(pl.String).cast(pl.Categorical)


def _hourly(h: Handle, r: Range, *, histograms: bool) -> Iterator[pl.DataFrame]:
    """Yield the rows of each kind."""
    several = _several(h, r)
    for kind, source in SOURCES.items():
        if source.series is not None and (source.series.hits is None) == histograms:
            yield h.frame(source.series.sql(kind), r.parameters("project", "from", "to"), several=several)


def _several(h: Handle, r: Range) -> pl.DataFrame:
    """Return the tasks with more than one operation; of the others an operation is the task, and told once."""
    return h.frame(
        f"SELECT task_id, platform_project FROM phase_hours WHERE {IN} AND phase = 'started' AND task_id IS NOT NULL "
        "GROUP BY ALL HAVING count(DISTINCT operation) > 1",
        r.parameters("project", "from", "to"),
    )


def _whole(rows: pl.DataFrame) -> pl.DataFrame:
    return rows.select(
        _key(), pl.col("hour_ns").cast(pl.Int64), pl.col("n").cast(pl.Int64), pl.col("x").fill_null(0).cast(pl.Int64)
    )


def violations(h: Handle, r: Range) -> pl.DataFrame:
    """Return `KEY`, `hour_ns`, `n` runs of a task, `x` of them that break a convention (`detail`: its code).

    Rows begin with the first run that was judged at all. Notes (severity info) are left out.
    """
    rows = h.frame(
        f"""
        WITH judged AS (SELECT min(first_seen_ns) // {HOUR_NS} * {HOUR_NS} AS since FROM run_findings
                        WHERE project = $project AND run_key IS NOT NULL),
        told AS (
            SELECT r.task_id, r.environment, r.platform_project, f.code,
                   r.started_ns // {HOUR_NS} * {HOUR_NS} AS hour_ns, count(DISTINCT r.run_key) AS x
            FROM run_findings f JOIN runs r ON r.project = f.project AND r.run_key = f.run_key
            WHERE f.project = $project AND f.severity <> 'info' AND NOT f.window
              AND is_live(environment, is_test, is_replay)
              AND r.started_ns >= $from AND r.started_ns < $to AND r.task_id IS NOT NULL
            GROUP BY ALL
        ), pairs AS (SELECT DISTINCT task_id, environment, platform_project, code FROM told),
        runs_ AS (
            SELECT task_id, environment, platform_project, hour_ns, sum(runs) AS n FROM run_cohorts, judged
            WHERE {IN} AND population = 'live' AND hour_ns >= since GROUP BY ALL
        )
        SELECT 'findings' AS kind, 'task' AS type, p.task_id AS name, NULL AS task_id, p.environment,
               p.platform_project, p.code AS detail, n.hour_ns, n.n, least(coalesce(t.x, 0), n.n) AS x
        FROM pairs p JOIN runs_ n ON n.task_id = p.task_id AND n.environment IS NOT DISTINCT FROM p.environment
          AND n.platform_project IS NOT DISTINCT FROM p.platform_project
        LEFT JOIN told t ON t.task_id = p.task_id AND t.environment IS NOT DISTINCT FROM p.environment
          AND t.platform_project IS NOT DISTINCT FROM p.platform_project
          AND t.code = p.code AND t.hour_ns = n.hour_ns
        """,
        r.parameters("project", "from", "to"),
    )
    return _whole(rows)


def full_queues(h: Handle, r: Range) -> pl.DataFrame:
    """Return `KEY`, `hour_ns`, `value`: share of each hour in which a queue was full while runs waited.

    Known for queues with a limit (stated, or inferred with some confidence) where telemetry tells who waits, or may:
    what is unusual is told against other hours, in which as many were put off. Hours in which nothing was held are 0
    from the first one with a slot held on.
    """
    return h.frame(
        f"""
        WITH full_ AS (
            SELECT queue, environment, platform_project, bucket_ns // {HOUR_NS} * {HOUR_NS} AS hour_ns,
                   sum(ns) FILTER (level >= "limit" AND (is_queued OR may_wait)) AS throttled,
                   sum(ns) FILTER (level >= "limit" AND is_queued IS NULL AND NOT may_wait) AS untold
            FROM queue_levels_limited
            WHERE project = $project AND bucket_ns >= $from AND bucket_ns < $to AND queue IS NOT NULL AND "limit" > 0
            GROUP BY ALL
        ), known AS (SELECT queue, environment, platform_project, min(hour_ns) AS since FROM full_ GROUP BY ALL),
        -- Time before the first telemetry is not time in which nobody waited.
        told AS (SELECT coalesce(levels_since($project), 0) AS ns),
        grid AS (
            SELECT queue, environment, platform_project, unnest(range(since, $to, {HOUR_NS})) AS hour_ns FROM known)
        SELECT 'saturation' AS kind, 'queue' AS type, g.queue AS name, NULL::VARCHAR AS task_id, g.environment,
               g.platform_project, '' AS detail, g.hour_ns,
               coalesce(f.throttled, 0) / least({HOUR_NS}, g.hour_ns + {HOUR_NS} - t.ns)::DOUBLE AS value
        FROM grid g CROSS JOIN told t LEFT JOIN full_ f ON f.queue = g.queue AND f.hour_ns = g.hour_ns
          AND f.environment IS NOT DISTINCT FROM g.environment
          AND f.platform_project IS NOT DISTINCT FROM g.platform_project
        WHERE coalesce(f.untold, 0) = 0 AND g.hour_ns + {HOUR_NS} > t.ns
        """,
        r.parameters("project", "from", "to"),
    )


def senders(h: Handle, r: Range) -> pl.DataFrame:
    """Return `type` sender, `name`, `environment`, `platform_project`, `hour_ns`, `n`: records per service and hour.

    Of the last 8 days. A service is of no environment and platform project.
    """
    since = max(r.from_ns, r.period_ns - _SENDER_NS)
    return h.frame(
        f"""
        WITH records AS (
            SELECT resource_id, epoch_us(time) // 3600000000 * {HOUR_NS} AS hour_ns, count(*) AS n FROM (
                SELECT resource_id, time FROM logs WHERE project = $project
                  AND time >= make_timestamp($since // 1000) AND time < make_timestamp($to // 1000)
                UNION ALL
                SELECT resource_id, time FROM spans WHERE project = $project
                  AND time >= make_timestamp($since // 1000) AND time < make_timestamp($to // 1000)
            ) GROUP BY ALL
        )
        SELECT 'sender' AS type, s.service_name AS name, NULL::VARCHAR AS environment,
               NULL::VARCHAR AS platform_project, hour_ns, sum(n)::BIGINT AS n
        FROM records JOIN resources s ON s.resource_id = records.resource_id AND s.project = $project
        WHERE s.service_name IS NOT NULL GROUP BY ALL
        """,
        {**r.parameters("project", "to"), "since": since},
    )


def regular(h: Handle, r: Range) -> pl.DataFrame:
    """Return `task_id`, `environment`, `platform_project`, `at_ns`, `run_key`: arrivals of tasks that may be scheduled.

    Nobody's children. That are tasks with at most 24 arrivals on a day, or with about as many in most hours in which
    there are any: the first and the last one may be cut short, as another zone has it.
    """
    return h.frame(
        f"""
        WITH hours AS (
            SELECT task_id, environment, platform_project, hour_ns, sum(runs) AS n FROM flow_hours
            WHERE {IN} AND population = 'live' AND event = 'arrived' AND task_id IS NOT NULL GROUP BY ALL
        ), tasks AS (
            SELECT task_id, environment, platform_project FROM hours GROUP BY ALL
            HAVING sum(n) / greatest(1, (max(hour_ns) - min(hour_ns)) / 86400e9) <= {_OFTEN}
                OR quantile_cont(n, 0.9) <= 1 + 1.05 * quantile_cont(n, 0.6)
        )
        SELECT r.task_id, r.environment, r.platform_project, coalesce(r.queued_ns, r.started_ns) AS at_ns, r.run_key
        FROM runs r JOIN tasks t ON t.task_id = r.task_id AND t.environment IS NOT DISTINCT FROM r.environment
          AND t.platform_project IS NOT DISTINCT FROM r.platform_project
        WHERE r.project = $project AND is_live(r.environment, r.is_test, r.is_replay) AND r.parent_run_id IS NULL
          AND r.batch_id IS NULL AND coalesce(r.queued_ns, r.started_ns) >= $from
          AND coalesce(r.queued_ns, r.started_ns) < $to
        """,
        r.parameters("project", "from", "to"),
    )


_UNGROUPED = """a.project = $project AND is_failed(a.status) AND a.error_group IS NULL
    AND (a.error_type IS NOT NULL OR a.error_message IS NOT NULL)
    AND coalesce(a.ended_ns, a.started_ns) >= $from AND coalesce(a.ended_ns, a.started_ns) < $to"""


def ungrouped(h: Handle, r: Range, characters: int) -> pl.DataFrame:
    """Return `error_type`, `error_message`: errors of rows without a group, which an upgrade has not built again.

    *characters*: of each, how many are looked at.
    """
    return h.frame(
        f"SELECT DISTINCT left(a.error_type, $most) AS error_type, left(a.error_message, $most) AS error_message "
        f"FROM attempts a WHERE {_UNGROUPED}",
        {**r.parameters("project", "from", "to"), "most": characters},
    )


def errors(h: Handle, r: Range, groups: pl.DataFrame, characters: int) -> pl.DataFrame:
    """Return `name` (task), `environment`, `platform_project`, `error`, `before`, `now`, `first_ns`: runs by group.

    *groups*: `ungrouped` of so many *characters*, with their `error_group`.
    """
    return h.frame(
        """
        WITH told AS (
            SELECT r.task_id AS name, r.environment, r.platform_project, r.run_key,
                   coalesce(a.ended_ns, a.started_ns) AS at_ns, coalesce(a.error_group, g.error_group) AS error
            FROM attempts a JOIN runs r ON r.project = a.project AND r.run_key = a.run_key
            LEFT JOIN groups g ON a.error_group IS NULL
              AND g.error_type IS NOT DISTINCT FROM left(a.error_type, $most)
              AND g.error_message IS NOT DISTINCT FROM left(a.error_message, $most)
            WHERE a.project = $project AND is_failed(a.status)
              AND is_live(r.environment, r.is_test, r.is_replay) AND r.task_id IS NOT NULL
              AND coalesce(a.error_group, g.error_group) IS NOT NULL
              AND coalesce(a.ended_ns, a.started_ns) >= $from AND coalesce(a.ended_ns, a.started_ns) < $to
        )
        SELECT name, environment, platform_project, error,
               count(DISTINCT run_key) FILTER (at_ns < $period)::BIGINT AS before,
               count(DISTINCT run_key) FILTER (at_ns >= $period)::BIGINT AS now,
               min(at_ns) FILTER (at_ns >= $period) AS first_ns, max(at_ns) AS last_ns
        FROM told GROUP BY ALL
        """,
        {**r.parameters("project", "from", "to", "period"), "most": characters},
        groups=groups,
    )


def versions(h: Handle, r: Range) -> pl.DataFrame:
    """Return `task_id`, `queue`, `environment`, `platform_project`, `version`, `first_ns`: when each was first seen.

    With the first attempt on it: a run may have begun before it was deployed. A run none of whose attempts tells its
    version counts as a whole.
    """
    return h.frame(
        """
        WITH live AS (SELECT * FROM runs WHERE project = $project AND is_live(environment, is_test, is_replay)
                      AND version IS NOT NULL AND held_until_ns >= $from AND held_from_ns < $to),
        tried AS (
            SELECT r.run_key, r.task_id, r.queue, r.environment, r.platform_project, a.version,
                   coalesce(a.started_ns, r.at_ns) AS at_ns
            FROM attempts a JOIN live r USING (project, run_key, built_seq) WHERE a.version IS NOT NULL
        )
        SELECT task_id, queue, environment, platform_project, version, min(at_ns) AS first_ns FROM (
            SELECT * FROM tried
            UNION ALL
            SELECT run_key, task_id, queue, environment, platform_project, version, at_ns FROM live
            ANTI JOIN tried USING (run_key)
        ) WHERE at_ns >= $from AND at_ns < $to GROUP BY ALL
        """,
        r.parameters("project", "from", "to"),
    )


def limit_steps(h: Handle, r: Range) -> pl.DataFrame:
    """Return `queue`, `environment`, `platform_project`, `from_ns`, `before`, `limit`: stated changes of limits."""
    return h.frame(
        """
        SELECT * FROM (
            SELECT queue, environment, platform_project, from_ns, "limit",
                   lag("limit") OVER (PARTITION BY queue, environment, platform_project ORDER BY from_ns) AS before
            FROM queue_limits WHERE project = $project AND source = 'settings'
        ) WHERE before IS NOT NULL AND from_ns < $to AND from_ns >= $from
        """,
        r.parameters("project", "from", "to"),
    )


def used(h: Handle, r: Range) -> pl.DataFrame:
    """Return `task_id`, `environment`, `platform_project`, `queue`, `called_service`: what each task used."""
    return h.frame(
        f"SELECT DISTINCT task_id, environment, platform_project, queue, called_service FROM phase_hours WHERE {IN} "
        "AND task_id IS NOT NULL UNION "
        f"SELECT DISTINCT task_id, environment, platform_project, queue, NULL FROM flow_hours WHERE {IN} "
        "AND task_id IS NOT NULL",
        r.parameters("project", "from", "to"),
    )
