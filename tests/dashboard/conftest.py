"""A store with everything in it, an empty one, and the app over them: as a script (AppTest) and as a server."""

from __future__ import annotations

import re
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import polars as pl
import pytest
import streamlit as st
from starlette.testclient import TestClient
from streamlit.testing.v1 import AppTest

from collector import client
from collector.api import routes
from collector.cli import recordings
from collector.cli.replay import send, to_now
from collector.client import Client
from collector.control import Control, reports
from collector.jobs.runner import Runner
from collector.jobs.runs import RunsJob
from collector.settings import Queues, Settings, Store
from collector.store.database import Database
from collector.store.places import Memory
from dashboard import data
from tests import stack
from tests.dashboard import hostile
from tests.jobs.invented import store
from tests.report import a_report
from tests.stack import RUNWELL, Stack, until

NO_LEVELS = pl.DataFrame(
    schema={
        "queue": pl.String,
        "environment": pl.String,
        "platform_project": pl.String,
        "limit": pl.Int64,
        "at_limit_ns": pl.Int64,
        "queued_ns": pl.Int64,
    }
)
"""What the Overview is told of queues where there is none."""

ROOT = Path(__file__).resolve().parents[2]
APP = ROOT / "dashboard" / "streamlit_app.py"
RECORDED = sorted((ROOT / "sample_data" / "trigger-dev-4.8.3").glob("*.jsonl.gz"))
SYNTHETIC = ROOT / "sample_data" / "synthetic-48h.jsonl.zst"

HOSTILE_REPORT = a_report.hostile().model_copy(update={"id": "a" * 16})
SETTINGS = """[queues.limits]
media = 2

[[reports.schedules]]
name = "weekdays"
cron = "0 9 * * 1-5"
zone = "Europe/Berlin"
"""

Open = Callable[..., AppTest]
OPEN = ExitStack()
"""What all tests of this folder share; it ends with the last of them, so that nothing works on beside the others."""


@pytest.hookimpl(wrapper=True)
def pytest_runtest_teardown(nextitem: pytest.Item | None) -> Iterator[None]:
    """End what is shared after the last test of the folder."""
    yield
    if nextitem is None or Path(__file__).parent not in nextitem.path.parents:
        OPEN.close()


@pytest.fixture(scope="session")
def filled(tmp_path_factory: pytest.TempPathFactory) -> Stack:
    """Return a store with the recorded sets, the last day of the synthetic workload and hostile telemetry."""
    folder = tmp_path_factory.mktemp("filled")
    (folder / "runwell.toml").write_text(SETTINGS)
    running = OPEN.enter_context(stack.running(folder / "data", "--config", str(folder / "runwell.toml")))
    for path in RECORDED:
        assert not send(to_now(list(recordings.read(str(path)))), running.url("http")).refused
    synthetic = list(recordings.read(str(SYNTHETIC)))
    assert not send(to_now(synthetic[len(synthetic) // 2 :]), running.url("http")).refused
    hostile.send(running.url("http"))
    running.applied()
    sent_ns = time.time_ns()
    # Statistics and rules come after the runs; both rules are of what was sent: a recorded set, the workload.
    stack.until(lambda: running.client.status()["complete_ns"] > sent_ns, why="the statistics")
    codes = {"KEY001", "PII001"}
    stack.until(lambda: codes <= {f["code"] for f in running.client.findings(since="7d")["findings"]}, why="the rules")
    control = Control.open(running.data)
    for report in (a_report.night(), HOSTILE_REPORT):
        control.writing(reports.save, report)
    control.close()
    return running


@pytest.fixture(scope="session")
def empty(tmp_path_factory: pytest.TempPathFactory) -> Stack:
    """Return a store nothing was ever sent to."""
    return OPEN.enter_context(stack.running(tmp_path_factory.mktemp("empty") / "data"))


@pytest.fixture
def app(monkeypatch: pytest.MonkeyPatch) -> Open:
    """Return a function that runs a page of the app over a store's API, with parameters of its URL."""

    def opened(url: str, page: str = "overview", **params: str) -> AppTest:
        monkeypatch.setenv("RUNWELL_API", url)
        test = AppTest.from_file(str(APP), default_timeout=60)
        for name, value in params.items():
            test.query_params[name] = value
        test.run()
        if page != "overview":
            test.switch_page(f"app_pages/{page}.py").run()
            test.run()  # AppTest, unlike a browser, forgets bound values in the run that switches the page
        return test

    return opened


World = tuple[Database, Control, Path]


@contextmanager
def stored(directory: Path, records: list[tuple[str, dict[str, Any]]], as_of_ns: int, **limits: int) -> Iterator[World]:
    """Yield a store of these records after all jobs, with limits of queues."""
    database, control = Database.open(directory, Store(threads=1), on_fatal=lambda e: None), Control.open(directory)
    store(database, 1, records, as_of_ns)
    settings, memory = Settings(data=directory, queues=Queues(limits=limits)), Memory()
    RunsJob(database, settings.runs, memory).tick(as_of_ns)
    runner = Runner(database, control, memory, settings)
    while runner.run(as_of_ns):
        pass
    assert runner.errors == {}
    yield database, control, directory
    control.close()
    database.close()


@pytest.fixture
def api(world: World, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Client:
    """Return a client of the API of the module's store, the one that everybody has, at the module's `AS_OF`."""
    status = {"rows": dict.fromkeys(("runs", "logs", "spans"), 0), "lag_s": 0, "failing_jobs": {}, "writer": ""}
    status |= {"set_aside_items": [], "set_aside_count": 0}
    app = routes.application(world[0], Settings(), lambda: status, str, bytes)
    here = TestClient(app, raise_server_exceptions=False)
    monkeypatch.setattr(client.httpx, "Client", lambda **_: here)
    monkeypatch.setattr(data, "reports", list)  # which this API does not have
    monkeypatch.setattr(time, "time_ns", lambda: request.module.AS_OF)
    monkeypatch.setenv("RUNWELL_API", "http://here")
    st.cache_data.clear()
    st.cache_resource.clear()
    return Client("http://here")


@pytest.fixture(scope="session")
def server(filled: Stack) -> str:
    """Return the URL of the dashboard over the filled store, as `runwell dashboard` serves it."""
    log = filled.data.parent / "dashboard.log"
    with log.open("wb") as out:
        command = [str(RUNWELL), "dashboard", "--url", filled.url("api"), "--dashboard-port", "0"]
        process = subprocess.Popen(command, stdout=out, stderr=out)
    OPEN.callback(process.wait, timeout=20)
    OPEN.callback(process.terminate)
    match = until(lambda: re.search(rb"dashboard +(http://\S+)", log.read_bytes()), seconds=60, why=str(log))
    return match[1].decode()


@pytest.fixture(scope="session")
def failed_run(filled: Stack) -> str:
    """Return the id of a recorded run that failed after several attempts."""
    table = filled.client.sql(
        "SELECT run_id FROM runs WHERE dialect = 'trigger_dev' AND status = 'failed' AND attempt_count > 2 "
        "ORDER BY span_count DESC, run_id"
    ).table
    return str(table["run_id"][0].as_py())
