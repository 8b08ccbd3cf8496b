"""The records of an older file, parted by what they state: what version 6 makes of rows that were there before.

Belongs to that one step of `upgrade`. Keys of records whose run id is a bare number know service and queue from then
on; of every other record the key is as it was. What is stated of run ids is noted as the runs job would have noted it
up to the group that it has come to.
"""

from __future__ import annotations

import polars as pl

from collector.store import parting, run_links
from collector.store.handle import Handle
from collector.store.parting import OF, STATES
from collector.store.places import Places
from collector.store.statements import BARE, KEYS, SERVICE, Statements, common, is_bare, key, numbered

_SOME = 200_000
"""Run ids looked at together."""
_DIGITS = "0123456789abcdef"
"""First digits of keys, which are looked at one after the other."""
_RECORDS = ("logs", "spans")


def part(h: Handle) -> None:
    """Key the records that are there, and note whose they are."""
    reached = int(h.value("SELECT max(seq) FROM watermark WHERE name = 'runs'") or 0)
    moved = pl.concat(_key_again(h, table) for table in _RECORDS).unique()
    if not moved.is_empty():
        _tell_again(h, moved, reached)
    h.run("DELETE FROM run_statements")
    h.run(
        "UPDATE log_runs SET states = l.run_key IS NOT NULL FROM logs l "
        "WHERE l.project = log_runs.project AND l.seq = log_runs.seq AND l.row = log_runs.row"
    )
    of_ids = [*OF, "common"]
    ids = pl.DataFrame(schema={**dict.fromkeys(OF, pl.String), "common": pl.Int64})
    for digit in _DIGITS:
        named = _named(h, digit)
        keyed = named.select(key(), common="common").unique("key")
        h.run("UPDATE places SET common = k.common FROM keyed k WHERE places.key = k.key", keyed=keyed)
        ids = pl.concat([ids, named.filter(is_bare()).select(of_ids)])
    several = h.frame(
        "SELECT common FROM places WHERE common IS NOT NULL GROUP BY common HAVING count(DISTINCT key) > 1"
    )
    for digit in _DIGITS if several.height else "":
        ids = pl.concat([ids, _named(h, digit).join(several, on="common", how="semi").select(of_ids)])
    ids = ids.unique(OF).sort("common")
    for n in range(0, ids.height, _SOME):
        some = ids[n : n + _SOME]
        told = parting.runs(Statements(h).stated(some, [(0, reached)])).join(some, on=OF)
        h.run("INSERT INTO run_statements BY NAME SELECT * FROM told", told=told)
    h.run(
        "INSERT INTO run_due BY NAME SELECT s.project, s.run_key, -min(coalesce(p.low, 0)) AS due_ns "
        "FROM run_statements s LEFT JOIN places p ON p.common = s.common "
        "ANTI JOIN runs r ON r.project = s.project AND r.run_key = s.run_key "
        "WHERE s.run_key IS NOT NULL GROUP BY ALL"
    )


def _key_again(h: Handle, table: str) -> pl.DataFrame:
    """Give rows of raw *table* whose run id is a bare number the key of what they state; return the keys they had."""
    stated = (
        f"SELECT t.rowid AS at, t.project, dialect, run_id, t.run_key, t.environment, {SERVICE} AS service, "  # noqa: S608 -- our own words
        f"nullif(queue, '') AS queue FROM {table} t "
        f"LEFT JOIN resources r ON r.project = t.project AND r.resource_id = t.resource_id WHERE {BARE}"
    )
    what = ["run_key", *OF, *STATES]
    said = h.frame(f"SELECT DISTINCT {', '.join(what)} FROM ({stated})")  # noqa: S608 -- ditto
    said = said.with_columns(numbered().alias("stated_key")).filter(pl.col("stated_key") != pl.col("run_key"))
    if not said.is_empty():
        same = " AND ".join(f"t.{c} IS NOT DISTINCT FROM s.{c}" for c in what)
        h.run(
            f"UPDATE {table} SET run_key = n.stated_key FROM "  # noqa: S608 -- ditto
            f"(SELECT t.at, s.stated_key FROM ({stated}) t JOIN said s ON {same}) n WHERE {table}.rowid = n.at",
            said=said,
        )
    return said.select("project", "run_key")


def _tell_again(h: Handle, moved: pl.DataFrame, reached: int) -> None:
    """Tell the facts again of records that had the keys *moved*, up to group *reached*."""
    span = "CASE WHEN s.is_partial THEN s.real_span_id ELSE s.span_id END"
    h.run(
        f"""
        UPDATE log_runs SET run_key = n.run_key FROM (
            SELECT a.rowid AS at, min(s.run_key) AS run_key FROM log_runs a SEMI JOIN moved USING (project, run_key)
            JOIN logs l ON l.project = a.project AND l.seq = a.seq AND l.row = a.row
            JOIN spans s ON s.project = l.project AND s.trace_id = l.trace_id AND {span} = l.span_id
            WHERE s.run_key IS NOT NULL GROUP BY a.rowid
        ) n WHERE log_runs.rowid = n.at
        """,  # noqa: S608 -- our own words
        moved=moved,
    )
    ends = "(project, {0}) IN (SELECT (project, run_key) FROM moved)"
    either = " OR ".join(ends.format(c) for c in ("child_run_key", "parent_run_key"))
    h.run(f"DELETE FROM run_links WHERE {either}", moved=moved)  # noqa: S608 -- ditto
    h.run(f"DELETE FROM run_batches WHERE {ends.format('run_key')}", moved=moved)  # noqa: S608 -- ditto
    places = Places(h, None, reached)
    run_links.append(h, places, {"done": 0, "upto": reached})
    noted = h.frame(
        f"""
        SELECT project, dialect, run_id, run_key, min(seq) AS low, max(seq) AS high FROM (
            SELECT project, dialect, run_id, run_key, seq FROM logs WHERE {BARE} AND seq <= $reached
            UNION ALL SELECT project, dialect, run_id, run_key, seq FROM spans WHERE {BARE} AND seq <= $reached
        ) GROUP BY ALL
        """,  # noqa: S608 -- ditto
        {"reached": reached},
    )
    places.note(noted.with_columns(key(), common()))
    adopted = h.frame("SELECT run_key, min(seq) AS low, max(seq) AS high FROM log_runs GROUP BY ALL")
    places.note(adopted.with_columns(key()))
    places.save(noted.select(key()).clear())


def _named(h: Handle, digit: str) -> pl.DataFrame:
    """Return the keys that are stated and begin with *digit*, as rows or links have them: `KEYS`, `OF`, `common`."""
    sides = " ".join(
        f"UNION SELECT project, dialect, {side}_run_id, {side}_run_key FROM run_links"  # noqa: S608 -- ditto
        for side in ("child", "parent")
    )
    named = h.frame(
        "SELECT DISTINCT project, dialect, run_id, run_key FROM (SELECT project, dialect, run_id, run_key FROM runs "  # noqa: S608 -- ditto
        f"UNION SELECT s.project, s.dialect, s.run_id, s.run_key FROM (SELECT * FROM logs WHERE {BARE}) s "
        f"UNION SELECT s.project, s.dialect, s.run_id, s.run_key FROM (SELECT * FROM spans WHERE {BARE}) s {sides}) "
        "WHERE run_id IS NOT NULL AND starts_with(run_key, $digit) AND dialect IS NOT NULL",
        {"digit": digit},
    )
    return named.with_columns(common()).select(*KEYS, "dialect", "run_id", "common")
