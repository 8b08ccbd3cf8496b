"""B5, F6: large bodies are decoded in a process of their own, of which nothing else depends."""

from __future__ import annotations

import gzip
import os
import signal
import threading
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import grpc
import httpx
import psutil
import pytest

from collector.model.signals import LOGS
from collector.settings.memory import LEAST
from tests.otlp.receiver import Receiver, message_of, receiving
from tests.otlp.telemetry import encode, ld, logs
from tests.stack import until

MANY = 5_000
"""Records that are too much work to be decoded in receive."""
SLOW = b'{"resourceMetrics":[{"scopeMetrics":[{"metrics":[{"gauge":{"dataPoints":[{"bucketCounts":[%s1]}]}}]}]}]}' % (
    b"1e-320," * 600_000
)
"""Numbers that take 7 us each."""


@pytest.fixture(scope="module")
def one(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Receiver]:
    """A receive process that gives a body two seconds, and has decoded one."""
    with receiving(tmp_path_factory.mktemp("apart") / "data", limits={"cpu_time": 2}) as made:
        assert made.post("/v1/logs", records(MANY, "first"), "protobuf").status_code == 200
        yield made


def records(count: int, word: str) -> bytes:
    """Return a protobuf body of so many records, each named after *word*."""
    return ld(1, ld(2, b"".join(ld(2, ld(5, ld(1, f"{word}_{i}".encode()))) for i in range(count))))


def metric(receiver: Receiver, name: str) -> float:
    """Return a number that receive tells of itself."""
    lines = httpx.get(f"{receiver.url}/metrics", trust_env=False).text.splitlines()
    return next(float(line.split()[1]) for line in lines if line.startswith(f"runwell_receive_{name} "))


def restarts(receiver: Receiver) -> float:
    """Return how often the decode process ended by itself."""
    return metric(receiver, "decode_restarts_total")


def decoder(receiver: Receiver) -> psutil.Process:
    """Return the decode process."""
    return until(lambda: next(iter(psutil.Process(receiver.process.pid).children()), None), why="a decode process")


class Sending:
    """A request that is being answered in a thread."""

    def __init__(self, receiver: Receiver, body: bytes) -> None:
        self.answer: httpx.Response | None = None
        self._thread = threading.Thread(target=self._send, args=(receiver, body))
        self._thread.start()

    def _send(self, receiver: Receiver, body: bytes) -> None:
        headers = {"content-type": "application/x-protobuf"}
        with suppress(httpx.TransportError):
            url = f"{receiver.url}/v1/logs"
            self.answer = httpx.post(url, content=body, headers=headers, timeout=60, trust_env=False)

    def join(self) -> None:
        """Wait for what becomes of it."""
        self._thread.join(timeout=60)

    def status(self) -> int:
        """Return the status of the answer, once there is one."""
        self._thread.join(timeout=60)
        assert self.answer is not None
        return self.answer.status_code


def test_b5_others_are_answered_while_a_large_body_is_decoded(one: Receiver) -> None:
    """Small requests, health and metrics, however long it takes; then it is answered too, and stored whole."""
    stopped = decoder(one)
    stopped.send_signal(signal.SIGSTOP)
    large = Sending(one, records(MANY, "second"))
    for _ in range(20):
        assert one.post("/v1/logs", encode(logs(), "json"), "json").status_code == 200
        assert httpx.get(f"{one.url}/readyz", trust_env=False).status_code == 200
    assert large.answer is None
    stopped.send_signal(signal.SIGCONT)
    assert large.status() == 200
    bodies = [row["body"] for row in one.rows("logs")]
    assert sum(str(body).startswith("second_") for body in bodies) == MANY


def test_f3_a_body_whose_sender_went_away_is_held_until_it_is_decided(one: Receiver) -> None:
    """Who gives up call after call while others are decoded has no more held than `limits.in_flight` says."""
    body = records(MANY, "gone") + ld(99, b"x" * 2**20)
    stopped = decoder(one)
    stopped.send_signal(signal.SIGSTOP)
    try:
        with grpc.insecure_channel(f"127.0.0.1:{one.grpc_port}") as channel:
            for count in (1, 2, 3):
                call = channel.unary_unary(f"/{LOGS.grpc_service}/Export").future(body + ld(98, b"x" * count))
                until(lambda: metric(one, "in_flight_bytes") >= count * len(body))  # noqa: B023
                call.cancel()
        with suppress(httpx.HTTPError):
            one.post("/v1/logs", encode(logs(), "json"), "json")  # by now the calls are known to have ended
        assert metric(one, "in_flight_bytes") >= 3 * len(body)
    finally:
        stopped.send_signal(signal.SIGCONT)
    until(lambda: metric(one, "in_flight_bytes") == 0)


