"""The command `runwell doctor` for tests, and a read API that says of the store what a test wants."""

from __future__ import annotations

import json
import os
import socket
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import uvicorn
from starlette.responses import Response
from starlette.routing import Route

from collector.api import routes
from collector.app import child, whereabouts
from collector.cli import root
from collector.client import Client
from collector.control import Control
from collector.journal import Journal
from collector.settings import Settings
from collector.store.database import Database
from tests.stack import until

INFO = b'runwell_store_info{version="1"} 1.0\n'


class Doctor:
    """Calls the command as a shell would."""

    def __init__(self, capsys: pytest.CaptureFixture[str]) -> None:
        self._capsys = capsys

    def text(self, *arguments: str) -> tuple[int, str]:
        """Return the exit code and what was printed."""
        self._capsys.readouterr()
        code = root.run(["doctor", *arguments])
        return code, self._capsys.readouterr().out

    def json(self, *arguments: str) -> tuple[int, dict[str, Any]]:
        """Return the exit code and the report."""
        code, out = self.text("--format", "json", *arguments)
        return code, json.loads(out)


def checks(report: dict[str, Any], name: str, state: str | None = None) -> list[str]:
    """Return the messages of the checks called *name*."""
    return [c["message"] for c in report["checks"] if c["name"] == name and state in (None, c["state"])]


def free_ports(**given: str) -> list[str]:
    """Return options for four ports: those *given*, by name, the others free just now."""
    options = []
    for name in ("http", "grpc", "api", "dashboard"):
        with socket.socket() as s:
            s.bind(("127.0.0.1", 0))
            options += [f"--{name}-port", given.get(name, str(s.getsockname()[1]))]
    return options


@dataclass
class StandIn:
    """The real read API over what is in a directory, which says of itself what it is told to."""

    data: Path
    journal: Journal
    said: dict[str, Any] = field(default_factory=dict)
    reason: str = ""

    @property
    def url(self) -> str:
        """Return its address."""
        where = json.loads((self.data / "runwell.json").read_text())["api"]
        return f"http://{where['host']}:{where['port']}"

    def ask(self, question: str) -> list[dict[str, Any]]:
        """Return the rows of a SELECT."""
        client = Client(self.url)
        try:
            rows: list[dict[str, Any]] = client.sql(question).table.to_pylist()
        finally:
            client.close()
        return rows

    def status(self) -> dict[str, Any]:
        """Return what a store that is well says, and what the test adds to it."""
        well = {
            **dict.fromkeys(("journal_seq", "applied_seq", "runs_seq"), self.journal.last_seq),
            "lag_s": 0.0,
            "newest_received_ns": None,
            "damaged_groups": 0,
            "lost_groups": 0,
            "set_aside": [],
            "failing_jobs": {},
            "rows": {"runs": 0, "logs": 0, "spans": 0},
        }
        return {**well, **self.said}


@contextmanager
def posing(data: Path, **addresses: dict[str, Any]) -> Iterator[None]:
    """Hold *data* as a supervisor does whose processes listen at *addresses*."""
    roles = [role for role, names in whereabouts.NAMES.items() if addresses.keys() & set(names)]
    with ExitStack() as locks:
        for role in roles:
            locks.enter_context(child.lock(data, role + child.SUPERVISOR))
        (data / whereabouts.FILE).write_text(json.dumps({"pid": os.getpid(), **addresses}))
        yield


@contextmanager
def standing_in(data: Path) -> Iterator[StandIn]:
    """Answer on a port of its own, as the store of the data directory *data*, until the block ends."""
    data.mkdir(exist_ok=True)
    Control.open(data).close()
    store = StandIn(data, Journal.open(data))
    settings = Settings(data=data)
    database = Database.open(data, settings.store)
    none = Response("[]", media_type="application/json")
    more = [Route(f"/api/v1/reports{name}", lambda request: none) for name in ("", "/deliveries", "/firings")]
    app = routes.application(database, settings, store.status, lambda: store.reason, lambda: INFO, more)
    server = uvicorn.Server(uvicorn.Config(app, port=0, log_config=None, lifespan="off"))
    thread = threading.Thread(target=server.run)
    thread.start()
    try:
        until(lambda: server.started, why="the read API")
        where = {"host": "127.0.0.1", "port": server.servers[0].sockets[0].getsockname()[1]}
        with posing(data, api=where):
            yield store
    finally:
        server.should_exit = True
        thread.join()
        database.close()
        store.journal.close()
