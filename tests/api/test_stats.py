"""Statistics over the API and on the command line: what may be asked, and what a number never comes without."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, get_args

import httpx
import polars as pl
import pytest
from polars.testing import assert_frame_equal
from starlette.testclient import TestClient

from collector import client
from collector.analyse import percentiles, retries, throughput
from collector.api import endpoints, question, routes, stats
from collector.api.question import Basis
from collector.cli.root import run
from collector.cli.stats import Name
from collector.control import Control
from collector.jobs.runner import Runner
from collector.jobs.runs import RunsJob
from collector.model.shown import populations
from collector.model.units import HOUR_NS
from collector.settings import Settings, Store
from collector.store.database import Database
from collector.store.handle import Handle
from collector.store.places import Memory
from tests.analyse.story import SECOND, T0, attempt, span
from tests.jobs.invented import store

AS_OF = T0 + 7200 * SECOND
NUMBER = ("measure", "statistic", "unit", "value", "n", "low", "high", "provenance", "coverage", "note")


@pytest.fixture(scope="module")
def database(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Database]:
    """Return a store of three runs: completed at once, recovered by a retry, failed for good."""
    about = {"task_id": "send", "queue": "mail"}
    spans = [
        attempt("a", 1, 0, 10, **about),
        attempt("b", 1, 5, 8, failed=True, **about),
        attempt("b", 2, 12, 20, **about),
        attempt("c", 1, 30, 31, failed=True, error_type="AbortTaskRunError", version="7", parent_run_id="b", **about),
    ]
    with stored(tmp_path_factory.mktemp("stats"), spans) as database:
        yield database


@contextmanager
def stored(directory: Path, spans: list[dict[str, Any]]) -> Iterator[Database]:
    """Yield a store of these spans after all jobs."""
    database = Database.open(directory, Store(threads=1), on_fatal=lambda e: None)
    control = Control.open(directory)
    store(database, 1, [("spans", span) for span in spans])
    settings = Settings(data=directory)
    memory = Memory()
    RunsJob(database, settings.runs, memory).tick(AS_OF)
    runner = Runner(database, control, memory, settings)
    while runner.run(AS_OF):
        pass
    assert runner.errors == {}
    yield database
    control.close()
    database.close()


@pytest.fixture(scope="module")
def api(database: Database) -> TestClient:
    """Return a client of an API over that store."""
    app = routes.application(database, Settings(), dict, str, bytes)
    return TestClient(app, raise_server_exceptions=False)


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


@pytest.mark.parametrize("by", ["task_id,environment", "version", "hour_ns,queue", ""])
def test_numbers_of_tasks_are_those_of_all_columns_of_the_hourly_rows(
    database: Database, by: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is read is added up before, and only in columns the numbers are made of: every cell stays the same."""
    monkeypatch.setattr(question, "EXACT_RUNS", 0)
    params = endpoints.read("GET /api/v1/stats/{name}", {"from": "3h", "by": by}, AS_OF)
    asked = stats.question("tasks", params, "default", Basis(0, 3600 * SECOND))
    keys = list(asked.by)

    def both(h: Handle) -> tuple[pl.DataFrame, pl.DataFrame]:
        def read(table: str) -> pl.DataFrame:
            return h.frame(f"SELECT * FROM {table} WHERE population = 'live'")

        horizons = retries.horizon(read("run_cohorts"), read("duration_hours"), floor_ns=0)
        measures = pl.col("measure").is_in(["queue_wait", "execution", "end_to_end"])
        window = HOUR_NS if "hour_ns" in keys else AS_OF - asked.choice.hours().from_ns
        plain = pl.concat(
            [
                retries.report(read("run_cohorts"), keys, as_of_ns=AS_OF, horizons=horizons),
                retries.attempts(read("attempt_hours"), keys),
                throughput.seen(read("run_cohorts"), keys),
                throughput.report(read("flow_hours"), keys, over_ns=window),
                percentiles.estimate(read("duration_hours").filter(measures), keys, outcomes=False),
            ]
        )
        rows = stats.STATISTICS["tasks"].answer(h, asked).rows
        # The range is no whole hours, which every note says.
        return rows.with_columns(pl.col("note").str.replace(r"(; )?whole hours: .*$", "").replace("", None)), plain

    rows, plain = database.reading(both)
    assert {"run_retry_rate", "attempt_failure_rate", "arrivals", "execution"} <= set(rows["measure"])
    assert_frame_equal(rows, plain)


