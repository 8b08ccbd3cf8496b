"""The rules job: findings kept run by run are what judging everything at once gives, however the records came."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from random import Random

import polars as pl
import pytest
from hypothesis import HealthCheck, Phase, example, given, settings
from hypothesis import strategies as st
from polars.testing import assert_frame_equal

from collector.cli import check
from collector.cli.recordings import Recorded, newest_ns
from collector.cli.recordings import read as recordings
from collector.control import Control, ledger
from collector.jobs import recording
from collector.jobs.runner import Runner
from collector.jobs.runs import RunsJob
from collector.report import conventions
from collector.rules import catalogue
from collector.rules.cases import log
from collector.rules.profiles import choose
from collector.settings import Runs, Settings
from collector.store import findings as stored
from collector.store.handle import Handle
from collector.store.places import Memory
from tests.inprocess import SECOND, SETS, TRIGGER_DEV, Pipeline, recorded
from tests.length import ASKED, also
from tests.rules.tell import T0, requests

LATER = 1_795_900_000 * SECOND
"""A time at which every recorded run has ended or is silent."""
SET = "http-json-batch"
_ADDED = ["code", "severity", "task_id", "operation", "key", "count", "runs", "first_seen_ns", "last_seen_ns"]


def both_findings(
    groups: Sequence[Sequence[Recorded]], *, each: int, at: int = LATER, beside: bool = False
) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Store *groups* in turn, with the jobs after every *each* of them; return (what runs add, public findings)."""
    with tempfile.TemporaryDirectory() as folder:
        directory = Path(folder)
        pipeline, control, memory = Pipeline(directory), Control.open(directory), Memory()
        pipeline.job = RunsJob(pipeline.database, Runs(), memory)
        runner = Runner(pipeline.database, control, memory, Settings(data=directory), beside=beside)
        for n, group in enumerate(groups, 1):
            pipeline.group(group, at - SECOND)
            if n % each == 0 or n == len(groups):
                pipeline.apply()
                pipeline.tick(at)
                while runner.run(at) or runner.working:
                    pass
        runner.close()
        assert runner.errors == {}
        alone = [r.code for r in catalogue.RULES.values() if r.grain in ("record", "run")]
        added = pipeline.database.reading(lambda h: stored.grouped(h, "default", 0))
        public = pipeline.database.reading(lambda h: conventions.findings(h, "default", 0, at))
        entries = control.reading(ledger.read, "rules")
        pipeline.close()
        control.close()
        assert entries
        assert entries[0].error == ""
    return added.filter(pl.col("code").is_in(alone)).select(_ADDED).sort(_ADDED, nulls_last=True), public


REQUESTS = recorded(SET)


@cache
def whole() -> tuple[pl.DataFrame, pl.DataFrame]:
    """Return what all at once gives."""
    return both_findings([REQUESTS], each=1)


@settings(
    max_examples=10,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow],
    phases=(Phase.explicit, Phase.generate) if ASKED == "properties" else (Phase.explicit,),
)
@given(order=st.permutations(range(len(REQUESTS))), size=st.integers(25, 60), each=st.integers(1, 2))
@example(order=Random(1).sample(range(len(REQUESTS)), len(REQUESTS)), size=40, each=1)
def test_findings_do_not_depend_on_how_records_arrive(order: list[int], size: int, each: int) -> None:
    """Any order, any grouping and any number of passes in between leave the same findings."""
    groups = [[REQUESTS[i] for i in order[at : at + size]] for at in range(0, len(order), size)]
    assert whole()[0].height > 0
    assert both_findings(groups, each=each)[0].equals(whole()[0])


def test_what_is_judged_beside_the_writer_is_the_same() -> None:
    """Runs are judged on another thread while their statistics are kept, with the same result."""
    half = len(REQUESTS) // 2
    assert both_findings([REQUESTS[:half], REQUESTS[half:]], each=1, beside=True)[0].equals(whole()[0])


def test_records_sent_twice_are_found_once() -> None:
    """A finding counts records, not arrivals; that they came twice is a finding of its own."""
    findings = both_findings([REQUESTS, REQUESTS], each=1)[0]
    assert findings.filter(pl.col("code") != "TEL005").equals(whole()[0])
    assert "TEL005" in findings["code"]


def agree(requests: Sequence[Recorded], path: Path) -> pl.DataFrame:
    """Return the findings of the job on *requests*, looked at live, which are those of `check` on the file *path*."""
    defaults = Settings()
    last = max(newest_ns(r) for r in requests)
    _, public = both_findings([requests], each=1, at=last + int(defaults.runs.stale.total_seconds()) * SECOND + SECOND)
    checked, _ = check.findings((str(path),), defaults, choose(catalogue.RULES, defaults.rules))
    columns = [*_ADDED, "message", "remedy"]
    assert_frame_equal(public.select(columns), checked.select(columns), check_row_order=False)
    return public


@pytest.mark.parametrize("name", [SET, *also("properties", *(name for name in SETS if name != SET))])
def test_the_job_finds_what_check_finds(name: str) -> None:
    """A collector that received a recorded set says of it what `runwell check` says of the file."""
    assert agree(recorded(name), TRIGGER_DEV / f"{name}.jsonl.gz").height > 0


