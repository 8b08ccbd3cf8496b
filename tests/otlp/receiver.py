"""A real receive process alone, talked to by bytes, and read back from its journal."""

from __future__ import annotations

import json
import resource
import selectors
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import psutil
from google.rpc import error_details_pb2, status_pb2

from collector.app.allocators import environment
from collector.journal import Reader
from collector.model.signals import Encoding
from collector.otlp import answers
from collector.settings import Settings

PATHS = {"logs": "/v1/logs", "traces": "/v1/traces", "metrics": "/v1/metrics"}
HEAD = b"POST /v1/logs HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
OK = HEAD + b"Content-Length: 2\r\n\r\n{}"
START_S = 60.0
_http = httpx.Client(timeout=60, trust_env=False)
"""Shared, because making one is slow."""


@dataclass
class Answer:
    """One HTTP response."""

    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def encoding(self) -> Encoding | None:
        """Return the encoding that its Content-Type states."""
        return answers.encoding_of(self.headers.get("content-type", ""))


class Connection:
    """A socket that speaks HTTP/1.1 as badly as a test wants."""

    def __init__(self, port: int, timeout_s: float = 30.0) -> None:
        self.socket = socket.create_connection(("127.0.0.1", port))
        self.socket.settimeout(timeout_s)
        self._rest = b""

    def send(self, data: bytes) -> None:
        """Send bytes; a peer that has hung up is no error, its answer may be waiting."""
        with suppress(BrokenPipeError, ConnectionResetError):
            self.socket.sendall(data)

    def _more(self) -> bool:
        try:
            data = self.socket.recv(65_536)
        except ConnectionResetError:
            return False
        self._rest += data
        return bool(data)

    def answer(self, *, head_only: bool = False) -> Answer | None:
        """Return the next response, None when the connection ends without one. 100 Continue is passed over."""
        while b"\r\n\r\n" not in self._rest:
            if not self._more():
                return None
        head, self._rest = self._rest.split(b"\r\n\r\n", 1)
        first, *lines = head.decode("latin-1").split("\r\n")
        status = int(first.split(" ")[1])
        if status == 100:
            return self.answer(head_only=head_only)
        headers = {}
        for line in lines:
            name, value = line.split(": ", 1)
            headers[name.lower()] = value
        size = 0 if head_only else int(headers.get("content-length", "0"))
        while len(self._rest) < size and self._more():
            pass
        body, self._rest = self._rest[:size], self._rest[size:]
        return Answer(status, headers, body)

    def ended(self) -> bool:
        """Tell whether the server ends the connection, with nothing more to say, before the timeout."""
        try:
            while self._more():
                pass
        except TimeoutError:
            return False
        return not self._rest

    def close(self) -> None:
        """Hang up."""
        self.socket.close()


@contextmanager
def crowd(port: int, n: int, first: bytes = b"") -> Iterator[list[socket.socket]]:
    """Hold *n* connections that send *first* and then nothing, as long as the server lets them."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, min(hard, 8_192)), hard))
    connections: list[socket.socket] = []
    try:
        for _ in range(n):
            connections.append(socket.create_connection(("127.0.0.1", port), timeout=30))
            with suppress(ConnectionError):  # closed again, to make room for the next
                connections[-1].sendall(first)
        yield connections
    finally:
        for connection in connections:
            connection.close()


@dataclass
class Receiver:
    """A running receive process and its gate."""

    process: subprocess.Popen[bytes]
    gate: subprocess.Popen[bytes]
    data: Path
    http_port: int
    grpc_port: int
    settings: Settings

    @property
    def url(self) -> str:
        """Return the HTTP address."""
        return f"http://127.0.0.1:{self.http_port}"

    def post(self, path: str, body: bytes, encoding: str = "json", **headers: str) -> httpx.Response:
        """Return the response to a request in *encoding*, or with the Content-Type it names."""
        stated = answers.CONTENT_TYPES.get(encoding, encoding)  # type: ignore[call-overload]
        sent = {"content-type": stated, **{k.replace("_", "-"): v for k, v in headers.items()}}
        return _http.post(self.url + path, content=body, headers=sent)

    def connect(self) -> Connection:
        """Return a new connection to the HTTP port."""
        return Connection(self.http_port)

    def ask(self, data: bytes) -> Answer | None:
        """Return the response to raw bytes on a connection of their own."""
        connection = self.connect()
        try:
            connection.send(data)
            return connection.answer()
        finally:
            connection.close()

    @property
    def memory(self) -> int:
        """Return the resident bytes of both processes."""
        return sum(psutil.Process(p.pid).memory_info().rss for p in (self.process, self.gate))

    def rows(self, table: str, after: int = 0) -> list[dict[str, Any]]:
        """Return what the journal holds of *table*, groups after number *after*."""
        reader = Reader(self.data)
        try:
            rows: list[dict[str, Any]] = []
            while entries := reader.entries(after, 64 * 2**20):
                for entry in entries:
                    if table in entry.tables:
                        rows += entry.tables[table].to_pylist()
                after = entries[-1].seq
            return rows
        finally:
            reader.close()

    @property
    def seq(self) -> int:
        """Return the number of the journal's newest group."""
        reader = Reader(self.data)
        try:
            return reader.last_seq()
        finally:
            reader.close()

    def alive(self) -> bool:
        """Tell whether the process that was started is still the one that answers."""
        return self.process.poll() is None and httpx.get(f"{self.url}/healthz", trust_env=False).status_code == 200


