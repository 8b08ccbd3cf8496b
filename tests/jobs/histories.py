"""Invented histories of runs, record by record: what Trigger.dev and plain loggers may send, in every odd way.

A history is a list of requests with one record each. Pools of ids and times are small on purpose, so that records
collide: spans that claim one id, links that name one child twice, logs in one nanosecond, parents in a circle.
"""

from __future__ import annotations

import json
from typing import Any

from hypothesis import strategies as st

from collector.cli.recordings import Recorded
from collector.model.signals import BY_NAME
from collector.model.units import DAY_NS
from tests.inprocess import SECOND

T0 = 1_795_000_000 * SECOND
RUNS = ("run_a", "run_b", "run_c", "run_d")
_TIMES = (st.integers(0, 12) | st.just(20)).map(lambda s: T0 + s * SECOND)
_RUN = st.sampled_from(RUNS)
_MAYBE_RUN = st.none() | _RUN
_ATTEMPT = st.sampled_from([1, 2, 3])
_MAYBE_ATTEMPT = st.none() | _ATTEMPT
_VERSION = st.sampled_from([None, "1", "2"])
_PROJECT = st.none() | st.sampled_from(["x", "y"])
_BATCH = st.sampled_from(["batch_1", "batch_2"])
_SPAN_ID = st.integers(1, 9).map(lambda n: f"{n:016x}")
_TRACE_ID = st.integers(1, 3).map(lambda n: f"{n:032x}")
_BODY = st.sampled_from(
    [
        "order_process_started",
        "order_process_completed",
        "order_process_failed",
        "order_process_calling_stripe",
        "order_process_validating",
        "order_process_interrupted",
        "order_process_retrying",
        "order_process_canceled",
        "order_process_skipped",
        "mail_send_started",
        "mail_send_completed",
        "mail_send_failed",
        "hello",
    ]
)


class OneLine(Recorded):
    """A request that hypothesis shows in one line."""

    def __repr__(self) -> str:
        """Return the record alone, without wrapping."""
        (block,) = next(iter(json.loads(self.body).values()))
        (group,) = next(value for key, value in block.items() if key != "resource")
        (record,) = next(value for key, value in group.items() if key != "scope")
        attributes = {a["key"]: next(iter(a["value"].values())) for a in record.pop("attributes")}
        return f"{group['scope']['name']}: {record} {attributes}"

    def _repr_pretty_(self, printer: Any, cycle: bool) -> None:
        printer.text(repr(self))


def _attribute(key: str, value: Any) -> dict[str, Any]:
    if isinstance(value, bool):
        return {"key": key, "value": {"boolValue": value}}
    if isinstance(value, int):
        return {"key": key, "value": {"intValue": value}}
    if isinstance(value, float):
        return {"key": key, "value": {"doubleValue": value}}
    if isinstance(value, list):
        return {"key": key, "value": {"arrayValue": {"values": [{"stringValue": v} for v in value]}}}
    return {"key": key, "value": {"stringValue": value}}


def _attributes(values: dict[str, Any]) -> list[dict[str, Any]]:
    return [_attribute(key, value) for key, value in values.items() if value is not None]


def _request(
    signal: str,
    record: dict[str, Any],
    *,
    trigger: bool,
    machine: str,
    version: str | None = None,
    platform_project: str | None = None,
) -> Recorded:
    words = {"logs": ("resourceLogs", "scopeLogs", "logRecords"), "traces": ("resourceSpans", "scopeSpans", "spans")}
    outer, middle, inner = words[signal]
    attributes = {"$trigger": True, "ctx.environment.type": "PRODUCTION", "ctx.machine.name": machine}
    attributes |= {"ctx.project.ref": platform_project}
    resource = attributes if trigger else {"service.name": "worker", "host.name": machine, "service.version": version}
    scope = {"name": "trigger-dev-worker" if trigger else "tasks"}
    block = {"resource": {"attributes": _attributes(resource)}, middle: [{"scope": scope, inner: [record]}]}
    return OneLine(BY_NAME[signal], "json", json.dumps({outer: [block]}).encode())


def _context(run: str | None, attempt: int | None, **more: Any) -> dict[str, Any]:
    if run is None:
        return {}
    named = {"ctx.run.id": run, "ctx.attempt.number": attempt, "ctx.task.id": f"task-of-{run}", **more}
    return {f"$metadata.{key}": value for key, value in named.items()}


