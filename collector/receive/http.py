"""OTLP/HTTP: raw ASGI in front of `admit`. Every error body is a google.rpc.Status in the request's encoding."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, MutableMapping
from dataclasses import dataclass
from typing import Any

import structlog
from prometheus_client import CONTENT_TYPE_LATEST

from collector.decode import Accepted
from collector.model.errors import BadInput, Crowded, NotNow, Refused, TooSlow
from collector.model.signals import BY_PATH, Encoding
from collector.otlp import answers
from collector.otlp.compression import too_large
from collector.receive import cors, labels, recognise
from collector.receive.admit import Admit, Hold
from collector.receive.books import NO_SIGNAL
from collector.receive.errors import Headers, NoSuchPath, UnreadType, WrongMethod, failure_of
from collector.receive.owner import owner
from collector.receive.shared import Shared
from collector.receive.turns import Who
from collector.receive.via import OWN_HEADER, Via, via
from collector.settings import Cors, Limits
from collector.telemetry.log import cause

log = structlog.get_logger()

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]

_SLOWEST = 1_024
"""Bytes per second; a body may take `limits.body_time` plus one second for as many bytes."""

_PART = 64 * 2**10
"""Bytes up to which small parts of a body are joined as they come."""


class _Gone(Exception):
    """The client went away before its body was complete."""


class _Body:
    """The body of one request, part by part."""

    def __init__(self, receive: Receive) -> None:
        self._receive = receive
        self.ended = False

    async def part(self) -> bytes:
        """Return the next bytes; after the last ones *ended* is set. Raise _Gone when there will be none."""
        message = await self._receive()
        if message["type"] == "http.disconnect":
            raise _Gone
        self.ended = not message.get("more_body")
        part: bytes = message.get("body", b"")
        return part


_METRICS_APART_S = 0.1
"""Between one writing of the metrics and the next: it takes milliseconds, in which nothing else happens."""


@dataclass(slots=True)
class _Asked:
    """One request: its head, and how many bytes of its body were read."""

    path: str
    method: str
    headers: dict[str, str]
    encoding: Encoding | None
    via: Via
    who: Who
    size: int = 0

    @property
    def preflight(self) -> bool:
        """Tell whether a browser asks if it may send."""
        return recognise.preflight(self.method, self.headers)


class HttpPort:
    """The ASGI application of the receive process."""

    def __init__(self, admit: Admit, limits: Limits, cors: Cors) -> None:
        self._admit = admit
        self._limits = limits
        self._cors = cors
        self._metrics = Shared(self._metrics_text, _METRICS_APART_S)

    async def _metrics_text(self) -> bytes:
        return self._admit.books.text()

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if scope["type"] != "http":
            return
        path = scope["raw_path"].decode("latin-1")  # never decoded: one path has one spelling
        refused = scope["state"].get("refused")
        is_probe = refused is None or isinstance(refused, Crowded)
        if is_probe and path in ("/healthz", "/readyz"):
            self._admit.books.probes.labels(path[1:]).inc()
            await self._health(path, send)
            return
        if is_probe and path == "/metrics":
            self._admit.books.probes.labels("metrics").inc()
            await _send(send, 200, [(b"content-type", CONTENT_TYPE_LATEST.encode())], await self._metrics.get())
            return
        headers = _fields(scope["headers"])
        encoding = answers.encoding_of(headers.get("content-type", ""))
        came = via("http", headers.get("user-agent", ""), OWN_HEADER in headers)
        address, port = scope.get("client") or ("", 0)
        asked = _Asked(path, scope["method"], headers, encoding, came, Who(address, str(port)))
        accept = headers.get("accept-encoding", "")
        origin = headers.get("origin", "")
        extra = cors.headers(self._cors, origin)
        body = _Body(receive)
        try:
            if refused is not None:
                raise refused
            if asked.preflight and self._cors.origins:
                allowed = cors.preflight(self._cors, origin)
                self._admit.books.probes.labels("preflight").inc()
                await _respond(send, 204, None, b"", allowed)
                return
            accepted = await self._export(asked, body)
            self._note(asked, accepted)
            assert encoding is not None
            payload = answers.success(BY_PATH[path], encoding, rejected=accepted.rejected, message=accepted.message)
        except _Gone:
            self._note(asked, None)
            return
        except asyncio.CancelledError:
            self._note(asked, None)
            raise
        except Exception as e:
            self._note(asked, e)
            if not isinstance(e, Refused):
                log.error("request_receive_failed", **cause(e))
            failure = failure_of(e)
            if not failure.closes and not await self._read_to_end(headers, body):
                extra.append((b"connection", b"close"))
            kind: Encoding = encoding or "json"
            payload = answers.encode_status(failure.status, kind)
            await _respond(send, failure.http, kind, payload, [*failure.headers, *extra], accept)
            return
        await _respond(send, 200, encoding, payload, extra, accept)

    async def _export(self, asked: _Asked, body: _Body) -> Accepted:
        signal = BY_PATH.get(asked.path)
        if signal is None:
            raise NoSuchPath(labels.path(asked.path))
        if asked.method != "POST":
            raise WrongMethod(f"{asked.path} takes POST")
        if asked.encoding is None:
            raise UnreadType("Content-Type must be application/x-protobuf or application/json")
        if refusal := self._admit.ready:
            raise NotNow(refusal)
        stated = asked.headers.get("content-length", "")
        if stated.isdigit() and int(stated) > self._limits.body:
            raise too_large(int(self._limits.body))
        project = owner(asked.headers)
        with self._admit.hold() as hold:
            whole = await self._whole(body, hold)
            asked.size = sum(map(len, whole))
            compression = asked.headers.get("content-encoding", "")
            head = labels.head(whole, compression)
            try:
                return await self._admit.admit(
                    project, signal, asked.encoding, compression, whole, asked.via, asked.who
                )
            except BadInput as e:
                whole.clear()  # the error knows this frame
                raise labels.over_http(e, head, asked.encoding, compression, signal) from None

    def _note(self, asked: _Asked, result: Accepted | Exception | None) -> None:
        """Keep account of what a request is answered; None where nobody is there to hear it."""
        signal = BY_PATH.get(asked.path)
        name = signal.name if signal else NO_SIGNAL
        self._admit.books.answered(name, asked.via, asked.encoding, result, asked.size)
        if result is None:
            return
        why = (
            recognise.unkept(result) if isinstance(result, Accepted) else recognise.reason(result, asks=asked.preflight)
        )
        if why is None:
            self._admit.refusals.taken(asked.via, name)
        else:
            kind = recognise.where(asked.path)
            looks = recognise.look(kind[0], asked.via, asked.method, asked.headers)
            self._admit.refusals.refused(asked.via, kind, looks, why)

    def walled(self, error: Refused, headers: Headers) -> None:
        """Keep account of what the wall refused before it became a request, with the *headers* it has read."""
        fields = _fields(headers)
        came = via("http", fields.get("user-agent", ""), OWN_HEADER in fields)
        self._admit.books.answered(NO_SIGNAL, came, None, error, 0)
        looks = recognise.look_of_bytes(error, came, fields)
        self._admit.refusals.refused(came, ("none", ""), looks, recognise.reason(error))

    async def _whole(self, body: _Body, hold: Hold) -> list[bytes | bytearray]:
        """Return the body in parts, giving up as soon as it is longer than allowed or too slow."""
        cap = int(self._limits.body)
        parts: list[bytes | bytearray] = []
        size = 0
        last = asyncio.get_running_loop().time() + self._limits.body_time.total_seconds()
        try:
            async with asyncio.timeout_at(last) as patience:
                while not body.ended:
                    part = await body.part()
                    size += len(part)
                    if size > cap:
                        raise too_large(cap)
                    hold.add(len(part))
                    _add(part, parts)
                    patience.reschedule(last + size / _SLOWEST)
                return parts
        except TimeoutError:
            parts.clear()
            raise TooSlow(
                f"the body came slower than {_SLOWEST} bytes a second (limits.body_time); send smaller batches"
            ) from None
        except BaseException:
            parts.clear()  # the error outlives the hold on them while the rest of the body is read
            raise

    async def _read_to_end(self, headers: dict[str, str], body: _Body) -> bool:
        """Throw away what is left of a refused body, so that its sender comes to read why; tell whether it ended.

        A sender that asked first (Expect) does not send. One that has more than as much again is not listened to.
        """
        if "expect" in headers and not body.ended:
            return False
        left = int(self._limits.body)
        try:
            async with asyncio.timeout(self._limits.body_time.total_seconds()):
                while left > 0 and not body.ended:
                    left -= len(await body.part())
        except (TimeoutError, _Gone):
            return False
        return body.ended

    async def _health(self, path: str, send: Send) -> None:
        refusal = self._admit.ready if path == "/readyz" else ""
        body = (refusal or "ok").encode()
        await _send(send, 503 if refusal else 200, [(b"content-type", b"text/plain; charset=utf-8")], body)


def _add(part: bytes, parts: list[bytes | bytearray]) -> None:
    """Add *part* to *parts*, to the last one where both are small: a part costs 40 bytes beyond what it holds."""
    if not part:
        return
    if not parts or len(parts[-1]) + len(part) > _PART:
        parts.append(part)
        return
    last = parts[-1] if isinstance(parts[-1], bytearray) else bytearray(parts[-1])
    last += part
    parts[-1] = last


def _fields(headers: Headers) -> dict[str, str]:
    """Return headers by name, those that come again joined."""
    joined: dict[str, str] = {}
    for raw_name, raw_value in headers:
        name, value = raw_name.decode("latin-1").lower(), raw_value.decode("latin-1")
        joined[name] = f"{joined[name]}, {value}" if name in joined else value
    return joined


async def _respond(
    send: Send, status: int, encoding: Encoding | None, body: bytes, extra: Headers, accept_encoding: str = ""
) -> None:
    headers: Headers = []
    if encoding is not None:
        headers.append((b"content-type", answers.CONTENT_TYPES[encoding].encode()))
    if (smaller := answers.compressed(body, accept_encoding)) is not None:
        body = smaller
        headers.append((b"content-encoding", b"gzip"))
    await _send(send, status, [*headers, *extra], body)


async def _send(send: Send, status: int, headers: Headers, body: bytes) -> None:
    await send(
        {
            "type": "http.response.start",
            "status": status,
            "headers": [*headers, (b"content-length", str(len(body)).encode())],
        }
    )
    await send({"type": "http.response.body", "body": body})
