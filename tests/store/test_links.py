"""Who triggered whom: what the store keeps as facts is what its raw rows say, read one by one."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any, NamedTuple

import polars as pl
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from collector.cli.recordings import Recorded
from collector.model.identity import run_key
from collector.rules.cases import attempt, log, span, trigger
from collector.store import run_links, run_page
from collector.store.places import Places
from tests.inprocess import SECOND, SETS, Pipeline, recorded
from tests.length import examples
from tests.rules.tell import T0, requests

AFTER = T0 + 10_000 * SECOND
RUNS = [f"run_{n}" for n in range(6)]
BATCHES = ["batch_1", "batch_2"]
ALL_CHILDREN = """
    SELECT parent_run_key, project, child_run_key FROM run_links WHERE child_run_key IS NOT NULL
    UNION
    SELECT l.parent_run_key, b.project, b.run_key FROM run_links l
    JOIN run_batches b ON b.project = l.project AND b.batch_id = l.child_batch_id WHERE b.run_key <> l.parent_run_key
"""


def both_links(groups: list[list[Recorded]], at: int) -> tuple[list[Link], list[Link]]:
    """Return the links of the store that got *groups* one by one, and those that its raw rows tell of.

    Looked up run by run, the store's children must be those that a read of all its links leads to.
    """
    with tempfile.TemporaryDirectory() as folder, Pipeline(Path(folder)) as pipeline:
        for group in groups:
            pipeline.group(group, at - SECOND)
            pipeline.apply()
            pipeline.tick(at)
        keys = pipeline.table("runs").select("project", "run_key")

        def stored(h: Any) -> pl.DataFrame:
            children = [
                run_links.children(h, Places(h), one).with_columns(parent=pl.lit(one["run_key"][0]))
                for one in keys.iter_slices(1)
            ]
            expected = {row for row in h.rows(ALL_CHILDREN) if row[0] in keys["run_key"]}
            assert set(pl.concat(children).select("parent", "project", "run_key").rows()) == expected
            places = Places(h)
            return run_links.with_roots(h, places, run_links.parents(h, places, keys))

        rows = pipeline.database.reading(stored).select(Link._fields)
        expected = links(pipeline.table("spans").to_dicts(), pipeline.table("logs").to_dicts())
        told = pipeline.table("runs").select("run_key", "parent_run_id", "root_run_id", "run_id").rows()
    here = sorted(link for link in expected if link.run_key in keys["run_key"])
    made = {link.run_key: (link.parent_run_id, link.root_run_id) for link in here if link.root_run_id}
    assert {run: (parent, root) for run, parent, root, _ in told} == {
        run: made.get(run, (None, run_id)) for run, _, _, run_id in told
    }
    return sorted(map(Link._make, rows.rows())), here


class Link(NamedTuple):
    """Who triggered a run, and the run at the top of its tree."""

    run_key: str
    parent_run_key: str
    parent_run_id: str
    source: str
    started_ns: int | None
    ended_ns: int | None
    waits: bool
    root_run_id: str | None
    """None: its trigger began after it, and did not make it."""


def links(spans: list[dict[str, Any]], logs: list[dict[str, Any]]) -> list[Link]:
    """Return the links that raw rows tell of, one by one and in no clever way."""

    def named(row: dict[str, Any], run_id: str) -> str:
        return run_key(row["project"], row["dialect"], row["environment"], "", run_id)

    records = [row for row in (*spans, *logs) if row["run_key"]]
    edges: dict[tuple[str, str], list[Link]] = {}

    def edge(child: str, link: Link) -> None:
        if child != link.parent_run_key:
            edges.setdefault((child, link.parent_run_key), []).append(link._replace(run_key=child))

    for row in records:
        if parent := row["parent_run_id"]:
            edge(row["run_key"], Link("", named(row, parent), parent, "measured", None, None, False, ""))
    for row in spans:
        if not row["run_key"] or row["span_type"] not in ("trigger", "wait"):
            continue
        start = row["start_time_unix_nano"]
        end = None if row["is_partial"] else start + row["duration_ns"]
        waits = row["wait_kind"] in ("child", "batch")
        link = Link("", row["run_key"], row["run_id"], "derived", start, end, waits, "")
        if row["child_run_id"]:
            edge(named(row, row["child_run_id"]), link)
        for member in records:
            if row["child_batch_id"] and member["batch_id"] == row["child_batch_id"]:
                edge(member["run_key"], link)
    seen: dict[str, int] = {}
    for row in records:
        at = row["start_time_unix_nano"] if "kind" in row else row["time_unix_nano"]
        seen[row["run_key"]] = min(seen.get(row["run_key"], at), at)
    keyed = {row["run_key"] for row in records if row["idempotency_key"]}

    def made(link: Link) -> bool:
        if link.source == "measured" or link.started_ns is None or link.run_key not in seen:
            return True
        return link.started_ns - seen[link.run_key] <= (10 if link.run_key in keyed else 600) * SECOND

    first: dict[str, Link] = {}
    for (child, _), parts in edges.items():
        link = parts[0]._replace(
            source=max(link.source for link in parts),
            waits=any(link.waits for link in parts),
            started_ns=min((link.started_ns for link in parts if link.started_ns is not None), default=None),
            ended_ns=max((link.ended_ns for link in parts if link.ended_ns is not None), default=None),
        )
        first[child] = min(first.get(child, link), link, key=_earliest)
    makers = {child: link for child, link in first.items() if made(link)}
    ended = []
    for child, link in first.items():
        top = link
        for _ in range(64):
            top = makers.get(top.parent_run_key, top)
        ended.append(link._replace(root_run_id=top.parent_run_id if child in makers else None))
    return ended


def _earliest(link: Link) -> tuple[bool, bool, int, str]:
    """What the child says of its parent wins; else the earliest trigger does."""
    return link.source != "measured", link.started_ns is None, link.started_ns or 0, link.parent_run_key


@st.composite
def trees(draw: st.DrawFn) -> list[Recorded]:
    """Return spans and logs of runs that trigger each other, alone and in batches, or name their parents."""
    spans: list[dict[str, Any]] = []
    logs: list[dict[str, Any]] = []
    for run in RUNS:
        batch = draw(st.sampled_from([None, *BATCHES]))
        context = {"ctx.batch.id": batch} if batch else {}
        context |= draw(st.sampled_from([{}, {"ctx.run.idempotencyKey": "k"}]))
        parent = draw(st.sampled_from([None, *RUNS]))
        spans.append(attempt(1, 0, 9, run=run, context=context))
        logs.append(log("order_charge_started", 1, run=run, runner="trigger", context=context))
        if parent:
            logs.append(log("order_charge_started", 1, run=f"own-{run}", parent_run_id=f"own-{parent}"))
        else:
            logs.append(log("order_charge_started", 1, run=f"own-{run}"))
    for _ in range(draw(st.integers(0, 8))):
        parent, child = draw(st.sampled_from(RUNS)), draw(st.sampled_from(RUNS))
        start = draw(st.integers(0, 5) | st.sampled_from([10, 11, 600, 601]))
        end = start + draw(st.integers(0, 4))
        if draw(st.booleans()):
            keys = {"child_run_id": f"own-{child}"}
            spans.append(span("queue", start, end, run=None, runner="generic", kind=4, keys=keys))
            spans[-1]["attributes"]["run_id"] = f"own-{parent}"
        elif draw(st.booleans()):
            spans.append(trigger(start, end, child, run=parent, waits=draw(st.booleans())))
        else:
            keys = {"$style.icon": "trigger", "batchId": draw(st.sampled_from(BATCHES)), "runCount": 2}
            name = draw(st.sampled_from(["batchTrigger()", "batchTriggerAndWait()"]))
            spans.append(span(name, start, end, run=parent, kind=4, keys=keys))
    unique = {(s["trace_id"], s["span_id"]): s for s in spans}
    made = [Recorded(signal, "json", body) for signal, body in requests(logs, unique.values())]
    return draw(st.permutations(made))


@settings(max_examples=examples(2), deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(trees(), st.integers(1, 3))
def test_the_store_tells_the_links_that_its_records_tell(records: list[Recorded], parts: int) -> None:
    """Whatever triggers what, in whatever order it arrives: parent, root, times and waiting are what all rows say."""
    size = -(-len(records) // parts)
    stored, expected = both_links([records[at : at + size] for at in range(0, len(records), size)], AFTER)
    assert stored == expected


@pytest.mark.parametrize("name", SETS)
def test_links_of_a_recorded_set_are_what_its_records_tell(name: str) -> None:
    """Where spans are recorded, some; without spans nothing tells of any."""
    stored, expected = both_links([recorded(name)], 1_795_900_000 * SECOND)
    assert stored == expected
    assert bool(stored) == (name != "old-exporter-0.57.2-json")


def test_what_is_below_a_run_follows_it_to_another_root() -> None:
    """A late record shows that a run was there before its trigger: it is the root of its children then."""
    key = {"ctx.run.idempotencyKey": "k"}
    handed = [attempt(1, 15, 50, run="above"), trigger(20, 21, "handed", run="above")]
    below = [trigger(30, 31, "below", run="handed", context=key), attempt(1, 32, 40, run="below")]
    late = [attempt(1, 1, 40, run="handed", context=key)]
    first, second = ([Recorded(s, "json", body) for s, body in requests([], spans)] for spans in (handed + below, late))
    for groups in ([first, second], [second, first]):
        stored, expected = both_links(groups, AFTER)
        assert stored == expected
        assert sorted((link.parent_run_id, link.root_run_id) for link in stored) == [
            ("above", None),
            ("handed", "handed"),
        ]


def test_a_run_is_among_the_children_of_who_made_it_alone(tmp_path: Path) -> None:
    """One that was there already, and was handed over by its idempotency key, is a child of nobody it was handed to."""
    key = {"ctx.run.idempotencyKey": "k"}
    spans = [
        *(attempt(1, 100 * n, 100 * n + 50, run=run) for n, run in enumerate(("first", "second"))),
        *(trigger(100 * n + 10, 100 * n + 20, "made", run=run) for n, run in enumerate(("first", "second"))),
        trigger(115, 116, "handed", run="second"),
        attempt(1, 15, 40, run="made", context=key),
        attempt(1, 5, 40, run="handed", context=key),
    ]
    with Pipeline(tmp_path) as pipeline:
        pipeline.group([Recorded(s, "json", body) for s, body in requests([], spans)], AFTER - SECOND)
        pipeline.apply()
        pipeline.tick(AFTER)
        for run, expected in (("first", ["made"]), ("second", [])):
            page = pipeline.database.reading(lambda h, run=run: run_page.find(h, "default", run, None))
            assert page is not None
            assert page.pages["children"].rows["run_id"].to_pylist() == expected
        parents = dict(pipeline.table("runs").select("run_id", "parent_run_id").rows())
    assert parents == {"first": None, "second": None, "made": "first", "handed": None}
