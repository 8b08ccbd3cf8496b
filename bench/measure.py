"""Measure a generated store: refresh after the newest minute, every named query and statistic, and what else could be.

`python -m bench.measure DIRECTORY` prints Markdown: ratios against the stated limits first, then milliseconds. The
store is changed by it (some minutes of new runs are added); generate another one to repeat.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import statistics as middle
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import polars as pl
import psutil
import pyarrow as pa

from bench.generate import END_NS, LAST_SEQ, LIMITS, SEQ_NS
from collector.api import stats
from collector.control import Control
from collector.jobs.runner import Runner
from collector.jobs.runs import RunsJob
from collector.journal import Entry
from collector.model import tables
from collector.model.identity import run_key
from collector.settings import Settings, Store
from collector.store import run_page
from collector.store.apply import apply
from collector.store.database import Database, Handle
from collector.store.named import queries
from collector.store.places import Memory

REFRESH_LIMIT_MS = 500.0
QUERY_LIMIT_MS = 100.0
HOUR_NS = 3_600_000_000_000
DOCTOR = ("clock_skew", "time_quality")
"""Queries that no page asks: `runwell doctor` asks them for 24 h, analysts for any time."""


ABOUT = {
    "project": "default", "dialect": "trigger_dev", "environment": "PRODUCTION", "resource_id": "r" * 32,
    "scope_id": "s" * 32, "time_source": "time",
}  # fmt: skip
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
            **ABOUT, "run_id": run_id, "run_key": run_key("default", "trigger_dev", "PRODUCTION", "", run_id),
            "task_id": f"task-{i % 200}", "queue": f"queue-{i % 20}", "attempt": 1,
        }  # fmt: skip
        a, b = begin + i * 10**8, begin + i * 10**8 + 20 * 10**9
        ids = {"trace_id": f"{number:08x}{i:024x}", "span_id": f"{number:08x}{i:08x}"}
        spans.append({
            **about, **ids, "received_ns": b, "name": "Attempt 1", "kind": 1, "start_time_unix_nano": a,
            "end_time_unix_nano": b, "duration_ns": b - a, "status_code": 0, "events": "[]", "span_type": "attempt",
            "is_partial": False, "attributes": f'{{"ctx.run.id":"{run_id}","ctx.attempt.number":1}}',
        })  # fmt: skip
        for k in range(logs):
            at = a + k * 10**9
            phase = "started" if k == 0 else "calling" if k < logs - 1 else "completed"
            service = f"service-{k % 7}" if phase == "calling" else None
            told = {
                "correlation_id": correlation, "request_id": f"req-{number}-{i}", "run_id": run_id, "attempt": 1,
                "item_count": k, "amount_usd": 12.5 * k, "recipient_domain": "example.com",
            } | ({"duration_ms": k * 1000} if phase == "completed" else {})  # fmt: skip
            lines.append({
                **about, **ids, "received_ns": at, "time_unix_nano": at, "severity_number": 9, "severity_text": "INFO",
                "body": f"{operation}_{phase}" + (f"_{service}" if service else ""), "body_type": "string",
                "phase": phase, "operation": operation, "called_service": service, "source": "logger",
                "correlation_id": correlation, "request_id": told["request_id"],
                "attributes": json.dumps(told, separators=(",", ":")),
            })  # fmt: skip
    groups = []
    for part in range(12):  # one every five seconds
        seq = LAST_SEQ + number * 12 + part + 1
        rows = {**CATALOGUES, "spans": spans[part::12], "logs": lines[part::12]}
        found = {name: _table(name, own) for name, own in rows.items()}
        groups.append(Entry(seq, begin + part * SEQ_NS, {k: v for k, v in found.items() if v.num_rows}))
    return groups


def _table(name: str, rows: list[dict[str, Any]]) -> pa.Table:
    schema = tables.WIRE[name]
    filled = [{column: row.get(column) for column in schema.names} for row in rows]
    if name in CATALOGUES:
        return pa.Table.from_pylist(filled, schema=schema)
    times = "start_time_unix_nano" if name == "spans" else "time_unix_nano"
    return pa.Table.from_pylist([{**row, "time": row[times] // 1000} for row in filled], schema=schema)


def timed(act: Callable[[], object]) -> float:
    """Return how many ms *act* took."""
    began = time.perf_counter()
    act()
    return (time.perf_counter() - began) * 1e3


def spent(act: Callable[[], object]) -> tuple[float, float]:
    """Return how many ms *act* took, and the CPU ms of this process meanwhile."""
    began = time.process_time()
    took = timed(act)
    return took, (time.process_time() - began) * 1e3


def many(act: Callable[[], object], times: int) -> tuple[float, float, float]:
    """Return median and 95th percentile of *times* calls and their mean CPU time, in ms; one before is not counted."""
    act()
    began = time.process_time()
    took = sorted(timed(act) for _ in range(times))
    cpu = (time.process_time() - began) * 1e3 / times
    return middle.median(took), took[min(len(took) - 1, round(0.95 * len(took)))], cpu


def refresh(directory: Path, settings: Settings, minutes: int) -> None:
    """Print how long a minute of new records takes from the journal's group to settled statistics."""
    database = Database.open(directory, settings.store)
    control = Control.open(directory)
    memory = Memory()
    runs = RunsJob(database, settings.runs, memory)
    runner = Runner(database, control, memory, settings)
    counts = database.reading(
        lambda h: h.frame("SELECT (SELECT count(*) FROM attempts) a, (SELECT count(*) FROM logs) l")
    )
    attempts, logs = counts.row(0)
    per_minute = max(1, round(attempts / 30 / 1440))
    each = max(1, round(logs / max(1, attempts)))
    print(f"{attempts:,} attempts, {logs:,} logs; {per_minute} runs and {per_minute * each} logs a minute\n")
    start = database.reading(lambda h: h.value("SELECT coalesce(max(seq), 0) FROM watermark WHERE name = 'applied'"))
    done = (int(start) - LAST_SEQ) // 12
    steps: dict[str, list[tuple[float, float]]] = {"apply": [], "runs": [], "statistics": [], "all": []}
    for number in range(done, done + minutes + 1):
        groups = minute(number, per_minute, each)
        now = END_NS + (number + 1) * 60 * 10**9
        took = {
            "apply": spent(lambda g=groups: apply(database, g)),  # type: ignore[misc]
            "runs": spent(lambda n=now: runs.tick(n)),  # type: ignore[misc]
            "statistics": spent(lambda n=now: runner.run(n)),  # type: ignore[misc]
        }
        if number > done:  # the first one reads what a started process keeps in memory
            for name, pair in {**took, "all": _added(took)}.items():
                steps[name].append(pair)
        else:
            wall, cpu = _added(took)
            print(f"first minute after the start: {wall:.0f} ms, CPU {cpu:.0f} ms\n")
    if runner.errors:
        raise SystemExit(str(runner.errors))
    print("| step | median against 500 ms | median ms | most ms | CPU ms |\n|---|---|---|---|---|")
    for name, pairs in steps.items():
        wall, cpu = ([pair[i] for pair in pairs] for i in (0, 1))
        median = middle.median(wall)
        print(
            f"| {name} | {median / REFRESH_LIMIT_MS:.2f} | {median:.0f} | {max(wall):.0f} | {middle.median(cpu):.0f} |"
        )
    print(f"\nresident memory {psutil.Process(os.getpid()).memory_info().rss / 2**20:.0f} MiB\n")
    database.close()
    control.close()


