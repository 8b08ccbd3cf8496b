"""Recorded Trigger.dev traffic against what the platform itself knew of every run.

What telemetry proves is read here from the raw attributes, apart from the code that is tested:
a run left telemetry when a record names it; a parent is proved by a span of it that names the child or its batch;
an attempt's outcome by its span; the attempt count by the spans of all attempts.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from collector.cli.recordings import Recorded
from tests.inprocess import SETS, TRIGGER_DEV, Pipeline, later, recorded
from tests.reshape import renamed, single, to_json, to_protobuf

ENDED_BADLY = {"COMPLETED_WITH_ERRORS", "CRASHED", "SYSTEM_FAILURE"}
CALLED: dict[str, set[str]] = {
    "completed": {"COMPLETED_SUCCESSFULLY"},
    "failed": {"COMPLETED_WITH_ERRORS"},
    "canceled": {"CANCELED"},
    "timed_out": {"TIMED_OUT"},
    "crashed": {"CRASHED", "SYSTEM_FAILURE"},
}
"""What our final words may stand for; every other word claims nothing about the end."""

Shape = Callable[[list[Recorded]], list[Recorded]]


def _other_names(text: str) -> str:
    """Give tasks and queues names that nobody tuned anything to."""
    for name, other in (
        ("process-document", "påmelding:sync.v2"),
        ("extract-text", "Attempt 7"),
        ("task/", "task/_"),
        ("documents", "wait.for()"),
        ("crashy", "onCancel()"),
        ("run_c", "run_x"),
    ):
        text = text.replace(name, other)
    return text


SHAPES: dict[str, Shape] = {
    "as recorded": lambda rs: rs,
    "protobuf": lambda rs: [to_protobuf(r) for r in rs],
    "json": lambda rs: [to_json(r) for r in rs],
    "one record a request, newest first": lambda rs: [s for r in rs for s in single(r)][::-1],
    "sent twice": lambda rs: [*rs, *(s for r in rs for s in single(r))],
    "other names": lambda rs: [renamed(r, _other_names) for r in rs],
}


@dataclass(frozen=True)
class Outcome:
    """One recorded set after it went through everything."""

    truth: list[dict[str, Any]]
    silent: set[str]
    runs: dict[str, dict[str, Any]]
    attempts: dict[tuple[str, int], dict[str, Any]]
    named: set[str]
    """Runs that some record names."""
    spans: dict[tuple[str, int], int]
    """(run, attempt) → status code of its span."""
    children: set[tuple[str, str]]
    """(parent, child or batch) that a span of the parent names."""

    def side_by_side(self) -> str:
        """Return truth and telemetry, a line a run."""
        rows = []
        for t in self.truth:
            r = self.runs.get(t["runId"], {})
            ours = [a for (run, _), a in sorted(self.attempts.items()) if run == t["runId"]]
            rows.append(
                {
                    "run": t["runId"][-6:],
                    "task": f"{t['task']} / {r.get('task_id')}",
                    "queue": f"{t['queue']} / {r.get('queue')}",
                    "parent": f"{(t.get('parentRunId') or '-')[-6:]} / {(r.get('parent_run_id') or '-')[-6:]}",
                    "status": f"{t['status']} / {r.get('status')} ({r.get('status_source')})",
                    "count": f"{len(t['attempts'])} / {r.get('attempt_count')} ({r.get('attempt_count_source')})",
                    "outcomes": f"{[a['ok'] for a in t['attempts']]} / {[a['status'] for a in ours]}",
                    "coverage": r.get("coverage"),
                }
            )
        with pl.Config(tbl_rows=-1, tbl_cols=-1, tbl_width_chars=250, fmt_str_lengths=60):
            return f"truth / ours\n{pl.DataFrame(rows)}"


def _raw(p: Pipeline, sql: str) -> list[dict[str, Any]]:
    return p.database.reading(lambda h: h.frame(sql)).to_dicts()


def _play(name: str, shape: str, directory: Path) -> Outcome:
    requests = SHAPES[shape](recorded(name))
    read = _other_names if shape == "other names" else str
    truth = [json.loads(read(line)) for line in (TRIGGER_DEV / f"{name}.truth.jsonl").open(encoding="utf-8")]
    silent = TRIGGER_DEV / f"{name}.silent.json"
    with Pipeline(directory) as p:
        for at in range(0, len(requests), 50):
            p.group(requests[at : at + 50], later(requests))
        p.apply()
        p.tick(later(requests))
        logs, spans = (_raw(p, f"SELECT * FROM {table}") for table in ("logs", "spans"))
        for r in (*logs, *spans):
            r["own"] = json.loads(r["attributes"])
            r["run"] = r["own"].get("$metadata.ctx.run.id")
        real = [s for s in spans if s["own"].get("$span.partial") is not True]
        return Outcome(
            truth=truth,
            silent=set(json.loads(read(silent.read_text()))) if silent.exists() else set(),
            runs={r["run_id"]: r for r in p.table("runs").to_dicts()},
            attempts={(a["run_id"], a["number"]): a for a in p.table("attempts").to_dicts()},
            named={r["run"] for r in (*logs, *spans) if r["run"]},
            spans={
                (s["run"], s["own"]["$metadata.ctx.attempt.number"]): s["status_code"]
                for s in real
                if s["own"].get("$span.attempt") is True
            },
            children={(s["run"], s["own"][key]) for s in real for key in ("runId", "batchId") if key in s["own"]},
        )


CASES = [(name, shape) for name in SETS for shape in SHAPES]


@pytest.fixture(scope="module", params=CASES, ids=lambda case: f"{case[0]}, {case[1]}")
def outcome(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Outcome:
    """Play a recorded set in one shape through decode, journal, store and runs job."""
    name, shape = request.param
    return _play(name, shape, tmp_path_factory.mktemp("truth") / "data")


def test_every_run_that_left_telemetry_is_there_with_its_task_and_queue(outcome: Outcome) -> None:
    """A run that any record names has a row with the task and queue the platform ran it with."""
    assert {t["runId"] for t in outcome.truth} - outcome.named == outcome.silent
    for t in outcome.truth:
        if t["runId"] in outcome.silent:
            continue
        run = outcome.runs.get(t["runId"])
        assert run, f"{t['runId']} is missing\n{outcome.side_by_side()}"
        assert (run["task_id"], run["queue"]) == (t["task"], t["queue"]), outcome.side_by_side()
        assert (run["task_source"], run["queue_source"]) == ("measured", "measured"), outcome.side_by_side()


def test_a_run_that_left_no_telemetry_is_known_from_its_parent_or_not_at_all(outcome: Outcome) -> None:
    """A row that no record of its own supports says that it is derived, and claims no attempt and no end."""
    for run_id, run in outcome.runs.items():
        if run_id in outcome.named:
            continue
        assert (run["parent_run_id"], run_id) in outcome.children, outcome.side_by_side()
        assert (run["coverage"], run["parent_source"], run["status"]) == ("link", "derived", "unknown")
        assert (run["attempt_count"], run["started_ns"], run["ended_ns"]) == (None, None, None)


def test_a_parent_is_right_where_a_span_proves_it_and_unknown_elsewhere(outcome: Outcome) -> None:
    """A parent is the run whose span names the child or its batch; without such a span there is none."""
    for t in outcome.truth:
        run = outcome.runs.get(t["runId"])
        if run is None:
            continue
        parent = t.get("parentRunId")
        proved = any((parent, named) in outcome.children for named in (t["runId"], t.get("batchId")))
        expected = (parent, "derived") if proved else (None, "unknown")
        assert (run["parent_run_id"], run["parent_source"]) == expected, outcome.side_by_side()
        assert run["root_run_id"] == (parent if proved else t["runId"]), outcome.side_by_side()


def test_the_attempt_count_is_right_where_spans_prove_it_and_never_wrong(outcome: Outcome) -> None:
    """The count is the platform's where every attempt left its span, else the platform's or NULL and unknown."""
    for t in outcome.truth:
        run = outcome.runs.get(t["runId"])
        if run is None:
            continue
        count = len(t["attempts"])
        if all((t["runId"], a["number"]) in outcome.spans for a in t["attempts"]):
            assert run["attempt_count"] == count, outcome.side_by_side()
        assert run["attempt_count"] in (count, None), outcome.side_by_side()
        assert (run["attempt_count"] is None) == (run["attempt_count_source"] == "unknown"), outcome.side_by_side()


def test_every_attempt_that_has_a_span_has_the_right_outcome(outcome: Outcome) -> None:
    """An attempt's span decides its outcome, measured, within the platform's own times."""
    ends = {(t["runId"], a["number"]): a for t in outcome.truth for a in t["attempts"]}
    for key in outcome.spans:
        ours, platform = outcome.attempts[key], ends[key]
        assert ours["status"] == ("completed" if platform["ok"] else "failed"), outcome.side_by_side()
        assert ours["status_source"] == "measured"
        assert ours["started_source"] == ours["ended_source"] == "measured"
        assert _ns(platform["startedAt"]) <= ours["started_ns"] <= ours["ended_ns"] <= _ns(platform["endedAt"]) + 10**9


def test_no_attempt_is_invented_and_no_outcome_contradicts_the_platform(outcome: Outcome) -> None:
    """Attempts without a span are at most what the platform says, never more and never the opposite."""
    ends = {(t["runId"], a["number"]): a["ok"] for t in outcome.truth for a in t["attempts"]}
    for key, ours in outcome.attempts.items():
        assert key in ends, outcome.side_by_side()
        if ours["status"] == "completed":
            assert ends[key], outcome.side_by_side()
        if ours["status"] in ("failed", "canceled"):
            assert not ends[key], outcome.side_by_side()


def test_nothing_unknown_is_called_failed_and_no_end_is_wrong(outcome: Outcome) -> None:
    """A run's final status is the platform's, or unknown; it is failed only when its last attempt's span failed."""
    for t in outcome.truth:
        run = outcome.runs.get(t["runId"])
        if run is None:
            continue
        assert run["status"] == "unknown" or t["status"] in CALLED[run["status"]], outcome.side_by_side()
        last = (t["runId"], len(t["attempts"]))
        if run["status"] == "failed":
            assert outcome.spans.get(last) == 2, outcome.side_by_side()
        if last in outcome.spans:
            assert run["status"] != "unknown", outcome.side_by_side()


def test_test_runs_replays_keys_and_batches_are_told_apart(outcome: Outcome) -> None:
    """What the platform knows of a run and its records carry is in its row, tags set while it ran included."""
    for t in outcome.truth:
        run = outcome.runs.get(t["runId"])
        if run is None:
            continue
        assert (run["is_test"], run["is_replay"]) == (t["isTest"], t["isReplay"]), outcome.side_by_side()
        assert run["idempotency_key"] == t.get("idempotencyKey")
        assert run["batch_id"] == t.get("batchId")
        if any(run_id == t["runId"] for run_id, _ in outcome.spans):
            assert set(t["tags"]) <= set(run["tags"])


def _ns(moment: str) -> int:
    import datetime as dt

    at = dt.datetime.fromisoformat(moment)
    return int((at - dt.datetime(1970, 1, 1, tzinfo=dt.UTC)) / dt.timedelta(microseconds=1)) * 1000
