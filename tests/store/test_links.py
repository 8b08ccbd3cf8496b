"""Who triggered whom is the same told from records in memory and from what the store keeps as facts."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from collector.analyse import links
from collector.analyse.runs import LINKS
from collector.cli.recordings import Recorded
from collector.rules.cases import attempt, log, span, trigger
from collector.store import run_links
from collector.store.places import Places
from tests.inprocess import SECOND, SETS, Pipeline, recorded
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


def both(groups: list[list[Recorded]], at: int) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Return the links that records in memory tell of, and those of the store that got *groups* one by one.

    Looked up run by run, the store's children must be those that a read of all its links leads to.
    """
    with tempfile.TemporaryDirectory() as folder, Pipeline(Path(folder)) as pipeline:
        for group in groups:
            pipeline.group(group, at - SECOND)
            pipeline.apply()
            pipeline.tick(at)
        spans, logs = pipeline.table("spans"), pipeline.table("logs")
        keys = pipeline.table("runs").select("project", "run_key")

        def stored(h: Any) -> pl.DataFrame:
            found = [
                run_links.children(h, Places(h), one).with_columns(parent=pl.lit(one["run_key"][0]))
                for one in keys.iter_slices(1)
            ]
            expected = {row for row in h.rows(ALL_CHILDREN) if row[0] in keys["run_key"]}
            assert set(pl.concat(found).select("parent", "project", "run_key").rows()) == expected
            places = Places(h)
            return run_links.with_roots(h, places, run_links.parents(h, places, keys))

        kept = pipeline.database.reading(stored)
    told = links.find(spans, links.adopt(spans, logs)).join(keys, on=["project", "run_key"], how="semi")
    return ordered(told), ordered(kept)


def ordered(found: pl.DataFrame) -> pl.DataFrame:
    """Return links in the columns and order of memory."""
    return found.select(pl.col(name).cast(kind) for name, kind in LINKS.items()).sort("project", "run_key")


@st.composite
def trees(draw: st.DrawFn) -> list[Recorded]:
    """Return spans and logs of runs that trigger each other, alone and in batches, or name their parents."""
    spans: list[dict[str, Any]] = []
    logs: list[dict[str, Any]] = []
    for run in RUNS:
        batch = draw(st.sampled_from([None, *BATCHES]))
        context = {"ctx.batch.id": batch} if batch else {}
        parent = draw(st.sampled_from([None, *RUNS]))
        spans.append(attempt(1, 0, 9, run=run, context=context))
        logs.append(log("order_charge_started", 1, run=run, runner="trigger", context=context))
        if parent:
            logs.append(log("order_charge_started", 1, run=f"own-{run}", parent_run_id=f"own-{parent}"))
    for _ in range(draw(st.integers(0, 8))):
        parent, child = draw(st.sampled_from(RUNS)), draw(st.sampled_from(RUNS))
        start = draw(st.integers(0, 5))
        end = start + draw(st.integers(0, 4))
        if draw(st.booleans()):
            spans.append(trigger(start, end, child, run=parent, waits=draw(st.booleans())))
        else:
            keys = {"$style.icon": "trigger", "batchId": draw(st.sampled_from(BATCHES)), "runCount": 2}
            name = draw(st.sampled_from(["batchTrigger()", "batchTriggerAndWait()"]))
            spans.append(span(name, start, end, run=parent, kind=4, keys=keys))
    unique = {(s["trace_id"], s["span_id"]): s for s in spans}
    made = [Recorded(signal, "json", body) for signal, body in requests(logs, unique.values())]
    return draw(st.permutations(made))


@settings(max_examples=8, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(trees(), st.integers(1, 3))
def test_memory_and_store_tell_the_same_links(records: list[Recorded], parts: int) -> None:
    """Whatever triggers what, in whatever order it arrives: parent, root, times and waiting are the same."""
    size = -(-len(records) // parts)
    told, kept = both([records[at : at + size] for at in range(0, len(records), size)], AFTER)
    assert told.equals(kept), (told, kept)


@pytest.mark.parametrize("name", SETS)
def test_links_of_a_recorded_set_are_the_same(name: str) -> None:
    """The recorded sets' links are the same both ways; without spans nothing tells of any."""
    told, kept = both([recorded(name)], 1_795_900_000 * SECOND)
    assert told.equals(kept)
    assert (told.height > 0) == (name != "old-exporter-0.57.2-json")
