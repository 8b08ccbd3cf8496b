"""The runs behind an anomaly: those of its subject in its span, which of them are affected, and what they break."""

# ruff: noqa: S608 -- queries are put together from names of ours; values are parameters

from __future__ import annotations

from dataclasses import dataclass

import polars as pl

from collector.model.report import Kind
from collector.store.anomaly_series import ERROR
from collector.store.database import Handle

MOST = 20_000
"""Runs looked at for one anomaly: the newest."""
_ENDED = "coalesce(r.ended_ns, r.last_seen_ns)"


@dataclass(frozen=True, slots=True)
class Asked:
    """Whose runs, and from when to when. *threshold_ns*: beyond which a duration is affected; *is_faster*: below it."""

    kind: Kind
    name: str
    task_id: str | None
    environment: str | None
    detail: str
    from_ns: int
    to_ns: int
    threshold_ns: int | None = None
    is_faster: bool = False
    run_keys: tuple[str, ...] = ()
    """Affected runs, where they are known already."""


_BEYOND = "CASE WHEN $is_faster THEN {} < $threshold ELSE {} > $threshold END"
_OF_TASK = "r.task_id = $name"
_WHO: dict[Kind, str] = {
    Kind.FAILURES: f"""SELECT r.run_key, is_failed(r.status) AS affected FROM live r WHERE {_OF_TASK}
        AND {_ENDED} >= $from AND {_ENDED} < $to AND is_decided(r.status)""",
    Kind.RETRIES: f"""SELECT r.run_key, bool_or(a.number > 1) AS affected FROM attempts a JOIN live r USING (run_key)
        WHERE a.project = $project AND {_OF_TASK} AND a.started_ns >= $from AND a.started_ns < $to
        AND a.number IS NOT NULL GROUP BY r.run_key""",
    Kind.DURATION: f"""SELECT r.run_key, bool_or({_BEYOND.format("a.wall_ns", "a.wall_ns")}) AS affected
        FROM attempts a JOIN live r USING (run_key) WHERE a.project = $project AND {_OF_TASK}
        AND a.started_ns >= $from AND a.started_ns < $to AND a.status = 'completed' AND a.wall_ns IS NOT NULL
        GROUP BY r.run_key""",
    Kind.VOLUME: f"""SELECT r.run_key, true AS affected FROM live r WHERE {_OF_TASK}
        AND coalesce(r.queued_ns, r.started_ns) >= $from AND coalesce(r.queued_ns, r.started_ns) < $to""",
    Kind.CALL_FAILURES: """SELECT r.run_key, bool_or(p.outcome = 'failed') AS affected
        FROM phases p JOIN live r USING (run_key) WHERE p.project = $project AND p.called_service = $name
        AND p.phase = 'calling' AND p.started_ns >= $from AND p.started_ns < $to
        AND p.outcome IN ('completed', 'failed') GROUP BY r.run_key""",
    Kind.CALL_DURATION: f"""SELECT r.run_key, bool_or({_BEYOND.format("p.duration_ns", "p.duration_ns")}) AS affected
        FROM phases p JOIN live r USING (run_key) WHERE p.project = $project AND p.called_service = $name
        AND p.phase = 'calling' AND p.started_ns >= $from AND p.started_ns < $to AND p.outcome = 'completed'
        AND p.duration_ns IS NOT NULL GROUP BY r.run_key""",
    Kind.OPERATION_FAILURES: """SELECT r.run_key, bool_or(p.outcome = 'failed') AS affected
        FROM phases p JOIN live r USING (run_key) WHERE p.project = $project AND p.operation = $name
        AND r.task_id = $task AND p.phase = 'started' AND p.started_ns >= $from AND p.started_ns < $to
        AND p.outcome IN ('completed', 'failed') GROUP BY r.run_key""",
    Kind.OPERATION_DURATION: f"""SELECT r.run_key,
        bool_or({_BEYOND.format("p.duration_ns", "p.duration_ns")}) AS affected
        FROM phases p JOIN live r USING (run_key) WHERE p.project = $project AND p.operation = $name
        AND r.task_id = $task AND p.phase = 'started' AND p.started_ns >= $from AND p.started_ns < $to
        AND p.outcome = 'completed' AND p.duration_ns IS NOT NULL GROUP BY r.run_key""",
    Kind.QUEUE_WAIT: f"""SELECT r.run_key, {_BEYOND.format("r.queue_wait_ns", "r.queue_wait_ns")} AS affected
        FROM live r WHERE r.queue = $name AND r.started_ns >= $from AND r.started_ns < $to
        AND r.queue_wait_ns IS NOT NULL""",
    Kind.NEW_ERROR: f"""SELECT r.run_key, bool_or(is_failed(a.status) AND ({ERROR}) = $detail) AS affected
        FROM attempts a JOIN live r USING (run_key) WHERE a.project = $project AND {_OF_TASK}
        AND coalesce(a.ended_ns, a.started_ns) >= $from AND coalesce(a.ended_ns, a.started_ns) < $to
        GROUP BY r.run_key""",
    Kind.FINDINGS: f"""SELECT r.run_key, r.run_key IN (SELECT run_key FROM run_findings WHERE project = $project
            AND code = $detail AND run_key IS NOT NULL) AS affected
        FROM live r WHERE {_OF_TASK} AND r.started_ns >= $from AND r.started_ns < $to""",
    Kind.STUCK: f"""SELECT r.run_key, r.status = 'unknown' AS affected FROM live r WHERE {_OF_TASK}
        AND r.started_ns >= $from AND r.started_ns < $to""",
}
_WHO[Kind.SATURATION] = _WHO[Kind.QUEUE_WAIT]
_GIVEN = f"""SELECT r.run_key, list_contains($keys, r.run_key) AS affected FROM live r
    WHERE {_OF_TASK} AND (list_contains($keys, r.run_key) OR (r.at_ns >= $from AND r.at_ns < $to))"""


