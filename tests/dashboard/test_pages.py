"""Each page, run as a script over a real store: full, empty and away."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import polars as pl
import pytest
import streamlit as st
from streamlit.testing.v1 import AppTest

from collector.cli.root import run
from dashboard import data, strings
from dashboard.parts import run_links, totals
from tests import stack
from tests.dashboard import hostile
from tests.dashboard.conftest import APP, Open
from tests.stack import Stack

pytestmark = pytest.mark.e2e
PAGES = tuple(sorted(file.stem for file in (APP.parent / "app_pages").glob("*.py")))
LIVE = (
    "is_test IS NOT TRUE AND is_replay IS NOT TRUE AND coalesce(lower(environment), '') NOT IN "
    "('development', 'dev', 'local')"
)
WINDOW = "coalesce(started_ns, queued_ns, first_seen_ns)"


def html(page: AppTest) -> str:
    """Return all HTML of our own making on a page."""
    return " ".join(block.proto.body for block in page.get("html"))


def ask(store: Stack, question: str) -> list[dict[str, Any]]:
    """Return the rows of a SELECT."""
    rows: list[dict[str, Any]] = store.client.sql(question).table.to_pylist()
    return rows


def said(page: AppTest) -> str:
    """Return the plain words of a page."""
    kinds = (page.title, page.header, page.markdown, page.caption, page.text, page.button)
    return " ".join(str(getattr(e, "label", None) or e.value) for kind in kinds for e in kind)


@pytest.mark.parametrize("span", ["24h", "7d"])
def test_overview_shows_the_numbers_of_the_store(filled: Stack, app: Open, span: str) -> None:
    """The Overview's cards hold what SQL says of live runs in the same window, from runs or hourly, and what else there
    was is told: runs, success, retry rate."""
    page = app(filled.url("api"), range=span)
    shown = html(page)
    start, end = map(int, re.search(r'data-from="(\d+)" data-to="(\d+)"', shown).groups())  # type: ignore[union-attr]
    (row,) = ask(filled, f"SELECT count(*) runs FROM runs WHERE {LIVE} AND {WINDOW} >= {start} AND {WINDOW} < {end}")
    told = filled.client.stats("tasks", by="", from_=start, to=end)
    (apart,) = ask(
        filled,
        f"""SELECT count(*) FILTER (is_replay) replays, count(*) FILTER (is_replay IS NOT TRUE) development FROM runs
            WHERE is_test IS NOT TRUE AND NOT ({LIVE})
            AND started_ns >= {start} AND started_ns < {end}""",
    )
    assert apart["development"] + apart["replays"] > 0
    note = re.search(r"Not counted: [^.]*", said(page))[0]  # type: ignore[index]
    assert (f"{apart['development']:,} development run" in note) == (apart["development"] > 0)
    assert (f"{apart['replays']:,} replay" in note) == (apart["replays"] > 0)
    cards = {name: float(value) for name, value in re.findall(r'data-kpi="(\w+)" data-value="([^"]+)"', shown)}
    assert row["runs"] == cards["runs"] > 2000
    for name in ("success", "retry"):
        rate = told.filter(pl.col("measure") == totals.NUMBERS[name][0])["value"].item()
        assert cards[name] == pytest.approx(rate, abs=0.01), name  # a few seconds later a few more are old enough
    assert cards["violations"] > 0
    assert 0 < cards["at_limit"] < 1


def test_attention_leads_to_the_runs_it_speaks_of(filled: Stack, app: Open) -> None:
    """Selecting what needs attention opens Runs with its task and status as filters, in the same range."""
    page = app(filled.url("api"), range="6h", environment=hostile.ENVIRONMENT)
    assert len(page.button) == 5
    page.button(key="attention_open_0").click().run()
    assert [t.value for t in page.title] == ["Runs"]
    assert page.selectbox(key="task").value in hostile.NAMES
    assert page.multiselect(key="status").value == ["failed"]
    assert not {"crashed", "expired"} & set(page.multiselect(key="status").options)  # which no run is
    assert page.session_state["range"] == "6h"
    assert page.selectbox(key="environment").value == hostile.ENVIRONMENT
    assert page.dataframe


def test_runs_pages_hold_every_matching_run_once(filled: Stack, app: Open) -> None:
    """Fifty runs a page, newest first, and the count above is what SQL counts."""
    page = app(filled.url("api"), "runs", environment=hostile.ENVIRONMENT)
    (row,) = ask(filled, f"SELECT count(*) n FROM runs WHERE environment = '{hostile.ENVIRONMENT}'")
    assert f"**{row['n']}** runs" in said(page)
    first = page.dataframe[0].value
    assert len(first) == 50
    assert first["Started"].is_monotonic_decreasing
    assert first["Run"].is_unique


@pytest.mark.parametrize(
    ("params", "condition"),
    [
        ({"status": "failed"}, "status = 'failed'"),
        ({"task": "charge-order"}, "task_id = 'charge-order'"),
        ({"queue": "payments"}, "queue = 'payments'"),
        ({"retried": "true"}, "attempt_count > 1"),
        ({"q": "PutObject"}, "contains(error_message, 'PutObject')"),
    ],
)
def test_runs_filters_are_in_the_url(filled: Stack, app: Open, params: dict[str, str], condition: str) -> None:
    """A filter in the URL shows the runs that SQL finds by the same condition."""
    page = app(filled.url("api"), "runs", range="7d", **params)
    (row,) = ask(filled, f"SELECT count(*) n FROM runs WHERE {condition}")
    assert row["n"]
    assert re.search(r"\*\*([\d,]+)\*\* runs?", said(page))[1] == f"{row['n']:,}"  # type: ignore[index]


def test_runs_that_match_nothing_are_said_to(filled: Stack, app: Open) -> None:
    """Filters that match nothing say so instead of showing an empty table."""
    page = app(filled.url("api"), "runs", q="no such text anywhere")
    assert "No run matches" in said(page)
    assert not page.dataframe


def test_every_recorded_kind_of_run_opens(filled: Stack, app: Open) -> None:
    """One run of every status, dialect and coverage opens without an error and shows its own records."""
    rows = ask(
        filled,
        "SELECT any_value(run_id) run_id, any_value(run_key) run_key, any_value(log_count) logs FROM runs "
        "GROUP BY dialect, status, coverage, task_id = 'impossible'",
    )
    assert len(rows) > 8
    page = app(filled.url("api"), "run")
    for row in rows:
        page.query_params["run_id"], page.query_params["run_key"] = str(row["run_id"]), str(row["run_key"])
        page.run()
        assert not page.exception, row
        assert {"facts"} <= {e.key for e in page.get("bidi_component")}, row
        logs = next((f.value for f in page.dataframe if "Level" in f.value.columns), [])
        assert len(logs) == row["logs"], row


def test_an_unknown_run_is_said_to_be_unknown(filled: Stack, app: Open) -> None:
    """A run id that left no telemetry is named, its text inert; no id asks to choose one."""
    page = app(filled.url("api"), "run", run_id="**no** such run")
    assert "No run with this id" in said(page)
    assert [t.value for t in page.text] == ["**no** such run"]
    assert "Open a run from the Runs page" in said(app(filled.url("api"), "run"))


@pytest.mark.parametrize("page", PAGES)
def test_an_empty_store_is_said_to_be_empty(empty: Stack, app: Open, page: str) -> None:
    """A store without runs is no error: each page says that there is nothing yet and what to do."""
    shown = app(empty.url("api"), page)
    assert not shown.exception
    assert re.search(
        "No runs in this range|No run matches|Open a run from|No task ran|No queue held|Rules have judged nothing|"
        "No report yet",
        said(shown),
    )
    assert [d.proto.alt for d in shown.dataframe] == (["Guideline coverage"] if page == "conventions" else [])


@pytest.mark.parametrize("page", PAGES)
def test_a_store_that_is_away_is_said_to_be_away(filled: Stack, app: Open, page: str) -> None:
    """Without a store each page says calmly what to do, and neither fails nor shows numbers."""
    shown = app("http://127.0.0.1:9", "overview")
    assert not shown.exception
    assert [t.value for t in shown.title] == ["The store does not answer"]
    assert "runwell up" in said(shown)
    assert "http://127.0.0.1:9" in said(shown)
    assert "data-kpi" not in html(shown)


def test_a_store_that_goes_away_in_between_is_said_to_be_away(tmp_path: Path, app: Open) -> None:
    """A store that ends while the app is open leads to the same calm word, once kept answers are too old."""
    with stack.running(tmp_path / "data") as running:
        page = app(running.url("api"), "runs")
        assert [t.value for t in page.title] == ["Runs"]
    page.text_input(key="q").set_value("something new").run()
    assert not page.exception
    assert "The store does not answer" in [t.value for t in page.title]


def test_a_range_of_the_url_is_the_range_of_every_page(filled: Stack, app: Open) -> None:
    """The time range is a parameter of the URL and goes along to the next page."""
    page = app(filled.url("api"), "runs", range="1h")
    assert page.session_state["range"] == "1h"


def component(page: AppTest, key: str) -> dict[str, Any]:
    """Return the data that a component of ours was given."""
    (element,) = (e for e in page.get("bidi_component") if e.key == key)
    data: dict[str, Any] = json.loads(element.proto.json)
    return data


def test_tasks_show_what_became_of_each_attempt(filled: Stack, app: Open) -> None:
    """The retry funnel of a task ends with as many runs given up as SQL counts failed ones of the same hours."""
    page = app(filled.url("api"), "tasks", range="7d", task="charge-order")
    assert not page.exception
    rows = component(page, "funnel_bars")["rows"]
    (counts,) = ask(
        filled,
        "SELECT count(*) runs, count(*) FILTER (status = 'failed') failed, max(attempt_count) attempts "
        "FROM runs WHERE task_id = 'charge-order' AND status IN ('completed', 'failed')",
    )
    assert [r["label"] for r in rows] == [f"Attempt {k + 1}" for k in range(counts["attempts"])] + ["Gave up"]
    assert int(rows[-1]["value"].replace(",", "")) == counts["failed"] > 0
    reached = [int(r["value"].replace(",", "")) for r in rows[:-1]]
    assert reached == sorted(reached, reverse=True)
    assert reached[0] <= counts["runs"]


def test_a_task_chosen_in_the_table_is_shown(filled: Stack, app: Open) -> None:
    """All tasks that ran are in the table, the most retried first, and in the list to choose from."""
    page = app(filled.url("api"), "tasks", range="7d")
    table = page.dataframe[-1].value
    assert list(page.selectbox(key="task").options) == table["Task"].to_list()
    rates = table["Retry rate"].dropna().to_list()
    assert rates == sorted(rates, reverse=True)


@pytest.mark.parametrize(("page", "of"), [("tasks", "task"), ("queues", "queue")])
def test_a_task_and_a_queue_lead_to_their_runs(filled: Stack, app: Open, page: str, of: str) -> None:
    """From one task or queue a click opens Runs with it as the filter, and the kind of runs that was asked for."""
    name = {"task": "charge-order", "queue": "payments"}[of]
    shown = app(filled.url("api"), page, range="7d", **{of: name})
    shown.button(key="runs_1").click().run()
    assert [t.value for t in shown.title] == ["Runs"]
    assert shown.selectbox(key=of).value == name
    assert shown.multiselect(key="status").value == ["failed"]
    assert set(shown.dataframe[0].value["Task" if of == "task" else "Queue"]) == {name}


def test_an_error_leads_to_the_runs_that_it_counts(filled: Stack, app: Open) -> None:
    """A row of a task's errors says what happened without its values, and opens as many runs as it counts; the filter
    can be taken away."""
    page = app(filled.url("api"), "tasks", range="7d", task="charge-order")
    table = next(d.value for d in page.dataframe if "Latest message" in d.value.columns)
    assert table["Error"].is_unique
    error = table.iloc[0]
    assert error["Since"] <= error["Last"]
    for key, value in {**run_links.failed_so(error["Error"], task="charge-order"), "errors_open": True}.items():
        page.session_state[key] = value  # as selecting the row does, which an AppTest cannot
    page.run()
    assert not page.exception
    assert [t.value for t in page.title] == ["Runs"]
    assert page.selectbox(key="error_group").value == error["Error"]
    assert f"**{error['Runs']:,}** run" in said(page)
    page.selectbox(key="error_group").set_value(None).run()
    assert not page.exception
    assert not [s for s in page.selectbox if s.key == "error_group" and s.value]


def test_tasks_say_the_same_as_the_command_line(
    filled: Stack, app: Open, capfdbinary: pytest.CaptureFixture[bytes]
) -> None:
    """A row of the table of all tasks holds the numbers of `runwell stats tasks`, the way people write them."""
    table = app(filled.url("api"), "tasks", range="7d").dataframe[-1].value.set_index("Task")
    url = ["--url", filled.url("api"), "--since", "7d", "--by", "task_id"]
    assert run(["stats", "tasks", *url]) == 0
    row = table.loc["charge-order"]
    line = next(
        x for x in capfdbinary.readouterr().out.decode().splitlines() if x.split() and x.split()[0] == "charge-order"
    )
    cells = re.split(r"  +", line)
    assert cells[1] == f"{row['Runs']:,}"
    assert cells[2] == f"{row['Failed']:.1f} %"
    assert cells[4] == f"{row['Retry rate']:.1f} %"


def test_queues_show_slots_against_their_limit(filled: Stack, app: Open) -> None:
    """A queue's page says where its limit comes from and shares its slot time among its tasks."""
    page = app(filled.url("api"), "queues", range="7d", queue="media")
    assert not page.exception
    assert "2 slots (from settings)" in html(page)
    rows = component(page, "slot_share_bars")["rows"]
    assert {r["label"] for r in rows} == {"transcode-video", "create-thumbnail"}
    assert sum(r["parts"][0]["share"] for r in rows) == pytest.approx(1)


