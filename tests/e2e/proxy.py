"""A TCP proxy between a client and the collector that can refuse, delay and lose what passes."""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass


@dataclass(eq=False)
class _Connection:
    writers: tuple[asyncio.StreamWriter, asyncio.StreamWriter]
    deaf: bool = False


class Proxy:
    """Listens on a port of its own and forwards to *upstream*; lives in a loop in a thread of its own."""

    def __init__(self, upstream: int) -> None:
        self._upstream = upstream
        self.delay_s = 0.0
        """How long every piece of data is held back, in both directions."""
        self.lost_answers = 0
        self._server: asyncio.Server | None = None
        self._open: set[_Connection] = set()
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._thread.start()
        self.port = 0
        self.accept()

    @property
    def url(self) -> str:
        """Return where clients connect."""
        return f"http://127.0.0.1:{self.port}"

    def lose_answers(self) -> None:
        """Throw away the next answer on every connection there is now, and close it then."""
        for connection in list(self._open):
            connection.deaf = True

    def refuse(self) -> None:
        """Close the port and all connections."""
        self._do(self._refuse())

    def accept(self) -> None:
        """Open the port again."""
        self._do(self._accept())

    def close(self) -> None:
        """End everything."""
        self.refuse()
        self._do(self._end())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(5)

    def _do(self, what: object) -> None:
        asyncio.run_coroutine_threadsafe(what, self._loop).result(10)  # type: ignore[arg-type]

    async def _accept(self) -> None:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", self.port)
        self.port = self._server.sockets[0].getsockname()[1]

    async def _refuse(self) -> None:
        assert self._server is not None
        self._server.close()
        for connection in list(self._open):
            for writer in connection.writers:
                writer.close()

    async def _end(self) -> None:
        others = asyncio.all_tasks() - {asyncio.current_task()}
        for task in others:
            task.cancel()
        await asyncio.gather(*others, return_exceptions=True)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            up_reader, up_writer = await asyncio.open_connection("127.0.0.1", self._upstream)
        except OSError:
            writer.close()
            return
        connection = _Connection((writer, up_writer))
        self._open.add(connection)
        ways = [
            asyncio.ensure_future(self._pump(reader, up_writer, None)),
            asyncio.ensure_future(self._pump(up_reader, writer, connection)),
        ]
        try:
            await asyncio.wait(ways, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for way in ways:
                way.cancel()
            self._open.discard(connection)
            for end in connection.writers:
                end.close()

    async def _pump(
        self, source: asyncio.StreamReader, sink: asyncio.StreamWriter, answers: _Connection | None
    ) -> None:
        with contextlib.suppress(OSError):
            while data := await source.read(65_536):
                if self.delay_s:
                    await asyncio.sleep(self.delay_s)
                if answers is not None and answers.deaf:
                    self.lost_answers += 1
                    return
                sink.write(data)
                await sink.drain()


@contextmanager
def proxied(upstream: int) -> Iterator[Proxy]:
    """Run a proxy until the block ends."""
    proxy = Proxy(upstream)
    try:
        yield proxy
    finally:
        proxy.close()
