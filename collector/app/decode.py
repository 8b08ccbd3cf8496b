"""The decode process: one large body at a time becomes rows, away from receive's writer and its interpreter lock.

Each is decoded in a fork of the loaded process, at 3 ms a body: what one needed is given back with it, whatever an
allocator would have kept, so that every body has the same memory and time.

Enter: what `receive.frames` says, from a socket that receive passes. Leave: rows as the journal packs them. It keeps
nothing, so it may die at any moment, of memory or time that a body may not have too; and it ends when receive does.
"""

from __future__ import annotations

import ctypes
import gc
import os
import resource
import signal
import socket
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import cast

import msgspec
import pyarrow as pa

from collector.app.without import without
from collector.decode import Accepted, Batch
from collector.decode.names import Projects
from collector.journal.entries import Packer
from collector.model.errors import BadInput, TooLarge
from collector.model.signals import BY_NAME
from collector.receive import frames
from collector.receive.frames import Ask, Failed, Setup, Told
from collector.receive.plain import Plain, unpack
from collector.settings import Limits, Names

_PR_SET_PDEATHSIG = 1
_NICENESS = 5
"""Small bodies come before large ones where both want the processor."""


class Decoding:
    """Decodes the bodies that *receive* sends, one after the other."""

    def __init__(self, receive: socket.socket, setup: Setup) -> None:
        self._receive = receive
        self._limits = Limits.model_validate_json(setup.limits)
        self._projects = Projects(Names.model_validate_json(setup.names))
        self._most_bytes = setup.rows
        self._cpu_s = self._limits.cpu_time.total_seconds()

    def asked(self) -> Ask:
        """Return what is asked next, knowing the names it tells; raise EOFError when there will be nothing."""
        ask = msgspec.msgpack.decode(frames.read(self._receive), type=Ask)
        self._projects.learn(ask.fresh)
        return ask

    def answer(self, ask: Ask) -> None:
        """Decode the body that follows *ask*, once."""
        known = len(self._projects.since(0))
        said: Accepted | None = None
        failed: Failed | None = None
        rows: list[bytes] = []
        try:
            taken = self._taken(ask)
            if taken is None:
                return
            said, rows = taken
        except BadInput as e:
            failed = Failed.of(e)
        except (MemoryError, OSError, EOFError):
            raise
        except Exception as e:  # a defect of ours must not take the process with it
            failed = Failed("", type(e).__name__)
        finally:
            signal.setitimer(signal.ITIMER_PROF, 0)
        told = Told(said, failed, self._projects.since(known), round(time.process_time() * 1e6))
        frames.say(self._receive, told)
        frames.write(self._receive, *rows)

    def _plain(self, ask: Ask, body: bytes) -> Plain:
        signal.setitimer(signal.ITIMER_PROF, self._cpu_s)  # when it is over the process ends, whatever it is at
        try:
            return unpack(ask.project, ask.signal, ask.encoding, ask.compression, body, int(self._limits.body))
        except BadInput:
            frames.write(self._receive, b"")
            raise

    def _taken(self, ask: Ask) -> tuple[Accepted, list[bytes]] | None:
        """Return what is said to the body that comes, and its rows, packed; None where they are not wanted. Each form
        of it is let go of when the next one is made.
        """
        plain = self._plain(ask, cast("bytes", frames.read(self._receive)))  # only read, so not copied
        frames.write(self._receive, plain.digest)
        if frames.read(self._receive) != frames.GO:
            return None
        packer = Packer()
        left = self._most_bytes

        def add(name: str, rows: pa.RecordBatch) -> None:
            nonlocal left
            left -= rows.nbytes
            if left < 0:
                raise TooLarge(
                    f"its rows need more than {self._most_bytes} bytes (a part of memory): texts of its resources and "
                    "metrics are kept with each record; send smaller batches"
                )
            packer.add(name, rows)

        batch = Batch(self._limits, self._projects, away=add)
        parsed = batch.parse(BY_NAME[ask.signal], ask.encoding, plain.body)
        del plain
        said = batch.take(parsed, project=ask.project, received_ns=ask.received_ns)
        del parsed
        for name, table in batch.tables().items():
            add(name, table)
        return said, packer.end()


def main() -> int:
    """Serve until receive ends."""
    _end_with_parent()
    without("pandas")
    with suppress(OSError):
        os.nice(_NICENESS)
    receive = socket.socket(fileno=int(sys.argv[1]))
    gc.disable()  # what a body makes has no cycles, and ends with the process that made it
    gc.freeze()
    try:
        setup = msgspec.msgpack.decode(frames.read(receive), type=Setup)
        decoding = Decoding(receive, setup)
        _bound(setup.memory)
        while True:
            ask = decoding.asked()
            if code := _apart(lambda: decoding.answer(ask)):  # noqa: B023 -- called at once
                return _like(code)
    except (EOFError, OSError):  # nobody asks any more
        return 0


def _apart(act: Callable[[], None]) -> int:
    """Do *act* in a process that begins as this one is, all of whose memory is given back, and return its exit code."""
    pid = os.fork()
    if pid:
        return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    _end_with_parent()
    try:
        act()
        os._exit(0)
    except MemoryError:
        os._exit(frames.OUT_OF_MEMORY)
    except BaseException:
        os._exit(1)


def _end_with_parent() -> None:
    """Let the kernel end this process when the one that started it ends, however busy it is then."""
    prctl = getattr(ctypes.CDLL(None), "prctl", None)
    if prctl is not None:  # elsewhere it ends when it has an answer that nobody hears
        prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)


def _like(code: int) -> int:
    """End as the process of *code* did, which is what receive hears of it."""
    if code < 0:
        os.kill(os.getpid(), -code)
    return code


def _bound(memory: int) -> None:
    """Let no more than *memory* bytes come to what the process has now."""
    status = Path("/proc/self/status")
    if not status.exists():  # the kernel of another system counts otherwise
        return
    has = next(int(line.split()[1]) * 1024 for line in status.read_text().splitlines() if line.startswith("VmData"))
    resource.setrlimit(resource.RLIMIT_DATA, (has + memory, resource.RLIM_INFINITY))


if __name__ == "__main__":
    sys.exit(main())
