"""Which records make one run: told apart by what they state, joined where they leave something open."""

from __future__ import annotations

import random
from collections.abc import Iterator
from itertools import chain
from typing import Any

import pytest

from collector.model.identity import run_key
from collector.model.tables import PUBLIC
from collector.settings import Settings, Store
from collector.store import confined
from tests.inprocess import Pipeline
from tests.jobs.test_field_runs import Told

DAY = 86_400
Sent = dict[str, Any]


def _attributes(named: dict[str, Any]) -> list[dict[str, Any]]:
    kinds = {str: "stringValue", int: "intValue"}
    return [{"key": k.replace("__", "."), "value": {kinds[type(v)]: v}} for k, v in named.items()]


def log(at_s: float, body: str, run_id: str | int | None = None, *, service: str = "worker", **said: Any) -> Sent:
    """Return a request with a log that names its run and states more; `trace` is that of the span it stands in."""
    record: Sent = {"timeUnixNano": f"@{at_s}", "body": {"stringValue": body}}
    if trace := said.pop("trace", None):
        record |= {"traceId": trace * 32, "spanId": trace * 16}
    record["attributes"] = _attributes({**({"run_id": run_id} if run_id is not None else {}), **said})
    resource = {"attributes": _attributes({"service__name": service})}
    return {
        "path": "/v1/logs",
        "body": {"resourceLogs": [{"resource": resource, "scopeLogs": [{"logRecords": [record]}]}]},
    }


def span(at_s: float, until_s: float, trace: str, run_id: str, **said: Any) -> Sent:
    """Return a request with a span of a run, of service worker."""
    record = {"traceId": trace * 32, "spanId": trace * 16, "name": "work", "kind": 5}
    record |= {"startTimeUnixNano": f"@{at_s}", "endTimeUnixNano": f"@{until_s}"}
    record |= {"attributes": _attributes({"run_id": run_id, **said})}
    resource = {"attributes": _attributes({"service__name": "worker"})}
    return {
        "path": "/v1/traces",
        "body": {"resourceSpans": [{"resource": resource, "scopeSpans": [{"spans": [record]}]}]},
    }


def job(at_s: float, run_id: str | int, end: str = "completed", **said: Any) -> list[Sent]:
    """Return a job's first and last record."""
    return [log(at_s, "job_work_started", run_id, **said), log(at_s + 10, f"job_work_{end}", run_id, **said)]