@pytest.mark.parametrize("name", [SETS[1], *also("properties", SETS[0])])
def test_check_finds_in_parts_what_it_finds_at_once(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A recording that does not fit is judged some runs at a time, each once, beside the runs around it."""
    defaults, files = Settings(), (str(TRIGGER_DEV / f"{name}.jsonl.gz"),)
    chosen = choose(catalogue.RULES, defaults.rules)
    whole, looked_at = check.findings(files, defaults, chosen)
    monkeypatch.setattr(recording, "_TOGETHER", 0)
    monkeypatch.setattr(recording, "_PART", 20_000)
    parts, looked_at_too = check.findings(files, defaults, chosen)
    assert_frame_equal(parts, whole)
    assert looked_at_too == looked_at


@pytest.mark.parametrize("code", ["PHA001", *also("properties", "MSG004", "CTX008", "SCH001")])
def test_what_only_many_runs_show_is_found_by_the_job_too(code: str, tmp_path: Path) -> None:
    """That no run of a task ever logs an end is judged over a window of runs, and so is every rule of task or queue."""
    logs = next(case.logs for case in reversed(catalogue.RULES[code].bad) if not case.options)
    path = tmp_path / f"{code}.jsonl"
    path.write_bytes(b"".join(body + b"\n" for _, body in requests(logs, ())))
    assert code in agree([*recordings(str(path))], path)["code"]


@pytest.mark.parametrize("column", ["message", "remedy", "samples", "state", "slug"])
def test_every_finding_says_what_and_how(column: str) -> None:
    """No finding is without its words, its state and the records that show it."""
    assert whole()[1].height > 0
    assert whole()[1].filter(pl.col(column).is_null() | pl.col(column).is_in(["", "[]"])).is_empty()


def test_a_log_that_names_no_run_is_given_to_the_only_one_with_its_correlation_id(tmp_path: Path) -> None:
    """Live as in a recording: the guideline's own `_completed` carries `correlation_id` alone, and is no orphan."""
    ids = {"correlation_id": "c-1"}
    logs = [
        log("order_charge_started", run="run_1", ids=ids),
        log("order_charge_completed", 1, run=None, ids=ids, processing_time_ms=1000, orderId="o-1"),
        log("order_charge_completed", 2, run=None, ids={"correlation_id": "c-2"}, processing_time_ms=1000),
    ]
    path = tmp_path / "logs.jsonl"
    path.write_bytes(b"".join(body + b"\n" for _, body in requests(logs, ())))
    public = agree([*recordings(str(path))], path)
    (finding,) = public.filter(pl.col("code") == "KEY001").to_dicts()
    assert (finding["runs"], finding["task_id"]) == (1, "charge-order")


def test_findings_and_clean_runs_are_those_of_an_environment(tmp_path: Path) -> None:
    """Of an environment's runs the findings and the runs without an error are told apart from all others'."""
    at = T0 + 100 * SECOND
    live, trial = {"deployment.environment.name": "production"}, {"deployment.environment.name": "staging"}
    logs = [
        record
        for run, resource, keys in (("r1", live, {"orderId": "o"}), ("r2", live, {}), ("r3", trial, {}))
        for record in (
            log("order_charge_started", run=run, resource=resource, keys=keys),
            log("order_charge_completed", 1, run=run, resource=resource, processing_time_ms=1000),
        )
    ]
    with Pipeline(tmp_path) as pipeline:
        control, memory = Control.open(tmp_path), Memory()
        pipeline.job = RunsJob(pipeline.database, Runs(), memory)
        runner = Runner(pipeline.database, control, memory, Settings(data=tmp_path))
        pipeline.group([Recorded(signal, "json", body) for signal, body in requests(logs, ())], at - SECOND)
        pipeline.apply()
        pipeline.tick(at)
        while runner.run(at):
            pass

        def of_environment(environment: str | None) -> tuple[list[str], tuple[int, int]]:
            def look(h: Handle) -> tuple[list[str], tuple[int, int]]:
                findings = conventions.findings(h, "default", 0, at, environment=environment)
                return findings["code"].to_list(), stored.compliance(h, "default", 0, environment)

            return pipeline.database.reading(look)

        assert of_environment(None) == (["KEY001"], (3, 2))
        assert of_environment("production") == (["KEY001"], (2, 1))
        assert of_environment("staging") == ([], (1, 1))
        assert of_environment("nowhere") == ([], (0, 0))
        control.close()


def test_records_that_leave_their_run_open_are_found_whichever_came_first(tmp_path: Path) -> None:
    """Live as in a recording, and in any order: one finding a task, which counts runs and says what is not stated. What
    a run shows by itself is found so by rules of tasks too."""
    logs = [
        *(log(f"{q}_send_started", run="17", queue=q, resource={"service.name": "web"}) for q in ("mail", "push")),
        log("mail_send_completed", 5, run="17", resource={"service.name": "web"}),
        *(log("order_charge_started", environment=e) for e in ("production", "staging")),
        log("order_charge_completed", 5),
        *(log(f"order_pack_{w}", attempt=n, run="run_2") for n, w in enumerate(("started", "completed"))),
    ]
    path = tmp_path / "logs.jsonl"
    path.write_bytes(b"".join(body + b"\n" for _, body in requests(logs, ())))
    sent = [*recordings(str(path))]
    checked = agree(sent, path)
    (finding,) = checked.filter(pl.col("code") == "TEL008").to_dicts()
    assert (finding["task_id"], finding["count"], finding["runs"]) == ("charge-order", 2, 2)
    assert "they state no environment, or no environment and no queue." in finding["message"]
    assert "TEL007" in checked["code"]
    backwards = [sent[at : at + 3] for at in reversed(range(0, len(sent), 3))]
    last_first = both_findings(backwards, each=1, at=T0 + 7200 * SECOND)[1]
    tel = pl.col("code").is_in(["TEL007", "TEL008"])
    assert_frame_equal(*(f.filter(tel).select("code", "message", "count").sort("code") for f in (last_first, checked)))
