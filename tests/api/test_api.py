"""The read API, over an empty store and one with recorded runs."""

from __future__ import annotations

import io
import json
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Any
from urllib.parse import quote

import httpx
import pyarrow as pa
import pytest
from starlette.testclient import TestClient

from collector.api import routes
from collector.api.strays import Strays
from collector.model.address import ARROW
from collector.receive.errors import SpokeHttp2, SpokeTls
from collector.settings import Settings, Store
from collector.store import run_records
from collector.store.named import queries
from tests.inprocess import SECOND, Pipeline, later, recorded

REQUESTS = recorded("http-json-batch")
END = later(REQUESTS)
WINDOW = {"from_ns": str(END - 7 * 86_400 * SECOND), "to_ns": str(END)}
REQUIRED = {**WINDOW, "bucket_ns": str(3_600 * SECOND), "limit": "50", "offset": "0"}
REQUIRED |= {"task": "extract-text", "queue": "task/extract-text", "keys": "none", "kind": "task"}
"""A value for each required parameter that named queries have."""


def client(p: Pipeline, reason: str = "") -> TestClient:
    """Return a client of the API over the pipeline's store."""
    app = routes.application(p.database, Settings(), lambda: {"lag_s": 0}, lambda: reason, lambda: b"")
    return TestClient(app, raise_server_exceptions=False)


@pytest.fixture(scope="module")
def stores(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, TestClient]]:
    """Open an empty store and a filled one."""
    with (
        Pipeline(tmp_path_factory.mktemp("empty") / "data") as empty,
        Pipeline(tmp_path_factory.mktemp("filled") / "data") as filled,
    ):
        filled.group(REQUESTS, END)
        filled.apply()
        filled.tick(END)
        yield {"empty": client(empty), "filled": client(filled)}


@pytest.fixture
def api(stores: dict[str, TestClient]) -> TestClient:
    """Return the API of the filled store."""
    return stores["filled"]


def table(response: httpx.Response) -> pa.Table:
    """Return the Arrow rows of an answer."""
    assert response.headers["content-type"] == ARROW
    return pa.ipc.open_stream(io.BytesIO(response.content)).read_all()


def error(response: httpx.Response, status: int) -> str:
    """Return the sentence of a refusal, of which browsers keep no copy."""
    assert response.status_code == status
    assert (response.headers["x-content-type-options"], response.headers["cache-control"]) == ("nosniff", "no-store")
    assert list(response.json()) == ["error"]
    sentence: str = response.json()["error"]
    assert sentence
    assert "\n" not in sentence
    return sentence


def ask(api: TestClient, sql: str, **headers: str) -> httpx.Response:
    """Ask analysts' SQL."""
    return api.post("/api/v1/sql", json={"sql": sql}, headers=headers)


@pytest.mark.parametrize("store", ["empty", "filled"])
@pytest.mark.parametrize("name", queries())
def test_every_named_query_answers_alike_in_json_and_arrow(
    stores: dict[str, TestClient], store: str, name: str
) -> None:
    """Every query in the catalogue runs on an empty and a filled store, and both forms have the same rows."""
    params = {p.name: REQUIRED[p.name] for p in queries()[name].parameters if p.required}
    url = f"/api/v1/query/{name}"
    answer = stores[store].get(url, params=params)
    assert answer.status_code == 200, answer.text
    rows = table(stores[store].get(url, params=params, headers={"accept": ARROW}))
    written = [
        {k: f"{v.isoformat(timespec='microseconds')}Z" if isinstance(v, datetime) else v for k, v in row.items()}
        for row in rows.to_pylist()
    ]
    assert [[*row.items()] for row in answer.json()] == [[*row.items()] for row in written]


def test_the_catalogue_lists_every_query_with_its_parameters(api: TestClient) -> None:
    """What may be asked can be asked for: names, descriptions, parameters and their types."""
    listed = {q["name"]: q for q in api.get("/api/v1/query").json()}
    assert set(listed) == set(queries())
    assert all(q["description"] for q in listed.values())
    assert {"name": "from_ns", "type": "bigint", "required": True} in listed["run_list"]["parameters"]


def test_the_schema_is_what_its_page_says(api: TestClient) -> None:
    """Every table and column, with type and meaning, stands on docs/schema.md as the API tells it, and nothing else."""
    parts = (Path(__file__).parents[2] / "docs/schema.md").read_text("utf-8").split("\n## `")[1:]
    tables = api.get("/api/v1/schema").json()
    assert [part.split("`")[0] for part in parts] == [t["name"] for t in tables]
    for part, t in zip(parts, tables, strict=True):
        assert t["row"] in part
        rows = [line for line in part.splitlines() if line.startswith("| `")]
        assert rows == [f"| `{c['name']}` | {c['type']} | {c['meaning']} |" for c in t["columns"]]


