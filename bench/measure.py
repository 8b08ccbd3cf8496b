"""Measure a generated store: refresh after the newest minute, every named query and statistic, and what else could be.

`python -m bench.measure DIRECTORY` prints Markdown: ratios against the stated limits first, then milliseconds;
`--json FILE` adds a line to FILE, of which `bench.growth` draws curves. The store is changed by it: some minutes of new
runs are added, and it may be measured again.
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

import psutil

from bench import peers
from bench.generate import END_NS, LAST_SEQ, LIMITS
from bench.minute import minute
from bench.timing import many, pace, spent
from collector.api import endpoints, stats
from collector.api.question import Basis
from collector.control import Control, ledger
from collector.jobs import findings
from collector.jobs.runner import INFERENCE, Runner
from collector.jobs.runs import RunsJob
from collector.model.units import HOUR_NS, MINUTE_NS
from collector.settings import Settings, Store
from collector.store import run_page
from collector.store.apply import apply
from collector.store.database import Database
from collector.store.handle import Handle
from collector.store.named import queries
from collector.store.places import Memory

REFRESH_LIMIT_MS = 500.0
QUERY_LIMIT_MS = 100.0
DOCTOR = ("clock_skew", "time_quality")
"""Queries that no page asks: `runwell doctor` asks them for 24 h, analysts for any time."""
BESIDE = (INFERENCE, findings.WINDOW, findings.PUBLIC)
"""What is worked out on a thread of its own while minutes are taken in."""


def refresh(
    database: Database, control: Control, settings: Settings, minutes: int, size: dict[str, Any], runs_a_minute: int
) -> float:
    """Print how long a minute of new records takes from the journal's group to settled statistics; return the median.

    *runs_a_minute*: 0 for as many as the month before has.
    As in production what is due now and then is worked out beside. Here minutes pass faster than it is done, so a
    minute waits for it; those that it began in are told apart.
    """
    memory = Memory()
    runs = RunsJob(database, settings.runs, memory)
    runner = Runner(database, control, memory, settings, beside=True)
    per_minute = runs_a_minute or max(1, round(size["attempts"] / 30 / 1440))
    each = max(1, round(size["logs"] / max(1, size["attempts"])))
    print(f"{per_minute} runs and {per_minute * each} logs a minute; sorting 2 M numbers takes {pace():.0f} ms now\n")
    start = database.reading(lambda h: h.value("SELECT coalesce(max(seq), 0) FROM watermark WHERE name = 'applied'"))
    done = (int(start) - LAST_SEQ) // 12
    began_ns = time.time_ns()
    shared = "all, while something is worked out beside"
    steps: dict[str, list[tuple[float, float]]] = {
        "apply": [],
        "runs": [],
        "statistics and rules": [],
        "all": [],
        shared: [],
    }
    for number in range(done, done + minutes + 1):
        groups = minute(number, per_minute, each)
        now = END_NS + (number + 1) * MINUTE_NS
        if len(steps[shared]) >= minutes // 3:
            while runner.working:
                time.sleep(0.01)
        busy = runner.working
        took = {
            "apply": spent(lambda g=groups: apply(database, g)),  # type: ignore[misc]
            "runs": spent(lambda n=now: runs.tick(n)),  # type: ignore[misc]
            "statistics and rules": spent(lambda n=now: runner.run(n)),  # type: ignore[misc]
        }
        if number > done:  # the first one reads what a started process keeps in memory
            timed = {shared: _added(took)} if busy else {**took, "all": _added(took)}
            for name, pair in timed.items():
                steps[name].append(pair)
        else:
            wall, cpu = _added(took)
            print(f"first minute after the start: {wall:.0f} ms, CPU {cpu:.0f} ms\n")
    while runner.working:
        time.sleep(0.01)
    runner.run(END_NS + (done + minutes + 1) * MINUTE_NS)
    runner.close()
    if runner.errors:
        raise SystemExit(str(runner.errors))
    print("| step | median against 500 ms | median ms | most ms | CPU ms |\n|---|---|---|---|---|")
    for name, pairs in ((name, pairs) for name, pairs in steps.items() if pairs):
        wall, cpu = ([pair[i] for pair in pairs] for i in (0, 1))
        median = middle.median(wall)
        print(
            f"| {name} | {median / REFRESH_LIMIT_MS:.2f} | {median:.0f} | {max(wall):.0f} | {middle.median(cpu):.0f} |"
        )
    for name in BESIDE:
        took_ms = [
            (e.ended_ns - e.started_ns) / 1e6 for e in control.reading(ledger.read, name) if e.started_ns >= began_ns
        ]
        print(f"\nbeside, `{name}`: {', '.join(f'{ms:.0f}' for ms in took_ms) or 'not due'} ms")
    print(f"\nresident memory {_resident_mib():.0f} MiB\n")
    return middle.median(wall for wall, _ in steps["all"])


def _added(took: dict[str, tuple[float, float]]) -> tuple[float, float]:
    return sum(wall for wall, _ in took.values()), sum(cpu for _, cpu in took.values())


def _resident_mib() -> float:
    return float(psutil.Process(os.getpid()).memory_info().rss) / 2**20


def asked(database: Database, times: int) -> dict[str, dict[str, float]]:
    """Print how long each named query, page part and statistic takes for its usual and its longest range.

    Return the slowest of each kind at the 95th percentile, ms.
    """
    now = END_NS
    slowest: dict[str, dict[str, float]] = {"query": {}, "statistic": {}, "run": {}}
    run, key = database.reading(
        lambda h: h.rows("SELECT run_id, run_key FROM runs ORDER BY at_ns DESC LIMIT 1 OFFSET 5000")[0]
    )
    basis = Basis(180 * 10**9, HOUR_NS)
    print("| what | range | p95 against 100 ms | p50 ms | p95 ms | CPU ms |\n|---|---|---|---|---|---|")

    def show(what: str, span: str, act: Callable[[Handle], object]) -> None:
        p50, p95, cpu = many(lambda: database.limited(act, seconds=30), times)
        print(f"| {what} | {span} | {p95 / QUERY_LIMIT_MS:.2f} | {p50:.0f} | {p95:.0f} | {cpu:.0f} |", flush=True)
        kind = "query" if what.startswith("query") else "statistic" if what.startswith("stats") else "run"
        if not what.endswith(("(doctor)", "with a text")):
            slowest[kind][f"{what}, {span}" if span else what] = p95

    for name, q in queries().items():
        names = {p.name for p in q.parameters}
        for span, hours, bucket in (("24 h", 24, 900), ("7 d", 168, 3600)):
            if (name.endswith("_hours") and hours < 168) or (f"{name}_hours" in queries() and hours >= 168):
                continue  # pages ask the one of days, the other of a day
            values = {
                "from_ns": now - hours * HOUR_NS,
                "to_ns": now,
                "bucket_ns": bucket * 10**9,
                "limit": 50,
                "offset": 0,
            }
            # What a query of one task, queue or kind must be told.
            words = {p.name: f"{p.name}-3" for p in q.parameters if p.required and p.type == "varchar"}
            extra = {k: w for k, w in words.items() if k not in values}
            text = {k: str(v) for k, v in {**values, **extra}.items() if k in names}
            bound = endpoints.bound(q, text) | ({"project": "default"} if "$project" in q.sql else {})
            label, over = f"query `{name}`" + " (doctor)" * (name in DOCTOR), span if "from_ns" in names else "all"
            show(label, over, lambda h, q=q, b=bound: h.arrow(q.sql, b))  # type: ignore[misc]
            if "from_ns" not in names:
                break
            if name == "run_list":
                filtered = bound | {"q": "task-17"}
                show(f"query `{name}` with a text", span, lambda h, q=q, b=filtered: h.arrow(q.sql, b))  # type: ignore[misc]
    show("one run's page", "", lambda h: run_page.find(h, "default", run, key))
    for name in stats.STATISTICS:
        for span in ("24h", "7d"):
            one = {"task": "task-3"} if name in ("durations", "funnel") else {}
            asked = endpoints.read("GET /api/v1/stats/{name}", {"from": span, **one}, now)
            question = stats.question(name, asked, "default", basis)
            label = f"stats `{name}`" + (" of one task" if one else "")
            show(label, span, lambda h, n=name, q=question: stats.STATISTICS[n].answer(h, q))  # type: ignore[misc]
    return slowest


def main() -> None:
    """Measure the store the command line names."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("directory", type=Path)
    parser.add_argument("--minutes", type=int, default=9)
    parser.add_argument("--times", type=int, default=10)
    parser.add_argument("--runs", type=int, default=0, help="runs a minute; as many as the month before has")
    parser.add_argument("--json", type=Path)
    args = parser.parse_args()
    settings = Settings(data=args.directory, store=Store(), queues=LIMITS)
    print(f"{platform.machine()}, {os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}, {time.strftime('%Y-%m-%d')}\n")
    database = Database.open(args.directory, settings.store)
    control = Control.open(args.directory)
    counts = "SELECT (SELECT count(*) FROM attempts) AS attempts, (SELECT count(*) FROM logs) AS logs"
    size = database.reading(lambda h: h.frame(counts)).row(0, named=True)
    size["mib"] = (args.directory / "runwell.duckdb").stat().st_size / 2**20
    print(f"{size['attempts']:,} attempts, {size['logs']:,} logs, {size['mib']:,.0f} MiB\n")
    slowest = asked(database, args.times)
    print()
    beside = peers.compare(database)
    peers.show(beside)
    print()
    refresh_ms = refresh(database, control, settings, args.minutes, size, args.runs)
    if args.json:
        kinds = {kind: max(of.items(), key=lambda one: one[1]) for kind, of in slowest.items()}
        result = {**size, "refresh_ms": refresh_ms, "slowest": kinds, "peers": beside, "resident_mib": _resident_mib()}
        with args.json.open("a", encoding="utf-8") as lines:
            lines.write(json.dumps(result) + "\n")
    database.close()
    control.close()


if __name__ == "__main__":
    main()
