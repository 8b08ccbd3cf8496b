"""What a collector says of requests that it takes is told of the file they stand in."""

from __future__ import annotations

import json
import re
import socket
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from collector.cli import root
from collector.cli.sources import Sources
from tests.cli.files import Taken, collector, request
from tests.cli.test_files_text import dump

GO = {"Value": {"StringValue": "x"}}
SPAN = {"traceId": "ab" * 16, "spanId": "00" * 8, "name": "job"}
STATUS = {**SPAN, "spanId": "cd" * 8, "kind": "CONSUMER", "status": {"code": "weird"}}


def old(text: str) -> dict[str, Any]:
    """Return a request of one record as OTLP was before 0.19."""
    record = {"severityNumber": 9, "body": {"stringValue": text}}
    return {"resourceLogs": [{"instrumentationLibraryLogs": [{"logs": [record]}]}]}


def spans(*found: dict[str, Any]) -> dict[str, Any]:
    """Return a request of *found*."""
    return {"resourceSpans": [{"scopeSpans": [{"spans": list(found)}]}]}


def with_attribute(value: object) -> dict[str, Any]:
    """Return a request of one record with an attribute of *value*."""
    made = request("a_b_started")
    made["resourceLogs"][0]["scopeLogs"][0]["logRecords"][0]["attributes"] = [{"key": "k", "value": value}]
    return made


SAID = {
    "snake case": (1, "snake_case", {"resourceLogs": [{"scope_logs": [{"log_records": [{}]}]}]}),
    "Loki": (1, "no record was found", {"resourceLogs": [{"streams": [{"a": 1}]}]}),
    "ids": (1, "a span needs a trace id", spans(SPAN)),
    "Go": (0, "in Go's own JSON", with_attribute(GO)),
    "old": (0, "instrumentation library", old("a_b_started")),
    "enums": (0, "none of their enum: read as unspecified; OTLP/JSON has numbers", spans(STATUS)),
    "surrogate": (0, "U+FFFD", request("x\ud83d")),
    "nothing": (0, "", request("a_b_started")),
    "profiles": (1, "profiles are not kept", request("x") | {"resourceProfiles": [{}]}),
    "no profiles": (0, "", request("x") | {"resourceProfiles": []}),
    "profiles alone": (1, "profiles are not kept", {"resourceProfiles": [{}]}),
    "refused": (1, "expected", {"resourceLogs": [{"scopeLogs": 1}]}),
    "none": (2, "a log record without what is around", {"timeUnixNano": "1", "body": {"stringValue": "x"}}),
    "none, a span": (2, "a span without what is around", STATUS),
    "none, spans": (2, "spans without what is around", {"spans": [STATUS]}),
    "none, a metric": (2, "a metric without what is around", {"name": "m", "gauge": {}}),
}

UNCHECKED = ("snake case", "Loki", "ids", "profiles alone", "refused")
"""Cases in which no record is left."""


@pytest.fixture(scope="module")
def taken() -> Iterator[Taken]:
    """Run a collector."""
    with collector() as made:
        yield made


@pytest.mark.parametrize("case", SAID)
def test_what_is_said_of_a_request_is_told_by_both(
    case: str, taken: Taken, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """`replay` and `check` tell the same of a file, with its line; a check of no record has another code."""
    code, says, tree = SAID[case]
    path = tmp_path / "a.jsonl"
    path.write_bytes(b"\n" + dump(tree))
    for line in (["replay", str(path), "--endpoint", taken.url], ["check", "--fail-on", "never", "--input", str(path)]):
        assert root.run(line) == (2 if line[0] == "check" and case in UNCHECKED else code)
        said = capsys.readouterr().err
        assert says in said
        assert not says or f"{path}:2: " in said


def test_what_is_said_of_many_requests_is_told_once(
    taken: Taken, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Remarks are summed up with their first line; where nothing was read, every line is named."""
    path = tmp_path / "a.jsonl"
    some = [request("a_b_started"), *[with_attribute(GO), old("x")] * 30, *[SAID["Loki"][2]] * 2]
    path.write_bytes(b"\n".join(map(dump, some)))
    for line in (["replay", str(path), "--endpoint", taken.url], ["check", "--fail-on", "never", "--input", str(path)]):
        assert root.run(line) == 1
        said = capsys.readouterr().err.splitlines()
        summed = [text for text in said if "(in 30 requests, this is one)" in text]
        assert len(summed) == 2 and all(re.search(r":\d+: 30 ", text) for text in summed)
        assert len([text for text in said if "no record was found" in text]) == 2
        assert len(said) == 4


def test_remarks_do_not_grow_with_a_file(capsys: pytest.CaptureFixture[str]) -> None:
    """A collector that says something else each time is not listened to for ever."""
    with Sources(()) as sources:
        for at in range(1_000):
            sources.answered(f"a:{at}", f"word {at:b} of nobody")
    assert 1 < len(capsys.readouterr().err.splitlines()) < 50


@pytest.mark.parametrize("content", [b"a?", b"a.", b"a"])
def test_a_sentence_has_one_mark(content: bytes, capsys: pytest.CaptureFixture[str]) -> None:
    """Whether it asks or says."""
    with Sources(()) as sources:
        sources.refused("f:1", content.decode())
    assert re.search(r"a[?.]\n$", capsys.readouterr().err)


@pytest.mark.parametrize(
    ("answer", "says"),
    [
        (b'HTTP/1.1 404 Not Found\r\nContent-Length: 14\r\n\r\n{"error": "x"}', "404: the answer is not OTLP's"),
        (b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n", "404: the answer is not OTLP's"),
        (b"\0\0\x18\x04\0\0\0\0\0\0\x04\0\x40\0\0\0\x05\0\x40\0\0\0\x06\0\0\x20\0", "a port for gRPC"),
        (b"", "gives no answer"),
    ],
)
def test_an_endpoint_that_is_another_port_is_told(
    answer: bytes, says: str, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """What answers is told apart from nothing that answers, and which port is meant is said."""
    monkeypatch.setattr("time.sleep", lambda s: None)
    monkeypatch.setattr("collector.cli.replay._PATIENCE_S", 0.0)
    path = tmp_path / "a.jsonl"
    path.write_bytes(dump(request("x")))

    def serve(listening: socket.socket) -> None:
        while True:
            try:
                connection, _ = listening.accept()
            except OSError:
                return
            with connection:
                connection.recv(2**16)
                connection.sendall(answer)

    with socket.create_server(("127.0.0.1", 0)) as listening:
        threading.Thread(target=serve, args=(listening,), daemon=True).start()
        code = root.run(["replay", str(path), "--endpoint", f"http://127.0.0.1:{listening.getsockname()[1]}"])
    said = capsys.readouterr()
    assert code == (1 if answer.startswith(b"HTTP") else 2)
    assert says in said.err and "OTLP/HTTP" in said.err
    assert json.dumps(said.err).count("..") == 0


def test_the_help_of_replay_is_no_list(capsys: pytest.CaptureFixture[str]) -> None:
    """The hyphen that stands for stdin is shown as one."""
    root.run(["replay", "--help"])
    said = capsys.readouterr().out
    assert "\u2022" not in said and "Stdin is -." in said
