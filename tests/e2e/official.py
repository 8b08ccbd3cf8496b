"""Official exporters as clients: what each emitted, what it believes was delivered, and what it believes was lost."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import product
from pathlib import Path
from typing import Any, Protocol

import grpc
import polars as pl
from opentelemetry._logs import LogRecord, SeverityNumber
from opentelemetry.exporter.otlp.proto.grpc._log_exporter import OTLPLogExporter as GrpcLogExporter
from opentelemetry.exporter.otlp.proto.grpc.trace_exporter import OTLPSpanExporter as GrpcSpanExporter
from opentelemetry.exporter.otlp.proto.http import Compression
from opentelemetry.exporter.otlp.proto.http._log_exporter import OTLPLogExporter as HttpLogExporter
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter as HttpSpanExporter
from opentelemetry.sdk._logs import LoggerProvider
from opentelemetry.sdk._logs.export import BatchLogRecordProcessor, SimpleLogRecordProcessor
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SimpleSpanProcessor
from opentelemetry.trace import SpanKind

from collector.client import Client

JS = Path(__file__).with_name("js")
EVERY_S = 0.25
NODE = Path(sys.executable).with_name("node")


@dataclass
class Results:
    """What exporters said of the records that they were given, by `client.id`."""

    delivered: list[str] = field(default_factory=list)
    failed: list[str] = field(default_factory=list)


class Family(Protocol):
    """Clients that emit until they are told to finish."""

    def finish(self) -> dict[str, Results]:
        """Stop emitting, flush, and return what became of each client's records."""


class _Counting:
    """An exporter around an official one, that remembers its results."""

    def __init__(self, inner: Any) -> None:
        self._inner = inner
        self.results = Results()

    def export(self, batch: Sequence[Any]) -> Any:
        result = self._inner.export(batch)
        records = [getattr(item, "log_record", item) for item in batch]
        ids = self.results.delivered if result.name == "SUCCESS" else self.results.failed
        ids += [str((record.attributes or {}).get("client.id")) for record in records]
        return result

    def force_flush(self, timeout_millis: int = 10_000) -> bool:
        return bool(self._inner.force_flush(timeout_millis))

    def shutdown(self) -> None:
        self._inner.shutdown()


class PythonClient:
    """One provider of the Python SDK with one exporter."""

    def __init__(self, http: str, grpc_url: str, wire: str, compression: str, processor: str, signal: str) -> None:
        self.label = f"python-{wire}-{compression}-{processor}-{signal}"
        resource = Resource.create({"service.name": "python-worker", "service.version": "1.0.0"})
        if wire == "http":
            packed: Any = Compression.Gzip if compression == "gzip" else Compression.NoCompression
            kind: Any = HttpLogExporter if signal == "logs" else HttpSpanExporter
            self.exporter = _Counting(kind(f"{http}/v1/{signal}", compression=packed))
        else:
            packed = grpc.Compression.Gzip if compression == "gzip" else grpc.Compression.NoCompression
            kind = GrpcLogExporter if signal == "logs" else GrpcSpanExporter
            self.exporter = _Counting(kind(endpoint=grpc_url, insecure=True, compression=packed))
        exporter: Any = self.exporter
        if signal == "logs":
            logs = LoggerProvider(resource=resource, shutdown_on_exit=False)
            logs.add_log_record_processor(
                BatchLogRecordProcessor(exporter, schedule_delay_millis=300)
                if processor == "batch"
                else SimpleLogRecordProcessor(exporter)
            )
            self.provider: LoggerProvider | TracerProvider = logs
            self._logger = logs.get_logger("tasks")
        else:
            spans = TracerProvider(resource=resource, shutdown_on_exit=False)
            spans.add_span_processor(
                BatchSpanProcessor(exporter, schedule_delay_millis=300)
                if processor == "batch"
                else SimpleSpanProcessor(exporter)
            )
            self.provider = spans
            self._tracer = spans.get_tracer("tasks")

    def emit(self, text: str, attributes: dict[str, Any]) -> None:
        """Log *text*, or make a span of that name."""
        if isinstance(self.provider, LoggerProvider):
            self._logger.emit(
                LogRecord(
                    timestamp=time.time_ns(),
                    severity_number=SeverityNumber.INFO,
                    severity_text="INFO",
                    body=text,
                    attributes=attributes,
                )
            )
        else:
            self._tracer.start_span(text, kind=SpanKind.CONSUMER, attributes=attributes).end()