def test_b5_what_large_bodies_took_is_given_back(one: Receiver) -> None:
    """Of those that were stored and those that were refused receive keeps no more than of one."""
    receive = psutil.Process(one.process.pid)
    before = receive.memory_info().rss
    for number in range(4):
        text = os.urandom(15 * 2**20).hex().encode()
        records = b"".join(ld(2, ld(3, text[at : at + 2**16])) for at in range(0, len(text), 2**16))
        body = ld(1, ld(2, records)) + (b"" if number % 2 else b"\x0a")
        assert one.post("/v1/logs", body, "protobuf").status_code == (200 if number % 2 else 400)
    assert one.post("/v1/logs", encode(logs(), "json"), "json").status_code == 200  # SQLite keeps what was written last
    until(lambda: receive.memory_info().rss < before + 128 * 2**20, seconds=15, why="it to give back what they took")


def test_f6_a_body_is_stored_once_though_its_decode_process_is_killed(one: Receiver) -> None:
    """It is decoded again from the start; one that kills it twice is told to come again, and nothing of it is kept."""
    before = restarts(one)
    for kills, status in ((1, 200), (2, 503), (0, 200)):
        seen = -1
        process = decoder(one) if kills else None
        if process is not None:
            process.send_signal(signal.SIGSTOP)
        large = Sending(one, records(MANY, f"kill{kills}"))
        for n in range(kills):
            assert process is not None
            seen = process.pid
            if n:
                until(lambda: psutil.Process(seen).cpu_times().user > 0, why="it to begin")  # noqa: B023
            os.kill(seen, signal.SIGKILL)
            if n + 1 < kills:
                process = until(
                    lambda: next((p for p in psutil.Process(one.process.pid).children() if p.pid != seen), None)  # noqa: B023
                )
                process.send_signal(signal.SIGSTOP)
                process.send_signal(signal.SIGCONT)
        assert large.status() == status
    bodies = [str(row["body"]).partition("_")[0] for row in one.rows("logs")]
    assert {word: bodies.count(word) for word in ("first", "kill0", "kill1", "kill2")} == {
        "first": MANY,
        "kill0": MANY,
        "kill1": MANY,
        "kill2": 0,
    }
    assert restarts(one) == before + 3


def test_f7_no_decode_process_outlives_receive(tmp_path: Path) -> None:
    """Killed or told to stop in the middle of a body, receive takes it along."""
    for number in (signal.SIGKILL, signal.SIGTERM):
        with receiving(tmp_path / f"{number}") as made:
            large = Sending(made, records(60_000, "late"))
            loaded = decoder(made)
            both = until(lambda: [loaded, *loaded.children()][:2] if loaded.children() else None)  # noqa: B023
            made.process.send_signal(number)
            _, alive = psutil.wait_procs(both, timeout=10)
            assert not alive
            large.join()


def test_b5_a_body_has_so_much_time_and_memory_and_others_are_not_hit(tmp_path: Path) -> None:
    """413 with the name of the setting; what comes next has all of both."""
    limits = {"cpu_time": 2}
    with receiving(tmp_path / "data", limits=limits, memory=LEAST) as one:  # which a slow machine reaches in time too
        answer = one.post("/v1/metrics", SLOW, "json")
        assert "limits.cpu_time" in message_of(answer, 413)
        exemplars = ld(1, ld(2, ld(2, ld(5, ld(1, ld(5, b"") * 700_000)))))
        assert "memory" in message_of(one.post("/v1/metrics", exemplars, "protobuf"), 413)
        environment = ld(1, ld(1, ld(1, b"deployment.environment.name") + ld(2, ld(1, b"e" * 2**14))))
        kept_with_each = ld(1, environment + ld(2, ld(2, b"") * 20_000))
        assert "memory" in message_of(one.post("/v1/logs", kept_with_each, "protobuf"), 413)
        for n in range(3):
            assert one.post("/v1/logs", records(MANY, f"after{n}"), "protobuf").status_code == 200
        assert one.alive()


def test_f6_large_bodies_are_known_again_in_whatever_packing(one: Receiver) -> None:
    """One that came before is answered as it was and stored once, before a restart of the decode process or after."""
    body = records(MANY, "again")
    for packing, packed in (("", body), ("gzip", gzip.compress(body)), ("", body)):
        answer = one.post("/v1/logs", packed, "protobuf", content_encoding=packing or "identity")
        assert answer.status_code == 200
    assert sum(str(row["body"]).startswith("again_") for row in one.rows("logs")) == MANY