@contextmanager
def receiving(data: Path, **settings: Any) -> Iterator[Receiver]:
    """Run a receive process and its gate on free ports with *data* as their directory until the block ends."""
    made = Settings(**{"data": data, "http_port": 0, "grpc_port": 0, **settings})
    with running("receive", made) as (process, http), running("gate", made) as (gate, grpc):
        yield Receiver(process, gate, data, http["http"]["port"], grpc["grpc"]["port"], made)


@contextmanager
def running(role: str, settings: Settings, files: int = 0) -> Iterator[tuple[subprocess.Popen[bytes], dict[str, Any]]]:
    """Run the process of *role* until the block ends; yield it and where it listens. It may open *files*, if given."""
    log = (settings.data.parent / f"{settings.data.name}.log").open("ab")
    process = subprocess.Popen(
        [sys.executable, "-m", f"collector.app.{role}"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=log,
        env=environment(role),
        preexec_fn=(lambda: resource.setrlimit(resource.RLIMIT_NOFILE, (files, files))) if files else None,
    )
    try:
        assert process.stdin is not None
        process.stdin.write(settings.model_dump_json().encode() + b"\n")
        process.stdin.flush()
        yield process, json.loads(_line(process))["ready"]
    finally:
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(timeout=30)
        except subprocess.TimeoutExpired:
            process.kill()
            raise
        finally:
            log.close()
            for pipe in (process.stdin, process.stdout):
                if pipe is not None:
                    pipe.close()


def _line(process: subprocess.Popen[bytes]) -> bytes:
    assert process.stdout is not None
    with selectors.DefaultSelector() as selector:
        selector.register(process.stdout, selectors.EVENT_READ)
        deadline = time.monotonic() + START_S
        if not selector.select(deadline - time.monotonic()):
            raise AssertionError(f"receive was not ready within {START_S} s")
    return process.stdout.readline()


def status_of(body: bytes, encoding: Encoding) -> status_pb2.Status:
    """Return the google.rpc.Status in *body*, details included; fail when it is none."""
    from google.protobuf import json_format

    if encoding == "protobuf":
        return status_pb2.Status.FromString(body)
    return json_format.Parse(body, status_pb2.Status())


def violation(status: status_pb2.Status) -> error_details_pb2.BadRequest.FieldViolation | None:
    """Return the first field violation that *status* details."""
    for detail in status.details:
        bad = error_details_pb2.BadRequest()
        if detail.Unpack(bad):
            return bad.field_violations[0]
    return None


def message_of(response: httpx.Response | Answer | None, code: int) -> str:
    """Return the message of an error of status *code*; its body is a Status in the encoding its header states."""
    assert response is not None
    status, body = (
        (response.status, response.body) if isinstance(response, Answer) else (response.status_code, response.content)
    )
    assert status == code, body
    stated = response.headers["content-type"]
    decoded = status_of(body, "protobuf" if stated == "application/x-protobuf" else "json")
    assert stated in ("application/x-protobuf", "application/json")
    assert decoded.code
    assert decoded.message
    return decoded.message
