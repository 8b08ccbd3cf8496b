"""The kept stores of every version, opened and brought to rest in one process."""

from __future__ import annotations

import shutil
from pathlib import Path

import polars as pl

from collector.cli.recordings import Recorded, newest_ns
from collector.control import Control
from collector.jobs.runner import Runner
from collector.jobs.runs import RunsJob
from collector.journal import Journal, Reader
from collector.model.tables import STATISTICS
from collector.settings import Settings, Store
from collector.store import apply, ddl, derive
from collector.store.database import Database
from collector.store.places import Memory
from tests.vectors.stores import make

VERSIONS = sorted(int(path.name) for path in make.HERE.iterdir() if path.name.isdigit())


class Opened:
    """A data directory with its journal, store and jobs."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        settings = Settings(data=directory)
        self.journal, self.reader, self.control = Journal.open(directory), Reader(directory), Control.open(directory)
        self.database = Database.open(directory, Store(threads=1), on_fatal=lambda e: None)
        memory = Memory()
        self.runs = RunsJob(self.database, settings.runs, memory)
        self.runner = Runner(self.database, self.control, memory, settings)

    def group(self, requests: list[Recorded], received_ns: int) -> None:
        """Journal *requests* as one group."""
        self.journal.append(make.group(requests, received_ns), [], received_ns)

    def rest(self, as_of_ns: int) -> dict[str, pl.DataFrame]:
        """Take up everything that is in the journal and return all run tables and statistics as of *as_of_ns*."""
        while entries := self.reader.entries(apply.applied(self.database), 2**20):
            apply.apply(self.database, entries)
        while self.database.writing(derive.part) or self.runs.tick(as_of_ns):
            pass
        while self.runner.run(as_of_ns):
            pass
        assert not self.runner.errors
        return {name: arranged(self.table(name)) for name in (*ddl.BUILT, *STATISTICS)}

    def table(self, name: str) -> pl.DataFrame:
        """Return the rows of a table."""
        return self.database.reading(lambda h: h.frame(f"SELECT * FROM {name}"))

    def close(self) -> None:
        """Close all files."""
        self.reader.close()
        self.journal.close()
        self.control.close()
        self.database.close()


def arranged(frame: pl.DataFrame) -> pl.DataFrame:
    """Return *frame* with columns and rows in an order of their own, but for how far the journal was read."""
    frame = frame.select(sorted(set(frame.columns) - {"built_seq"}))
    return frame.sort([pl.col(c).list.join(",") if isinstance(t, pl.List) else c for c, t in frame.schema.items()])


def replayed(source: Path, directory: Path) -> Opened:
    """Return an empty store over a copy of the journal of *source*."""
    directory.mkdir()
    for path in source.glob("journal.*"):
        shutil.copy(path, directory)
    return Opened(directory)


def newest() -> int:
    """Return the time of the newest record of what the kept stores were made of, ns."""
    return max(ns for group in make.requests() for ns in map(newest_ns, group) if ns)


def content(directory: Path) -> dict[str, bytes]:
    """Return every file of *directory*."""
    return {str(path.relative_to(directory)): path.read_bytes() for path in directory.rglob("*") if path.is_file()}
