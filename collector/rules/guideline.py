"""The guideline sentence by sentence, and what telemetry can say about each.

A sentence is *full* (telemetry proves or refutes it), *part* (some of it), or *none*. What is not observable is
shown as that, with what would make it observable, and never as passed.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True, slots=True)
class Sentence:
    """One sentence of the guideline."""

    number: str
    text: str
    observable: Literal["full", "part", "none"]
    wanting: str = ""
    """What would make the rest of it observable."""


@dataclass(frozen=True, slots=True)
class Unobservable:
    """A rule of the catalogue that telemetry alone cannot decide; its code is taken."""

    code: str
    slug: str
    sentences: tuple[str, ...]
    wanting: str


_MANIFEST = "a manifest of the project's tasks"
_RETRY = f"{_MANIFEST} (retry settings)"
_API = "the platform's runs API"
_QUEUES = "the platform's queues API (limits)"
_SCHEDULES = "the platform's schedules API"
_SOURCE = "the source code"

SENTENCES: tuple[Sentence, ...] = (
    Sentence("1", "Task ids are unique, lowercase, with hyphens", "part", f"{_MANIFEST}, for tasks that never ran"),
    Sentence("2", "The context gives run, task, attempt and environment", "full"),
    Sentence("3", "Prefer schemaTask", "part", _SOURCE),
    Sentence("4", "The payload is validated and typed", "part", _SOURCE),
    Sentence("5", "Tasks are exported and imported by the entry point", "part", _MANIFEST),
    Sentence("6", "Task ids are unique within the project", "part", f"{_MANIFEST}, for tasks that never ran"),
    Sentence("7", "Payloads are JSON-serialisable", "part", f"{_API} (payload)"),
    Sentence("8", "Payloads are at most 64KB (Free) or 3MB (Pro)", "part", f"{_API}, or a `payload_bytes` key"),
    Sentence("9", "An idempotency key on trigger prevents duplicate runs", "full"),
    Sentence("10", "Tags", "full"),
    Sentence("11", "Delay", "part", f"{_API} (delayed until)"),
    Sentence("12", "Check result.ok after triggerAndWait", "part", _SOURCE),
    Sentence("13", "Throw when a step fails", "part", _SOURCE),
    Sentence("14", "Run subtasks in parallel by a batch", "full"),
    Sentence("15", "Batch up to 500 per call, chunk larger sets", "full"),
    Sentence("16", "Give each item of a batch an idempotency key", "full"),
    Sentence("17", "Schedules have a cron pattern and a timezone", "part", _SCHEDULES),
    Sentence("18", "payload.timestamp and payload.lastTimestamp", "part", f"{_API} (payload)"),
    Sentence("19", "Dynamic schedules carry an externalId", "none", _SCHEDULES),
    Sentence("20", "Dynamic schedules carry a deduplicationKey", "part", _SCHEDULES),
    Sentence("21", "Prevent overlapping of scheduled runs: concurrencyLimit 1", "full"),
    Sentence("22", "The message is always {operation}_{phase}", "full"),
    Sentence("23", "The started example: three ids, a short correlation id", "full"),
    Sentence("24", "The completed example: processing_time_ms", "full"),
    Sentence("25", "The failed example: error level, error_type, error_message", "full"),
    Sentence("26", "Message format and its examples", "full"),
    Sentence("27", "Always snake_case keys, never camelCase", "full"),
    Sentence("28", "Five lifecycle phases", "full"),
    Sentence("29", "Always include correlation_id, request_id, run_id", "full"),
    Sentence("30", "Trigger-level idempotency key", "full"),
    Sentence("31", "Run-scoped key, safe for retries", "full"),
    Sentence("32", "Global key, unique across runs", "part", f"{_API} (idempotency key scope)"),
    Sentence("33", "Beyond the 30-day TTL use checks in the database", "part", "telemetry of more than 30 days"),
    Sentence("34", "Key patterns name the entity", "part", f"{_API}, for keys made inside a task"),
    Sentence("35", "Retry settings: attempts, factor, min, max, randomize", "part", _RETRY),
    Sentence("36", "Abort on 400, 401, 403", "full"),
    Sentence("37", "Throw on transient errors", "full"),
    Sentence("38-40", "Profiles for network, rate limit and database", "part", _RETRY),
    Sentence("41", "No retry: maxAttempts 1", "full"),
    Sentence("42", "Concurrency limit per task", "part", _QUEUES),
    Sentence("43", "Tasks share a queue's concurrency", "full"),
    Sentence("44", "Limits: external API 5-20, database 10-50, files 5-10, singleton 1", "part", _QUEUES),
    Sentence("45", "onSuccess notifies", "part", _SOURCE),
    Sentence("46", "onFailure runs after all retries", "full"),
    Sentence("47", "onWait disconnects, onResume connects", "part", _SOURCE),
    Sentence("48", "Middleware connects and disconnects", "part", _SOURCE),
    Sentence("49", "Progress updates in metadata", "none", f"{_API} (metadata)"),
    Sentence("50", "Metadata is at most 256KB", "part", f"{_API} (metadata)"),
    Sentence("51", "Progress goes from 0 to 100", "part", f"{_API} (metadata), or a `progress` key"),
    Sentence("52", "Stream what a model says", "part", _SOURCE),
    Sentence("53", "Large data is stored outside, its URL in the metadata", "part", f"{_API} (metadata)"),
    Sentence("54", "Project and directories are configured", "none", _SOURCE),
    Sentence("55", "Runtime node, node-22 or bun", "part", "resource attributes `process.runtime.*`"),
    Sentence("56", "Log level info", "full"),
    Sentence("57", "maxDuration 300 seconds", "full"),
    Sentence("58", "Retries are enabled in development", "part", _MANIFEST),
    Sentence("59", "Default retry: 3 attempts, factor 2, 1 to 60 s, jitter", "part", _RETRY),
    Sentence("60", "build.external lists native modules", "none", _SOURCE),
    Sentence("A1", "Pass ids or URLs, not large payloads", "part", f"{_API} (payload)"),
    Sentence("A2", "No unexported tasks", "part", _MANIFEST),
    Sentence("A3", "No Dates or classes in payloads", "part", f"{_API} (payload)"),
    Sentence("A4", "No class instances across awaits", "part", _SOURCE),
    Sentence("A5", "Idempotency keys for important operations", "full"),
    Sentence("A6", "Do not retry non-transient errors", "full"),
    Sentence("A7", "Do not let scheduled tasks overlap", "full"),
    Sentence("A8", "No camelCase log keys", "full"),
    Sentence("A9", "No PII in logs", "full"),
    Sentence("A10", "Save the run id to the database", "none", "the table that should hold run ids"),
)

BY_NUMBER = {s.number: s for s in SENTENCES}

UNOBSERVABLE: tuple[Unobservable, ...] = (
    Unobservable("CON001", "limit-off-guideline", ("42", "44"), _QUEUES),
    Unobservable("CON004", "saturated", ("44",), "stated limits (`queues.limits`) over time"),
    Unobservable("CON005", "limit-never-used", ("44",), "stated limits (`queues.limits`) over 14 days"),
    Unobservable("CON006", "unbounded-external", ("42",), _QUEUES),
    Unobservable("CON008", "slot-without-heartbeat", ("42",), "the platform's heartbeats"),
    Unobservable("IDM004", "unspecific-key", ("34",), f"{_API} (payloads of both triggers)"),
    Unobservable("IDM007", "scope-change", ("32",), f"{_API} (idempotency key scope)"),
    Unobservable("SCH006", "dst-shift", ("17",), f"{_SCHEDULES} (timezone)"),
    Unobservable("TSK003", "task-never-seen", ("5", "A2"), _MANIFEST),
    Unobservable("HOK004", "connection-leak", ("48",), "spans of connects and disconnects"),
    Unobservable("PER001", "run-id-not-persisted", ("A10",), "the table that should hold run ids"),
)
"""Rules of the catalogue that need another source."""
