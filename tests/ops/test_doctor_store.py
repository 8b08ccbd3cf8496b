"""What `runwell doctor` says of a store that is not well: each thing is broken, and the report names it."""

from __future__ import annotations

import json
import os
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import grpc
import pyarrow as pa
import pytest

from collector.control import Control, senders
from collector.control.senders import Sender
from collector.doctor import receive, store
from collector.doctor.checks import _once
from collector.doctor.found import Check
from collector.settings import Settings
from tests.ops.doctors import Doctor, StandIn, checks, free_ports, posing, standing_in

pytestmark = pytest.mark.e2e
SECOND = 10**9
AT = 1_795_500_000 * SECOND
RUN = {
    "stage": "runs",
    "kind": "run",
    "project": "default",
    "key": "9f3c",
    "run_id": "run_bad",
    "first_seq": 12,
    "last_seq": 15,
    "row": None,
    "reason": "InvalidOperationError: conversion",
    "since_ns": AT,
}
RECORD = {
    "stage": "applied",
    "kind": "record",
    "project": "shop",
    "key": "logs",
    "run_id": None,
    "first_seq": 7,
    "last_seq": 7,
    "row": 3,
    "reason": "ConversionException",
    "since_ns": AT,
}


@pytest.fixture
def doctor(capsys: pytest.CaptureFixture[str]) -> Doctor:
    """The command."""
    return Doctor(capsys)


@pytest.fixture(scope="module")
def api(tmp_path_factory: pytest.TempPathFactory) -> Iterator[StandIn]:
    """A read API that says what a test wants."""
    with standing_in(tmp_path_factory.mktemp("standin") / "data") as made:
        yield made


@pytest.fixture
def report_on(doctor: Doctor, api: StandIn) -> Iterator[Any]:
    """Return a function that gives the report on a store that says of itself what it is given."""

    def read(reason: str = "", **said: Any) -> tuple[int, dict[str, Any]]:
        api.said, api.reason = said, reason
        return doctor.json("--data", str(api.data), *free_ports())

    yield read
    api.said, api.reason = {}, ""


def test_a_store_that_is_well_has_no_problem(report_on: Any) -> None:
    """A store that is ready, and one of an older version that says less of itself, is no problem."""
    code, report = report_on()
    assert (code, report["problems"]) == (0, 0)
    assert checks(report, "store", "ok") == ["the store answers and is ready"]
    assert checks(report, "lag", "ok") == ["everything is visible"]


def test_a_503_is_a_problem_with_its_reason(report_on: Any) -> None:
    """A store that is not ready is a problem that repeats why, and each reason has its own remedy."""
    code, report = report_on(reason="the store cannot write: IOException")
    assert code == 1
    (said,) = checks(report, "store", "problem")
    assert "503 at /readyz: the store cannot write: IOException" in said
    assert "Make room on the disk" in said
    (said,) = checks(report_on(reason="the store is 70 s behind the journal")[1], "store", "problem")
    assert said.endswith(f"the store is 70 s behind the journal; {store.STALE}")


def test_one_thing_is_one_problem(report_on: Any, api: StandIn) -> None:
    """A store that cannot write, which its status says too, and so is behind, is one problem with where to look."""
    seq = api.journal.append({"logs": pa.table({"x": [1]})}, [], time.time_ns() - 172_801 * SECOND)
    behind = {"writer": "IOException", "runs_seq": seq - 1, "applied_seq": seq - 1, "journal_seq": seq}
    code, report = report_on(reason="the store cannot write: IOException", **behind)
    assert (code, report["problems"]) == (1, 1)
    (said,) = checks(report, "store", "problem")
    assert said.count("cannot write") == 1
    assert str(api.data) in said
    (said,) = checks(report, "lag", "note")
    assert said.startswith("1 group behind the journal for 2 d since")


def test_each_failing_job_is_a_problem(report_on: Any) -> None:
    """Every job that fails is named with its reason, and that its numbers stay as they were."""
    code, report = report_on(failing_jobs={"retries": "InvalidOperationError", "calls": "MemoryError"})
    assert (code, report["problems"]) == (1, 2)
    said = checks(report, "job", "problem")
    assert ["retries fails: InvalidOperationError" in said[0], "calls fails: MemoryError" in said[1]] == [True, True]
    assert all("its numbers stay as they were" in s for s in said)


def test_what_was_set_aside_is_named(report_on: Any) -> None:
    """Each run or record that was set aside is a problem with stage, numbers, row and reason; more are counted."""
    code, report = report_on(set_aside_count=5, set_aside_items=[RUN, RECORD])
    assert code == 1
    run, record, more = checks(report, "set_aside", "problem")
    when = "since 2026-11-24T06:00:00Z"
    assert run.startswith(f"run run_bad is set aside in runs {when}, journal 12 to 15, key 9f3c: InvalidOperationError")
    assert record.startswith(
        f"record of logs of project shop is set aside in applied {when}, journal 7, row 3: Conversion"
    )
    assert more.startswith("3 more were set aside")
    assert all(store.REPORT in said for said in (run, record, more))
    facts = [c["facts"] for c in report["checks"] if c["name"] == "set_aside"]
    assert facts[:2] == [RUN, RECORD]


