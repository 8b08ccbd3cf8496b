"""Figures that lead to the Runs page: what they count is what the list has."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import product
from typing import Any

import polars as pl
import pytest
from starlette.testclient import TestClient

from collector.api import routes
from collector.model.units import HOUR_NS, SECOND_NS
from collector.settings import Settings
from dashboard.data import RANGES
from dashboard.parts import attention, run_links, task_tables
from dashboard.parts.run_filters import BY_START, asked
from tests.analyse.story import T0, attempt, log
from tests.dashboard.conftest import NO_LEVELS, stored

AS_OF = T0 // HOUR_NS * HOUR_NS + 200 * HOUR_NS + 1_300 * SECOND_NS
POPULATIONS: list[dict[str, Any]] = [{}, {"environment": "DEVELOPMENT"}, {"is_test": True}, {"is_replay": True}]
_TEXTS = dict.fromkeys(("task_id", "platform_project", "outcome", "note"), pl.String)


def told() -> list[tuple[str, dict[str, Any]]]:
    """Return runs of every population that start on both sides of every edge, and end in every way."""
    edges = {edge for chosen in RANGES.values() for edge in (*chosen.window(AS_OF), *chosen.hours())}
    edges = {edge for edge in edges if edge < AS_OF} | {AS_OF - 200 * SECOND_NS}
    starts = [(edge - T0) / SECOND_NS + by for edge in sorted(edges) for by in (-1, 0)]
    now = (AS_OF - T0) / SECOND_NS
    records: list[tuple[str, dict[str, Any]]] = []
    for i, (start, about, kind) in enumerate(product(starts, POPULATIONS, range(5))):
        name, about = f"run {i}", {"task_id": f"task {int(kind > 3)}", "queue": "mail", **about}
        ended = start + 5
        if kind == 0:  # fell silent
            records.append(("logs", log(name, start, "mail_started", dialect="trigger_dev", attempt=1, **about)))
        elif kind == 1:  # failed a moment ago, however long ago it began
            records.append(("spans", attempt(name, 1, start, now - 60, failed=True, error_type="Boom", **about)))
        elif kind == 2:
            records.append(("spans", attempt(name, 1, start, ended, failed=True, error_type="Boom", **about)))
        else:
            records.append(("spans", attempt(name, 1, start, ended, failed=True, **about)))
            records.append(("spans", attempt(name, 2, ended + 1, ended + 2, failed=kind == 3, **about)))
    return records


@pytest.fixture(scope="module")
def api(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TestClient]:
    """Return the API over a store of these runs after all jobs."""
    with stored(tmp_path_factory.mktemp("figures"), told(), AS_OF) as (database, *_):
        yield TestClient(routes.application(database, Settings(), dict, str, bytes), raise_server_exceptions=False)


def rows(api: TestClient, path: str, **params: Any) -> Any:
    """Return an answer of the API, parameters that are None left out."""
    answer = api.get(path, params={k.rstrip("_"): str(v) for k, v in params.items() if v is not None})
    assert answer.status_code == 200, answer.text
    return answer.json()


def listed(api: TestClient, state: dict[str, Any], window: tuple[int, int], environment: str | None) -> int:
    """Return how many runs the Runs page lists for *state*."""
    filters = {
        k: str(v).lower() if isinstance(v, bool) else v
        for k, v in asked(state, window, {"environment": environment}).items()
    }
    total: int = rows(api, "/api/v1/runs", limit=0, **filters)["total"]
    return total


@pytest.mark.parametrize("environment", [None, "PRODUCTION", "DEVELOPMENT"])
@pytest.mark.parametrize("span", RANGES)
def test_what_needs_attention_leads_to_as_many_runs_as_it_says(
    api: TestClient, span: str, environment: str | None
) -> None:
    """On the Overview, in every range, of runs that began at its edges, of any population: counts are the list's."""
    chosen = RANGES[span]
    window = chosen.window(AS_OF)
    asked_ = {"from_ns": window[0], "to_ns": window[1], "environment": environment}
    (now,) = rows(api, f"/api/v1/query/page_totals{chosen.tables}", **asked_)
    counts = rows(api, f"/api/v1/query/page_tasks{chosen.tables}", bucket_ns=HOUR_NS, **asked_)
    where = {"by": "task_id,platform_project", "environment": environment, "as_of": AS_OF}
    told, before = (
        pl.DataFrame(
            rows(api, "/api/v1/stats/tasks", from_=a, to=b, **where), schema_overrides=_TEXTS, infer_schema_length=None
        )
        for a, b in (window, (2 * window[0] - window[1], window[0]))
    )
    named = pl.DataFrame(counts, schema_overrides={"platform_project": pl.String}, infer_schema_length=None)
    tasks = task_tables.labelled(task_tables.overview(named, told, before), "task")
    made = attention.items(now, tasks.with_columns(failure_before=None), NO_LEVELS, [], [])
    counted = [item for item in made if item.page == "runs"]
    assert [item.runs for item in counted] == [listed(api, item.state, window, environment) for item in counted]
    # Nobody falls silent so soon, and whether a task fails is known once its runs are too old to retry.
    assert len(counted) >= {"1h": 1, "7d": 3}.get(span, 2)
    assert (
        listed(api, BY_START, window, environment) == now["runs"] < listed(api, {"at": "active"}, window, environment)
    )


@pytest.mark.parametrize("span", RANGES)
def test_a_task_leads_to_the_runs_that_its_figures_count(api: TestClient, span: str) -> None:
    """On the Tasks page its runs are as many as were counted; some of them failed, some were retried.

    Rates leave out runs that are too young to tell.
    """
    window = RANGES[span].window(AS_OF)
    figures = rows(api, "/api/v1/stats/tasks", by="task_id", from_=window[0], as_of=AS_OF, to=window[1])
    number = {(r["task_id"], r["measure"], r["statistic"]): r for r in figures}
    links = {name: run_links.asked(name, task="task 0", **BY_START) for name in run_links.LINKS}
    all_, failed, retried, _ = (listed(api, state, window, None) for state in links.values())
    assert number["task 0", "runs", "count"]["value"] == all_ > failed
    assert number["task 0", "run_retry_rate", "share"]["n"] <= all_ >= retried
