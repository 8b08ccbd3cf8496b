"""What connections send is looked at in pieces, and connections that have more than one take turns.

So a connection whose bytes cost much, in chunks of one byte or in requests by the hundred, waits for itself: of a turn
of the loop all of them together have a few milliseconds, and whoever sends little is not behind them.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from typing import Protocol

_BUDGET_S = 0.004
"""What pieces may take of one turn of the loop, in seconds."""
_AT_ONCE_S = 0.001
"""What a connection may take as its bytes come, in seconds: enough for whatever is small or plain."""


class Sender(Protocol):
    """A connection with bytes that were not looked at."""

    def piece(self) -> bool:
        """Look at one piece; tell whether there is another that can be looked at now."""
        ...


class Pieces:
    """The line of one port."""

    def __init__(self, clock: Callable[[], float] = time.perf_counter) -> None:
        self._clock = clock
        self._line: dict[Sender, None] = {}
        """Who waits, in the order in which they are looked at."""
        self._scheduled = False

    def come(self, sender: Sender) -> None:
        """Look at what *sender* has: a little at once, however many wait, and the rest in turn. Nothing more is read
        of it meanwhile, so that it comes here once for all it has.
        """
        if sender in self._line:
            return
        until = self._clock() + _AT_ONCE_S
        while sender.piece():
            if self._clock() >= until:
                self.wait(sender)
                return

    def wait(self, sender: Sender) -> None:
        """Look at what *sender* has when its turn comes."""
        self._line.setdefault(sender)
        if not self._scheduled:
            self._scheduled = True
            asyncio.get_running_loop().call_soon(self._turn)

    def _turn(self) -> None:
        self._scheduled = False
        until = self._clock() + _BUDGET_S
        while self._line:
            sender = next(iter(self._line))
            del self._line[sender]
            if sender.piece():
                self._line[sender] = None
            if self._clock() >= until:
                break
        if self._line:
            self._scheduled = True
            asyncio.get_running_loop().call_soon(self._turn)
