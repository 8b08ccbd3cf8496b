"""What a second sender feels beside one that sends heavy bodies over and over: its p99 then against its p99 alone.

`python -m bench.fair [--seconds 10] [NAME …]` prints Markdown. Receive runs alone, without a store; the heavy sender is
a process of its own on one connection, or as many as its kind says; the light one sends 20 small requests a second.
"""

from __future__ import annotations

import argparse
import gzip
import http.client
import json
import math
import multiprocessing
import os
import struct
import tempfile
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import psutil
import zstandard

from bench.gate import body as ordinary
from bench.gate import running
from collector.otlp.answers import CONTENT_TYPES
from collector.settings import Settings

RATE_S = 0.05
"""Between one request of the light sender and the next."""
MIB = 2**20


@dataclass(frozen=True)
class Heavy:
    """A kind of heavy body, and by how many connections it is sent at once."""

    encoding: str
    packing: str
    make: Callable[[], bytes]
    path: str = "/v1/logs"
    at_once: int = 1


def field(number: int, content: bytes) -> bytes:
    """Return a protobuf field of bytes."""
    return _varint(number << 3 | 2) + _varint(len(content)) + content


def _varint(value: int) -> bytes:
    out = bytearray()
    while value > 127:
        out.append(value & 127 | 128)
        value >>= 7
    return bytes([*out, value])


def empty_records(count: int) -> bytes:
    """Return a request of records without anything in them."""
    return field(1, field(2, field(2, b"") * count))


def in_json(records: bytes) -> bytes:
    """Return an OTLP/JSON request of *records*."""
    return b'{"resourceLogs":[{"scopeLogs":[{"logRecords":[' + records + b"]}]}]}"


def plain_json(count: int) -> bytes:
    """Return *count* ordinary records of 280 bytes in OTLP/JSON."""
    record = {
        "timeUnixNano": str(time.time_ns()),
        "body": {"stringValue": "work_started"},
        "attributes": [
            {"key": "run_id", "value": {"stringValue": "run_%d"}},
            {"key": "note", "value": {"stringValue": "x" * 100}},
        ],
    }
    text = json.dumps(record)
    return in_json(",".join(text.replace("%d", str(i)) for i in range(count)).encode())


def numbers(count: int) -> bytes:
    """Return a metric in OTLP/JSON with numbers that take 7 us each to convert."""
    head = b'{"resourceMetrics":[{"scopeMetrics":[{"metrics":[{"gauge":{"dataPoints":[{"bucketCounts":['
    return head + b",".join([b"1e-320"] * count) + b"]}]}}]}]}]}"


def exemplars(count: int) -> bytes:
    """Return a metric with many exemplars."""
    return field(1, field(2, field(2, field(5, field(1, field(5, b"") * count)))))


KINDS: dict[str, Heavy] = {
    "80,000 gzip members": Heavy("protobuf", "gzip", lambda: gzip.compress(b"") * 80_000),
    "200,000 gzip members": Heavy("protobuf", "gzip", lambda: gzip.compress(b"") * 200_000),
    "1,000 gzip members of 60 kB": Heavy("protobuf", "gzip", lambda: gzip.compress(os.urandom(60_000), 0) * 1_000),
    "80,000 zstd frames to skip": Heavy("protobuf", "zstd", lambda: struct.pack("<II", 0x184D2A50, 0) * 80_000),
    "16 MB of JSON": Heavy("json", "", lambda: plain_json(60_000)),
    "16 MB of JSON, zstd": Heavy("json", "zstd", lambda: zstandard.compress(plain_json(60_000))),
    "60,000 empty records": Heavy("protobuf", "", lambda: empty_records(60_000)),
    "60,000 empty records in JSON": Heavy("json", "", lambda: in_json(b",".join([b"{}"] * 60_000))),
    "1,400 empty records, 16 at once": Heavy("protobuf", "", lambda: empty_records(1_400), at_once=16),
    "64 MiB of unknown fields": Heavy("protobuf", "", lambda: b"\x78\x01" * (32 * MIB - 99) + empty_records(1)),
    "256 kB of unknown fields, 8 at once": Heavy("protobuf", "", lambda: b"\x78\x01" * 131_000, at_once=8),
    "slow numbers, 7 MB": Heavy("json", "", lambda: numbers(10**6), "/v1/metrics"),
    "slow numbers, 60 kB, 8 at once": Heavy("json", "", lambda: numbers(8_500), "/v1/metrics", 8),
    "300,000 exemplars": Heavy("protobuf", "", lambda: exemplars(300_000), "/v1/metrics"),
    "512 ordinary records, 8 at once": Heavy("protobuf", "", lambda: ordinary(512, 0), at_once=8),
}