def test_statements_that_took_too_much_memory_are_named(report_on: Any) -> None:
    """Each is a problem with its text, how often and when, how it was ended, and that it is refused for an hour."""
    item = {"text": "select 1 as hungry", "how": "exited", "count": 2, "last_ns": 1_795_500_000 * SECOND}
    code, report = report_on(ended_statements=[item], ended_statements_count=2)
    assert code == 1
    (said,) = checks(report, "sql", "problem")
    for words in ("2 times", "2026-11-24", "the store ended itself", "select 1 as hungry", "refused for an hour"):
        assert words in said


@pytest.mark.parametrize(
    ("kind", "stage", "helps"),
    [
        ("run", "facts", "tried again when anything of it arrives and at every start"),
        ("rule", "rules", "judges a run again when anything of it arrives and at every start"),
        ("rule", "rules_window", "judges the latest runs anew each time"),
        ("series", "durations", "counted again after an upgrade"),
        ("series", "limits", "at least once an hour"),
        ("record", "applied", "data/set-aside/7-7.arrow"),
        ("record", "facts", "looked for again at every start"),
        ("novelty", "applied", "docs/reliability.md"),
    ],
)
def test_when_it_is_tried_again_is_told_by_kind(kind: str, stage: str, helps: str) -> None:
    """Each kind that is set aside says when it is tried again; one of another version says where that is written."""
    (check,) = store.set_aside({"set_aside_items": [{**RECORD, "kind": kind, "stage": stage}]}, Path("data"))
    assert helps in check.message
    assert check.message.startswith({"durations": "task logs", "limits": "queue logs"}.get(stage, kind))
    assert check.message.endswith(store.REPORT)


def test_what_was_set_aside_cannot_steer_the_terminal(doctor: Doctor, api: StandIn, report_on: Any) -> None:
    """A run's id and a reason are shown without what a terminal would obey, and not without end."""
    report_on(set_aside_items=[{**RUN, "run_id": "a\x1b[2J\u202e" * 99, "reason": "\x1b[31m" * 999}])
    api.said = {"set_aside_items": [{**RUN, "run_id": "a\x1b[2J\u202e" * 99, "reason": "\x1b[31m" * 999}]}
    _, out = doctor.text("--data", str(api.data), *free_ports())
    assert "\x1b" not in out
    assert max(map(len, out.splitlines())) < 1_200


def test_the_journal_says_what_is_behind(report_on: Any, api: StandIn) -> None:
    """What waits longer than a few flushes is a note, from ten seconds on a problem with number and time, whatever the
    store says of its lag."""
    done = api.journal.last_seq
    rows = {"logs": pa.table({"x": [1]})}
    for age_s, state in ((60, "problem"), (5, "note"), (0, "ok")):
        seq = api.journal.append(rows, [], time.time_ns() - age_s * SECOND)
        code, report = report_on(runs_seq=seq - 1, applied_seq=seq - 1, journal_seq=seq, lag_s=0.0)
        (said,) = checks(report, "lag", state)
        assert said.startswith("1 group")
        assert code == (state == "problem")
    (said,) = checks(report_on(runs_seq=done, lag_s=0.0)[1], "lag", "problem")
    assert said.startswith("3 groups behind the journal for 1.")
    assert "since 20" in said
    assert "nothing is lost" in said
    assert checks(report_on(runs_seq=seq, lag_s=0.0)[1], "lag", "ok") == ["everything is visible"]


@pytest.mark.parametrize(("words", "helps"), receive.REMEDIES)
def test_why_receive_refuses_has_a_remedy(api: StandIn, words: str, helps: str) -> None:
    """Each reason by which receive is not ready is one that it gives, and is told with its remedy."""
    room = Path(__file__).parents[2] / "collector/receive"
    gives = "".join((room / file).read_text() for file in ("writer.py", "apart.py", "watch.py"))
    assert words in gives
    api.reason = f"{words} now; try again"
    (check,) = receive.receive(api.url, api.data)
    assert check.state == "problem"
    assert api.reason in check.message
    assert check.message.endswith(helps.format(data=api.data))


