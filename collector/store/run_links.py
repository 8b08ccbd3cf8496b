"""Who triggered whom: links that records tell of, and the trees they make.

A link is appended where a record says so by keys of its own, and never changed. Both its ends, and the batch it may go
through, are noted in `places`, so that it is found from either end without reading the others.
"""

from __future__ import annotations

import polars as pl

from collector.model.identity import run_key
from collector.store.handle import Handle
from collector.store.places import Places, key, within

KEYS = pl.Schema({"project": pl.String, "run_key": pl.String})
_STORED = pl.DataFrame(schema={**KEYS, "parent_run_id": pl.String, "set_aside": pl.String})
_DEEPEST = 64
"""Generations followed up and down a tree of runs; deeper ones keep the ancestor found last."""


def append(h: Handle, places: Places, window: dict[str, int]) -> pl.DataFrame:
    """Append links and batch membership of new records; return the children that old and new links now reach."""
    links = _new_links(h, window)
    members = _members(h, places, window)
    batches = pl.concat(
        [links.select("project", "seq", batch_id="child_batch_id"), members.select("project", "seq", "batch_id")]
    ).drop_nulls()
    places.note(
        _at(links, key("child_run_key")),
        _at(links, key("parent_run_key")),
        _at(batches, _batch_key()),
    )
    if not links.is_empty():
        h.run("INSERT INTO run_links BY NAME SELECT * FROM links", links=links)
    if not members.is_empty():
        h.run("INSERT INTO run_batches BY NAME SELECT * FROM members", members=members)
    direct = links.select("project", run_key="child_run_key").drop_nulls()
    if batches.is_empty():
        return direct.unique()
    ranges = places.ranges(batches.select(_batch_key()))
    through = h.frame(
        f"""
        SELECT DISTINCT b.project, b.run_key FROM run_batches b
        JOIN run_links l ON l.project = b.project AND l.child_batch_id = b.batch_id
        SEMI JOIN batches t ON t.project = b.project AND t.batch_id = b.batch_id
        WHERE {within("b.seq", ranges)} AND {within("l.seq", ranges)} AND (l.seq > $done OR b.seq > $done)
        """,  # noqa: S608 -- ranges of numbers
        {"done": window["done"]},
        batches=batches,
    )
    return pl.concat([direct, through]).unique()


def _new_links(h: Handle, window: dict[str, int]) -> pl.DataFrame:
    """Return the links that new records tell of: a parent by its trigger span, a child by naming its parent."""
    triggered = h.frame(
        """
        SELECT project, min(seq) AS seq, dialect, environment, child_run_id, child_batch_id,
               child_task_id, run_key AS parent_run_key, run_id AS parent_run_id, 'derived' AS source,
               exact_ns(time_source, start_time_unix_nano, time, received_ns) AS started_ns,
               CASE WHEN NOT coalesce(is_partial, false) THEN
                   exact_ns(time_source, start_time_unix_nano, time, received_ns) + lasted_ns(duration_ns)
               END AS ended_ns,
               coalesce(wait_kind IN ('child', 'batch'), false) AS waits
        FROM spans
        WHERE seq > $done AND seq <= $upto AND run_key IS NOT NULL AND span_type IN ('trigger', 'wait')
          AND (child_run_id IS NOT NULL OR child_batch_id IS NOT NULL)
        GROUP BY ALL
        """,
        window,
    ).with_columns(child_run_key=_run_keys("child_run_id"))
    declared = h.frame(
        """
        SELECT project, min(seq) AS seq, dialect, environment, run_id AS child_run_id,
               run_key AS child_run_key, parent_run_id
        FROM (
            SELECT project, seq, dialect, environment, run_id, run_key, parent_run_id FROM spans
                WHERE seq > $done AND seq <= $upto
            UNION ALL
            SELECT project, seq, dialect, environment, run_id, run_key, parent_run_id FROM logs
                WHERE seq > $done AND seq <= $upto AND keys_from IS NULL
        )
        WHERE run_key IS NOT NULL AND parent_run_id IS NOT NULL
        GROUP BY ALL
        """,
        window,
    ).with_columns(parent_run_key=_run_keys("parent_run_id"), source=pl.lit("measured"))
    return pl.concat([triggered, declared], how="diagonal_relaxed").filter(
        pl.col("child_run_key").is_null() | (pl.col("child_run_key") != pl.col("parent_run_key"))
    )


