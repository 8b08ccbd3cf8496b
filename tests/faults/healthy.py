"""A team whose logging is as it should be: whole runs, of which is known what must be made of them."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from random import Random

from opentelemetry._logs import LogRecord, SeverityNumber
from opentelemetry.exporter.otlp.proto.http._log_exporter import OTLPLogExporter
from opentelemetry.sdk._logs import LoggerProvider
from opentelemetry.sdk._logs.export import InMemoryLogRecordExporter, LogRecordExportResult, SimpleLogRecordProcessor
from opentelemetry.sdk.resources import Resource

from collector.client import Client

SECOND = 10**9
EACH = 20
"""Runs sent together."""


@dataclass(frozen=True)
class Run:
    """What was done: how each attempt ended, and when the run began and ended."""

    run_id: str
    ends: tuple[str, ...]
    started_ns: int
    ended_ns: int


class Team(threading.Thread):
    """Sends whole runs by the official exporter, from its own clock, until it is told to stop."""

    def __init__(self, where: Callable[[str], str], seed: int) -> None:
        super().__init__(name="healthy-team", daemon=True)
        self._where = where
        self._random = Random(f"{seed}/healthy")
        self.stopped = threading.Event()
        self.kept: list[Run] = []
        """Runs all of whose records were acknowledged."""
        self.failure: BaseException | None = None

    def run(self) -> None:
        """Send, and send again what was not taken, as the exporter's users do."""
        memory = InMemoryLogRecordExporter()
        provider = LoggerProvider(resource=Resource({"service.name": "healthy"}))
        provider.add_log_record_processor(SimpleLogRecordProcessor(memory))
        logger = provider.get_logger("healthy")
        try:
            for number in range(10**9):
                if self.stopped.is_set():
                    return
                # Old enough that nothing waits for a retry any more.
                base = time.time_ns() - 3_600 * SECOND
                runs = [self._do(logger.emit, f"healthy-{number}-{i}", base + i * SECOND) for i in range(EACH)]
                exporter = OTLPLogExporter(endpoint=f"{self._where('http')}/v1/logs", timeout=30)
                while exporter.export(memory.get_finished_logs()) is not LogRecordExportResult.SUCCESS:
                    time.sleep(0.2)
                exporter.shutdown()
                self.kept += runs
                memory.clear()
                self.stopped.wait(self._random.uniform(0.2, 1.0))
        except BaseException as e:
            self.failure = e

    def _do(self, emit: Callable[[LogRecord], None], run_id: str, began_ns: int) -> Run:
        ends = self._random.choice((("completed",), ("completed",), ("failed", "completed"), ("failed", "failed")))
        at = began_ns
        for attempt, end in enumerate(ends, 1):
            for phase, severity in (("started", SeverityNumber.INFO), (end, SeverityNumber.INFO)):
                about = {
                    "run_id": run_id,
                    "task_id": "healthy-task",
                    "attempt": attempt,
                    "queue": "healthy-queue",
                    "correlation_id": f"order-{run_id}",
                    "request_id": f"request-{run_id}",
                }
                emit(LogRecord(timestamp=at, severity_number=severity, body=f"order_pack_{phase}", attributes=about))
                at += self._random.randrange(1, 20) * SECOND // 10
        return Run(run_id, ends, began_ns, at)


def judge(client: Client, runs: list[Run]) -> None:
    """Check that each of *runs* is what its records say: its status, attempts and operation, and when it began."""
    rows = client.sql(
        "SELECT run_id, status, attempt_count, started_ns FROM runs WHERE task_id = 'healthy-task'"
    ).table.to_pylist()
    stored = {row["run_id"]: row for row in rows}
    assert len(rows) == len(stored), "a run is there twice"
    wrong = []
    for run in runs:
        row = stored.get(run.run_id)
        right = (run.ends[-1], len(run.ends), run.started_ns)
        if row is None or (row["status"], row["attempt_count"], row["started_ns"]) != right:
            wrong.append((run, row))
    assert not wrong, f"{len(wrong)} of {len(runs)} healthy runs are not what was sent, such as {wrong[0]}"
