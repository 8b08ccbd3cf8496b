"""The official JavaScript SDK as a client."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator

import pytest
from first_light import lags, runs_of
from official import node
from stack import Stack

pytestmark = pytest.mark.e2e


def test_a_javascript_program_shows_up_as_runs(collector: Stack, capsys: pytest.CaptureFixture[str]) -> None:
    """Logs and spans of the JavaScript SDK, by any of its exporters, become runs without anything else being set up."""
    process = node(collector.url("http"), collector.url("grpc"), mode="run")

    def tell() -> Iterator[tuple[str, float]]:
        assert process.stdout is not None
        for line in process.stdout:
            if not (event := json.loads(line)):
                return
            yield event["label"], event["flushed_ms"] / 1000

    try:
        taken = lags(collector, tell())
        assert process.wait(30) == 0
    finally:
        process.kill()
    assert len(taken) == 24
    for label, run in runs_of(collector, set(taken)).items():
        records = (3, 0) if label.endswith("logs") else (0, 1)
        assert (run["log_count"], run["span_count"]) == records, label
        assert (run["task_id"], run["queue"], run["status"], run["version"]) == ("js-task", "js", "completed", "1.0.0")
    with capsys.disabled():
        print(
            f"\nJavaScript: flushed to visible, {len(taken)} clients, longest {max(taken.values()):.2f} s",
            file=sys.stderr,
        )