def _members(h: Handle, places: Places, window: dict[str, int]) -> pl.DataFrame:
    """Return which runs new records put into which batch, those already known left out."""
    members = h.frame(
        """
        SELECT project, min(seq) AS seq, batch_id, run_key FROM (
            SELECT project, seq, batch_id, run_key FROM spans WHERE seq > $done AND seq <= $upto
            UNION ALL
            SELECT project, seq, batch_id, run_key FROM logs
                WHERE seq > $done AND seq <= $upto AND keys_from IS NULL
        ) WHERE batch_id IS NOT NULL AND run_key IS NOT NULL GROUP BY project, batch_id, run_key
        """,
        window,
    )
    if members.is_empty():
        return members
    ranges = places.ranges(members.select(key()))
    return h.frame(
        f"""
        SELECT * FROM members
        ANTI JOIN (SELECT project, batch_id, run_key FROM run_batches WHERE {within("seq", ranges)})
        USING (project, batch_id, run_key)
        """,  # noqa: S608 -- ranges of numbers
        members=members,
    )


def parents(h: Handle, places: Places, keys: pl.DataFrame) -> pl.DataFrame:
    """Return at most one link per child among *keys*: the earliest trigger, ties by value.

    Where the child names its parent, what others say of it does not count.
    """
    return (
        _edges(h, places, keys)
        .sort(pl.col("source") != "measured", "started_ns", "parent_run_key", nulls_last=True)
        .unique(["project", "run_key"], keep="first", maintain_order=True)
    )


def descendants(h: Handle, places: Places, keys: pl.DataFrame) -> pl.DataFrame:
    """Return *keys* and all runs below them: their root changes when a link above them appears."""
    reached = keys
    frontier = keys
    for _ in range(_DEEPEST):
        if frontier.is_empty():
            break
        below = children(h, places, frontier)
        frontier = below.join(reached, on=["project", "run_key"], how="anti")
        reached = pl.concat([reached, frontier])
    return reached


def children(h: Handle, places: Places, keys: pl.DataFrame) -> pl.DataFrame:
    """Return the runs that links from *keys* lead to, directly or as members of a batch."""
    links = h.frame(
        "SELECT DISTINCT l.project, l.parent_run_key, l.child_run_key AS run_key, l.child_batch_id AS batch_id "  # noqa: S608 -- ditto
        "FROM run_links l SEMI JOIN keys ON keys.project = l.project AND keys.run_key = l.parent_run_key "
        f"WHERE {within('l.seq', places.ranges(keys.select(key())))}",
        keys=keys,
    )
    direct = links.select("project", "run_key").drop_nulls()
    batches = links.filter(pl.col("batch_id").is_not_null())
    if batches.is_empty():
        return direct.unique()
    members = h.frame(
        "SELECT b.project, b.run_key FROM run_batches b JOIN batches l USING (project, batch_id) "  # noqa: S608 -- ditto
        f"WHERE b.run_key <> l.parent_run_key AND {within('b.seq', places.ranges(batches.select(_batch_key())))}",
        batches=batches,
    )
    return pl.concat([direct, members]).unique()


def with_roots(h: Handle, places: Places, links: pl.DataFrame, fresh: pl.DataFrame | None = None) -> pl.DataFrame:
    """Add `root_run_id` to *links* (`parents`): the topmost ancestor, NULL where the trigger did not make the child.

    *fresh*: rows of `runs` that are written now, in place of those that are stored.
    """
    started = _taken(h, places, links, fresh)
    climbing = started.select("project", "run_key", at="parent_run_key", root_run_id=pl.col("parent_run_id"))
    settled: list[pl.DataFrame] = []
    for _ in range(_DEEPEST):
        if climbing.is_empty():
            break
        found = parents(h, places, climbing.select("project", run_key="at").unique())
        above = _taken(h, places, found, fresh).select(
            "project", at="run_key", above="parent_run_key", above_id="parent_run_id"
        )
        step = climbing.join(above, on=["project", "at"], how="left")
        settled.append(step.filter(pl.col("above").is_null()).select("project", "run_key", "root_run_id"))
        climbing = step.filter(pl.col("above").is_not_null()).select(
            "project", "run_key", at="above", root_run_id="above_id"
        )
    settled.append(climbing.select("project", "run_key", "root_run_id"))
    return links.join(pl.concat(settled), on=["project", "run_key"], how="left")


