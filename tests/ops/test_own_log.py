"""What our own processes log: events of the conventions' grammar, and nothing that a sender wrote."""

from __future__ import annotations

import json
import os
import re
import signal
import socket
import subprocess
import sys
from datetime import datetime
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx
import pytest

from collector.cli import root
from collector.decode.event import event
from collector.telemetry.log import cause
from tests.ops.traffic import Scrape, call, post
from tests.stack import Stack, running, until

pytestmark = pytest.mark.e2e
CANARY = "canary9e41"
ADDRESS = re.compile(r"^(OTLP/HTTP|OTLP/gRPC|read API) +http://127\.0\.0\.1:\d+$")
KEY = re.compile(r"^[a-z][a-z0-9]*(_[a-z0-9]+)*$")
IDS = {"correlation_id": r"runwell-[0-9a-f]{8}", "run_id": r"[a-z]+-[0-9a-f]{8}"}


def canaries() -> bytes:
    """Return a request that says the canary wherever a sender may say something."""
    pair = {"key": CANARY, "value": {"stringValue": CANARY}}
    record = {
        "body": {"stringValue": CANARY},
        "eventName": CANARY,
        "severityText": CANARY,
        "attributes": [
            pair,
            {"key": "task_id", "value": {"stringValue": CANARY}},
            {"key": "run_id", "value": {"stringValue": CANARY}},
        ],
    }
    scope = {"scope": {"name": CANARY}, "logRecords": [record]}
    return json.dumps({"resourceLogs": [{"resource": {"attributes": [pair]}, "scopeLogs": [scope]}]}).encode()


def raw(url: str, payload: bytes) -> None:
    """Send bytes that are not HTTP, and wait until the server hangs up."""
    where = urlsplit(url)
    with socket.create_connection((where.hostname or "", where.port or 0), timeout=10) as s:
        s.sendall(payload)
        while s.recv(4096):
            pass


def provoke(stack: Stack) -> None:
    """Make the processes fail in the ways a sender, a reader and a kill can."""
    http = stack.url("http")
    assert post(http, "logs", canaries(), content_type="application/json").status_code == 200
    for body, kind in ((CANARY.encode(), "application/json"), (CANARY.encode(), "application/x-protobuf")):
        assert post(http, "logs", body, content_type=kind).status_code == 400
    wrong = json.dumps({"resourceLogs": CANARY}).encode()
    assert post(http, "logs", wrong, content_type="application/json").status_code == 400
    assert post(http, "logs", b"x", content_type=CANARY).status_code == 415
    assert post(http, "logs", bytes(70_000)).status_code == 413
    assert post(http, CANARY, b"x").status_code == 404
    assert call(stack.url("grpc"), "traces", CANARY.encode()).name == "INVALID_ARGUMENT"
    raw(http, f"{CANARY} {CANARY}\r\n\r\n".encode())
    raw(stack.url("api"), f"GET /{CANARY}\x00 HTTP/1.1\r\n\r\n".encode())
    sql = {"sql": f"select '{CANARY}'::int"}
    assert httpx.post(f"{stack.url('api')}/api/v1/sql", json=sql, trust_env=False).status_code == 400
    stack.applied()
    pid = stack.child("store").pid
    os.kill(pid, signal.SIGKILL)
    until(lambda: stack.child("store").pid != pid and stack.client.status(), why="another store")
    until(lambda: Scrape(stack.url("api")).value("runwell_store_checkpoints_total"), why="a checkpoint")


