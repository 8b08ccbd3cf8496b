"""`runwell reports` against a running collector, and what a killed store owes."""

from __future__ import annotations

import json
import re
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler
from pathlib import Path

import pytest

from collector.cli import root
from collector.model.report import Report
from tests.report.notify import endpoints
from tests.report.notify.endpoints import Endpoint
from tests.stack import Stack, running, until

pytestmark = pytest.mark.e2e
CANARY = "canary6f1c0b77d2"


@pytest.fixture(scope="module")
def endpoint() -> Iterator[Endpoint]:
    """Serve HTTP on loopback."""
    with endpoints.http() as made:
        yield made


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory, endpoint: Endpoint) -> Iterator[Stack]:
    """Run a collector whose schedule delivers to *endpoint*."""
    directory = tmp_path_factory.mktemp("reports")
    config = directory / "runwell.toml"
    (directory / "key").write_text(f"{CANARY}-{CANARY}")
    config.write_text(f"""
[reports]
zone = "Europe/Berlin"
internal_hosts = ["127.0.0.1"]
[[reports.schedules]]
name = "morning"
cron = "0 9 * * *"
deliver = ["hook"]
[[reports.channels]]
name = "hook"
type = "webhook"
url = "http://127.0.0.1:{endpoint.port}/{CANARY}"
secret = "${{file:{directory}/key}}"
""")
    with running(directory / "data", "--config", str(config)) as made:
        yield made


class Shell:
    """Calls verbs in this process and keeps what they print."""

    def __init__(self, capture: pytest.CaptureFixture[str], stack: Stack) -> None:
        self._capture = capture
        self._data = str(stack.data)

    def __call__(self, *arguments: str) -> tuple[str, str]:
        """Return what `runwell reports` with *arguments* says on stdout and stderr."""
        self._capture.readouterr()
        code = root.run(["reports", *arguments, "--data", self._data])
        said = self._capture.readouterr()
        assert (code == 0) == (not said.err.startswith("runwell: ")), said.err
        return said.out, said.err


@pytest.fixture
def shell(capsys: pytest.CaptureFixture[str], stack: Stack) -> Shell:
    """Return a shell."""
    return Shell(capsys, stack)


def test_a_report_is_made_listed_and_shown_in_every_form(shell: Shell, tmp_path: Path) -> None:
    """What `run` makes, `list` names and `show` shows; `latest` is the newest; a file takes any form."""
    out, err = shell("run", "--since", "6h")
    assert out.startswith("Nothing could be assessed")
    assert "times in Europe/Berlin" in out
    made = err.split()[-1].rstrip(".")
    assert shell("show", made) == (out, "")
    assert made in shell("list")[0]
    assert json.loads(shell("list", "--format", "json")[0])[0]["id"] == made
    report = json.loads(shell("show", "latest", "--format", "json")[0])
    assert (report["id"], report["schedule"]) == (made, "on demand")
    assert shell("show", made, "--format", "md")[0].startswith("# Nothing could be assessed")
    assert shell("show", made, "--format", "html", "--output", str(tmp_path / "r.html")) == ("", "")
    assert (tmp_path / "r.html").read_text().startswith("<!doctype html>")


def test_next_tells_when_each_schedule_comes_round(shell: Shell) -> None:
    """The times are of the schedule's zone, with the period and the channels."""
    lines = shell("next", "-n", "2")[0].splitlines()
    assert [line.split()[0] for line in lines] == ["schedule", "morning", "morning"]
    assert all(re.search(r", 09:00 +Europe/Berlin  .*hook$", line) for line in lines[1:])
    (schedule,) = json.loads(shell("next", "--format", "json")[0])
    assert len(schedule["firings"]) == 3


def test_a_dry_run_says_what_would_go_where_and_sends_nothing(shell: Shell, endpoint: Endpoint) -> None:
    """Neither the store nor the endpoint keeps anything."""
    before, sent = shell("list"), len(endpoint.arrived)
    out, err = shell("run", "--schedule", "morning", "--dry-run", "--format", "json")
    assert json.loads(out)["saved"] is False
    assert err.startswith(f"hook: would go to http://127.0.0.1:{endpoint.port}/…: morning: ")
    assert CANARY not in out + err
    assert (shell("list"), len(endpoint.arrived)) == (before, sent)


@pytest.mark.parametrize(
    ("arguments", "names"),
    [
        (("run", "--schedule", "noon"), "no schedule 'noon'; there are morning"),
        (("run", "--since", "soon"), "since: expected"),
        (("run", "--deliver"), "deliver: a report goes to the channels of its schedule"),
        (("show", "nothing"), "no report 'nothing'"),
        (("show",), "REPORT"),
        (("next", "-n", "0"), "n: expected a whole number"),
        (("list", "--limit", "0"), "limit: expected"),
        (("show", "latest", "--format", "pdf"), "--format"),
        (("show", "latest", "--output", "/no/where"), "--output /no/where"),
    ],
)
def test_a_mistake_is_one_sentence(shell: Shell, arguments: tuple[str, ...], names: str) -> None:
    """It names the option or field."""
    shell("run")
    out, err = shell(*arguments)
    assert out == ""
    assert err.startswith("runwell: ")
    assert names in err
    assert err.count("\n") == 1


def test_a_store_that_is_killed_while_it_delivers_sends_again_under_the_same_key(
    shell: Shell, stack: Stack, endpoint: Endpoint
) -> None:
    """The endpoint had it and nobody knew: after the kill it gets the same again, and nothing is owed any more."""
    killed, before = threading.Event(), len(endpoint.arrived)

    def act(handler: BaseHTTPRequestHandler) -> None:
        killed.wait(20)

    endpoint.act = act
    out, err = shell("run", "--schedule", "morning", "--deliver", "--format", "json")
    made = Report.model_validate(json.loads(out)["report"])
    assert f"hook: goes to http://127.0.0.1:{endpoint.port}/…" in err
    until(lambda: len(endpoint.arrived) > before, why="the first delivery")
    stack.child("store").kill()
    endpoint.act = None
    killed.set()
    until(lambda: stack.client.deliveries(made.id)[0]["state"] == "sent", why="the second delivery")
    first, second = endpoint.arrived[before:]
    assert first.headers["webhook-id"] == second.headers["webhook-id"]
    assert (first.body, json.loads(first.body)["data"]["report"]["id"]) == (second.body, made.id)
    assert "hook: delivered" in shell("show", made.id)[0]


def test_no_secret_is_in_what_the_collector_writes(stack: Stack, endpoint: Endpoint) -> None:
    """Neither log, data directory nor process list holds the key or the path of a channel."""
    assert endpoint.arrived, "something was delivered"
    files = [p for p in stack.data.rglob("*") if p.is_file()]
    names = [
        p.name for p in [*files, stack.data.parent / f"{stack.data.name}.log"] if CANARY.encode() in p.read_bytes()
    ]
    assert names == []
    assert CANARY not in " ".join(part for role in ("receive", "store") for part in stack.child(role).cmdline())
    assert CANARY not in json.dumps(stack.client.status()) + json.dumps(stack.client.deliveries())
