"""The door of the dashboard: by which name it is asked for, and from whose page, before Streamlit hears of it.

Streamlit judges neither, but for its websocket's `Origin`, and of a foreign one it asks a service outside whether that
is this machine's address. Pages of other sites may not frame the dashboard either: a click is as good as a key here.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any, TypeAlias

from collector.model.errors import Misdirected, NotHttp, OtherSite, Refused
from collector.model.hosts import Hosts

Message: TypeAlias = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[Message, Receive, Send], Awaitable[None]]

_STATUS: dict[type[Refused], int] = {NotHttp: 400, OtherSite: 403, Misdirected: 421}
_ANSWERED = [
    (b"content-security-policy", b"frame-ancestors 'none'"),
    (b"x-frame-options", b"DENY"),
    (b"x-content-type-options", b"nosniff"),
]
_PLAIN = (b"content-type", b"text/plain; charset=utf-8")
_RAW_ANSWER = "websocket.http.response"
"""Extension of ASGI by which a handshake is refused in words."""


class Door:
    """Middleware that lets requests and handshakes in by `Host`, as *hosts* judges it, and `Origin`."""

    def __init__(self, app: App, hosts: Hosts) -> None:
        self._app = app
        self._hosts = hosts

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        """Let a request in, or refuse it in one sentence."""
        if scope["type"] not in ("http", "websocket"):
            await self._app(scope, receive, send)
            return
        fields, origins = (_values(scope, name) for name in (b"host", b"origin"))
        local = (scope.get("server") or ("",))[0]
        if refused := self._hosts.judge(fields, local) or self._hosts.judge_origin(origins, fields[0]):
            await _refuse(refused, scope, send)
            return

        async def answer(message: Message) -> None:
            if message["type"] == "http.response.start":
                message["headers"] = [*message.get("headers", ()), *_ANSWERED]
            await send(message)

        await self._app(_of_one_site(scope, fields[0]) if origins else scope, receive, answer)


def _values(scope: Message, name: bytes) -> list[str]:
    return [value.decode("latin-1") for key, value in scope["headers"] if key.lower() == name]


def _of_one_site(scope: Message, field: str) -> Message:
    """Return *scope* with an `Origin` that was let in as it is without a proxy, or Streamlit would ask outside."""
    (origin,) = (value for name, value in scope["headers"] if name.lower() == b"origin")
    ours = origin.partition(b"//")[0] + b"//" + field.strip().encode("latin-1")
    return {**scope, "headers": [(name, ours if name.lower() == b"origin" else v) for name, v in scope["headers"]]}


async def _refuse(error: Refused, scope: Message, send: Send) -> None:
    if scope["type"] == "websocket" and _RAW_ANSWER not in (scope.get("extensions") or {}):
        await send({"type": "websocket.close"})  # the server makes 403 of it
        return
    kind = "http.response" if scope["type"] == "http" else _RAW_ANSWER
    body = f"{error.message}\n".encode()
    headers = [_PLAIN, (b"content-length", str(len(body)).encode()), *_ANSWERED]
    await send({"type": f"{kind}.start", "status": _STATUS[type(error)], "headers": headers})
    await send({"type": f"{kind}.body", "body": body})
    await asyncio.sleep(0)  # until the connection is closed: uvicorn would log a handshake that was not completed