def test_a_queue_without_a_limit_is_said_to_have_none(filled: Stack, app: Open) -> None:
    """Where no limit is known, saturation is unknown and the page says so instead of 0 %."""
    page = app(filled.url("api"), "queues", range="7d", queue="documents")
    assert not page.exception
    assert "an unknown limit" in html(page)
    assert "documents" in next(c.value for c in page.caption if "Limit unknown" in c.value)


def test_conventions_show_evidence_and_the_way_out(filled: Stack, app: Open) -> None:
    """Rules that were broken come with the findings the API answers, a record as received and a rename as a diff."""
    since = f"{7 * 86_400}s"
    parts = ("findings", "runs", "runs_without_errors")
    for _ in range(50):  # rules judge runs a little after they were received
        before = filled.client.findings(since=since)
        st.cache_data.clear()
        page = app(filled.url("api"), "conventions", range="7d", code="KEY001")
        answer = filled.client.findings(since=since)
        if all(before[name] == answer[name] for name in parts):
            break
    assert not page.exception
    rules = page.dataframe[0].value
    findings = answer["findings"]
    assert set(rules["Rule"]) == {f["code"] for f in findings}
    assert rules["Records"].sum() == sum(f["count"] for f in findings)
    key = next(f["key"] for f in findings if f["code"] == "KEY001")
    assert any(f'- "{key}"' in c.value and '+ "' in c.value for c in page.code), [c.value for c in page.code]
    assert 0 < answer["runs_without_errors"] < answer["runs"]
    assert f"{answer['runs'] - answer['runs_without_errors']:,} of {answer['runs']:,}" in html(page)
    assert any("transform/runwell_keys" in c.value for c in page.code)
    assert key in page.json[0].value


