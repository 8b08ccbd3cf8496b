"""Exit codes: one table, held by every verb; and a check that cannot pass on nothing, of files and of a collector."""

from __future__ import annotations

import gzip
import json
import re
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from starlette.testclient import TestClient

from collector import client
from collector.api import routes
from collector.cli import exits, root
from collector.control import Control
from collector.decode import Batch
from collector.jobs.runner import Runner
from collector.jobs.runs import RunsJob
from collector.journal import Entry
from collector.model.errors import UsageError
from collector.model.project import PROJECT
from collector.model.scope import unknown
from collector.model.units import HOUR_NS
from collector.rules.cases import log, span
from collector.settings import Limits, Settings, Store
from collector.store.apply import apply
from collector.store.database import Database
from collector.store.places import Memory
from tests.rules.tell import T0, requests

METRIC = {"name": "m", "gauge": {"dataPoints": [{"asInt": "1", "timeUnixNano": "1795600000000000000"}]}}
ELSEWHERE = {"service.name": "shop", "deployment.environment.name": "staging"}
LOGS = (
    log("order_charge_started", OrderId="o"),
    log("order_charge_completed", 1, processing_time_ms=1000),
    log("mail_send_started", run="run_2", task="send-mail", resource=ELSEWHERE, ids={"correlation_id": "c_2"}),
    log("mail_send_failed", 1, run="run_2", task="send-mail", resource=ELSEWHERE, level="error"),
)
SPANS = (span("charge", 0, 1),)
AT_NS = time.time_ns()

Cli = Callable[..., tuple[int, str, str]]


def written(path: Path, *bodies: bytes) -> str:
    """Return the name of a file of OTLP/JSON lines."""
    path.write_bytes(b"".join(body + b"\n" for body in bodies))
    return str(path)


@pytest.fixture
def cli(capfd: pytest.CaptureFixture[str]) -> Cli:
    """Return a function that runs a command line: exit code, stdout, stderr."""

    def call(*words: str) -> tuple[int, str, str]:
        code = root.run(list(words))
        said = capfd.readouterr()
        assert "Traceback" not in said.err
        return code, said.out, said.err

    return call


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Database]:
    """Return a store that has received LOGS and SPANS just now, which state times of long ago, judged."""
    directory = tmp_path_factory.mktemp("gate")
    database = Database.open(directory, Store(threads=1), on_fatal=lambda e: None)
    batch = Batch(Limits())
    for signal, body in requests(LOGS, SPANS):
        batch.add(signal, "json", body, project=PROJECT, received_ns=AT_NS)
    apply(database, [Entry(1, AT_NS, batch.tables())])
    control, settings, memory = Control.open(directory), Settings(data=directory), Memory()
    as_of_ns = T0 + HOUR_NS
    while RunsJob(database, settings.runs, memory).tick(as_of_ns):
        pass
    runner = Runner(database, control, memory, settings, beside=False)
    while runner.run(as_of_ns) or runner.working:
        pass
    runner.close()
    assert runner.errors == {}
    yield database
    control.close()
    database.close()


