"""What judging costs, beside what storing the same records costs: `python -m bench.rules`.

One process, one thread, CPU time, the same records through both: the synthetic sample's logs. Ratios last, absolute
numbers belong to the machine they were taken on.
"""

from __future__ import annotations

import os

os.environ["POLARS_MAX_THREADS"] = "1"

import json
import tempfile
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import polars as pl
import pyarrow as pa

from collector.cli import recordings
from collector.decode import Batch
from collector.jobs.recording import recording
from collector.journal.reader import Reader
from collector.journal.writer import Journal
from collector.model.signals import LOGS
from collector.rules import catalogue, engine
from collector.rules.frames import Frames
from collector.rules.profiles import choose
from collector.settings import Limits, Rules, Settings, Store
from collector.store import apply
from collector.store.database import Database

SAMPLE = Path(__file__).parent.parent / "sample_data" / "synthetic-48h.jsonl.zst"
TIMES = 8
"""How often the sample's records are repeated, each time as other runs."""


def cpu(work: Callable[[], object], repeat: int) -> float:
    """Return the least CPU seconds that *work* took."""
    best = float("inf")
    for _ in range(repeat):
        began = time.process_time()
        work()
        best = min(best, time.process_time() - began)
    return best


def ingest(directory: Path) -> tuple[float, dict[str, pa.Table]]:
    """Return the CPU seconds a log record costs through decode, journal and apply, and the decoded tables."""
    requests = [r for r in recordings.read(str(SAMPLE)) if r.signal is LOGS]
    journal = Journal.open(directory)
    database = Database.open(directory, Store(threads=1), lambda: None)
    reader = Reader(directory)
    began = time.process_time()
    whole = Batch(Limits())
    for n in range(0, len(requests), 20):
        batch = Batch(Limits())
        for request in requests[n : n + 20]:
            batch.add(request.signal, request.encoding, request.body, project="default", received_ns=n + 1)
        journal.append(batch.tables(), [], n + 1)
    while entries := reader.entries(apply.applied(database), 64 * 2**20):
        apply.apply(database, entries)
    took = time.process_time() - began
    for request in requests:
        whole.add(request.signal, request.encoding, request.body, project="default", received_ns=time.time_ns())
    tables = whole.tables()
    return took / tables["logs"].num_rows, tables


def many(frames: Frames) -> Frames:
    """Return *frames* with the logs repeated as the logs of other runs, under other ids: no text comes twice."""
    logs = [
        frames.logs.with_columns(
            pl.col("run_key") + f"-{n}",
            pl.col("run_id", "correlation_id", "request_id") + f"{n:02x}",
            attributes=pl.col("attributes").str.replace_all(r"(_id\":\"[a-z]+[_-][0-9a-f]+)", f"${{1}}{n:02x}"),
        )
        for n in range(TIMES)
    ]
    return replace(frames, logs=pl.concat(logs).rechunk())


def main() -> None:
    """Measure and print."""
    with tempfile.TemporaryDirectory() as scratch:
        stored_s, tables = ingest(Path(scratch))
    with recording(Settings()) as sample:
        sample.add(tables, time.time_ns())
        frames = many(sample.frames("default"))
    n = frames.logs.height
    chosen = choose(catalogue.RULES, Rules())
    record = [c for c in chosen if c.rule.grain == "record"]
    personal = [c for c in chosen if "personal" in c.rule.needs]
    record_s = cpu(lambda: engine.evaluate(frames, record), 5) / n
    with_pii_s = cpu(lambda: engine.evaluate(frames, [*record, *personal]), 5) / n
    print(
        json.dumps(
            {
                "records": n,
                "record_rules": len(record),
                "privacy_rules": len(personal),
                "record_rules_per_s": round(1 / record_s),
                "record_and_privacy_rules_per_s": round(1 / with_pii_s),
                "ingest_us_a_record": round(stored_s * 1e6, 2),
                "record_rules_of_ingest": round(record_s / stored_s, 3),
                "record_and_privacy_rules_of_ingest": round(with_pii_s / stored_s, 3),
            },
            indent=2,
        )
    )


if __name__ == "__main__":
    main()
