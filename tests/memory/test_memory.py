"""Memory is a promise: whatever is sent and asked, the processes together stay within what the settings say."""

from __future__ import annotations

import itertools
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from random import Random

import httpx
import pytest

from bench.footprint import MIB, Footprint
from bench.generate import END_NS
from bench.load import Burst
from collector.control import Control, ledger
from collector.jobs.runner import INFERENCE
from collector.model.units import DAY_NS
from collector.settings import Settings
from tests.length import ROOT, SEED, longer
from tests.stack import running, until

pytestmark = pytest.mark.e2e
PARTS = Settings().parts
LOADED = 180 * MIB
"""What the store's program takes with nothing to do."""
_RECORDS = 40_000
_LOAD_S = longer("memory", 0, 600)
_RUNS = 1_000_000
_ASKERS = 8
"""Who asks at once: as many questions as the store works on."""
_ANSWERS = frozenset({200, 503})


def held(footprint: Footprint) -> None:
    """Assert that all processes together never had more than they may."""
    told = {role: f"{size / MIB:.0f} MiB" for role, size in footprint.peaks.items()}
    print(f"peaks: {told}, together {footprint.peak / MIB:.0f} MiB")
    assert footprint.peaks.keys() >= {"supervisor", "gate", "receive", "store"}
    assert footprint.peak <= PARTS.promise, told


def test_a_burst_stays_within_memory(tmp_path: Path) -> None:
    """40,000 ordinary records as fast as they are taken, everything worked out of them at once, limits inferred too:
    the store has no more than its part, and all processes together no more than `memory`.
    """
    # Statistics, and with them limits, are worked out once all runs are there.
    env = {"RUNWELL_STORE__STATISTICS": "PT8S"}
    with running(tmp_path / "data", env=env) as stack, Footprint(stack.process.pid) as footprint:
        burst = Burst(stack.ports["http"], records=_RECORDS, seed=SEED).start()
        burst.join()
        sent_ns = time.time_ns()
        stack.applied()
        until(lambda: stack.client.status()["complete_ns"] > sent_ns, seconds=120, why="statistics of all runs")
        until(lambda: _inferred(stack.data), seconds=60, why="limits to be inferred")
        assert stack.client.status()["rows"]["runs"] == burst.acknowledged // 8
    held(footprint)
    assert footprint.peaks["store"] <= LOADED + PARTS.store


def _inferred(data: Path) -> bool:
    """Tell whether limits were inferred."""
    control = Control.open(data)
    try:
        return bool(control.reading(ledger.read, INFERENCE))
    finally:
        control.close()


@pytest.mark.long("memory")
def test_ten_minutes_of_load_on_a_million_runs_stay_within_memory(tmp_path: Path) -> None:
    """Beside a million runs, records as fast as they are taken, while eight at once ask for pages, runs, reports over a
    month and findings, leave all processes together, dashboard included, within `memory`; nothing restarts, and every
    question is answered or put off.
    """
    data = tmp_path / "data"
    shutil.copytree(_million(), data)
    with running(data, "--dashboard-port", "0", verb="up") as stack:
        pid = stack.child("store").pid
        with Footprint(stack.process.pid) as footprint:
            burst = Burst(stack.ports["http"], records=10**9, seed=SEED, connections=8).start()
            asking = Asking(stack.url("api"))
            time.sleep(_LOAD_S)
            burst.stop()
            asking.stop()
        print(f"{burst.acknowledged:,} records acknowledged; answers: {asking.answers}")
        held(footprint)
        assert "dashboard" in footprint.peaks
        assert stack.child("store").pid == pid
        assert {status for _, status in asking.answers} <= _ANSWERS
        assert {name for name, status in asking.answers if status == 200} == set(asking.kinds)


def _million() -> Path:
    """Return the data directory of a store of a million runs, made the first time; it is to be copied."""
    made = ROOT / ".long" / f"million-{_RUNS}"
    if not made.exists():
        new = made.with_suffix(".new")
        shutil.rmtree(new, ignore_errors=True)
        attempts = str(round(_RUNS * 1.32) + 1)
        command = [sys.executable, "-m", "bench.generate", str(new), "--attempts", attempts, "--logs", str(4 * _RUNS)]
        subprocess.run(command, check=True, cwd=ROOT)
        new.rename(made)
    return made


class Asking:
    """Asks one question after the other, from several threads, until it is told to stop; counts the answers."""

    def __init__(self, url: str) -> None:
        self._url = url
        self._stop = threading.Event()
        self._lock = threading.Lock()
        self.answers: dict[tuple[str, int], int] = {}
        """(Kind of question, status) → answers."""
        with httpx.Client(base_url=url, timeout=90, trust_env=False) as client:
            names = [q["name"] for q in client.get("/api/v1/query").json() if q["name"].startswith("page_")]
            runs = client.get("/api/v1/runs", params={"from": END_NS - DAY_NS, "to": END_NS, "limit": 50}).json()
        self._run_ids = [run["run_id"] for run in runs["runs"]]
        self._pages = names
        self.kinds: dict[str, Callable[[httpx.Client, Random], httpx.Response]] = {
            "page": self._page,
            "runs": self._runs,
            "run": lambda c, r: c.get(f"/api/v1/runs/{r.choice(self._run_ids)}"),
            "findings": lambda c, r: c.get("/api/v1/findings", params={"since": END_NS - 30 * DAY_NS}),
            "report": self._report,
        }
        self._threads = [threading.Thread(target=self._ask, args=(i,), daemon=True) for i in range(_ASKERS)]
        for thread in self._threads:
            thread.start()

    def stop(self) -> None:
        """Ask no more."""
        self._stop.set()
        for thread in self._threads:
            thread.join()

    def _page(self, client: httpx.Client, random: Random) -> httpx.Response:
        span = random.choice((DAY_NS, 7 * DAY_NS, 30 * DAY_NS))
        window = {"from_ns": END_NS - span, "to_ns": END_NS, "bucket_ns": span // 100, "task": "task-3"}
        name = random.choice(self._pages)
        answer = client.get(f"/api/v1/query/{name}", params=window)
        while answer.status_code == 400:  # a parameter that it does not take
            window = {k: v for k, v in window.items() if k not in answer.json()["error"]}
            if len(window) < 2:
                return client.get("/api/v1/query/page_choices")
            answer = client.get(f"/api/v1/query/{name}", params=window)
        return answer

    @staticmethod
    def _runs(client: httpx.Client, random: Random) -> httpx.Response:
        window = {"from": END_NS - 30 * DAY_NS, "to": END_NS, "limit": 500, "offset": random.randrange(0, 10_000, 500)}
        return client.get("/api/v1/runs", params=window)

    @staticmethod
    def _report(client: httpx.Client, random: Random) -> httpx.Response:
        body = {"since": END_NS - 30 * DAY_NS, "until": END_NS, "dry_run": True, "format": "html"}
        return client.post("/api/v1/reports", json=body)

    def _ask(self, number: int) -> None:
        random = Random(f"{SEED}/{number}")
        kinds: Iterator[str] = itertools.islice(itertools.cycle(self.kinds), number, None)
        with httpx.Client(base_url=self._url, timeout=90, trust_env=False) as client:
            while not self._stop.is_set():
                kind = next(kinds)
                try:
                    answer = self.kinds[kind](client, random)
                    status = 200 if answer.status_code == 201 else answer.status_code
                except httpx.TimeoutException:
                    status = 503
                except httpx.TransportError:
                    status = 0
                with self._lock:
                    self.answers[kind, status] = self.answers.get((kind, status), 0) + 1
                self._stop.wait(0.2)
