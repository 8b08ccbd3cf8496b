"""Numbers at every edge, as senders put them into attributes and fields, and requests that hold them."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator
from itertools import count
from typing import Any

from collector.cli.recordings import Recorded
from collector.decode.dialects import generic, trigger_dev
from collector.model.signals import BY_NAME

SECOND = 10**9
NOW = 1_795_500_000 * SECOND
BEFORE = NOW - 3600 * SECOND
EDGES = sorted(
    {
        *(sign * (2**bits + off) for bits in (7, 8, 15, 16, 31, 32, 63) for off in (-5, -1, 0, 1) for sign in (1, -1)),
        0,
        1,
        -1,
        *(NOW // unit for unit in (10**9, 10**6, 10**3, 1)),
    }
)
"""The ends of integers of 8 to 64 bits, what wraps around them, and now since 1970 in s, ms, us and ns."""
INTS = [n for n in EDGES if -(2**63) <= n < 2**63]
DOUBLES = [
    float(2**64 - 5),
    float(2**63),
    2.0**64 / 1e6,
    2.0**64 / 1e3,
    2.0**32 - 5,
    1e300,
    -1e300,
    1e21,
    5e-324,
    -0.0,
    0.5,
    -1e-9,
    NOW / 1e6,
    NOW / 1e9,
    3e7,
    8.64e7 * 366,
    8.64e7 * 366 + 1,
]
# fmt: off
VALUES: list[dict[str, Any]] = [
    *({"intValue": str(n)} for n in INTS),
    *({"doubleValue": x} for x in DOUBLES),
    *({"doubleValue": word} for word in ("NaN", "Infinity", "-Infinity")),
    *({"stringValue": t} for t in ("", "0", "-5", "1e300", "NaN", "18446744073709551611", "\u0663", "x" * 300)),
    {"boolValue": True}, {"bytesValue": "//8="}, {},
    {"arrayValue": {"values": [{"intValue": "5"}]}},
    {"kvlistValue": {"values": [{"key": "doubleValue", "value": {"doubleValue": -5}}]}},
]
# fmt: on
TIMES = [n for n in (*EDGES, 2**64 - 1, 2**64 - 5, 10**18 - 1, 10**18, NOW - 370 * 86_400 * SECOND) if 0 <= n < 2**64]
TASK, QUEUE = "odd", "odd-queue"
TRIGGER = {"$trigger": True, "ctx.environment.type": "PRODUCTION"}


def value(given: Any) -> dict[str, Any]:
    """Return an OTLP value; a mapping is one already."""
    if isinstance(given, dict):
        return given
    kinds = {bool: "boolValue", int: "intValue", float: "doubleValue", str: "stringValue"}
    return {kinds[type(given)]: str(given) if type(given) is int else given}


def attributes(given: dict[str, Any]) -> list[dict[str, Any]]:
    """Return OTLP attributes."""
    return [{"key": key, "value": value(v)} for key, v in given.items()]


def request(signal: str, records: list[dict[str, Any]], *, trigger: bool = False) -> Recorded:
    """Return one request of plain records, or of a Trigger.dev worker's."""
    outer, middle, inner = {
        "logs": ("resourceLogs", "scopeLogs", "logRecords"),
        "traces": ("resourceSpans", "scopeSpans", "spans"),
        "metrics": ("resourceMetrics", "scopeMetrics", "metrics"),
    }[signal]
    resource = {"attributes": attributes(TRIGGER if trigger else {"service.name": "worker"})}
    block = {"resource": resource, middle: [{"scope": {"name": "tasks"}, inner: records}]}
    return Recorded(BY_NAME[signal], "json", json.dumps({outer: [block]}).encode())


def context(run: str, *, trigger: bool, task: str = TASK, queue: str = QUEUE, **more: Any) -> dict[str, Any]:
    """Return the attributes that name a run."""
    if not trigger:
        return {"run_id": run, "task_id": task, "queue": queue, "attempt": 1, **more}
    named = {"run.id": run, "task.id": task, "queue.name": queue, "attempt.number": 1}
    return {**{f"$metadata.ctx.{key}": v for key, v in named.items()}, **more}


