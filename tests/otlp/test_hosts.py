"""`Host` on the OTLP/HTTP port, against a real receive process: a page whose name leads here can send nothing."""

from __future__ import annotations

import pytest
from google.rpc import status_pb2

from tests.otlp.receiver import Receiver

PATHS = [
    "POST /v1/logs",
    "POST /v1/traces",
    "GET /healthz",
    "GET /readyz",
    "GET /metrics",
    "GET /nowhere",
    "OPTIONS /v1/logs",
]


@pytest.mark.parametrize("asked", PATHS)
@pytest.mark.parametrize(
    ("lines", "status"),
    [
        (b"Host: evil.example:4318\r\n", 421),
        (b"", 400),
        (b"Host:\r\n", 400),
        (b"Host: localhost\r\nHost: localhost\r\n", 400),
        (b"Host: a b\r\n", 400),
    ],
)
def test_only_who_knows_its_name_is_served(receiver: Receiver, asked: str, lines: bytes, status: int) -> None:
    """Every path answers a google.rpc.Status in the request's encoding: 421 with the line to add, 400 for no host."""
    head = b"%s HTTP/1.1\r\n%sContent-Type: application/x-protobuf\r\nContent-Length: 0\r\n\r\n" % (
        asked.encode(),
        lines,
    )
    answer = receiver.ask(head)
    assert answer is not None
    assert (answer.status, answer.headers["content-type"]) == (status, "application/x-protobuf")
    said = status_pb2.Status.FromString(answer.body)
    assert ('hosts = ["evil.example"]' in said.message) == (status == 421)
    assert (said.code, "Host" in said.message) == (7 if status == 421 else 3, True)


@pytest.mark.parametrize("host", ["localhost", "LOCALHOST.:1", "127.1.2.3", "[::1]:4318"])
def test_this_machine_is_served_by_each_of_its_names(receiver: Receiver, host: str) -> None:
    """Any loopback name, at any port: tunnels and port mappings have others than the port listens at."""
    head = f"POST /v1/logs HTTP/1.1\r\nHost: {host}\r\nContent-Type: application/json\r\nContent-Length: 2\r\n\r\n{{}}"
    answer = receiver.ask(head.encode())
    assert answer is not None
    assert answer.status == 200
