"""Distinct names are bounded: beyond the caps they count as `__other__`, and what was sent stays."""

from __future__ import annotations

import json
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from collector.decode import Accepted, Batch
from collector.decode.names import OTHER, Projects
from collector.model.signals import LOGS, TRACES
from collector.settings import Limits, Names
from tests.length import examples

NOW = 1_795_500_000 * 10**9
CAPS = Names(services=2, operations=3, tasks=2, attribute_keys=6)


def pair(key: str, value: str) -> dict[str, Any]:
    """Return an attribute."""
    return {"key": key, "value": {"stringValue": value}}


def logs(projects: Projects, *records: tuple[str, str], **attributes: str) -> tuple[list[dict[str, Any]], Accepted]:
    """Return rows of (service, body) records, services joined in, and what their sender is told."""
    pairs = [pair(k, v) for k, v in attributes.items()]
    blocks = [
        {
            "resource": {"attributes": [pair("service.name", service)]},
            "scopeLogs": [{"logRecords": [{"body": {"stringValue": body}, "attributes": pairs}]}],
        }
        for service, body in records
    ]
    batch = Batch(Limits(), projects)
    said = batch.add(LOGS, "json", json.dumps({"resourceLogs": blocks}).encode(), project="p", received_ns=NOW)
    tables = batch.tables()
    services = {r["resource_id"]: r for r in tables["resources"].to_pylist()}
    rows = [
        {
            **row,
            "service": services[row["resource_id"]]["service_name"],
            "resource": services[row["resource_id"]]["attributes"],
        }
        for row in tables["logs"].to_pylist()
    ]
    return rows, said


def test_services_beyond_the_cap() -> None:
    """A service too many is grouped as `__other__`, its resource keeps its name, and its sender is told."""
    projects = Projects(CAPS)
    rows, said = logs(projects, ("a", "x"), ("b", "x"), ("c", "x"), ("a", "y"))
    assert [row["service"] for row in rows] == ["a", "b", OTHER, "a"]
    assert json.loads(rows[2]["resource"]) == {"service.name": "c"}
    assert said.warnings["service_overflow"] == 1
    assert "names.services" in said.message
    assert said.rejected == 0


def test_operations_beyond_the_cap() -> None:
    """Pairs of service and operation are counted: one too many is `__other__`, its phase and body stay."""
    projects = Projects(CAPS)
    bodies = ["load_started", "load_completed", "save_started", "send_started", "ship_calling_dhl"]
    rows, said = logs(projects, *(("a", body) for body in bodies))
    assert [row["operation"] for row in rows] == ["load", "load", "save", "send", OTHER]
    assert (rows[4]["phase"], rows[4]["called_service"], rows[4]["body"]) == ("calling", "dhl", "ship_calling_dhl")
    assert said.warnings["operation_overflow"] == 1
    rows, _ = logs(projects, ("b", "load_started"))
    assert rows[0]["operation"] == OTHER


def test_tasks_beyond_the_cap() -> None:
    """A task too many is `__other__`; its run keeps its identity and its attributes the name."""
    projects = Projects(CAPS)
    keys = set()
    for task in ("one", "two", "three"):
        (row,), said = logs(projects, ("a", "x"), task_id=task, run_id=f"run_{task}")
        keys.add(row["run_key"])
    assert row["task_id"] == OTHER
    assert json.loads(row["attributes"])["task_id"] == "three"
    assert said.warnings["task_overflow"] == 1
    assert len(keys) == 3


def test_tasks_named_by_their_parents_count_too() -> None:
    """A child's task, which its parent's span names, is bounded like one that a run names itself."""
    projects = Projects(CAPS)
    spans = [
        {
            "traceId": "1" * 32,
            "spanId": f"{i:016x}",
            "name": "trigger",
            "kind": 4,
            "attributes": [pair("span_type", "trigger"), pair("child_run_id", f"r{i}"), pair("child_task_id", task)],
        }
        for i, task in enumerate(("one", "two", "three"), 1)
    ]
    batch = Batch(Limits(), projects)
    body = json.dumps({"resourceSpans": [{"scopeSpans": [{"spans": spans}]}]}).encode()
    said = batch.add(TRACES, "json", body, project="p", received_ns=NOW)
    assert [row["child_task_id"] for row in batch.tables()["spans"].to_pylist()] == ["one", "two", OTHER]
    assert said.warnings["task_overflow"] == 1


def test_attribute_keys_beyond_the_cap() -> None:
    """Keys too many are kept like others, counted, and their sender is asked whether an id is in a key."""
    projects = Projects(CAPS)
    (row,), said = logs(projects, ("a", "x"), **{f"k{i}": "v" for i in range(9)})
    assert len(json.loads(row["attributes"])) == 9
    assert said.warnings["key_overflow"] == 1
    assert "is there an id in a key?" in said.message
    assert projects.counts()["key"] == 6


def test_projects_do_not_share_their_room() -> None:
    """What fills one project's caps takes nothing from another's."""
    projects = Projects(CAPS)
    for name in ("a", "b", "c"):
        projects.of("p").one("service", "", name)
    assert not projects.of("p").one("service", "", "d")
    assert projects.of("q").one("service", "", "d")


def test_the_same_names_are_kept_after_a_restart() -> None:
    """Names read back are those kept apart, and no more are taken up than before."""
    projects = Projects(CAPS)
    logs(projects, ("a", "x"), ("b", "x"))
    again = Projects(CAPS, projects.fresh())
    rows, _ = logs(again, ("c", "x"), ("b", "x"))
    assert [row["service"] for row in rows] == [OTHER, "b"]
    assert projects.fresh() == []


@settings(deadline=None, max_examples=examples(50))
@given(st.lists(st.tuples(st.text(max_size=400), st.text(max_size=400)), max_size=40))
def test_memory_is_bounded_whatever_is_sent(names: list[tuple[str, str]]) -> None:
    """No more names than the caps are ever held, none longer than 256 characters, and none is lost from its row."""
    projects = Projects(CAPS)
    for service, name in names:
        spans = [{"traceId": "1" * 32, "spanId": "2" * 16, "name": f"{name}_started"}]
        block = {"resource": {"attributes": [pair("service.name", service)]}, "scopeSpans": [{"spans": spans}]}
        batch = Batch(Limits(), projects)
        body = json.dumps({"resourceSpans": [block]}).encode()
        batch.add(TRACES, "json", body, project="p", received_ns=NOW)
        (row,) = batch.tables()["spans"].to_pylist()
        assert row["name"] == f"{name}_started"
    counts = projects.counts()
    assert all(counts[kind] <= most for kind, most in (("service", 2), ("operation", 3), ("task", 2), ("key", 6)))
    assert all(len(name) <= 256 for *_, name in projects.fresh())
