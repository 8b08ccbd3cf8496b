"""The logging helpers of docs/connect, used as a reader would: through the real SDKs, into a real collector."""

from __future__ import annotations

import importlib.util
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests import stack
from tests.stack import Stack, until

ROOT = Path(__file__).resolve().parents[2]
PHASES = [
    "{op}_started",
    "{op}_validating",
    "{op}_calling_{service}",
    "{op}_failed",
    "{op}_started",
    "{op}_validating",
    "{op}_calling_{service}",
    "{op}_completed",
]

pytestmark = pytest.mark.e2e


@pytest.fixture(scope="module")
def collector(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """Return a running collector."""
    with stack.running(tmp_path_factory.mktemp("connect") / "data") as running:
        yield running


def play_python(endpoint: str, run_id: str) -> tuple[str, str]:
    """Play a run of two attempts through task_log.py; return its operation and service."""
    spec = importlib.util.spec_from_file_location("task_log", ROOT / "docs/connect/task_log.py")
    assert spec is not None
    assert spec.loader is not None
    task_log: Any = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(task_log)
    provider = task_log.connect("billing-worker", version="1.0.0", environment="production", endpoint=endpoint)
    ids = {
        "correlation_id": "order-81f2c40d77",
        "request_id": "req-5d1c",
        "run_id": run_id,
        "task_id": "charge-order",
        "queue": "payments",
    }
    with (
        pytest.raises(TimeoutError),
        task_log.TaskLog(provider, **ids, attempt=1).operation("order_charge", amount_cents=4200) as step,
    ):
        step.validating()
        step.calling("stripe")
        raise TimeoutError("stripe did not answer in time")
    with task_log.TaskLog(provider, **ids, attempt=2).operation("order_charge", amount_cents=4200) as step:
        step.validating()
        step.calling("stripe")
        step.done(charge_count=1)
    provider.shutdown()
    return "order_charge", "stripe"


def play_typescript(endpoint: str, run_id: str) -> tuple[str, str]:
    """Play a run of two attempts through task-log.ts; return its operation and service."""
    node = Path(sys.executable).with_name("node")
    script = Path(__file__).with_name("log_run.mjs")
    done = subprocess.run([node, script, endpoint, run_id], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    return "document_process", "storage"


@pytest.mark.parametrize("play", [play_python, play_typescript])
def test_a_helper_logs_a_run_that_the_collector_understands(collector: Stack, play: Any) -> None:
    """Two attempts, the first failed, the second completed: told with all ids on every record."""
    run_id = f"run_{play.__name__}"
    operation, service = play(collector.url("http"), run_id)
    run = until(lambda: collector.client.run(run_id), why="the run")
    logs = run["logs"]
    assert [log["body"] for log in logs] == [p.format(op=operation, service=service) for p in PHASES]
    assert {(log["run_id"], bool(log["correlation_id"]), bool(log["request_id"])) for log in logs} == {
        (run_id, True, True)
    }
    assert [(a["number"], a["status"]) for a in run["attempts"]] == [(1, "failed"), (2, "completed")]
    assert run["run"]["status"] == "completed"
    assert run["run"]["attempt_count"] == 2
    assert run["attempts"][0]["error_type"] in ("TimeoutError", "RangeError")
    assert all(log["reported_ms"] is not None for log in logs if log["phase"] in ("completed", "failed"))
    assert {log["severity_number"] for log in logs if log["phase"] == "failed"} == {17}


def test_what_the_helpers_log_breaks_no_rule(collector: Stack) -> None:
    """Runs that the helpers log through the real SDKs are a clean corpus: every rule is silent, hints included.

    A run that breaks one is sent after them: once it is found, alone and among the others, they have been judged.
    """
    for play in (play_python, play_typescript):
        play(collector.url("http"), f"run_clean_{play.__name__}")
    collector.applied()
    bad = {
        "run_id": "run_bad",
        "correlation_id": "order-0b7e11",
        "request_id": "req-9",
        "task_id": "bad",
        "badKey": "x",
    }
    record = {
        "timeUnixNano": str(time.time_ns()),
        "severityNumber": 9,
        "body": {"stringValue": "order_charge_started"},
        "attributes": [{"key": key, "value": {"stringValue": value}} for key, value in bad.items()],
    }
    request = {"resourceLogs": [{"scopeLogs": [{"scope": {"name": "tasks"}, "logRecords": [record]}]}]}
    httpx.post(f"{collector.url('http')}/v1/logs", json=request, trust_env=False).raise_for_status()
    published = "SELECT count(*) AS n FROM findings WHERE task_id = 'bad'"
    until(lambda: collector.client.sql(published).table["n"][0].as_py(), seconds=60, why="the bad run's finding")
    findings = collector.client.findings(since="1h")["findings"]
    assert [f for f in findings if f["task_id"] != "bad"] == []
    assert ("KEY001", "badKey") in [(f["code"], f["key"]) for f in findings]
