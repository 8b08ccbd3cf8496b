"""The same journal once more, into an empty store: what a recompute from scratch gives."""

from __future__ import annotations

import time
from pathlib import Path

import polars as pl

from collector.jobs.runs import RunsJob
from collector.journal import Reader
from collector.model.tables import CATALOGUES, RAW
from collector.settings import Runs, Store
from collector.store import apply
from collector.store.database import Database

WHEN = "built_seq"
"""Tells when a row was computed, the one thing that a recompute does not repeat."""
RUN_TABLES = ("runs", "attempts", "phases", "waits")


def same_from_scratch(data: Path, empty: Path) -> dict[str, int]:
    """Check that the stopped store in *data* holds what its journal gives in *empty*; return row counts."""
    live, fresh = Database.open(data, Store()), Database.open(empty, Store())
    reader = Reader(data)
    try:
        while entries := reader.entries(apply.applied(fresh), 4 * 2**20):
            apply.apply(fresh, entries)
        assert apply.applied(fresh) == apply.applied(live)
        now = time.time_ns()
        for database in (live, fresh):
            job = RunsJob(database, Runs())
            while job.tick(now):
                pass
        counts = {}
        for table in (*RAW, *RUN_TABLES):
            ours, theirs = _rows(live, table), _rows(fresh, table)
            assert ours == theirs, (
                f"{table} differs from a recompute: {next(a for a in zip(ours, theirs, strict=False) if a[0] != a[1])}"
            )
            counts[table] = len(ours)
        return counts
    finally:
        reader.close()
        live.close()
        fresh.close()


def _rows(database: Database, table: str) -> list[str]:
    frame = database.reading(lambda h: h.frame(f"SELECT * FROM {table}"))
    if table in CATALOGUES:
        return sorted(map(repr, frame.iter_rows()))
    wide = frame.drop(WHEN, strict=False).with_columns(pl.col(pl.List(pl.String)).list.join("|"))
    return sorted(map(repr, wide.iter_rows()))
