"""Journal groups become rows: many groups a transaction, and the watermark with them.

A kill leaves all of a transaction or nothing, so a group is never half there and never there twice. A record that
cannot be written is found by halves and left out alone; it stays in a file beside the database.
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa

from collector.journal import Entry
from collector.journal.entries import pack
from collector.journal.files import ASIDE
from collector.model.halves import by_halves
from collector.model.project import PROJECT
from collector.model.tables import CATALOGUES, WIRE
from collector.store import aside, derive, long_texts, statements
from collector.store.aside import Aside
from collector.store.database import Database
from collector.store.errors import is_of_data
from collector.store.handle import Handle

NAME = "applied"
"""Watermark of what the raw tables hold."""

_MOST_TRIES = 2_000

GONE = ("damaged_groups", "lost_groups")
"""What is counted of the groups up to the watermark that are not in this file: those that could not be read, and those
that were not there any more. Rows of `meta`."""

Address = tuple[str, int, int]
"""Where a record is: its table, the number of its group, its index among the group's rows of that table."""


@dataclass(frozen=True, slots=True)
class Only:
    """Which rows are meant: those named, by table and group, or with *others* all but those."""

    rows: dict[tuple[str, int], list[int]]
    others: bool = False

    @classmethod
    def of(cls, addresses: Iterable[Address], *, others: bool = False) -> Only:
        """Return what means the rows at *addresses*."""
        rows: dict[tuple[str, int], list[int]] = {}
        for name, seq, row in addresses:
            rows.setdefault((name, seq), []).append(row)
        return cls(rows, others)

    def pick(self, name: str, seq: int, height: int) -> pa.Array:
        """Return the indices of the rows that are meant, of the *height* rows of a table of a group."""
        named = self.rows.get((name, seq), [])
        if not self.others:
            return pa.array(named, pa.int64())
        left_out = set(named)
        return pa.array([row for row in range(height) if row not in left_out], pa.int64())


_ALL = Only({}, others=True)


class _Undone(Exception):
    """Ends a try that is not to be kept."""


def applied(database: Database) -> int:
    """Return the number of the last group the raw tables hold."""
    return database.reading(lambda h: watermark(h, NAME))


def gone(h: Handle) -> dict[str, int]:
    """Return how many acknowledged groups are not in this file, and never will be, by `GONE`."""
    found = dict(h.rows("SELECT name, value FROM meta WHERE name IN $names", {"names": list(GONE)}))
    return {name: int(found.get(name, 0)) for name in GONE}


def set_gone(h: Handle, counts: dict[str, int]) -> None:
    """Write what `gone` returns."""
    for name, count in counts.items():
        h.run("DELETE FROM meta WHERE name = $name", {"name": name})
        h.run("INSERT INTO meta VALUES ($name, $count)", {"name": name, "count": str(count)})


def watermark(h: Handle, name: str) -> int:
    """Return how far *name* has come in the journal."""
    return int(h.value("SELECT max(seq) FROM watermark WHERE name = $name", {"name": name}) or 0)


def apply(database: Database, entries: list[Entry], directory: Path | None = None) -> int:
    """Write the rows of *entries*, ascending by seq, and return how many records were new.

    Groups at or below the watermark are left out, so applying twice is applying once. Records that cannot be written
    are kept in a file in *directory*, and noted; groups that are damaged or lost are counted.
    """
    try:
        return database.writing(lambda h: _write(h, entries))
    except Exception as e:
        if not is_of_data(e):
            raise
        failed = e
    done = applied(database)
    addresses = [
        (name, entry.seq, row)
        for entry in entries
        if entry.seq > done
        for name, table in entry.tables.items()
        for row in range(table.num_rows)
    ]
    if len(entries) > 1:  # by groups first: those that can be written are
        middle = len(entries) // 2
        return apply(database, entries[:middle], directory) + apply(database, entries[middle:], directory)
    tried = by_halves(
        addresses, lambda some: _try(database, entries, some), is_of_data, most=_MOST_TRIES, failed=failed
    )
    # A group of which nothing can be told in time, or that only fails as a whole, is kept whole.
    why = dict(tried.failed) | dict.fromkeys(tried.rest if tried.failed else addresses, failed)
    if directory is not None:
        _keep(directory, entries, Only.of(why))

    def without(h: Handle) -> int:
        written = _write(h, entries, Only.of(why, others=True))
        aside.note(h, (_aside(address, error, entries[-1].received_ns) for address, error in why.items()))
        return written

    return database.writing(without)