def _added(took: dict[str, tuple[float, float]]) -> tuple[float, float]:
    return sum(wall for wall, _ in took.values()), sum(cpu for _, cpu in took.values())


def asked(directory: Path, settings: Settings, times: int) -> None:
    """Print how long each named query, page part and statistic takes for its usual and its longest range."""
    database = Database.open(directory, settings.store)
    now = END_NS
    run, key = database.reading(
        lambda h: h.rows("SELECT run_id, run_key FROM runs ORDER BY at_ns DESC LIMIT 1 OFFSET 5000")[0]
    )
    basis = stats.Basis(180 * 10**9, HOUR_NS)
    print("| what | range | p95 against 100 ms | p50 ms | p95 ms | CPU ms |\n|---|---|---|---|---|---|")

    def show(what: str, span: str, act: Callable[[Handle], object]) -> None:
        p50, p95, cpu = many(lambda: database.limited(act, seconds=30, prepare=lambda h: None), times)
        print(f"| {what} | {span} | {p95 / QUERY_LIMIT_MS:.2f} | {p50:.0f} | {p95:.0f} | {cpu:.0f} |", flush=True)

    for name, q in queries().items():
        known = {p.name for p in q.parameters}
        for span, hours, bucket in (("24 h", 24, 900), ("7 d", 168, 3600)):
            if (name.endswith("_hours") and hours < 168) or (f"{name}_hours" in queries() and hours >= 168):
                continue  # pages ask the one of days, the other of a day
            given = {
                "from_ns": now - hours * HOUR_NS,
                "to_ns": now,
                "bucket_ns": bucket * 10**9,
                "limit": 50,
                "offset": 0,
            }
            # What a query of one task, queue or kind must be told.
            words = {p.name: f"{p.name}-3" for p in q.parameters if p.required and p.type == "varchar"}
            extra = {k: w for k, w in words.items() if k not in given}
            text = {k: str(v) for k, v in {**given, **extra}.items() if k in known}
            bound = q.bind(text) | ({"project": "default"} if "$project" in q.sql else {})
            label, over = f"query `{name}`" + " (doctor)" * (name in DOCTOR), span if "from_ns" in known else "all"
            show(label, over, lambda h, q=q, b=bound: h.arrow(q.sql, b))  # type: ignore[misc]
            if "from_ns" not in known:
                break
            if name == "run_list":
                found = bound | {"q": "task-17"}
                show(f"query `{name}` with a text", span, lambda h, q=q, b=found: h.arrow(q.sql, b))  # type: ignore[misc]
    show("one run's page", "", lambda h: run_page.find(h, "default", run, key))
    for name in stats.STATISTICS:
        for span in ("24h", "7d"):
            if name == "little" and span == "7d":
                continue
            one = {"task": "task-3"} if name in ("durations", "funnel") else {}
            question = stats.question(name, {"from": span, **one}, "default", now, basis)
            label = f"stats `{name}`" + (" of one task" if one else "")
            show(label, span, lambda h, n=name, q=question: stats.STATISTICS[n].answer(h, q))  # type: ignore[misc]
    database.close()


