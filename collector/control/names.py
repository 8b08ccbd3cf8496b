"""Names that are kept apart, so that after a restart the same ones are: bounded by the caps of receive."""

from __future__ import annotations

import sqlite3


def create(db: sqlite3.Connection) -> None:
    """Create the table."""
    db.execute(
        "CREATE TABLE IF NOT EXISTS known_name (project TEXT NOT NULL, kind TEXT NOT NULL, service TEXT NOT NULL,"
        " name TEXT NOT NULL,"
        " PRIMARY KEY (project, kind, service, name))"
    )


def save(db: sqlite3.Connection, names: list[tuple[str, str, str, str]]) -> None:
    """Add (project, kind, service, name) rows."""
    db.executemany("INSERT OR IGNORE INTO known_name VALUES (?, ?, ?, ?)", names)


def load(db: sqlite3.Connection) -> list[tuple[str, str, str, str]]:
    """Return all rows in the order in which they were added."""
    return list(db.execute("SELECT project, kind, service, name FROM known_name ORDER BY rowid"))