def test_a_stranger_at_its_address_is_told(doctor: Doctor, tmp_path: Path) -> None:
    """Where something else answers everything with 200, it is told that this is no store."""

    class Stranger(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            """Answer anything."""
            self.send_response(200)
            self.end_headers()
            self.wfile.write(b"<html>hello</html>")

        def log_message(self, format: str, *args: object) -> None:
            """Say nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Stranger) as server:
        threading.Thread(target=server.serve_forever).start()
        where = {"host": "127.0.0.1", "port": server.server_port}
        Control.open(tmp_path).close()
        with posing(tmp_path, api=where, grpc=where):
            code, report = doctor.json("--data", str(tmp_path), *free_ports())
        server.shutdown()
    assert code == 1
    for port in ("port_api", "port_grpc"):
        assert "something else answers" in checks(report, port, "problem")[0]
    assert "does not answer as a store does" in checks(report, "store", "note")[0]


def test_another_runwell_on_the_ports_is_one_problem(doctor: Doctor, api: StandIn, tmp_path: Path) -> None:
    """Beside a port where the runwell of another directory says who it is, its gate and its dashboard are notes; a gate
    alone may be anybody's.
    """
    gate = grpc.server(ThreadPoolExecutor(1))
    port = gate.add_insecure_port("127.0.0.1:0")
    gate.start()
    at, of_api = str(port), api.url.rpartition(":")[2]
    try:
        _, report = doctor.json("--data", str(tmp_path), *free_ports(grpc=at, api=of_api))
        _, alone = doctor.json("--data", str(tmp_path), *free_ports(grpc=at))
    finally:
        gate.stop(None)
    assert report["problems"] == alone["problems"] == 1
    assert "taken by runwell store 1 of another data directory" in checks(report, "port_api", "problem")[0]
    assert "taken by that other runwell too" in checks(report, "port_grpc", "note")[0]
    assert "taken by something else" in checks(alone, "port_grpc", "problem")[0]


def test_a_clock_is_told_once(
    report_on: Any, doctor: Doctor, api: StandIn, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """While the store tells of resources, kinds of exporters are not told beside them; without it they stand in."""
    monkeypatch.setattr("collector.doctor.ports._RESTART_S", 0.0)
    fast = Sender("http", "logs", "json", "js", "1", "generic", "", "", last_ns=time.time_ns(), behind_ns=-60 * SECOND)
    for data in (api.data, tmp_path):
        control = Control.open(data)
        control.writing(senders.save, [fast])
        control.close()
    nobody = {"host": "127.0.0.1", "port": 1}
    assert checks(report_on()[1], "clock", "problem") == []
    stopped = doctor.json("--data", str(tmp_path), *free_ports())[1]
    with posing(tmp_path, api=nobody):
        silent = doctor.json("--data", str(tmp_path), *free_ports())[1]
    for report in (stopped, silent):
        assert [said[:25] for said in checks(report, "clock", "problem")] == ["the clock of js-1 over ht"]


def test_files_set_aside_and_what_they_cost_are_one_problem() -> None:
    """Where groups are gone, the damaged file that held them is a note beside them; alone it is a problem."""
    aside = Check("data_set_aside", "problem", "runwell.duckdb.damaged-1")
    assert [check.state for check in _once([aside, Check("damage", "problem", "7 groups")])] == ["note", "problem"]
    assert [check.state for check in _once([aside])] == ["problem"]
    said = {"lost_groups": 1, "damaged_groups": 2, "set_aside": ["runwell.duckdb.damaged-1"]}
    (found,) = (check for check in store.of_status(said, Settings(), 0) if check.name == "damage")
    assert found.facts == {"lost_groups": 1, "damaged_groups": 2}
    assert found.message.startswith("2 groups of what was acknowledged could not be read")
    assert "; 1 group of what was acknowledged cannot be had any more" in found.message
    assert not [c for c in store.of_status({"set_aside": said["set_aside"]}, Settings(), 0) if c.state == "problem"]


def test_who_runs_is_told_by_a_lock_and_not_by_a_number(doctor: Doctor, tmp_path: Path) -> None:
    """A process that has the number of a supervisor that is gone is not taken for it."""
    where = {"host": "127.0.0.1", "port": 1}
    (tmp_path / "runwell.json").write_text(json.dumps({"pid": os.getpid(), "http": where, "api": where}))
    _, report = doctor.json("--data", str(tmp_path), *free_ports())
    for port in ("port_http", "port_api"):
        assert "nothing runs here" in checks(report, port, "note")[0]


def test_a_control_file_that_is_gone_is_told(doctor: Doctor, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What runs has one: who sends is unknown without it, not nobody."""
    monkeypatch.setattr("collector.doctor.ports._RESTART_S", 0.0)
    with posing(tmp_path, grpc={"host": "127.0.0.1", "port": 1}):
        code, report = doctor.json("--data", str(tmp_path), *free_ports())
    assert code == 1
    assert "who sends and what was refused is unknown" in checks(report, "control", "problem")[0]


def test_what_was_refused_for_a_cause_that_is_told_is_no_other_problem() -> None:
    """A full disk or a store that does not answer is one problem, with all that is refused for it as notes."""
    refused = Check("refused", "problem", "503", {"reason": "unavailable"})
    full = Check("receive", "problem", "503", {"reason": "the journal is full and waits for the store; try again"})
    other = Check("refused", "problem", "415", {"reason": "unsupported_type"})
    for cause in (Check("disk", "problem", "full"), Check("port_api", "problem", "no answer")):
        states = [check.state for check in _once([cause, full, refused, other])]
        assert states == ["problem", "note", "note", "problem"]
    assert [check.state for check in _once([full, refused])] == ["problem", "note"]
    assert [check.state for check in _once([refused])] == ["problem"]
