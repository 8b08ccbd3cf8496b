"""Facts and rows of the run model in DuckDB: what is new, which runs it touches, their records, their rows.

Called by `jobs.runs` inside one writing transaction: `advance` appends facts and names the dirty runs,
`records` returns everything known of them, `replace` writes their rows. Decides nothing about a run.
"""

from __future__ import annotations

from dataclasses import dataclass

import polars as pl

from collector.model.identity import run_key
from collector.store.apply import NAME as APPLIED
from collector.store.apply import watermark
from collector.store.database import Handle

NAME = "runs"
"""Name of this job's watermark."""
_KEYS = pl.Schema({"project": pl.String, "run_key": pl.String})
_DEEPEST = 64
"""Generations followed up and down a tree of runs; deeper ones keep the ancestor found last."""


@dataclass(frozen=True, slots=True)
class Records:
    """All that is known of some runs: raw rows, and at most one link per child."""

    spans: pl.DataFrame
    logs: pl.DataFrame
    links: pl.DataFrame


def pending(h: Handle, most_rows: int) -> tuple[int, int]:
    """Return (done, upto): the seq this job has done, and the one to go to next, about *most_rows* ahead.

    Batches without logs and spans count as done with the ones before them: the last one reaches what is applied.
    """
    done = watermark(h, NAME)
    applied = watermark(h, APPLIED)
    upto = h.frame(
        """
        WITH counted AS (
            SELECT seq, count(*) AS n FROM (
                SELECT seq FROM logs WHERE seq > $done UNION ALL SELECT seq FROM spans WHERE seq > $done
            ) GROUP BY seq
        ), running AS (SELECT seq, sum(n) OVER (ORDER BY seq) AS total, n FROM counted)
        SELECT coalesce(min(seq) FILTER (total >= $most), $applied) AS upto FROM running
        """,
        {"done": done, "most": most_rows, "applied": applied},
    ).item()
    return int(done), int(upto)


def advance(h: Handle, done: int, upto: int, as_of_ns: int) -> pl.DataFrame:
    """Append the facts of batches (*done*, *upto*] and return the runs to recompute: project, run_key."""
    window = {"done": done, "upto": upto}
    if upto > done:
        h.run(
            """
            INSERT INTO log_orphans SELECT project, seq, row, trace_id, span_id FROM logs
            WHERE seq > $done AND seq <= $upto
              AND run_key IS NULL AND trace_id IS NOT NULL AND span_id IS NOT NULL
            """,
            window,
        )
        h.run(
            """
            INSERT INTO run_batches SELECT project, min(seq), batch_id, run_key FROM (
                SELECT project, seq, batch_id, run_key FROM spans WHERE seq > $done AND seq <= $upto
                UNION ALL
                SELECT project, seq, batch_id, run_key FROM logs WHERE seq > $done AND seq <= $upto
            ) WHERE batch_id IS NOT NULL AND run_key IS NOT NULL GROUP BY project, batch_id, run_key
            """,
            window,
        )
    adopted = _adopt_orphans(h, window) if upto > done else pl.DataFrame(schema=_KEYS)
    linked = _link(h, window) if upto > done else pl.DataFrame(schema=_KEYS)
    own = h.frame(
        """
        SELECT DISTINCT project, run_key FROM (
            SELECT project, run_key FROM spans WHERE seq > $done AND seq <= $upto
            UNION ALL SELECT project, run_key FROM logs WHERE seq > $done AND seq <= $upto
            UNION ALL SELECT project, run_key FROM runs WHERE due_ns <= $as_of
        ) WHERE run_key IS NOT NULL
        """,
        {**window, "as_of": as_of_ns},
    )
    return pl.concat([own, adopted, linked, _descendants(h, linked)]).unique()


def _adopt_orphans(h: Handle, window: dict[str, int]) -> pl.DataFrame:
    """Give orphaned logs the runs of their spans, whichever of the two is new; return those runs."""
    found = h.frame(
        """
        WITH known AS (
            SELECT DISTINCT project, trace_id, CASE WHEN is_partial THEN real_span_id ELSE span_id END AS span_id,
                   run_key, attempt, seq > $done AS is_new
            FROM spans WHERE run_key IS NOT NULL AND seq <= $upto
              AND (project, trace_id) IN (SELECT (project, trace_id) FROM log_orphans)
        )
        SELECT DISTINCT o.project, o.seq, o.row, k.run_key, k.attempt
        FROM log_orphans o JOIN known k USING (project, trace_id, span_id)
        WHERE (k.is_new OR o.seq > $done) AND o.seq <= $upto
        """,
        window,
    )
    if found.is_empty():
        return pl.DataFrame(schema=_KEYS)
    h.run(
        """
        INSERT INTO log_runs SELECT f.project, f.seq, f.row, f.run_key, f.attempt FROM found f
        ANTI JOIN log_runs l ON l.project = f.project AND l.seq = f.seq AND l.row = f.row
            AND l.run_key = f.run_key AND l.attempt IS NOT DISTINCT FROM f.attempt
        """,
        found=found,
    )
    return found.select(_KEYS.names()).unique()


