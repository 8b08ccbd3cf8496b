"""What the world's programs write: OTLP requests of Trigger.dev's worker and of plain OpenTelemetry loggers.

Enter: a world. Leave: requests with the time they arrive, as bytes of OTLP. Trigger.dev's attempts send their span when
they end, its waits and triggers likewise; whoever dies sends what was logged before, or nothing. Each record bears the
time of its machine's clock.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from datetime import UTC, datetime
from itertools import groupby
from typing import Any, NamedTuple

from bench.truth.plan import MINUTE
from bench.truth.world import MS, Attempt, Run, Wait, World

LATENCY_NS = 400 * MS
_CONSUMER, _PRODUCER, _INTERNAL, _ERROR = 5, 4, 1, 2
_NAMES = {
    "child": "triggerAndWait()",
    "batch": "batchTriggerAndWait()",
    "token": "wait.forToken()",
    "for": "wait.for()",
}
_TYPES = {bool: "boolValue", int: "intValue", float: "doubleValue", str: "stringValue"}


class Record(NamedTuple):
    """A record, when it leaves its process (true time), and what its process says of itself."""

    sent_ns: int
    resource: str
    signal: str
    body: dict[str, Any]


class Request(NamedTuple):
    """The body of a request as OTLP/JSON, its signal, and when it arrives."""

    received_ns: int
    signal: str
    body: bytes


def requests(world: World) -> Iterator[Request]:
    """Yield what arrives until the end of the world, in order."""
    sent = sorted((r for run in world.runs for r in _of_run(run, world.as_of_ns)), key=lambda r: r[:3])
    for (minute, resource, signal), records in groupby(
        sorted(sent, key=lambda r: (r.sent_ns // MINUTE, r.resource, r.signal)),
        key=lambda r: (r.sent_ns // MINUTE, r.resource, r.signal),
    ):
        some = list(records)
        kind, unit = ("Logs", "logRecords") if signal == "logs" else ("Spans", "spans")
        scope = {"name": "trigger-dev-worker", "version": "4.8.3"} if "$trigger" in resource else {"name": "tasks"}
        group = {"scope": scope, unit: [r.body for r in some]}
        message = {f"resource{kind}": [{"resource": json.loads(resource), f"scope{kind}": [group]}]}
        received = min(world.as_of_ns, max(r.sent_ns for r in some) + LATENCY_NS)
        assert received // MINUTE >= minute
        yield Request(received, signal, json.dumps(message).encode())


def _of_run(run: Run, as_of_ns: int) -> Iterator[Record]:
    if run.is_lost:
        return
    for attempt in run.attempts:
        if attempt.started_ns is not None and attempt.recorded:
            yield from (_trigger_dev if run.task.is_platform else _plain)(run, attempt)


def _plain(run: Run, a: Attempt) -> Iterator[Record]:
    task = run.task
    resource = _resource(
        {
            "service.name": f"{task.queue.name}-worker",
            "service.version": a.version,
            "deployment.environment.name": task.queue.environment,
        }
    )
    about: dict[str, Any] = {"run_id": run.id, "task_id": task.name, "attempt": a.number, "queue": task.queue.name}
    about |= {"max_attempts": task.most, "correlation_id": f"doc-{run.id[-8:]}"}
    if run.parent is not None:
        about["parent_run_id"] = run.parent.id
    first: dict[str, Any] = {"queue_wait_ms": (a.logs[0][0] - (run.triggered_ns if a.number == 1 else a.due_ns)) // MS}
    if a.number == 1 and run.delay == "delay_ms":
        first["delay_ms"] = (run.due_ns - run.triggered_ns) // MS
    elif a.number == 1 and run.delay == "due_at":
        first["due_at"] = datetime.fromtimestamp(run.due_ns / 10**9, UTC).isoformat()
    for i, (ns, text) in enumerate(a.logs):
        more = first if i == 0 else {}
        if text.endswith("_failed"):
            more = {"error_type": a.error or "", "error_message": "it did not work"}
        yield Record(ns, resource, "logs", _log(ns + a.offset_ns, text, {**about, **more}))
    for began, ended, child in a.triggers:
        made = {**about, "child_run_id": child.id, "child_task_id": child.task.name}
        key = f"{run.id}/{a.number}/{child.id}"
        body = {
            "traceId": _id(key, 32),
            "spanId": _id(key, 16),
            "name": f"submit {child.task.name}",
            "kind": _PRODUCER,
            "startTimeUnixNano": str(began + a.offset_ns),
            "endTimeUnixNano": str(ended + a.offset_ns),
            "attributes": _attributes(made),
        }
        yield Record(ended, resource, "traces", body)


def _trigger_dev(run: Run, a: Attempt) -> Iterator[Record]:
    assert a.started_ns is not None
    task = run.task
    resource = _resource(
        {
            "$trigger": True,
            "service.name": "trigger.dev",
            "ctx.environment.type": task.queue.environment,
            "ctx.project.ref": task.queue.project,
            "ctx.machine.name": "small-1x",
            "sdk.version": "4.8.3",
        }
    )
    about = _context(run, a)
    trace = _id(f"{run.id}/{a.number}", 32)
    attempt_span = _id(f"{run.id}/{a.number}/attempt", 16)

    def span(name: str, kind: int, times: tuple[int, int], more: dict[str, Any], *, failed: str = "") -> Record:
        own = attempt_span if kind == _CONSUMER else _id(f"{run.id}/{a.number}/{name}/{times[0]}", 16)
        body: dict[str, Any] = {"traceId": trace, "spanId": own, "name": name, "kind": kind, "flags": 257}
        body |= {} if kind == _CONSUMER else {"parentSpanId": attempt_span}
        body |= {
            key: str(ns + a.offset_ns) for key, ns in zip(("startTimeUnixNano", "endTimeUnixNano"), times, strict=True)
        }
        body |= {"attributes": _attributes({**about, **more}), "status": {"code": _ERROR if failed else 0}}
        if failed:
            told = _attributes({"exception.type": failed, "exception.message": "it did not work"})
            at = str(times[1] + a.offset_ns)
            body["events"] = [{"name": "exception", "timeUnixNano": at, "attributes": told}]
        return Record(times[1], resource, "traces", body)

    for ns, text in a.logs:
        yield Record(ns, resource, "logs", {**_log(ns + a.offset_ns, text, about), "traceId": trace})
    for began, ended, child in a.triggers:
        yield span("trigger()", _INTERNAL, (began, ended), {"$style.icon": "trigger", "runId": child.id})
    for wait in a.waits:
        if wait.to_ns is not None:
            kind = _PRODUCER if wait.children else _INTERNAL
            yield span(_NAMES[wait.kind], kind, (wait.from_ns, wait.to_ns), _waiting(wait))
    if a.ended_ns is None or a.outcome == "crashed":
        return
    error = (a.error or "") if a.outcome == "failed" else ""
    inside = (a.started_ns + 1, a.ended_ns - 1)
    if a.outcome == "canceled":
        yield span("run()", _INTERNAL, inside, {"$style.icon": "task-fn-run"}, failed="AbortError")
        yield span("onCancel()", _INTERNAL, (a.ended_ns - MS, a.ended_ns), {"$style.icon": "task-hook-onCancel"})
        return
    yield span("run()", _INTERNAL, inside, {"$style.icon": "task-fn-run"}, failed=error)
    if error and a.number == task.most and task.has_hook:
        yield span("onFailure()", _INTERNAL, (a.logs[-1][0], a.ended_ns), {"$style.icon": "task-hook-onFailure"})
    waited = sum(wait.to_ns - wait.from_ns for wait in a.waits if wait.to_ns is not None)
    more: dict[str, Any] = {
        "$style.icon": "attempt",
        "$span.attempt": True,
        "$entity.type": "attempt",
        "$usage.durationMs": (a.ended_ns - a.started_ns - waited) // MS,
        "$usage.costInCents": a.cost_nanocents / 1e9,
    }
    if a.number == 1 and a.taken_ns is not None:
        more["$metrics.events.dequeue.timestamp"] = (a.taken_ns + a.offset_ns) // MS
    yield span(f"Attempt {a.number}", _CONSUMER, (a.started_ns, a.ended_ns), more, failed=error)


def _context(run: Run, a: Attempt) -> dict[str, Any]:
    about = {
        "ctx.run.id": run.id,
        "ctx.run.isTest": False,
        "ctx.run.isReplay": run.is_replay,
        "ctx.task.id": run.task.name,
        "ctx.queue.name": run.task.queue.name,
        "ctx.attempt.number": a.number,
        "worker.version": a.version,
        **({"ctx.batch.id": run.batch} if run.batch else {}),
    }
    return {f"$metadata.{key}": value for key, value in about.items()}


def _waiting(wait: Wait) -> dict[str, Any]:
    if not wait.children:
        return {"$style.icon": "wait", "$entity.type": "waitpoint", "$entity.id": f"waitpoint_{wait.from_ns}"}
    more: dict[str, Any] = {"$style.icon": "trigger", "$style.accessory.items.[0].text": wait.children[0].task.name}
    if wait.batch:
        return {**more, "batchId": wait.batch, "runCount": len(wait.children)}
    return {**more, "runId": wait.children[0].id}


def _log(ns: int, body: str, attributes: dict[str, Any]) -> dict[str, Any]:
    error = body.endswith("_failed")
    return {
        "timeUnixNano": str(ns),
        "severityNumber": 17 if error else 9,
        "severityText": "error" if error else "info",
        "body": {"stringValue": body},
        "attributes": _attributes(attributes),
    }


def _attributes(values: dict[str, Any]) -> list[dict[str, Any]]:
    return [{"key": key, "value": {_TYPES[type(value)]: value}} for key, value in values.items()]


def _resource(values: dict[str, Any]) -> str:
    return json.dumps({"attributes": _attributes(values)})


def _id(text: str, length: int) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:length]