@st.composite
def _span(draw: st.DrawFn) -> Recorded:
    start, length = draw(_TIMES), draw(st.integers(-1, 6)) * SECOND
    run, attempt = draw(_MAYBE_RUN), draw(_MAYBE_ATTEMPT)
    kind = draw(st.sampled_from(["attempt", "wait", "trigger", "batch", "hook", "user"]))
    attributes: dict[str, Any] = {}
    name = "work"
    match kind:
        case "attempt":
            name, attributes = (
                f"Attempt {attempt}",
                {"$span.attempt": True, "$usage.durationMs": draw(st.sampled_from([1, 7]))},
            )
            attributes["ctx.run.tags"] = draw(st.none() | st.lists(st.sampled_from(["x", "y"]), max_size=2))
        case "wait":
            name, attributes = draw(st.sampled_from(["wait.for()", "wait.forToken()"])), {"$style.icon": "wait"}
        case "trigger":
            name = draw(st.sampled_from(["trigger()", "triggerAndWait()"]))
            attributes = {"$style.icon": "trigger", "runId": draw(_RUN)}
            attributes["$style.accessory.items.[0].text"] = draw(st.none() | st.sampled_from(["told-1", "told-2"]))
        case "batch":
            name, attributes = "batchTriggerAndWait()", {"$style.icon": "trigger", "batchId": draw(_BATCH)}
        case "hook":
            name, attributes = draw(st.sampled_from(["onCancel()", "onFailure()"])), {"$style.icon": "task-hook-on"}
    key = draw(st.none() | st.just("key"))
    context = _context(
        run,
        attempt,
        **{"ctx.batch.id": draw(st.none() | _BATCH), "ctx.run.idempotencyKey": key, "worker.version": draw(_VERSION)},
    )
    ident = draw(_SPAN_ID)
    partial = draw(st.booleans())
    if partial:
        attributes |= {"$span.partial": True, "$span.span_id": ident}
    failed = draw(st.booleans())
    record = {
        "traceId": draw(_TRACE_ID),
        "spanId": f"f{ident[1:]}" if partial else ident,
        "name": name,
        "kind": 1,
        "startTimeUnixNano": str(start),
        "endTimeUnixNano": str(start if partial else start + length),
        "attributes": _attributes({**attributes, **context}),
        "status": {"code": 2 if failed else 0},
        "events": [
            {
                "name": "exception",
                "timeUnixNano": str(start),
                "attributes": _attributes({"exception.type": draw(st.sampled_from(["Error", "AbortTaskRunError"]))}),
            }
        ]
        if failed
        else [],
    }
    about = {"machine": draw(st.sampled_from(["small", "large"])), "platform_project": draw(_PROJECT)}
    return _request("traces", record, trigger=True, **about)


@st.composite
def _log(draw: st.DrawFn) -> Recorded:
    at = draw(_TIMES)
    run = draw(_MAYBE_RUN)
    record: dict[str, Any] = {"timeUnixNano": str(at), "observedTimeUnixNano": str(at)}
    record["body"] = {"stringValue": draw(_BODY)}
    record["severityText"] = draw(st.sampled_from(["info", "Log"]))
    record["attributes"] = _attributes(
        _context(
            run, draw(_MAYBE_ATTEMPT), **{"ctx.batch.id": draw(st.none() | _BATCH), "worker.version": draw(_VERSION)}
        )
    )
    if run is None or draw(st.booleans()):
        record |= {"traceId": draw(_TRACE_ID), "spanId": draw(_SPAN_ID)}
    about = {"machine": draw(st.sampled_from(["small", "large"])), "platform_project": draw(_PROJECT)}
    return _request("logs", record, trigger=True, **about)