STORIES: dict[str, tuple[list[Sent], list[tuple[Any, ...]]]] = {
    "two queues number their jobs": (
        [*job(-1000, 1, queue="mail", attempt=1), *job(-990, 1, "failed", queue="pdf", attempt=1)],
        [("completed", "mail", None, 2, False), ("failed", "pdf", None, 2, False)],
    ),
    "two services number their jobs": (
        [*job(-1000, 2, service="mailer"), *job(-950, 2, "failed", service="press")],
        [("completed", None, None, 2, False), ("failed", None, None, 2, False)],
    ),
    "two environments, and what states none": (
        [
            *job(-1000, "id-3", environment="prod"),
            *job(-1000, "id-3", "failed", environment="staging"),
            log(-995, "page_read", "id-3"),
        ],
        [
            ("completed", None, "prod", 2, False),
            ("failed", None, "staging", 2, False),
            ("running", None, None, 1, True),
        ],
    ),
    "the environment on some records": (
        [log(-960, "job_work_started", "id-4", environment="prod"), log(-950, "job_work_completed", "id-4")],
        [("completed", None, "prod", 2, False)],
    ),
    "a run that moves between queues": (
        [*job(-1000, "id-5", "failed", queue="fast", attempt=1), *job(-980, "id-5", queue="slow", attempt=2)],
        [("completed", "fast", None, 4, False)],
    ),
    "the queue on some records of a number": (
        [
            *job(-1000, 6, queue="mail"),
            log(-995, "page_read", 6),
            log(-994, "page_read", 6, service="unknown_service:node"),
        ],
        [("completed", "mail", None, 4, False)],
    ),
    "a number of two queues, and what states none": (
        [*job(-1000, 7, queue="mail"), *job(-1000, 7, queue="pdf"), log(-995, "page_read", 7)],
        [("completed", "mail", None, 2, False), ("completed", "pdf", None, 2, False), ("running", None, None, 1, True)],
    ),
    "a number whose span and logs state different things": (
        [
            span(-1000, -990, "a", "8", queue="mail"),
            log(-995, "page_read", trace="a"),
            *job(-999, "8", environment="prod"),
        ],
        [("completed", "mail", "prod", 3, False)],
    ),
    "logs in spans of numbers that two queues gave": (
        [
            span(-1000, -990, "b", "16", queue="mail"),
            span(-1000, -990, "c", "16", queue="pdf"),
            *(log(-995, f"page_read_{trace}", "16", trace=trace) for trace in "bc"),
        ],
        [("completed", "mail", None, 1, False), ("completed", "pdf", None, 1, False)],
    ),
    "what one says of a run by two things and another by one": (
        [
            log(-1000, "job_enqueued", 17, service="unknown_service", queue="mail"),
            log(-999, "job_checked", 17, service="unknown_service", environment="prod"),
            log(-998, "job_work_started", 17, service="unknown_service", queue="mail", environment="prod"),
            *job(-980, 17, service="unknown_service", queue="pdf", environment="prod"),
            log(-960, "job_work_completed", 17, service="unknown_service", queue="mail", environment="prod"),
        ],
        [
            ("completed", "mail", "prod", 3, False),
            ("completed", "pdf", "prod", 2, False),
            ("running", None, "prod", 1, True),
        ],
    ),
    "a number that is given again after a week": (
        [*job(-20 * DAY, 9, attempt=1), *job(-10 * DAY, 9, "failed", attempt=1), *job(-DAY, 9, attempt=1)],
        [("completed", None, None, 2, False), ("failed", None, None, 2, False), ("completed", None, None, 2, False)],
    ),
    "a number that begins again within a week": (
        [*job(-8 * DAY, 10, attempt=1), *job(-2 * DAY, 10, attempt=1)],
        [("completed", None, None, 4, False)],
    ),
    "a number whose run was never over": (
        [log(-20 * DAY, "job_work_started", 11, attempt=1), *job(-2 * DAY, 11, attempt=1)],
        [("completed", None, None, 3, False)],
    ),
    "a number whose second attempt comes late": (
        [*job(-20 * DAY, 12, "failed", attempt=1), *job(-2 * DAY, 12, attempt=2)],
        [("completed", None, None, 4, False)],
    ),
    "a number of which only the end comes late": (
        [*job(-20 * DAY, 13, attempt=1), log(-2 * DAY, "job_work_completed", 13, attempt=1)],
        [("completed", None, None, 3, False)],
    ),
    "an id that is no number and begins again": (
        [*job(-20 * DAY, "id-14", attempt=1), *job(-2 * DAY, "id-14", attempt=1)],
        [("completed", None, None, 4, False)],
    ),
    "a number too long to be counted": (
        [*job(-1000, "1234567890123456", queue="mail"), log(-980, "page_read", "1234567890123456", queue="pdf")],
        [("completed", "mail", None, 3, False)],
    ),
    "a parent that a child names without its queue": (
        [*job(-1000, 15, queue="mail"), *job(-995, "child-of-15", parent_run_id="15")],
        [("completed", "mail", None, 2, False), ("completed", None, None, 2, False)],
    ),
}
"""Situation → what is sent, and its runs: status, queue, environment, log count, whether they are ambiguous."""


def ids(sent: list[Sent]) -> set[str]:
    """Return the run ids that requests name."""
    found = set()
    for request in sent:
        block = next(iter(request["body"].values()))[0]
        records = next(iter(next(v for k, v in block.items() if k.startswith("scope"))[0].values()))
        named = (a for record in records for a in record["attributes"] if a["key"] == "run_id")
        found |= {str(next(iter(a["value"].values()))) for a in named}
    return found


@pytest.fixture(scope="module", params=[1, *(pytest.param(n, marks=pytest.mark.long("properties")) for n in (0, 2))])
def told(tmp_path_factory: pytest.TempPathFactory, request: pytest.FixtureRequest) -> Iterator[Told]:
    """Every story in one store: as it was written, and shuffled, taken up now and then and partly sent twice."""
    made = Told(tmp_path_factory.mktemp("which"), Settings())
    sent = [*chain.from_iterable(sent for sent, _ in STORIES.values())]
    dice = random.Random(request.param)
    if request.param:
        dice.shuffle(sent)
        sent += dice.sample(sent, 10)
    for one in sent:
        made.send([one])
        if request.param and dice.random() < 0.1:
            made.settle()
    made.settle()
    yield made
    made.close()


