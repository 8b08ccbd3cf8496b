"""Clients as OTLP's are: each sends a request again until it is answered, or gives up; some send twice."""

from __future__ import annotations

import gzip
import threading
import time
from collections.abc import Callable
from contextlib import AbstractContextManager
from random import Random
from types import TracebackType

import grpc
import httpx
from google.rpc import code_pb2
from oracle import Issued, Oracle, Wire

from collector.model.signals import Encoding
from collector.otlp.answers import CONTENT_TYPES

KINDS: tuple[tuple[Wire, Encoding, bool], ...] = (
    ("http", "protobuf", False),
    ("http", "protobuf", True),
    ("http", "json", True),
    ("grpc", "protobuf", False),
    ("grpc", "protobuf", True),
)
RETRY = frozenset({grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.DEADLINE_EXCEEDED, grpc.StatusCode.CANCELLED})


class Refusal(Exception):
    """The collector said something that no retry will change."""


class Sender:
    """One client of one kind. *where* gives the current address of a wire."""

    def __init__(self, where: Callable[[str], str], wire: Wire) -> None:
        self._http = httpx.Client(base_url=where("http"), timeout=10, trust_env=False) if wire == "http" else None
        self._channel = grpc.insecure_channel(
            where("grpc").removeprefix("http://"),
            options=[
                ("grpc.initial_reconnect_backoff_ms", 100),
                ("grpc.max_reconnect_backoff_ms", 500),
                ("grpc.use_local_subchannel_pool", 1),
            ],
        )

    def send(self, request: Issued) -> bool:
        """Return whether the request was acknowledged; False means try again."""
        return self._post(request) if request.wire == "http" else self._call(request)

    def _post(self, request: Issued) -> bool:
        assert self._http is not None
        headers = {"content-type": CONTENT_TYPES[request.encoding]}
        body = request.body
        if request.gzip:
            headers["content-encoding"] = "gzip"
            body = gzip.compress(body, 1)
        try:
            answer = self._http.post(request.signal.path, content=body, headers=headers)
        except httpx.TransportError:
            return False
        if answer.status_code == 503:
            assert answer.headers["retry-after"].isdigit()
            return False
        if answer.status_code != 200 or answer.content not in (b"", b"{}"):
            raise Refusal(f"{answer.status_code} {answer.content[:200]!r}")
        return True

    def _call(self, request: Issued) -> bool:
        export = self._channel.unary_unary(f"/{request.signal.grpc_service}/Export")
        compression = grpc.Compression.Gzip if request.gzip else grpc.Compression.NoCompression
        try:
            answer = export(request.body, timeout=10, compression=compression)
        except grpc.RpcError as e:
            if e.code() in RETRY:  # type: ignore[attr-defined]
                return False
            raise Refusal(f"{e.code()} {e.details()}") from None  # type: ignore[attr-defined]
        if answer:
            raise Refusal(f"{code_pb2.OK} {answer[:200]!r}")
        return True

    def close(self) -> None:
        """Close connections."""
        if self._http is not None:
            self._http.close()
        self._channel.close()


class Load(AbstractContextManager["Load"]):
    """Clients of every kind at once, until the block ends; then each finishes what it has begun."""

    def __init__(self, oracle: Oracle, where: Callable[[str], str], seed: int, pause_s: float = 0.03) -> None:
        self._oracle = oracle
        self._where = where
        self._pause_s = pause_s
        self._stop = threading.Event()
        self._acks = threading.Condition()
        self.last_begun = 0.0
        """When the newest of the acknowledged requests was first sent, by the monotonic clock."""
        self.failures: list[BaseException] = []
        self._threads = [
            threading.Thread(target=self._run, args=(kind, Random(f"{seed}/client/{i}")), daemon=True)
            for i, kind in enumerate(KINDS)
        ]

    def __enter__(self) -> Load:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stop.set()
        for thread in self._threads:
            thread.join(timeout=60)
            assert not thread.is_alive(), "a client never got an answer"
        if self.failures and error is None:
            raise self.failures[0]

    def acknowledged_since(self, moment: float, seconds: float) -> float:
        """Wait for an acknowledgement of a request first sent after *moment*; return the seconds since then."""
        with self._acks:
            done = self._acks.wait_for(lambda: self.failures or self.last_begun > moment, timeout=seconds)
        if self.failures:
            raise self.failures[0]
        assert done, f"no new request was acknowledged within {seconds} s"
        return time.monotonic() - moment

    def _run(self, kind: tuple[Wire, Encoding, bool], random: Random) -> None:
        wire, encoding, compressed = kind
        sender = Sender(self._where, wire)
        again: list[Issued] = []
        try:
            while not self._stop.is_set():
                self._deliver(sender, self._oracle.issue(wire, encoding, compressed), random, again)
                if len(again) > 5:  # the answer to it is taken for lost: it is sent once more, much later
                    self._deliver(sender, again.pop(0), random, [])
                self._stop.wait(random.uniform(0, 2 * self._pause_s))
        except BaseException as e:
            with self._acks:
                self.failures.append(e)
                self._acks.notify_all()
        finally:
            sender.close()

    def _deliver(self, sender: Sender, request: Issued, random: Random, again: list[Issued]) -> None:
        begun = time.monotonic()
        while not sender.send(request):
            if random.random() < 0.05:
                return  # gives up, as clients do: it may be kept or not
            time.sleep(random.uniform(0.05, 0.2))
            begun = time.monotonic()
        self._oracle.acknowledge(request)
        if random.random() < 0.05:
            again.append(request)
        with self._acks:
            self.last_begun = max(self.last_begun, begun)
            self._acks.notify_all()
