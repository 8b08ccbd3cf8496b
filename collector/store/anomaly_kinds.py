"""What the store knows of a kind of anomaly: its hourly series, and the runs behind one.

Text of queries alone; `anomaly_series` and `anomaly_runs` ask them.
"""

# ruff: noqa: S608 -- queries are put together from names of ours; values are parameters

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from collector.model.report import Kind

IN = "project = $project AND hour_ns >= $from AND hour_ns < $to"


@dataclass(frozen=True, slots=True, kw_only=True)
class Hourly:
    """Live rows of an hourly table, by subject and hour: trials `n` with hits `x`, or a histogram `n` by `ix`."""

    type: Literal["task", "queue", "service", "operation"]
    """Of the subject."""
    name: str
    """Column of the subject's name."""
    table: str
    where: str
    n: str
    """Column of trials."""
    hits: str | None = None
    """Condition of the trials that are hits; None: a histogram."""
    task_id: str = "NULL"
    detail: str = ""

    def sql(self, kind: Kind) -> str:
        """Return the query of the series of *kind*."""
        value = "ix" if self.hits is None else f"sum({self.n}) FILTER ({self.hits}) AS x"
        return f"""SELECT '{kind}' AS kind, '{self.type}' AS type, {self.name} AS name, {self.task_id} AS task_id,
            environment, platform_project, '{self.detail}' AS detail, hour_ns, sum({self.n}) AS n, {value}
            FROM {self.table} WHERE {IN} AND population = 'live' AND {self.where} GROUP BY ALL"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """How a kind is read."""

    series: Hourly | None = None
    """None where `anomaly_series` has a query for it alone."""
    runs: str
    """`run_key`, `affected` and `version` of its runs, from `live` and the parameters of `anomaly_runs.Asked`."""


_OF_SEVERAL = """phase_hours h SEMI JOIN several s
    ON s.task_id = h.task_id AND s.platform_project IS NOT DISTINCT FROM h.platform_project"""
_BEYOND = "CASE WHEN $is_faster THEN {0} < $threshold ELSE {0} > $threshold END"
_OF_TASK = "r.task_id = $name"
_ENDED = "coalesce(r.ended_ns, r.last_seen_ns)"


def _any(hit: str, version: str = "a.version", number: str = "a.number") -> str:
    """Return `affected` and `version` of runs that are told by their attempts or phases: those that a *hit* is of.

    The version is that of the first attempt with a hit, else of the first that is looked at.
    """
    first = f"arg_min({version}, {number})"
    return (
        f"bool_or({hit}) AS affected, CASE WHEN bool_or({hit}) THEN {first} FILTER ({hit}) ELSE {first} END AS version"
    )


_PHASES = """phases p JOIN live r USING (run_key)
    LEFT JOIN attempts a ON a.project = p.project AND a.run_key = p.run_key AND a.number = p.attempt"""
"""Phases with their runs and attempts."""


def _any_phase(hit: str) -> str:
    """Return `_any` of `_PHASES`; of one whose attempt is unknown the run's version counts."""
    return _any(hit, "CASE WHEN p.attempt IS NULL THEN r.version ELSE a.version END", "coalesce(p.attempt, 0)")


KNOWN = f"""SELECT r.run_key, list_contains($keys, r.run_key) AS affected, r.version FROM live r
    WHERE {_OF_TASK} AND (list_contains($keys, r.run_key) OR (r.at_ns >= $from AND r.at_ns < $to))"""
"""Runs of a task, of which detection knows the affected."""
_WAITED = f"""SELECT r.run_key, {_BEYOND.format("r.queue_wait_ns")} AS affected, r.version
    FROM live r WHERE r.queue = $name AND r.started_ns >= $from AND r.started_ns < $to
    AND r.queue_wait_ns IS NOT NULL"""
