"""The door before Streamlit: what is refused never reaches it, what is let in looks as if it came from one site."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from collector.model.hosts import Hosts
from dashboard.door import Door

OWN, LISTED = "127.0.0.1:8501", "runwell.example.com"
CASES = [
    ("http", [OWN], [], 200),
    ("http", ["LOCALHOST.:1"], ["http://localhost.:1"], 200),
    ("websocket", [OWN], [f"http://{OWN}"], 101),
    ("websocket", [OWN], [], 101),
    ("websocket", [OWN], [f"https://{LISTED}"], 101),
    ("websocket", [LISTED], [f"https://{LISTED}"], 101),
    ("http", ["evil.example"], [], 421),
    ("websocket", ["evil.example"], ["http://evil.example"], 421),
    ("websocket", [OWN], ["http://evil.example"], 403),
    ("websocket", [OWN], ["http://127.0.0.1:3000"], 403),
    ("websocket", [OWN], ["null"], 403),
    ("http", [OWN], ["http://evil.example"], 403),
    ("http", [], [], 400),
    ("http", [OWN, OWN], [], 400),
    ("websocket", [""], [], 400),
]


def ask(scope: dict[str, Any]) -> tuple[list[dict[str, Any]], dict[str, Any] | None]:
    """Return what is sent to who asks, and the scope that the app behind the door sees, None where it sees none."""
    sent: list[dict[str, Any]] = []
    seen: list[dict[str, Any]] = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        seen.append(scope)
        if scope["type"] == "http":
            await send({"type": "http.response.start", "status": 200, "headers": []})
        else:
            await send({"type": "websocket.accept"})

    async def send(message: Any) -> None:
        sent.append(message)

    asyncio.run(Door(app, Hosts.of([LISTED]))(scope, None, send))  # type: ignore[arg-type]
    return sent, seen[0] if seen else None


@pytest.mark.parametrize(("kind", "hosts", "origins", "status"), CASES)
def test_who_is_let_in(kind: str, hosts: list[str], origins: list[str], status: int) -> None:
    """By a known Host, from a page of it or of a listed one; others read why in one line, and nothing may be framed."""
    headers = [(b"host", h.encode()) for h in hosts] + [(b"Origin", o.encode()) for o in origins]
    scope = {
        "type": kind,
        "headers": headers,
        "server": ("127.0.0.1", 8501),
        "extensions": {"websocket.http.response": {}},
    }
    sent, seen = ask(scope)
    assert (seen is None) == (status >= 400)
    if seen is not None and origins:
        (origin,) = (v.decode() for k, v in seen["headers"] if k == b"Origin")
        assert origin.partition("//")[2] == hosts[0]
    if sent[0]["type"] != "websocket.accept":
        assert sent[0]["status"] == status
        assert (b"x-frame-options", b"DENY") in sent[0]["headers"]
        assert (b"content-security-policy", b"frame-ancestors 'none'") in sent[0]["headers"]
    if status >= 400:
        assert sent[1]["body"].endswith(b"\n")
        assert sent[1]["body"].count(b"\n") == 1


def test_a_server_that_cannot_refuse_a_handshake_in_words_closes_it() -> None:
    """Without the extension a websocket is closed before it is accepted."""
    sent, seen = ask({"type": "websocket", "headers": [(b"host", b"evil.example")], "server": None})
    assert (sent, seen) == ([{"type": "websocket.close"}], None)