def flood(port: int, name: str, stop: float) -> None:
    """Send a kind of heavy body over and over until *stop*, by the monotonic clock; each is another request."""
    kind = KINDS[name]
    body = kind.make()
    threads = [threading.Thread(target=_flood, args=(port, kind, body, n, stop)) for n in range(kind.at_once)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def _flood(port: int, kind: Heavy, body: bytes, thread: int, stop: float) -> None:
    number = thread * 10**6
    while time.monotonic() < stop:
        with suppress(OSError, http.client.HTTPException):
            connection = http.client.HTTPConnection("127.0.0.1", port, timeout=120)
            while time.monotonic() < stop:
                number += 1
                post(connection, kind, other(kind, body, number))
            connection.close()


def other(kind: Heavy, body: bytes, number: int) -> bytes:
    """Return *body* as a request that nobody sent before: another one behind it that only holds its number."""
    more = b" " * (number % 1_000) if kind.encoding == "json" else field(1, field(3, str(number).encode()))
    if kind.packing == "gzip":
        return body + gzip.compress(more)
    return body + (zstandard.compress(more) if kind.packing else more)


def post(connection: http.client.HTTPConnection, kind: Heavy, body: bytes) -> int:
    """Return the status of the answer."""
    headers = {"content-type": CONTENT_TYPES[kind.encoding]}  # type: ignore[index]
    if kind.packing:
        headers["content-encoding"] = kind.packing
    connection.request("POST", kind.path, body, headers)
    answer = connection.getresponse()
    answer.read()
    return answer.status


def light(port: int, seconds: float, first: int) -> tuple[list[float], int]:
    """Return how long each small request took, in ms from when it was due, and how many were not taken."""
    took: list[float] = []
    refused = 0
    kinds = (Heavy("protobuf", "gzip", lambda: b""), Heavy("json", "", lambda: b""))
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
    began = time.monotonic()
    for number in range(int(seconds / RATE_S)):
        due = began + number * RATE_S
        time.sleep(max(0.0, due - time.monotonic()))
        kind = kinds[number % 2]
        record = json.dumps({"body": {"stringValue": f"small {first + number}"}}).encode()
        body = in_json(record) if kind.encoding == "json" else gzip.compress(ordinary(1, first + number))
        due = max(due, time.monotonic())  # who waits for an answer sends no more meanwhile
        refused += post(connection, kind, body) != 200
        took.append((time.monotonic() - due) * 1e3)
    return took, refused


def p(share: float, took: list[float]) -> float:
    """Return a percentile of *took*."""
    return sorted(took)[math.ceil(share * len(took)) - 1]


def pss(process: psutil.Process) -> int:
    """Return the proportional set size of a process and its children, in MiB."""
    total = 0
    for one in (process, *process.children(recursive=True)):
        with suppress(psutil.Error):
            total += one.memory_full_info().pss
    return total >> 20


def main() -> None:
    """Measure the kinds that the command line names, all by default."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("names", nargs="*", metavar="NAME", help=", ".join(KINDS))
    parser.add_argument("--seconds", type=float, default=10)
    args = parser.parse_args()
    print("| beside | p50 ms alone, beside | p99 ms alone, beside | p99 ratio | most ms | refused | PSS MiB |")
    print("|---|---|---|---|---|---|---|")
    with tempfile.TemporaryDirectory() as directory:
        settings = Settings(data=Path(directory), http_port=0, grpc_port=0)
        with running("receive", settings) as (receive, port):
            light(port, 1, 0)
            for number, name in enumerate(args.names or KINDS):
                alone, _ = light(port, args.seconds, 10**6 * (2 * number + 1))
                stop = time.monotonic() + args.seconds + 3
                sender = multiprocessing.get_context("spawn").Process(target=flood, args=(port, name, stop))
                sender.start()
                time.sleep(2.5)  # it makes its body first
                beside, refused = light(port, args.seconds, 10**6 * (2 * number + 2))
                most = pss(receive)
                sender.join(timeout=120)
                ratio = p(0.99, beside) / p(0.99, alone)
                middle = f"{p(0.5, alone):.1f}, {p(0.5, beside):.1f}"
                print(
                    f"| {name} | {middle} | {p(0.99, alone):.1f}, {p(0.99, beside):.1f} | {ratio:.1f} "
                    f"| {max(beside):.0f} | {refused} | {most} |",
                    flush=True,
                )


if __name__ == "__main__":
    main()
