"""`runwell check` and `runwell rules` as people call them."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from tell import requests

from collector.cli.root import run
from collector.rules.cases import log
from collector.rules.catalogue import RULES


def recording(tmp_path: Path, *logs: dict[str, object]) -> str:
    """Return the path of a file of OTLP/JSON lines."""
    path = tmp_path / "recording.jsonl"
    path.write_bytes(b"".join(body + b"\n" for _, body in requests(logs, ())))
    return str(path)


CLEAN = (log("order_charge_started"), log("order_charge_completed", 1, processing_time_ms=1000))
WARNED = (log("order_charge_started", OrderId="o"), CLEAN[1])

RESOLVABLE = (CLEAN[0], log("order_charge_completed", 1, without=("request_id",), processing_time_ms=1000))


@pytest.mark.parametrize(
    ("logs", "options", "code"),
    [
        (CLEAN, [], 0),
        (WARNED, [], 1),
        (WARNED, ["--fail-on", "error"], 0),
        (WARNED, ["--fail-on", "never"], 0),
        (WARNED, ["--ignore", "KEY"], 0),
        (WARNED, ["--select", "MSG,CTX001"], 0),
        (WARNED, ["--select", "NOPE"], 2),
        (WARNED, ["--profile", "nope"], 2),
        ((CLEAN[0], log("order_charge_completed", 1, without=("request_id",), processing_time_ms=1000)), [], 0),
        (
            (CLEAN[0], log("order_charge_completed", 1, without=("request_id",), processing_time_ms=1000)),
            ["--strict"],
            1,
        ),
    ],
)
def test_the_exit_code_says_whether_there_is_something_to_do(
    tmp_path: Path, logs: tuple[dict[str, object], ...], options: list[str], code: int
) -> None:
    """0: nothing at or above --fail-on, 1: findings, 2: the command line is wrong."""
    assert run(["check", "--input", recording(tmp_path, *logs), *options]) == code


def test_a_file_that_is_not_telemetry_is_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """What cannot be read is told with file and line, and that nothing else was there; exit code 2."""
    path = tmp_path / "odd.jsonl"
    path.write_text("{}\n")
    assert run(["check", "--input", str(path)]) == 2
    said = capsys.readouterr()
    first, last = said.err.splitlines()
    assert said.out == "" and "odd.jsonl:1" in first and "odd.jsonl" in last


def test_json_holds_findings_and_what_is_not_observable(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The JSON report is what was checked and two lists; a finding shows its record as received."""
    assert run(["check", "--format", "json", "--input", recording(tmp_path, *WARNED)]) == 1
    report = json.loads(capsys.readouterr().out)
    assert set(report) == {"checked", "findings", "not_observable"}
    (finding,) = report["findings"]
    assert {"code", "severity", "task_id", "operation", "key", "count", "message", "remedy"} <= set(finding)
    assert (finding["code"], finding["severity"], finding["key"]) == ("KEY002", "warning", "OrderId")
    assert finding["samples"][0]["attributes"]["OrderId"] == "o"
    assert all(entry["wanting"] for entry in report["not_observable"])


def test_rules_are_listed_and_explained(capsys: pytest.CaptureFixture[str]) -> None:
    """`rules list` names every rule, `explain` shows one by code or name, `--coverage` every sentence."""
    assert run(["rules", "list"]) == 0
    listed = capsys.readouterr().out
    assert all(code in listed for code in RULES)
    for name in ("KEY001", "key001", "camel-case-key"):
        assert run(["rules", "explain", name]) == 0
        assert "How to fix:" in capsys.readouterr().out
    assert run(["rules", "explain", "KEY999"]) == 2
    capsys.readouterr()
    assert run(["rules", "--coverage"]) == 0
    assert capsys.readouterr().out.rstrip().endswith("not observable.")
