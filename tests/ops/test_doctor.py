"""`runwell doctor`, with and without a running collector."""

from __future__ import annotations

import json
import secrets
import socket
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from collector.control.senders import Sender
from collector.doctor import connect, ports
from collector.doctor.clocks import clock, skews
from tests.ops import traffic
from tests.ops.doctors import Doctor, checks, free_ports
from tests.ops.traffic import post
from tests.stack import Stack, running

pytestmark = pytest.mark.e2e
DOCS = Path(__file__).parents[2] / "docs"
AHEAD, BEHIND = 7 * 10**9, -7 * 10**9


@pytest.fixture
def doctor(capsys: pytest.CaptureFixture[str]) -> Doctor:
    """The command."""
    return Doctor(capsys)


def trigger_logs() -> bytes:
    """Return logs as a Trigger.dev worker sends them."""
    resource = {
        "attributes": [
            {"key": "$trigger", "value": {"boolValue": True}},
            {"key": "sdk.language", "value": {"stringValue": "typescript"}},
            {"key": "sdk.version", "value": {"stringValue": "4.8.3"}},
        ]
    }
    record = {"timeUnixNano": str(time.time_ns()), "body": {"stringValue": secrets.token_hex(8)}}
    return json.dumps({"resourceLogs": [{"resource": resource, "scopeLogs": [{"logRecords": [record]}]}]}).encode()


def handover(parent_ahead_ns: int) -> bytes:
    """Return the spans of a parent, on a clock that is ahead, that triggers a child whose clock is right."""
    request = ExportTraceServiceRequest()
    now = time.time_ns()
    for service, kind, at, attributes in (
        ("parent", 4, now + parent_ahead_ns, {"run_id": "run_p", "child_run_id": "run_c"}),
        ("child", 5, now, {"run_id": "run_c", "task_id": "ship"}),
    ):
        block = request.resource_spans.add()
        block.resource.attributes.add(key="service.name").value.string_value = service
        span = block.scope_spans.add().spans.add(
            trace_id=secrets.token_bytes(16),
            span_id=secrets.token_bytes(8),
            name="ship",
            kind=kind,
            start_time_unix_nano=at,
            end_time_unix_nano=at + 2 * 10**9,
        )
        for key, value in attributes.items():
            span.attributes.add(key=key).value.string_value = value
    return request.SerializeToString()


def test_without_a_collector(doctor: Doctor, tmp_path: Path) -> None:
    """On an empty machine nothing is wrong, the report says so, and looking leaves no trace."""
    data = tmp_path / "none"
    code, report = doctor.json("--data", str(data), *free_ports())
    assert (code, report["problems"], report["senders"]) == (0, 0, [])
    assert checks(report, "data", "note")
    assert {"runwell", "python", "duckdb", "polars", "sqlite"} <= set(
        next(c["facts"] for c in report["checks"] if c["name"] == "versions")
    )
    assert not data.exists()


def test_a_taken_port_is_a_problem(doctor: Doctor, tmp_path: Path) -> None:
    """A port that something else holds is named with its process, and the exit code is 1."""
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        s.listen()
        port = s.getsockname()[1]
        ports = free_ports()
        ports[1] = str(port)
        code, report = doctor.json("--data", str(tmp_path), *ports)
    assert code == 1
    (message,) = checks(report, "port_http", "problem")
    assert f"127.0.0.1:{port}: taken by something else, process py" in message
    assert "--http-port" in message


