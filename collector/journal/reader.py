"""The journal as the store sees it: groups after a number, in order; what is damaged or lost is passed and told."""

from __future__ import annotations

import contextlib
import sqlite3
from dataclasses import replace
from pathlib import Path
from typing import Any

from collector.journal import files
from collector.journal.entries import Entry, checksum, unpack
from collector.versions import damage

_ROWS = "SELECT seq, received_ns, crc, arrow FROM batch WHERE seq > ? ORDER BY seq"
_ROW = "SELECT seq, received_ns, crc, arrow FROM batch WHERE seq = ?"


class Reader:
    """Read-only view of a journal that another process writes. Not for use by several threads at once."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._path = directory / files.NAME
        self._db: sqlite3.Connection | None = None
        self._file: tuple[int, int] | None = None

    def _open(self) -> sqlite3.Connection | None:
        try:
            stat = self._path.stat()
        except FileNotFoundError:
            return None
        if self._db is not None and (stat.st_dev, stat.st_ino) != self._file:
            self.close()  # the writer repaired it: a new file stands in its place
        if self._db is None:
            self._db = sqlite3.connect(
                f"file:{self._path}?mode=ro", uri=True, timeout=5, check_same_thread=False, isolation_level=None
            )
            self._file = (stat.st_dev, stat.st_ino)
        return self._db

    def first_seq(self) -> int:
        """Return the oldest number that is still there, 0 when there is none or it cannot be told."""
        db = self._open()
        try:
            row = db.execute("SELECT min(seq) FROM batch").fetchone() if db is not None else None
        except sqlite3.DatabaseError:
            return 0
        return int(row[0] or 0) if row else 0

    def last_seq(self) -> int:
        """Return the newest number, 0 when there is none yet."""
        head_seq = files.read_head(self._directory)
        db = self._open()
        if db is None:
            return head_seq
        try:
            row = db.execute(
                "SELECT max((SELECT coalesce(max(seq), 0) FROM batch),"
                " (SELECT value FROM meta WHERE name = 'forgotten'))"
            ).fetchone()
        except sqlite3.DatabaseError:  # being created just now, or damaged
            return head_seq
        return max(head_seq, int(row[0]))

    def size_bytes(self) -> int:
        """Return the bytes that groups occupy, 0 when there are none or it cannot be told."""
        db = self._open()
        try:
            return files.size_bytes(db) if db is not None else 0
        except sqlite3.DatabaseError:
            return 0

    def received_ns(self, after: int) -> int | None:
        """Return when the first group after number *after* came, None when there is none or it cannot be told."""
        db = self._open()
        try:
            row = (
                db
                and db.execute("SELECT received_ns FROM batch WHERE seq > ? ORDER BY seq LIMIT 1", (after,)).fetchone()
            )
        except sqlite3.DatabaseError:
            return None
        return int(row[0]) if row else None

    def entries(self, after: int, most_bytes: int) -> list[Entry]:
        """Return the groups after number *after*, about *most_bytes* of them unpacked, at least one if there is one.

        A group that cannot be read comes without tables, and so does the last number where a tail was lost: whoever
        goes by the last number passes them. What was forgotten is lost to one who has not come so far.
        """
        # Read before the rows: a group up to this number is among them, or lost.
        head_seq = self.last_seq()
        db = self._open()
        if db is None:
            return []
        try:
            with contextlib.closing(db.execute(_ROWS, (after,))) as rows:
                entries, complete = self._all(rows, most_bytes)
        except sqlite3.DatabaseError as e:
            if not damage.is_damage(e):
                return []
            entries, complete = self._one_by_one(db, after, head_seq, most_bytes)
        last = entries[-1].seq if entries else after
        if complete and head_seq > last:
            entries.append(Entry(head_seq, entries[-1].received_ns if entries else 0, {}, lost=1))
        befores = [after, *(entry.seq for entry in entries)]
        gaps = [entry.seq - before - 1 for before, entry in zip(befores, entries, strict=False)]
        return [replace(e, lost=e.lost + gap) if gap else e for e, gap in zip(entries, gaps, strict=True)]

    def _all(self, rows: Any, most_bytes: int) -> tuple[list[Entry], bool]:
        """Return the entries of *rows* and whether they are all there is."""
        entries: list[Entry] = []
        taken = 0
        for row in rows:
            entries.append(self._entry(row))
            taken += _size(entries[-1])
            if taken >= most_bytes:
                return entries, False
        return entries, True

    def _one_by_one(
        self, db: sqlite3.Connection, after: int, head_seq: int, most_bytes: int
    ) -> tuple[list[Entry], bool]:
        """Return what `_all` does of a damaged file: each number is looked for by itself."""
        entries: list[Entry] = []
        taken = 0
        try:
            row = db.execute("SELECT min(seq), max(seq) FROM batch WHERE seq > ?", (after,)).fetchone()
        except sqlite3.DatabaseError:
            row = (after + 1, head_seq)
        for seq in range(row[0] or after + 1, max(head_seq, row[1] or 0) + 1):
            try:
                here = db.execute(_ROW, (seq,)).fetchone()
            except sqlite3.DatabaseError as e:
                if not damage.is_damage(e):
                    return entries, False
                entries.append(Entry(seq, 0, {}, damaged=True))
                continue
            if here is None:
                continue
            entries.append(self._entry(here))
            taken += _size(entries[-1])
            if taken >= most_bytes:
                return entries, False
        return entries, True

    @staticmethod
    def _entry(row: tuple[int, int, int, bytes]) -> Entry:
        seq, received_ns, crc, body = row
        if not isinstance(body, bytes) or checksum(seq, body) != crc:
            return Entry(seq, received_ns, {}, damaged=True)
        return Entry(seq, received_ns, unpack(body))

    def close(self) -> None:
        """Close the file."""
        if self._db is not None:
            self._db.close()
            self._db = None


def _size(entry: Entry) -> int:
    return int(sum(table.nbytes for table in entry.tables.values()))