def _link(h: Handle, window: dict[str, int]) -> pl.DataFrame:
    """Append links of new records; return the children that old and new links now reach."""
    told = h.frame(
        """
        SELECT project, min(seq) AS seq, dialect, environment, child_run_id, child_batch_id,
               child_task_id, run_key AS parent_run_key, run_id AS parent_run_id, 'derived' AS source,
               coalesce(CASE WHEN time_source = 'time' THEN try_cast(start_time_unix_nano AS BIGINT) END,
                        epoch_ns(time)) AS started_ns,
               CASE WHEN NOT coalesce(is_partial, false) THEN started_ns + coalesce(duration_ns, 0) END AS ended_ns,
               coalesce(wait_kind IN ('child', 'batch'), false) AS waits
        FROM spans
        WHERE seq > $done AND seq <= $upto AND run_key IS NOT NULL AND span_type IN ('trigger', 'wait')
          AND (child_run_id IS NOT NULL OR child_batch_id IS NOT NULL)
        GROUP BY ALL
        """,
        window,
    ).with_columns(child_run_key=_keys("child_run_id"))
    declared = h.frame(
        """
        SELECT project, min(seq) AS seq, dialect, environment, run_id AS child_run_id,
               run_key AS child_run_key, parent_run_id
        FROM (
            SELECT * FROM (SELECT project, seq, dialect, environment, run_id, run_key, parent_run_id FROM spans
                WHERE seq > $done AND seq <= $upto)
            UNION ALL
            SELECT project, seq, dialect, environment, run_id, run_key, parent_run_id FROM logs
                WHERE seq > $done AND seq <= $upto
        )
        WHERE run_key IS NOT NULL AND parent_run_id IS NOT NULL
        GROUP BY ALL
        """,
        window,
    ).with_columns(parent_run_key=_keys("parent_run_id"), source=pl.lit("measured"))
    links = pl.concat([told, declared], how="diagonal_relaxed").filter(
        pl.col("child_run_key").is_null() | (pl.col("child_run_key") != pl.col("parent_run_key"))
    )
    if not links.is_empty():
        h.run("INSERT INTO run_links BY NAME SELECT * FROM links", links=links)
    return h.frame(
        """
        SELECT project, child_run_key AS run_key FROM run_links
        WHERE seq > $done AND seq <= $upto AND child_run_key IS NOT NULL
        UNION
        SELECT b.project, b.run_key FROM run_batches b JOIN run_links l
          ON l.project = b.project AND l.child_batch_id = b.batch_id
        WHERE (l.seq > $done AND l.seq <= $upto) OR (b.seq > $done AND b.seq <= $upto)
        """,
        window,
    )


def _keys(run_id: str) -> pl.Expr:
    """Return the run key of the run that column *run_id* names beside the record's own project and dialect."""
    return pl.struct("project", "dialect", "environment", run_id).map_elements(
        lambda r: run_key(r["project"], r["dialect"], r["environment"], "", r[run_id]) if r[run_id] else None,
        return_dtype=pl.String,
    )


def _edges(h: Handle, keys: pl.DataFrame, of: str) -> pl.DataFrame:
    """Return the links whose *of* (child or parent) is among *keys*: the one that made each child first."""
    return h.frame(
        f"""
        WITH edges AS (
            SELECT l.project, l.child_run_key AS run_key, l.* EXCLUDE (project) FROM run_links l
            WHERE l.child_run_key IS NOT NULL
            UNION ALL
            SELECT b.project, b.run_key, l.* EXCLUDE (project) FROM run_links l JOIN run_batches b
              ON l.project = b.project AND l.child_batch_id = b.batch_id
            WHERE l.child_batch_id IS NOT NULL AND b.run_key <> l.parent_run_key
        )
        SELECT project, run_key, min(child_run_id) AS run_id, min(dialect) AS dialect,
               min(environment) AS environment, min(child_task_id) AS task_id, parent_run_key,
               min(parent_run_id) AS parent_run_id, max(source) AS source, min(started_ns) AS started_ns,
               max(ended_ns) AS ended_ns, bool_or(coalesce(waits, false)) AS waits
        FROM edges SEMI JOIN keys ON keys.project = edges.project AND keys.run_key = edges.{of}
        GROUP BY project, run_key, parent_run_key
        """,  # noqa: S608 -- *of* is one of two column names chosen below
        keys=keys,
    )


