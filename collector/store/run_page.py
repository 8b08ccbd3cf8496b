"""One run with everything that is known of it: its rows, its records as received, its children."""

from __future__ import annotations

from typing import Any

import pyarrow as pa

from collector.store.database import Handle

MOST_RECORDS = 5_000
"""Logs and spans given out with a run; more are counted, not sent."""

_LOGS = """
    WITH own AS (
        SELECT seq, "row" FROM logs WHERE project = $project AND run_key = $key AND seq BETWEEN $low AND $high
        UNION
        SELECT seq, "row" FROM log_runs WHERE project = $project AND run_key = $key
    )
    SELECT l.*, r.attributes AS resource_attributes, s.name AS scope_name, s.version AS scope_version
    FROM own JOIN logs l USING (seq, "row")
    LEFT JOIN resources r ON r.project = l.project AND r.resource_id = l.resource_id
    LEFT JOIN scopes s ON s.project = l.project AND s.scope_id = l.scope_id
    WHERE l.seq BETWEEN $low AND $high
    ORDER BY l.time, l.time_unix_nano, l.seq, l."row" LIMIT $most
"""
_SPANS = """
    SELECT p.*, r.attributes AS resource_attributes, s.name AS scope_name, s.version AS scope_version
    FROM spans p
    LEFT JOIN resources r ON r.project = p.project AND r.resource_id = p.resource_id
    LEFT JOIN scopes s ON s.project = p.project AND s.scope_id = p.scope_id
    WHERE p.project = $project AND p.run_key = $key AND p.seq BETWEEN $low AND $high
    ORDER BY p.time, p.start_time_unix_nano, p.seq, p."row" LIMIT $most
"""
_PARTS = {
    "attempts": "SELECT * FROM attempts WHERE project = $project AND run_key = $key ORDER BY number",
    "phases": "SELECT * FROM phases WHERE project = $project AND run_key = $key ORDER BY started_ns, ended_ns",
    "waits": "SELECT * FROM waits WHERE project = $project AND run_key = $key ORDER BY started_ns, ended_ns",
}
_CHILDREN = """
    SELECT run_id, run_key, task_id, status, queue, attempt_count, queued_ns, started_ns, ended_ns
    FROM runs WHERE project = $project AND parent_run_id = $run_id AND environment IS NOT DISTINCT FROM $environment
    ORDER BY coalesce(queued_ns, started_ns, first_seen_ns), run_key LIMIT $most
"""


def find(h: Handle, project: str, run_id: str, run_key: str | None) -> dict[str, pa.Table] | None:
    """Return the parts of a run by name, None when there is no such run.

    Where several runs share *run_id* (two environments, say), the newest is meant unless *run_key* is given;
    `same_id` lists them all.
    """
    same = h.arrow(
        "SELECT * FROM runs WHERE project = $project AND run_id = $run_id "
        "ORDER BY coalesce(started_ns, queued_ns, first_seen_ns) DESC, run_key",
        {"project": project, "run_id": run_id},
    )
    keys = same["run_key"].to_pylist()
    if not keys or (run_key is not None and run_key not in keys):
        return None
    place = keys.index(run_key) if run_key else 0
    run = same.slice(place, 1)
    row: dict[str, Any] = run.to_pylist()[0]
    known: dict[str, Any] = {"project": project, "key": row["run_key"]}
    window = {**known, "low": row["first_seq"] or 0, "high": row["last_seq"] or 0, "most": MOST_RECORDS}
    parts = {name: h.arrow(sql, known) for name, sql in _PARTS.items()}
    return {
        "run": run,
        **parts,
        "logs": h.arrow(_LOGS, window),
        "spans": h.arrow(_SPANS, window),
        "children": h.arrow(
            _CHILDREN,
            {"project": project, "run_id": run_id, "environment": row["environment"], "most": MOST_RECORDS},
        ),
        "same_id": same.select(["run_id", "run_key", "environment", "dialect", "status"]),
    }
