"""The supervisor: starts receive, its gate, store and (for `up`) the dashboard; what dies starts again.

Ports are resolved once, at the first start: a child that comes back listens where it did before. When all are up,
`runwell.json` in the data directory says where.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import signal
import socket
import sys
from collections.abc import Callable, Coroutine
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any

import structlog

from collector.app import child, listen, newer, openable, private, whereabouts
from collector.app.allocators import environment
from collector.model.errors import UsageError
from collector.settings import Settings
from collector.settings.reports import Reports
from collector.telemetry.log import configure

log = structlog.get_logger()
_START_S = 60.0
_GATE_S, _STOP_S = 1.1, 3.2
"""From the signal: until receive stops whether or not its gate has ended, and until what still runs is killed."""
_LONGEST_PAUSE_S = 5.0
_MOST_KILLED = 5
_CALM_S = 2.0
"""A child that was up for so long starts again at once when it dies; one that dies sooner waits."""

Address = dict[str, Any]
Ready = Callable[[dict[str, Address]], None]


@dataclass(slots=True)
class _Child:
    role: str
    command: list[str]
    ports: dict[str, str]
    """Name of an address → the setting that fixes its port."""
    addresses: dict[str, Address] = field(default_factory=dict)
    spared: bool = False
    """Whether a second process stands by, loaded: clients notice how long this one is away."""
    process: asyncio.subprocess.Process | None = None
    spare: asyncio.subprocess.Process | None = None
    killed: int = 0
    """How often it was killed before it was ever ready."""
    up_since: float | None = None
    """Monotonic time at which this process said that it was ready."""


class Supervisor:
    """Runs *roles*: receive, with the gate of its gRPC port, and store."""

    def __init__(self, settings: Settings, roles: tuple[str, ...]) -> None:
        self._settings = settings
        ports = {"receive": {"http": "http_port"}, "gate": {"grpc": "grpc_port"}, "store": {"api": "api_port"}}
        self._children = [
            _Child(role, [sys.executable, "-m", f"collector.app.{role}"], ports[role], spared=role == "receive")
            for named in roles
            for role in (("receive", "gate") if named == "receive" else (named,))
        ]
        self._extra: dict[str, Address] = {}
        self._http: socket.socket | None = None
        """Where receive accepts. It outlives receive: clients that come while none runs wait in line for the next."""
        self._stop = asyncio.Event()

    @property
    def addresses(self) -> dict[str, Address]:
        """Return where everything listens."""
        return {name: where for c in self._children for name, where in c.addresses.items()} | self._extra

    async def run(
        self, ready: Ready, after: Callable[[dict[str, Address]], Coroutine[Any, Any, None]] | None = None
    ) -> None:
        """Run until SIGTERM or SIGINT; call *ready* when all children are up.

        *after*, if given, is a coroutine function that runs meanwhile; when it returns, everything is stopped.
        Raise UsageError when the directory holds files of a newer version or what cannot be opened, and when a child
        says at its first start that it cannot run with these settings.
        """
        configure("supervisor")
        os.umask(0o077)  # what is kept is for its owner only
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self._stop.set)
        watchers: list[asyncio.Task[None]] = []
        # Before anything is written: what is newer than we are stays as it is, locks and addresses included.
        openable.refuse(self._settings.data)
        if await self._until_stop(newer.refuse(self._settings.data)):
            return
        for told in private.tighten(self._settings.data):
            log.warning("data_check_completed", told=told)
        # From here on nobody else uses this directory: a second supervisor must not touch anything of ours.
        locks = _hold(self._settings.data, [c.role for c in self._children])
        try:
            self._tell({})
            for c in self._children:  # what they import takes longest, and needs no order
                c.spare = await self._spawn(c)
            for c in self._children:
                if await self._until_stop(self._start(c)):
                    return
            self._tell(self.addresses)
            ready(self.addresses)
            watchers = [asyncio.create_task(self._keep(c)) for c in self._children]
            await self._until_stop(after(self.addresses) if after else self._stop.wait())
        finally:
            self._stop.set()
            for watcher in watchers:
                watcher.cancel()
            await asyncio.gather(*watchers, return_exceptions=True)
            if self._http is not None:
                self._http.close()
            await asyncio.gather(*map(self._end, self._children))
            self._tell({})
            for lock in locks:
                lock.close()

    async def _until_stop(self, work: Coroutine[Any, Any, Any]) -> bool:
        """Do *work*, or only a part of it when we are told to stop; tell whether we are."""
        task = asyncio.create_task(work)
        stop = asyncio.create_task(self._stop.wait())
        await asyncio.wait({task, stop}, return_when=asyncio.FIRST_COMPLETED)
        stop.cancel()
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task
        return self._stop.is_set()

    def publish(self, name: str, address: Address) -> None:
        """Add an address to `runwell.json`."""
        self._extra[name] = address
        self._tell(self.addresses)

    async def _start(self, c: _Child) -> None:
        """Start a child and wait until it says where it listens."""
        fixed = {setting: c.addresses[name]["port"] for name, setting in c.ports.items() if name in c.addresses}
        # The store alone sends reports; what its channels refer to is read again each time it starts.
        reports = self._settings.reports.resolved() if c.role == "store" else Reports()
        settings = self._settings.model_copy(update={**fixed, "reports": reports})
        spare, c.spare = c.spare, None
        c.process = spare if spare is not None and spare.returncode is None else await self._spawn(c)
        assert c.process.stdin is not None
        assert c.process.stdout is not None
        c.process.stdin.write(settings.model_dump_json(context={"secrets": True}).encode() + b"\n")
        try:
            line = await asyncio.wait_for(c.process.stdout.readline(), _START_S)
        except TimeoutError:
            raise UsageError(f"the {c.role} process did not start within {_START_S:g} s; see its log above.") from None
        message = json.loads(line) if line.strip() else {}
        if "ready" in message:
            c.addresses = message["ready"]
            c.up_since = asyncio.get_running_loop().time()
        elif "error" in message and not c.addresses:
            raise UsageError(message["error"])
        elif not c.addresses and not self._stop.is_set():
            # Somebody killed it as it started: that says nothing of the settings, so it is started again.
            if await c.process.wait() < 0 and c.killed < _MOST_KILLED:
                c.killed += 1
                await self._start(c)
                return
            raise UsageError(f"the {c.role} process ended at once; see its log above.")

    async def _spawn(self, c: _Child) -> asyncio.subprocess.Process:
        """Start a process that loads what it needs and then waits for its settings."""
        passed: tuple[int, ...] = ()
        if c.role == "receive":
            if self._http is None:
                self._http = listen.bind(self._settings.host, self._settings.http_port, "--http-port")
                self._http.listen(listen.BACKLOG)
            passed = (self._http.fileno(),)
        return await asyncio.create_subprocess_exec(
            *c.command,
            *map(str, passed),
            pass_fds=passed,
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            # Ctrl-C reaches the supervisor alone, which stops its children in order.
            start_new_session=True,
            env=environment(c.role),
        )

    async def _keep(self, c: _Child) -> None:
        """Start a child again whenever it dies, at once the first time, then with growing pauses."""
        loop = asyncio.get_running_loop()
        pause = 0.0
        while True:
            assert c.process is not None
            if c.spared and c.spare is None:
                c.spare = await self._spawn(c)
            await c.process.wait()
            if self._stop.is_set():
                return
            log.error(
                "process_run_failed",
                child=c.role,
                exit_code=c.process.returncode,
                error_type="ProcessEnded",
                error_message="it ended without being told to; it is started again",
            )
            if c.up_since is not None and loop.time() - c.up_since > _CALM_S:
                pause = 0.0
            c.up_since = None
            await asyncio.sleep(pause)
            pause = min(_LONGEST_PAUSE_S, 2 * pause or 0.1)
            with contextlib.suppress(UsageError):  # tried again: what was fine at first may be again
                await self._start(c)

    async def _end(self, c: _Child) -> None:
        """Tell a child to stop and wait for it; kill one that does not."""
        ends = asyncio.get_running_loop().time() + _STOP_S
        if c.spare is not None:  # it has nothing to finish
            _send(c.spare, signal.SIGKILL)
            await c.spare.wait()
        p = c.process
        if p is None or p.returncode is not None:
            return
        if c.role == "receive":  # callers of the gate get their answers while there is one who answers
            await _wait([g.process for g in self._children if g.role == "gate" and g.process], _GATE_S)
        _send(p, signal.SIGTERM)
        if not await _wait([p], ends - asyncio.get_running_loop().time()):
            _send(p, signal.SIGKILL)
            await p.wait()
        if p.returncode in (-signal.SIGKILL, -signal.SIGALRM):
            log.error(
                "process_stop_failed",
                child=c.role,
                exit_code=p.returncode,
                error_type="OutOfTime",
                error_message="what it had begun is given up; the next start does it again",
            )

    def _tell(self, addresses: dict[str, Address]) -> None:
        """Write *addresses* of our children to `runwell.json`."""
        whereabouts.write(self._settings.data, tuple(c.role for c in self._children), addresses)


def _send(process: asyncio.subprocess.Process, number: signal.Signals) -> None:
    with contextlib.suppress(ProcessLookupError):
        process.send_signal(number)


async def _wait(processes: list[asyncio.subprocess.Process], seconds: float) -> bool:
    """Wait for the end of *processes*, for so many *seconds*; tell whether all ended."""
    waits = [asyncio.create_task(p.wait()) for p in processes]
    if waits:
        await asyncio.wait(waits, timeout=seconds)
    return all(p.returncode is not None for p in processes)


def _hold(directory: Path, roles: list[str]) -> list[IO[str]]:
    """Return the held locks of *roles* in *directory*, which is made if need be."""
    try:
        child.data_directory(directory)
        # Another supervisor looks for a moment who is there.
        return [child.lock(directory, role + child.SUPERVISOR, wait_s=0.3) for role in roles]
    except OSError as e:
        raise UsageError(
            f"--data {directory}: cannot be used ({e.strerror}); choose a directory that can be written."
        ) from None
