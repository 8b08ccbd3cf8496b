"""What people see of a store in trouble: on the Overview, and on the page of a run that was set aside."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any

import pytest
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest

from collector.cli.recordings import Recorded
from collector.model.signals import BY_NAME
from dashboard.parts import attention, trouble
from tests.dashboard.conftest import Open
from tests.dashboard.test_pages import said
from tests.inprocess import Pipeline
from tests.ops.doctors import StandIn, standing_in

pytestmark = pytest.mark.e2e
WHY = "InvalidOperationError: :smile: [x](http://a.b) conversion\u202e"


def logs_of(run_id: str, at_ns: int) -> Recorded:
    """Return the logs of a run of a second."""
    request = ExportLogsServiceRequest()
    group = request.resource_logs.add().scope_logs.add()
    for offset_s, body in enumerate(("order_charge_started", "order_charge_completed")):
        record = group.log_records.add(time_unix_nano=at_ns + offset_s * 10**9)
        record.body.string_value = body
        for key, value in (("run_id", run_id), ("task_id", "charge")):
            record.attributes.add(key=key).value.string_value = value
    return Recorded(BY_NAME["logs"], "protobuf", request.SerializeToString())


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[StandIn]:
    """A store with two runs of two hours ago, one of which is set aside."""
    data = tmp_path_factory.mktemp("trouble") / "data"
    now_ns = time.time_ns()
    with Pipeline(data) as p:
        for run_id in ("run_good", "run_bad"):
            p.group([logs_of(run_id, now_ns - 2 * 3600 * 10**9)], now_ns)
        p.apply()
        p.tick(now_ns)
        p.database.writing(
            lambda h: h.run(
                "UPDATE runs SET status = 'unknown', set_aside = $why WHERE run_id = 'run_bad'", {"why": WHY}
            )
        )
    with standing_in(data) as made:
        yield made


def item(store: StandIn, run_id: str | None = "run_bad", **rest: Any) -> dict[str, Any]:
    """Return an item of `set_aside_items`."""
    key = store.ask("SELECT run_key FROM runs WHERE run_id = 'run_bad'")[0]["run_key"]
    made = {
        "stage": "runs",
        "kind": "run",
        "project": "default",
        "key": key,
        "run_id": run_id,
        "first_seq": 2,
        "last_seq": 2,
        "row": None,
        "reason": WHY,
        "since_ns": 0,
    }
    return {**made, **rest}


def test_the_overview_leads_to_what_was_set_aside(store: StandIn, app: Open) -> None:
    """A writer and a job that fail and a run that was set aside come first, with reason and number; the run leads to
    its page, which says why above everything else, and that of another run does not."""
    store.said = {
        "writer": "IOException: no space",
        "failing_jobs": {"retries": "MemoryError"},
        "set_aside_count": 7,
        "set_aside_items": [item(store)],
    }
    page = app(store.url)
    assert not page.exception
    words = said(page)
    for part in ("The store cannot write", "IOException", "Job retries fails", "MemoryError", "one of 7 set aside"):
        assert part in words
    assert "smile:" not in words.replace("\\:\u2060smile\\:", "")
    assert [b.label for b in page.button if "set aside" in b.label] == ["Run run\\_bad is set aside"]
    next(b for b in page.button if "set aside" in b.label).click().run()
    page.run()
    assert not page.exception
    assert "This run could not be worked out" in said(page)
    assert "conversion" in said(page)
    good = app(store.url, "run", run_id="run_good")
    assert "This run could not" not in said(good)


def test_trouble_is_told_where_there_is_no_run(store: StandIn, app: Open) -> None:
    """Where the range has no run, what fails is shown above, since it may be why; a store that is well says nothing."""
    store.said = {"failing_jobs": {"calls": "MemoryError"}}
    page = app(store.url, range="1h")
    assert "No runs in this range" in said(page)
    assert "Job calls fails" in said(page)
    assert "Up to date" not in said(page)
    store.said = {}
    well = said(app(store.url, range="1h"))
    assert "Needs attention" not in well
    assert "Up to date" in well


def test_trouble_of_every_kind_is_an_item(store: StandIn) -> None:
    """Of each kind there is one before a second of any; what has no page leads nowhere, and counts alone are told."""
    many = {
        "writer": "x",
        "failing_jobs": {f"j{i}": "y" for i in range(9)},
        "set_aside_count": 60,
        "set_aside_items": [item(store, None, kind=kind, key="k") for kind in ("rule", "series")],
    }
    shown = attention.some_of_each(trouble.items(many))
    assert [i.title for i in shown][:2] == ["The store cannot write", "Job j0 fails"]
    assert {i.page for i in shown if i.rank[0] == -3} == {"conventions"}
    assert len(shown) == attention.MOST
    items = {
        (i.title, i.detail)
        for i in trouble.items(
            {
                "set_aside_items": [
                    item(store, None, kind=kind, key="k", stage=stage, reason="y")
                    for kind, stage in (
                        ("series", "durations"),
                        ("series", "limits"),
                        ("record", "applied"),
                    )
                ]
            }
        )
    }
    assert items == {
        ("Task k is set aside", "It is left out of durations: y; one of 3 set aside"),
        ("Queue k is set aside", "It is left out of limits: y; one of 3 set aside"),
        ("Record of k is set aside", "It could not be written: y; one of 3 set aside"),
    }
    (counted,) = trouble.items({"set_aside_count": 3})
    assert counted.title == "3 set aside"
    assert trouble.items({}) == trouble.items({"failing_jobs": {}, "writer": "", "set_aside_items": []}) == []
    assert trouble.unknown("no answer")[0].detail == "no answer"
