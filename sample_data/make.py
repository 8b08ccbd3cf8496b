"""Make `synthetic-48h.jsonl.zst`: the workload, logged through the OpenTelemetry Python SDK on a virtual clock.

Usage: python -m sample_data.make [--hours 48] [--out sample_data]. The same seed gives the same bytes.
Every resource carries `runwell.synthetic = true`.
"""

from __future__ import annotations

import argparse
import base64
import gzip
import json
import random
from collections import Counter
from pathlib import Path
from typing import Any

import zstandard
from google.protobuf import json_format
from opentelemetry._logs import LogRecord, SeverityNumber
from opentelemetry.exporter.otlp.proto.common._log_encoder import encode_logs
from opentelemetry.exporter.otlp.proto.common.trace_encoder import encode_spans
from opentelemetry.sdk._logs import LoggerProvider, LogRecordProcessor, ReadableLogRecord, ReadWriteLogRecord
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import ReadableSpan, SpanProcessor, TracerProvider
from opentelemetry.sdk.trace.id_generator import IdGenerator
from opentelemetry.trace import SpanKind, Status, StatusCode, set_span_in_context

from sample_data.workload import HOUR, SAMPLE, Attempt, Run, Story, simulate

SEED = 20261123
START_NS = 1_795_269_600 * 10**9  # 2026-11-21T14:00:00Z
NAME = "synthetic-48h"
_INSTANCES = 2
_FLUSH_S = 600.0


class _Ids(IdGenerator):
    """Seeded ids."""

    def __init__(self, dice: random.Random) -> None:
        self._dice = dice

    def generate_span_id(self) -> int:
        return self._dice.getrandbits(64) or 1

    def generate_trace_id(self) -> int:
        return self._dice.getrandbits(128) or 1


class _KeepLogs(LogRecordProcessor):
    """Keeps finished log records where an exporter would send them."""

    def __init__(self, kept: list[ReadableLogRecord]) -> None:
        self._kept = kept

    def on_emit(self, log_record: ReadWriteLogRecord) -> None:
        self._kept.append(
            ReadableLogRecord(
                log_record=log_record.log_record,
                resource=log_record.resource,
                instrumentation_scope=log_record.instrumentation_scope,
                limits=log_record.limits,
            )
        )

    def shutdown(self) -> None:
        """Nothing to close."""

    def force_flush(self, timeout_millis: int = 30_000) -> bool:
        return True


class _KeepSpans(SpanProcessor):
    """Keeps ended spans where an exporter would send them."""

    def __init__(self, kept: list[ReadableSpan]) -> None:
        self._kept = kept

    def on_end(self, span: ReadableSpan) -> None:
        self._kept.append(span)


class Worker:
    """One process of a service: the SDK with its resource, and what it has logged."""

    def __init__(self, service: str, instance: int, version: str, ids: _Ids) -> None:
        resource = Resource(
            {
                "service.name": service,
                "service.version": version,
                "deployment.environment.name": "production",
                "host.name": f"{service}-{instance}",
                "runwell.synthetic": True,
            }
        )
        self.logs: list[ReadableLogRecord] = []
        self.spans: list[ReadableSpan] = []
        provider = LoggerProvider(resource=resource, shutdown_on_exit=False)
        provider.add_log_record_processor(_KeepLogs(self.logs))
        self.logger = provider.get_logger("tasks")
        tracers = TracerProvider(resource=resource, shutdown_on_exit=False, id_generator=ids)
        tracers.add_span_processor(_KeepSpans(self.spans))
        self.tracer = tracers.get_tracer("tasks")


