"""Recordings on the store's own road: stored, told as runs, judged and summed up, in a directory that nobody keeps.

Enter: decoded tables of requests that are all there. Leave: what rules look at, and findings; the clock stands where
every run has had its time.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import polars as pl
import pyarrow as pa

from collector.jobs import seen
from collector.jobs.runs import RunsJob
from collector.journal import Entry
from collector.report import conventions
from collector.rules.frames import Frames, stated_limits
from collector.settings import Settings
from collector.settings.section import nanoseconds
from collector.store import apply, weights
from collector.store import findings as stored
from collector.store.database import Database
from collector.store.handle import Handle
from collector.store.places import Memory, Places


class Recording:
    """Telemetry in a store of its own, one project or several."""

    def __init__(self, database: Database, settings: Settings) -> None:
        self._database = database
        self._settings = settings
        self._memory = Memory()
        self._groups = 0

    def add(self, tables: Mapping[str, pa.Table], received_ns: int) -> None:
        """Store decoded *tables* as what arrived together."""
        self._groups += 1
        apply.apply(self._database, [Entry(self._groups, received_ns, dict(tables))])

    def frames(self, project: str) -> Frames:
        """Return everything of *project* as rules look at it."""
        newest_ns = self._database.reading(lambda h: stored.newest_ns(h, project))
        as_of_ns = newest_ns + nanoseconds(self._settings.runs.stale) + 1
        job = RunsJob(self._database, self._settings.runs, self._memory)
        while job.tick(as_of_ns):
            pass

        def look(h: Handle) -> Frames:
            keys = h.frame("SELECT project, run_key FROM runs WHERE project = $project", {"project": project})
            frames = seen.frames(stored.whole(h, None, weights.weigh(h, Places(h), keys)), as_of_ns)
            return seen.beside(frames, stored.loose(h, project))

        return replace(self._database.reading(look), limits=stated_limits(self._settings.queues.limits))

    def findings(self, rows: pl.DataFrame, project: str) -> pl.DataFrame:
        """Return the findings (`rules.findings.SCHEMA`) that *rows* (`CONTRIBUTION`) of *project* add up to."""

        def replace_and_sum(h: Handle) -> pl.DataFrame:
            stored.replace_window(h, rows)
            return conventions.all_of(h, project)

        return self._database.writing(replace_and_sum)


@contextmanager
def recording(settings: Settings) -> Iterator[Recording]:
    """Yield an empty recording, gone with everything in it afterwards."""
    with tempfile.TemporaryDirectory(prefix="runwell-") as folder:
        database = Database.open(Path(folder), settings.store)
        try:
            yield Recording(database, settings)
        finally:
            database.close()
