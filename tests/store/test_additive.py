"""Tables whose rows add up: filled from many parts, and changed by differences."""

from __future__ import annotations

from pathlib import Path

import polars as pl
import pytest
from polars.testing import assert_frame_equal

from collector.model.tables import PUBLIC
from collector.settings import Store
from collector.store import additive
from collector.store.database import Database

TABLE = "flow_hours"
KEYS = [c for c in PUBLIC[TABLE].names if not c.startswith(("runs", "derived_", "inferred_"))]
MANY = 150_000
"""More rows than DuckDB keeps in one row group."""


def part(first: int, rows: int) -> pl.DataFrame:
    """Return *rows* rows of the table, whose hours begin with the *first*."""
    n = pl.int_range(first, first + rows, eager=True)
    words = {c: pl.lit(c) for c in KEYS if c not in ("hour_ns", "task_id")}
    sums = {c: n % 3 - 1 for c in PUBLIC[TABLE].names if c not in KEYS}
    frame = pl.select(hour_ns=n * 3_600_000_000_000, task_id=pl.format("task-{}", n % 7), **words, **sums)
    return frame.select(PUBLIC[TABLE].names)


@pytest.mark.parametrize("threads", [1, 2])
def test_a_table_is_filled_with_what_large_parts_add_up_to(tmp_path: Path, threads: int) -> None:
    """Every key has one row with its sum, none that counts nothing, however large parts are, overlapping or not."""
    database = Database.open(tmp_path, Store(threads=threads), on_fatal=lambda e: None)
    parts = [part(0, MANY), part(MANY // 2, MANY), part(MANY * 3, 10)]
    for _ in range(2):  # what was there before is replaced
        written = database.writing(lambda h: additive.fill(h, {TABLE: KEYS}, ({TABLE: p} for p in parts)))
    table = database.reading(lambda h: h.frame(f"SELECT * FROM {TABLE}"))
    sums = [c for c in table.columns if c not in KEYS]
    expected = pl.concat(parts).group_by(KEYS).agg(pl.col(sums).sum()).filter(pl.any_horizontal(pl.col(sums) != 0))
    assert written == expected.height
    assert_frame_equal(table, expected.select(table.columns), check_row_order=False)
    database.close()
