"""The synthetic workload of plain OpenTelemetry records against what its simulation did."""

from __future__ import annotations

import gzip
import json
from pathlib import Path
from typing import Any

import pytest

from collector.cli.recordings import read
from tests.inprocess import SAMPLES, Pipeline, later

Rows = dict[str, dict[str, Any]]


@pytest.fixture(scope="module")
def both(tmp_path_factory: pytest.TempPathFactory) -> tuple[list[dict[str, Any]], Rows, dict[str, list[Any]]]:
    """Return truth, runs and outcomes of attempts by run id."""
    requests = list(read(str(SAMPLES / "synthetic-48h.jsonl.zst")))
    directory: Path = tmp_path_factory.mktemp("synthetic") / "data"
    with Pipeline(directory) as p:
        for at in range(0, len(requests), 500):
            p.group(requests[at : at + 500], later(requests))
        p.apply()
        p.tick(later(requests))
        runs = {r["run_id"]: r for r in p.table("runs").to_dicts()}
        outcomes: dict[str, list[Any]] = {}
        for a in p.table("attempts").sort("number").to_dicts():
            outcomes.setdefault(a["run_id"], []).append((a["number"], a["status"]))
    with gzip.open(SAMPLES / "synthetic-48h.truth.jsonl.gz", "rt", encoding="utf-8") as lines:
        return [json.loads(line) for line in lines], runs, outcomes


def test_plain_records_give_every_run_its_task_queue_parent_and_end(
    both: tuple[list[dict[str, Any]], Rows, dict[str, list[Any]]],
) -> None:
    """Without any platform, phases and spans tell which runs there were and how they ended; open ones are unknown."""
    truth, runs, _ = both
    assert set(runs) == {t["run_id"] for t in truth}
    for t in truth:
        run = runs[t["run_id"]]
        named = (run["task_id"], run["queue"], run["parent_run_id"])
        assert named == (t["task"], t["queue"], t["parent_run_id"])
        assert run["status"] == {"open": "unknown"}.get(t["status"], t["status"])


def test_plain_records_give_every_attempt_and_its_outcome(
    both: tuple[list[dict[str, Any]], Rows, dict[str, list[Any]]],
) -> None:
    """Attempts are counted and judged as they happened; the count of a run whose end nobody saw is unknown."""
    truth, runs, outcomes = both
    for t in truth:
        if t["status"] == "open":
            assert runs[t["run_id"]]["attempt_count"] is None
            continue
        assert runs[t["run_id"]]["attempt_count"] == len(t["attempts"])
        expected = [(a["number"], "completed" if a["ok"] else "failed") for a in t["attempts"]]
        assert outcomes[t["run_id"]] == expected