def test_a_privacy_finding_shows_no_value(filled: Stack, app: Open) -> None:
    """The e-mail address that the sample data holds is found and shown nowhere on the page of the conventions."""
    page = app(filled.url("api"), "conventions", range="7d")
    codes = page.dataframe[0].value["Rule"].to_list()
    assert "PII001" in codes
    everything = json.dumps([f["samples"] for f in filled.client.findings(since="7d", code="PII001")["findings"]])
    assert "news@example.com" not in everything + said(page)


def test_a_run_lists_what_it_breaks(filled: Stack, app: Open, failed_run: str) -> None:
    """The page of a run lists the findings of that run, and no other's."""
    page = app(filled.url("api"), "run", run_id=failed_run)
    shown = next(d.value for d in page.dataframe if "What" in d.value.columns)
    key = ask(filled, f"SELECT run_key FROM runs WHERE run_id = '{failed_run}'")[0]["run_key"]
    findings = filled.client.findings(run_key=key)["findings"]
    assert shown["What"].to_list() == [f["message"] for f in findings]


def test_a_long_run_shows_its_end_and_what_tells_its_failure_and_pages_back(
    filled: Stack, app: Open, failed_run: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What tells the failure stands on top; of logs that are not given whole the last are shown, and a click each leads
    to earlier ones, on, to the first and to the last; an attempt that none states is unknown.
    """
    whole = filled.client.run(failed_run)
    logs = [{**record, "attempt": None} for record in whole["logs"]]
    assert len(logs) > 6
    ends = {"before=logs": len(logs), "after=logs": 3, **{f"before=logs.{i}": i for i in range(len(logs))}}
    ends |= {f"after=logs.{i}": i + 3 for i in range(len(logs))}

    def cut(run_id: str, run_key: str | None, **turn: str) -> dict[str, Any]:
        end = ends["=".join(*turn.items())] if turn else len(logs)
        begin = max(0, end - 3)
        earlier = {"logs": f"logs.{begin}"} if begin else {}
        later = {"logs": f"logs.{end}"} if end < len(logs) else {}
        return {**whole, "logs": logs[begin:end], "truncated": ["logs"], "earlier": earlier, "later": later}

    monkeypatch.setattr(data, "run", cut)
    page = app(filled.url("api"), "run", run_id=failed_run)

    def shown() -> tuple[list[str], list[bool]]:
        assert not page.exception
        table = next(d.value for d in page.dataframe if "Message" in d.value.columns)
        assert table["Attempt"].isna().all()
        return table["Message"].to_list(), [page.button(key=f"{way}_logs").disabled for way in ("earlier", "later")]

    bodies = [record["body"] for record in logs]
    assert shown() == (bodies[-3:], [False, True])
    failure = whole["failure"]
    assert failure
    assert page.text[0].value == (failure.get("body") or failure["name"])
    assert f"3 of {whole['run']['log_count']} logs are shown here" in said(page)
    for way, rows, disabled in (
        ("earlier", bodies[-6:-3], [False, False]),
        ("later", bodies[-3:], [False, True]),
        ("first", bodies[:3], [True, False]),
        ("last", bodies[-3:], [False, True]),
    ):
        page.button(key=f"{way}_logs").click().run()
        assert shown() == (rows, disabled), way


def test_runs_of_a_range_are_asked_for_by_what_lies_in_it(filled: Stack, app: Open) -> None:
    """The URL says whether start, end or any activity lies in the range, and whether figures count them; the page says
    so, and lists as many as the API."""
    for params in ({}, {"at": "start"}, {"at": "end"}, {"at": "start", "counted": "true", "hours": "true"}):
        page = app(filled.url("api"), "runs", range="6h", **params)
        chosen = data.RANGES["6h"]
        start, end = chosen.hours() if "hours" in params else chosen.window()
        wanted = {"at": params.get("at", "active"), "counted": params.get("counted")}
        total = filled.client.runs(from_=start, to=end, limit=1, **wanted).total
        assert re.search(r"\*\*([\d,]+)\*\* runs?", said(page))[1] == f"{total:,}"  # type: ignore[index]
        assert strings.RUNS_AT[wanted["at"]] in said(page)
        assert ("whole hours" in said(page)) == ("hours" in params)