def python_clients(http: str, grpc_url: str) -> list[PythonClient]:
    """Return a client of every combination."""
    ways = product(("http", "grpc"), ("none", "gzip"), ("batch", "simple"), ("logs", "traces"))
    return [PythonClient(http, grpc_url, *way) for way in ways]


class PythonFamily:
    """All Python clients, each in a thread, emitting until told to finish."""

    def __init__(self, http: str, grpc_url: str, story: str, every_s: float, size: int) -> None:
        self._clients = python_clients(http, grpc_url)
        self._stop = threading.Event()
        self._story = story
        self._text = "x" * size
        self._threads = [
            threading.Thread(target=self._run, args=(client, every_s), daemon=True) for client in self._clients
        ]
        for thread in self._threads:
            thread.start()

    def _run(self, client: PythonClient, every_s: float) -> None:
        count = 0
        while not self._stop.wait(every_s):
            count += 1
            client.emit(self._text, {"client.id": f"{self._story}/{client.label}/{count}"})
        client.provider.force_flush()

    def finish(self) -> dict[str, Results]:
        """Stop emitting, flush, and return what became of each client's records."""
        self._stop.set()
        for thread in self._threads:
            thread.join(60)
            assert not thread.is_alive()
        for client in self._clients:
            client.provider.shutdown()
        return {client.label: client.exporter.results for client in self._clients}


class JavaScriptFamily:
    """All JavaScript clients, in one process of Node, emitting until told to finish."""

    def __init__(self, http: str, grpc_url: str, story: str, every_s: float, size: int) -> None:
        self._process = node(http, grpc_url, mode="steady", story=story, everyMs=round(every_s * 1000), bytes=size)
        assert self._process.stdout is not None
        assert json.loads(self._process.stdout.readline()) == {"started": True}

    def finish(self) -> dict[str, Results]:
        """Stop emitting, flush, and return what became of each client's records."""
        out, _ = self._process.communicate(timeout=60)
        assert self._process.returncode == 0
        return {label: Results(**results) for label, results in json.loads(out).items()}


def node(http: str, grpc_url: str, **options: Any) -> subprocess.Popen[str]:
    """Start the JavaScript clients."""
    return subprocess.Popen(
        [str(NODE), str(JS / "clients.mjs"), json.dumps({"http": http, "grpc": grpc_url, **options})],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )


@contextmanager
def families(story: str, http: str, grpc_url: str, size: int = 300) -> Iterator[list[Family]]:
    """Run both families until the block ends, with ids that begin with *story*; `finish` says what they believe."""
    javascript = JavaScriptFamily(http, grpc_url, story, EVERY_S, size)
    try:
        yield [PythonFamily(http, grpc_url, story, EVERY_S, size), javascript]
    finally:
        javascript._process.kill()


@dataclass(frozen=True)
class Verdict:
    """How many records clients believe were delivered, believe were lost, and of those are stored all the same."""

    delivered: int
    failed: int
    stored_though_failed: int


def judge(client: Client, story: str, results: dict[str, Results]) -> dict[str, Verdict]:
    """Check that every record believed delivered is stored exactly once and none twice; return counts by client."""
    answer = client.sql(
        "SELECT attributes->>'client.id' AS id, count(*) AS n FROM"
        " (SELECT attributes FROM logs UNION ALL SELECT attributes FROM spans)"
        f" WHERE starts_with(attributes->>'client.id', '{story}/') GROUP BY ALL"
    )
    assert not answer.truncated
    frame = pl.from_arrow(answer.table)
    assert isinstance(frame, pl.DataFrame)
    stored = dict(frame.iter_rows())
    twice = [id_ for id_, n in stored.items() if n > 1]
    assert not twice, f"{len(twice)} records are stored more than once, such as {twice[:3]}"
    verdicts = {}
    for label, said in results.items():
        lost = [id_ for id_ in said.delivered if id_ not in stored]
        assert not lost, f"{label} believes {len(said.delivered)} delivered; {len(lost)} are lost, such as {lost[:3]}"
        stored_failed = sum(id_ in stored for id_ in said.failed)
        verdicts[label] = Verdict(len(said.delivered), len(said.failed), stored_failed)
        assert said.delivered, f"{label} delivered nothing, so this proves nothing"
    return verdicts
