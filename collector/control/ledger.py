"""The ledger of jobs: one row for each time a job worked, kept in the control file."""

from __future__ import annotations

import sqlite3
from dataclasses import astuple, dataclass, fields

MOST = 1_000
"""Rows kept of each job."""


@dataclass(frozen=True, slots=True)
class Entry:
    """What one job did once. Times in ns since 1970; *error* is empty when it succeeded."""

    name: str
    from_seq: int
    to_seq: int
    as_of_ns: int
    started_ns: int
    ended_ns: int
    rows: int
    error: str


_NAMES = [f.name for f in fields(Entry)]


def create(db: sqlite3.Connection) -> None:
    """Create the table."""
    db.execute(
        "CREATE TABLE IF NOT EXISTS job (id INTEGER PRIMARY KEY, name TEXT NOT NULL, from_seq INTEGER, to_seq INTEGER, "
        "as_of_ns INTEGER, started_ns INTEGER, ended_ns INTEGER, rows INTEGER, error TEXT NOT NULL)"
    )
    db.execute("CREATE INDEX IF NOT EXISTS job_name ON job (name, id)")


def write(db: sqlite3.Connection, entries: list[Entry]) -> None:
    """Add *entries*, and drop the oldest of their jobs beyond `MOST`."""
    places = ", ".join("?" * len(_NAMES))
    db.executemany(f"INSERT INTO job ({', '.join(_NAMES)}) VALUES ({places})", [astuple(e) for e in entries])  # noqa: S608 -- our own names
    for name in {e.name for e in entries}:
        db.execute(
            "DELETE FROM job WHERE name = ? AND id <= "
            "(SELECT id FROM job WHERE name = ? ORDER BY id DESC LIMIT 1 OFFSET ?)",
            (name, name, MOST),
        )


def read(db: sqlite3.Connection, name: str | None = None) -> list[Entry]:
    """Return what is kept of job *name*, or of all, the latest first."""
    where, given = ("WHERE name = ?", (name,)) if name else ("", ())
    rows = db.execute(f"SELECT {', '.join(_NAMES)} FROM job {where} ORDER BY id DESC", given)  # noqa: S608 -- ditto
    return [Entry(*row) for row in rows]
