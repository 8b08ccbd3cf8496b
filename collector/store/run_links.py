"""Who triggered whom: links that records tell of, and the trees they make.

A link is appended where a record says so by keys of its own, and never changed. Both its ends, and the batch it may go
through, are noted in `places`, so that it is found from either end without reading the others.
"""

from __future__ import annotations

from typing import NamedTuple

import polars as pl

from collector.model.identity import run_key
from collector.store import earlier
from collector.store.handle import Handle
from collector.store.parting import NAMED
from collector.store.places import Places, key, within
from collector.store.statements import SAID

KEYS = pl.Schema({"project": pl.String, "run_key": pl.String})
_STORED = pl.DataFrame(schema={**KEYS, "parent_run_id": pl.String, "set_aside": pl.String})
_DEEPEST = 64
"""Generations followed up and down a tree of runs; deeper ones keep the ancestor found last."""


class Appended(NamedTuple):
    """What new links and batch members say."""

    reached: pl.DataFrame
    """The children that old and new links now reach: `project`, `run_key` as it is stated of them."""
    named: pl.DataFrame
    """What the links call runs that other records are of: `statements.SAID`."""


def append(h: Handle, places: Places, window: dict[str, int]) -> Appended:
    """Append links and batch membership of new records; return what they say."""
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
    named = pl.concat(_named(links, side, source) for side, source in (("child", "derived"), ("parent", "measured")))
    if batches.is_empty():
        return Appended(direct.unique(), named)
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
    return Appended(pl.concat([direct, through]).unique(), named)


def _named(links: pl.DataFrame, side: str, source: str) -> pl.DataFrame:
    """Return what *links* of a *source* call the run on their other *side*: `statements.SAID`."""
    return (
        links.filter(pl.col("source") == source)
        .select(
            "project",
            "dialect",
            run_id=f"{side}_run_id",
            run_key=f"{side}_run_key",
            rank=pl.lit(NAMED, pl.Int64),
            low="seq",
            high="seq",
        )
        .drop_nulls()
        .cast(SAID)
    )


