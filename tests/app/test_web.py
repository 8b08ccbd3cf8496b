"""The HTTP server of our processes, in a loop of its own."""

from __future__ import annotations

import asyncio
import socket
from typing import Any

import pytest
import uvloop

from collector.app import listen
from collector.app.web import UvicornChild
from collector.model.errors import Refused
from collector.receive.terms import Terms
from collector.settings import Limits

REQUEST = b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n"
START = {"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"2")]}


@pytest.mark.parametrize("ahead", [0, 1, 5])
def test_a_client_that_hangs_up_is_no_defect(ahead: int) -> None:
    """However many requests came ahead of their turn, the answer to one that is gone is dropped without an error, what
    waits for more of it learns that there is none, and requests in line are not begun.
    """
    told: list[Any] = []

    async def work() -> None:
        began, over = asyncio.Event(), asyncio.Event()

        async def application(scope: Any, receive: Any, send: Any) -> None:
            try:
                told.append((await receive())["type"])
                began.set()
                told.append((await receive())["type"])
                await asyncio.sleep(0.05)  # the transport is closed by then
                await send(START)
                await send({"type": "http.response.body", "body": b"ok"})
            except Exception as e:
                told.append(e)
            over.set()

        server = UvicornChild(application, Terms(Limits(), "limits", "", _written), 1.0)
        with listen.bind("127.0.0.1", 0, "") as port:
            serving = await server.start([port])
            with socket.create_connection(port.getsockname()) as client:
                client.sendall(REQUEST * (1 + ahead))
                await began.wait()
            async with asyncio.timeout(5):
                await over.wait()
            await asyncio.sleep(0.05)
            server.should_exit = True
            await serving

    uvloop.run(work())
    assert told == ["http.request", "http.disconnect"]


def _written(error: Refused, _: str) -> tuple[int, list[tuple[bytes, bytes]], bytes]:
    raise AssertionError(error)
