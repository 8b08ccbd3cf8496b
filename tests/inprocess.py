"""The pipeline in one process: requests in, tables out. For tests that need neither ports nor processes."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import timedelta
from pathlib import Path
from types import TracebackType

import polars as pl

from collector.cli.recordings import Recorded, newest_ns, read
from collector.decode import Batch
from collector.jobs.runs import RunsJob
from collector.journal import Journal, Reader
from collector.settings import Limits, Runs, Store
from collector.store.apply import applied, apply
from collector.store.database import Database
from collector.store.places import Memory

SAMPLES = Path(__file__).parent.parent / "sample_data"
TRIGGER_DEV = SAMPLES / "trigger-dev-4.8.3"
SETS = sorted(path.name.removesuffix(".jsonl.gz") for path in TRIGGER_DEV.glob("*.jsonl.gz"))

SECOND = 1_000_000_000
KEPT = ("runs", "attempts", "phases", "waits")
"""Tables that the runs job keeps."""
_ARRIVAL = ("first_seq", "last_seq", "built_seq")
"""Columns that tell when records arrived and were taken up; everything else is free of it."""


def recorded(name: str) -> list[Recorded]:
    """Return the requests of a recorded set, in the order they were sent."""
    return list(read(str(TRIGGER_DEV / f"{name}.jsonl.gz")))


class Pipeline:
    """Decode, journal, store and runs job over one directory."""

    def __init__(self, directory: Path, *, runs: Runs | None = None) -> None:
        directory.mkdir(parents=True, exist_ok=True)
        self.journal = Journal.open(directory)
        self.reader = Reader(directory)
        self.database = Database.open(directory, Store(threads=1), on_fatal=lambda e: None)
        self.memory = Memory()
        self.job = RunsJob(self.database, runs or Runs(), self.memory)

    def group(self, requests: Iterable[Recorded], received_ns: int, project: str = "default") -> None:
        """Journal *requests* as one group, as if they had arrived together."""
        batch = Batch(Limits())
        for r in requests:
            batch.add(r.signal, r.encoding, r.body, project=project, received_ns=received_ns)
        tables = batch.tables()
        if tables:
            self.journal.append(tables, [], received_ns)

    def apply(self) -> None:
        """Store everything that is in the journal."""
        while entries := self.reader.entries(applied(self.database), 2**20):
            apply(self.database, entries)

    def tick(self, as_of_ns: int) -> None:
        """Run the job until it finds nothing left to do."""
        for _ in range(1000):
            if not self.job.tick(as_of_ns):
                return
        raise AssertionError("the runs job never comes to rest")

    def table(self, name: str) -> pl.DataFrame:
        """Return all rows of a table."""
        return self.database.reading(lambda h: h.frame(f"SELECT * FROM {name}"))

    def run_model(self) -> dict[str, pl.DataFrame]:
        """Return the run tables in an order of their own, arrival columns left out."""
        return {name: canonical(self.table(name)) for name in KEPT}

    def close(self) -> None:
        """Close the files."""
        self.reader.close()
        self.journal.close()
        self.database.close()

    def __enter__(self) -> Pipeline:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def canonical(frame: pl.DataFrame) -> pl.DataFrame:
    """Return a run table without arrival columns, its rows in an order that only values decide."""
    frame = frame.drop(_ARRIVAL, strict=False)
    return frame.sort([pl.col(c).list.join(",") if isinstance(t, pl.List) else c for c, t in frame.schema.items()])


def later(requests: Iterable[Recorded], by: timedelta = timedelta(days=1)) -> int:
    """Return a time *by* after the newest record, when the clock has nothing left to change."""
    return max(newest_ns(r) for r in requests) + int(by.total_seconds()) * SECOND
