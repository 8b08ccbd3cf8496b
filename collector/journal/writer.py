"""The journal's one writer. A number it returned is on disk; a number it ever used is never used again.

SQLite in WAL mode with `synchronous=FULL`: one fsync a group. SQLite drops a damaged tail of its WAL without a
word, so the last number also stands in a 16-byte head file, and what is missing behind it is counted at open.
"""

from __future__ import annotations

import os
import sqlite3
import struct
import zlib
from collections.abc import Iterator
from pathlib import Path

import pyarrow as pa

from collector.journal.entries import DIGEST_BYTES, checksum, pack
from collector.model.errors import UsageError

VERSION = 1
FILE = "journal.sqlite"
HEAD = "journal.head"
_HEAD = struct.Struct("<QI4x")


class Journal:
    """Append groups, forget stored ones."""

    def __init__(self, db: sqlite3.Connection, head: int, last: int, lost: int) -> None:
        self._db = db
        self._head = head
        self.last_seq = last
        self.lost = lost
        """Groups that the head file knows of and the database lost; 0 unless the disk failed us."""

    @classmethod
    def open(cls, directory: Path) -> Journal:
        """Open or create the journal in *directory*; raise UsageError for one of a newer version.

        A database that SQLite cannot read is set aside under a new name, never deleted.
        """
        path = directory / FILE
        try:
            db = _connect(path)
        except sqlite3.DatabaseError:
            _set_aside(path)
            db = _connect(path)
        last = int(db.execute("SELECT coalesce(max(seq), 0) FROM batch").fetchone()[0])
        forgotten = int(db.execute("SELECT value FROM meta WHERE name = 'forgotten'").fetchone()[0])
        last = max(last, forgotten)
        head = os.open(directory / HEAD, os.O_RDWR | os.O_CREAT, 0o600)
        known = _read_head(head)
        lost = max(0, known - last)
        return cls(db, head, max(last, known), lost)

    def append(self, tables: dict[str, pa.Table], digests: list[bytes], received_ns: int) -> int:
        """Write one group and return its number once it is on disk. *digests*: 16 bytes a request."""
        seq = self.last_seq + 1
        body = pack(tables)
        with self._db:
            self._db.execute(
                "INSERT INTO batch (seq, received_ns, arrow, crc, digests) VALUES (?, ?, ?, ?, ?)",
                (seq, received_ns, body, checksum(seq, body), b"".join(digests)),
            )
        self.last_seq = seq
        # Not fsynced: it only has to outlive a damaged WAL, and may lag by what the kernel holds back.
        os.pwrite(self._head, _HEAD.pack(seq, zlib.crc32(seq.to_bytes(8, "little"))), 0)
        return seq

    def digests(self, since_ns: int) -> Iterator[tuple[bytes, int]]:
        """Yield (digest, received_ns) of requests in groups received since *since_ns*."""
        rows = self._db.execute(
            "SELECT digests, received_ns FROM batch WHERE received_ns >= ? ORDER BY seq", (since_ns,)
        )
        for joined, received_ns in rows:
            for i in range(0, len(joined), DIGEST_BYTES):
                yield joined[i : i + DIGEST_BYTES], received_ns

    def size_bytes(self) -> int:
        """Return the bytes that groups occupy."""
        pages, free, page = (
            int(self._db.execute(f"PRAGMA {name}").fetchone()[0])
            for name in ("page_count", "freelist_count", "page_size")
        )
        return (pages - free) * page

    def forget(self, through_seq: int, before_ns: int, most_bytes: int) -> None:
        """Delete groups up to *through_seq* that were received before *before_ns*, or that exceed *most_bytes*."""
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
                self._db.execute("UPDATE meta SET value = ? WHERE name = 'forgotten'", (self.last_seq,))

    def close(self) -> None:
        """Fold the WAL into the file and close."""
        self._db.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        self._db.close()
        os.close(self._head)


def _connect(path: Path) -> sqlite3.Connection:
    db = sqlite3.connect(path, isolation_level="IMMEDIATE", timeout=5, check_same_thread=False)
    try:
        db.execute("PRAGMA page_size = 16384")
        db.execute("PRAGMA journal_mode = WAL")
        db.execute("PRAGMA synchronous = FULL")
        db.execute("PRAGMA wal_autocheckpoint = 256")
        db.execute("PRAGMA journal_size_limit = 16777216")
        with db:
            db.execute("CREATE TABLE IF NOT EXISTS meta (name TEXT PRIMARY KEY, value INTEGER NOT NULL)")
            db.execute(
                "CREATE TABLE IF NOT EXISTS batch (seq INTEGER PRIMARY KEY, received_ns INTEGER NOT NULL,"
                " arrow BLOB NOT NULL, crc INTEGER NOT NULL, digests BLOB NOT NULL)"
            )
            db.execute("CREATE INDEX IF NOT EXISTS batch_received ON batch (received_ns)")
            db.execute("INSERT OR IGNORE INTO meta VALUES ('version', ?), ('forgotten', 0)", (VERSION,))
        version = db.execute("SELECT value FROM meta WHERE name = 'version'").fetchone()[0]
    except sqlite3.DatabaseError:
        db.close()
        raise
    if version > VERSION:
        db.close()
        raise UsageError(
            f"{path}: written by a newer runwell (format {version}, this one reads {VERSION}); upgrade runwell."
        )
    return db


def _read_head(fd: int) -> int:
    raw = os.pread(fd, _HEAD.size, 0)
    if len(raw) < _HEAD.size:
        return 0
    seq, crc = _HEAD.unpack(raw)
    return int(seq) if zlib.crc32(seq.to_bytes(8, "little")) == crc else 0


def _set_aside(path: Path) -> None:
    for suffix in ("", "-wal", "-shm"):
        damaged = path.with_name(path.name + suffix)
        if damaged.exists():
            n = 1
            while (aside := damaged.with_name(f"{damaged.name}.damaged-{n}")).exists():
                n += 1
            damaged.rename(aside)
