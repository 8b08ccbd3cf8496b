"""The decode process: one large body at a time becomes rows, away from receive's writer and its interpreter lock.

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
from contextlib import suppress
from pathlib import Path
from typing import cast

import msgspec
import pyarrow as pa

from collector.app.without import without
from collector.decode import Accepted, Batch
from collector.decode.names import Projects
from collector.journal.entries import Packer
from collector.model.errors import BadInput
from collector.model.signals import BY_NAME
from collector.receive import frames
from collector.receive.frames import Ask, Failed, Setup, Told
from collector.receive.plain import Plain, unpack
from collector.settings import Limits, Names

_NICENESS = 5
"""Small bodies come before large ones where both want the processor."""


class Decoding:
    """Decodes the bodies that *receive* sends, one after the other."""

    def __init__(self, receive: socket.socket, setup: Setup) -> None:
        self._receive = receive
        self._limits = Limits.model_validate_json(setup.limits)
        self._projects = Projects(Names.model_validate_json(setup.names))
        self._cpu_s = self._limits.cpu_time.total_seconds()

    def one(self) -> None:
        """Decode the next body; raise EOFError when there will be none."""
        ask = msgspec.msgpack.decode(frames.read(self._receive), type=Ask)
        self._projects.learn(ask.fresh)
        known = len(self._projects.since(0))
        began = time.process_time()
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
        names = self._projects.forget(known)
        frames.say(self._receive, Told(said, failed, names, round((time.process_time() - began) * 1e6)))
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
        batch = Batch(self._limits, self._projects, away=packer.add)
        parsed = batch.parse(BY_NAME[ask.signal], ask.encoding, plain.body)
        del plain
        said = batch.take(parsed, project=ask.project, received_ns=ask.received_ns)
        del parsed
        for name, table in batch.tables().items():
            packer.add(name, table)
        return said, packer.end()


def main() -> int:
    """Serve until receive ends."""
    without("pandas")
    with suppress(OSError):
        os.nice(_NICENESS)
    pa.set_memory_pool(pa.system_memory_pool())  # Arrow's own keep what they had, and take more than they hand out
    receive = socket.socket(fileno=int(sys.argv[1]))
    # What is loaded by now stays; what a body makes has no cycles, and is given back after each.
    gc.disable()
    gc.freeze()
    try:
        setup = msgspec.msgpack.decode(frames.read(receive), type=Setup)
        decoding = Decoding(receive, setup)
        _bound(setup.memory)
        while True:
            decoding.one()
            _give_back()
    except MemoryError:
        return frames.OUT_OF_MEMORY
    except (EOFError, OSError):  # nobody asks any more
        return 0


def _bound(memory: int) -> None:
    """Let no more than *memory* bytes come to what the process has now."""
    status = Path("/proc/self/status")
    if not status.exists():  # the kernel of another system counts otherwise
        return
    has = next(int(line.split()[1]) * 1024 for line in status.read_text().splitlines() if line.startswith("VmData"))
    resource.setrlimit(resource.RLIMIT_DATA, (has + memory, resource.RLIM_INFINITY))


def _give_back() -> None:
    """Return what the last body needed to the system, so that the next one has as much."""
    gc.collect()
    with suppress(AttributeError, OSError):
        ctypes.CDLL(None).malloc_trim(0)


if __name__ == "__main__":
    sys.exit(main())