@pytest.mark.parametrize(
    ("url", "status", "names"),
    [
        ("/api/v1/query/nothing", 404, "nothing"),
        ("/api/v1/query/run_list", 400, "from_ns"),
        ("/api/v1/query/run_list?from_ns=x&to_ns=1&limit=1&offset=0", 400, "from_ns"),
        ("/api/v1/query/run_list?from_ns=1&to_ns=1&limit=1&offset=0&retried=maybe", 400, "retried"),
        ("/api/v1/query/run_list?from_ns=1&to_ns=1&limit=1&offset=0&colour=red", 400, "colour"),
        ("/api/v1/runs?status=failed,bogus", 400, "status"),
        ("/api/v1/runs?limit=x", 400, "limit"),
        ("/api/v1/runs?limit=%C2%B2", 400, "limit"),
        ("/api/v1/runs?limit=100000", 422, "limit"),
        ("/api/v1/runs?offset=-1", 422, "offset"),
        (f"/api/v1/runs?limit={'9' * 5_000}", 422, "limit"),
        ("/api/v1/runs?to=9999-12-31", 422, "to"),
        ("/api/v1/stats/stuck?as_of=999999999w", 422, "as_of"),
        ("/api/v1/query/run_list?from_ns=1&to_ns=1&limit=999999999&offset=0", 422, "limit"),
        ("/api/v1/query/run_list?from_ns=1&to_ns=9223372036854775808&limit=1&offset=0", 422, "to_ns"),
        ("/api/v1/query/run_list?from_ns=1&to_ns=1&limit=1_0&offset=0", 400, "limit"),
        ("/api/v1/query/page_tasks?from_ns=0&to_ns=1764374400000000000&bucket_ns=1", 400, "bucket_ns"),
        ("/api/v1/query/page_tasks?from_ns=0&to_ns=1&bucket_ns=0", 422, "bucket_ns"),
        ("/api/v1/runs?from=yesterday", 400, "from"),
        ("/api/v1/runs?at=now", 400, "at"),
        ("/api/v1/runs/nobody?before=runs", 400, "before"),
        ("/api/v1/runs/nobody?before=logs&after=logs", 400, "after"),
        ("/api/v1/runs?colour=red", 400, "colour"),
        ("/api/v1/runs/nobody", 404, "nobody"),
        ("/api/v1/nothing", 404, "/api/v1"),
        ("/", 404, "/api/v1"),
        ("/api/v1/sql", 405, "GET"),
    ],
)
def test_a_wrong_question_is_answered_with_one_sentence_that_names_it(
    api: TestClient, url: str, status: int, names: str
) -> None:
    """An unknown path, query, parameter or run, or a value of the wrong form, is named in the error."""
    assert names in error(api.get(url), status)


def test_runs_are_filtered_paged_and_counted(api: TestClient) -> None:
    """A page has at most `limit` runs, newest first, and the total of all that match; pages do not overlap."""
    first = api.get("/api/v1/runs", params={"limit": 20}).json()
    second = api.get("/api/v1/runs", params={"limit": 20, "offset": 20}).json()
    total = first["total"]
    assert total == second["total"] == len(first["runs"]) + len(second["runs"])
    ids = [r["run_id"] for r in first["runs"] + second["runs"]]
    assert len(set(ids)) == total
    beyond = api.get("/api/v1/runs", params={"limit": 20, "offset": 1000}).json()
    assert (beyond["runs"], beyond["total"]) == ([], total)
    none = api.get("/api/v1/runs", params={"limit": 0}).json()
    assert (none["runs"], none["total"]) == ([], total)
    failed = api.get("/api/v1/runs", params={"status": "failed,canceled"}).json()
    assert {r["status"] for r in failed["runs"]} == {"failed", "canceled"}
    task = api.get("/api/v1/runs", params={"task": "extract-text", "retried": "false"}).json()
    assert {(r["task_id"], r["attempt_count"]) for r in task["runs"]} == {("extract-text", 1)}
    arrow = api.get("/api/v1/runs", params={"limit": 20}, headers={"accept": f"{ARROW}, */*;q=0.1"})
    assert (table(arrow)["run_id"].to_pylist(), arrow.headers["x-runwell-total"]) == (ids[:20], str(total))
    assert api.get("/api/v1/runs", params={"from": "2026-11-24T13:00:00Z"}).json()["total"] == 0