def beside(directory: Path, settings: Settings) -> None:
    """Print what the same hourly retry counters cost as plain SQL and as in-memory polars over everything."""
    database = Database.open(directory, settings.store)
    sql = (
        "SELECT at_ns // 3600000000000 AS hour, task_id, count(*) AS runs, "
        "count(*) FILTER (attempt_count > 1) AS retried, count(*) FILTER (status = 'failed') AS failed "
        "FROM runs GROUP BY ALL"
    )
    kept = (
        "SELECT hour_ns, task_id, sum(runs) AS runs, sum(runs) FILTER (attempts > 1) AS retried, "
        "sum(runs) FILTER (outcome = 'failed') AS failed FROM run_cohorts GROUP BY ALL"
    )
    rss = psutil.Process(os.getpid())
    plain = many(lambda: database.reading(lambda h: h.arrow(sql)), 3)[0]
    ours = many(lambda: database.reading(lambda h: h.arrow(kept)), 3)[0]
    before = rss.memory_info().rss
    frame = database.reading(lambda h: h.frame("SELECT at_ns, task_id, attempt_count, status FROM runs"))

    def memory() -> pl.DataFrame:
        return frame.group_by(pl.col("at_ns") // HOUR_NS, "task_id").agg(
            runs=pl.len(), retried=(pl.col("attempt_count") > 1).sum(), failed=(pl.col("status") == "failed").sum()
        )

    polars = many(memory, 3)[0]
    grown = (rss.memory_info().rss - before) / 2**20
    print("| 30 days of retry counters by task and hour | against ours | ms |\n|---|---|---|")
    for name, ms in (
        ("hourly table", ours),
        ("plain DuckDB SQL", plain),
        (f"polars in memory (+{grown:.0f} MiB)", polars),
    ):
        print(f"| {name} | {ms / ours:.1f} | {ms:.0f} |")
    database.close()


def main() -> None:
    """Measure the store the command line names."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("directory", type=Path)
    parser.add_argument("--minutes", type=int, default=5)
    parser.add_argument("--times", type=int, default=10)
    parser.add_argument("--only", choices=["refresh", "asked", "beside"])
    given = parser.parse_args()
    settings = Settings(data=given.directory, store=Store(), queues=LIMITS)
    print(f"{platform.machine()}, {os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}, {time.strftime('%Y-%m-%d')}\n")
    parts: dict[str, Callable[[], None]] = {
        "asked": lambda: asked(given.directory, settings, given.times),
        "beside": lambda: beside(given.directory, settings),
        "refresh": lambda: refresh(given.directory, settings, given.minutes),
    }
    for name, part in parts.items():
        if given.only in (None, name):
            part()
            print()


if __name__ == "__main__":
    main()