class Telemetry:
    """Turns runs into log records and spans, each stamped with its virtual time."""

    def __init__(self, hours: float, dice: random.Random, story: Story = SAMPLE, start_ns: int = START_NS) -> None:
        self._end = hours * HOUR
        self._dice = dice
        self._story = story
        self._start_ns = start_ns
        self._ids = _Ids(dice)
        self._workers: dict[tuple[str, int, str], Worker] = {}
        self.violations: Counter[str] = Counter()

    def worker(self, run: Run, at: float) -> Worker:
        """Return the process that does the work of *run* at that time."""
        key = (run.task.service, int(run.run_id[-1], 16) % _INSTANCES, self._story.version(at))
        if key not in self._workers:
            self._workers[key] = Worker(*key, self._ids)
        return self._workers[key]

    def tell(self, run: Run) -> None:
        """Log everything that *run* did until the end of the simulation."""
        for attempt in run.attempts:
            self._attempt(run, attempt)

    def _attempt(self, run: Run, a: Attempt) -> None:
        if a.started_at >= self._end:
            return
        worker = self.worker(run, a.started_at)
        ids = self._ids_of(run, a)
        context = None
        span = None
        if run.task.spans:
            span = worker.tracer.start_span(
                f"process {run.task.task_id}", kind=SpanKind.CONSUMER, attributes=ids, start_time=self._ns(a.started_at)
            )
            context = set_span_in_context(span)

        def log(at: float, phase: str, severity: SeverityNumber = SeverityNumber.INFO, **more: Any) -> None:
            if at >= self._end:
                return
            body = f"{run.task.operation}_{phase}"
            attributes = self._spoil(run, body, {**ids, **more}, phase)
            worker.logger.emit(
                LogRecord(
                    timestamp=self._ns(at),
                    observed_timestamp=self._ns(at) + self._dice.randint(20_000, 900_000),
                    context=context,
                    severity_number=severity,
                    severity_text=severity.name,
                    body=body,
                    attributes=attributes,
                )
            )

        waited = max(0.0, a.started_at - a.queued_at)
        log(a.started_at, "started", queue_wait_ms=round(waited * 1000, 1))
        if run.task.task_id in ("validate-import", "charge-order"):
            log(a.started_at + (a.ended_at - a.started_at) * 0.05, "validating")
        for service, at in a.calls:
            if a.ok or at < a.ended_at:
                log(at, f"calling_{service}")
                if span is not None and at < self._end:
                    called = worker.tracer.start_span(
                        f"POST {service}",
                        context=context,
                        kind=SpanKind.CLIENT,
                        attributes=ids,
                        start_time=self._ns(at),
                    )
                    called.end(self._ns(min(a.ended_at, at + (a.ended_at - at) * 0.8)))
        took = round((a.ended_at - a.started_at) * 1000, 1)
        kind, message, http = run.task.error
        if a.ok:
            log(a.ended_at, "completed", processing_time_ms=took)
        else:
            more = {"http_status": http} if http else {}
            log(
                a.ended_at,
                "failed",
                SeverityNumber.ERROR,
                error_type=kind,
                error_message=message,
                processing_time_ms=took,
                **more,
            )
        if span is not None and a.ended_at < self._end:
            if not a.ok:
                span.set_status(Status(StatusCode.ERROR, message))
                span.add_event(
                    "exception", {"exception.type": kind, "exception.message": message}, timestamp=self._ns(a.ended_at)
                )
            span.end(self._ns(a.ended_at))

    def _ids_of(self, run: Run, a: Attempt) -> dict[str, Any]:
        ids: dict[str, Any] = {
            "correlation_id": run.correlation_id,
            "request_id": run.request_id,
            "run_id": run.run_id,
            "task_id": run.task.task_id,
            "queue": run.task.queue,
            "attempt": a.number,
        }
        if run.parent:
            ids["parent_run_id"] = run.parent.run_id
        return ids

    def _spoil(self, run: Run, body: str, attributes: dict[str, Any], phase: str) -> dict[str, Any]:
        """Break the conventions where the sample is meant to."""
        task = run.task.task_id
        if task == "create-thumbnail" and phase == "completed":
            attributes["imageWidth"] = 320
            self.violations["camelCase key imageWidth (create-thumbnail, _completed)"] += 1
        if task == "reindex-search":
            attributes.pop("request_id")
            self.violations["request_id missing (reindex-search)"] += 1
        if task == "send-newsletter" and phase == "started":
            attributes["reply_to"] = "ada.berg@lumen-letters.eu"
            self.violations["e-mail address in reply_to (send-newsletter, _started)"] += 1
        if task == "sync-crm" and phase == "failed":
            attributes.pop("error_type")
            self.violations["error_type missing (sync-crm, _failed)"] += 1
        return attributes

    def requests(self) -> list[tuple[int, dict[str, Any]]]:
        """Return (time it was sent, OTLP/JSON request) of every batch, in the order they were sent."""
        sent = [(when, to_json(request)) for when, request in self.batches()]
        return sorted(sent, key=lambda pair: (pair[0], json.dumps(pair[1], sort_keys=True)))

    def batches(self) -> list[tuple[int, Any]]:
        """Return (time it was sent, OTLP request) of every batch, and forget what was told so far."""
        sent: list[tuple[int, Any]] = []
        for worker in self._workers.values():
            for kept, when, encode in (
                (worker.logs, lambda r: r.log_record.timestamp, encode_logs),
                (worker.spans, lambda s: s.end_time, encode_spans),
            ):
                batches: dict[int, list[Any]] = {}
                for item in sorted(kept, key=when):
                    batches.setdefault((when(item) - self._start_ns) // int(_FLUSH_S * 1e9), []).append(item)
                sent.extend((when(batch[-1]), encode(batch)) for batch in batches.values())
                kept.clear()
        return sent

    def _ns(self, at: float) -> int:
        return self._start_ns + int(at * 1e9)


def to_json(request: Any) -> dict[str, Any]:
    """Return a protobuf request as OTLP/JSON: protobuf's own JSON, but ids in hex and enums as numbers."""
    tree: dict[str, Any] = json_format.MessageToDict(request, use_integers_for_enums=True)
    stack: list[Any] = [tree]
    while stack:
        item = stack.pop()
        if isinstance(item, list):
            stack.extend(item)
        elif isinstance(item, dict):
            for key in ("traceId", "spanId", "parentSpanId"):
                if isinstance(item.get(key), str):
                    item[key] = base64.b64decode(item[key]).hex()
            stack.extend(item.values())
    return tree


def _ns(at: float) -> int:
    return START_NS + int(at * 1e9)


def truth(run: Run, end: float) -> dict[str, Any] | None:
    """Return what happened to a run as far as *end*, None when it left no telemetry."""
    seen = [a for a in run.attempts if a.started_at < end]
    if not seen:
        return None
    last = seen[-1]
    final = last.ok or last.number == run.task.retry.attempts
    ended = last.ended_at < end
    return {
        "run_id": run.run_id,
        "task": run.task.task_id,
        "queue": run.task.queue,
        "parent_run_id": run.parent.run_id if run.parent else None,
        "status": ("completed" if last.ok else "failed") if ended and final else "open",
        "triggered_ns": _ns(run.triggered_at),
        "attempts": [
            {
                "number": a.number,
                "queued_ns": _ns(a.queued_at),
                "started_ns": _ns(a.started_at),
                "ended_ns": _ns(a.ended_at) if a.ended_at < end else None,
                "ok": a.ok if a.ended_at < end else None,
            }
            for a in seen
        ],
    }


def make(hours: float, out: Path, name: str = NAME) -> dict[str, Any]:
    """Write recording and truth into *out* and return counts."""
    dice = random.Random(SEED)
    runs = simulate(hours, dice)
    telemetry = Telemetry(hours, dice)
    for run in runs:
        telemetry.tell(run)
    requests = telemetry.requests()
    lines = "".join(json.dumps(request, separators=(",", ":")) + "\n" for _, request in requests).encode()
    told = [t for run in runs if (t := truth(run, hours * HOUR)) is not None]
    facts = "".join(json.dumps(t, separators=(",", ":")) + "\n" for t in told).encode()
    packed = zstandard.ZstdCompressor(level=19).compress(lines)
    (out / f"{name}.jsonl.zst").write_bytes(packed)
    (out / f"{name}.truth.jsonl.gz").write_bytes(gzip.compress(facts, 9, mtime=0))
    return {
        "runs": len(told),
        "requests": len(requests),
        "bytes": len(lines),
        "compressed_bytes": len(packed),
        "status": dict(Counter(t["status"] for t in told)),
        "attempts": sum(len(t["attempts"]) for t in told),
        "violations": dict(telemetry.violations),
    }


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="Make the synthetic sample data.")
    parser.add_argument("--hours", type=float, default=48.0)
    parser.add_argument("--out", type=Path, default=Path(__file__).parent)
    given = parser.parse_args()
    print(json.dumps(make(given.hours, given.out), indent=2))
