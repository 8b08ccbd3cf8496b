"""What a file's version decides: a newer file is refused untouched, an older one is brought forward step by step.

The version of a SQLite file is read without changing a byte of it, its WAL or its index, so that a program that is too
old for a file leaves everything as it found it. What the versions mean belongs to whoever writes the file.
"""

from __future__ import annotations

import contextlib
import sqlite3
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

from collector.model.errors import UsageError

_OF_THE_DATA = (sqlite3.SQLITE_ERROR, sqlite3.SQLITE_CONSTRAINT, sqlite3.SQLITE_MISMATCH, sqlite3.SQLITE_TOOBIG)
"""Errors of a step that would come again; all others say something of disk, locks or damage."""

Steps = Mapping[int, Callable[[sqlite3.Connection], None]]
"""Version → what brings a file of the version before to it. Runs inside a transaction; commits nothing itself."""


def refuse_newer(path: Path, stored: int | None, readable: int) -> None:
    """Raise UsageError when *stored*, the version of the file *path*, is beyond *readable*; None: it has none."""
    if stored is not None and stored > readable:
        raise UsageError(
            f"{path}: written by a newer runwell (version {stored}, this one reads {readable}); upgrade runwell. "
            "Nothing was changed."
        )


@contextlib.contextmanager
def untouched(path: Path) -> Iterator[sqlite3.Connection]:
    """Open a SQLite file to read what is committed in it, and leave it, its WAL and its index as they are.

    SQLite alone would make a WAL where there is none, and write the index of one anew. One that has no index needs it
    for as long as it is read.
    """
    wal, index = (path.with_name(path.name + suffix) for suffix in ("-wal", "-shm"))
    has_index = index.exists()
    if not wal.exists() or (not has_index and not wal.stat().st_size):
        how, made = "immutable=1", False
    elif has_index:
        how, made = "mode=ro&readonly_shm=1", False
    else:
        how, made = "mode=ro", True
    name = str(path.resolve()).replace("%", "%25").replace("?", "%3f").replace("#", "%23")
    db = sqlite3.connect(f"file:{name}?{how}", uri=True, timeout=5)
    try:
        yield db
    finally:
        db.close()
        if made:
            index.unlink(missing_ok=True)


def read(path: Path, table: str) -> int | None:
    """Return the version that *table* of the SQLite file *path* tells; None when it cannot be told, or is not there."""
    if not path.is_file() or not path.stat().st_size:
        return None
    try:
        with untouched(path) as db:
            return _version(db, table)
    except sqlite3.Error:  # damaged, or in the middle of something: whoever opens it for writing will see
        return None


def bring_forward(
    db: sqlite3.Connection, path: Path, table: str, version: int, steps: Steps, create: Callable[[], None]
) -> None:
    """Bring a SQLite file to *version*: a new one by *create* alone, an older one by its steps, each a transaction.

    A kill leaves whole steps, and the next time goes on from there. *create* makes the tables that are not there, among
    them *table* (name, value), which tells the version. Raise UsageError for a newer file, and where what is in the
    file does not allow a step: the file is then as the steps before left it.
    """
    while True:
        # Two processes may begin at once: which step is next is decided inside its transaction.
        with _transaction(db):
            stored = _version(db, table)
            refuse_newer(path, stored, version)
            if stored in (None, version):
                create()
                db.execute(f"INSERT OR IGNORE INTO {table} (name, value) VALUES ('version', ?)", (version,))  # noqa: S608 -- our own names
                return
            number = (stored or 0) + 1
            try:
                steps[number](db)
            except sqlite3.Error as e:
                if getattr(e, "sqlite_errorcode", 0) & 0xFF not in _OF_THE_DATA:
                    raise
                raise failed(path, number, str(e)) from None
            db.execute(f"UPDATE {table} SET value = ? WHERE name = 'version'", (number,))  # noqa: S608 -- ditto


def failed(path: Path, version: int, why: str) -> UsageError:
    """Return the error for a step that what is in the file *path* does not allow."""
    return UsageError(
        f"{path}: cannot be brought to version {version} ({why}); it is as it was. Start the runwell that wrote it, or "
        "move the file away and begin a new one."
    )


def _version(db: sqlite3.Connection, table: str) -> int | None:
    if not db.execute("SELECT 1 FROM sqlite_master WHERE name = ?", (table,)).fetchone():
        return None
    row = db.execute(f"SELECT value FROM {table} WHERE name = 'version'").fetchone()  # noqa: S608 -- ditto
    return int(row[0]) if row and isinstance(row[0], int) else None


@contextlib.contextmanager
def _transaction(db: sqlite3.Connection) -> Iterator[None]:
    db.execute("BEGIN IMMEDIATE")  # by hand: sqlite3 begins none for statements that change tables
    try:
        yield
    except BaseException:
        db.rollback()
        raise
    db.commit()
