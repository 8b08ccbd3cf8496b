"""Two projects of a platform whose tasks and queues have the same names: what is told of one is told of it alone."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from hashlib import blake2b
from typing import Any

import polars as pl
import pytest

from collector.api import stats
from collector.settings import QueueOverride, Queues, Settings
from tests.jobs.test_field_runs import Told

Sent = dict[str, Any]
RUNS, EVERY_S, LASTS_S = 6, 100, 60
SETTINGS = Queues(limits={"mail": 1})
NOW_NS = 1_790_037_000 * 10**9
"""Half past an hour, UTC."""


def attempt(project: str | None, run: str, at_s: float, *, lasts_s: float = LASTS_S, failed: bool = False) -> Sent:
    """Return the span of the only attempt of a Trigger.dev run of *project*, in the queue mail."""
    context = {"ctx.run.id": run, "ctx.attempt.number": 1, "ctx.task.id": "send-mail", "ctx.queue.name": "mail"}
    named = {"$span.attempt": True, **{f"$metadata.{k}": v for k, v in context.items()}}
    about = {"$trigger": True, "ctx.environment.type": "PRODUCTION", "ctx.project.ref": project}
    ids = blake2b(run.encode(), digest_size=16).hexdigest()
    span = {"traceId": ids, "spanId": ids[:16], "name": "Attempt 1", "kind": 1}
    span |= {"startTimeUnixNano": f"@{at_s}", "endTimeUnixNano": f"@{at_s + lasts_s}", "attributes": _attributes(named)}
    span |= {"status": {"code": 2 if failed else 1}}
    block = {"resource": {"attributes": _attributes(about)}, "scopeSpans": [{"spans": [span]}]}
    return {"path": "/v1/traces", "body": {"resourceSpans": [block]}}


def _attributes(named: dict[str, Any]) -> list[dict[str, Any]]:
    kinds = {str: "stringValue", int: "intValue", bool: "boolValue"}
    return [{"key": k, "value": {kinds[type(v)]: v}} for k, v in named.items() if v is not None]


def of_project(project: str, *, failed: int = 0) -> list[Sent]:
    """Return six runs, one after the other, the first *failed* of which failed."""
    return [attempt(project, f"run_{project}{n}", -9000 + n * EVERY_S, failed=n < failed) for n in range(RUNS)]


X, Y = of_project("x", failed=3), of_project("y")
"""They overlap between the projects only."""


@pytest.fixture(scope="module")
def told(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[..., Told]]:
    """Return what tells requests to a store, all in one."""
    stores: list[Told] = []

    def tell(sent: list[Sent], queues: Queues = SETTINGS) -> Told:
        stores.append(Told(tmp_path_factory.mktemp("told"), Settings(queues=queues)))
        stores[-1].now_ns = NOW_NS
        stores[-1].send(sent)
        stores[-1].settle()
        return stores[-1]

    yield tell
    for store in stores:
        store.close()


@pytest.fixture(scope="module")
def both(told: Callable[..., Told]) -> Told:
    """Return a store of the runs of both projects."""
    return told([*X, *Y])


def rows(told: Told, name: str, **asked: str) -> list[dict[str, Any]]:
    """Return the rows of a statistic over three hours."""
    span = {"as_of": str(told.now_ns), "from": "3h"}
    answer = told.api.get(f"/api/v1/stats/{name}", params={**span, **asked})
    assert answer.status_code == 200, answer.text
    found: list[dict[str, Any]] = answer.json()
    return found


def values(told: Told, name: str, measure: str, statistic: str, **asked: str) -> dict[str | None, Any]:
    """Return one number of each project."""
    found = [r for r in rows(told, name, **asked) if (r["measure"], r["statistic"]) == (measure, statistic)]
    assert len({r["platform_project"] for r in found}) == len(found)
    return {r["platform_project"]: r["value"] for r in found}


def test_two_queues_of_one_name_are_two_rows_and_neither_is_over_its_limit(both: Told) -> None:
    """Each had one slot held at most, no time over its limit, and the limit is stated for both."""
    assert values(both, "queues", "level", "peak") == {"x": 1.0, "y": 1.0}
    assert values(both, "queues", "over_limit", "share") == {"x": 0.0, "y": 0.0}
    assert values(both, "queues", "limit", "max") == {"x": 1.0, "y": 1.0}


def test_attempts_of_two_projects_never_overlap(both: Told) -> None:
    """No finding says that a queue of one slot was held twice; within one project it does."""
    found = both.api.get("/api/v1/findings", params={"since": "0"}).json()["findings"]
    assert not [f for f in found if f["code"] == "CON003"]


def test_rates_of_tasks_are_apart_and_added_up_where_that_is_asked(both: Told) -> None:
    """Three of six runs of x failed and none of y; without a project to group by it is three of twelve."""
    assert values(both, "retries", "run_failure_rate", "share") == {"x": 0.5, "y": 0.0}
    (together,) = [r for r in rows(both, "retries", by="task_id") if r["measure"] == "run_failure_rate"]
    assert (together["value"], together["n"]) == (0.25, 12)


@pytest.mark.parametrize("name", stats.STATISTICS)
def test_what_is_told_of_a_project_is_what_is_told_of_it_alone(name: str, both: Told, alone: dict[str, Told]) -> None:
    """Every statistic has the same rows for x beside y as without y, chosen or picked out of all; so has y."""
    for project, store in alone.items():
        # The last bit of a root depends on how many are taken at one time.
        expected = [
            {k: pytest.approx(v) if isinstance(v, float) else v for k, v in r.items()} for r in rows(store, name)
        ]
        assert rows(both, name, platform_project=project) == expected
        assert [r for r in rows(both, name) if r["platform_project"] == project] == expected


@pytest.fixture(scope="module")
def alone(told: Callable[..., Told]) -> dict[str, Told]:
    """Return a store of the runs of each project."""
    return {project: told(sent) for project, sent in (("x", X), ("y", Y))}


def test_runs_are_listed_by_project(both: Told) -> None:
    """A run says its project, and a list may be of one project alone."""
    answer = both.api.get("/api/v1/runs", params={"platform_project": "y"}).json()
    assert answer["total"] == RUNS
    assert {r["platform_project"] for r in answer["runs"]} == {"y"}


def test_the_limit_of_one_project_judges_its_attempts_alone(told: Callable[..., Told]) -> None:
    """Attempts of y that overlap break the limit of one slot that y has; those of x, which has two, do not."""
    sent = [attempt(p, f"run_{p}{n}", -9000 + 20 * n) for p in "xy" for n in range(2)]
    overrides = (QueueOverride(queue="mail", platform_project="y", limit=1),)
    store = told(sent, Queues(limits={"mail": 2}, overrides=overrides))
    assert values(store, "queues", "limit", "max") == {"x": 2.0, "y": 1.0}
    of = {p: store.api.get("/api/v1/findings", params={"since": "0", "platform_project": p}).json() for p in "xy"}
    broken = {p: [f["code"] for f in found["findings"] if f["code"].startswith("CON")] for p, found in of.items()}
    assert broken == {"x": [], "y": ["CON003"]}


def test_limits_are_inferred_for_each_project(told: Callable[..., Told]) -> None:
    """A queue that is full with one slot in x and with two in y has the limit 1 there and 2 here."""
    sent = [
        attempt(project, f"run_{project}{slot}-{burst}-{n}", -3000 + burst * 500 + slot * 7 + n * 20.05, lasts_s=20)
        for project, slots in (("x", 1), ("y", 2))
        for slot in range(slots)
        for burst in range(4)
        for n in range(8)
    ]
    store = told(sent, Queues())
    found = store.database.reading(lambda h: h.frame('SELECT platform_project, "limit", source FROM queue_limits'))
    assert found.sort("platform_project").rows() == [("x", 1, "inferred"), ("y", 2, "inferred")]


def test_a_run_that_only_a_trigger_names_is_of_its_parents_project(told: Callable[..., Told]) -> None:
    """It counts as queued there."""
    parent = attempt("x", "run_parent", -100)
    (block,) = parent["body"]["resourceSpans"]
    own = block["scopeSpans"][0]["spans"][0]
    icon = {"$style.icon": "trigger", "runId": "run_child", "$style.accessory.items.[0].text": "send-mail"}
    named = [a for a in own["attributes"] if a["key"] != "$span.attempt"] + _attributes(icon)
    trigger = {**own, "spanId": "b" * 16, "parentSpanId": own["spanId"], "name": "trigger()", "attributes": named}
    block["scopeSpans"][0]["spans"].append(trigger)
    store = told([parent])
    found: pl.DataFrame = store.database.reading(
        lambda h: h.frame("SELECT run_id, status, platform_project FROM runs ORDER BY run_id")
    )
    assert found.rows() == [("run_child", "queued", "x"), ("run_parent", "completed", "x")]
