"""The minute after a generated month, as journal groups: what a store has to take in while it is measured."""

from __future__ import annotations

import json
from typing import Any

import pyarrow as pa

from bench.generate import END_NS, LAST_SEQ, SEQ_NS
from collector.journal import Entry
from collector.model import tables
from collector.model.identity import run_key

ABOUT = {
    "project": "default",
    "dialect": "trigger_dev",
    "environment": "PRODUCTION",
    "resource_id": "r" * 32,
    "scope_id": "s" * 32,
    "time_source": "time",
}
CATALOGUES = {
    "resources": [{**ABOUT, "service_name": "bench", "attributes": '{"service.name":"bench"}'}],
    "scopes": [{**ABOUT, "name": "bench-tasks", "version": "1.0.0", "attributes": "{}"}],
}


def minute(number: int, runs: int, logs: int) -> list[Entry]:
    """Return the journal groups of the *number*th minute after the generated month: whole runs of one attempt.

    Their logs are as the conventions want them, by the task's own logger, so that every rule has to look at them.
    """
    begin = END_NS + number * 60 * 10**9
    spans: list[dict[str, Any]] = []
    lines: list[dict[str, Any]] = []
    for i in range(runs):
        run_id = f"run_new_{number}_{i}"
        operation, correlation = f"work_{i % 10}", f"doc-{number}-{i}"
        about = {
            **ABOUT,
            "run_id": run_id,
            "run_key": run_key("default", "trigger_dev", "PRODUCTION", "", run_id),
            "task_id": f"task-{i % 200}",
            "queue": f"queue-{i % 20}",
            "attempt": 1,
        }
        a, b = begin + i * 10**8, begin + i * 10**8 + 20 * 10**9
        ids = {"trace_id": f"{number:08x}{i:024x}", "span_id": f"{number:08x}{i:08x}"}
        spans.append(
            {
                **about,
                **ids,
                "received_ns": b,
                "name": "Attempt 1",
                "kind": 1,
                "start_time_unix_nano": a,
                "end_time_unix_nano": b,
                "duration_ns": b - a,
                "status_code": 0,
                "events": "[]",
                "span_type": "attempt",
                "is_partial": False,
                "attributes": f'{{"ctx.run.id":"{run_id}","ctx.attempt.number":1}}',
            }
        )
        for k in range(logs):
            at = a + k * 10**9
            phase = "started" if k == 0 else "calling" if k < logs - 1 else "completed"
            service = f"service-{k % 7}" if phase == "calling" else None
            attributes = {
                "correlation_id": correlation,
                "request_id": f"req-{number}-{i}",
                "run_id": run_id,
                "attempt": 1,
                "item_count": k,
                "amount_usd": 12.5 * k,
                "recipient_domain": "example.com",
            } | ({"duration_ms": k * 1000} if phase == "completed" else {})
            lines.append(
                {
                    **about,
                    **ids,
                    "received_ns": at,
                    "time_unix_nano": at,
                    "severity_number": 9,
                    "severity_text": "INFO",
                    "body": f"{operation}_{phase}" + (f"_{service}" if service else ""),
                    "body_type": "string",
                    "phase": phase,
                    "operation": operation,
                    "called_service": service,
                    "source": "logger",
                    "correlation_id": correlation,
                    "request_id": attributes["request_id"],
                    "attributes": json.dumps(attributes, separators=(",", ":")),
                }
            )
    groups = []
    for part in range(12):  # one every five seconds
        seq = LAST_SEQ + number * 12 + part + 1
        rows = {**CATALOGUES, "spans": spans[part::12], "logs": lines[part::12]}
        tables = {name: _table(name, rows_) for name, rows_ in rows.items()}
        groups.append(Entry(seq, begin + part * SEQ_NS, {k: v for k, v in tables.items() if v.num_rows}))
    return groups


def _table(name: str, rows: list[dict[str, Any]]) -> pa.Table:
    schema = tables.WIRE[name]
    filled = [{column: row.get(column) for column in schema.names} for row in rows]
    if name in CATALOGUES:
        return pa.Table.from_pylist(filled, schema=schema)
    times = "start_time_unix_nano" if name == "spans" else "time_unix_nano"
    return pa.Table.from_pylist([{**row, "time": row[times] // 1000} for row in filled], schema=schema)
