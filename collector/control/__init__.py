"""What people and processes tell each other, kept apart from the projection: `control.sqlite`.

Marks, such as how far the store has checkpointed, which lets the journal forget; who has sent lately and what was
refused; reports, what was said of them, and where they went; access keys.
"""

from __future__ import annotations

import fcntl
import os
import sqlite3
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Concatenate, ParamSpec, TypeVar

from collector import versions
from collector.control import firings, keys, ledger, names, refusals, reports, senders
from collector.model.errors import UsageError
from collector.versions import damage

P = ParamSpec("P")
T = TypeVar("T")
FILE = "control.sqlite"
VERSION = 2
"""Raised by one with every change of a table; a file of a newer version is refused."""
STEPS: versions.Steps = {2: keys.create}
"""Version → what brings a file of the version before to it."""
CHECKPOINTED = "checkpointed"
"""Mark: journal number up to which the store's file holds everything. Written by store, read by receive."""


class Control:
    """The open file: named numbers that several processes share, and what the modules beside this one keep in it.

    Their functions take the connection from `reading` or `writing`, and begin and end no transaction themselves.
    """

    def __init__(self, db: sqlite3.Connection) -> None:
        self._db = db
        self._gate = threading.Lock()
        """Several threads ask, and a transaction is of the connection, not of its thread."""

    @classmethod
    def open(cls, directory: Path) -> Control:
        """Open or create the file in *directory*; raise UsageError for one of a newer version, untouched.

        A damaged one is set aside under a new name: its marks start at 0 again, which forgets nothing.
        """
        refuse_newer(directory)
        path = directory / FILE
        # One at a time, or the second process would set aside what the first has just made.
        with os.fdopen(os.open(directory / "control.lock", os.O_WRONLY | os.O_CREAT, 0o600), "w") as gate:
            fcntl.flock(gate, fcntl.LOCK_EX)
            try:
                db = _connect(path)
            except sqlite3.DatabaseError as e:
                if not damage.is_damage(e):
                    raise
                damage.set_aside(path, damage.SQLITE)
                db = _connect(path)
        return cls(db)

    def mark(self, name: str) -> int:
        """Return the number of *name*, 0 when it was never set."""
        row = self.reading(lambda db: db.execute("SELECT value FROM mark WHERE name = ?", (name,)).fetchone())
        return int(row[0]) if row else 0

    def set_mark(self, name: str, value: int) -> None:
        """Set the number of *name*, on disk when this returns."""
        self.writing(lambda db: db.execute("INSERT OR REPLACE INTO mark VALUES (?, ?)", (name, value)))

    def reading(self, fn: Callable[Concatenate[sqlite3.Connection, P], T], *given: P.args, **named: P.kwargs) -> T:
        """Return what *fn* reads."""
        with self._gate:
            return fn(self._db, *given, **named)

    def writing(self, fn: Callable[Concatenate[sqlite3.Connection, P], T], *given: P.args, **named: P.kwargs) -> T:
        """Return what *fn* returns, with everything that it wrote on disk, and nothing of it where *fn* raises."""
        with self._gate, self._db:
            return fn(self._db, *given, **named)

    def close(self) -> None:
        """Close the file."""
        self._db.close()


def read_marks(directory: Path) -> dict[str, int]:
    """Return all marks of the control file in *directory* without opening it for writing."""
    with versions.untouched(directory / FILE) as db:
        return dict(db.execute("SELECT name, value FROM mark"))


def refuse_newer(directory: Path) -> None:
    """Raise UsageError when the control file in *directory* is of a newer version; not a byte of it changes."""
    path = directory / FILE
    versions.refuse_newer(path, versions.read(path, "mark"), VERSION)


def _connect(path: Path) -> sqlite3.Connection:
    db = sqlite3.connect(path, timeout=10, isolation_level="IMMEDIATE", check_same_thread=False)
    try:
        db.execute("PRAGMA journal_mode = WAL")
        db.execute("PRAGMA synchronous = FULL")
        versions.bring_forward(db, path, "mark", VERSION, STEPS, lambda: _create(db))
        if (found := db.execute("PRAGMA quick_check").fetchone()[0]) != "ok":
            broken = sqlite3.DatabaseError(str(found))
            broken.sqlite_errorcode = sqlite3.SQLITE_CORRUPT
            raise broken
    except (sqlite3.Error, UsageError):
        db.close()
        raise
    return db


def _create(db: sqlite3.Connection) -> None:
    db.execute("CREATE TABLE IF NOT EXISTS mark (name TEXT PRIMARY KEY, value INTEGER NOT NULL)")
    senders.create(db)
    refusals.create(db)
    names.create(db)
    ledger.create(db)
    reports.create(db)
    firings.create(db)
    keys.create(db)