@pytest.mark.parametrize("around", [("", "\n"), ("  ", "\r\n"), ("\t", "\N{NO-BREAK SPACE}"), ("\ufeff", "\u200b")])
def test_an_id_is_found_with_what_was_copied_around_it(api: TestClient, around: tuple[str, str]) -> None:
    """Blanks, line ends and what has no width are no part of a text that is searched for, nor of the id of a run."""
    (run,) = api.get("/api/v1/runs", params={"limit": 1}).json()["runs"]
    pasted = run["run_id"].join(around)
    found = api.get("/api/v1/runs", params={"q": pasted}).json()["runs"]
    assert run["run_id"] in [r["run_id"] for r in found]
    assert api.get(f"/api/v1/runs/{quote(pasted, safe='')}").json()["run"]["run_id"] == run["run_id"]
    assert api.get("/api/v1/runs", params={"q": "".join(around)}).json()["total"] > len(found)


def test_a_long_run_is_given_from_its_end_and_paged(api: TestClient, monkeypatch: pytest.MonkeyPatch) -> None:
    """The answer names the lists that are cut and the places before them; asked for those it gives that list alone."""
    retried = api.get("/api/v1/runs", params={"retried": "true", "status": "failed"}).json()["runs"][0]
    url = f"/api/v1/runs/{retried['run_id']}"
    whole = api.get(url).json()
    assert (whole["truncated"], whole["earlier"], whole["later"]) == ([], {}, {})
    monkeypatch.setattr(run_records, "MOST_RECORDS", 2)
    last = api.get(url).json()
    assert last["truncated"] == ["logs", "spans", "children"] == list(last["earlier"])
    assert (last["logs"], last["later"]) == (whole["logs"][-2:], {})
    assert last["failure"] == whole["failure"]
    before = api.get(url, params={"before": last["earlier"]["logs"]}).json()
    assert before["logs"] == whole["logs"][-4:-2]
    assert set(before) == {"run", "logs", "truncated", "earlier", "later"}
    first = api.get(url, params={"after": "logs"}).json()
    assert (first["logs"], first["earlier"]) == (whole["logs"][:2], {})
    then = api.get(url, params={"after": first["later"]["logs"]}).json()
    assert then["logs"] == whole["logs"][2:4]


def test_text_of_any_kind_is_a_filters_value_not_sql(api: TestClient) -> None:
    """Quotes, comments and wildcards match themselves alone, in every text filter."""
    for text in ("'", "' OR 1=1 --", "%", "_", "$project", "\\", "extract-text'; DROP TABLE runs; --", "\N{SNOWMAN}"):
        for name in ("task", "queue", "environment", "q"):
            answer = api.get("/api/v1/runs", params={name: text})
            assert answer.status_code == 200
            if name != "q":
                assert answer.json()["total"] == 0
        assert api.get("/api/v1/runs", params={"status": text}).status_code == 400
    assert api.get("/api/v1/runs").json()["total"] > 0


def test_a_run_is_shown_with_all_its_records(api: TestClient) -> None:
    """One run has its row, attempts, phases, waits, children, and its records as they were received."""
    retried = api.get("/api/v1/runs", params={"retried": "true", "status": "failed"}).json()["runs"][0]
    parts = api.get(f"/api/v1/runs/{retried['run_id']}").json()
    assert parts["run"]["run_id"] == retried["run_id"]
    assert [a["number"] for a in parts["attempts"]] == [1, 2, 3]
    assert len(parts["children"]) == 3
    assert (len(parts["spans"]), len(parts["logs"])) == (retried["span_count"], retried["log_count"])
    assert json.loads(parts["spans"][0]["attributes"])
    assert json.loads(parts["logs"][0]["resource_attributes"])["$trigger"] is True
    assert (parts["truncated"], [s["run_id"] for s in parts["same_id"]]) == ([], [retried["run_id"]])
    assert api.get(f"/api/v1/runs/{retried['run_id']}", params={"run_key": "other"}).status_code == 404


