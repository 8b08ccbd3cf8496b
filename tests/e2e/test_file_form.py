"""OTLP/JSON in files, a request a line, as the OpenTelemetry Collector's file exporter writes them."""

from __future__ import annotations

import json
import subprocess
import time
from pathlib import Path

import pytest
from stack import RUNWELL, Stack

pytestmark = pytest.mark.e2e

LINES = 50


def test_a_file_of_otlp_json_is_stored_once_however_often_it_is_replayed(collector: Stack, tmp_path: Path) -> None:
    """`runwell replay` of OTLP/JSON lines says that all were accepted; each record is stored once, even if repeated."""
    now = time.time_ns()
    path = tmp_path / "telemetry.jsonl"
    path.write_text("".join(json.dumps(line(n, now)) + "\n" for n in range(LINES)))
    for _ in range(2):
        done = subprocess.run(
            [str(RUNWELL), "replay", str(path), "--endpoint", collector.url("http")],
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        assert f"{LINES} requests accepted, 0 records in them rejected" in done.stdout
    collector.applied()
    rows = collector.client.sql(
        "SELECT body, count(*) AS n FROM logs WHERE run_id = 'file-1' GROUP BY body ORDER BY body"
    ).table.to_pylist()
    assert rows == [{"body": f"line {n:02}", "n": 1} for n in range(LINES)]


def line(n: int, now: int) -> dict[str, object]:
    """Return a request with one log record."""
    record = {
        "timeUnixNano": str(now + n),
        "body": {"stringValue": f"line {n:02}"},
        "attributes": [{"key": "run_id", "value": {"stringValue": "file-1"}}],
    }
    return {"resourceLogs": [{"resource": {}, "scopeLogs": [{"scope": {}, "logRecords": [record]}]}]}
