"""Trigger.dev v4, as its worker sends it: context under `$metadata.`, environment on the resource.

User properties are un-prefixed and may be called `run_id` or `attempt`: they are never the run's.
"""

from __future__ import annotations

import re

from collector.decode.dialects.base import Attributes, Dialect, SpanFacts, Suspension, boolean, text
from collector.model import ids
from collector.model.units import MINUTE_NS, SECOND_NS

SCOPES = frozenset({"trigger-dev-worker", "@trigger.dev/sdk"})

_NOISE = re.compile(
    r"^\[\d{4}-[^\]]*Z\] (?:resolveWaitpoint|no resolver found)|^Called cancel hooks in|"
    r"^Waits of 5s or less"
)
_WAITS = {
    "wait.for()": "for",
    "wait.until()": "until",
    "wait.forToken()": "token",
    "triggerAndWait()": "child",
    "batchTriggerAndWait()": "batch",
    "batch.triggerAndWait()": "batch",
    "batch.triggerByTaskAndWait()": "batch",
}


def _context(key: str) -> tuple[str, ...]:
    return (f"$metadata.{key}", key)


def owns_resource(resource: Attributes) -> bool:
    """Tell whether a resource is a Trigger.dev worker's."""
    return boolean(resource.get("$trigger")) is True


def owns_record(attributes: Attributes) -> bool:
    """Tell whether a record carries a Trigger.dev run context."""
    return "$metadata.ctx.run.id" in attributes


def _span_facts(name: str, kind: int, a: Attributes) -> SpanFacts:
    icon = a.get("$style.icon")
    icon = icon if isinstance(icon, str) else ""
    wait = _WAITS.get(name)
    if boolean(a.get("$span.attempt")) is True:
        span_type = "attempt"
    elif icon == "task-fn-run":
        span_type = "run"
    elif icon.startswith("task-hook") or icon.startswith("task-middleware"):
        span_type = "hook"
    elif icon == "trigger":
        span_type = "trigger"
    elif icon == "wait" or (wait and wait not in ("child", "batch")):
        span_type = "wait"
    elif name.startswith("retry."):
        span_type = "retry"
    else:
        span_type = "call" if kind == 3 else "user"
    triggers = span_type == "trigger"
    partial = boolean(a.get("$span.partial")) is True
    return SpanFacts(
        span_type=span_type,
        wait_kind=wait,
        child_run_id=text(a.get("runId")) if triggers else None,
        child_task_id=text(a.get("$style.accessory.items.[0].text")) if triggers else None,
        child_batch_id=text(a.get("batchId")) if triggers else None,
        is_partial=partial,
        real_span_id=text(a.get("$span.span_id")) if partial else None,
        tags=_tags(name, a),
    )


def _tags(name: str, a: Attributes) -> list[str] | None:
    stated = a.get("ctx.run.tags", a.get("$metadata.ctx.run.tags"))
    tags = [t for t in stated if isinstance(t, str)] if isinstance(stated, list) else []
    if name in ("tags.set()", "tags.add()"):
        for i in range(10):
            tag = text(a.get(f"$style.accessory.items.[{i}].text"))
            if tag is None:
                break
            tags.append(tag)
    return tags or None


def _log_source(severity_text: str, body: str | None) -> str | None:
    if body is not None and body[:1] in "[CW" and _NOISE.match(body):
        return "platform"
    if not severity_text:
        return None
    return "console" if severity_text[0].isupper() else "logger"


DIALECT = Dialect(
    name="trigger_dev",
    record={
        "run_id": _context("ctx.run.id"),
        "task_id": _context("ctx.task.id"),
        "task_file": _context("ctx.task.filePath"),
        "attempt": _context("ctx.attempt.number"),
        "queue": _context("ctx.queue.name"),
        "environment": _context("ctx.environment.type"),
        "platform_project": (*_context("ctx.project.ref"), *_context("ctx.project.id")),
        "version": _context("worker.version"),
        "machine": _context("ctx.machine.name"),
        "batch_id": _context("ctx.batch.id"),
        "idempotency_key": _context("ctx.run.idempotencyKey"),
        "is_test": _context("ctx.run.isTest"),
        "is_replay": _context("ctx.run.isReplay"),
        "correlation_id": ids.NAMES["correlation_id"],
        "request_id": ids.NAMES["request_id"],
        "error_type": ("error_type", "error.name", "exception.type"),
        "error_message": ("error_message", "error.message", "exception.message"),
        "http_status": ("http_status", "status_code", "http.response.status_code", "http.status_code"),
        "reported_ms": ("processing_time_ms", "duration_ms", "elapsed_ms", "took_ms"),
        "compute_ms": ("$usage.durationMs",),
        "cost_cents": ("$usage.costInCents",),
        "start_kind": ("$style.variant",),
        "dequeued_ns": ("$metrics.events.dequeue.timestamp",),
    },
    resource={
        "environment": ("ctx.environment.type",),
        "platform_project": ("ctx.project.ref", "ctx.project.id"),
        "machine": ("ctx.machine.name",),
    },
    span_facts=_span_facts,
    log_source=_log_source,
    # Its documentation says so of waits for a time (wait.for, wait.until). Of children, batches and tokens its
    # release notes (4.0.0-v4-beta.24) say that it does so once the run is checkpointed, not as soon as it is blocked.
    suspends=Suspension(after_ns=MINUTE_NS, documented=("for", "until"), sleeps_ns=5 * SECOND_NS),
)
