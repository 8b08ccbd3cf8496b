"""Tables whose rows add up: take a difference in, so that each key has one row and none that counts nothing."""

from __future__ import annotations

import polars as pl

from collector.store.database import Handle
from collector.store.places import clusters, within


def add(h: Handle, table: str, difference: pl.DataFrame, keys: list[str]) -> int:
    """Add *difference* to *table* and return how many rows that wrote; *keys* name a row, the other columns are sums.

    Columns are those of the table; `hour_ns` is among the keys and bounds what is read.
    """
    difference = _summed(difference, keys)
    if difference.is_empty():
        return 0
    same = " AND ".join(f't."{k}" IS NOT DISTINCT FROM d."{k}"' for k in keys)
    hours = within("t.hour_ns", clusters(difference, "hour_ns", "hour_ns"))
    named = difference.select(keys)
    stored = h.frame(f"SELECT t.* FROM {table} t SEMI JOIN d ON {same} WHERE {hours}", d=named)  # noqa: S608 -- our own names and numbers
    if not stored.is_empty():
        h.run(f"DELETE FROM {table} t USING d WHERE {hours} AND {same}", d=named)  # noqa: S608 -- ditto
    rows = _summed(pl.concat([stored, difference.select(stored.columns)], how="vertical_relaxed"), keys)
    if not rows.is_empty():
        h.run(f"INSERT INTO {table} BY NAME SELECT * FROM rows ORDER BY hour_ns", rows=rows)  # noqa: S608 -- ditto
    return rows.height


def _summed(rows: pl.DataFrame, keys: list[str]) -> pl.DataFrame:
    sums = [c for c in rows.columns if c not in keys]
    return rows.group_by(keys).agg(pl.col(sums).sum()).filter(pl.any_horizontal(pl.col(sums) != 0))
