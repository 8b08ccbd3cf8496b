"""Where connections of an HTTP port come in: never more than there are seats, so that files are never used up.

asyncio and uvloop accept whatever has come, all of it before anything else happens; a flood then takes every file that
a process may open, the database's too. Those who find no seat wait in the kernel's line, which costs no file.
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import resource
import socket
from collections.abc import Callable

import structlog

from collector.receive.seats import Seats
from collector.telemetry.log import cause

log = structlog.get_logger()

_AT_ONCE = 64
"""Accepted before others have their turn."""
_FULL_S = 0.005
_NO_FILES_S = 0.5
_OWN_FILES = 256
"""Files that a process needs for anything but connections."""
_MOST_FILES = 65_536
_FEWEST = 16
_SAID_S = 60.0
_NO_FILES = (errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM)


def raise_files() -> None:
    """Let this process open as many files as it may, within reason."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = _MOST_FILES if hard == resource.RLIM_INFINITY else min(hard, _MOST_FILES)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        with contextlib.suppress(ValueError, OSError):  # what systems allow differs; the limit stays then
            resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))


def room() -> int:
    """Return how many files this process may open for connections."""
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return max(_FEWEST, (_MOST_FILES if soft == resource.RLIM_INFINITY else soft) - _OWN_FILES)


def seats(asked: int) -> Seats:
    """Return *asked* seats, fewer where this process may not open so many files."""
    # Half as many more are spare, and some are accepted before the first are counted.
    most = min(asked, max(_FEWEST, (room() - _AT_ONCE) * 2 // 3))
    if most < asked:
        log.warning(
            "connections_open_failed",
            asked=asked,
            connections=most,
            error_type="TooFewFiles",
            error_message="this process may not open as many files; raise its limit (ulimit -n)",
        )
    return Seats(most)


class Door:
    """Lets connections of *listening* in, as long as *seats* has room, to what *make* gives for each."""

    def __init__(self, listening: socket.socket, seats: Seats, make: Callable[[], asyncio.Protocol]) -> None:
        self._listening = listening
        self._seats = seats
        self._make = make
        self._loop = asyncio.get_running_loop()
        self._entering: set[asyncio.Task[None]] = set()
        self._later: asyncio.TimerHandle | None = None
        self._said = 0.0
        self._closed = False

    def open(self, backlog: int) -> None:
        """Begin."""
        self._listening.setblocking(False)
        self._listening.listen(backlog)
        self._resume()

    def close(self) -> None:
        """Let nobody in any more."""
        self._closed = True
        self._loop.remove_reader(self._listening)
        if self._later is not None:
            self._later.cancel()

    async def wait_closed(self) -> None:
        """Return when it is closed, which it is at once."""

    def _resume(self) -> None:
        self._loop.add_reader(self._listening, self._accept)

    def _pause(self, seconds: float) -> None:
        self._loop.remove_reader(self._listening)
        self._later = self._loop.call_later(seconds, self._resume)

    def _accept(self) -> None:
        for _ in range(_AT_ONCE):
            if self._seats.full:
                self._pause(_FULL_S)
                return
            try:
                came, _ = self._listening.accept()
            except (BlockingIOError, InterruptedError):
                return
            except OSError as e:
                if e.errno not in _NO_FILES:  # it went away before it was let in
                    continue
                self._pause(_NO_FILES_S)
                if not self._said or self._loop.time() - self._said > _SAID_S:
                    self._said = self._loop.time()
                    log.error("connection_accept_failed", **cause(e))
                return
            came.setblocking(False)
            self._seats.make_room()
            task = self._loop.create_task(self._enter(came))
            self._entering.add(task)
            task.add_done_callback(self._entering.discard)

    async def _enter(self, came: socket.socket) -> None:
        if self._closed:  # the server says goodbye to those it knows, and would wait for this one
            came.close()
            return
        try:
            await self._loop.connect_accepted_socket(self._make, came)
        except OSError:
            came.close()
