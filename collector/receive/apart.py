"""Large bodies are decoded apart: a thread hands them to the decode process in turn, and what comes back to the writer.

The process is started with the first such body, and again whenever it ended; a body it dies of for no reason of the
body's is tried once more, and then refused. Nothing is kept there, so nothing can be lost or come twice.
"""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from contextlib import suppress

import msgspec
import structlog

from collector.decode import Accepted
from collector.decode.names import Projects
from collector.model.errors import BadInput, NotNow, Refused, TooLarge
from collector.receive import frames
from collector.receive.frames import Ask, Setup, Told
from collector.receive.group import Decoded, Request
from collector.receive.resends import Resends
from collector.receive.turns import Turns
from collector.settings import Settings
from collector.telemetry.log import vital

log = structlog.get_logger()

DRAINING = "draining: this server is shutting down"
_COMMAND = (sys.executable, "-m", "collector.app.decode")
_PATIENCE = 12
"""How many times longer than `limits.cpu_time` an answer may take, since others use the processor too."""
_OUT_OF_MEMORY = (frames.OUT_OF_MEMORY, -signal.SIGSEGV, -signal.SIGABRT)
"""How it ends where it is given no memory; native code crashes then, in the middle of its messages protobuf's too."""


class _Process:
    """A running decode process."""

    def __init__(self, setup: Setup, patience_s: float) -> None:
        ours, its = socket.socketpair()
        with its:
            self._process = subprocess.Popen(  # noqa: S603 -- a command of our own
                [*_COMMAND, str(its.fileno())],
                pass_fds=[its.fileno()],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                process_group=0,  # it and its fork end together
            )
        self.socket = ours
        self.told_names = 0
        self._begun = False
        ours.settimeout(patience_s)
        self._setup = setup

    def begin(self) -> None:
        """Say what it has to know, once."""
        if not self._begun:
            self._begun = True
            frames.say(self.socket, self._setup)

    def kill(self) -> None:
        """End it; whoever waits for it hears of it."""
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(self._process.pid, signal.SIGKILL)

    def end(self) -> int:
        """End it, and return how it ended: its exit code, or a signal's number below zero."""
        self.socket.close()
        try:
            return self._process.wait(timeout=1)
        except subprocess.TimeoutExpired:
            self.kill()
            return self._process.wait()


class Apart:
    """Those whose bodies are decoded apart, in turn; *done* is called with each, in a thread of its own."""

    def __init__(
        self,
        settings: Settings,
        projects: Projects,
        resends: Resends,
        done: Callable[[Decoded], None],
        ended: Callable[[], None],
    ) -> None:
        self._limits = settings.limits
        parts = settings.parts
        told = settings.limits.model_dump_json(), settings.names.model_dump_json()
        self._setup = Setup(*told, memory=parts.decode, rows=parts.tick)
        self._projects = projects
        self._resends = resends
        self._done = done
        self._ended = ended
        """Called when the process ended without being told to."""
        self._waiting: Turns[Request] = Turns()
        self._came = threading.Condition()
        self._process: _Process | None = None
        self._draining = self._closed = False
        self._thread = threading.Thread(target=vital, args=(self._work,), name="decode-apart", daemon=True)

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def put(self, request: Request) -> None:
        """Let *request* wait for its turn; refuse it when there will be none."""
        with self._came:
            if not self._draining:
                self._waiting.put(request.who, request)
                self._came.notify()
                return
        request.answer(NotNow(DRAINING))

    def drain(self) -> None:
        """Refuse those that wait: they will be sent again, and may be many times what there is time for."""
        with self._came:
            self._draining = True
            refused = self._waiting.clear()
        for request in refused:
            request.answer(NotNow(DRAINING))

    def turn_away(self) -> None:
        """Give up what is being decoded; whose it is is told to come again."""
        self.drain()
        with self._came:
            self._closed = True
            if self._process is not None:
                self._process.kill()
            self._came.notify()

    def close(self) -> None:
        """Give up what is being decoded, and end."""
        self.turn_away()
        self._thread.join(timeout=10)

    def _work(self) -> None:
        while (request := self._next()) is not None:
            self._done(self._decoded(request))
            del request  # it would be held until the next one comes
        if self._process is not None:
            self._process.end()

    def _next(self) -> Request | None:
        with self._came:
            self._came.wait_for(lambda: len(self._waiting) or self._closed)
            return None if self._closed else self._waiting.take()

    def _decoded(self, request: Request) -> Decoded:
        """Return what became of a body; it has two tries where it is not its own fault that there was no answer."""
        for _ in range(2):
            process = self._running()
            if process is None:
                break
            began = time.monotonic()
            try:
                return self._ask(process, request)
            except (EOFError, OSError) as e:
                self._charge(request, round((time.monotonic() - began) * 1e6))
                refused = self._failed(process, e)
                if refused is not None:
                    return Decoded(request, b"", refused, bytearray(), [])
        why = DRAINING if self._closed else "reading this request failed twice; try again"
        return Decoded(request, b"", NotNow(why), bytearray(), [])

    def _running(self) -> _Process | None:
        """Return the process, a new one if there is none; None when there will be none."""
        with self._came:
            if self._closed:
                return None
            if self._process is None:
                self._process = _Process(self._setup, _PATIENCE * self._limits.cpu_time.total_seconds())
            return self._process

    def _failed(self, process: _Process, why: Exception) -> Refused | None:
        """End a process that gave no answer; return what that says of the body, None for nothing."""
        with self._came:
            self._process = None
        code = process.end()
        if self._closed:
            return None
        self._ended()
        log.error(
            "decode_process_failed",
            exit_code=code,
            error_type=type(why).__name__,
            error_message="it ended before it had an answer; it is started again",
        )
        if code == -signal.SIGPROF:
            seconds = self._limits.cpu_time.total_seconds()
            return TooLarge(f"takes more than {seconds:g} s to read (limits.cpu_time); send smaller batches")
        if code in _OUT_OF_MEMORY:
            return TooLarge(
                f"needs more than {self._setup.memory} bytes to read (a part of memory); send smaller batches"
            )
        return None

    def _ask(self, process: _Process, request: Request) -> Decoded:
        process.begin()
        to = process.socket
        fresh = self._projects.since(process.told_names)
        r = request
        frames.say(to, Ask(r.project, r.signal.name, r.encoding, r.compression, r.received_ns, fresh))
        process.told_names += len(fresh)
        frames.write(to, *r.parts)
        digest = bytes(frames.read(to))
        if digest:
            before = self._resends.find(digest, r.received_ns)
            if before is not None and before.records >= 0:
                frames.write(to, frames.LEAVE)
                return Decoded(r, digest, before, bytearray(), [])
            frames.write(to, frames.GO)
        told = msgspec.msgpack.decode(frames.read(to), type=Told)
        rows = frames.read(to)
        self._charge(r, told.cpu_us)
        return Decoded(r, digest, _said(told, r), rows, told.names)

    def _charge(self, request: Request, cpu_us: int) -> None:
        with self._came:
            self._waiting.charge(request.who, cpu_us)


def _said(told: Told, request: Request) -> Accepted | Refused:
    if told.said is not None:
        return told.said
    assert told.failed is not None
    if told.failed.kind:
        return told.failed.error()
    log.error(
        "request_decode_failed",
        error_type=told.failed.reason,
        error_message="a defect of ours, met in the decode process",
        signal=request.signal.name,
    )
    return BadInput("this request could not be read; please report it")
