"""Words to write a rule's cases in: log records and spans, clean unless the case says otherwise.

Tests turn them into OTLP, decode it and build the run model; the rule pages print them.
"""

from __future__ import annotations

from collections.abc import Mapping
from hashlib import blake2b
from typing import Any

IDS = {"correlation_id": "order-81f2c0aa", "request_id": "req_5d1c77", "run_id": "run_0b7e"}
"""The ids of the run that cases are about."""


def log(
    body: str,
    at: float = 0.0,
    *,
    level: str = "info",
    run: str | None = "run_0b7e",
    task: str | None = "charge-order",
    attempt: int | None = 1,
    runner: str = "generic",
    scope: str = "tasks",
    without: tuple[str, ...] = (),
    ids: dict[str, str] | None = None,
    context: dict[str, Any] | None = None,
    keys: Mapping[str, Any] | None = None,
    resource: Mapping[str, Any] | None = None,
    **attributes: Any,
) -> dict[str, Any]:
    """Return a log record *at* seconds, with the three ids but for those in *without*.

    *runner* `trigger` puts task, run and attempt where the Trigger.dev worker puts them, otherwise they are plain
    keys; *attempt* None states none. *context* adds run context. Other arguments are attributes, `__` in a name stands
    for a dot; *keys* are attributes whose keys are no Python names, *resource* is added to the resource.
    """
    stated = {**IDS, **(ids or {})}
    if run is not None:
        stated["run_id"] = run
    carried = {k: v for k, v in stated.items() if k not in without and not (k == "run_id" and run is None)}
    others = {**{k.replace("__", "."): v for k, v in attributes.items()}, **(keys or {})}
    return {
        "body": body,
        "at": at,
        "level": level,
        "run": run,
        "task": task,
        "attempt": attempt,
        "runner": runner,
        "scope": scope,
        "context": context or {},
        "attributes": {**carried, **others},
        "resource": dict(resource or {}),
    }


def span(
    name: str,
    start: float,
    end: float,
    *,
    run: str | None = "run_0b7e",
    task: str = "charge-order",
    attempt: int = 1,
    runner: str = "trigger",
    kind: int = 1,
    failed: bool = False,
    error: tuple[str, str] | None = None,
    context: dict[str, Any] | None = None,
    keys: Mapping[str, Any] | None = None,
    dropped: int = 0,
) -> dict[str, Any]:
    """Return a span from *start* to *end* seconds. *error* is the type and message of an exception event."""
    ident = blake2b(repr((run, task, name, start, attempt, keys)).encode(), digest_size=24).hexdigest()
    events = []
    if error:
        said = {"exception.type": error[0], "exception.message": error[1]}
        events = [{"name": "exception", "attributes": said}]
    return {
        "name": name,
        "start": start,
        "end": end,
        "run": run,
        "task": task,
        "attempt": attempt,
        "runner": runner,
        "kind": kind,
        "failed": failed or error is not None,
        "context": context or {},
        "attributes": dict(keys or {}),
        "events": events,
        "scope": "trigger-dev-worker" if runner == "trigger" else "tasks",
        "trace_id": ident[:32],
        "span_id": ident[32:],
        "dropped": dropped,
    }


def attempt(number: int, start: float, end: float, **rest: Any) -> dict[str, Any]:
    """Return the span of a Trigger.dev attempt."""
    keys = {"$span.attempt": True, **rest.pop("keys", {})}
    return span(f"Attempt {number}", start, end, attempt=number, kind=5, keys=keys, **rest)


def trigger(
    start: float,
    end: float,
    child: str,
    *,
    task: str = "charge-order",
    of: str = "send-receipt",
    waits: bool = False,
    **rest: Any,
) -> dict[str, Any]:
    """Return the span with which a run triggers run *child* of task *of*."""
    keys = {"$style.icon": "trigger", "runId": child, "$style.accessory.items.[0].text": of, **rest.pop("keys", {})}
    return span(
        "triggerAndWait()" if waits else "trigger()", start, end, task=task, kind=4 if waits else 1, keys=keys, **rest
    )