@pytest.mark.parametrize("name", STORIES)
def test_a_run_is_told_of_the_records_that_agree(told: Told, name: str) -> None:
    """By environment, and where the id is a bare number by service and queue; what agrees with several stands alone."""
    sent, expected = STORIES[name]
    named = ", ".join(f"'{run_id}'" for run_id in ids(sent))
    rows = told.rows(
        {
            "sql": "SELECT status, queue, environment, log_count, ambiguous FROM runs "
            f"WHERE run_id IN ({named}) AND run_id IS NOT NULL"
        }
    )
    assert sorted(map(str, rows)) == sorted(str([*row]) for row in expected)


def test_the_key_of_a_run_joins_every_public_table(told: Told) -> None:
    """Whatever its records state: each key is that of a run of the same id, and as many logs and spans of records have
    it as the run counts, but for those that only stand in its spans."""

    def ask(sql: str) -> list[tuple[Any, ...]]:
        pipeline: Pipeline = told._pipeline
        selected = confined.select(pipeline.database, sql, project="default", limits=Store())
        return [tuple(row.values()) for row in selected.table.to_pylist()]

    keyed = [name for name, schema in PUBLIC.items() if "run_key" in schema.names]
    assert {"logs", "spans", "runs", "attempts", "phases", "waits"} <= {*keyed}
    for name in keyed:
        lost = f"SELECT * FROM {name} WHERE run_key IS NOT NULL AND run_key NOT IN (SELECT run_key FROM runs)"
        assert ask(lost) == []
        assert ask(f"SELECT 1 FROM {name} t JOIN runs r USING (run_key) WHERE t.run_id <> r.run_id") == []
    for name in ("log", "span"):
        assert (
            ask(
                f"SELECT run_id, run_key, {name}_count, n FROM runs LEFT JOIN (SELECT run_key, "
                f"count(DISTINCT (time, body)) AS n FROM {name}s GROUP BY 1) USING (run_key) "
                f"WHERE {name}_count <> coalesce(n, 0) AND span_count = 0".replace(
                    "body", "body" if name == "log" else "name"
                )
            )
            == []
        )


def test_links_from_before_open_the_run_they_meant(told: Told) -> None:
    """By the key that project, environment and id gave; of a number of two queues one of its runs. A key of nothing
    opens nothing."""
    for run_id, environment in (("id-4", None), ("id-4", "prod"), ("1", None), ("6", None)):
        key = run_key("default", "generic", environment, "", run_id)
        answer = told.api.get(f"/api/v1/runs/{run_id}", params={"run_key": key})
        assert answer.status_code == 200, run_id
        assert answer.json()["run"]["run_id"] == run_id
    assert told.api.get("/api/v1/runs/1", params={"run_key": "0" * 32}).status_code == 404


def test_a_page_shows_the_records_of_its_run_alone(told: Told) -> None:
    """Each run of a number that was given again, and of one of two queues, has its own logs, under its key."""
    for run_id, keys in (("9", 3), ("1", 2), ("7", 3)):
        runs = told.rows({"sql": f"SELECT run_key, log_count FROM runs WHERE run_id = '{run_id}'"})
        assert len(runs) == keys
        for key, count in runs:
            page = told.api.get(f"/api/v1/runs/{run_id}", params={"run_key": key}).json()
            assert len({(row["time"], row["body"]) for row in page["logs"]}) == count
            assert {row["run_key"] for row in page["logs"]} == {key}
            assert len(page["same_id"]) == keys


def test_a_child_knows_the_only_run_its_parent_can_be(told: Told) -> None:
    """Its parent's page lists it, and so does its own."""
    ((key,),) = told.rows({"sql": "SELECT run_key FROM runs WHERE run_id = '15'"})
    page = told.api.get("/api/v1/runs/15", params={"run_key": key}).json()
    assert [child["run_id"] for child in page["children"]] == ["child-of-15"]
    assert told.api.get("/api/v1/runs/child-of-15").json()["parent"]["run_key"] == key
