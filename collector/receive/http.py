"""OTLP/HTTP: raw ASGI in front of `admit`. Every error body is a google.rpc.Status in the request's encoding."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

import grpc
from prometheus_client import CONTENT_TYPE_LATEST

from collector.decode import Accepted
from collector.model.errors import BadInput, NotNow, Refused, Unsupported
from collector.model.signals import BY_PATH, Encoding
from collector.otlp import answers
from collector.otlp.compression import ACCEPTED, too_large
from collector.receive.admit import Admit
from collector.receive.errors import outcome
from collector.receive.via import OWN_HEADER, via
from collector.settings import Limits

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
Headers = list[tuple[bytes, bytes]]

PROJECT = "default"
"""The tenant of every request until there are access keys."""
_BODY_S = 30.0


class _Gone(Exception):
    """The client went away before its body was complete."""


class HttpPort:
    """The ASGI application of the receive process."""

    def __init__(self, admit: Admit, limits: Limits) -> None:
        self._admit = admit
        self._limits = limits

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if scope["type"] != "http":
            return
        path, method = scope["path"], scope["method"]
        if path in ("/healthz", "/readyz"):
            await self._health(path, send)
            return
        if path == "/metrics":
            await _respond(send, 200, CONTENT_TYPE_LATEST, self._admit.books.text())
            return
        headers = {k.decode("latin-1").lower(): v.decode("latin-1") for k, v in scope["headers"]}
        encoding = answers.encoding_of(headers.get("content-type", ""))
        signal = BY_PATH.get(path)
        if signal is None:
            known = ", ".join(BY_PATH)
            await self._error(send, encoding, 404, grpc.StatusCode.NOT_FOUND, f"no such path; OTLP is at {known}")
            return
        if method != "POST":
            await self._error(
                send, encoding, 405, grpc.StatusCode.UNIMPLEMENTED, f"{path} takes POST", [(b"allow", b"POST")]
            )
            return
        came = via("http", headers.get("user-agent", ""), OWN_HEADER in headers)
        body = b""
        result: Accepted | Refused | None = None
        try:
            if encoding is None:
                raise Unsupported("Content-Type must be application/x-protobuf or application/json")
            if refusal := self._admit.ready:
                raise NotNow(refusal)
            body = await self._body(headers, receive)
            compression = headers.get("content-encoding", "")
            accepted = result = await self._admit.admit(PROJECT, signal, encoding, compression, body, came)
        except _Gone:
            return
        except Refused as e:
            result = e
            await self._refused(send, encoding, e)
            return
        finally:
            self._admit.books.answered(signal.name, came, encoding, result, len(body))
        payload = answers.success(signal, encoding, rejected=accepted.rejected, message=accepted.message)
        await _respond(send, 200, answers.CONTENT_TYPES[encoding], payload)

    async def _body(self, headers: dict[str, str], receive: Receive) -> bytes:
        """Return the body, giving up as soon as it is longer than allowed or too slow."""
        cap = int(self._limits.body)
        stated = headers.get("content-length", "")
        if stated.isdigit() and int(stated) > cap:
            raise too_large(cap)
        parts: list[bytes] = []
        size = 0
        try:
            async with asyncio.timeout(_BODY_S):
                while True:
                    message = await receive()
                    if message["type"] == "http.disconnect":
                        raise _Gone
                    parts.append(message.get("body", b""))
                    size += len(parts[-1])
                    if size > cap:
                        raise too_large(cap)
                    if not message.get("more_body"):
                        return b"".join(parts)
        except TimeoutError:
            raise NotNow(f"the body did not arrive within {_BODY_S:g} s") from None

    async def _refused(self, send: Send, encoding: Encoding | None, error: Refused) -> None:
        told = outcome(error)
        extra: Headers = []
        if told.retry_after_s is not None:
            extra.append((b"retry-after", str(max(1, round(told.retry_after_s))).encode()))
        if told.http == 415:
            extra.append((b"accept-encoding", ACCEPTED.encode()))
        if told.http == 413:
            extra.append((b"connection", b"close"))
        await self._error(
            send,
            encoding,
            told.http,
            told.grpc,
            error.message,
            extra,
            field=error.field if isinstance(error, BadInput) else "",
            retry_after_s=told.retry_after_s,
        )

    async def _error(
        self,
        send: Send,
        encoding: Encoding | None,
        http: int,
        code: grpc.StatusCode,
        message: str,
        extra: Headers | None = None,
        *,
        field: str = "",
        retry_after_s: float | None = None,
    ) -> None:
        told = encoding or "json"
        body = answers.encode_status(
            answers.status(code.value[0], message, field=field, retry_after_s=retry_after_s), told
        )
        await _respond(send, http, answers.CONTENT_TYPES[told], body, extra)

    async def _health(self, path: str, send: Send) -> None:
        refusal = self._admit.ready if path == "/readyz" else ""
        await _respond(send, 503 if refusal else 200, "text/plain; charset=utf-8", (refusal or "ok").encode())


async def _respond(send: Send, status: int, content_type: str, body: bytes, extra: Headers | None = None) -> None:
    headers = [
        (b"content-type", content_type.encode()),
        (b"content-length", str(len(body)).encode()),
        *(extra or []),
    ]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})
