"""Webhooks, against real endpoints on loopback: signed, keyed, bounded, and led nowhere else."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import re
import socket
import ssl
import subprocess
import sys
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any

import pytest

from collector.report.notify import NotSent, webhook
from collector.report.notify.message import Message
from tests.report import a_report
from tests.report.notify import endpoints
from tests.report.notify.endpoints import Endpoint

SECRET = "a secret that nobody else knows"
NOW = 1_795_500_000
MESSAGE = Message(a_report.night(), "0123456789abcdef0123456789abcdef", "http://127.0.0.1:8501")


@pytest.fixture
def endpoint() -> Iterator[Endpoint]:
    """Serve HTTP on loopback."""
    with endpoints.http() as served:
        yield served


def send(endpoint: Endpoint, *, secret: str = SECRET, now_s: int = NOW, host: str = "127.0.0.1") -> str:
    """Send to *endpoint*, which the settings allow."""
    url = f"http://{host}:{endpoint.port}/hook?x=1"
    return webhook.send(MESSAGE, url, secret, allowed=["127.0.0.1"], now_s=now_s, ask=lambda h, p: ["127.0.0.1"])


def refused(endpoint: Endpoint, secret: str = SECRET) -> NotSent:
    """Return why *endpoint* was not sent to."""
    with pytest.raises(NotSent) as why:
        send(endpoint, secret=secret)
    return why.value


def expected(key: bytes, headers: dict[str, str], body: bytes) -> str:
    """Return the signature as the specification of Standard Webhooks words it, from what arrived."""
    signed = b".".join([headers["webhook-id"].encode(), headers["webhook-timestamp"].encode(), body])
    return "v1," + base64.b64encode(hmac.new(key, signed, hashlib.sha256).digest()).decode()


@pytest.mark.parametrize(
    ("secret", "key"), [(SECRET, SECRET.encode()), ("whsec_" + base64.b64encode(b"k" * 24).decode(), b"k" * 24)]
)
def test_a_webhook_is_signed_and_carries_its_key(endpoint: Endpoint, secret: str, key: bytes) -> None:
    """Id, time and body are signed; the id is also the idempotency key; the body is the report."""
    assert send(endpoint, secret=secret) == ""
    (got,) = endpoint.arrived
    assert got.path == "/hook?x=1"
    assert got.headers["webhook-id"] == got.headers["idempotency-key"] == MESSAGE.key
    assert got.headers["webhook-timestamp"] == str(NOW)
    assert got.headers["webhook-signature"] == expected(key, got.headers, got.body)
    assert got.headers["host"] == f"127.0.0.1:{endpoint.port}"
    body = json.loads(got.body)
    assert (body["type"], body["data"]["report"]["id"]) == ("runwell.report", MESSAGE.report.id)
    assert body["data"]["url"] == f"http://127.0.0.1:8501/reports?report={MESSAGE.report.id}"
    assert SECRET not in f"{got.headers}{got.body!r}"


def test_sent_again_it_has_the_same_key_and_body_and_a_time_of_its_own(endpoint: Endpoint) -> None:
    """A receiver knows a repetition by its id, and an old copy by its time."""
    send(endpoint)
    send(endpoint, now_s=NOW + 60)
    first, second = endpoint.arrived
    assert first.body == second.body
    assert first.headers["webhook-id"] == second.headers["webhook-id"]
    assert first.headers["webhook-signature"] != second.headers["webhook-signature"]
    assert second.headers["webhook-signature"] == expected(SECRET.encode(), second.headers, second.body)


@pytest.mark.parametrize("location", ["http://169.254.169.254/latest/meta-data/", "/elsewhere"])
@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_a_redirect_is_not_followed(endpoint: Endpoint, status: int, location: str) -> None:
    """Wherever it leads, it counts as a failure."""
    endpoint.status, endpoint.headers = status, {"location": location}
    assert refused(endpoint).reason == f"it answered {status}; redirects are not followed"
    assert len(endpoint.arrived) == 1


@pytest.mark.parametrize(
    ("status", "delay", "wait_s"),
    [(500, None, None), (404, None, None), (429, "120", 120.0), (503, "99999", 3600.0), (503, "soon", None)],
)
def test_an_answer_that_is_no_yes_is_a_failure_and_its_text_is_not_told(
    endpoint: Endpoint, status: int, delay: str | None, wait_s: float | None
) -> None:
    """The status is told, a delay it asks for is kept up to an hour, and nothing else it says."""
    text = b"secret of the other side"

    def act(handler: BaseHTTPRequestHandler) -> None:
        handler.send_response(status, "secret of the other side")
        handler.send_header("content-length", str(len(text)))
        if delay:
            handler.send_header("retry-after", delay)
        handler.end_headers()
        handler.wfile.write(text)

    endpoint.act = act
    why = refused(endpoint)
    assert (why.reason, why.retry_after_s) == (f"it answered {status}", wait_s)


def test_nothing_that_answers_is_a_failure(endpoint: Endpoint) -> None:
    """A closed port and a broken connection are told as such."""
    endpoint.act = lambda handler: handler.connection.shutdown(socket.SHUT_RDWR)
    assert refused(endpoint).reason == "the connection broke, or the answer was no HTTP"
    endpoint.port = endpoints.free_port()
    assert refused(endpoint).reason == "nothing answers there"


@pytest.mark.parametrize("slow", ["silent", "drip"])
def test_an_endpoint_that_is_too_slow_is_given_up_after_a_stated_time(
    endpoint: Endpoint, monkeypatch: pytest.MonkeyPatch, slow: str
) -> None:
    """The limit is for the whole request: an answer that comes byte by byte does not get around it."""
    import threading

    over = threading.Event()

    def act(handler: BaseHTTPRequestHandler) -> None:
        if slow == "drip":
            for byte in b"HTTP/1.1 200 OK\r\nx-padding: " + b"x" * 4000:
                if over.wait(0.02):
                    break
                handler.wfile.write(bytes([byte]))
                handler.wfile.flush()
        over.wait(20)

    endpoint.act = act
    monkeypatch.setattr(webhook, "TIME_S", 0.3)
    try:
        assert refused(endpoint).reason == "it did not answer within 0.3 s"
    finally:
        over.set()


def test_an_endless_answer_counts_as_taken_and_is_not_read_to_its_end(endpoint: Endpoint) -> None:
    """The status has said yes; of the body 64 KiB at most are read."""
    written = 0

    def act(handler: BaseHTTPRequestHandler) -> None:
        nonlocal written
        handler.send_response(200)
        handler.send_header("content-length", str(2**40))
        handler.end_headers()
        try:
            for _ in range(4000):
                written += handler.wfile.write(bytes(2**16))
        except OSError:
            handler.close_connection = True

    endpoint.act = act
    assert send(endpoint) == ""
    endpoints.until(lambda: written > 0)
    assert written < 2**27


def test_the_environment_leads_it_nowhere(endpoint: Endpoint, monkeypatch: pytest.MonkeyPatch) -> None:
    """Proxies that the environment names see nothing of it."""
    with endpoints.http() as proxy:
        for name in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "http_proxy", "https_proxy", "all_proxy"):
            monkeypatch.setenv(name, f"http://127.0.0.1:{proxy.port}")
        send(endpoint)
        assert (len(endpoint.arrived), len(proxy.arrived)) == (1, 0)


def test_without_being_allowed_nothing_is_sent_to_loopback(endpoint: Endpoint) -> None:
    """The request does not leave."""
    for url in (f"http://127.0.0.1:{endpoint.port}/", f"https://localhost:{endpoint.port}/", "https://127.0.0.1/"):
        with pytest.raises(NotSent):
            webhook.send(MESSAGE, url, SECRET, now_s=NOW)
    assert endpoint.arrived == []


def test_a_name_that_resolves_anew_is_not_asked_again(endpoint: Endpoint) -> None:
    """The vetted address is connected to, under the name that was given: rebinding comes too late."""
    asked: list[str] = []

    def ask(host: str, port: int) -> list[str]:
        asked.append(host)
        return ["127.0.0.1"] if len(asked) == 1 else ["169.254.169.254"]

    url = f"http://rebinding.example:{endpoint.port}/"
    webhook.send(MESSAGE, url, SECRET, allowed=["rebinding.example"], now_s=NOW, ask=ask)
    assert asked == ["rebinding.example"]
    assert endpoint.arrived[0].headers["host"] == f"rebinding.example:{endpoint.port}"


def test_the_second_address_is_tried_where_the_first_does_not_answer(endpoint: Endpoint) -> None:
    """All addresses were judged, so any of them will do."""
    url = f"http://two.example:{endpoint.port}/"
    addresses = ["127.0.0.2", "127.0.0.1"]
    webhook.send(MESSAGE, url, SECRET, allowed=["two.example"], now_s=NOW, ask=lambda h, p: addresses)
    assert len(endpoint.arrived) == 1


def test_tls_is_for_the_name_although_the_address_is_connected_to(tmp_path: Path) -> None:
    """The server is asked for by its name, its certificate must be for that name, and trust is not switched off."""
    certificate = endpoints.certificate(tmp_path, "hooks.example.com")
    trust = ssl.create_default_context(cafile=str(certificate))
    with endpoints.http(certificate=certificate) as endpoint:

        def send(host: str, trust: ssl.SSLContext | None) -> str:
            return webhook.send(
                MESSAGE,
                f"https://{host}:{endpoint.port}/",
                SECRET,
                allowed=[host],
                now_s=NOW,
                ask=lambda h, p: ["127.0.0.1"],
                trust=trust,
            )

        assert send("hooks.example.com", trust) == ""
        assert endpoint.names == ["hooks.example.com"]
        for host, whom in (("other.example.com", trust), ("hooks.example.com", None)):
            with pytest.raises(NotSent, match="certificate or TLS"):
                send(host, whom)
        assert len(endpoint.arrived) == 1


def test_a_secret_that_is_no_base64_is_told(endpoint: Endpoint) -> None:
    """The sentence does not repeat it."""
    why = refused(endpoint, "whsec_not base64!")
    assert why.reason == "its secret begins with whsec_ and is not base64"


DOCS = Path(__file__).parents[3] / "docs" / "reports.md"


def snippet(language: str) -> str:
    """Return the code in *language* that docs/reports.md gives to verify a webhook."""
    (code,) = re.findall(rf"```{language}\n(.*?)```", DOCS.read_text(), re.DOTALL)
    return str(code)


@pytest.mark.parametrize("secret", [SECRET, "whsec_" + base64.b64encode(b"k" * 24).decode()])
def test_the_documented_verification_takes_what_is_sent_and_nothing_else(
    endpoint: Endpoint, secret: str, tmp_path: Path
) -> None:
    """In Python and in Node: the webhook as it came, not with another body, id, time or secret, and not an old one."""
    send(endpoint, secret=secret, now_s=int(time.time()))
    send(endpoint, secret=secret, now_s=int(time.time()) - 400)
    got, old = endpoint.arrived
    other = {**got.headers, "webhook-id": "f" * 32}
    later = {**got.headers, "webhook-timestamp": str(int(got.headers["webhook-timestamp"]) + 1)}
    tried = [
        (secret, got.headers, got.body),
        (secret, got.headers, got.body + b" "),
        (secret, other, got.body),
        (secret, later, got.body),
        (SECRET + "x", got.headers, got.body),
        (secret, old.headers, old.body),
    ]
    scope: dict[str, Any] = {}
    exec(snippet("python"), scope)
    assert [scope["verified"](*t) for t in tried] == [True, *[False] * 5]
    (tmp_path / "given.json").write_text(json.dumps([[s, h, b.decode()] for s, h, b in tried]))
    (tmp_path / "verify.mjs").write_text(
        snippet("js")
        + 'import { readFileSync } from "node:fs";\nconst given = JSON.parse(readFileSync(process.argv[2], "utf8"));\n'
        + "console.log(JSON.stringify(given.map(([s, h, b]) => verified(s, h, b))));\n"
    )
    node = Path(sys.executable).with_name("node")
    done = subprocess.run([node, tmp_path / "verify.mjs", tmp_path / "given.json"], capture_output=True, check=True)
    assert json.loads(done.stdout) == [True, *[False] * 5]
