"""When a connection is read: not while an answer is written or a body is full, nor before what came was looked at."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from uvicorn.protocols.http.flow_control import FlowControl


class Flow(FlowControl):
    """uvicorn's control of when a connection is read, which waits as well for what was read to be looked at."""

    def __init__(self, transport: asyncio.Transport, look_on: Callable[[], None]) -> None:
        super().__init__(transport)
        self._look_on = look_on
        self._behind = self._stopped = False

    def pause_reading(self) -> None:
        """Read no more until an answer was given, or a body taken."""
        self.read_paused = True
        self._set()

    def resume_reading(self) -> None:
        """Look at what was read, and read on."""
        if self.read_paused:
            self.read_paused = False
            self._set()
            self._look_on()

    def is_behind(self, behind: bool) -> None:
        """Read no more as long as *behind*: there is something that was not looked at."""
        self._behind = behind
        self._set()

    def _set(self) -> None:
        stop = self.read_paused or self._behind
        if stop != self._stopped:
            self._stopped = stop
            (self._transport.pause_reading if stop else self._transport.resume_reading)()
