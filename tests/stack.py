"""A real runwell for tests: supervisor, receive and store as processes, on ports of their own choice."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import psutil

from collector.api.client import Client

T = TypeVar("T")
RUNWELL = Path(sys.executable).with_name("runwell")


def until(what: Callable[[], T], *, seconds: float = 20.0, why: str = "") -> T:
    """Return the first truthy result of *what*, asked again and again for *seconds*."""
    deadline = time.monotonic() + seconds
    while True:
        try:
            result = what()
            problem = f"last result {result!r}"
        except Exception as e:  # the reason is shown if the deadline passes
            result, problem = None, f"last error {e!r}"
        if result:
            return result  # type: ignore[return-value]
        if time.monotonic() > deadline:
            raise AssertionError(f"not within {seconds} s: {why or what}; {problem}")
        time.sleep(0.05)


@dataclass
class Stack:
    """A running supervisor and where it listens."""

    process: subprocess.Popen[bytes]
    data: Path

    @property
    def addresses(self) -> dict[str, Any]:
        """Return what `runwell.json` says."""
        return json.loads((self.data / "runwell.json").read_text())

    def url(self, name: str) -> str:
        """Return the address of *name*: http, grpc or api."""
        where = self.addresses[name]
        return f"http://{where['host']}:{where['port']}"

    @property
    def client(self) -> Client:
        """Return a client of the read API."""
        return Client(self.url("api"))

    def child(self, role: str) -> psutil.Process:
        """Return the running process of *role*: receive or store."""

        def find() -> psutil.Process | None:
            for p in psutil.Process(self.process.pid).children(recursive=True):
                if f"collector.app.{role}" in " ".join(p.cmdline()):
                    return p
            return None

        return until(find, why=f"a {role} process")

    def applied(self) -> None:
        """Wait until the store has taken up all that was acknowledged so far, runs included."""

        def caught_up() -> bool:
            status = self.client.status()
            return bool(status["journal_seq"] == status["applied_seq"] == status["runs_seq"])

        until(caught_up, why="the store to catch up")


@contextmanager
def running(data: Path, *options: str, env: dict[str, str] | None = None) -> Iterator[Stack]:
    """Run `runwell serve` on free ports with *data* as its directory until the block ends."""
    command = [
        str(RUNWELL), "serve", "--data", str(data),
        "--http-port", "0", "--grpc-port", "0", "--api-port", "0", *options,
    ]  # fmt: skip
    log = (data.parent / f"{data.name}.log").open("ab")
    process = subprocess.Popen(command, stdout=log, stderr=log, env={**os.environ, **(env or {})})
    stack = Stack(process, data)
    try:
        until(lambda: (data / "runwell.json").exists() and process.poll() is None, why="runwell.json")
        until(lambda: stack.client.status(), why="the read API")
        yield stack
    finally:
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(timeout=20)
        except subprocess.TimeoutExpired:
            process.kill()
            raise
        finally:
            log.close()