def turned(h: Handle, places: Places, links: pl.DataFrame, fresh: pl.DataFrame) -> pl.DataFrame:
    """Return the runs of *links* (`parents`) that were made by their trigger or not, unlike when they were stored.

    *fresh*: their rows of `runs` as they are written now. What is below such a run has another root.
    """
    keys = ["project", "run_key"]
    before, now = (_taken(h, places, links, rows).select(keys) for rows in (None, fresh))
    return pl.concat([before.join(now, on=keys, how="anti"), now.join(before, on=keys, how="anti")])


def _taken(h: Handle, places: Places, links: pl.DataFrame, fresh: pl.DataFrame | None) -> pl.DataFrame:
    """Return those of *links* (`parents`) that the rows of their children, *fresh* before stored ones, go by.

    A trigger that began after the run did not make it (`analyse.links`), which its row says by another parent or none.
    """
    keys = ["project", "run_key"]
    doubtful = links.filter((pl.col("source") == "derived") & pl.col("started_ns").is_not_null()).select(keys)
    if doubtful.is_empty():
        return links
    wanted = doubtful if fresh is None else doubtful.join(fresh, on=keys, how="anti")
    told = _STORED if fresh is None else fresh.select(*_STORED.columns)
    if built := places.built(wanted.select(key())):
        stored = h.frame(
            "SELECT project, run_key, parent_run_id, set_aside FROM runs SEMI JOIN wanted USING (project, run_key) "  # noqa: S608 -- ranges of numbers
            f"WHERE {within('built_seq', built)}",
            wanted=wanted,
        )
        told = pl.concat([told, stored])
    told = told.filter(pl.col("set_aside").is_null()).select(*keys, said="parent_run_id", tells=pl.lit(True))
    other = pl.col("tells") & ~pl.col("said").eq_missing(pl.col("parent_run_id"))
    judged = links.join(told.join(doubtful, on=keys, how="semi"), on=keys, how="left")
    return judged.filter(~other.fill_null(False)).select(links.columns)


def _edges(h: Handle, places: Places, keys: pl.DataFrame) -> pl.DataFrame:
    """Return the links to the children *keys*: the one that made each child first."""
    direct = places.ranges(keys.select(key()))
    through = h.frame(
        f"SELECT DISTINCT project, batch_id FROM run_batches SEMI JOIN keys USING (project, run_key) "  # noqa: S608 -- ditto
        f"WHERE {within('seq', direct)}",
        keys=keys,
    )
    ranges = (
        direct if through.is_empty() else places.ranges(pl.concat([keys.select(key()), through.select(_batch_key())]))
    )
    return h.frame(
        f"""
        WITH links AS (SELECT * FROM run_links WHERE {within("seq", ranges)}),
        batches AS (SELECT * FROM run_batches WHERE {within("seq", ranges)}),
        edges AS (
            SELECT l.project, l.child_run_key AS run_key, l.* EXCLUDE (project) FROM links l
            WHERE l.child_run_key IS NOT NULL
            UNION ALL
            SELECT b.project, b.run_key, l.* EXCLUDE (project) FROM links l JOIN batches b
              ON l.project = b.project AND l.child_batch_id = b.batch_id
            WHERE l.child_batch_id IS NOT NULL AND b.run_key <> l.parent_run_key
        )
        SELECT project, run_key, min(child_run_id) AS run_id, min(dialect) AS dialect,
               min(environment) AS environment, min(child_task_id) AS task_id, parent_run_key,
               min(parent_run_id) AS parent_run_id, max(source) AS source, min(started_ns) AS started_ns,
               max(ended_ns) AS ended_ns, bool_or(coalesce(waits, false)) AS waits
        FROM edges SEMI JOIN keys USING (project, run_key)
        GROUP BY project, run_key, parent_run_key
        """,  # noqa: S608 -- ranges of numbers
        keys=keys,
    )


def _run_keys(run_id: str) -> pl.Expr:
    """Return the run key of the run that column *run_id* names beside the record's own project and dialect."""
    return pl.struct("project", "dialect", "environment", run_id).map_elements(
        lambda r: run_key(r["project"], r["dialect"], r["environment"], "", r[run_id]) if r[run_id] else None,
        return_dtype=pl.String,
    )


def _batch_key() -> pl.Expr:
    """Return the place key of a batch."""
    hashed = pl.struct("project", "batch_id").map_elements(
        lambda r: run_key(r["project"], "", None, "batch", r["batch_id"])[:15], return_dtype=pl.String
    )
    return hashed.str.to_integer(base=16, dtype=pl.Int64).alias("key")


def _at(facts: pl.DataFrame, of: pl.Expr) -> pl.DataFrame:
    """Return a note for each of *facts*."""
    return facts.select(of, low="seq", high="seq")
