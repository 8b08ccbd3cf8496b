"""uvicorn as a guest in our loop: started and stopped by us, no signals of its own, behind a wall and a door."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Generator
from contextlib import contextmanager
from typing import Any

import uvicorn

from collector.app import listen
from collector.app.door import Door, seats
from collector.receive.terms import Terms
from collector.receive.wall import wall


class UvicornChild(uvicorn.Server):
    """A server inside a process that has other things to start and stop."""

    def __init__(self, application: Any, terms: Terms, grace_s: int) -> None:
        self._seats = seats(terms.limits.connections)
        super().__init__(
            uvicorn.Config(
                application,
                loop="none",
                http=wall(terms, self._seats),
                ws="none",
                proxy_headers=False,
                lifespan="off",
                log_config=None,
                access_log=False,
                server_header=False,
                timeout_keep_alive=max(1, int(terms.limits.idle_time.total_seconds())),
                timeout_graceful_shutdown=grace_s,
            )
        )

    @contextmanager
    def capture_signals(self) -> Generator[None, None, None]:
        """Leave signals to `child.until_told`."""
        yield

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Listen, each connection through a door."""
        await self.lifespan.startup()

        def connection() -> asyncio.Protocol:
            made: asyncio.Protocol = self.config.http_protocol_class(  # type: ignore[call-arg]
                config=self.config, server_state=self.server_state, app_state=self.lifespan.state
            )
            return made

        self.servers = [Door(s, self._seats, connection) for s in sockets or ()]  # type: ignore[misc]
        for door in self.servers:
            door.open(listen.BACKLOG)  # type: ignore[attr-defined]
        self.started = True

    async def start(self, sockets: list[socket.socket]) -> asyncio.Task[None]:
        """Return the serving task once the server accepts."""
        serving = asyncio.create_task(self.serve(sockets=sockets))
        while not self.started and not serving.done():  # noqa: ASYNC110 -- uvicorn has no event for it
            await asyncio.sleep(0.005)
        return serving
