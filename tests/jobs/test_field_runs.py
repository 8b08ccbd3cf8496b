"""Runs as they happen in the field: each situation is told as its users expect (tests/vectors/runs)."""

from __future__ import annotations

import json
import random
import re
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from starlette.testclient import TestClient

from collector.api import routes
from collector.cli.recordings import Recorded
from collector.control import Control
from collector.jobs.runner import Runner
from collector.model.signals import BY_PATH
from collector.settings import Settings
from collector.store.database import Database
from tests.inprocess import SECOND, Pipeline
from tests.reshape import single

CASES = {
    path.stem: json.loads(path.read_text("utf-8"))
    for path in sorted((Path(__file__).parents[1] / "vectors" / "runs").glob("*.json"))
}
ALONE = [name for name, case in CASES.items() if "alone" in case or "settings" in case]
TOGETHER = [name for name in CASES if name not in ALONE]
_TIME = re.compile(r'"@(-?[\d.]+)"')
_WITHIN = re.compile(r"@(ns|iso)(-?[\d.]+)")


class Told:
    """A store that cases are sent to, as of one moment."""

    def __init__(self, directory: Path, settings: Settings) -> None:
        self.now_ns = time.time_ns()
        self._pipeline = Pipeline(directory, runs=settings.runs)
        self._waiting: list[Recorded] = []
        self._control = Control.open(directory)
        self._runner = Runner(self._pipeline.database, self._control, self._pipeline.memory, settings)
        app = routes.application(self._pipeline.database, settings, lambda: {"lag_s": 0}, lambda: "", lambda: b"")
        self.api = TestClient(app)

    def send(self, sent: list[dict[str, Any]], shift_s: float = 0, i: int | None = None, *, keep: bool = False) -> None:
        """Store requests; *shift_s*: how much later than written; *i*: what stands for `{i}`; *keep*: until `settle`
        is called."""
        for request in sent:
            if "loop" in request:
                loop = request["loop"]
                for n in range(loop["n"]):
                    self.send(loop["send"], n * loop["step_s"], n, keep=keep)
            elif "settle" in request:
                if not keep:
                    self.settle()
            else:
                body = self.placed(json.dumps(request["body"]), shift_s)
                if i is not None:
                    body = body.replace("{i}", str(i)).replace("{i4}", f"{i:04x}")
                self._waiting.append(Recorded(BY_PATH[request["path"]], "json", body.encode()))

    def mix(self, dice: random.Random) -> None:
        """Send what waits record by record in any order, some of it twice, and tell what came now and then."""
        alone = [one for request in self._waiting for one in single(request)]
        alone += dice.sample(alone, len(alone) // 4)
        dice.shuffle(alone)
        fourth = -(-len(alone) // 4)
        for n in range(0, len(alone), fourth):
            self._waiting = alone[n : n + fourth]
            self.settle()

    def placed(self, text: str, shift_s: float = 0) -> str:
        """Return *text* with its times."""

        def ns(seconds: str) -> int:
            return self.now_ns + round((float(seconds) + shift_s) * SECOND)

        def within(found: re.Match[str]) -> str:
            at = ns(found[2])
            return str(at) if found[1] == "ns" else datetime.fromtimestamp(at / SECOND, UTC).isoformat()

        return _WITHIN.sub(within, _TIME.sub(lambda found: f'"{ns(found[1])}"', text))

    def settle(self) -> None:
        """Tell what came so far."""
        for n in range(0, len(self._waiting), 100):
            self._pipeline.group(self._waiting[n : n + 100], self.now_ns)
        self._waiting.clear()
        self._pipeline.apply()
        self._pipeline.tick(self.now_ns)
        while self._runner.run(self.now_ns):
            pass
        assert not self._runner.errors

    def rows(self, asked: dict[str, Any]) -> list[list[Any]]:
        """Return the rows of an answer."""
        if "sql" in asked:
            found = self._pipeline.database.reading(lambda h: h.frame(asked["sql"]))
            return [list(row) for row in found.iter_rows()]
        answer = self.api.get(self.placed(asked["api"]))
        assert answer.status_code == 200, answer.text
        told: Any = answer.json()
        for name in asked.get("in", [] if isinstance(told, list) else ["rows"]):
            told = told[name]
        where = asked.get("where", {})
        rows = [row for row in told if all(row[key] == value for key, value in where.items())]
        if asked.get("count"):
            return [[len(rows)]]
        if asked.get("last"):
            rows = rows[-1:]
        picked = [[row[key] for key in asked["pick"]] for row in rows]
        return [[round(v, asked["round"]) for v in row] for row in picked] if "round" in asked else picked

    @property
    def database(self) -> Database:
        """The database behind it."""
        return self._pipeline.database

    def close(self) -> None:
        """Close the files."""
        self._pipeline.close()
        self._control.close()


def check(told: Told, name: str) -> None:
    """Assert what a case expects."""
    for asked in CASES[name]["expect"]:
        assert told.rows(asked) == asked["rows"], CASES[name]["situation"]


@pytest.fixture(scope="module", params=["as it came", pytest.param("anyhow", marks=pytest.mark.long("properties"))])
def told(tmp_path_factory: pytest.TempPathFactory, request: pytest.FixtureRequest) -> Iterator[Told]:
    """Every case that bears others beside it, in one store: as it came, or by records in any order, some twice."""
    made = Told(tmp_path_factory.mktemp("runs"), Settings())
    for name in TOGETHER:
        made.send(CASES[name]["send"], keep=request.param == "anyhow")
    if request.param == "anyhow":
        made.mix(random.Random(7))
    made.settle()
    yield made
    made.close()


@pytest.mark.parametrize("name", TOGETHER)
def test_a_situation_is_told_as_its_users_expect(told: Told, name: str) -> None:
    """Whatever else is in the store."""
    check(told, name)


@pytest.mark.parametrize("name", ALONE)
def test_a_situation_that_needs_a_store_of_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    """For its settings, or since it speaks of all that there is."""
    now_ns = time.time_ns()
    for key, value in CASES[name].get("settings", {}).items():
        text = value if isinstance(value, str) else json.dumps(value)
        text = _WITHIN.sub(
            lambda found: datetime.fromtimestamp(now_ns / SECOND + float(found[2]), UTC).isoformat(), text
        )
        monkeypatch.setenv(key, text)
    made = Told(tmp_path, Settings())
    made.send(CASES[name]["send"])
    made.settle()
    check(made, name)
    made.close()
