"""The journal's one writer. A number it returned is on disk; a number it ever used is never used again.

SQLite in WAL mode with `synchronous=FULL`: one fsync a group. SQLite drops a damaged tail of its WAL without a
word, so the last number also stands in a 16-byte head file, and what is missing behind it is counted at open.
Digests stand beside the groups, in a table of their own: a group may be forgotten long before its requests may
be sent again.
"""

from __future__ import annotations

import contextlib
import os
import sqlite3
from collections.abc import Iterator
from io import FileIO
from pathlib import Path

import pyarrow as pa

from collector.journal import files
from collector.journal.entries import DIGEST_BYTES, checksum, pack
from collector.versions import damage


class Journal:
    """Append groups, forget stored ones."""

    def __init__(self, db: sqlite3.Connection, head: FileIO, last: int, lost: int, set_aside: list[str]) -> None:
        self._db = db
        self._head = head
        self.last_seq = last
        self.lost = lost
        """Groups that the head file knows of and the database lost; 0 unless the disk failed us."""
        self.set_aside = set_aside
        """Names of damaged files put aside at open; every group that could be read from them is kept."""

    @classmethod
    def open(cls, directory: Path, *, repair: bool = False) -> Journal:
        """Open or create the journal in *directory*; raise UsageError for one of a newer version, untouched.

        A database that SQLite cannot read, or any one with *repair*, is copied group by group as far as it can
        be read, and then set aside under a new name, never deleted.
        """
        files.refuse_newer(directory)
        path = directory / files.NAME
        aside = files.finish_repair(path)
        try:
            db = files.connect(path)
            if repair:
                db.close()
                aside += files.repair(path)
                db = files.connect(path)
        except sqlite3.DatabaseError as e:
            if not damage.is_damage(e):
                raise
            aside += files.repair(path)
            db = files.connect(path)
        last = int(db.execute("SELECT coalesce(max(seq), 0) FROM batch").fetchone()[0])
        last = max(last, int(db.execute("SELECT value FROM meta WHERE name = 'forgotten'").fetchone()[0]))
        head = FileIO(os.open(directory / files.HEAD, os.O_RDWR | os.O_CREAT, 0o600), "r+")
        head_seq = files.head_number(os.pread(head.fileno(), files.HEAD_BYTES, 0))
        return cls(db, head, max(last, head_seq), max(0, head_seq - last), aside)

    def append(self, rows: dict[str, pa.Table] | bytearray, digests: list[bytes], received_ns: int) -> int:
        """Write one group, tables or what `pack` made of them, and return its number once it is on disk.

        *digests*: 16 bytes a request.
        """
        seq = self.last_seq + 1
        body = pack(rows) if isinstance(rows, dict) else rows
        with self._db:
            self._db.execute(
                "INSERT INTO batch (seq, received_ns, crc, arrow) VALUES (?, ?, ?, ?)",
                (seq, received_ns, checksum(seq, body), body),
            )
            self._db.execute("INSERT INTO seen VALUES (?, ?, ?)", (seq, received_ns, b"".join(digests)))
        self.last_seq = seq
        # Not fsynced: it only has to outlive a damaged WAL, and may lag by what the kernel holds back.
        os.pwrite(self._head.fileno(), files.head_bytes(seq), 0)
        return seq

    def digests(self, since_ns: int, after_seq: int = 0) -> Iterator[tuple[bytes, int]]:
        """Yield (digest, received_ns) of requests received since *since_ns* in groups after number *after_seq*."""
        rows = self._db.execute(
            "SELECT digests, received_ns FROM seen WHERE received_ns >= ? AND seq > ? ORDER BY seq",
            (since_ns, after_seq),
        )
        for joined, received_ns in rows:
            for i in range(0, len(joined), DIGEST_BYTES):
                yield joined[i : i + DIGEST_BYTES], received_ns

    def size_bytes(self) -> int:
        """Return the bytes that groups occupy."""
        return files.size_bytes(self._db)

    def forget(self, through_seq: int, before_ns: int, most_bytes: int, resent_ns: int) -> None:
        """Delete groups up to *through_seq* that were received before *before_ns*, or that exceed *most_bytes*.

        Digests of requests received since *resent_ns* stay: they may be sent again.
        """
        cut = self._db.execute(
            "SELECT coalesce(max(seq), 0) FROM batch WHERE seq <= ? AND received_ns < ?",
            (through_seq, before_ns),
        ).fetchone()[0]
        excess = self.size_bytes() - most_bytes
        if excess > 0:
            for seq, size in self._db.execute(
                "SELECT seq, length(arrow) FROM batch WHERE seq <= ? ORDER BY seq", (through_seq,)
            ):
                if excess <= 0:
                    break
                cut, excess = max(cut, seq), excess - size
        if cut:
            with self._db:
                self._db.execute("DELETE FROM batch WHERE seq <= ?", (cut,))
                self._db.execute("DELETE FROM seen WHERE seq <= ? AND received_ns < ?", (cut, resent_ns))
                self._db.execute("UPDATE meta SET value = ? WHERE name = 'forgotten'", (self.last_seq,))

    def close(self) -> None:
        """Fold the WAL into the file and close; a second time closes nothing that has its number by then."""
        with contextlib.suppress(sqlite3.Error):  # the next start reads the WAL where it is
            self._db.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        self._db.close()
        self._head.close()
