"""The wall before an HTTP port: what a connection may cost before it has sent a request that can be served.

uvicorn's own protocol, with what it leaves out: deadlines for head, idling and answers nobody reads, caps on the
head, and refusals in the words of the port. What differs between ports is data (`Terms`).
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from datetime import timedelta
from typing import Any, ClassVar

import httptools
from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol, RequestResponseCycle

from collector.model.errors import Crowded, HeadTooLarge, NotHttp, Refused, TooLarge, TooSlow
from collector.receive.flow import Flow
from collector.receive.greeting import other_than_http
from collector.receive.pieces import Pieces
from collector.receive.seats import Seats
from collector.receive.terms import Terms

_LINGER_S = 1.0
"""How long a refused connection is still listened to, so that its sender reads the answer and not a reset."""

_PIECE, _PLAIN_PIECE = 4_096, 65_536
"""Bytes fed to the parser at once: few, since they may be many requests or many chunks, but of a body in one part."""


class _Stop(Exception):
    """Ends the parser where a request was refused."""


class Wall(HttpToolsProtocol):
    """One connection."""

    terms: ClassVar[Terms]
    seats: ClassVar[Seats]
    pieces: ClassVar[Pieces]

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Start the clock."""
        super().connection_made(transport)
        self.flow = self._flow = Flow(transport, lambda: self.pieces.wait(self))
        self._limits = self.terms.limits
        self._deadline: asyncio.TimerHandle | None = None
        self._answered: RequestResponseCycle | None = None
        self._refused = False
        self._begun = False
        self._offer: bytes | None = None
        self._in_head = self._in_body = False
        self._head_bytes = 0
        self._header_lines = 0
        self._head_pending = 0
        self._head_is_timed = False
        self._body_bytes = 0
        self._frame_bytes = 0
        self._body_parts: list[bytes] = []
        self._is_plain = self._message_began = False
        self._rest = memoryview(b"")
        self._in_line = False
        self._unread = 0
        self._look: asyncio.TimerHandle | None = None
        self.seats.wait(self)
        self._set_deadline(self._limits.idle_time)

    def connection_lost(self, exc: Exception | None) -> None:
        """Stop the clock, and tell the request that is being answered that nobody hears it: uvicorn tells the one that
        was read last, and the answer to a client that hung up would fail.
        """
        if self._answered is not None:
            self._answered.disconnected = True
            self._answered.message_event.set()
        self.seats.left(self)
        self._rest = memoryview(b"")
        self._set_deadline(None)
        if self._look is not None:
            self._look.cancel()
        super().connection_lost(exc)

    def _start_asgi_task(self, cycle: RequestResponseCycle, app: Any) -> None:
        self._answered = cycle
        super()._start_asgi_task(cycle, app)

    def leave(self) -> None:
        """End at once, for others."""
        self._end()

    def data_received(self, data: bytes) -> None:
        """Feed the parser, or refuse what it should not see."""
        if self._refused or self.transport.is_closing():
            return
        if not self._begun:
            self._begun = True
            if error := other_than_http(data, self.terms.instead):
                self._refuse(error)
                return
        self._rest = memoryview(bytes(self._rest) + data) if self._rest else memoryview(data)
        self._look_on()

    def _look_on(self) -> None:
        """Look at what came, when it is this connection's turn; read no more until all of it was looked at."""
        if self._may_look:
            self.pieces.come(self)
        self._flow.is_behind(bool(self._rest) and not self.transport.is_closing())

    @property
    def _may_look(self) -> bool:
        """Tell whether there is something to look at and it is its turn: after the answer to the request before it,
        so that many requests at once cost no more than one, and after what came before it of the body was taken.
        """
        waits = self.pipeline or self._in_line or self._flow.read_paused
        return bool(self._rest) and not (waits or self._refused or self.transport.is_closing())

    def piece(self) -> bool:
        """Feed the parser a piece of what came; tell whether it can have another."""
        if not self._may_look:
            return False
        self._unset_keepalive_if_required()
        size = _PLAIN_PIECE if self._is_plain else _PIECE
        piece, self._rest = self._rest[:size], self._rest[size:]
        self._take(piece)
        if not self._rest:
            self._flow.is_behind(False)
        return self._may_look

    def _take(self, data: memoryview) -> None:
        was_in_head, was_in_body, body_bytes = self._in_head, self._in_body, self._body_bytes
        self._message_began = False
        try:
            self._feed(data)
        except httptools.HttpParserError:
            if not self._refused:
                self._refuse(NotHttp("not a request in HTTP/1.1, or one with two lengths; see RFC 9112"))
        self._is_plain = self._in_body and len(self._body_parts) == 1
        self._pass_body()
        if self._refused:
            return
        if self._in_head:
            if was_in_head:
                self._head_pending += len(data)
            if self._head_pending > self._limits.header_size:
                self._refuse(self._head_too_large())
            elif self._rest:  # it is not the sender who keeps it waiting
                self._set_deadline(None)
                self._head_is_timed = False
            elif not self._head_is_timed:
                self._head_is_timed = True
                self._set_deadline(self._limits.header_time)
        elif self._in_body and was_in_body and not self._message_began:
            self._frame_bytes += len(data) - (self._body_bytes - body_bytes)
            if self._frame_bytes > self._limits.header_size + self._body_bytes:
                self._refuse(self._frame_too_large())

    def _pass_body(self) -> None:
        """Hand on what a piece held of a body, in one part however many chunks it came in."""
        if self._body_parts:
            body, self._body_parts = b"".join(self._body_parts), []
            if not self._refused:
                super().on_body(body)

    def _feed(self, data: memoryview) -> None:
        """Feed the parser. It ends a request at a head that offers to upgrade, body and all; such an offer is not
        taken up, so the same head without it, and what follows, is fed anew. Some clients offer HTTP/2 with each
        first request.
        """
        while True:
            try:
                self.parser.feed_data(data)
                return
            except httptools.HttpParserUpgrade as offer:
                data = data[offer.args[0] :]
            head, self._offer = self._offer, None
            if head is not None:
                self.parser = _parser(self)
                self.parser.feed_data(head)

    def on_message_begin(self) -> None:
        """Begin a head."""
        super().on_message_begin()
        self._in_head = True
        self._head_bytes = self._header_lines = self._head_pending = self._body_bytes = self._frame_bytes = 0
        self._head_is_timed = False
        self._message_began = True

    def on_url(self, url: bytes) -> None:
        """Count the request line."""
        self._head_bytes += len(url)
        if self._head_bytes <= self._limits.header_size:
            super().on_url(url)

    def on_header(self, name: bytes, value: bytes) -> None:
        """Count headers, and keep no more than allowed; those of a trailer count too, and say nothing here."""
        self._head_bytes += len(name) + len(value) + 4
        self._header_lines += 1
        if self._in_body and self._head_is_too_large:
            self._refuse(self._head_too_large())
            raise _Stop
        if not self._in_body and not self._head_is_too_large:
            super().on_header(name, value)

    def on_headers_complete(self) -> None:
        """End a head: decide whether the request is served."""
        if self.parser.should_upgrade() and not self._head_is_too_large and self.parser.get_method() != b"CONNECT":
            self._offer = self._head_without_upgrade()
            return
        self._in_head, self._in_body = False, True
        self._set_deadline(None)
        refused = self._judged()
        if isinstance(refused, HeadTooLarge):
            self.url = b"/"
        if self.terms.body is not None:
            if refused is not None and not (isinstance(refused, Crowded) and self._path in self.terms.always):
                self._refuse(refused)
                raise _Stop
            self._set_deadline(self._limits.body_time, self._too_slow)
        self.scope["state"]["refused"] = refused
        super().on_headers_complete()

    def on_body(self, body: bytes) -> None:
        """Count a body."""
        self._body_bytes += len(body)
        if self.terms.body is not None and self._body_bytes > self.terms.body:
            self._refuse(self._body_too_large())
            raise _Stop
        self._body_parts.append(body)

    def on_message_complete(self) -> None:
        """End a body: from here on the request is being answered."""
        if self._offer is not None:
            return
        self._in_body = False
        self._pass_body()
        super().on_message_complete()
        if not self.cycle.response_complete:
            self._set_deadline(None)
            if not self._unread:
                self.seats.answer(self)

    def on_response_complete(self) -> None:
        """End an answer."""
        if self.pipeline or self._rest:
            self._in_line = True
            self.flow.pause_reading()
            self.seats.follow(self, self._go_on)
            return
        super().on_response_complete()
        self.seats.wait(self)
        if not self._in_head and not self._unread and not self._refused:
            self._set_deadline(self._limits.idle_time)

    def _go_on(self) -> None:
        """Answer what came ahead."""
        self._in_line = False
        super().on_response_complete()
        self._look_on()

    def pause_writing(self) -> None:
        """Wait for a client that does not read its answers: it is not being served meanwhile."""
        super().pause_writing()
        self.seats.wait(self)
        if not self._in_head and not self._refused:
            self._set_deadline(None)
        self._unread = self.transport.get_write_buffer_size()
        self._look = self.loop.call_later(self._limits.idle_time.total_seconds(), self._look_who_reads)

    def resume_writing(self) -> None:
        """Go on with the answer."""
        super().resume_writing()
        if self._look is None or self.transport.is_closing():
            return
        self._look.cancel()
        self._look, self._unread = None, 0
        if self.cycle is None or self.cycle.response_complete:
            if not self._in_head:
                self._set_deadline(self._limits.idle_time)
        elif not self.cycle.more_body:
            self.seats.answer(self)

    def _judged(self) -> Refused | None:
        """Return why a request with this head is not served, None if it is."""
        if self._head_is_too_large:
            return self._head_too_large()
        hosts = [value.decode("latin-1") for name, value in self.headers if name == b"host"]
        if refused := self.terms.hosts.judge(hosts, self.server[0] if self.server else ""):
            return refused
        try:
            self.terms.judge(self.parser.get_method().decode("latin-1"), self._path, self.headers)
        except Refused as e:
            return e
        if self.terms.body is not None and any(
            name == b"content-length" and int(value) > self.terms.body for name, value in self.headers
        ):
            return self._body_too_large()
        if self.seats.crowded(self):
            return Crowded(
                f"{self.seats.most} requests are being answered ({self.terms.section}.connections); try again"
            )
        return None

    @property
    def _path(self) -> str:
        return self.url.partition(b"?")[0].decode("latin-1")

    @property
    def _head_is_too_large(self) -> bool:
        return self._head_bytes > self._limits.header_size or self._header_lines > self._limits.headers

    def _head_without_upgrade(self) -> bytes:
        """Return the head that was just read, as a parser reads it, without an offer to upgrade."""
        line = b" ".join([self.parser.get_method(), self.url, b"HTTP/" + self.parser.get_http_version().encode()])
        fields = (name + b": " + value for name, value in self.headers if name != b"upgrade")
        return b"\r\n".join([line, *fields, b"", b""])

    def _head_too_large(self) -> HeadTooLarge:
        section = self.terms.section
        return HeadTooLarge(
            f"headers are limited to {int(self._limits.header_size)} bytes ({section}.header_size) "
            f"and {self._limits.headers} lines ({section}.headers)"
        )

    def _frame_too_large(self) -> HeadTooLarge:
        return HeadTooLarge(
            f"what frames a body is limited to {int(self._limits.header_size)} bytes more than it holds "
            f"({self.terms.section}.header_size); send larger chunks"
        )

    def _body_too_large(self) -> TooLarge:
        return TooLarge(f"longer than {self.terms.body} bytes ({self.terms.section}.body)", field="body")

    def _too_slow(self) -> None:
        seconds = self._limits.body_time.total_seconds()
        self._refuse(TooSlow(f"the body took longer than {seconds:g} s ({self.terms.section}.body_time)"))

    def _refuse(self, error: Refused) -> None:
        """Answer *error* and end the connection."""
        self._refused = True
        self._rest = memoryview(b"")
        self._flow.resume_reading()
        self._flow.is_behind(False)
        if self.cycle is not None and not self.cycle.response_complete:
            if self.cycle.response_started or self.pipeline:
                self.transport.close()  # an answer to an earlier request is under way: nothing may be mixed into it
                return
            self.cycle.disconnected = True  # the port gives up the request whose rest could not be read
            self.cycle.message_event.set()
        self.terms.noted(error, self.headers or [])
        stated = next((v for k, v in self.headers or () if k == b"content-type"), b"").decode("latin-1")
        status, headers, body = self.terms.write(error, stated)
        head: list[bytes] = [STATUS_LINE[status]]
        for name, value in (*headers, (b"content-length", str(len(body)).encode())):
            head += [name, b": ", value, b"\r\n"]
        self.transport.write(b"".join([*head, b"\r\n", body]))
        if self.transport.can_write_eof():
            self.transport.write_eof()
        self._set_deadline(timedelta(seconds=_LINGER_S))

    def _set_deadline(self, time: timedelta | None, act: Callable[[], None] | None = None) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
        self._deadline = None if time is None else self.loop.call_later(time.total_seconds(), act or self._end)

    def _look_who_reads(self) -> None:
        """End the connection unless some of its answer was read since the last look."""
        left = self.transport.get_write_buffer_size()
        if left < self._unread:
            self._unread = left
            self._look = self.loop.call_later(self._limits.idle_time.total_seconds(), self._look_who_reads)
        else:
            self.transport.abort()

    def _end(self) -> None:
        self._set_deadline(None)
        if self.transport.get_write_buffer_size():
            self.transport.abort()  # who has not read it until now does not keep it
        elif not self.transport.is_closing():
            self.transport.close()


def _parser(wall: Wall) -> httptools.HttpRequestParser:
    """Return a parser of requests that come to *wall*; what follows one that ends the connection is let pass."""
    parser = httptools.HttpRequestParser(wall)
    parser.set_dangerous_leniencies(lenient_data_after_close=True)
    return parser


def wall(terms: Terms, seats: Seats) -> type[Wall]:
    """Return the protocol class of a port that keeps *terms*; *seats* are its own."""
    made: dict[str, Any] = {"terms": terms, "seats": seats, "pieces": Pieces()}
    return type("LimitedWall", (Wall,), made)