def test_little_disk_is_a_problem(doctor: Doctor, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Less free space than journal.free_disk is a problem before the first request is refused."""
    monkeypatch.setenv("RUNWELL_JOURNAL__FREE_DISK", "1PiB")
    code, report = doctor.json("--data", str(tmp_path), *free_ports())
    assert code == 1
    assert "below journal.free_disk (1.0 PiB) nothing is taken" in checks(report, "disk", "problem")[0]


def test_damaged_files_are_a_problem(doctor: Doctor, tmp_path: Path) -> None:
    """A file that was set aside is shown until somebody moves it away."""
    (tmp_path / "journal.sqlite.damaged-1").write_bytes(b"x")
    code, report = doctor.json("--data", str(tmp_path), *free_ports())
    assert code == 1
    assert "journal.sqlite.damaged-1" in checks(report, "data_set_aside", "problem")[0]


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """A running collector."""
    data = tmp_path_factory.mktemp("doctor") / "data"
    with running(data, env={"RUNWELL_STORE__FLUSH": "PT0.1S"}) as made:
        yield made


def test_a_running_collector_is_well(doctor: Doctor, stack: Stack) -> None:
    """All ports answer, receive takes requests, nothing lags; the exporter seen gets its own settings to paste."""
    body = traffic.logs(2)
    agent = "OTel-OTLP-Exporter-Python/1.45.2"
    assert post(stack.url("http"), "logs", body, user_agent=agent).status_code == 200
    stack.applied()
    report = _until_sender(doctor, stack, agent="python")
    assert report["problems"] == 0
    for name in ("port_http", "port_grpc", "port_api", "receive", "lag", "disk", "data"):
        assert checks(report, name, "ok"), name
    (sender,) = report["senders"]
    assert (sender["language"], sender["agent_version"], sender["records"]) == ("python", "1.45.2", 2)
    assert stack.url("http") in report["settings"]["python"]
    assert "runwell (" in checks(report, "port_http")[0]  # the supervisor holds the socket


def _until_sender(doctor: Doctor, stack: Stack, **sender: str) -> dict[str, Any]:
    from tests.stack import until

    def seen() -> dict[str, Any] | None:
        _, report = doctor.json("--data", str(stack.data))
        return report if any(sender.items() <= s.items() for s in report["senders"]) else None

    return until(seen, why=f"{sender} in the report")


def test_logs_without_spans_name_the_old_exporter(doctor: Doctor, stack: Stack) -> None:
    """A Trigger.dev project whose exporter sends no spans is told its version, and that 0.200 or newer is needed."""
    old = {"content_type": "application/json", "user_agent": "OTel-OTLP-Exporter-JavaScript/0.52.1"}
    assert post(stack.url("http"), "logs", trigger_logs(), **old).status_code == 200
    report = _until_sender(doctor, stack, dialect="trigger_dev")
    (message,) = checks(report, "exporters_trigger_dev", "problem")
    assert "version 0.52.1" in message
    assert "0.200 or newer" in message
    assert f'"{stack.url("http")}"' in report["settings"]["trigger-dev"]
    new = {"content_type": "application/json", "user_agent": "OTel-OTLP-Exporter-JavaScript/0.219.0"}
    assert post(stack.url("http"), "logs", trigger_logs(), **new).status_code == 200
    report = _until_sender(doctor, stack, agent_version="0.219.0")
    (message,) = checks(report, "exporters_trigger_dev", "problem")
    assert "0.52.1" not in message


def test_skewed_workers_are_found(doctor: Doctor, stack: Stack) -> None:
    """Of two workers whose clocks are 7 s ahead and 7 s behind, both are shown with what telemetry proves of it."""
    began = time.time_ns()
    for service, off in (("fast\x1b[31m", AHEAD), ("slow", BEHIND)):
        body = traffic.logs(1, service=service, time_ns=time.time_ns() + off)
        assert post(stack.url("http"), "logs", body).status_code == 200
    took = time.time_ns() - began
    stack.applied()
    rows = {row["service_name"]: row for row in stack.client.query("clock_skew").to_dicts()}
    assert -AHEAD <= rows["fast\x1b[31m"]["behind_ns"] <= -AHEAD + took
    assert -BEHIND <= rows["slow"]["behind_ns"] <= -BEHIND + took
    assert "billing" not in rows
    code, out = doctor.text("--data", str(stack.data))
    assert code == 1
    assert "is ahead of this one by at least" in out
    assert "\x1b" not in out


@pytest.mark.parametrize(("behind_ns", "text"), [(-7 * 10**9, "7 s"), (5 * 10**13, "13.9 h"), (63 * 10**15, "729 d")])
def test_how_far_a_clock_is_off_can_be_read(behind_ns: int, text: str) -> None:
    """It is told in the unit that fits, days for records that are replayed."""
    (_, check) = clock([Sender("http", "logs", "json", "js", "1", "", "", "", behind_ns=behind_ns)])
    assert text in check.message


def test_clocks_of_one_name_are_told_once() -> None:
    """Of many alike the one that is off most stands for all, ahead and behind apart."""
    rows = [{"service_name": "shop", "resource_id": f"{n:08d}", "behind_ns": n * 10**10} for n in (1, 3, 2, -4, -5)]
    messages = [check.message for check in skews(rows)]
    assert [message.partition(" this one")[0] for message in messages] == [
        "the clock of shop (2 of that name) is ahead of",
        "the clock of shop (3 of that name) is behind",
    ]
    assert "50 s" in messages[0]
    assert "30 s" in messages[1]


def test_what_is_being_started_again_is_waited_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A port on which nothing listens for a moment is looked at again; one that stays so is told with who starts it."""
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        where = {"grpc": {"host": "127.0.0.1", "port": s.getsockname()[1]}}
        monkeypatch.setattr(ports, "_RESTART_S", 0.3)
        (gone,) = ports.ports(where, {**where, "pid": 7})
        assert gone.message.endswith(
            "nothing listens; runwell (7) starts gate again when it dies, see its log for why it does not come up"
        )
        threading.Timer(0.1, s.listen).start()
        monkeypatch.setattr(ports, "_greets", lambda host, port: "gate")
        assert ports.ports(where, {**where, "pid": 7})[0].state == "ok"


def test_waits_across_clocks_are_clamped_and_counted(doctor: Doctor, stack: Stack) -> None:
    """A child that starts before its parent's clock says it was queued waited 0, which is counted."""
    assert post(stack.url("http"), "traces", handover(AHEAD)).status_code == 200
    stack.applied()
    child = stack.client.run("run_c")["run"]
    assert child["queue_wait_ns"] == 0
    assert child["ended_ns"] - child["started_ns"] == 2 * 10**9
    quality = {row["kind"]: row for row in stack.client.query("time_quality").to_dicts()}
    assert quality["runs"]["clamped_queue_waits"] == 1
    _, report = doctor.json("--data", str(stack.data))
    assert any("raised to 0" in message for message in checks(report, "times", "note"))


def test_backward_spans_stay_out_of_statistics(stack: Stack) -> None:
    """A span that ends before it starts has no duration anywhere, and is counted."""
    request = ExportTraceServiceRequest.FromString(traffic.spans(1, name="backwards"))
    span = request.resource_spans[0].scope_spans[0].spans[0]
    span.start_time_unix_nano, span.end_time_unix_nano = span.end_time_unix_nano, span.start_time_unix_nano
    assert post(stack.url("http"), "traces", request.SerializeToString()).status_code == 200
    stack.applied()
    rows = stack.client.sql("select duration_ns from spans where name = 'backwards'").table.to_pylist()
    assert rows == [{"duration_ns": None}]
    quality = {row["kind"]: row for row in stack.client.query("time_quality").to_dicts()}
    assert quality["spans"]["end_before_start"] == 1


def test_a_stopped_store_and_gate_are_problems(doctor: Doctor, stack: Stack) -> None:
    """What hangs is named as something that does not answer, not as a stranger; what waits in the journal is told."""
    stopped = [stack.child("store"), stack.child("gate")]
    for process in stopped:
        process.suspend()
    try:
        assert post(stack.url("http"), "logs", traffic.logs(1)).status_code == 200
        code, report = doctor.json("--data", str(stack.data))
    finally:
        for process in stopped:
            process.resume()
    assert code == 1
    for port in ("port_api", "port_grpc"):
        assert "does not answer" in checks(report, port, "problem")[0]
    assert "the store does not answer" in checks(report, "store", "note")[0]
    assert checks(report, "lag", "note")[0].startswith("1 group not taken up since 20")
    assert checks(report, "receive", "ok")


def test_files_that_cannot_be_read_are_told(doctor: Doctor, tmp_path: Path) -> None:
    """A control file of rubbish is a problem in one line, and what it would have said is unknown."""
    (tmp_path / "control.sqlite").write_bytes(b"no database at all" * 99)
    code, report = doctor.json("--data", str(tmp_path), *free_ports())
    assert code == 1
    assert "who sends and what was refused is unknown" in checks(report, "control", "problem")[0]
    assert checks(report, "lag", "note") == ["how far the store is behind cannot be told"]
    assert not checks(report, "refused")


def test_after_the_end_the_files_tell(doctor: Doctor, tmp_path: Path) -> None:
    """With the collector stopped, senders and what waits for the store are still told from the files."""
    with running(tmp_path / "data") as stack:
        assert post(stack.url("http"), "logs", traffic.logs(4)).status_code == 200
        stack.applied()
    code, report = doctor.json("--data", str(tmp_path / "data"), *free_ports())
    assert code == 0
    assert checks(report, "lag", "ok") == ["the store had taken up everything when it ended"]
    assert [s["records"] for s in report["senders"]] == [4]


@pytest.mark.parametrize("kind", ["trigger-dev", "collector", "otlp"])
def test_settings_are_those_of_the_docs(kind: connect.Exporter) -> None:
    """What doctor shows to paste is what docs/connect says, line for line."""
    page = {"trigger-dev": "trigger-dev.md", "collector": "otlp.md", "otlp": "otlp.md"}[kind]
    text = (DOCS / "connect" / page).read_text()
    shown = connect.SETTINGS[kind]("http://127.0.0.1:4318", "http://127.0.0.1:4317")
    for line in shown.splitlines():
        if not line.startswith(("//", "#")):
            assert line.split(" // ")[0] in text, line


@pytest.mark.parametrize(
    ("agent", "dialect", "language", "kind"),
    [
        ("js", "trigger_dev", "typescript", "trigger-dev"),
        ("python", "generic", "python", "python"),
        ("grpc", "generic", "nodejs", "js"),
        ("collector", "generic", "java", "collector"),
        ("java", "generic", "java", "otlp"),
    ],
)
def test_the_exporter_at_hand(agent: str, dialect: str, language: str, kind: str) -> None:
    """A sender's dialect, agent and SDK decide which settings are shown."""
    sender = Sender("http", "logs", "json", agent, "1.0", dialect, language, "1.0")
    assert connect.at_hand([sender]) == [kind]