def runs(h: Handle, project: str, asked: Asked) -> pl.DataFrame:
    """Return the live runs of a span, newest first: run_key, run_id, task_id, at_ns, status, affected, dimensions.

    Dimensions: version, queue, machine, tags (list), error_type, services (list: what the run called). *affected* is
    NULL where it is not known.
    """
    who = _GIVEN if asked.run_keys else _WHO.get(asked.kind, _GIVEN)
    found = h.frame(
        f"""
        WITH live AS (SELECT * FROM runs WHERE project = $project AND is_live(environment, is_test, is_replay)
                      AND ($environment IS NULL OR environment = $environment)
                      AND held_until_ns >= $from - 86400000000000 AND held_from_ns < $to + 86400000000000),
        who AS ({who})
        SELECT r.run_key, r.run_id, r.task_id, r.at_ns, r.status, w.affected, r.version, r.queue, r.machine, r.tags,
               r.error_type
        FROM live r JOIN who w USING (run_key) ORDER BY r.at_ns DESC, r.run_key LIMIT {MOST}
        """,
        _parameters(project, asked, who),
    )
    keys = found.select("run_key")
    called = h.frame(
        "SELECT run_key, list_sort(list(DISTINCT called_service)) AS services FROM phases "
        "SEMI JOIN keys USING (run_key) WHERE project = $project AND called_service IS NOT NULL "
        "AND coalesce(started_ns, ended_ns) >= $from GROUP BY run_key",
        {"project": project, "from": asked.from_ns - 86_400 * 10**9},
        keys=keys,
    )
    return found.join(called, on="run_key", how="left", maintain_order="left")


def _parameters(project: str, asked: Asked, sql: str) -> dict[str, object]:
    known: dict[str, object] = {
        "threshold": asked.threshold_ns if asked.threshold_ns is not None else 10**9,
        "is_faster": asked.is_faster,
        "name": asked.name,
        "task": asked.task_id,
        "detail": asked.detail,
        "keys": list(asked.run_keys),
    }
    fixed = {"project": project, "environment": asked.environment, "from": asked.from_ns, "to": asked.to_ns}
    return {**fixed, **{name: value for name, value in known.items() if f"${name}" in sql}}


def broken(h: Handle, project: str, keys: list[str]) -> list[str]:
    """Return the codes of conventions that the runs *keys* break, the commonest first, notes left out."""
    if not keys:
        return []
    wanted = pl.DataFrame({"run_key": keys})
    found = h.frame(
        "SELECT code, count(DISTINCT run_key) AS n FROM run_findings SEMI JOIN wanted USING (run_key) "
        "WHERE project = $project AND severity <> 'info' GROUP BY code ORDER BY n DESC, code",
        {"project": project},
        wanted=wanted,
    )
    return found["code"].to_list()
