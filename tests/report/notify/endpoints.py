"""Real endpoints on loopback: HTTP with and without TLS, and SMTP."""

from __future__ import annotations

import ssl
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from email import message_from_bytes, policy
from email.message import EmailMessage
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from aiosmtpd.controller import Controller
from aiosmtpd.smtp import AuthResult


@dataclass
class Request:
    """What arrived."""

    path: str
    headers: dict[str, str]
    body: bytes


@dataclass
class Endpoint:
    """An HTTP server that keeps what arrives, and answers *status* and *headers*; *act* may do something else."""

    port: int = 0
    status: int = 204
    headers: dict[str, str] = field(default_factory=dict)
    act: Callable[[BaseHTTPRequestHandler], None] | None = None
    arrived: list[Request] = field(default_factory=list)
    names: list[str | None] = field(default_factory=list)
    """Server names that TLS clients asked for."""


def _handler(endpoint: Endpoint) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["content-length"]))
            headers = {name.lower(): value for name, value in self.headers.items()}
            endpoint.arrived.append(Request(self.path, headers, body))
            if endpoint.act is not None:
                endpoint.act(self)
                return
            self.send_response(endpoint.status)
            for name, value in {"content-length": "0", **endpoint.headers}.items():
                self.send_header(name, value)
            self.end_headers()

        do_GET = do_POST

        def log_message(self, format: str, *args: Any) -> None:
            """Say nothing."""

    return Handler


@contextmanager
def http(port: int = 0, certificate: Path | None = None) -> Iterator[Endpoint]:
    """Serve on loopback; over TLS with *certificate*, a file with key and certificate."""
    endpoint = Endpoint()
    server = ThreadingHTTPServer(("127.0.0.1", port), _handler(endpoint))
    server.daemon_threads = True
    if certificate is not None:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certificate)
        context.sni_callback = lambda _, name, __: endpoint.names.append(name)
        server.socket = context.wrap_socket(server.socket, server_side=True)
    endpoint.port = server.server_address[1]
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield endpoint
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def certificate(directory: Path, host: str) -> Path:
    """Return a file with a key and a certificate for *host* that signs itself."""
    path = directory / "endpoint.pem"
    subprocess.run(
        [
            "openssl",
            "req",
            "-x509",
            "-newkey",
            "ec",
            "-pkeyopt",
            "ec_paramgen_curve:prime256v1",
            "-nodes",
            "-days",
            "2",
            "-subj",
            "/CN=runwell test",
            "-addext",
            f"subjectAltName=DNS:{host}",
            "-keyout",
            path,
            "-out",
            f"{path}.crt",
        ],
        check=True,
        capture_output=True,
    )
    path.write_text(path.read_text() + Path(f"{path}.crt").read_text())
    return path


class Mailbox:
    """An SMTP server's memory; *refuse* maps a recipient to its answer, *answer* is for a mail, *farewell* for QUIT."""

    def __init__(self) -> None:
        self.mails: list[EmailMessage] = []
        self.recipients: list[list[str]] = []
        self.refuse: dict[str, str] = {}
        self.answer = "250 OK"
        self.farewell = "221 Bye"

    async def handle_RCPT(self, server: Any, session: Any, envelope: Any, address: str, options: list[str]) -> str:
        """Take or refuse a recipient."""
        if address in self.refuse:
            return self.refuse[address]
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_QUIT(self, server: Any, session: Any, envelope: Any) -> str:
        """End the session."""
        return self.farewell

    async def handle_DATA(self, server: Any, session: Any, envelope: Any) -> str:
        """Keep a mail."""
        if self.answer.startswith("250"):
            self.mails.append(message_from_bytes(envelope.content, policy=policy.default))  # type: ignore[arg-type]
            self.recipients.append(list(envelope.rcpt_tos))
        return self.answer


@contextmanager
def smtp(certificate: Path | None = None, login: tuple[bytes, bytes] | None = None) -> Iterator[tuple[Mailbox, int]]:
    """Serve SMTP on loopback, with STARTTLS and a *login* (user, password) if given; return what arrives, and where."""
    mailbox = Mailbox()
    more: dict[str, Any] = {}
    if certificate is not None:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certificate)
        more |= {"tls_context": context, "require_starttls": True}
    if login is not None:

        def authenticate(server: Any, session: Any, envelope: Any, mechanism: str, credentials: Any) -> AuthResult:
            return AuthResult(success=(credentials.login, credentials.password) == login, handled=False)

        more |= {"authenticator": authenticate, "auth_required": True}
    controller = Controller(mailbox, hostname="127.0.0.1", port=free_port(), **more)
    controller.start()
    try:
        yield mailbox, controller.port
    finally:
        controller.stop()


def free_port() -> int:
    """Return a port nobody listens on."""
    import socket

    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return int(s.getsockname()[1])


def until(what: Callable[[], object], seconds: float = 20.0) -> None:
    """Wait until *what* is true."""
    deadline = time.monotonic() + seconds
    while not what():
        if time.monotonic() > deadline:
            raise AssertionError(f"not within {seconds} s")
        time.sleep(0.01)
