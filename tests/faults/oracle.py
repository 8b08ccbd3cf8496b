"""An oracle outside the product: issues numbered requests, remembers which were acknowledged, judges what is stored.

Everything in request *n* follows from the seed and *n*. Twelve neighbouring requests tell of one run, whichever
clients, encodings and wires they take.
"""

from __future__ import annotations

import base64
import json
import threading
from collections import Counter
from dataclasses import dataclass
from random import Random
from typing import Any, Literal

import polars as pl
from google.protobuf import json_format

from collector.client import Client
from collector.model.signals import LOGS, TRACES, Signal

B = 65_536
SIZES = (0, 1, B // 4, B // 2, B - 1, B, B + 1, 3 * B)
"""Lengths of log bodies that straddle the buffers a body passes on its way."""
RUN = 12
SERVICE = "worker-"
"""How the services of all clients begin, and nobody else's."""
T0 = 1_790_000_000_000_000_000
Wire = Literal["http", "grpc"]

# fmt: off
LOG_COLUMNS = (
    "time_unix_nano", "observed_time_unix_nano", "severity_number", "severity_text", "body", "body_type", "event_name",
    "trace_id", "span_id", "flags", "dropped_attributes_count", "run_id", "task_id", "attempt", "queue",
    "correlation_id", "request_id", "operation", "phase",
)
# fmt: on
SPAN_COLUMNS = (
    "trace_id",
    "span_id",
    "parent_span_id",
    "trace_state",
    "flags",
    "name",
    "kind",
    "start_time_unix_nano",
    "end_time_unix_nano",
    "status_code",
    "status_message",
    "events",
    "run_id",
    "task_id",
    "attempt",
    "child_run_id",
)


@dataclass(frozen=True)
class Issued:
    """One request: what to send, how, and how many records it holds."""

    number: int
    signal: Signal
    encoding: Literal["protobuf", "json"]
    wire: Wire
    gzip: bool
    body: bytes
    records: int


class Oracle:
    """Knows what was asked for, what was promised, and what has to be there."""

    def __init__(self, seed: int) -> None:
        self._seed = seed
        self._lock = threading.Lock()
        self._next = 0
        self.acknowledged: set[int] = set()
        self.refused: Counter[str] = Counter()
        """Answers that an honest client should never get."""

    def issue(self, wire: Wire, encoding: Literal["protobuf", "json"], gzip: bool) -> Issued:
        """Return a request that was never issued before."""
        with self._lock:
            number, self._next = self._next, self._next + 1
        signal, request, records = self._request(number)
        body = json.dumps(request).encode() if encoding == "json" else _protobuf(signal, request)
        return Issued(number, signal, encoding, wire, gzip, body, len(records))

    def acknowledge(self, request: Issued) -> None:
        """Note that a client was told that *request* is kept."""
        with self._lock:
            self.acknowledged.add(request.number)

    # -- what a number generates -----------------------------------------------------------------------------------

    def _request(self, number: int) -> tuple[Signal, dict[str, Any], list[dict[str, Any]]]:
        """Return (signal, OTLP/JSON of the request, expected rows) of a number."""
        r = Random(f"{self._seed}/{number}")
        signal = TRACES if r.random() < 0.3 else LOGS
        build = self._span if signal is TRACES else self._log
        made = [build(r, number, i) for i in range(r.choice((1, 1, 2, 5, 20)))]
        units, rows = [unit for unit, _ in made], [row for _, row in made]
        service = f"{SERVICE}{number % 3}"
        resource = {"attributes": _attributes({"service.name": service})}
        scope = {"name": "oracle", "version": "1"}
        kind, unit = ("Spans", "spans") if signal is TRACES else ("Logs", "logRecords")
        block = {"resource": resource, f"scope{kind}": [{"scope": scope, unit: units}]}
        return signal, {f"resource{kind}": [block]}, [{**row, "service_name": service} for row in rows]

    def _context(self, number: int, i: int) -> dict[str, Any]:
        run = number // RUN
        return {
            "oracle": f"{number}-{i}",
            "run_id": f"run-{run}",
            "task_id": f"task-{run % 5}",
            "attempt": 1 + (number % RUN > RUN // 2),
            "queue": f"queue-{run % 2}",
            "correlation_id": f"order-{run}",
            "request_id": f"req-{number}",
        }

    def _log(self, r: Random, number: int, i: int) -> tuple[dict[str, Any], dict[str, Any]]:
        index = number % RUN
        phase = {0: "started", 6: "failed", 7: "started", RUN - 1: "completed"}.get(index) if i == 0 else None
        if phase:
            body = f"order_charge_{phase}"
        else:
            length = r.choice(SIZES) if i == 0 and r.random() < 0.2 else r.randrange(200)
            body = r.randbytes((length + 1) // 2).hex()[:length]
        attributes = {**self._context(number, i), "ratio": r.randrange(1000) / 8, "ok": r.random() < 0.5, "n": -number}
        at = T0 + number * 10**6 + i
        trace_id, span_id = r.randbytes(16).hex(), r.randbytes(8).hex()
        severity = r.choice((5, 9, 13, 17))
        record = {
            "timeUnixNano": str(at),
            "observedTimeUnixNano": str(at + 17),
            "severityNumber": severity,
            "severityText": f"S{severity}",
            "body": {"stringValue": body},
            "attributes": _attributes(attributes),
            "traceId": trace_id,
            "spanId": span_id,
            "flags": number % 2,
            "droppedAttributesCount": i,
        }
        row = {
            "id": attributes["oracle"],
            "attributes": _text(attributes),
            "time_unix_nano": at,
            "observed_time_unix_nano": at + 17,
            "severity_number": severity,
            "severity_text": f"S{severity}",
            "body": body,
            "body_type": "string",
            "event_name": None,
            "trace_id": trace_id,
            "span_id": span_id,
            "flags": number % 2,
            "dropped_attributes_count": i,
            **{k: attributes[k] for k in ("run_id", "task_id", "attempt", "queue", "correlation_id", "request_id")},
            "operation": "order_charge" if phase else None,
            "phase": phase,
        }
        return record, row

    def _span(self, r: Random, number: int, i: int) -> tuple[dict[str, Any], dict[str, Any]]:
        attributes = self._context(number, i)
        kind = r.choice((1, 3, 4, 5))
        child = f"run-{number // RUN + 1}" if kind == 4 else None
        if child:
            attributes["child_run_id"] = child
        start = T0 + number * 10**6 + i
        end = start + r.randrange(10**9)
        code = r.choice((0, 1, 2))
        ids = {"trace_id": r.randbytes(16).hex(), "span_id": r.randbytes(8).hex(), "parent": r.randbytes(8).hex()}
        event = {"timeUnixNano": start + 1, "name": "note", "attributes": {"n": i}, "droppedAttributesCount": 0}
        events = [event] if r.random() < 0.5 else []
        span = {
            "traceId": ids["trace_id"],
            "spanId": ids["span_id"],
            "parentSpanId": ids["parent"],
            "traceState": "a=1",
            "flags": 1,
            "name": f"step-{i}",
            "kind": kind,
            "startTimeUnixNano": str(start),
            "endTimeUnixNano": str(end),
            "status": {"code": code, "message": "why" if code == 2 else ""},
            "attributes": _attributes(attributes),
            "events": [
                {"timeUnixNano": str(start + 1), "name": "note", "attributes": _attributes({"n": i})} for _ in events
            ],
        }
        row = {
            "id": attributes["oracle"],
            "attributes": _text(attributes),
            "trace_id": ids["trace_id"],
            "span_id": ids["span_id"],
            "parent_span_id": ids["parent"],
            "trace_state": "a=1",
            "flags": 1,
            "name": f"step-{i}",
            "kind": kind,
            "start_time_unix_nano": start,
            "end_time_unix_nano": end,
            "status_code": code,
            "status_message": "why" if code == 2 else None,
            "events": _text(events),
            "child_run_id": child,
            **{k: attributes[k] for k in ("run_id", "task_id", "attempt")},
        }
        return span, row

    # -- judgement -------------------------------------------------------------------------------------------------

    def judge(self, client: Client) -> dict[str, int]:
        """Compare the tables with what was issued and promised; return counts, or fail with the first difference."""
        stored = {
            "logs": _stored(client, "logs", LOG_COLUMNS),
            "traces": _stored(client, "spans", SPAN_COLUMNS),
        }
        times_stored = Counter(id_ for frame in stored.values() for id_ in frame["id"])
        twice = [id_ for id_, n in times_stored.items() if n > 1]
        assert not twice, f"{len(twice)} records are stored more than once, such as {twice[:3]}"

        expected: dict[str, list[dict[str, Any]]] = {"logs": [], "traces": []}
        unacknowledged = 0
        for number in range(self._next):
            signal, _, rows = self._request(number)
            there = sum(row["id"] in times_stored for row in rows)
            if number in self.acknowledged:
                assert there == len(rows), f"request {number} was acknowledged; {there} of {len(rows)} records are kept"
            elif there:
                assert there == len(rows), f"request {number} is there in part: {there} of {len(rows)} records"
                unacknowledged += 1
            if there:
                expected[signal.name] += rows
        sent = {row["id"] for rows in expected.values() for row in rows}
        made_up = times_stored.keys() - sent
        assert not made_up, f"{len(made_up)} records were never issued, such as {list(made_up)[:3]}"

        for name, rows in expected.items():
            frame = stored[name]
            assert len(rows) == frame.height
            wanted = pl.DataFrame(rows, schema=dict(frame.schema))
            for column in frame.columns:
                pair = wanted.sort("id").select(wanted="id", id=column, stored=frame.sort("id")[column])
                wrong = pair.filter(pl.col("id").ne_missing(pl.col("stored")))
                assert wrong.is_empty(), f"{name}.{column}: {wrong.height} values differ, first {wrong.row(0)}"
        return {
            "issued": self._next,
            "acknowledged": len(self.acknowledged),
            "durable_unacknowledged": unacknowledged,
            "records": len(times_stored),
        }


MOST_ROWS = 50_000
"""Rows asked for at one time: all of them would be more than the store may hold."""


def _stored(client: Client, table: str, columns: tuple[str, ...]) -> pl.DataFrame:
    named = ", ".join(f"t.{c}" for c in columns)
    groups = _frame(client, f"SELECT seq, count(*)::BIGINT AS n FROM {table} GROUP BY seq ORDER BY seq")
    parts = groups.with_columns(part=pl.col("n").cum_sum() // MOST_ROWS).group_by("part")
    ranges = parts.agg(low=pl.col("seq").min(), high=pl.col("seq").max())
    ask = f"SELECT {named}, t.attributes, t.resource_id FROM {table} t WHERE seq BETWEEN"
    frame = pl.concat(
        [
            _frame(client, f"{ask} 0 AND -1"),
            *(_frame(client, f"{ask} {low} AND {high}") for _, low, high in ranges.iter_rows()),
        ]
    )
    services = _frame(client, "SELECT resource_id, service_name FROM resources")
    ours = frame.join(services.unique(), on="resource_id").filter(pl.col("service_name").str.starts_with(SERVICE))
    return ours.drop("resource_id").with_columns(id=pl.col("attributes").str.json_path_match("$.oracle"))


def _frame(client: Client, sql: str) -> pl.DataFrame:
    answer = client.sql(sql)
    assert not answer.truncated
    frame = pl.from_arrow(answer.table)
    assert isinstance(frame, pl.DataFrame)
    return frame


def _text(value: Any) -> str:
    return json.dumps(value, separators=(",", ":"))


def _attributes(values: dict[str, Any]) -> list[dict[str, Any]]:
    def any_value(v: Any) -> dict[str, Any]:
        if isinstance(v, bool):
            return {"boolValue": v}
        if isinstance(v, int):
            return {"intValue": str(v)}
        return {"doubleValue": v} if isinstance(v, float) else {"stringValue": v}

    return [{"key": key, "value": any_value(v)} for key, v in values.items()]


def _protobuf(signal: Signal, request: dict[str, Any]) -> bytes:
    """Return OTLP/JSON as protobuf; OTLP's JSON has ids in hex where protobuf's has base64."""

    def based(value: Any) -> Any:
        if isinstance(value, list):
            return [based(v) for v in value]
        if isinstance(value, dict):
            ids = ("traceId", "spanId", "parentSpanId")
            return {k: base64.b64encode(bytes.fromhex(v)).decode() if k in ids else based(v) for k, v in value.items()}
        return value

    return bytes(json_format.ParseDict(based(request), signal.request()).SerializeToString())