@pytest.fixture(scope="module")
def lines(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    """Everything that a runwell wrote from its start through failures to its stop."""
    data = tmp_path_factory.mktemp("own") / "data"
    with running(data, env={"RUNWELL_LIMITS__BODY": "65536", "RUNWELL_STORE__CHECKPOINT": "PT1S"}) as stack:
        provoke(stack)
    return Path(f"{data}.log").read_text().splitlines()


@pytest.fixture(scope="module")
def events(lines: list[str]) -> list[dict[str, Any]]:
    """The log, without the addresses that the command line prints."""
    return [json.loads(line) for line in lines if not ADDRESS.match(line)]


def test_every_line_is_an_event(events: list[dict[str, Any]]) -> None:
    """Every message is `{operation}_{phase}`, every key snake_case, every line says when and how grave."""
    assert len(events) > 10
    for e in events:
        assert event(e["message"])[0], e
        assert all(KEY.match(key) for key in e), e
        assert e["level"] in ("info", "error")
        assert re.match(r"^\d{4}-\d\d-\d\dT[\d:.]+Z$", e["timestamp"])


def test_every_line_has_its_ids(events: list[dict[str, Any]]) -> None:
    """All processes of one start share a correlation_id, each line names its run, each refused request itself."""
    for e in events:
        for key, form in IDS.items():
            assert re.fullmatch(form, e[key]), e
    assert len({e["correlation_id"] for e in events}) == 1
    lives = {e["run_id"] for e in events if e["message"] == "store_start_completed"}
    assert len(lives) == 2
    refused = [e["request_id"] for e in events if e["message"] == "otlp_request_failed"]
    assert len(refused) == len(set(refused)) > 0


def test_phases_carry_what_they_must(events: list[dict[str, Any]]) -> None:
    """A failure is an error with type and message; what completed after a start says how many ms it took."""
    for e in events:
        operation, phase, _ = event(e["message"])
        if phase == "failed":
            assert e["level"] == "error"
            assert e["error_type"]
            assert e["error_message"]
        if phase == "completed":
            assert isinstance(e["processing_time_ms"], int)
            begun = [b for b in events if b["message"] == f"{operation}_started" and b["run_id"] == e["run_id"]]
            assert begun, e


def test_lives_and_failures_are_told(events: list[dict[str, Any]]) -> None:
    """Starts, stops, checkpoints, refused requests and a killed child are told."""
    said = {(e["process"], e["message"]) for e in events}
    assert said >= {
        *(
            (p, f"{p}_{what}_{phase}")
            for p in ("receive", "store")
            for what in ("start", "stop")
            for phase in ("started", "completed")
        ),
        ("store", "store_checkpoint_completed"),
        ("receive", "otlp_request_failed"),
        ("supervisor", "process_run_failed"),
    }
    assert {e["outcome"] for e in events if e["message"] == "otlp_request_failed"} == {
        "bad_input",
        "unsupported",
        "too_large",
    }


def test_a_remark_of_a_library_is_told_without_its_words() -> None:
    """Where a library warns is said, not what: it may quote a sender."""
    code = (
        "import logging; from collector.telemetry import log; log.configure('store'); "
        f"logging.getLogger('uvicorn.error').warning('cannot read {CANARY}')"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    (line,) = done.stderr.splitlines()
    event = json.loads(line)
    assert (event["message"], event["library"]) == ("library_call_failed", "uvicorn.error")
    assert CANARY not in line


@pytest.mark.parametrize(
    "error",
    [ValueError(CANARY), KeyError(CANARY), RuntimeError(CANARY), FileNotFoundError(2, "No such file", CANARY)],
    ids=lambda error: type(error).__name__,
)
def test_an_error_is_told_by_its_type_and_place(error: Exception) -> None:
    """Its text is left out, since it may quote a sender, and so is the name of a file."""
    with pytest.raises(type(error)) as raised:
        raise error
    told = cause(raised.value)
    assert (told["error_type"], told["error_at"].partition(":")[0]) == (type(error).__name__, Path(__file__).name)
    assert CANARY not in json.dumps(told)


def test_nothing_of_a_sender_is_repeated(lines: list[str]) -> None:
    """No word that a sender wrote, in a body, an attribute, a name, a path, a header or bytes that are no request."""
    assert [line for line in lines if CANARY in line] == []


def test_refusals_do_not_flood_the_log(tmp_path: Path) -> None:
    """The same refusal is told once in a while, with how many were held back; the books count them all."""
    with running(tmp_path / "data") as stack:
        for _ in range(50):
            assert post(stack.url("http"), "logs", b"\xff").status_code == 400
        scrape = Scrape(stack.url("http"))
    assert scrape.value("runwell_receive_requests_total", outcome="bad_input", signal="logs") == 50
    lines = [
        line for line in Path(f"{tmp_path / 'data'}.log").read_text().splitlines() if "otlp_request_failed" in line
    ]
    assert 1 <= len(lines) <= 5


def as_otlp(events: list[dict[str, Any]]) -> str:
    """Return log events as a line of OTLP/JSON, as our own export sends them."""
    records = [
        {
            "timeUnixNano": str(int(datetime.fromisoformat(e["timestamp"]).timestamp() * 10**6) * 1000),
            "severityText": e["level"],
            "severityNumber": {"info": 9, "error": 17}[e["level"]],
            "body": {"stringValue": e["message"]},
            "attributes": [
                {"key": k, "value": {"intValue": v} if isinstance(v, int) else {"stringValue": str(v)}}
                for k, v in e.items()
                if k not in ("timestamp", "level", "message")
            ],
        }
        for e in events
    ]
    resource = {"attributes": [{"key": "service.name", "value": {"stringValue": "runwell"}}]}
    return json.dumps({"resourceLogs": [{"resource": resource, "scopeLogs": [{"logRecords": records}]}]})


def test_our_own_rules_find_nothing_against_us(
    events: list[dict[str, Any]], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """`runwell check` of what runwell logs finds neither an error nor a warning, two rules left aside.

    CTX002 asks for a request id, and nobody requested a start or a checkpoint. PHA002 asks for a `_started` line
    before each refused request, which would be a line for every request.
    """
    (tmp_path / "own.jsonl").write_text(as_otlp(events) + "\n")
    code = root.run(["check", "--input", str(tmp_path / "own.jsonl"), "--ignore", "CTX002,PHA002"])
    assert code == 0, capsys.readouterr().out