def answered_by(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    """Have the command line ask *database*."""
    api = TestClient(routes.application(database, Settings(), dict, str, bytes))
    monkeypatch.setattr(client.httpx, "Client", lambda **_: api)


@pytest.fixture
def live(store: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    """Have a collector answer that has received LOGS and SPANS."""
    answered_by(store, monkeypatch)


@pytest.fixture
def sent(tmp_path: Path) -> str:
    """Return the name of a file of LOGS and SPANS."""
    return written(tmp_path / "sent.jsonl", *(body for _, body in requests(LOGS, SPANS)))


VERBS = sorted(name for name in root.app if not name.startswith("-"))


def test_every_verb_has_its_row_and_help_says_it(cli: Cli) -> None:
    """The table has a row for each verb and no other, which its help ends with; the help of all has the codes."""
    assert sorted(exits.VERBS) == VERBS
    for words, said in [([], exits.epilogue()), *([[verb], exits.epilogue(verb)] for verb in VERBS)]:
        code, out, _ = cli(*words, "--help")
        assert (code, " ".join(said.split()) in " ".join(out.split())) == (0, True), words


def test_the_page_has_every_code_and_verb() -> None:
    """docs/exit-codes.md is the table."""
    page = exits.page()
    assert all(f"| {code} |" in page for code in exits.CODES)
    assert all(f"| `{verb}` |" in page for verb in VERBS)


@pytest.mark.parametrize("verb", VERBS)
def test_an_option_that_there_is_not_is_2(verb: str, cli: Cli) -> None:
    """Of every verb, in one sentence."""
    code, out, err = cli(verb, "--no-such-option=1")
    assert (code, out, err.count("\n")) == (2, "", 1)


NOBODY = ("--url", "http://127.0.0.1:9")
COMMANDS = {
    "schema nope": 2,
    "schema runs": 0,
    "rules": 0,
    "rules explain NOPE": 2,
    "check --select NOPE --input SENT": 2,
    "check --require-records 0 --input SENT": 2,
    "check --task , --input SENT": 2,
    "check --input NONE": 2,
    "replay NONE": 2,
    "replay": 2,
    "demo --samples EMPTY": 2,
    "doctor --data NONE/x --http-port 70000": 2,
    "serve --data SENT": 2,
    "sql select --url http://127.0.0.1:9": 2,
    "check --url http://127.0.0.1:9": 2,
    "stats tasks --url http://127.0.0.1:9": 2,
    "stats tasks --url http://[::": 2,
    "reports list --url http://127.0.0.1:9": 2,
    "reports run --url http://127.0.0.1:9": 2,
    "reports show latest --url http://127.0.0.1:9": 2,
}


@pytest.mark.parametrize("line", COMMANDS)
def test_what_could_not_be_done_is_2(line: str, sent: str, tmp_path: Path, cli: Cli) -> None:
    """A command line, file or address of no use ends every verb with 2 and one sentence."""
    (tmp_path / "empty").mkdir()
    names = {"SENT": sent, "NONE": str(tmp_path / "none"), "EMPTY": str(tmp_path / "empty")}
    words = [re.sub("SENT|NONE|EMPTY", lambda m: names[m[0]], word) for word in line.split()]
    code, _, err = cli(*words)
    assert code == COMMANDS[line], err
    assert bool(err) == (code != 0)


def test_a_defect_is_no_finding(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    """What runwell did not foresee ends with 2 and a sentence; a file has the trace."""

    def broken(*_: object) -> None:
        raise KeyError("odd")

    monkeypatch.setattr(root, "_called", broken)
    code, _, err = cli("check")
    (trace,) = re.findall(r"\S+\.trace", err)
    assert (code, "KeyError" in err, "broken" in Path(trace).read_text()) == (2, True, True)
    Path(trace).unlink()


def test_errors_have_their_codes() -> None:
    """A store that does not have a name is another thing than a store that cannot be asked."""
    assert exits.of(client.ApiError("no such report", unknown=True)) == exits.FOUND
    assert exits.of(client.ApiError("no answer")) == exits.of(UsageError("x")) == exits.NOTHING


NOTHING = {
    "empty": b"",
    "blank": b"\n \n\n",
    "packed": gzip.compress(b""),
    "metrics": json.dumps({"resourceMetrics": [{"scopeMetrics": [{"metrics": [METRIC]}]}]}).encode(),
    "refused": b'{"resourceLogs": [{"scopeLogs": 1}]}',
    "no records": b'{"resourceLogs": []}',
}


@pytest.mark.parametrize("case", NOTHING)
def test_a_file_of_nothing_was_not_checked(case: str, sent: str, tmp_path: Path, cli: Cli) -> None:
    """Whatever there is instead of logs and spans, a check of it says that nothing was checked, and ends with 2; so it
    does, naming it, where another file was checked beside it, but for metrics."""
    path = tmp_path / case
    path.write_bytes(NOTHING[case])
    code, out, err = cli("check", "--fail-on", "never", "--input", str(path))
    assert (code, out, "nothing was checked" in err) == (2, "", True)
    code, out, err = cli("check", "--fail-on", "never", "--input", str(path), sent)
    assert (code, bool(out), str(path) in err) == ((0, True, False) if case == "metrics" else (2, True, True))


def test_nothing_is_said_in_every_form(tmp_path: Path, cli: Cli) -> None:
    """JSON counts to 0, Markdown says it; neither passes."""
    path = written(tmp_path / "m", NOTHING["metrics"])
    code, out, _ = cli("check", "--format", "json", "--input", path)
    assert (code, json.loads(out)["checked"]["records"]) == (2, 0)
    code, out, _ = cli("check", "--format", "markdown", "--input", path)
    assert (code, "Nothing was checked" in out) == (2, True)


OF = {
    (): (5, 3),
    ("--task", "charge-order", "--task", "send-mail,charge-order"): (5, 3),
    ("--service", "shop"): (2, 1),
    ("--environment", "staging", "--task", "charge-order"): (0, 0),
    ("--select", "BAT001"): (1, 3),
    ("--select", "KEY001", "--task", "charge-order"): (2, 2),
    ("--select", "BAT001", "--service", "shop"): (0, 1),
}
"""Options, and how many records and runs are checked."""


@pytest.mark.parametrize("where", ["file", "live"])
def test_what_was_checked_is_counted(where: str, sent: str, cli: Cli, request: pytest.FixtureRequest) -> None:
    """Records that the chosen rules looked at in what was asked for, the same of a file and of a collector."""
    if where == "live":
        request.getfixturevalue("live")
    of = ("--input", sent) if where == "file" else ("--since", "1h")
    for options, (records, runs) in OF.items():
        code, out, err = cli("check", *of, *options, "--fail-on", "never", "--format", "json")
        told = json.loads(out)["checked"]
        assert (told["records"], told["runs"]) == (records, runs), options
        assert told["records"] == told["logs"] + told["spans"] == sum(s["records"] for s in told["services"])
        assert (code, "nothing was checked" in err) == ((0, False) if records else (2, True)), options


@pytest.mark.parametrize("where", ["file", "live"])
def test_only_what_was_asked_for_is_told(where: str, sent: str, cli: Cli, request: pytest.FixtureRequest) -> None:
    """A finding of one task fails its own check and no other; too few records fail either."""
    if where == "live":
        request.getfixturevalue("live")
    of = ("--input", sent) if where == "file" else ("--since", "1h")
    of = (*of, "--select", "KEY002")
    assert cli("check", *of)[0] == 1
    assert cli("check", *of, "--task", "charge-order")[0] == 1
    assert cli("check", *of, "--service", "shop")[0] == 0
    assert cli("check", *of, "--service", "shop", "--require-records", "2")[0] == 0
    code, _, err = cli("check", *of, "--service", "shop", "--require-records", "3")
    assert (code, "only 2 records were checked of the 3" in err) == (2, True)


@pytest.mark.parametrize("where", ["file", "live"])
@pytest.mark.parametrize(
    ("option", "nearest"),
    [("--task=charge-ordr", "charge-order"), ("--environment=Stagin", "staging"), ("--service=x", "shop")],
)
def test_a_name_that_nobody_sent_is_1(
    where: str, option: str, nearest: str, sent: str, cli: Cli, request: pytest.FixtureRequest
) -> None:
    """With the nearest that there are, of a file and of a collector."""
    if where == "live":
        request.getfixturevalue("live")
    code, out, err = cli("check", *(("--input", sent) if where == "file" else ()), option)
    assert (code, out, nearest in err, option.split("=")[0] in err) == (1, "", True, True)


def test_a_window_in_which_nothing_came_was_not_checked(live: None, cli: Cli) -> None:
    """A known name changes nothing of that; a rule that the collector does not judge by judged nothing."""
    time.sleep(max(0.0, AT_NS / 1e9 + 1.1 - time.time()))
    code, out, err = cli("check", "--since", "1s")
    assert (code, out, "nothing was checked" in err) == (2, "", True)
    code, _, err = cli("check", "--since", "1s", "--task", "send-mail")
    assert (code, "nothing was checked" in err) == (2, True)
    assert cli("check", "--select", "MSG008")[0] == 2
    assert cli("check", "--since", "nonsense")[0] == 2


def test_an_empty_store_was_not_checked(tmp_path: Path, cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever is asked of it: what nobody ever sent cannot be misspelt; numbers of a task are not shown either."""
    database = Database.open(tmp_path, Store(threads=1), on_fatal=lambda e: None)
    try:
        answered_by(database, monkeypatch)
        for more in ((), ("--task", "x")):
            code, out, err = cli("check", *more)
            assert (code, out, "nothing was checked" in err) == (2, "", True)
        assert cli("stats", "tasks", "--task", "x")[0] == 1
        assert cli("stats", "tasks")[0] == 0
    finally:
        database.close()


@pytest.mark.parametrize("form", ["table", "json", "csv"])
def test_numbers_of_what_nobody_sent_are_1(form: str, live: None, cli: Cli) -> None:
    """No table, but a sentence that says which there are; of what was sent 0, also where the range has nothing."""
    for option in ("--task", "--queue", "--environment", "--version"):
        code, out, err = cli("stats", "tasks", option, "nobody", "--format", form)
        assert (code, out, "nobody" in err) == (1, "", True)
    code, _, err = cli("stats", "tasks", "--task", "charge-order2", "--format", form)
    assert (code, "charge-order, send-mail" in err) == (1, True)
    assert cli("stats", "tasks", "--task", "send-mail", "--since", "1s", "--format", form)[0] == 0


def test_names_are_told_by_how_near_they_are() -> None:
    """The nearest first, then the most frequent; a name that is there is not unknown."""
    there = ["a-b", "PRODUCTION", *(f"t{n}" for n in range(9))]
    assert unknown("environment", "PRODUCTION", there) is None
    said = unknown("environment", "production", there)
    assert said is not None and said.nearest[0] == "PRODUCTION" and f"and {len(there) - 5} more" in str(said)
    assert "none at all yet" in str(unknown("task", "x", []))
