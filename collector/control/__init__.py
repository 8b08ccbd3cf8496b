"""What people and processes tell each other, kept apart from the projection: `control.sqlite`.

Marks, such as how far the store has checkpointed, which lets the journal forget; and who has sent lately.
"""

from __future__ import annotations

import fcntl
import sqlite3
from pathlib import Path

from collector.control import ledger, names, senders
from collector.control.ledger import Entry
from collector.control.senders import Sender
from collector.model.errors import UsageError

FILE = "control.sqlite"
VERSION = 1
CHECKPOINTED = "checkpointed"
"""Mark: journal number up to which the store's file holds everything. Written by store, read by receive."""


class Control:
    """Named numbers that several processes share."""

    def __init__(self, db: sqlite3.Connection) -> None:
        self._db = db

    @classmethod
    def open(cls, directory: Path) -> Control:
        """Open or create the file in *directory*; raise UsageError for one of a newer version.

        A damaged one is set aside under a new name: its marks start at 0 again, which forgets nothing.
        """
        path = directory / FILE
        # One at a time, or the second process would set aside what the first has just made.
        with (directory / "control.lock").open("a") as gate:
            fcntl.flock(gate, fcntl.LOCK_EX)
            try:
                db = _connect(path)
            except sqlite3.DatabaseError as e:
                if e.sqlite_errorcode & 0xFF not in (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB):
                    raise
                _set_aside(path)
                db = _connect(path)
        control = cls(db)
        if control.mark("version") > VERSION:
            db.close()
            raise UsageError(f"{path}: written by a newer runwell; upgrade runwell.")
        return control

    def mark(self, name: str) -> int:
        """Return the number of *name*, 0 when it was never set."""
        row = self._db.execute("SELECT value FROM mark WHERE name = ?", (name,)).fetchone()
        return int(row[0]) if row else 0

    def set_mark(self, name: str, value: int) -> None:
        """Set the number of *name*, on disk when this returns."""
        with self._db:
            self._db.execute("INSERT OR REPLACE INTO mark VALUES (?, ?)", (name, value))

    def names(self) -> list[tuple[str, str, str, str]]:
        """Return (project, kind, service, name) of the names that are kept apart."""
        return names.load(self._db)

    def save_names(self, fresh: list[tuple[str, str, str, str]]) -> None:
        """Keep *fresh*."""
        names.save(self._db, fresh)

    def senders(self) -> list[Sender]:
        """Return who has sent, the latest first."""
        return senders.load(self._db)

    def save_senders(self, changed: list[Sender]) -> None:
        """Keep *changed*."""
        senders.save(self._db, changed)

    def job_entries(self, name: str | None = None) -> list[Entry]:
        """Return what jobs have done, the latest first."""
        return ledger.read(self._db, name)

    def write_job_entries(self, entries: list[Entry]) -> None:
        """Add *entries* to the ledger of jobs."""
        ledger.write(self._db, entries)

    def close(self) -> None:
        """Close the file."""
        self._db.close()


def read_marks(directory: Path) -> dict[str, int]:
    """Return all marks of the control file in *directory* without opening it for writing."""
    db = sqlite3.connect(f"file:{directory / FILE}?mode=ro", uri=True, timeout=5)
    try:
        return dict(db.execute("SELECT name, value FROM mark"))
    finally:
        db.close()


def _connect(path: Path) -> sqlite3.Connection:
    db = sqlite3.connect(path, timeout=10, isolation_level="IMMEDIATE", check_same_thread=False)
    try:
        db.execute("PRAGMA journal_mode = WAL")
        db.execute("PRAGMA synchronous = FULL")
        with db:
            db.execute("CREATE TABLE IF NOT EXISTS mark (name TEXT PRIMARY KEY, value INTEGER NOT NULL)")
            db.execute("INSERT OR IGNORE INTO mark VALUES ('version', ?)", (VERSION,))
            senders.create(db)
            names.create(db)
            ledger.create(db)
        if (found := db.execute("PRAGMA quick_check").fetchone()[0]) != "ok":
            damage = sqlite3.DatabaseError(str(found))
            damage.sqlite_errorcode = sqlite3.SQLITE_CORRUPT
            raise damage
    except sqlite3.Error:
        db.close()
        raise
    return db


def _set_aside(path: Path) -> None:
    n = 1
    while (path.with_name(f"{path.name}.damaged-{n}")).exists():
        n += 1
    for suffix in ("", "-wal", "-shm"):
        damaged = path.with_name(path.name + suffix)
        if damaged.exists():
            damaged.rename(path.with_name(f"{path.name}.damaged-{n}{suffix}"))
