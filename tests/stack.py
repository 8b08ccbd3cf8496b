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
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

import psutil

from collector.client import Client

T = TypeVar("T")
RUNWELL = Path(sys.executable).with_name("runwell")


def until(what: Callable[[], T], *, seconds: float = 60.0, why: str = "") -> T:
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
    options: tuple[str, ...] = ()
    env: dict[str, str] | None = None
    ports: dict[str, int] = field(default_factory=dict)
    verb: str = "serve"

    def again(self) -> None:
        """Start a supervisor after this one ended, on the same ports; it may not be up yet."""
        self.process = _start(self.data, self.ports, self.options, self.env, self.verb)

    @property
    def addresses(self) -> dict[str, Any]:
        """Return what `runwell.json` says."""
        return json.loads((self.data / "runwell.json").read_text())

    def url_now(self, name: str) -> str:
        """Return the address of *name*, which stays the same when the supervisor is started again."""
        return f"http://127.0.0.1:{self.ports[name]}"

    def url(self, name: str) -> str:
        """Return the address of *name*: http, grpc or api."""
        where = self.addresses[name]
        host = f"[{where['host']}]" if ":" in where["host"] else where["host"]
        return f"http://{host}:{where['port']}"

    @property
    def client(self) -> Client:
        """Return a client of the read API."""
        return Client(self.url("api"))

    def child(self, role: str) -> psutil.Process:
        """Return the running process of *role*: receive or store."""

        def find() -> psutil.Process | None:
            children = psutil.Process(self.process.pid).children(recursive=True)
            named = [p for p in children if f"collector.app.{role}" in " ".join(p.cmdline())]
            # A younger one stands by.
            return min(named, key=psutil.Process.create_time, default=None)

        return until(find, why=f"a {role} process")

    def applied(self, seconds: float = 60.0) -> None:
        """Wait until the store has taken up all that was acknowledged so far, runs included."""

        def caught_up() -> bool:
            status = self.client.status()
            return bool(status["journal_seq"] == status["applied_seq"] == status["runs_seq"])

        until(caught_up, seconds=seconds, why="the store to catch up")


@contextmanager
def running(data: Path, *options: str, env: dict[str, str] | None = None, verb: str = "serve") -> Iterator[Stack]:
    """Run `runwell serve`, or `up`, on free ports with *data* as its directory until the block ends."""
    process = _start(data, {}, options, env, verb)
    stack = Stack(process, data, options, env, verb=verb)
    try:
        until(lambda: (data / "runwell.json").exists() and process.poll() is None, seconds=60, why="runwell.json")
        until(lambda: stack.client.status(), seconds=60, why="the read API")
        stack.ports = {name: stack.addresses[name]["port"] for name in ("http", "grpc", "api")}
        yield stack
    finally:
        stack.process.send_signal(signal.SIGTERM)
        try:
            stack.process.wait(timeout=30)
        except subprocess.TimeoutExpired:
            stack.process.kill()
            raise


def _start(
    data: Path, ports: dict[str, int], options: tuple[str, ...], env: dict[str, str] | None, verb: str
) -> subprocess.Popen[bytes]:
    numbers = {f"--{name}-port": str(ports.get(name, 0)) for name in ("http", "grpc", "api")}
    given = [part for option, number in numbers.items() if option not in options for part in (option, number)]
    command = [str(RUNWELL), verb, "--data", str(data), *given, *options]
    with (data.parent / f"{data.name}.log").open("ab") as log:
        return subprocess.Popen(command, stdout=log, stderr=log, env={**os.environ, **(env or {})})
