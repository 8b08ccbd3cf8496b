"""Reports over the API: made, read in every form, sent, and what is said of wrong requests."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import httpx
import pytest
from starlette.testclient import TestClient

from collector.api import routes
from collector.api.endpoints import ENDPOINTS
from collector.app.reports import Reports
from collector.client import ApiError, Client
from collector.control import Control, firings, reports
from collector.control.firings import Firing
from collector.doctor import reports as doctor
from collector.model.report import Report
from collector.report import render
from collector.settings import Settings, Store
from collector.store.database import Database
from tests.report import a_report

CANARY = "canary6f1c0b77d2"
NIGHT = a_report.night()
SETTINGS = {
    "schedules": [
        {"name": "morning", "cron": "0 9 * * *", "zone": "Europe/Berlin", "deliver": ["hook", "news", "wrong"]},
        {"name": "hourly", "cron": "0 * * * *", "period": "PT2H"},
    ],
    "channels": [
        {"name": "hook", "type": "webhook", "url": f"https://hooks.example.com/{CANARY}", "secret": CANARY},
        {"name": "news", "type": "apprise", "url": f"json://me:{CANARY}@localhost/", "when": "new"},
        {"name": "wrong", "type": "apprise", "url": f"nosuch://{CANARY}"},
    ],
    "dashboard": "https://runs.example.com",
}


@pytest.fixture
def control(tmp_path: Path) -> Iterator[Control]:
    """Open the control file, with one report."""
    control_ = Control.open(tmp_path)
    control_.writing(reports.save, NIGHT)
    yield control_
    control_.close()


@pytest.fixture
def api(tmp_path: Path, control: Control) -> Iterator[TestClient]:
    """Return a client of an API over a store without telemetry; no thread sends anything."""
    database = Database.open(tmp_path, Store(threads=1), on_fatal=lambda e: None)
    settings = Settings.model_validate({"data": tmp_path, "reports": SETTINGS})
    reports = Reports(settings, database, lambda: 2**62)
    app = routes.application(database, settings, dict, str, bytes, reports.routes())
    yield TestClient(app, raise_server_exceptions=False)
    reports.close()
    database.close()


@pytest.fixture
def client(api: TestClient) -> Client:
    """Return our own client, over the same API."""
    client_ = Client("http://store")
    client_._http = api
    return client_


def test_a_report_is_listed_and_read_in_every_form(api: TestClient, client: Client) -> None:
    """The list has its row; JSON, HTML and Markdown are what the renderer makes, with the dashboard's links."""
    assert [row["id"] for row in client.reports()] == [NIGHT.id] == [row["id"] for row in client.reports("morning")]
    assert client.reports("other") == []
    assert client.report(NIGHT.id) == NIGHT
    text = render.json(NIGHT, "https://runs.example.com/")
    assert api.get(f"/api/v1/reports/{NIGHT.id}").text == client.report_text(NIGHT.id, "json") == text
    assert client.report_text(NIGHT.id, "md") == render.markdown(NIGHT, "https://runs.example.com/")
    assert client.report_text(NIGHT.id, "html", "http://x:1") == render.html(NIGHT, "http://x:1")
    page = api.get(f"/api/v1/reports/{NIGHT.id}.html")
    assert page.headers["content-type"] == "text/html; charset=utf-8"
    policy = page.headers["content-security-policy"]
    assert policy == f"{render.policy()}; frame-ancestors 'none'; sandbox"
    assert page.headers["x-content-type-options"] == "nosniff"


def test_a_report_that_is_asked_for_is_made_and_kept(client: Client, control: Control) -> None:
    """Without more it covers the last day in the settings' zone and goes nowhere."""
    made = client.make_report()
    report = Report.model_validate(made["report"])
    assert (report.schedule, report.zone, made["saved"], made["deliveries"]) == ("on demand", "UTC", True, [])
    assert report.period.to_ns - report.period.from_ns == 86_400 * 10**9
    assert control.reading(reports.load, report.id) == report
    assert control.reading(firings.deliveries) == []


def test_a_period_may_be_given_as_times_and_lengths(client: Client) -> None:
    """A length counts back from the end."""
    made = client.make_report(since="2h", until="2026-11-23T09:00:00Z", dry_run=True)
    end = 1_795_424_400 * 10**9
    assert made["report"]["period"] == {"from_ns": end - 7200 * 10**9, "to_ns": end}