def _new_links(h: Handle, window: dict[str, int]) -> pl.DataFrame:
    """Return the links that new records tell of: a parent by its trigger span, a child by naming its parent."""
    triggered = h.frame(
        """
        SELECT project, min(seq) AS seq, dialect, environment, platform_project, resource_id, child_run_id,
               child_batch_id, child_task_id, run_key AS parent_run_key, run_id AS parent_run_id, 'derived' AS source,
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
    triggered = earlier.with_project(h, triggered).drop("resource_id")
    declared = h.frame(
        """
        SELECT project, min(seq) AS seq, dialect, environment, platform_project, run_id AS child_run_id,
               run_key AS child_run_key, parent_run_id
        FROM (
            SELECT project, seq, dialect, environment, platform_project, run_id, run_key, parent_run_id FROM spans
                WHERE seq > $done AND seq <= $upto
            UNION ALL
            SELECT project, seq, dialect, environment, platform_project, run_id, run_key, parent_run_id FROM logs
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
    whose, ranges = places.of_runs(keys)
    links = h.frame(
        "SELECT DISTINCT l.project, w.of AS parent_run_key, l.child_run_key AS run_key, l.child_batch_id AS batch_id, "  # noqa: S608 -- ditto
        "l.started_ns FROM run_links l "
        f"JOIN whose w ON w.project = l.project AND w.run_key = l.parent_run_key AND {_IN_TIME} "
        f"WHERE {within('l.seq', ranges)}",
        whose=whose,
    )
    batches = links.filter(pl.col("batch_id").is_not_null())
    if not batches.is_empty():
        members = h.frame(
            "SELECT b.project, b.run_key, l.parent_run_key, l.started_ns FROM run_batches b "  # noqa: S608 -- ditto
            "JOIN batches l USING (project, batch_id) "
            f"WHERE {within('b.seq', places.ranges(batches.select(_batch_key())))}",
            batches=batches,
        )
        links = pl.concat([links.select(members.columns), members])
    found = _of_runs(places, links.filter(pl.col("run_key").is_not_null()), "run_key")
    apart = pl.col("run_key").ne_missing(pl.col("parent_run_key"))
    return found.filter(apart).select("project", "run_key").drop_nulls().unique()


def with_roots(h: Handle, places: Places, links: pl.DataFrame, fresh: pl.DataFrame | None = None) -> pl.DataFrame:
    """Add `root_run_id` to *links* (`parents`): the topmost ancestor, NULL where the trigger did not make the child.

    *fresh*: rows of `runs` that are written now, in place of those that are stored.
    """
    started = _taken(h, places, links, fresh)
    climbing = started.select("project", "run_key", at="parent_run_key", root_run_id=pl.col("parent_run_id"))
    # A parent that may be several runs is the topmost that is known.
    settled = [climbing.filter(pl.col("at").is_null()).select("project", "run_key", "root_run_id")]
    climbing = climbing.filter(pl.col("at").is_not_null())
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


_IN_TIME = "(w.from_ns IS NULL OR l.started_ns >= w.from_ns) AND (w.until_ns IS NULL OR l.started_ns < w.until_ns)"
"""Whether link *l* may be of a run by *w* (`statements.WHOSE`): a number that was given again was triggered again."""


def _edges(h: Handle, places: Places, keys: pl.DataFrame) -> pl.DataFrame:
    """Return the links to the children *keys*: the one that made each child first."""
    whose, direct = places.of_runs(keys)
    through = h.frame(
        f"SELECT DISTINCT project, batch_id FROM run_batches SEMI JOIN whose USING (project, run_key) "  # noqa: S608 -- ditto
        f"WHERE {within('seq', direct)}",
        whose=whose,
    )
    ranges = (
        direct if through.is_empty() else places.ranges(pl.concat([whose.select(key()), through.select(_batch_key())]))
    )
    edges = h.frame(
        f"""
        WITH links AS (SELECT * FROM run_links WHERE {within("seq", ranges)}),
        batches AS (SELECT * FROM run_batches WHERE {within("seq", ranges)}),
        edges AS (
            SELECT l.project, l.child_run_key AS run_key, l.* EXCLUDE (project) FROM links l
            WHERE l.child_run_key IS NOT NULL
            UNION ALL
            SELECT b.project, b.run_key, l.* EXCLUDE (project) FROM links l JOIN batches b
              ON l.project = b.project AND l.child_batch_id = b.batch_id
            WHERE l.child_batch_id IS NOT NULL
        )
        SELECT l.project, w.of AS run_key, min(child_run_id) AS run_id, min(dialect) AS dialect,
               min(environment) AS environment, min(platform_project) AS platform_project,
               min(child_task_id) AS task_id, parent_run_key,
               min(parent_run_id) AS parent_run_id, max(source) AS source, min(started_ns) AS started_ns,
               max(ended_ns) AS ended_ns, bool_or(coalesce(waits, false)) AS waits
        FROM edges l JOIN whose w ON w.project = l.project AND w.run_key = l.run_key AND {_IN_TIME}
        GROUP BY l.project, w.of, parent_run_key
        """,  # noqa: S608 -- ranges of numbers
        whose=whose,
    )
    parted = _of_runs(places, edges, "parent_run_key")
    parted = parted.filter(pl.col("parent_run_key").ne_missing(pl.col("run_key")))
    if parted.height == parted.unique(["project", "run_key", "parent_run_key"]).height:
        return parted
    return (
        parted.group_by("project", "run_key", "parent_run_key")
        .agg(
            *(
                pl.col(c).min()
                for c in ("run_id", "dialect", "environment", "platform_project", "task_id", "parent_run_id")
            ),
            pl.col("source").max(),
            pl.col("started_ns").min(),
            pl.col("ended_ns").max(),
            pl.col("waits").any(),
        )
        .select(edges.columns)
    )


def _of_runs(places: Places, links: pl.DataFrame, column: str) -> pl.DataFrame:
    """Return *links* with the run for what *column* states of it, NULL where that may be several runs."""
    stated = links.select("project", run_key=column).drop_nulls().unique()
    if stated.is_empty():
        return links
    whose = places.statements.told(stated)
    if whose.height == stated.height and whose.select(pl.col("of").eq_missing(pl.col("run_key")).all()).item():
        return links
    started = pl.col("started_ns")
    within_time = (pl.col("from_ns").is_null() | (started >= pl.col("from_ns"))) & (
        pl.col("until_ns").is_null() | (started < pl.col("until_ns"))
    )
    named = links.with_row_index("i").join(
        whose.rename({"run_key": column}), on=["project", column], how="left", maintain_order="left"
    )
    of = pl.when(within_time.fill_null(False) & pl.col("of").is_not_null()).then("of")
    best = named.with_columns(of.alias(column)).sort("i", pl.col(column).is_null(), maintain_order=True)
    return best.unique("i", keep="first", maintain_order=True).select(links.columns)


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
