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
    added = (
        difference.group_by(keys).agg(pl.col(sums).sum()).filter(pl.any_horizontal(pl.col(sums) != 0)).sort("hour_ns")
    )
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

    Parts are gathered first and summed once: merged into the table one by one within one transaction, DuckDB 2.0 took
    it for corrupt twice in some sixty fills.
    """
    for table in keys:
        h.run(f"DELETE FROM {table}")  # noqa: S608 -- our own names
        h.run(f"CREATE OR REPLACE TEMP TABLE adding_{table} AS FROM {table} LIMIT 0")
    for part in parts:
        for table, rows in part.items():
            h.run(f"INSERT INTO adding_{table} BY NAME SELECT * FROM rows", rows=rows)  # noqa: S608 -- ditto
    written = 0
    for table, names in keys.items():
        columns = h.frame(f"SELECT * FROM {table} LIMIT 0").columns  # noqa: S608 -- ditto
        sums = [f'sum("{c}")::BIGINT AS "{c}"' for c in columns if c not in names]
        some = " OR ".join(f'sum("{c}") <> 0' for c in columns if c not in names)
        named = ", ".join(f'"{c}"' for c in names)
        h.run(
            f"INSERT INTO {table} BY NAME SELECT {named}, {', '.join(sums)} FROM adding_{table} "  # noqa: S608 -- ditto
            f"GROUP BY {named} HAVING {some} ORDER BY hour_ns"
        )
        h.run(f"DROP TABLE adding_{table}")
        written += int(h.value(f"SELECT count(*) FROM {table}"))  # noqa: S608 -- ditto
    return written