def log(body: str, ns: int, own: dict[str, Any], **fields: Any) -> dict[str, Any]:
    """Return a log record."""
    return {"timeUnixNano": str(ns), "body": {"stringValue": body}, "attributes": attributes(own), **fields}


def span(ident: int, start: int, end: int, own: dict[str, Any], **fields: Any) -> dict[str, Any]:
    """Return the span of an attempt, plain and of Trigger.dev."""
    return {
        "traceId": f"{ident + 1:032x}",
        "spanId": f"{ident + 1:016x}",
        "name": "process",
        "kind": 5,
        "startTimeUnixNano": str(start),
        "endTimeUnixNano": str(end),
        "attributes": attributes({"$span.attempt": True, **own}),
        **fields,
    }


def requests() -> Iterator[Recorded]:
    """Yield runs of which each holds one value in one promoted key, or in one field; spans and logs."""
    ident = count(1000)
    for dialect in (generic.DIALECT, trigger_dev.DIALECT):
        trigger = dialect is trigger_dev.DIALECT
        logs, spans = [], []
        for keys in dialect.record.values():
            for given in VALUES:
                n = next(ident)
                own = {**context(f"odd-{n}", trigger=trigger), keys[0]: given}
                logs += [log("job_do_started", BEFORE, own), log("job_do_completed", BEFORE + SECOND, own)]
                spans.append(span(n, BEFORE, BEFORE + SECOND, own))
        yield request("logs", logs, trigger=trigger)
        yield request("traces", spans, trigger=trigger)
    yield from _times(ident)
    yield request(
        "logs",
        [
            log("x", BEFORE, context("odd-fields", trigger=False), **{field: n})
            for field, most in (("severityNumber", 2**31), ("flags", 2**32), ("droppedAttributesCount", 2**32))
            for n in EDGES
            if (0 if most > 2**31 else -most) <= n < most
        ],
    )
    yield request(
        "traces",
        [
            span(next(ident), BEFORE, BEFORE + 5, context("odd-fields", trigger=False), kind=n, status={"code": n})
            for n in EDGES
            if -(2**31) <= n < 2**31
        ],
    )
    yield request("metrics", [*_metrics()])


def _times(ident: count[int]) -> Iterator[Recorded]:
    logs, spans = [], []
    for ns in TIMES:
        plain = context(f"odd-{next(ident)}", trigger=False)
        logs += [log("job_do_started", ns, plain), log("job_do_completed", BEFORE, plain, observedTimeUnixNano=str(ns))]
        for start, end in ((ns, ns), (ns, BEFORE), (BEFORE, ns), (ns, min(ns + 5, 2**64 - 1)), (0, ns)):
            n = next(ident)
            own = context(f"odd-{n}", trigger=True)
            spans.append(span(n, start, end, own))
            waits = span(next(ident), start, end, own, name="wait.for()")
            calls = span(next(ident), start, end, {**own, "$style.icon": "trigger", "runId": f"odd-child-{n}"})
            for other in (waits, calls):
                other["attributes"] = other["attributes"][1:]
            spans += [waits, {**calls, "name": "triggerAndWait()"}]
    yield request("logs", logs)
    yield request("traces", spans, trigger=True)


def _metrics() -> Iterator[dict[str, Any]]:
    doubles = [x if math.isfinite(x) else str(x) for x in DOUBLES]
    points = [{"timeUnixNano": str(ns), "startTimeUnixNano": str(ns), "asInt": "1"} for ns in TIMES]
    points += [{"timeUnixNano": str(BEFORE), "asInt": str(n)} for n in INTS]
    points += [{"timeUnixNano": str(BEFORE), "asDouble": x} for x in (*doubles, "NaN", "Infinity", "-Infinity")]
    yield {"name": "depth", "gauge": {"dataPoints": points}}
    counts = [n for n in TIMES if n >= 0]
    yield {
        "name": "took",
        "histogram": {
            "dataPoints": [
                {"timeUnixNano": str(BEFORE), "count": str(n), "sum": float(n), "bucketCounts": [str(n)]}
                for n in counts
            ]
        },
    }
