"""What can be read of a damaged DuckDB file is taken over into the new one.

Groups that the journal still holds come from there; from the damaged file, set aside, come the records before them.
The run tables are made anew, and groups of which nothing is left are counted as lost. All of it is one transaction,
noted with the file's name: a kill only means doing it again.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import duckdb
import pyarrow as pa
import pyarrow.compute as pc

from collector.model.tables import CATALOGUES, RAW
from collector.store import apply, derive, long_texts, statements
from collector.store.database import Database, damage_note
from collector.store.handle import Handle

_CHUNK_ROWS = 122_880
"""Rows of one of DuckDB's row groups: what a damaged block takes with it."""
_CHUNK_SLICES = 2_048
"""…of long texts, which are 24 MiB."""


def take_over(database: Database, directory: Path, kept_seq: int) -> dict[str, int]:
    """Copy the readable records of a file set aside that came in groups before number *kept_seq*, 0 for all.

    Return how many rows of each raw table were taken over; empty when there is nothing to do.
    """
    if not database.damaged_file:
        return {}
    damaged = directory / database.damaged_file

    def work(h: Handle) -> dict[str, int]:
        if h.value("SELECT value FROM meta WHERE name = 'taken_over'") == damaged.name:
            return {}
        counts = dict.fromkeys(RAW, 0)
        reached = 0
        for name, read in _readable(damaged, kept_seq):
            # Resources come before the records that stand on them.
            rows = statements.keyed(h, read) if name in ("logs", "spans") else read
            h.run(f"INSERT INTO {name} BY NAME SELECT * FROM rows", rows=rows)  # noqa: S608 -- our names
            counts[name] += rows.num_rows
            if name not in CATALOGUES:
                reached = max(reached, pc.max(rows["seq"]).as_py() or 0)
        if kept_seq:
            reached = kept_seq - 1
        h.run("DELETE FROM watermark")
        h.run('INSERT INTO watermark (name, seq, "row") VALUES ($name, $seq, 0)', {"name": apply.NAME, "seq": reached})
        apply.set_gone(h, {"damaged_groups": 0, "lost_groups": reached - _groups(h)})
        h.run("DELETE FROM meta WHERE name = 'taken_over'")
        h.run("INSERT INTO meta VALUES ('taken_over', $name)", {"name": damaged.name})
        return counts

    counts = database.writing(work)
    database.checkpoint()
    damage_note(directory).unlink(missing_ok=True)
    return counts


def _groups(h: Handle) -> int:
    """Return how many groups have rows."""
    tables = " UNION ".join(f"SELECT seq FROM {name}" for name in RAW if name not in CATALOGUES)  # noqa: S608 -- our names
    return int(h.value(f"SELECT count(*) FROM ({tables})"))  # noqa: S608 -- ditto


def _readable(path: Path, kept_seq: int) -> Iterator[tuple[str, pa.Table]]:
    """Yield (table, rows) of a damaged file, a row group at a time, as far as they can be read."""
    try:
        old = duckdb.connect(str(path), read_only=True, config={"enable_external_access": "false", "threads": 1})
    except duckdb.Error:
        return
    with old:
        for name in RAW:
            before = f"AND (seq < {kept_seq} OR seq IS NULL)" if kept_seq and name not in CATALOGUES else ""
            there = _query(old, f"SELECT * FROM {name} LIMIT 0")  # noqa: S608 -- our names
            if there is None:
                continue
            # It may be of an older version.
            columns = ", ".join(f'"{column}"' for column in RAW[name].names if column in there.column_names)
            last = _query(old, f"SELECT coalesce(max(rowid), -1) AS last FROM {name}")  # noqa: S608 -- our names
            rows_at_once = _CHUNK_ROWS if name != long_texts.TABLE else _CHUNK_SLICES
            for start in range(0, last["last"][0].as_py() + 1 if last else 0, rows_at_once):
                rows = _query(
                    old,
                    f"SELECT {columns} FROM {name} WHERE rowid BETWEEN {start} AND {start + rows_at_once - 1} {before}",  # noqa: S608 -- ditto
                )
                if rows:
                    yield name, derive.complete(name, rows)


def _query(old: duckdb.DuckDBPyConnection, sql: str) -> pa.Table | None:
    try:
        return old.sql(sql).to_arrow_table()
    except duckdb.Error:  # a damaged block
        return None
