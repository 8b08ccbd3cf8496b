"""What all ask for: made once for everybody who waits for it, so that a crowd that asks costs no more than one."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Generic, TypeVar

T = TypeVar("T")


class Shared(Generic[T]):
    """What *make* returns, for everybody who asked before it was called; *apart_s* seconds between two calls."""

    def __init__(self, make: Callable[[], Awaitable[T]], apart_s: float = 0.0) -> None:
        self._make = make
        self._apart_s = apart_s
        self._one = asyncio.Lock()
        self._next: asyncio.Task[T] | None = None
        self._at = 0.0

    async def get(self) -> T:
        """Return what is made after this was asked."""
        if self._next is None:
            self._next = asyncio.create_task(self._made())
        return await asyncio.shield(self._next)  # one who gives up takes it from nobody else

    async def _made(self) -> T:
        clock = asyncio.get_running_loop().time
        async with self._one:
            await asyncio.sleep(self._at + self._apart_s - clock())
            self._next, self._at = None, clock()
            return await self._make()