def test_a_report_of_a_schedule_covers_its_latest_nominal_period(client: Client, control: Control) -> None:
    """The period is that of the firing, not of the question; it carries the schedule's name and zone."""
    (hourly,) = [n for n in client.next_reports(1) if n["schedule"] == "hourly"]
    made = client.make_report(schedule="hourly", format="md")
    report = Report.model_validate(made["report"])
    upcoming = hourly["firings"][0]["fire_ns"]
    assert upcoming - report.period.to_ns in (0, 3600 * 10**9)
    assert report.period.to_ns - report.period.from_ns == 7200 * 10**9
    assert (report.schedule, made["rendered"]) == ("hourly", render.markdown(report, "https://runs.example.com/"))


def test_a_dry_run_shows_what_would_be_sent_where_and_keeps_nothing(client: Client, control: Control) -> None:
    """Channels, subject and picture; a channel that wants none says so, one that cannot be used says why."""
    made = client.make_report(schedule="morning", dry_run=True)
    previews = {d["channel"]: (d["where"], d["wanted"], d["picture"]) for d in made["deliveries"]}
    assert previews == {
        "hook": ("https://hooks.example.com/…", True, False),
        "news": ("json://me:****@localhost/", False, False),
        "wrong": ("", True, False),
    }
    assert "none that Apprise can use" in made["deliveries"][2]["error"]
    assert all(d["subject"].startswith("morning: ") for d in made["deliveries"])
    assert CANARY not in json.dumps(made)
    assert [row.id for row in control.reading(reports.rows)] == [NIGHT.id]
    assert control.reading(firings.deliveries) == []


def test_a_report_is_delivered_when_it_is_asked_for(client: Client, control: Control) -> None:
    """To the channels of its schedule that want it."""
    made = client.make_report(schedule="morning", deliver=True)
    owed = {d["channel"] for d in client.deliveries(made["report"]["id"])}
    assert owed == {"hook", "wrong"} == {d.channel for d in control.reading(firings.waiting)}
    assert client.make_report(schedule="morning")["deliveries"] == []


def test_what_comes_next_is_told_with_zone_and_period(client: Client) -> None:
    """Each schedule has its next firings in order, and what each covers."""
    morning, hourly = client.next_reports(4)
    assert (morning["zone"], hourly["zone"], hourly["deliver"]) == ("Europe/Berlin", "UTC", [])
    fires = [f["fire_ns"] for f in hourly["firings"]]
    assert [b - a for a, b in pairwise(fires)] == [3600 * 10**9] * 3
    assert all(f["to_ns"] - f["from_ns"] == 7200 * 10**9 for f in hourly["firings"])
    assert client.firings() == []


def test_feedback_is_kept_and_taken_back(client: Client, control: Control) -> None:
    """An anomaly is expected for good, until a time, or no more."""
    client.say_expected("a1b2", note="a holiday")
    client.say_expected("c3d4", until="2126-11-24T00:00:00Z")
    assert {f["key"]: (f["note"], f["until_ns"] is None) for f in client.feedback()} == {
        "a1b2": ("a holiday", True),
        "c3d4": ("", False),
    }
    client.say_expected("a1b2", expected=False)
    assert [f.key for f in control.reading(reports.feedback)] == ["c3d4"]


@pytest.mark.parametrize(
    ("body", "names"),
    [
        ({"schedule": "noon"}, "schedule: no schedule 'noon'; there are morning, hourly"),
        ({"since": "yesterday"}, "since: expected"),
        ({"since": "40d"}, "since: expected a period of 31 days"),
        ({"until": "2126-01-01"}, "since: expected a time before until"),
        ({"since": "1h", "until": "-5"}, "since: expected a time before until"),
        ({"deliver": True}, "deliver: a report goes to the channels of its schedule"),
        ({"deliver": "yes"}, "deliver: expected true or false"),
        ({"format": "pdf"}, "format: expected one of json, html, md"),
        ({"colour": "red"}, "colour: no such parameter; there are schedule"),
        ([], "body: expected a JSON object"),
        ({"schedule": 7}, "schedule: expected a text, got '7'"),
        ({"schedule": "x" * 20_000}, "body: longer than"),
    ],
)
def test_a_wrong_request_is_one_sentence_that_names_its_field(api: TestClient, body: Any, names: str) -> None:
    """Nothing is made of it."""
    answer = api.post("/api/v1/reports", json=body)
    assert (answer.status_code, names in answer.json()["error"]) == (400, True), answer.text
    assert len(api.get("/api/v1/reports").json()) == 1


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("/api/v1/reports/nothing", 404),
        ("/api/v1/reports/nothing.html", 404),
        (f"/api/v1/reports/{NIGHT.id}.pdf", 404),
        (f"/api/v1/reports/{NIGHT.id}.html?dashboard=javascript:alert(1)", 400),
        ("/api/v1/reports?limit=0", 422),
        ("/api/v1/reports?limit=many", 400),
        ("/api/v1/reports?colour=red", 400),
        ("/api/v1/reports/next?n=-1", 422),
    ],
)
def test_a_wrong_question_is_one_sentence(api: TestClient, path: str, status: int) -> None:
    """What is not there is 404, what is wrong 400, what is too small 422."""
    answer = api.get(path)
    assert answer.status_code == status
    assert list(answer.json()) == ["error"]


