"""What every answer of the API tells a browser: take it for what it says it is, and keep no copy."""

from __future__ import annotations

from starlette.datastructures import MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

HEADERS = {"x-content-type-options": "nosniff", "cache-control": "no-store"}


def told(app: ASGIApp) -> ASGIApp:
    """Return *app* with HEADERS on its answers, errors included."""

    async def answered(scope: Scope, receive: Receive, send: Send) -> None:
        async def send_told(message: Message) -> None:
            if message["type"] == "http.response.start":
                MutableHeaders(scope=message).update(HEADERS)
            await send(message)

        await app(scope, receive, send_told)

    return answered
