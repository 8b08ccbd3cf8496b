"""Plain OpenTelemetry, in any language: the guideline's keys, then the semantic conventions'."""

from __future__ import annotations

from collector.decode.dialects.base import Attributes, Dialect, SpanFacts, text
from collector.model import ids

_SERVER, _CLIENT, _PRODUCER, _CONSUMER = 2, 3, 4, 5

PLATFORM_PROJECT = ("platform_project", "platform.project", "platformProject")


def names_run(a: Attributes) -> bool:
    """Tell whether attributes name a run."""
    return any(ids.stated(a[key]) for key in ids.spelled(a, "run_id"))


def _span_facts(name: str, kind: int, a: Attributes) -> SpanFacts:
    if kind in (_CONSUMER, _SERVER) and names_run(a):
        span_type = "attempt"
    elif kind == _PRODUCER:
        span_type = "trigger"
    elif kind == _CLIENT:
        span_type = "call"
    else:
        span_type = "user"
    return SpanFacts(
        span_type=span_type,
        child_run_id=ids.stated(a.get("child_run_id")) if span_type == "trigger" else None,
        child_task_id=text(a.get("child_task_id")) if span_type == "trigger" else None,
    )


def _log_source(severity_text: str, body: str | None) -> str | None:
    return "logger"


DIALECT = Dialect(
    name="generic",
    record={
        "run_id": ids.NAMES["run_id"],
        "task_id": ("task_id", "task.id", "task.name", "task_name", "taskId", "task"),
        "task_file": ("task_file", "code.file.path", "code.filepath"),
        "attempt": ("attempt", "attempt_number", "attempt.number", "attemptNumber"),
        "queue": ("queue", "queue_name", "queue.name", "queueName", "messaging.destination.name"),
        "environment": ("environment", "deployment.environment.name", "deployment.environment"),
        "platform_project": PLATFORM_PROJECT,
        "version": ("service.version", "version"),
        "machine": ("host.name",),
        "batch_id": ("batch_id", "batchId"),
        "idempotency_key": ("idempotency_key", "idempotencyKey"),
        "is_test": ("is_test",),
        "is_replay": ("is_replay",),
        "parent_run_id": ("parent_run_id", "parent_run.id", "parentRunId"),
        "correlation_id": ids.NAMES["correlation_id"],
        "request_id": ids.NAMES["request_id"],
        "error_type": ("error_type", "error.type", "exception.type"),
        "error_message": ("error_message", "error.message", "exception.message"),
        "http_status": ("http_status", "status_code", "http.response.status_code", "http.status_code"),
        "reported_ms": ("processing_time_ms", "duration_ms", "elapsed_ms", "took_ms"),
        "queue_wait_ms": ("queue_wait_ms", "queued_ms"),
        "delay_ms": ("delay_ms",),
        "due_at_ns": ("due_at", "dueAt"),
        "max_attempts": ("max_attempts", "maxAttempts"),
        "priority": ("priority",),
        "compute_ms": ("compute_ms",),
        "cost_cents": ("cost_cents",),
    },
    resource={
        "environment": ("deployment.environment.name", "deployment.environment"),
        # A record may be about a project of somebody's; a process is of one.
        "platform_project": (*PLATFORM_PROJECT, "project_ref", "project.ref", "projectRef"),
        "version": ("service.version",),
        "machine": ("host.name",),
    },
    span_facts=_span_facts,
    log_source=_log_source,
)
