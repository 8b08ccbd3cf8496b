"""One run with everything that is known of it: its rows, its records as received, its children."""

from __future__ import annotations

import re
from typing import Any

import polars as pl
import pyarrow as pa

from collector.decode import dialects
from collector.model import identity
from collector.model.tables import PUBLIC
from collector.store import long_texts, run_links, weights
from collector.store.handle import Handle
from collector.store.places import Places, key, within

MOST_RECORDS = 5_000
"""Logs, spans and children given out with a run; more are counted, not sent."""

MOST_BYTES = 16 * 2**20
"""Bytes of the logs, and of the spans, that are given out: of longer ones fewer."""
_ADOPTED = """
    SELECT seq, "row" FROM log_runs WHERE project = $project AND run_key = $key AND seq BETWEEN $low AND $high
"""
_OF_RUN = "t.seq BETWEEN $low AND $high AND ((t.project = $project AND t.run_key = $key){or_adopted})"
_FIRST = """
    SELECT seq, "row", sum({size}) OVER (ORDER BY t.time, t.{exact}, t.seq, t."row") AS bytes
    FROM {table} t WHERE {of_run} ORDER BY t.time, t.{exact}, t.seq, t."row" LIMIT $most + 1
"""
_RECORDS = """
    SELECT t.*, r.attributes AS resource_attributes, s.name AS scope_name, s.version AS scope_version
    FROM {table} t SEMI JOIN kept USING (seq, "row")
    LEFT JOIN resources r ON r.project = t.project AND r.resource_id = t.resource_id
    LEFT JOIN scopes s ON s.project = t.project AND s.scope_id = t.scope_id
    WHERE {of_run} ORDER BY t.time, t.{exact}, t.seq, t."row"
"""
_EXACT = {"logs": "time_unix_nano", "spans": "start_time_unix_nano"}
_KEY = re.compile(r"[0-9a-f]{32}")
_PARTS = {"attempts": "number", "phases": "started_ns, ended_ns", "waits": "started_ns, ended_ns"}
"""Tables with rows of a run, and their order. Rows of one run are built together, so `built_seq` finds them all."""
_CHILD = "run_id, run_key, task_id, status, queue, attempt_count, queued_ns, started_ns, ended_ns"


def find(h: Handle, project: str, run_id: str, run_key: str | None) -> dict[str, pa.Table] | None:
    """Return the parts of a run by name, None when there is no such run.

    Where several runs share *run_id* (two environments, say), the newest is meant unless *run_key* is given;
    `same_id` lists them all.
    """
    places = Places(h)
    same = _named(h, places, project, run_id, run_key)
    keys = same["run_key"].to_pylist()
    if not keys or (run_key is not None and run_key not in keys):
        return None
    index = keys.index(run_key) if run_key else 0
    run = same.slice(index, 1)
    row: dict[str, Any] = run.to_pylist()[0]
    of_run: dict[str, Any] = {"project": project, "key": row["run_key"]}
    window = {**of_run, "low": row["first_seq"] or 0, "high": row["last_seq"] or 0, "most": MOST_RECORDS}
    parts = {
        name: h.arrow(
            f"SELECT * EXCLUDE (built_seq) FROM {name} "  # noqa: S608 -- our own names
            f"WHERE built_seq = $built AND project = $project AND run_key = $key ORDER BY {order}",
            {**of_run, "built": row["built_seq"]},
        )
        for name, order in _PARTS.items()
    }
    logs, spans = (_records(h, table, window) for table in ("logs", "spans"))
    children = _children(h, places, project, row)
    cut = [name for name, is_cut in (("logs", logs[1]), ("spans", spans[1])) if is_cut]
    return {
        "run": run.select(PUBLIC["runs"].names),
        **parts,
        "logs": logs[0],
        "spans": spans[0],
        "children": children,
        "truncated": pa.table({"name": [*cut, *["children"] * (children.num_rows == MOST_RECORDS)]}),
        "same_id": same.select(["run_id", "run_key", "environment", "dialect", "status"]),
    }


def _records(h: Handle, table: str, window: dict[str, Any]) -> tuple[pa.Table, bool]:
    """Return the first records of raw *table* of the run, those adopted by it too, and whether there are more."""
    of_run = {name: value for name, value in window.items() if name != "most"}
    adopted = h.frame(_ADOPTED, of_run) if table == "logs" else pl.DataFrame()  # few runs have any of these
    seen = {} if adopted.is_empty() else {"adopted": adopted}
    or_adopted = ' OR (t.seq, t."row") IN (SELECT (seq, "row") FROM adopted)' if seen else ""
    words = {"table": table, "exact": _EXACT[table], "size": f"({weights.SIZE[table]} + 2 * coalesce(long_bytes, 0))"}
    words["of_run"] = _OF_RUN.format(or_adopted=or_adopted)
    first = h.frame(_FIRST.format(**words), window, **seen)
    kept = first[:MOST_RECORDS].filter(pl.col("bytes") <= max(MOST_BYTES, int(first["bytes"].min() or 0)))  # type: ignore[arg-type]
    rows = h.frame(_RECORDS.format(**words), of_run, kept=kept, **seen)
    return long_texts.whole(h, table, rows).to_arrow(), kept.height < first.height


def _named(h: Handle, places: Places, project: str, run_id: str, run_key: str | None) -> pa.Table:
    """Return the rows of the runs that share *run_id*, the newest first.

    A run's key follows from its id, dialect and environment, so few keys can be theirs, and places tell where each is.
    Only if that finds none, or not *run_key*, all ids are read.
    """
    environments = {None, *(e for (e,) in h.rows("SELECT DISTINCT environment FROM runs"))}
    keys = [identity.run_key(project, name, e, "", run_id) for name in dialects.NAMES for e in environments]
    if run_key and _KEY.fullmatch(run_key):
        keys.append(run_key)
    built = within("built_seq", places.built(pl.DataFrame({"run_key": keys}).select(key())))
    runs = _runs(h, built, project, run_id)
    if runs.num_rows and run_key in (None, *runs["run_key"].to_pylist()):
        return runs
    return _runs(h, "true", project, run_id)


def _runs(h: Handle, where: str, project: str, run_id: str) -> pa.Table:
    return h.arrow(
        f"SELECT * FROM runs WHERE {where} AND project = $project AND run_id = $run_id ORDER BY at_ns DESC, run_key",  # noqa: S608 -- numbers of ours
        {"project": project, "run_id": run_id},
    )


def _children(h: Handle, places: Places, project: str, run: dict[str, Any]) -> pa.Table:
    """Return the runs that *run* is the parent of, found by the links that lead to them."""
    keys = pl.DataFrame({"project": [project], "run_key": [run["run_key"]]})
    children = run_links.children(h, places, keys)
    built = within("built_seq", places.built(children.select(key())))
    return h.arrow(
        f"SELECT {_CHILD} FROM runs SEMI JOIN children USING (project, run_key) "  # noqa: S608 -- names and numbers of ours
        f"WHERE {built} AND parent_run_id = $run_id ORDER BY coalesce(queued_ns, at_ns), run_key LIMIT $most",
        {"run_id": run["run_id"], "most": MOST_RECORDS},
        children=children,
    )