@pytest.mark.parametrize("stated", ["", "text/plain", "application/x-www-form-urlencoded", "multipart/form-data"])
@pytest.mark.parametrize("path", sorted(name[5:] for name in ENDPOINTS if name.startswith("POST ")))
def test_no_foreign_web_page_can_start_anything(api: TestClient, path: str, stated: str) -> None:
    """What a browser sends without asking first is refused, and its question is not answered with yes."""
    answer: httpx.Response = api.post(path, content='{"key": "a"}', headers={"content-type": stated} if stated else {})
    assert (answer.status_code, answer.json()) == (415, {"error": "content-type: expected application/json"})
    asked = api.options(path, headers={"origin": "https://evil.example", "access-control-request-method": "POST"})
    assert "access-control-allow-origin" not in asked.headers
    assert api.get("/api/v1/reports/feedback").json() == []


def test_the_client_tells_what_is_unknown(client: Client) -> None:
    """A report that is not there is an error that says so."""
    with pytest.raises(ApiError) as error:
        client.report("nothing")
    assert error.value.unknown


def test_the_doctor_names_channels_and_schedules_that_fail(client: Client, control: Control) -> None:
    """A channel whose latest report waits or was given up, and a report that was not made today; else all is well."""
    now_ns = time.time_ns()
    assert doctor.reports(client, now_ns) == []
    control.writing(firings.owe, NIGHT.id, ["hook", "news", "wrong"], now_ns)
    hook, news, wrong = control.reading(firings.waiting)
    control.writing(firings.update, replace(hook, state="sent", attempts=1, ended_ns=now_ns))
    control.writing(firings.update, replace(news, state="sent", attempts=2, ended_ns=now_ns))
    control.writing(firings.update, replace(wrong, state="sent", attempts=1, ended_ns=now_ns))
    assert [(c.state, c.message) for c in doctor.reports(client, now_ns)] == [
        ("ok", "3 channels took the latest report")
    ]
    control.writing(firings.update, replace(news, attempts=2, note="it answered 503"))
    control.writing(firings.update, replace(wrong, state="given_up", attempts=9, ended_ns=now_ns, note="no"))
    firing = Firing("morning", now_ns - 1, 0, now_ns - 1, now_ns, "due")
    control.writing(firings.note, "morning", [firing], now_ns)
    control.writing(firings.fail, firing, "ValueError")
    assert {(c.state, c.message) for c in doctor.reports(client, now_ns)} == {
        ("problem", "channel news: a report waits after 2 attempts: it answered 503"),
        ("problem", "channel wrong: the latest report was given up after 9 attempts: no"),
        ("problem", "schedule morning: a report of the last 24 hours was not made: ValueError"),
    }


def test_the_doctor_says_where_links_lead() -> None:
    """Where channels are set and no address is stated: nowhere, or where this machine alone reaches; else nothing."""
    hook = {"name": "hook", "type": "webhook", "url": "https://h.example.com", "secret": "s" * 16}
    sent = Settings.model_validate({"reports": {"channels": [hook]}})
    beside = {"dashboard": {"host": "127.0.0.1", "port": 8501}}
    assert "without links" in doctor.links(sent, {"api": {}})[0].message
    assert "lead to http://127.0.0.1:8501, which this machine alone reaches" in doctor.links(sent, beside)[0].message
    stated = Settings.model_validate({"reports": {"channels": [hook], "dashboard": "https://d.example.com"}})
    assert [*doctor.links(stated, {}), *doctor.links(Settings(), {}), *doctor.links(Settings(), beside)] == []
