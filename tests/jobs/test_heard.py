"""Logs that name a run in a body or a map only belong to one whose records name it by keys of their own."""

from __future__ import annotations

import json
from collections.abc import Iterator
from itertools import permutations
from typing import Any

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from polars.testing import assert_frame_equal

from collector.cli.recordings import Recorded
from collector.model.signals import BY_NAME
from collector.settings import Store
from collector.store import weights
from collector.store.database import Database
from tests.inprocess import KEPT, SECOND, canonical
from tests.jobs.histories import RUNS, T0, plain
from tests.jobs.test_any_order import AS_OF, OFTEN, Replays, Tables
from tests.length import longer

_OWN = st.lists(plain(("own",)), min_size=1, max_size=8)
_HEARD = st.lists(plain(("body", "extra"), logs=True), min_size=1, max_size=8)
_COUNTS = ("log_count", "coverage", "last_seq", "first_seq")
_SOURCES = pl.selectors.ends_with("_source")


@pytest.fixture(scope="module")
def replays(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Replays]:
    """Open one store for all examples."""
    database = Database.open(tmp_path_factory.mktemp("heard"), Store(threads=1), on_fatal=lambda e: None)
    yield Replays(database)
    database.close()


def told(tables: Tables, runs: set[str], *, with_logs: bool = False) -> Tables:
    """Return what is told of some *runs*, without how many logs they have."""
    left_out = () if with_logs else _COUNTS
    return {n: canonical(tables[n].filter(pl.col("run_id").is_in(runs)).drop(left_out, strict=False)) for n in KEPT}


@settings(OFTEN, max_examples=longer("properties", 4, 60))
@given(own=_OWN, heard=_HEARD, as_of_ns=st.sampled_from(AS_OF))
def test_a_run_that_is_told_is_not_changed_by_hearsay(
    replays: Replays, own: list[Recorded], heard: list[Recorded], as_of_ns: int
) -> None:
    """Nor are runs that only hearsay tells by those; each log of it is counted with its run, and what it alone tells is
    inferred."""
    before = replays.play([own], [as_of_ns])
    only = replays.play([heard], [as_of_ns])
    both = replays.play([[*own, *heard]], [as_of_ns])
    mine = set(before["runs"]["run_id"])
    for name in KEPT:
        assert_frame_equal(told(before, mine)[name], told(both, mine)[name])
        assert_frame_equal(
            told(only, set(RUNS) - mine, with_logs=True)[name], told(both, set(RUNS) - mine, with_logs=True)[name]
        )
    logs = [frame.group_by("run_id").agg(pl.col("log_count").sum()) for frame in (before["runs"], only["runs"])]
    together = both["runs"].group_by("run_id").agg(pl.col("log_count").sum()).sort("run_id")
    assert pl.concat(logs).group_by("run_id").agg(pl.col("log_count").sum()).sort("run_id").equals(together)
    for name in ("runs", "attempts"):
        sources = only[name].select(_SOURCES)
        assert all(set(column.drop_nulls()) <= {"inferred", "unknown"} for column in sources)


SPAN = {"traceId": "0" * 31 + "7", "spanId": "0" * 15 + "7"}


def _request(signal: str, record: dict[str, Any]) -> Recorded:
    outer, middle, inner = ("Logs", "Logs", "logRecords") if signal == "logs" else ("Spans", "Spans", "spans")
    body = {f"resource{outer}": [{f"scope{middle}": [{inner: [record]}]}]}
    return Recorded(BY_NAME[signal], "json", json.dumps(body).encode())


def _pairs(**values: str) -> list[dict[str, Any]]:
    return [{"key": key, "value": {"stringValue": value}} for key, value in values.items()]


def _map(**values: str) -> dict[str, Any]:
    return {"kvlistValue": {"values": _pairs(**values)}}


def in_span(second: int, **log: Any) -> Recorded:
    """Return a log that stands in the span of run r."""
    return _request("logs", {**SPAN, "timeUnixNano": str(T0 + second * SECOND), "attributes": [], **log})


AROUND = _request(
    "traces",
    {
        **{**SPAN, "name": "job", "kind": 1, "parentSpanId": "0" * 15 + "1", "status": {"code": 0}},
        **{"startTimeUnixNano": str(T0), "endTimeUnixNano": str(T0 + 9 * SECOND), "attributes": _pairs(run_id="r")},
    },
)
ITS_OWN = [
    in_span(
        at,
        body={"stringValue": f"order_charge_{phase}"},
        attributes=[{"key": "extra", "value": _map(run_id="r", task_id="charge")}],
    )
    for at, phase in ((1, "started"), (8, "completed"))
]
STRANGERS = [
    in_span(2, body=_map(message="order_charge_failed", run_id="victim", task_id="evil", attempt="7")),
    in_span(
        3,
        body={"stringValue": "hello"},
        attributes=[{"key": "context", "value": _map(run_id="victim", task_id="evil", attempt="7")}],
    ),
]


@pytest.mark.parametrize("order", range(6))
def test_a_log_in_a_span_is_that_of_the_spans_run(replays: Replays, order: int) -> None:
    """Whichever of them came first: it tells that run, as what names it does, and no other."""
    records = [*permutations([[AROUND], ITS_OWN, STRANGERS])][order]
    of = replays.play(records, [AS_OF[-1]] * 3)
    run = of["runs"].row(0, named=True)
    assert of["runs"]["run_id"].to_list() == ["r"]
    assert (run["status"], run["status_source"], run["task_id"]) == ("completed", "phase", "charge")
    assert (run["attempt_count"], run["log_count"], run["coverage"]) == (1, 4, "spans+logs")


def test_masses_of_hearsay_leave_room_for_what_counts(replays: Replays, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of a run that is too heavy to be read whole, they are what is not read."""
    monkeypatch.setattr(weights, "MOST_OF_RUN", 20_000)
    pad = _map(message="job_completed", run_id="r", pad="x" * 1_000)
    heavy = [
        _request("logs", {"timeUnixNano": str(T0 + i * SECOND // 10), "body": pad, "attributes": []}) for i in range(60)
    ]
    started = _request(
        "logs",
        {
            "timeUnixNano": str(T0 + 3 * SECOND),
            "body": {"stringValue": "job_started"},
            "attributes": _pairs(run_id="r", attempt="1"),
        },
    )
    of = replays.play([heavy[:30], [started], heavy[30:]], [0, 0, AS_OF[1]])
    assert of["runs"].select("status", "started_source", "task_id").row(0) == ("running", "derived", "job")
