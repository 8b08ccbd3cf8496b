"""Exporters that were pointed at the read API: its port takes no telemetry, and people mix ports up."""

from __future__ import annotations

import time
from dataclasses import asdict
from typing import Any

from starlette.types import ASGIApp, Receive, Scope, Send

from collector.control.refusals import Look, Reason, Refusal, Where
from collector.model.errors import Refused
from collector.receive import recognise
from collector.receive.errors import Headers, SpokeHttp2
from collector.receive.via import EXPORTERS, OWN_HEADER, Via, via

_MOST = 64
"""Kinds kept; the one not seen for longest makes room."""


class Strays:
    """What looked like an exporter since the store started, by kind; `runwell doctor` is told by status."""

    def __init__(self) -> None:
        self._kinds: dict[tuple[str, ...], Refusal] = {}

    def around(self, app: ASGIApp) -> ASGIApp:
        """Return *app* with an eye on what comes to it."""

        async def seen(scope: Scope, receive: Receive, send: Send) -> None:
            if scope["type"] == "http":
                self._asked(scope["path"], scope["method"], scope["headers"])
            await app(scope, receive, send)

        return seen

    def _asked(self, path: str, method: str, headers: Headers) -> None:
        kind = recognise.where(path)
        sent, came = _sender(headers)
        if kind[0] != "other" or came.agent in EXPORTERS:
            self._note(came, kind, recognise.look(kind[0], came, method, sent), "no_such_path")

    def walled(self, error: Refused, headers: Headers) -> None:
        """Note what the wall refused before it became a request: HTTP/2, as gRPC speaks."""
        if isinstance(error, SpokeHttp2):
            self._note(_sender(headers)[1], ("none", ""), "exporter", "http2")

    def _note(self, came: Via, kind: tuple[Where, str], look: Look, reason: Reason) -> None:
        if look != "exporter" or came.from_runwell:
            return
        now_ns = time.time_ns()
        new = Refusal("api", *kind, look, reason, came.agent, came.agent_version, first_ns=now_ns)
        r = self._kinds.pop(new.key, new)
        r.count += 1
        r.last_ns = now_ns
        self._kinds[r.key] = r  # at the end: the first is always the one not seen for longest
        if len(self._kinds) > _MOST:
            del self._kinds[next(iter(self._kinds))]

    def list_kinds(self) -> list[dict[str, Any]]:
        """Return the kinds, as columns of `control.refusals.Refusal`; from any thread."""
        return [asdict(r) for r in list(self._kinds.values())]


def _sender(headers: Headers) -> tuple[dict[str, str], Via]:
    sent = {name.decode("latin-1").lower(): value.decode("latin-1") for name, value in headers}
    return sent, via("http", sent.get("user-agent", ""), OWN_HEADER in sent)
