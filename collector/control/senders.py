"""Who has sent lately: a small table in the control file, written by receive and read by `runwell doctor`."""

from __future__ import annotations

import sqlite3
from dataclasses import astuple, dataclass, fields
from pathlib import Path

from collector.versions import untouched

MOST = 256
"""Senders kept; the one not seen for longest makes room."""


@dataclass(slots=True)
class Sender:
    """One kind of exporter on one path. Every text is of a closed set or a version number."""

    transport: str
    signal: str
    encoding: str
    agent: str
    agent_version: str
    dialect: str
    language: str
    sdk_version: str
    requests: int = 0
    records: int = 0
    first_ns: int = 0
    last_ns: int = 0
    behind_ns: int | None = None
    """Least time from the latest record to its arrival, in the last five to ten minutes it sent: its clock's lag plus
    the shortest way. Negative: its clock is ahead by at least that much. None: it states no times."""

    @property
    def key(self) -> tuple[str, ...]:
        """Return what makes it this sender."""
        return astuple(self)[:8]


_NAMES = [f.name for f in fields(Sender)]
_CREATE = (
    "CREATE TABLE IF NOT EXISTS sender ("
    + ", ".join(f"{name} TEXT NOT NULL" for name in _NAMES[:8])
    + ", "
    + ", ".join(f"{name} INTEGER" for name in _NAMES[8:])
    + f", PRIMARY KEY ({', '.join(_NAMES[:8])}))"
)


def create(db: sqlite3.Connection) -> None:
    """Create the table."""
    db.execute(_CREATE)


def save(db: sqlite3.Connection, senders: list[Sender]) -> None:
    """Write *senders* in place of what stood there, and drop the oldest beyond `MOST`."""
    places = ", ".join("?" * len(_NAMES))
    db.executemany(f"INSERT OR REPLACE INTO sender VALUES ({places})", [astuple(s) for s in senders])  # noqa: S608
    db.execute(
        "DELETE FROM sender WHERE rowid NOT IN (SELECT rowid FROM sender ORDER BY last_ns DESC LIMIT ?)", (MOST,)
    )


def load(db: sqlite3.Connection) -> list[Sender]:
    """Return all senders, the latest first."""
    names = ", ".join(_NAMES)
    return [Sender(*row) for row in db.execute(f"SELECT {names} FROM sender ORDER BY last_ns DESC")]  # noqa: S608


def read(path: Path) -> list[Sender]:
    """Return the senders of the control file *path* without opening it for writing; none when there is none."""
    if not path.exists():
        return []
    try:
        with untouched(path) as db:
            return load(db)
    except sqlite3.OperationalError:  # a control file without the table yet
        return []
