"""The metrics page: written once for all who wait for it, so that a crowd that asks costs no more than one."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

_APART_S = 0.1
"""Between one writing and the next: it takes milliseconds, in which nothing else happens."""


class Scrape:
    """What *write* returns, for everybody who asked before it was called."""

    def __init__(self, write: Callable[[], bytes]) -> None:
        self._write = write
        self._next: asyncio.Task[bytes] | None = None
        self._at = 0.0

    async def text(self) -> bytes:
        """Return the metrics as they are after this was asked."""
        if self._next is None:
            self._next = asyncio.create_task(self._written())
        return await asyncio.shield(self._next)  # one who gives up takes it from nobody else

    async def _written(self) -> bytes:
        clock = asyncio.get_running_loop().time
        await asyncio.sleep(self._at + _APART_S - clock())
        self._next, self._at = None, clock()
        return self._write()
