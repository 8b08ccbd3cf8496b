"""The official Python SDK as a client."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator

import pytest
from first_light import lags, runs_of
from official import python_clients
from stack import Stack

pytestmark = pytest.mark.e2e


def test_a_python_program_shows_up_as_runs(collector: Stack, capsys: pytest.CaptureFixture[str]) -> None:
    """Logs and spans of the Python SDK, by any of its exporters, become runs without anything else being set up."""
    clients = python_clients(collector.url("http"), collector.url("grpc"))

    def tell() -> Iterator[tuple[str, float]]:
        for client in clients:
            ids = {"correlation_id": "doc-1", "request_id": "req-1", "run_id": client.label}
            where = {"task_id": "python-task", "queue": "python", "attempt": 1}
            logs = client.label.endswith("logs")
            for step in ("_started", "_calling_storage", "_completed") if logs else ("",):
                client.emit(f"document_process{step}", ids | where)
            assert client.provider.force_flush()
            yield client.label, time.time()

    taken = lags(collector, tell())
    for client in clients:
        assert not client.exporter.results.failed
        client.provider.shutdown()
    runs = runs_of(collector, {client.label for client in clients})
    for label, run in runs.items():
        records = (3, 0) if label.endswith("logs") else (0, 1)
        assert (run["log_count"], run["span_count"]) == records, label
        assert (run["task_id"], run["queue"], run["status"], run["version"]) == (
            "python-task",
            "python",
            "completed",
            "1.0.0",
        )
    with capsys.disabled():
        print(
            f"\nPython: flushed to visible, {len(taken)} clients, longest {max(taken.values()):.2f} s", file=sys.stderr
        )
