"""The journal's files: how they are opened, what their damage looks like, how a damaged one is repaired.

Repair copies every group that can still be read into a new database, then puts the damaged files aside under new
names and the new one in their place. A kill in between is made good by the next `finish_repair`.
"""

from __future__ import annotations

import contextlib
import sqlite3
import struct
import zlib
from pathlib import Path
from typing import Any

from collector import versions
from collector.journal.entries import checksum
from collector.model.errors import UsageError
from collector.versions import damage

VERSION = 1
"""Raised by one with every change of a table or of what a group is; a file of a newer version is refused."""
STEPS: versions.Steps = {}
"""Version → what brings a file of the version before to it."""
NAME = "journal.sqlite"
HEAD = "journal.head"
ASIDE = "set-aside"
"""Folder beside them with the records that the store could not write, in the journal's own form."""
_HEAD = struct.Struct("<QI4x")
HEAD_BYTES = _HEAD.size


def head_bytes(seq: int) -> bytes:
    """Return the content of the head file for the last number."""
    return _HEAD.pack(seq, zlib.crc32(seq.to_bytes(8, "little")))


def head_number(raw: bytes) -> int:
    """Return the number in a head file's content, 0 when it is not a valid one."""
    if len(raw) < _HEAD.size:
        return 0
    seq, crc = _HEAD.unpack(raw[: _HEAD.size])
    return int(seq) if zlib.crc32(seq.to_bytes(8, "little")) == crc else 0


def read_head(directory: Path) -> int:
    """Return the last number that the head file in *directory* knows of, 0 for none."""
    try:
        return head_number((directory / HEAD).read_bytes())
    except OSError:
        return 0


def connect(path: Path) -> sqlite3.Connection:
    """Open or create a journal database for writing; raise sqlite3.Error, or UsageError for a newer version."""
    db = sqlite3.connect(path, isolation_level="IMMEDIATE", timeout=5, check_same_thread=False)
    try:
        db.execute("PRAGMA page_size = 16384")
        db.execute("PRAGMA journal_mode = WAL")
        db.execute("PRAGMA synchronous = FULL")
        db.execute("PRAGMA wal_autocheckpoint = 256")
        db.execute("PRAGMA journal_size_limit = 16777216")
        versions.bring_forward(db, path, "meta", VERSION, STEPS, lambda: _create(db))
        db.execute("SELECT count(digests) FROM seen").fetchone()  # all of it will be read: damage shows here
    except (sqlite3.Error, UsageError):
        db.close()
        raise
    return db


def _create(db: sqlite3.Connection) -> None:
    db.execute("CREATE TABLE IF NOT EXISTS meta (name TEXT PRIMARY KEY, value INTEGER NOT NULL)")
    db.execute(
        "CREATE TABLE IF NOT EXISTS batch (seq INTEGER PRIMARY KEY, received_ns INTEGER NOT NULL,"
        " crc INTEGER NOT NULL, arrow BLOB NOT NULL)"
    )
    db.execute("CREATE INDEX IF NOT EXISTS batch_received ON batch (received_ns)")
    db.execute(
        "CREATE TABLE IF NOT EXISTS seen (seq INTEGER PRIMARY KEY, received_ns INTEGER NOT NULL, digests BLOB NOT NULL)"
    )
    db.execute("INSERT OR IGNORE INTO meta VALUES ('forgotten', 0)")


def refuse_newer(directory: Path) -> None:
    """Raise UsageError when the journal in *directory* is of a newer version; not a byte of it changes."""
    path = directory / NAME
    versions.refuse_newer(path, versions.read(path, "meta"), VERSION)


def finish_repair(path: Path) -> list[str]:
    """Complete or undo what a kill interrupted, and put a WAL without its database aside; return its new name."""
    new = _new(path)
    wal = path.with_name(f"{path.name}-wal")
    without = not path.exists() or path.stat().st_size == 0
    aside: list[str] = []
    if without and wal.exists() and wal.stat().st_size:
        # SQLite would delete it.
        aside = damage.set_aside(path, damage.SQLITE)
    if not path.exists() and new.exists():
        new.rename(path)
    _drop(new)  # a copy that was not complete yet
    return aside


def repair(path: Path) -> list[str]:
    """Replace a damaged database by a copy of what can be read of it; return the names of the files set aside."""
    new = _new(path)
    _drop(new)
    with contextlib.closing(connect(new)) as copy, contextlib.closing(_open_damaged(path)) as old:
        high = max(read_head(path.parent), _value(old, "SELECT max(seq) FROM batch"))
        low = _value(old, "SELECT min(seq) FROM batch")
        with copy:
            for seq in range(low, high + 1):
                group = _row(old, "SELECT seq, received_ns, crc, arrow FROM batch WHERE seq = ?", seq)
                if group and isinstance(group[3], bytes) and checksum(seq, group[3]) == group[2]:
                    copy.execute("INSERT INTO batch (seq, received_ns, crc, arrow) VALUES (?, ?, ?, ?)", group)
                digests = _row(old, "SELECT seq, received_ns, digests FROM seen WHERE seq = ?", seq)
                if digests:
                    copy.execute("INSERT INTO seen VALUES (?, ?, ?)", digests)
            forgotten = _value(old, "SELECT value FROM meta WHERE name = 'forgotten'")
            copy.execute("UPDATE meta SET value = ? WHERE name = 'forgotten'", (forgotten,))
        copy.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    aside = damage.set_aside(path, damage.SQLITE)
    new.rename(path)
    return aside


def _new(path: Path) -> Path:
    return path.with_name(f"{path.name}.new")


def _drop(path: Path) -> None:
    for suffix in ("", *damage.SQLITE):
        path.with_name(path.name + suffix).unlink(missing_ok=True)


def _open_damaged(path: Path) -> sqlite3.Connection:
    """Open for reading only, so that the damaged files stay as they are; an unreadable one answers nothing."""
    return sqlite3.connect(f"file:{path}?mode=ro", uri=True, timeout=5, isolation_level=None)


def _row(db: sqlite3.Connection, sql: str, seq: int) -> Any:
    try:
        return db.execute(sql, (seq,)).fetchone()
    except sqlite3.Error:
        return None


def _value(db: sqlite3.Connection, sql: str) -> int:
    try:
        row = db.execute(sql).fetchone()
    except sqlite3.Error:
        return 0
    return int(row[0] or 0) if row else 0


def size_bytes(db: sqlite3.Connection) -> int:
    """Return the bytes that groups occupy in a journal."""
    pages, free, page = (
        int(db.execute(f"PRAGMA {name}").fetchone()[0]) for name in ("page_count", "freelist_count", "page_size")
    )
    return (pages - free) * page