def _try(database: Database, entries: list[Entry], some: list[Address]) -> None:
    """Write the rows at *some* addresses alone, and undo it."""

    def undone(h: Handle) -> None:
        _write(h, entries, Only.of(some))
        raise _Undone

    try:
        database.writing(undone)
    except _Undone:
        return


def _keep(directory: Path, entries: list[Entry], only: Only) -> None:
    """Write the rows of *only* to a file, on disk before the database says that they are left out."""
    tables = {name: _rows(name, entries, only, as_sent=True) for name in WIRE}
    rows = {name: table for name, table in tables.items() if table is not None and table.num_rows}
    if rows:
        folder = directory / ASIDE
        folder.mkdir(exist_ok=True)
        with (folder / f"{entries[0].seq}-{entries[-1].seq}.arrow").open("wb") as file:
            file.write(pack(rows))
            file.flush()
            os.fsync(file.fileno())


def _aside(address: Address, why: BaseException, now_ns: int) -> Aside:
    name, seq, row = address
    return Aside(PROJECT, NAME, "record", name, aside.reason(why), now_ns, first_seq=seq, last_seq=seq, row=row)


def _write(h: Handle, entries: list[Entry], only: Only = _ALL) -> int:
    done = watermark(h, NAME)
    fresh = [entry for entry in entries if entry.seq > done]
    if not fresh:
        return 0
    written = 0
    for name in WIRE:
        rows = _rows(name, fresh, only)
        if rows is None:
            continue
        if name in ("logs", "spans"):  # resources are written before
            rows = statements.keyed(h, rows)
        rows, slices = long_texts.cut(name, rows)
        if slices is not None:
            long_texts.write(h, slices)
        if name in CATALOGUES:
            key = CATALOGUES[name]
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
    damaged, lost = sum(entry.damaged for entry in fresh), sum(entry.lost for entry in fresh)
    if damaged or lost:
        before = gone(h)
        set_gone(h, {name: before[name] + more for name, more in zip(GONE, (damaged, lost), strict=True)})
    return written


def _rows(name: str, entries: list[Entry], only: Only = _ALL, *, as_sent: bool = False) -> pa.Table | None:
    """Return the rows that *entries* have for table *name*, with their place in the journal.

    A group may have been written by another version: a column that it lacks is worked out where it can be, else NULL,
    and one that the table does not have is left out; *as_sent* leaves rows as they are.
    """
    tables = []
    for entry in entries:
        table = entry.tables.get(name)
        if table is None:
            continue
        indices = pa.array(range(table.num_rows), pa.int64())
        if only is not _ALL:
            indices = only.pick(name, entry.seq, table.num_rows)
            table = table.take(indices)
        if not as_sent and not table.schema.equals(WIRE[name]):
            table = _of_ours(name, table)
        if name not in CATALOGUES:
            seqs = pa.repeat(pa.scalar(entry.seq, pa.int64()), table.num_rows)
            table = table.append_column("seq", seqs).append_column("row", indices)
        tables.append(table)
    return pa.concat_tables(tables, promote_options="permissive" if as_sent else "default") if tables else None


def _of_ours(name: str, rows: pa.Table) -> pa.Table:
    """Return *rows* of table *name* in the columns and types of ours; raise ValueError where they are no such rows."""
    if missing := {"project", CATALOGUES.get(name, "received_ns")} - set(rows.column_names):
        raise ValueError(f"rows of {name} without {', '.join(sorted(missing))}")
    rows = derive.complete(name, rows)
    ours = [field for field in WIRE[name] if field.name in rows.column_names]
    return rows.select([field.name for field in ours]).cast(pa.schema(ours))
