"""Analysts' SQL over HTTP: two statements at a time beside everything else, for whoever still waits for the answer."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from typing import Any

from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from collector.api import form
from collector.api.turns import Turns
from collector.model.address import ARROW
from collector.model.errors import NotNow
from collector.model.project import PROJECT
from collector.settings import Store
from collector.store import confined
from collector.store.database import Database
from collector.store.watchdog import Asked

_MOST, _MOST_WAITING = 2, 8
_MOST_UNREAD = 128 * 2**20
"""Bytes of answers that clients have not read yet, beyond which no statement is begun; two may be added to them."""
_PIECE = 256 * 2**10


class Analysts:
    """Answers `POST /api/v1/sql`, on the loop's thread. *allow* raises Refused for what is not to be asked."""

    def __init__(self, database: Database, limits: Store, allow: Callable[[str], None]) -> None:
        self._database = database
        self._limits = limits
        self._allow = allow
        self._turns = Turns(_MOST, limits.query_time.total_seconds(), _MOST_WAITING)
        self._unread = 0

    async def sql(self, request: Request, params: dict[str, Any]) -> Response:
        """Answer a statement; whoever hangs up leaves the queue, or has it ended."""
        self._allow(params["sql"])
        if self._unread > _MOST_UNREAD:
            raise NotNow("answers that were asked for before are not read yet; try again", retry_after_s=2.0)
        asked, begun, arrow = Asked(params["sql"]), threading.Event(), form.wants_arrow(request)

        def ask() -> tuple[bytes, str]:
            begun.set()
            asked.go_on()
            return self._ask(asked, arrow)

        answering = asyncio.create_task(self._turns.run(ask))
        leaving = asyncio.create_task(_left(request))
        try:
            await asyncio.wait({answering, leaving}, return_when=asyncio.FIRST_COMPLETED)
            if not answering.done():
                asked.end("nobody waits for the answer any more")
                if not begun.is_set():
                    raise ClientDisconnect
            body, truncated = await answering
        finally:
            leaving.cancel()
            if not answering.done():
                answering.cancel()
        headers = {"x-runwell-truncated": truncated} if truncated else {}
        return _Answer(body, headers, ARROW if arrow else "application/json", self._count)

    def _ask(self, asked: Asked, arrow: bool) -> tuple[bytes, str]:
        """Return the body, and which limit cut it short."""
        answer = confined.select(self._database, asked.text, project=PROJECT, limits=self._limits, asked=asked)
        if arrow:
            return form.arrow_bytes(answer.table), answer.truncated
        text, is_cut = form.json_rows(answer.table, int(self._limits.query_size))
        return text, "bytes" if is_cut else answer.truncated

    def _count(self, change: int) -> None:
        self._unread += change


class _Answer(Response):
    """An answer that is counted as unread until it is sent, or nobody is there any more."""

    def __init__(self, body: bytes, headers: dict[str, str], media_type: str, count: Callable[[int], None]) -> None:
        super().__init__(body, headers=headers, media_type=media_type)
        self._count = count
        count(len(body))

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send it piece by piece: each waits until the one before has left, so that the last says what is read."""
        body = memoryview(self.body)
        try:
            await send({"type": "http.response.start", "status": self.status_code, "headers": self.raw_headers})
            for start in range(0, len(body), _PIECE):
                piece = bytes(body[start : start + _PIECE])
                await send({"type": "http.response.body", "body": piece, "more_body": True})
            await send({"type": "http.response.body", "body": b"", "more_body": False})
        finally:
            self._count(-len(self.body))


async def _left(request: Request) -> None:
    """Return when whoever asked, whose body has been read, has hung up."""
    while (await request.receive())["type"] != "http.disconnect":
        pass
