"""uvicorn as a guest in our loop: started and stopped by us, no signals of its own."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Generator
from contextlib import contextmanager

import uvicorn


class UvicornChild(uvicorn.Server):
    """A server inside a process that has other things to start and stop."""

    @contextmanager
    def capture_signals(self) -> Generator[None, None, None]:
        """Leave signals to `child.until_told`."""
        yield

    async def start(self, sockets: list[socket.socket]) -> asyncio.Task[None]:
        """Return the serving task once the server accepts."""
        serving = asyncio.create_task(self.serve(sockets=sockets))
        while not self.started and not serving.done():  # noqa: ASYNC110 -- uvicorn has no event for it
            await asyncio.sleep(0.005)
        return serving
