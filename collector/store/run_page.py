"""One run with everything that is known of it: its rows, its records as received, its children."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

import polars as pl
import pyarrow as pa

from collector.decode import dialects
from collector.model import identity
from collector.model.shown import MOST_SAME
from collector.model.tables import PUBLIC
from collector.store import run_links, run_records
from collector.store.handle import Handle
from collector.store.places import Places, clusters, key, within
from collector.store.run_records import Anchor, Part, Records

_KEY = re.compile(r"[0-9a-f]{32}")
_PARTS = {"attempts": "number", "phases": "started_ns, ended_ns", "waits": "started_ns, ended_ns"}
"""Tables with rows of a run, and their order. Rows of one run are built together, so `built_seq` finds them all."""
_CHILD = "run_id, run_key, task_id, status, outcome, queue, attempt_count, queued_ns, started_ns, ended_ns"
_APART = ["environment", "platform_project", "queue", "task_id", "dialect"]
_SAME = ["run_id", "run_key", *_APART, "status", "at_ns", "ambiguous"]
_TOLD = "coalesce(queued_ns, at_ns)"


@dataclass(frozen=True, slots=True)
class Page:
    """What is known of one run: *parts* are tables by name, *pages* those of its lists that are given out in pages."""

    parts: dict[str, pa.Table]
    pages: dict[str, Part]
    parent: dict[str, Any] | None
    """Run id, key and environment of the run that triggered it, where that has left telemetry."""
    failure: pa.Table | None
    """The record that tells how it failed, as one row."""


def find(
    h: Handle,
    project: str,
    run_id: str,
    run_key: str | None,
    anchor: Anchor | None = None,
    *,
    after: bool = False,
) -> Page | None:
    """Return what is known of a run, None when there is no such run.

    Where several runs share *run_id* (two environments, say), the newest is meant unless *run_key* is given;
    `same_id` lists `MOST_SAME` of them. With an *anchor* only the list that it is in, the page before it or *after* it.
    """
    places = Places(h)
    same = _named(h, places, project, run_id)
    index = 0 if run_key is None and same.num_rows else _meant(places, project, same, run_key)
    if index is None:
        return None
    run = same.slice(index, 1)
    row: dict[str, Any] = run.to_pylist()[0]
    told = run.select(PUBLIC["runs"].names)
    named = {"project": project, "key": row["run_key"]}
    records = Records(h, named, *places.of_runs(_one(project, row["run_key"])))
    if anchor:
        of = anchor.of
        page = (
            _children(h, places, project, row, anchor, after)
            if of == "children"
            else records.page(of, anchor, after=after)
        )
        return Page({"run": told}, {of: page}, None, None)
    parts = {
        name: h.arrow(
            f"SELECT * EXCLUDE (built_seq) FROM {name} "  # noqa: S608 -- our own names
            f"WHERE built_seq = $built AND project = $project AND run_key = $key ORDER BY {order}",
            {**named, "built": row["built_seq"]},
        )
        for name, order in _PARTS.items()
    }
    return Page(
        {"run": told, **parts, "same_id": same.select(_SAME)[:MOST_SAME]},
        {
            "logs": records.page("logs"),
            "spans": records.page("spans"),
            "children": _children(h, places, project, row, Anchor("children")),
        },
        _parent(h, places, project, row),
        records.failure(row),
    )


def _named(h: Handle, places: Places, project: str, run_id: str) -> pa.Table:
    """Return the rows of the runs that share *run_id*, the newest first.

    Places tell where those of a dialect are. Only if that finds none, all ids are read.
    """
    commons = pl.DataFrame({"common": [identity.common_key(project, name, run_id) for name in dialects.NAMES]})
    built = within("built_seq", clusters(places.shared(commons), "built_seq", "built_seq"))
    runs = _runs(h, built, project, run_id)
    return runs if runs.num_rows else _runs(h, "true", project, run_id)


def _meant(places: Places, project: str, same: pa.Table, run_key: str | None) -> int | None:
    """Return which of the runs *same*, the newest first, *run_key* means, None for none of them.

    It may be the key of what a record states, of which more is known now; or one from before service and queue of bare
    numbers counted, which said project, dialect, environment and run id alone. A key that says nothing any more means
    the only run there is.
    """
    keys = same["run_key"].to_pylist()
    if run_key is None or not _KEY.fullmatch(run_key):
        return None
    if run_key in keys:
        return int(keys.index(run_key))
    meant = set(places.statements.told(_one(project, run_key))["of"])
    for i, run in enumerate(same.select(["dialect", "environment", "run_id"]).to_pylist()):
        before = {identity.run_key(project, run["dialect"], e, "", run["run_id"]) for e in (run["environment"], None)}
        if keys[i] in meant or (run_key in before and meant.isdisjoint(keys)):
            return i
    return 0 if len(keys) == 1 else None


def _one(project: str, run_key: str) -> pl.DataFrame:
    return pl.DataFrame({"project": [project], "run_key": [run_key]})


def _runs(h: Handle, where: str, project: str, run_id: str) -> pa.Table:
    return h.arrow(
        f"SELECT * FROM runs WHERE {where} AND project = $project AND run_id = $run_id ORDER BY at_ns DESC, run_key",  # noqa: S608 -- numbers of ours
        {"project": project, "run_id": run_id},
    )


def _children(
    h: Handle, places: Places, project: str, run: dict[str, Any], anchor: Anchor, after: bool = False
) -> Part:
    """Return the page next to *anchor* of the runs that *run* is the parent of, found by links to them."""
    children = run_links.children(h, places, _one(project, run["run_key"]))
    built = within("built_seq", places.built(children.select(key())))
    columns = (_TOLD, "run_key")

    def some(what: str, of: Anchor, *, after: bool, most: int) -> pl.DataFrame:
        turn = "" if after else "DESC"
        return h.frame(
            f"SELECT {what} FROM runs SEMI JOIN children USING (project, run_key) "  # noqa: S608 -- names and numbers of ours
            f"WHERE {built} AND parent_run_id = $run_id AND {of.condition(columns, after=after)} "
            f"ORDER BY {_TOLD} {turn}, run_key {turn} LIMIT {most}",
            {"run_id": run["run_id"], **of.parameters()},
            children=children,
        )

    nearest = some(f"{_CHILD}, {_TOLD} AS ns", anchor, after=after, most=run_records.MOST_RECORDS + 1)
    kept = nearest[: run_records.MOST_RECORDS]
    beyond = run_records.neighbours(
        nearest.select("ns", "run_key"),
        kept.height,
        anchor,
        lambda a, later: not some("run_key", a, after=later, most=1).is_empty(),
        after=after,
    )
    return Part(kept.sort("ns", "run_key").drop("ns").to_arrow(), *beyond)


def _parent(h: Handle, places: Places, project: str, run: dict[str, Any]) -> dict[str, Any] | None:
    """Return the run that *run* names as its parent: the one that links lead from, else the only one there can be."""
    if not run["parent_run_id"]:
        return None
    linked = run_links.parents(h, places, _one(project, run["run_key"]))
    by_link = linked.filter(pl.col("parent_run_id") == run["parent_run_id"])["parent_run_key"].to_list()
    runs = _named(h, places, project, run["parent_run_id"]).select(["run_id", "run_key", "environment"])
    rows: list[dict[str, Any]] = runs.to_pylist()
    meant = [r for r in rows if r["run_key"] in by_link]
    agrees = [
        r for r in rows if None in (r["environment"], run["environment"]) or r["environment"] == run["environment"]
    ]
    return meant[0] if meant else agrees[0] if len(agrees) == 1 else None