def test_retries_above_and_below_multiply(api: TestClient) -> None:
    """A root that retried once and a child that did not are two attempts for one."""
    rows = get(api, "/api/v1/stats/trees").json()
    assert [(r["task_id"], r["generation"], r["statistic"], r["value"], r["n"]) for r in rows] == [
        ("send", None, "mean", 2, 2),
        ("send", None, "max", 2, 2),
        ("send", 0, "mean", 2, 1),
        ("send", 0, "max", 2, 1),
        ("send", 1, "mean", 1, 1),
        ("send", 1, "max", 1, 1),
    ]
    assert get(api, "/api/v1/stats/trees", task="other").json() == []


@pytest.mark.parametrize(("few", "an_hour"), [(5_000, 108), (0, 3)])
def test_a_range_is_counted_over_what_it_is(
    api: TestClient, few: int, an_hour: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Three arrivals in 100 s are 108 an hour; where the range is widened to its hour, three."""
    monkeypatch.setattr(question, "EXACT_RUNS", few)
    window = {"from": str(T0), "to": str(T0 + 100 * SECOND)}
    for by in ("", "hour_ns"):
        rows = get(api, "/api/v1/stats/throughput", by=by, **window).json()
        (rate,) = (r for r in rows if (r["measure"], r["statistic"]) == ("arrivals", "rate"))
        assert (rate["value"], rate["n"]) == (pytest.approx(an_hour), 3)


def test_an_hour_that_goes_on_counts_as_much_as_there_was_of_it(api: TestClient) -> None:
    """Two hours after the start nothing had arrived in the hour under way; a rate is of the time gone by."""
    begins = AS_OF // HOUR_NS * HOUR_NS
    rows = get(api, "/api/v1/stats/throughput", by="", **{"from": str(begins - HOUR_NS * 2)}).json()
    (rate,) = (r for r in rows if (r["measure"], r["statistic"]) == ("arrivals", "rate"))
    assert rate["value"] == pytest.approx(3 / ((AS_OF - begins) / HOUR_NS + 2))


def test_levels_are_those_up_to_the_time_they_are_judged_at(api: TestClient) -> None:
    """Asked as of a time gone by, neither time nor slots after its five minutes count, nor time before telemetry."""
    begins = T0 // HOUR_NS * HOUR_NS
    as_of_ns = begins + 900 * SECOND
    answer = api.get("/api/v1/stats/queues", params={"from": str(begins), "as_of": str(as_of_ns)})
    mean = next(r for r in answer.json() if (r["measure"], r["statistic"]) == ("level", "mean"))
    # Attempts of 10, 3, 8 and 1 s; the first of them begins after 800 s.
    assert (mean["value"], mean["n"]) == (pytest.approx(22 / 100), 1)


def test_a_run_that_only_its_parent_knows_waits_in_the_queue_of_its_task(tmp_path: Path) -> None:
    """A child that left no record yet is in the backlog of the queue its task's runs are in, and that is inferred."""
    trigger = span(
        "p", "trigger()", 7190, 7190.1, span_type="trigger", child_run_id="child", child_task_id="send", attempt=1
    )
    spans = [attempt("a", 1, 0, 10, task_id="send", queue="mail"), attempt("p", 1, 7180, 7195, task_id="top"), trigger]
    with stored(tmp_path, spans) as database:
        app = routes.application(database, Settings(data=tmp_path), dict, str, bytes)
        api = TestClient(app, raise_server_exceptions=False)
        answer = api.get("/api/v1/stats/queues", params={"as_of": str(AS_OF), "from": "3h"}).json()
        rows = {(r["queue"], r["measure"]): r for r in answer if r["measure"] in ("backlog", "backlog_age")}
        assert set(rows) == {("mail", "backlog"), ("mail", "backlog_age")}
        assert (rows["mail", "backlog"]["value"], rows["mail", "backlog"]["provenance"]) == (1, "inferred")
        assert rows["mail", "backlog_age"]["value"] == 10 * SECOND
        other = api.get("/api/v1/stats/queues", params={"as_of": str(AS_OF), "from": "3h", "queue": "other"}).json()
        assert not [r for r in other if r["measure"] == "backlog"]


def test_an_attempt_that_left_no_record_is_of_no_version_and_its_run_is(tmp_path: Path) -> None:
    """Of a run whose second attempt alone was seen, on version 3, the first counts as failed on none; the funnel of
    the runs of version 3 has lost one of them.
    """
    with stored(tmp_path, [attempt("a", 2, 0, 10, task_id="send", version="3")]) as database:
        api = TestClient(routes.application(database, Settings(), dict, str, bytes))
        rates = {
            r["version"]: (r["value"], r["n"])
            for r in get(api, "/api/v1/stats/retries", by="version").json()
            if r["measure"] == "attempt_failure_rate"
        }
        assert rates == {None: (1.0, 1), "3": (0.0, 1)}
        for asked in ({}, {"version": "3"}):
            funnel = get(api, "/api/v1/stats/funnel", by="version", **asked).json()
            assert [(r["version"], r["attempt"], r["lost"]) for r in funnel] == [("3", 1, 1), ("3", 2, 0)]


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
        ("retries", {"colour": "red"}, "colour: no such parameter; there are as_of, from, to"),
        ("retries", {"by": "colour"}, "by: cannot group retries by 'colour'; there are task_id"),
        ("retries", {"from": "yesterday"}, "from: expected nanoseconds"),
        ("retries", {"population": "all of them"}, "population: expected one of live, replay, development, all"),
        ("retries", {"to": "1000h"}, "from: expected a time before `to`"),
        ("queues", {"version": "7"}, "version: slots are held by runs of any version; leave it out"),
        ("holders", {"version": "7"}, "version: slots are held by runs of any version; leave it out"),
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


@pytest.mark.parametrize("name", ["queues", "little", "slots"])
def test_queues_of_a_task_are_those_it_held_slots_in(api: TestClient, name: str) -> None:
    """`task` leaves the queues of other tasks out; levels stay those of the whole queue."""
    assert {r["queue"] for r in get(api, f"/api/v1/stats/{name}", task="send").json()} == {"mail"}
    assert get(api, f"/api/v1/stats/{name}", task="receive").json() == []


def test_levels_begin_with_the_telemetry(api: TestClient) -> None:
    """Time before anything was known of any queue is not counted as idle: a longer range changes no level."""

    def numbers(since: str) -> list[object]:
        rows = get(api, "/api/v1/stats/queues", **{"from": since}).json()
        return [(r["measure"], r["statistic"], r["value"], r["n"]) for r in rows]

    assert ("level", "peak", 2.0) in [row[:3] for row in numbers("3h")]  # type: ignore[index]
    assert numbers("3h") == numbers("9d")


@pytest.mark.parametrize(
    ("environments", "params", "names", "note"),
    [
        (("PRODUCTION", "dev"), {}, {"live"}, "Not counted: 1 development run and 1 replay."),
        (("PRODUCTION", "dev"), {"environment": "dev"}, {"dev"}, "Not counted: 1 replay."),
        (("PRODUCTION", "dev"), {"population": "development"}, {"dev"}, ""),
        (("PRODUCTION", "dev"), {"population": "all"}, {"live", "dev", "replay"}, ""),
        (("dev",), {}, {"dev"}, "Development runs, for the store has no live ones. Not counted: 1 replay."),
        (("PRODUCTION",), {}, {"live"}, ""),
    ],
)
def test_development_runs_count_where_they_were_chosen_or_are_all_there_is(
    tmp_path: Path, environments: tuple[str, ...], params: dict[str, str], names: set[str], note: str
) -> None:
    """Live runs count; development runs in a development environment or a store without live ones; replays never do."""
    spans = [attempt("t", 1, 0, 10, task_id="test", is_test=True)]
    for n, environment in enumerate(environments):
        task = "dev" if environment == "dev" else "live"
        spans.append(attempt(f"r{n}", 1, 0, 10, task_id=task, environment=environment))
    if "dev" in environments:
        replayed = "dev" if "PRODUCTION" in environments else "PRODUCTION"  # which makes no live runs of a store
        spans.append(attempt("again", 1, 0, 10, task_id="replay", environment=replayed, is_replay=True))
    with stored(tmp_path, spans) as database:
        api = TestClient(routes.application(database, Settings(), dict, str, bytes))
        for name in ("tasks", "durations", "failures"):
            assert {r["task_id"] for r in get(api, f"/api/v1/stats/{name}", **params).json()} == names
        if "population" not in params:
            window = {"from_ns": str(T0), "to_ns": str(AS_OF)}
            rows = api.get("/api/v1/query/populations", params={**window, **params}).json()
            assert populations([tuple(r.values()) for r in rows], params.get("environment")) == note


Cli = Callable[..., tuple[int, str, str]]


@pytest.fixture
def cli(
    api: TestClient, capfdbinary: pytest.CaptureFixture[bytes], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> Cli:
    """Return a function that runs `runwell stats` over the time of the runs: exit code, stdout, stderr."""
    monkeypatch.setattr(client.httpx, "Client", lambda **_: api)
    window = {"--since": str(T0 - 3600 * SECOND), "--until": str(AS_OF), "--data": str(tmp_path)}

    def stats_(*words: str, **options: str) -> tuple[int, str, str]:
        options_ = {**window, **{f"--{name}": value for name, value in options.items()}}
        code = run(["stats", *words, *(part for pair in options_.items() for part in pair)])
        written = capfdbinary.readouterr()
        return code, written.out.decode(), written.err.decode()

    return stats_


def test_the_command_line_shows_and_explains_them(cli: Cli) -> None:
    """`runwell stats` prints a table, JSON or CSV, and --explain what each number means; with JSON on stderr."""
    _, out, err = cli("retries", "--explain", format="json")
    assert {"task_id", "measure", "value", "n", "provenance", "coverage"} <= set(json.loads(out)[0])
    assert "Retry rate (run_retry_rate; column Retried): Runs with more than one attempt" in " ".join(err.split())
    assert pl.read_csv(cli("failures", format="csv")[1].encode())["failed"].to_list() == [1]
    _, out, err = cli("retries", "--explain")
    assert re.search(r"^Retry rate +33\.3 % +6\.1 to 79\.2 % +3 ", out, re.MULTILINE)
    assert "Retry rate (run_retry_rate; column Retried): Runs with more than one attempt" in " ".join(out.split())
    assert err == ""


@pytest.mark.parametrize("name", get_args(Name))
def test_every_statistic_has_a_table_and_is_explained(cli: Cli, name: str) -> None:
    """Each prints its range, then a table or that nothing was found, then what its numbers mean."""
    code, out, _ = cli(name, "--explain")
    assert code == 0
    head, table, meaning = re.split(r"\n\n+", out, maxsplit=2)
    assert head.startswith(f"{name}: ")
    assert "UTC" in head
    assert table
    assert "What the numbers mean" in meaning


@pytest.mark.parametrize(
    ("name", "options", "says"),
    [
        ("tasks", {"since": "yesterday"}, "--since: expected nanoseconds, a time such as"),
        ("tasks", {"since": ""}, "--since: is empty; give a span such as 24h"),
        ("tasks", {"until": "10000d"}, "--since: expected a time before --until"),
        ("tasks", {"by": "colour"}, "--by: cannot group tasks by 'colour'; there are task_id"),
        ("queues", {"version": "7"}, "--version: slots are held by runs of any version"),
    ],
)
def test_a_wrong_option_is_named_as_it_was_given(cli: Cli, name: str, options: dict[str, str], says: str) -> None:
    """An option that is wrong ends the command with one sentence that names the option, not the API's parameter."""
    code, out, err = cli(name, **options)
    assert (code, out) == (2, "")
    assert err.startswith(f"runwell: {says}")


def test_a_store_that_does_not_answer_is_no_wrong_option(capfd: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    """Without a store the command ends with 2 and says how to start one."""
    assert run(["stats", "tasks", "--url", "http://127.0.0.1:9", "--data", str(tmp_path)]) == 2
    assert "start it with runwell up" in capfd.readouterr().err


def test_what_is_not_there_is_said(cli: Cli) -> None:
    """A task that nobody knows ends the command with 1, and names those there are on stderr, whatever the format; an
    empty project is none that could be unknown, but asks for the runs that state none."""
    for asked in ({}, {"format": "json"}):
        code, out, err = cli("tasks", task="receive", **asked)
        assert (code, out) == (1, "")
        assert "--task receive: telemetry has no task of that name" in err
        assert "send" in err
    code, out, _ = cli("tasks", **{"platform-project": "", "format": "json"})
    assert (code, {row["task_id"] for row in json.loads(out)}) == (0, {"send"})


def test_the_command_line_says_which_runs_count(
    tmp_path: Path, capfdbinary: pytest.CaptureFixture[bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    """In a store of development runs alone they are shown, and said to be; with JSON on stderr; not where asked for."""
    spans = [
        attempt("a", 1, 0, 10, task_id="send", environment="dev"),
        attempt("b", 1, 0, 10, task_id="send", environment="dev", is_replay=True),
    ]
    with stored(tmp_path, spans) as database:
        api = TestClient(routes.application(database, Settings(), dict, str, bytes))
        monkeypatch.setattr(client.httpx, "Client", lambda **_: api)
        words = ["stats", "tasks", "--since", str(T0), "--until", str(AS_OF), "--data", str(tmp_path)]
        note = "Development runs, for the store has no live ones. Not counted: 1 replay. Choose with --population.\n"
        assert run(words) == 0
        out = capfdbinary.readouterr().out.decode()
        assert note in out
        assert "Nothing in this range" not in out
        assert run([*words, "--format", "json"]) == 0
        both = capfdbinary.readouterr()
        assert both.err.decode() == note
        starts = {r["measure"]: r["value"] for r in json.loads(both.out) if r["statistic"] == "count"}
        assert starts["starts"] == 1
        assert run([*words, "--population", "replay"]) == 0
        assert "Choose with" not in capfdbinary.readouterr().out.decode()
