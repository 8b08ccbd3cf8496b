"""`runwell check` of a collector as a gate: it passes on nothing that was not judged, nor past records of no run."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from starlette.testclient import TestClient

from collector import client
from collector.api import routes
from collector.cli import check, root
from collector.control import Control
from collector.jobs import findings as jobs_findings
from collector.jobs.runner import Runner
from collector.rules.cases import log
from collector.settings import Settings
from tests.cli.test_exits import written
from tests.inprocess import Pipeline, Recorded
from tests.rules.tell import T0, requests

WEB, SHOP = ({"service.name": name, "deployment.environment.name": f"{name}-live"} for name in ("web", "shop"))
LOOSE = (
    *(log("order_ship_started", n, run=None, task=None, resource=SHOP) for n in range(3)),
    log("order_ship_started", 3, run=None, task=None, resource=WEB, orderId="o"),
)
"""Of no run and no task; those of one service come before the other's."""


class Collector:
    """A store that takes records up and judges them when it is told to, and is asked over its API."""

    def __init__(self, directory: Path) -> None:
        self.pipeline = Pipeline(directory)
        self._control = Control.open(directory)
        self._runner = Runner(
            self.pipeline.database, self._control, self.pipeline.memory, Settings(data=directory), beside=False
        )
        self.api = TestClient(
            routes.application(self.pipeline.database, Settings(), dict, str, bytes, want_judged=self._want_judged)
        )
        self.acts: list[Callable[[], None]] = []
        """What the store does by the next questions, one for each."""

    def receive(self) -> None:
        """Acknowledge LOOSE, which are not applied."""
        self.pipeline.group([Recorded(signal, "json", body) for signal, body in requests(LOOSE, ())], time.time_ns())

    def take_up(self) -> None:
        """Apply what was received."""
        self.pipeline.apply()
        self.pipeline.tick(T0)

    def judge(self, *, whole: bool = True) -> None:
        """Have rules judge what was taken up."""
        self._runner.run(time.time_ns(), whole=whole)
        assert self._runner.errors == {}

    def owe(self) -> None:
        """Have rules judge what was taken up while the run tables owe something."""
        self.judge(whole=False)

    def _want_judged(self) -> int:
        newest = self.pipeline.reader.last_seq()
        self._runner.want_judged(newest)
        if self.acts:
            self.acts.pop(0)()
        return newest

    def close(self) -> None:
        """Close the files."""
        self._runner.close()
        self._control.close()
        self.pipeline.close()


@pytest.fixture(scope="module")
def collector(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Collector]:
    """Return a collector that has received nothing."""
    made = Collector(tmp_path_factory.mktemp("gate"))
    yield made
    made.close()


@pytest.fixture(autouse=True)
def _asked(collector: Collector, monkeypatch: pytest.MonkeyPatch) -> None:
    """Have the command line ask the collector, without a pause."""
    monkeypatch.setattr(client.httpx, "Client", lambda **_: collector.api)
    monkeypatch.setattr(time, "sleep", lambda _: None)


def test_a_gate_waits_until_all_that_was_there_is_judged(
    collector: Collector, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """What is acknowledged, applied, or judged while runs were owed is not judged yet: it asks again, and in the end
    says so and ends with 2; a second lot is judged at once, whenever the window was judged before.
    """
    for more in ([collector.owe], []):
        collector.receive()
        collector.acts = [lambda: None, collector.take_up, *more, collector.judge]
        assert root.run(["check", "--since", "1h", "--select", "KEY001"]) == 1
        assert collector.acts == []
    capsys.readouterr()
    monkeypatch.setattr(check, "_PATIENCE_S", 0.0)
    monkeypatch.setattr(collector.pipeline.reader, "last_seq", lambda: 3)
    assert root.run(["check", "--since", "1h", "--fail-on", "never"]) == 2
    said = capsys.readouterr()
    assert (said.out, "of 3 groups of records 1 are not judged" in said.err) == ("", True)


def test_records_of_no_run_that_rules_pass_over_are_not_counted(
    collector: Collector, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Only the newest that fit are judged: the others are told, and a gate that asks for them does not pass."""
    monkeypatch.setattr(jobs_findings, "_MOST_LOOSE", len(LOOSE))
    for _ in range(2):
        collector.receive()
    collector.take_up()
    collector.judge()
    asked = ["check", "--since", "1h", "--fail-on", "never", "--format", "json", "--require-records"]
    assert root.run([*asked, str(len(LOOSE))]) == 0
    said = capsys.readouterr()
    told = json.loads(said.out)["checked"]
    assert told["came"] > told["records"] == len(LOOSE)
    assert f"{told['came'] - len(LOOSE)} records of no run were not checked" in said.err
    assert root.run([*asked, str(told["came"])]) == 2


@pytest.mark.parametrize("of", [("--service", "web"), ("--service", "shop"), ("--environment", "web-live")])
def test_records_of_no_run_are_told_in_their_scope(
    of: tuple[str, ...], collector: Collector, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """What rules find in records of neither run nor task is told of their service and environment, of a file and of a
    collector, however many records of others show the same. Rules that look at runs alone have looked at none of them.
    """
    file = written(tmp_path / "loose.jsonl", *(body for _, body in requests(LOOSE, ())))
    if not collector.pipeline.reader.last_seq():
        collector.receive()
        collector.take_up()
        collector.judge()
    found = []
    for where in (["--input", file], ["--since", "1h"]):
        assert root.run(["check", *where, *of, "--select", "PHA001,PHA002,PHA003,SCH001,SUB002"]) == 2
        assert "nothing was checked" in capsys.readouterr().err
        root.run(["check", *where, *of, "--format", "json"])
        findings = json.loads(capsys.readouterr().out)["findings"]
        found.append({(f["code"], f["operation"], f["key"]) for f in findings} - {("TEL005", None, None)})
    assert found[0] == found[1]
    assert ("KEY001" in {code for code, *_ in found[0]}) == (of != ("--service", "shop"))
    assert "CTX003" in {code for code, *_ in found[0]}
