"""Statistics over the API and on the command line: what may be asked, and what a number never comes without."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import httpx
import polars as pl
import pytest
from starlette.testclient import TestClient

from collector.api import client, routes, stats
from collector.cli.root import run
from collector.control import Control
from collector.jobs.runner import Runner
from collector.jobs.runs import RunsJob
from collector.settings import Settings, Store
from collector.store.database import Database
from collector.store.places import Memory
from tests.analyse.story import SECOND, T0, attempt
from tests.jobs.invented import store

AS_OF = T0 + 7200 * SECOND
NUMBER = ("measure", "statistic", "unit", "value", "n", "low", "high", "provenance", "coverage", "note")


@pytest.fixture(scope="module")
def api(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TestClient]:
    """Return a client of an API over three runs: completed at once, recovered by a retry, failed for good."""
    directory = tmp_path_factory.mktemp("stats")
    database = Database.open(directory, Store(threads=1), on_fatal=lambda: None)
    control = Control.open(directory)
    about = {"task_id": "send", "queue": "mail"}
    spans = [
        attempt("a", 1, 0, 10, **about),
        attempt("b", 1, 5, 8, failed=True, **about),
        attempt("b", 2, 12, 20, **about),
        attempt("c", 1, 30, 31, failed=True, error_type="AbortTaskRunError", version="7", **about),
    ]
    store(database, 1, [("spans", span) for span in spans])
    settings = Settings(data=directory)
    memory = Memory()
    RunsJob(database, settings.runs, memory).tick(AS_OF)
    runner = Runner(database, control, memory, settings)
    while runner.run(AS_OF):
        pass
    assert runner.errors == {}
    app = routes.application(database, settings, dict, str, bytes)
    yield TestClient(app, raise_server_exceptions=False)
    control.close()
    database.close()


def get(api: TestClient, path: str, **params: str) -> httpx.Response:
    """Return the answer to a question about the three hours before the store's time."""
    return api.get(path, params={"as_of": str(AS_OF), "from": "3h", **params})


def test_the_catalogue_lists_every_statistic_with_its_groups(api: TestClient) -> None:
    """`/api/v1/stats` names each statistic, what it says and what it can be grouped by."""
    listed = {s["name"]: s for s in api.get("/api/v1/stats").json()}
    assert set(listed) == set(stats.STATISTICS)
    assert all(s["description"] and s["groups"] for s in listed.values())


@pytest.mark.parametrize("name", stats.STATISTICS)
def test_every_statistic_answers_and_never_gives_a_number_without_its_basis(api: TestClient, name: str) -> None:
    """Each row of numbers has n, interval, provenance and coverage; an unknown value is null and says unknown."""
    answer = get(api, f"/api/v1/stats/{name}")
    assert answer.status_code == 200, answer.text
    for row in answer.json():
        if "measure" in row:
            assert set(NUMBER) <= set(row)
            assert (row["value"] is None) == (row["provenance"] == "unknown")


def test_rates_are_those_of_the_runs(api: TestClient) -> None:
    """Of three ended runs one retried and one failed: a third each, with a Wilson interval."""
    rows = {(r["measure"], r["statistic"]): r for r in get(api, "/api/v1/stats/retries", by="").json()}
    retried, failed = rows["run_retry_rate", "share"], rows["run_failure_rate", "share"]
    assert (retried["value"], retried["n"]) == (pytest.approx(1 / 3), 3)
    assert (failed["value"], failed["n"]) == (pytest.approx(1 / 3), 3)
    assert (round(retried["low"], 4), round(retried["high"], 4)) == (0.0615, 0.7923)
    assert rows["wasted_time", "total"]["value"] == 4 * SECOND


@pytest.mark.parametrize("name", ["retries", "failures", "throughput", "durations", "tasks"])
def test_numbers_may_be_of_one_version(api: TestClient, name: str) -> None:
    """`version` leaves the runs of all others out."""
    rows = [r for r in get(api, f"/api/v1/stats/{name}", by="version", version="7").json() if r["n"]]
    assert rows
    # Net arrivals rest on the run's arrival and on its end.
    assert {(r["version"], r["n"]) for r in rows if r.get("measure") != "net_arrivals"} == {("7", 1)}


@pytest.mark.parametrize(
    ("name", "params", "says"),
    [
        ("retries", {"colour": "red"}, "colour: no such parameter of retries; it takes from, to"),
        ("retries", {"by": "colour"}, "by: cannot group retries by 'colour'; there are task_id"),
        ("retries", {"from": "yesterday"}, "from: expected nanoseconds"),
        ("retries", {"population": "all of them"}, "population: expected one of live, replay, development, all"),
        ("retries", {"to": "1000h"}, "from: expected a time before `to`"),
        ("little", {"from": "9d"}, "from: the window is longer than two days"),
    ],
)
def test_a_wrong_parameter_is_named(api: TestClient, name: str, params: dict[str, str], says: str) -> None:
    """A parameter that is wrong gets 400 and one sentence that names it and what was expected."""
    answer = get(api, f"/api/v1/stats/{name}", **params)
    assert answer.status_code == 400
    assert answer.json()["error"].startswith(says)


def test_an_unknown_statistic_is_not_found(api: TestClient) -> None:
    """A name that is none gets 404 and the names there are."""
    answer = get(api, "/api/v1/stats/weather")
    assert answer.status_code == 404
    assert "there are tasks, retries" in answer.json()["error"]


def test_the_command_line_shows_and_explains_them(
    api: TestClient, capfdbinary: pytest.CaptureFixture[bytes], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """`runwell stats` prints a table, JSON or CSV, and --explain what each number means."""
    monkeypatch.setattr(client.httpx, "Client", lambda **given: api)
    window = ["--since", str(T0 - 3600 * SECOND), "--until", str(AS_OF), "--data", str(tmp_path)]
    assert run(["stats", "retries", *window, "--format", "json"]) == 0
    rows = json.loads(capfdbinary.readouterr().out)
    assert {"task_id", "measure", "value", "n", "provenance", "coverage"} <= set(rows[0])
    assert run(["stats", "failures", *window, "--format", "csv"]) == 0
    assert pl.read_csv(capfdbinary.readouterr().out)["failed"].to_list() == [1]
    assert run(["stats", "retries", *window, "--explain"]) == 0
    shown = capfdbinary.readouterr().out.decode()
    assert "33.3 %" in shown
    assert "run_retry_rate: Retry rate. Runs with more than one attempt among" in shown
