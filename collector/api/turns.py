"""Who asks waits for a turn: so many questions are worked on at once, each kind on threads of its own.

More would make none faster, and the loop that answers everybody waits for every thread that runs Python.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import TypeVar

import anyio
import anyio.to_thread

from collector.model.errors import NotNow

T = TypeVar("T")


class Turns:
    """Turns for *most* at once, while *waiting* more may wait; whoever waited *wait_s* in vain is told to come back.

    For the loop's thread.
    """

    def __init__(self, most: int, wait_s: float, waiting: int = 1_000) -> None:
        self._most = most
        self._wait_s = wait_s
        self._places = most + waiting
        self._taken = 0
        self._free = asyncio.Semaphore(most)
        self._threads = anyio.CapacityLimiter(most)

    async def run(self, act: Callable[[], T]) -> T:
        """Return what *act* returns, on a thread; raise NotNow where there is no place, or no turn in time."""
        if self._taken == self._places:
            raise NotNow(f"{self._taken} questions are being answered or wait before this one; try again")
        self._taken += 1
        try:
            return await self._in_turn(act)
        finally:
            self._taken -= 1

    async def _in_turn(self, act: Callable[[], T]) -> T:
        try:
            async with asyncio.timeout(self._wait_s):
                await self._free.acquire()
        except TimeoutError:
            raise NotNow(f"{self._most} questions before this one took all the time; try again") from None
        try:
            # Given up when the process ends: nobody waits for a query then.
            return await anyio.to_thread.run_sync(act, limiter=self._threads, abandon_on_cancel=True)
        finally:
            self._free.release()
