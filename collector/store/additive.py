"""Tables whose rows add up: take a difference in, so that each key has one row and none that counts nothing."""

from __future__ import annotations

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
