"""What could not be worked out and was left out alone: which, at which stage, why. Told by status, doctor and pages.

A run that is set aside keeps a row with status unknown (`bare`); it is tried again when it changes and at each start.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict, dataclass
from typing import Any, Literal

import polars as pl

from collector.model.tables import RUN_MODEL
from collector.store.handle import Handle
from collector.store.places import Places, within

Kind = Literal["run", "record", "series", "rule"]
_KEYS = ["project", "run_key"]
_SCHEMA = pl.Schema(
    {
        **dict.fromkeys(("project", "stage", "kind", "key", "run_id"), pl.String()),
        **dict.fromkeys(("first_seq", "last_seq", "row"), pl.Int64()),
        "reason": pl.String(),
        "since_ns": pl.Int64(),
    }
)
MOST_KEPT = 10_000
"""Rows kept of one stage; the newest stay."""
_LONGEST = 300
_SAME = (
    "s.project = r.project AND s.kind = r.kind AND s.key = r.key AND (r.kind = 'run' OR s.stage = r.stage) "
    "AND (r.kind <> 'record' OR (s.last_seq = r.last_seq AND s.row IS NOT DISTINCT FROM r.row))"
)
"""Whether rows r and s of the table are of the same thing."""


@dataclass(frozen=True, slots=True)
class Aside:
    """One thing that was left out. *key*: a run key, a table of raw rows, or the name of a task, queue or rule.

    *first_seq*, *last_seq*: the journal numbers of its records; *row*: which of a group's, where it is one record.
    """

    project: str
    stage: str
    kind: Kind
    key: str
    reason: str
    since_ns: int
    run_id: str | None = None
    first_seq: int | None = None
    last_seq: int | None = None
    row: int | None = None


def reason(error: BaseException) -> str:
    """Return in a line why something could not be worked out."""
    lines = str(error).replace("`", "'").strip().splitlines()  # people read it on pages
    return f"{type(error).__name__}: {lines[0] if lines else ''}"[:_LONGEST]


def note(h: Handle, asides: Iterable[Aside]) -> None:
    """Note *asides*, in place of what was noted of the same things; since when is kept. A run is noted at one stage."""
    rows = pl.DataFrame([asdict(a) for a in asides], schema=_SCHEMA)
    if rows.is_empty():
        return
    same = f"FROM set_aside s WHERE {_SAME}"
    facts = f"{same} AND s.stage = 'facts' AND r.stage = 'facts'"
    rows = h.frame(
        f"SELECT r.* REPLACE (coalesce((SELECT min(s.since_ns) {same}), r.since_ns) AS since_ns, "  # noqa: S608 -- our own words
        # Facts are taken up again between those numbers.
        f"least(first_seq, (SELECT min(s.first_seq) {facts})) AS first_seq, "
        f"greatest(last_seq, (SELECT max(s.last_seq) {facts})) AS last_seq) FROM rows r",
        rows=rows,
    )
    h.run(f"DELETE FROM set_aside s USING rows r WHERE {_SAME}", rows=rows)  # noqa: S608 -- ditto
    h.run("INSERT INTO set_aside BY NAME SELECT * FROM rows", rows=rows)
    h.run(
        "DELETE FROM set_aside WHERE rowid IN (SELECT rowid FROM (SELECT rowid, row_number() OVER "
        "(PARTITION BY stage ORDER BY since_ns DESC) AS n FROM set_aside WHERE kind <> 'run') WHERE n > $most)",
        {"most": MOST_KEPT},
    )


def forget_runs(h: Handle, runs: pl.DataFrame) -> None:
    """Take back what was noted of *runs* (`project`, `run_key`): they could be worked out."""
    h.run(
        "DELETE FROM set_aside USING runs_ r WHERE kind = 'run' AND set_aside.project = r.project AND key = r.run_key",
        runs_=runs.select(_KEYS),
    )


def forget(h: Handle, stage: str, *kinds: Kind) -> None:
    """Take back what was noted at *stage*, of *kinds* only."""
    h.run(
        "DELETE FROM set_aside WHERE stage = $stage AND list_contains($kinds, kind)", {"stage": stage, "kinds": kinds}
    )


def forget_rules(h: Handle, runs: pl.DataFrame) -> None:
    """Take back what was noted of rules that failed on *runs* (`project`, `run_key`): they are judged again."""
    h.run(
        "DELETE FROM set_aside USING runs_ r WHERE kind = 'rule' AND stage = 'rules' "
        "AND set_aside.project = r.project AND ends_with(set_aside.key, r.run_key)",
        runs_=runs.select(_KEYS),
    )


def forget_wide_rules(h: Handle) -> bool:
    """Take back what was noted of rules that failed on more than could be told; return whether any did."""
    return bool(h.rows("DELETE FROM set_aside WHERE kind = 'rule' AND stage = 'rules' AND run_id IS NULL RETURNING 1"))


def runs(h: Handle) -> pl.DataFrame:
    """Return the runs that are set aside: `project`, `run_key`, `since_ns`."""
    return h.frame(
        "SELECT project, key AS run_key, min(since_ns) AS since_ns FROM set_aside WHERE kind = 'run' GROUP BY ALL"
    )


def windows(h: Handle, stage: str, kind: Kind) -> list[tuple[str, str, int, int]]:
    """Return (project, key, first, last) of what *stage* has left out: between which journal numbers."""
    rows = h.rows(
        "SELECT project, key, first_seq, last_seq FROM set_aside WHERE stage = $stage AND kind = $kind ORDER BY ALL",
        {"stage": stage, "kind": kind},
    )
    return rows


def forget_record(h: Handle, stage: str, project: str, key: str, last_seq: int) -> None:
    """Take back what was noted at *stage* of records *key* up to journal number *last_seq*."""
    h.run(
        "DELETE FROM set_aside WHERE stage = $stage AND kind = 'record' AND project = $project AND key = $key "
        "AND last_seq = $last",
        {"stage": stage, "project": project, "key": key, "last": last_seq},
    )


def judged(h: Handle) -> pl.DataFrame:
    """Return the runs that some rule failed on: `project`, `run_key`."""
    return h.frame(
        "SELECT DISTINCT project, right(key, 32) AS run_key FROM set_aside "
        "WHERE kind = 'rule' AND stage = 'rules' AND run_id IS NOT NULL"
    )


def series(h: Handle, stage: str) -> list[str]:
    """Return the tasks or queues that *stage* leaves out."""
    rows = h.rows("SELECT DISTINCT key FROM set_aside WHERE kind = 'series' AND stage = $stage", {"stage": stage})
    return [name for (name,) in rows]


def counts(h: Handle) -> dict[str, int]:
    """Return stage → how many things it left out."""
    return dict(h.rows("SELECT stage, count(*) FROM set_aside GROUP BY stage ORDER BY stage"))


def newest(h: Handle, most: int) -> list[dict[str, Any]]:
    """Return the *most* things left out last."""
    rows = h.frame("SELECT * FROM set_aside ORDER BY since_ns DESC, stage, kind, key LIMIT $most", {"most": most})
    return rows.to_dicts()


def bare(
    h: Handle, places: Places, run: pl.DataFrame, why: str, as_of_ns: int, *, unread: bool = False
) -> pl.DataFrame:
    """Return the row of *run* (`project`, `run_key`: one row) that says that it could not be worked out, and *why*.

    *unread*: not even its records can be looked at.
    It holds what can be read off its records one by one; times are those of arrival, *as_of_ns* where there are none.
    """
    row: dict[str, Any] = {
        "status": "unknown",
        "coverage": "link",
        "span_count": 0,
        "log_count": 0,
        **run.to_dicts()[0],
    }
    whose, ranges = places.of_runs(run)
    texts = ("run_id", "dialect", "task_id", "queue", "environment", "platform_project", "version")
    picked = ", ".join(
        [f"arg_min({c}, (seq, row)) AS {c}" for c in texts] + [f"bool_or({c}) AS {c}" for c in ("is_test", "is_replay")]
    )
    for table in () if unread else ("logs", "spans"):
        (stated,) = h.frame(
            f"SELECT {picked}, count(*) AS n, min(seq) AS first_seq, max(seq) AS last_seq, "  # noqa: S608 -- names and numbers of ours
            f"min(received_ns) AS first_seen_ns, max(received_ns) AS last_seen_ns FROM {table} t "
            f"SEMI JOIN whose USING (project, run_key) WHERE {within('t.seq', ranges)}",
            whose=whose,
        ).to_dicts()
        if not stated["n"]:
            continue
        row[f"{table[:-1]}_count"] = stated["n"]
        row["coverage"] = table if row["coverage"] == "link" else "spans+logs"
        for column in (*texts, "is_test", "is_replay"):
            row[column] = row.get(column) or stated[column]
        for column, pick in (("first_seq", min), ("last_seq", max), ("first_seen_ns", min), ("last_seen_ns", max)):
            row[column] = pick(row.get(column) or stated[column], stated[column])
    if "run_id" not in row and not unread:  # known only from its parent
        row |= h.frame(
            f"SELECT min(child_run_id) AS run_id, min(dialect) AS dialect, min(child_task_id) AS task_id, "  # noqa: S608 -- ditto
            "min(environment) AS environment, min(platform_project) AS platform_project, "
            "min(started_ns) AS first_seen_ns, max(started_ns) AS last_seen_ns "
            f"FROM run_links l JOIN whose w ON l.project = w.project AND l.child_run_key = w.run_key "
            f"WHERE {within('l.seq', ranges)}",
            whose=whose,
        ).to_dicts()[0]
    unknown = (
        "status_source",
        "queue_source",
        "task_source",
        "attempt_count_source",
        "parent_source",
        "queued_source",
        "started_source",
        "ended_source",
        "queue_wait_source",
    )
    row |= dict.fromkeys(unknown, "unknown")
    if row.get("task_id"):
        row["task_source"] = "measured"
    row["first_seen_ns"] = row.get("first_seen_ns") or as_of_ns
    row |= {"root_run_id": row.get("run_id"), "at_ns": row["first_seen_ns"], "set_aside": why}
    shape = pl.from_arrow(RUN_MODEL["runs"].empty_table())
    assert isinstance(shape, pl.DataFrame)
    return pl.DataFrame([row], schema=shape.schema)