def _parents(h: Handle, keys: pl.DataFrame) -> pl.DataFrame:
    """Return at most one link per child: the earliest trigger, ties by value."""
    return (
        _edges(h, keys, "run_key")
        .sort("started_ns", "parent_run_key", nulls_last=True)
        .unique(["project", "run_key"], keep="first", maintain_order=True)
    )


def _descendants(h: Handle, keys: pl.DataFrame) -> pl.DataFrame:
    """Return all runs below *keys*: their root changes when a link above them appears."""
    reached = keys
    frontier = keys
    for _ in range(_DEEPEST):
        if frontier.is_empty():
            break
        below = _edges(h, frontier, "parent_run_key").select("project", "run_key").unique()
        frontier = below.join(reached, on=["project", "run_key"], how="anti")
        reached = pl.concat([reached, frontier])
    return reached


def _with_roots(h: Handle, links: pl.DataFrame) -> pl.DataFrame:
    """Add `root_run_id`: the topmost ancestor that links lead to."""
    climbing = links.select("project", "run_key", at="parent_run_key", root_run_id=pl.col("parent_run_id"))
    settled: list[pl.DataFrame] = []
    for _ in range(_DEEPEST):
        if climbing.is_empty():
            break
        above = _parents(h, climbing.select("project", run_key="at").unique()).select(
            "project", at="run_key", above="parent_run_key", above_id="parent_run_id"
        )
        step = climbing.join(above, on=["project", "at"], how="left")
        settled.append(step.filter(pl.col("above").is_null()).select("project", "run_key", "root_run_id"))
        climbing = step.filter(pl.col("above").is_not_null()).select(
            "project", "run_key", at="above", root_run_id="above_id"
        )
    settled.append(climbing.select("project", "run_key", "root_run_id"))
    return links.join(pl.concat(settled), on=["project", "run_key"], how="left")


def records(h: Handle, dirty: pl.DataFrame) -> Records:
    """Return all records and links of the *dirty* runs."""
    low = h.frame(
        """
        SELECT least(
            (SELECT min(first_seq) FROM runs SEMI JOIN dirty USING (project, run_key)),
            (SELECT min(seq) FROM log_runs SEMI JOIN dirty USING (project, run_key)),
            (SELECT seq + 1 FROM watermark WHERE name = $name)
        ) AS low
        """,
        {"name": NAME},
        dirty=dirty,
    ).item()
    window = {"low": low or 0}
    spans = h.frame(
        "SELECT s.* FROM spans s SEMI JOIN dirty USING (project, run_key) WHERE s.seq >= $low",
        window,
        dirty=dirty,
    )
    logs = h.frame(
        """
        SELECT l.* FROM logs l SEMI JOIN dirty USING (project, run_key) WHERE l.seq >= $low
        UNION ALL BY NAME
        SELECT l.* REPLACE (r.run_key AS run_key, coalesce(l.attempt, r.attempt) AS attempt)
        FROM log_runs r SEMI JOIN dirty USING (project, run_key)
        JOIN logs l ON l.project = r.project AND l.seq = r.seq AND l.row = r.row
        WHERE l.seq >= $low AND r.seq >= $low
        """,
        window,
        dirty=dirty,
    )
    return Records(spans=spans, logs=logs, links=_with_roots(h, _parents(h, dirty)))


def replace(h: Handle, dirty: pl.DataFrame, rows: list[tuple[str, pl.DataFrame]], upto: int) -> None:
    """Write the *rows* of the *dirty* runs in place of what stood there, and move the watermark to *upto*."""
    for table, frame in rows:
        h.run(
            f"DELETE FROM {table} USING dirty d WHERE {table}.project = d.project AND {table}.run_key = d.run_key",  # noqa: S608 -- our own table names
            dirty=dirty,
        )
        if not frame.is_empty():
            h.run(f"INSERT INTO {table} BY NAME SELECT * FROM frame", frame=frame)  # noqa: S608 -- ditto
    h.run("DELETE FROM watermark WHERE name = $name", {"name": NAME})
    h.run('INSERT INTO watermark (name, seq, "row") VALUES ($name, $upto, 0)', {"name": NAME, "upto": upto})
