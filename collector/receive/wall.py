"""The wall before the HTTP port: what a connection may cost before it has sent a request that can be served.

uvicorn's own protocol, with what it leaves out: head and idle deadlines, caps on the head, and refusals that are
google.rpc.Status too. Refusals that leave the connection usable are passed to the port in `scope["state"]`.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable
from typing import Any, ClassVar

from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol

from collector.model.errors import Refused
from collector.otlp import answers
from collector.receive.errors import Crowded, HeadTooLarge, NotHttp, told
from collector.receive.greeting import other_than_http
from collector.settings import Limits

_UPGRADE = re.compile(rb"\r\nupgrade[ \t]*:", re.IGNORECASE)
_LINGER_S = 1.0
"""How long a refused connection is still listened to, so that its sender reads the answer and not a reset."""


Noted = Callable[[Refused, list[tuple[bytes, bytes]]], None]


class Wall(HttpToolsProtocol):
    """One connection."""

    limits: ClassVar[Limits]
    noted: ClassVar[Noted]
    """Told of what the wall refuses itself, with the headers it has read."""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Start the clock."""
        super().connection_made(transport)
        self._crowded = len(self.connections) > self.limits.connections
        self._deadline: asyncio.TimerHandle | None = None
        self._refused = False
        self._begun = False
        self._in_head = self._in_body = False
        self._head_bytes = 0
        self._header_lines = 0
        self._head_pending = 0
        self._set_deadline(self.limits.idle_time.total_seconds())

    def connection_lost(self, exc: Exception | None) -> None:
        """Stop the clock."""
        self._set_deadline(None)
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Feed the parser, or refuse what it should not see."""
        if self._refused or self.transport.is_closing():
            return
        if not self._begun:
            self._begun = True
            if error := other_than_http(data):
                self._refuse(error)
                return
        was_in_head = self._in_head
        if not self._in_body:
            data = _without_upgrade(data)
        super().data_received(data)
        if self._in_head and not self._refused:
            if was_in_head:
                self._head_pending += len(data)
            if self._head_pending > self.limits.header_size:
                self._refuse(self._head_too_large())
            elif self._deadline is None or not was_in_head:
                self._set_deadline(self.limits.header_time.total_seconds())

    def on_message_begin(self) -> None:
        """Begin a head."""
        super().on_message_begin()
        self._in_head = True
        self._head_bytes = self._header_lines = self._head_pending = 0

    def on_url(self, url: bytes) -> None:
        """Count the request line."""
        self._head_bytes += len(url)
        if self._head_bytes <= self.limits.header_size:
            super().on_url(url)

    def on_header(self, name: bytes, value: bytes) -> None:
        """Count headers, and keep no more than allowed."""
        self._head_bytes += len(name) + len(value) + 4
        self._header_lines += 1
        if self._head_bytes <= self.limits.header_size and self._header_lines <= self.limits.headers:
            super().on_header(name, value)

    def on_headers_complete(self) -> None:
        """End a head: decide whether the request is served."""
        self._in_head, self._in_body = False, True
        self._set_deadline(None)
        refused: Refused | None = None
        hosts = sum(name == b"host" for name, _ in self.headers)
        if self._head_bytes > self.limits.header_size or self._header_lines > self.limits.headers:
            refused = self._head_too_large()
            self.url = b"/"
        elif hosts != 1 and not (hosts == 0 and self.parser.get_http_version() == "1.0"):
            refused = NotHttp("a request has exactly one Host header")
        elif self._crowded:
            refused = Crowded(f"more than {self.limits.connections} connections (limits.connections); try again")
        self.scope["state"]["refused"] = refused
        super().on_headers_complete()

    def on_message_complete(self) -> None:
        """End a body."""
        self._in_body = False
        super().on_message_complete()

    def send_400_response(self, msg: str) -> None:
        """Refuse what the parser could not read."""
        self._refuse(NotHttp("not a request in HTTP/1.1, or one with two lengths; see RFC 9112"))

    def _head_too_large(self) -> HeadTooLarge:
        return HeadTooLarge(
            f"headers are limited to {int(self.limits.header_size)} bytes (limits.header_size) "
            f"and {self.limits.headers} lines (limits.headers)"
        )

    def _refuse(self, error: Refused) -> None:
        """Answer *error* and end the connection."""
        if self.cycle is not None and not self.cycle.response_complete:
            if self.cycle.response_started or self.pipeline:
                self.transport.close()  # an answer to an earlier request is under way: nothing may be mixed into it
                return
            self.cycle.disconnected = True  # the port gives up the request whose rest could not be read
            self.cycle.message_event.set()
        self._refused = True
        type(self).noted(error, self.headers or [])
        answer = told(error)
        stated = next((v for k, v in self.headers or () if k == b"content-type"), b"").decode("latin-1")
        encoding = answers.encoding_of(stated) or "json"
        body = answers.encode_status(answer.status, encoding)
        head: list[bytes] = [STATUS_LINE[answer.http]]
        for name, value in (
            (b"content-type", answers.CONTENT_TYPES[encoding].encode()),
            (b"content-length", str(len(body)).encode()),
            *answer.headers,
        ):
            head += [name, b": ", value, b"\r\n"]
        self.transport.write(b"".join([*head, b"\r\n", body]))
        if self.transport.can_write_eof():
            self.transport.write_eof()
        self._set_deadline(_LINGER_S)

    def _set_deadline(self, seconds: float | None) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
        self._deadline = None if seconds is None else self.loop.call_later(seconds, self._close)

    def _close(self) -> None:
        self._deadline = None
        if not self.transport.is_closing():
            self.transport.close()


def _without_upgrade(data: bytes) -> bytes:
    """Return the first head in *data* without an offer to upgrade: it is not taken up, and the parser would take it
    for the end of the request, body and all. Some clients offer HTTP/2 with each first request.
    """
    end = data.find(b"\r\n\r\n")
    found = _UPGRADE.search(data, 0, end if end >= 0 else len(data))
    return data if found is None else data[: found.start()] + b"\r\nX-Offer:" + data[found.end() :]


def wall(limits: Limits, noted: Noted = lambda error, headers: None) -> type[Wall]:
    """Return the protocol class that keeps *limits* and tells *noted* what it refuses."""
    made: dict[str, Any] = {"limits": limits, "noted": staticmethod(noted)}
    return type("LimitedWall", (Wall,), made)