SOURCES: dict[Kind, Source] = {
    Kind.FAILURES: Source(
        series=Hourly(
            type="task",
            name="task_id",
            table="flow_hours",
            where="event = 'ended' AND is_decided(outcome) AND task_id IS NOT NULL",
            n="runs",
            hits="is_failed(outcome)",
        ),
        runs=f"""SELECT r.run_key, is_failed(r.status) AS affected, r.version FROM live r WHERE {_OF_TASK}
        AND {_ENDED} >= $from AND {_ENDED} < $to AND is_decided(coalesce(r.outcome, r.status))""",
    ),
    Kind.RETRIES: Source(
        series=Hourly(
            type="task",
            name="task_id",
            table="attempt_hours",
            where="number IS NOT NULL AND task_id IS NOT NULL",
            n="attempts",
            hits="number > 1",
        ),
        runs=f"""SELECT r.run_key, {_any("a.number > 1")} FROM attempts a JOIN live r USING (run_key)
        WHERE a.project = $project AND {_OF_TASK} AND a.started_ns >= $from AND a.started_ns < $to
        AND a.number IS NOT NULL GROUP BY r.run_key""",
    ),
    Kind.DURATION: Source(
        series=Hourly(
            type="task",
            name="task_id",
            table="duration_hours",
            where="measure = 'attempt' AND outcome = 'completed' AND task_id IS NOT NULL",
            n="n",
        ),
        runs=f"""SELECT r.run_key, {_any(_BEYOND.format("a.wall_ns - coalesce(a.idle_ns, 0)"))}
        FROM attempts a JOIN live r USING (run_key) WHERE a.project = $project AND {_OF_TASK}
        AND a.started_ns >= $from AND a.started_ns < $to AND a.status = 'completed' AND a.outcome IS NULL
        AND a.wall_ns IS NOT NULL GROUP BY r.run_key""",
    ),
    Kind.VOLUME: Source(
        series=Hourly(
            type="task",
            name="task_id",
            table="flow_hours",
            where="event = 'arrived' AND task_id IS NOT NULL",
            n="runs",
            hits="true",
        ),
        runs=f"""SELECT r.run_key, true AS affected, r.version FROM live r WHERE {_OF_TASK}
        AND coalesce(r.queued_ns, r.started_ns) >= $from AND coalesce(r.queued_ns, r.started_ns) < $to""",
    ),
    Kind.CALL_FAILURES: Source(
        series=Hourly(
            type="service",
            name="called_service",
            table="phase_hours",
            where="phase = 'calling' AND outcome IN ('completed', 'failed') AND called_service IS NOT NULL",
            n="n",
            hits="outcome = 'failed'",
        ),
        runs=f"""SELECT r.run_key, {_any_phase("p.outcome = 'failed'")}
        FROM {_PHASES} WHERE p.project = $project AND p.called_service = $name
        AND p.phase = 'calling' AND p.started_ns >= $from AND p.started_ns < $to
        AND p.outcome IN ('completed', 'failed') GROUP BY r.run_key""",
    ),
    Kind.CALL_DURATION: Source(
        series=Hourly(
            type="service",
            name="called_service",
            table="phase_hours",
            where="phase = 'calling' AND outcome = 'completed' AND ix IS NOT NULL AND called_service IS NOT NULL",
            n="n",
        ),
        runs=f"""SELECT r.run_key, {_any_phase(_BEYOND.format("p.duration_ns"))}
        FROM {_PHASES} WHERE p.project = $project AND p.called_service = $name
        AND p.phase = 'calling' AND p.started_ns >= $from AND p.started_ns < $to AND p.outcome = 'completed'
        AND p.duration_ns IS NOT NULL GROUP BY r.run_key""",
    ),
    Kind.OPERATION_FAILURES: Source(
        series=Hourly(
            type="operation",
            name="operation",
            table=_OF_SEVERAL,
            where="phase = 'started' AND outcome IN ('completed', 'failed', 'retrying')",
            n="n",
            hits="outcome IN ('failed', 'retrying')",
            task_id="task_id",
        ),
        runs=f"""SELECT r.run_key, {_any_phase("p.outcome IN ('failed', 'retrying')")}
        FROM {_PHASES} WHERE p.project = $project AND p.operation = $name
        AND r.task_id = $task AND p.phase = 'started' AND p.started_ns >= $from AND p.started_ns < $to
        AND p.outcome IN ('completed', 'failed', 'retrying') GROUP BY r.run_key""",
    ),
    Kind.OPERATION_DURATION: Source(
        series=Hourly(
            type="operation",
            name="operation",
            table=_OF_SEVERAL,
            where="phase = 'started' AND outcome = 'completed' AND ix IS NOT NULL",
            n="n",
            task_id="task_id",
        ),
        runs=f"""SELECT r.run_key, {_any_phase(_BEYOND.format("p.duration_ns"))}
        FROM {_PHASES} WHERE p.project = $project AND p.operation = $name
        AND r.task_id = $task AND p.phase = 'started' AND p.started_ns >= $from AND p.started_ns < $to
        AND p.outcome = 'completed' AND p.duration_ns IS NOT NULL GROUP BY r.run_key""",
    ),
    Kind.QUEUE_WAIT: Source(
        series=Hourly(
            type="queue",
            name="queue",
            table="duration_hours",
            where="measure = 'queue_wait' AND queue IS NOT NULL",
            n="n",
        ),
        runs=_WAITED,
    ),
    Kind.SATURATION: Source(runs=_WAITED),
    Kind.MISSED_RUN: Source(runs=KNOWN),
    Kind.LATE_RUN: Source(runs=KNOWN),
    Kind.DOUBLE_RUN: Source(runs=KNOWN),
    Kind.STUCK: Source(
        series=Hourly(
            type="task",
            name="task_id",
            table="run_cohorts",
            where="(is_decided(outcome) OR outcome IN ('skipped', 'unknown')) AND task_id IS NOT NULL",
            n="runs",
            hits="outcome = 'unknown'",
            detail="lost",
        ),
        runs=f"""SELECT r.run_key, r.status = 'unknown' AS affected, r.version FROM live r WHERE {_OF_TASK}
        AND r.started_ns >= $from AND r.started_ns < $to""",
    ),
    Kind.NEW_ERROR: Source(
        runs=f"""SELECT r.run_key, {_any("is_failed(a.status) AND a.error_group = $detail")}
        FROM attempts a JOIN live r USING (run_key) WHERE a.project = $project AND {_OF_TASK}
        AND coalesce(a.ended_ns, a.started_ns) >= $from AND coalesce(a.ended_ns, a.started_ns) < $to
        GROUP BY r.run_key""",
    ),
    Kind.FINDINGS: Source(
        runs=f"""SELECT r.run_key, r.run_key IN (SELECT run_key FROM run_findings WHERE project = $project
            AND code = $detail AND run_key IS NOT NULL) AS affected, r.version
        FROM live r WHERE {_OF_TASK} AND r.started_ns >= $from AND r.started_ns < $to""",
    ),
    Kind.SILENCE: Source(runs=KNOWN),
}
"""Every kind once, in the order of `Kind`."""