@st.composite
def plain(
    draw: st.DrawFn, places: tuple[str, ...] = ("own", "own", "body", "extra"), *, logs: bool = False
) -> Recorded:
    """A record of the guideline's own format: no platform, parents declared. *logs*: a log that stands in no span.

    The keys of a log stand in one of *places*.
    """
    at = draw(_TIMES)
    attributes = _attributes(
        {
            "run_id": draw(_RUN),
            "attempt": draw(st.none() | st.integers(0, 3)),
            "task_id": draw(st.none() | st.sampled_from(["charge", "refund"])),
            "parent_run_id": draw(st.none() | _RUN),
            "queue_wait_ms": draw(st.none() | st.sampled_from([5.0, 80.0])),
            "error_type": draw(st.none() | st.sampled_from(["Timeout", "Refused"])),
            "delay_ms": draw(st.none() | st.sampled_from([60.0, 9_000.0])),
            "due_at": draw(st.none() | st.sampled_from([T0 // SECOND, "2026-11-18T11:06:45Z"])),
            "max_attempts": draw(st.none() | st.sampled_from([1, 2])),
            "priority": draw(st.none() | st.sampled_from(["high", "5"])),
        }
    )
    about: dict[str, Any] = {"machine": draw(st.sampled_from(["small", "large"])), "version": draw(_VERSION)}
    if logs or draw(st.booleans()):
        record: dict[str, Any] = {
            "timeUnixNano": str(at),
            **_keys(draw(st.sampled_from(places)), draw(_BODY), attributes),
        }
        if not logs and draw(st.booleans()):
            record |= {"traceId": draw(_TRACE_ID), "spanId": draw(_SPAN_ID)}
        return _request("logs", record, trigger=False, **about)
    record = {
        "traceId": draw(_TRACE_ID),
        "spanId": draw(_SPAN_ID),
        **draw(st.just({}) | st.just({"parentSpanId": f"{1:016x}"})),
        "name": draw(st.just("process") | _BODY),
        "kind": draw(st.sampled_from([0, 1, 5])),
        "startTimeUnixNano": str(at),
        "endTimeUnixNano": str(at + draw(st.integers(0, 6)) * SECOND),
        "attributes": attributes,
        "status": {"code": draw(st.sampled_from([0, 2])), "message": draw(st.sampled_from(["", "no"]))},
    }
    return _request("traces", record, trigger=False, **about)


def _keys(place: str, said: str, attributes: list[dict[str, Any]]) -> dict[str, Any]:
    """Return body and attributes of a log whose *attributes* stand in a *place*."""
    if place == "body":
        message = {"key": "message", "value": {"stringValue": said}}
        return {"body": {"kvlistValue": {"values": [message, *attributes]}}, "attributes": []}
    if place == "extra":
        attributes = [{"key": "extra", "value": {"kvlistValue": {"values": attributes}}}]
    return {"body": {"stringValue": said}, "attributes": attributes}


@st.composite
def stating(draw: st.DrawFn) -> Recorded:
    """A record of `plain` that states more or less of where its run belongs; one run has a bare number for an id, which
    may have been given before."""
    told = draw(plain())
    tree = json.loads(told.body.replace(b'"run_a"', b'"7"').replace(b'"run_b"', b'"7"'))
    (block,) = next(iter(tree.values()))
    (group,) = next(value for key, value in block.items() if key != "resource")
    (record,) = next(value for key, value in group.items() if key != "scope")
    where = {
        "environment": draw(st.none() | st.sampled_from(["prod", "staging"])),
        "queue": draw(st.none() | st.sampled_from(["mail", "pdf"])),
        "platform_project": draw(_PROJECT),
    }
    record["attributes"] += _attributes(where)
    service = draw(st.sampled_from(["worker", "worker", "api", "unknown_service:node"]))
    others = [a for a in block["resource"]["attributes"] if a["key"] != "service.name"]
    block["resource"]["attributes"] = [*others, *_attributes({"service.name": service})]
    before_ns = draw(st.sampled_from([0, 0, 8, 16])) * DAY_NS
    for name in ("timeUnixNano", "startTimeUnixNano", "endTimeUnixNano"):
        if name in record:
            record[name] = str(int(record[name]) - before_ns)
    return OneLine(told.signal, "json", json.dumps(tree).encode())


STATING = st.lists(stating(), min_size=1, max_size=14)
"""Requests with one record each, that state more or less of where their run belongs."""
HISTORIES = (
    st.lists(_span() | _log() | plain(), min_size=1, max_size=14) | st.lists(plain(), min_size=1, max_size=14) | STATING
)
"""Requests with one record each."""
