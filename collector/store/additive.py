"""Tables whose rows add up: take a difference in, so that each key has one row and none that counts nothing."""

from __future__ import annotations

from collections.abc import Iterable

import polars as pl

from collector.store.handle import Handle
from collector.store.places import clusters, within

_LAID = 50_000
"""Rows laid down by one insert: DuckDB 2.0 may lose one of more than 122,880 in the transaction that made the table."""
_SUMMED = 500_000
"""Rows that are summed at one time."""


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

    Parts are laid down in DuckDB, which gives them to disk where memory is short, and summed some hours at a time
    before they are written: merged into the table one by one within one transaction, DuckDB 2.0 took it for corrupt
    twice in some sixty fills.
    """
    for table in keys:
        h.run(f"CREATE OR REPLACE TEMP TABLE laid_{table} AS SELECT * FROM {table} LIMIT 0")  # noqa: S608 -- our own names
    for part in parts:
        for table, frame in part.items():
            for rows in frame.iter_slices(_LAID):
                h.run(f"INSERT INTO laid_{table} BY NAME SELECT * FROM rows", rows=rows)  # noqa: S608 -- ditto
    written = 0
    for table, names in keys.items():
        h.run(f"DELETE FROM {table}")  # noqa: S608 -- ditto
        for window in _windows(h, table):
            h.run(_summed(h, table, names), window)
        h.run(f"DROP TABLE laid_{table}")
        written += int(h.value(f"SELECT count(*) FROM {table}"))  # noqa: S608 -- ditto
    return written


def _windows(h: Handle, table: str) -> list[dict[str, int]]:
    """Return the hours that rows were laid down of, as many together as are summed at one time."""
    hours = h.frame(f"SELECT hour_ns, count(*) AS n FROM laid_{table} GROUP BY hour_ns ORDER BY hour_ns")  # noqa: S608 -- ditto
    together = hours.group_by((pl.col("n").cum_sum() - 1) // _SUMMED).agg(
        low=pl.col("hour_ns").min(), high=pl.col("hour_ns").max()
    )
    return together.sort("low").select("low", "high").to_dicts()


def _summed(h: Handle, table: str, keys: list[str]) -> str:
    """Return SQL that writes the sums of the rows laid down of the hours `$low` to `$high`, as `_added` does."""
    columns = h.frame(f"SELECT * FROM laid_{table} LIMIT 0").columns  # noqa: S608 -- our own names
    sums = [name for name in columns if name not in keys]
    names = ", ".join(f'"{key}"' for key in keys)
    added = ", ".join(f'sum("{name}") AS "{name}"' for name in sums)
    some = " OR ".join(f'sum("{name}") <> 0' for name in sums)
    return (
        f"INSERT INTO {table} BY NAME SELECT {names}, {added} FROM laid_{table} "  # noqa: S608 -- our own names
        f"WHERE hour_ns BETWEEN $low AND $high GROUP BY {names} HAVING {some} ORDER BY hour_ns"
    )


def _added(rows: pl.DataFrame, keys: list[str]) -> pl.DataFrame:
    sums = [c for c in rows.columns if c not in keys]
    some = pl.any_horizontal(pl.col(sums) != 0)
    return rows.group_by(keys).agg(pl.col(sums).sum()).filter(some).sort("hour_ns")
