"""Tables whose rows add up: take a difference in, so that each key has one row and none that counts nothing."""

from __future__ import annotations

from collections.abc import Iterable

import polars as pl

from collector.store.database import Handle
from collector.store.places import clusters, within


def add(h: Handle, table: str, difference: pl.DataFrame, keys: list[str]) -> int:
    """Add *difference* to *table* and return how many rows that wrote; *keys* name a row, the other columns are sums.

    Columns are those of the table; `hour_ns` is among the keys and bounds what is read.
    """
    sums = [c for c in difference.columns if c not in keys]
    added = _added(difference, keys)
    if added.is_empty():
        return 0
    hours = within("t.hour_ns", clusters(added, "hour_ns", "hour_ns"))
    same = " AND ".join(f't."{k}" IS NOT DISTINCT FROM d."{k}"' for k in keys)
    none = " AND ".join(f't."{s}" + d."{s}" = 0' for s in sums)
    summed = ", ".join(f'"{s}" = t."{s}" + d."{s}"' for s in sums)
    h.run(
        f"MERGE INTO {table} t USING d ON {hours} AND {same} WHEN MATCHED AND {none} THEN DELETE "
        f"WHEN MATCHED THEN UPDATE SET {summed} WHEN NOT MATCHED THEN INSERT BY NAME",
        d=added,
    )
    return added.height


def fill(h: Handle, keys: dict[str, list[str]], parts: Iterable[dict[str, pl.DataFrame]]) -> int:
    """Make each of the tables *keys* (name → what names a row) the sum of what *parts* add to it; count its rows.

    Parts are summed before they are written: merged into the table one by one within one transaction, DuckDB 2.0 took
    it for corrupt twice in some sixty fills.
    """
    sums = {table: _Sum(names) for table, names in keys.items()}
    for part in parts:
        for table, rows in part.items():
            sums[table].add(rows)
    written = 0
    for table, sum_ in sums.items():
        h.run(f"DELETE FROM {table}")  # noqa: S608 -- our own names
        if (summed := sum_.rows()) is not None:
            h.run(f"INSERT INTO {table} BY NAME SELECT * FROM summed", summed=summed)  # noqa: S608 -- ditto
            written += summed.height
    return written


class _Sum:
    """Rows that add up, added together whenever they have become twice as many."""

    _LEAST = 1_000_000

    def __init__(self, keys: list[str]) -> None:
        self._keys = keys
        self._parts: list[pl.DataFrame] = []
        self._rows = 0
        self._most = self._LEAST

    def add(self, rows: pl.DataFrame) -> None:
        self._parts.append(rows)
        self._rows += rows.height
        if self._rows > self._most:
            added = _added(pl.concat(self._parts), self._keys)
            self._parts, self._rows = [added], added.height
            self._most = max(self._LEAST, 2 * added.height)

    def rows(self) -> pl.DataFrame | None:
        """Return one row a key, those left out that count nothing, by hour; None before anything was added."""
        return _added(pl.concat(self._parts), self._keys) if self._parts else None


def _added(rows: pl.DataFrame, keys: list[str]) -> pl.DataFrame:
    sums = [c for c in rows.columns if c not in keys]
    some = pl.any_horizontal(pl.col(sums) != 0)
    return rows.group_by(keys).agg(pl.col(sums).sum()).filter(some).sort("hour_ns")