def test_sql_answers_in_json_and_arrow(api: TestClient) -> None:
    """JSON is a list of objects with numbers as numbers and times in UTC; Arrow has the same rows."""
    sql = "select count(*) as n, sum(span_count) as spans, max(started_at) as at, 1.5::decimal(3,1) as d from runs"
    (row,) = ask(api, sql).json()
    assert (type(row["n"]), type(row["spans"]), row["d"]) == (int, int, 1.5)
    assert row["at"].startswith("2026-11-23T") and row["at"].endswith("Z")
    arrow = table(ask(api, sql, accept=ARROW))
    assert (arrow["n"][0].as_py(), int(arrow["spans"][0].as_py())) == (row["n"], row["spans"])
    (odd,) = ask(api, "select 'nan'::double as nan, interval 1 day as i, null as nothing, [1, 2] as l").json()
    assert odd == {"nan": None, "i": "1 day", "nothing": None, "l": [1, 2]}


@pytest.mark.parametrize(
    "body",
    [b"", b"select 1", b"[]", b"{}", b'{"sql": 1}', b'{"sql": " "}', b"\xff", b"[" * 90_000, b'"' + b"x" * 200_000],
)
def test_a_body_without_sql_is_refused_with_a_sentence(api: TestClient, body: bytes) -> None:
    """Whatever is not a JSON object with SQL, or too long, gets a sentence that says what was expected."""
    assert error(
        api.post("/api/v1/sql", content=body, headers={"content-type": "application/json; charset=UTF-8"}), 400
    )


@pytest.mark.parametrize("sql", ["select 1; select 2", "delete from runs", "select nothing from runs", "from meta"])
def test_wrong_sql_is_refused_with_a_sentence(api: TestClient, sql: str) -> None:
    """A statement that is not allowed, or wrong, is told in one line."""
    assert error(ask(api, sql), 400)


def test_dates_that_json_cannot_hold_are_refused_with_a_sentence(api: TestClient) -> None:
    """A time beyond year 9999 is refused in JSON, with the way out; Arrow holds it."""
    assert "VARCHAR" in error(ask(api, "select 'infinity'::timestamp as t"), 400)
    assert table(ask(api, "select 'infinity'::timestamp as t", accept=ARROW)).num_rows == 1


def test_health_and_readiness(tmp_path: Any) -> None:
    """A process that answers is healthy; it is ready unless it says why not."""
    with Pipeline(tmp_path / "data") as p:
        assert client(p).get("/healthz").text == "ok"
        assert client(p).get("/readyz").status_code == 200
        behind = client(p, "the store is 99 s behind").get("/readyz")
        assert (behind.status_code, behind.text) == (503, "the store is 99 s behind")
        assert client(p, "the store is 99 s behind").get("/healthz").status_code == 200


def test_exporters_that_stray_here_are_told_by_status(api: TestClient) -> None:
    """What is an exporter's by path or User-Agent is counted by kind; who looks, or asks as a client does, is not."""
    json_ = {"user-agent": "", "content-type": "application/json"}
    for path, method, headers in (
        ("/v1/logs", "POST", json_),
        ("/v1/logs", "POST", json_),
        ("/v1/logs", "GET", {"user-agent": "curl/8.5.0"}),
        ("/", "POST", {"user-agent": "OTel-OTLP-Exporter-Python/1.45.2"}),
        ("/api/v1/sql", "POST", json_),
        ("/v1/logs", "POST", {**json_, "x-runwell-telemetry": "1"}),
    ):
        api.request(method, path, content=b"{}" if method == "POST" else None, headers=headers)
    strays = api.get("/api/v1/status").json()["strays"]
    assert [(r["agent"], r["signal"], r["count"]) for r in strays] == [("none", "logs", 2), ("python", "", 1)]
    noted = Strays()
    noted.walled(SpokeTls("x"), [])
    for i in range(99):
        noted.walled(SpokeHttp2("x"), [(b"User-Agent", b"grpc-go/1.%d" % i)])
    assert [r["agent_version"] for r in noted.list_kinds()] == [f"1.{i}" for i in range(35, 99)]


@pytest.mark.parametrize(
    ("sql", "words"),
    [
        (f'SELECT 1 AS "{"n" * 7000}" FROM range(100000)', ""),
        (f'SELECT 1 AS "{"n" * 5000}", 2 AS "{"m" * 5000}"', "names"),
        ("SELECT repeat('\x01', 60000) FROM range(2000)", ""),
    ],
)
def test_json_is_bounded_as_what_it_is(api: TestClient, sql: str, words: str) -> None:
    """Names that are repeated in every row, and escapes, count as the JSON they make: it is cut at store.query_size."""
    answer = ask(api, sql)
    if words:
        assert words in error(answer, 400)
        return
    assert len(answer.content) <= Store().query_size
    assert answer.headers["x-runwell-truncated"] == "bytes"
    assert answer.json()
