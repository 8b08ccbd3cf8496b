"""Journal groups become rows: many groups a transaction, and the watermark with them.

A kill leaves all of a transaction or nothing, so a group is never half there and never there twice.
"""

from __future__ import annotations

import pyarrow as pa

from collector.journal import Entry
from collector.model.tables import CATALOGUES, RAW
from collector.store.database import Database, Handle

NAME = "applied"
"""Watermark of what the raw tables hold."""

_KEYS = {"resources": "resource_id", "scopes": "scope_id"}


def applied(database: Database) -> int:
    """Return the number of the last group the raw tables hold."""
    return database.reading(lambda h: watermark(h, NAME))


def watermark(h: Handle, name: str) -> int:
    """Return how far *name* has come in the journal."""
    return int(h.value("SELECT max(seq) FROM watermark WHERE name = $name", {"name": name}) or 0)


def apply(database: Database, entries: list[Entry]) -> int:
    """Write the rows of *entries*, ascending by seq, and return how many records were new.

    Groups at or below the watermark are left out, so applying twice is applying once.
    """

    def work(h: Handle) -> int:
        done = watermark(h, NAME)
        fresh = [entry for entry in entries if entry.seq > done]
        if not fresh:
            return 0
        written = 0
        for name in RAW:
            rows = _rows(name, fresh)
            if rows is None:
                continue
            if name in CATALOGUES:
                key = _KEYS[name]
                h.run(
                    f"INSERT INTO {name} BY NAME SELECT DISTINCT ON (project, {key}) * FROM rows "  # noqa: S608 -- our names
                    f"ANTI JOIN (SELECT project, {key} FROM {name}) USING (project, {key})",
                    rows=rows,
                )
            else:
                h.run(f"INSERT INTO {name} BY NAME SELECT * FROM rows", rows=rows)  # noqa: S608 -- our names
                written += rows.num_rows
        h.run("DELETE FROM watermark WHERE name = $name", {"name": NAME})
        h.run(
            'INSERT INTO watermark (name, seq, "row") VALUES ($name, $seq, 0)',
            {"name": NAME, "seq": fresh[-1].seq},
        )
        return written

    return database.writing(work)


def _rows(name: str, entries: list[Entry]) -> pa.Table | None:
    """Return the rows that *entries* have for table *name*, with their place in the journal."""
    tables = []
    for entry in entries:
        table = entry.tables.get(name)
        if table is None:
            continue
        if name not in CATALOGUES:
            n = table.num_rows
            table = table.append_column("seq", pa.repeat(pa.scalar(entry.seq, pa.int64()), n)).append_column(
                "row", pa.array(range(n), pa.int64())
            )
        tables.append(table)
    return pa.concat_tables(tables, promote_options="default") if tables else None
