"""Access keys: who may send, read or change. The text of a key is shown once and never kept, only its digest.

A text is `rw_i_<8 hex>_<43 base64url>`, with i, r or a by scope, so that scanners of secrets find it; the hex digits
are its id, by which it is listed and revoked.
"""

from __future__ import annotations

import hashlib
import hmac
import re
import secrets
import sqlite3
from dataclasses import astuple, dataclass, fields
from pathlib import Path
from typing import Literal

from collector.model.errors import NotFound
from collector.model.project import PROJECT
from collector.versions import untouched

Scope = Literal["ingest", "read", "admin"]
GRANTS: dict[Scope, frozenset[Scope]] = {
    "ingest": frozenset({"ingest"}),
    "read": frozenset({"read"}),
    "admin": frozenset({"read", "admin"}),
}
"""What a key of a scope may do: who sends reads nothing, and who reads or changes sends nothing."""
TEXT = re.compile(r"rw_[ira]_([0-9a-f]{8})_[A-Za-z0-9_-]{43}")
State = Literal["active", "expired", "revoked"]


@dataclass(frozen=True, slots=True)
class Key:
    """One key. Times in ns since 1970, None: never; *used_day* is the last day it was used on, in days since 1970."""

    id: str
    digest: str
    scope: Scope
    project: str
    sender: str
    created_ns: int
    expires_ns: int | None = None
    revoked_ns: int | None = None
    used_day: int | None = None

    @property
    def prefix(self) -> str:
        """Return how its text begins, which is no secret."""
        return f"rw_{self.scope[0]}_{self.id}"

    def fits(self, text: str) -> bool:
        """Tell whether it is the key of *text*, in a time that tells nothing of it."""
        return hmac.compare_digest(self.digest, _digest(text))

    def state(self, now_ns: int) -> State:
        """Return what it is at *now_ns*."""
        if self.revoked_ns is not None:
            return "revoked"
        return "expired" if self.expires_ns is not None and self.expires_ns <= now_ns else "active"


_NAMES = ", ".join(f.name for f in fields(Key))


def create(db: sqlite3.Connection) -> None:
    """Create the table."""
    db.execute(
        "CREATE TABLE IF NOT EXISTS access_key (id TEXT PRIMARY KEY, digest TEXT NOT NULL, scope TEXT NOT NULL, "
        "project TEXT NOT NULL, sender TEXT NOT NULL, created_ns INTEGER NOT NULL, expires_ns INTEGER, "
        "revoked_ns INTEGER, used_day INTEGER)"
    )


def add(db: sqlite3.Connection, scope: Scope, sender: str, now_ns: int, expires_ns: int | None = None) -> str:
    """Add a new key for *sender* and return its text, which nothing can tell again."""
    key_id = secrets.token_hex(4)
    text = f"rw_{scope[0]}_{key_id}_{secrets.token_urlsafe(32)}"
    key = Key(key_id, _digest(text), scope, PROJECT, sender, now_ns, expires_ns)
    db.execute(f"INSERT INTO access_key ({_NAMES}) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)", astuple(key))  # noqa: S608 -- our own names
    return text


def renew(db: sqlite3.Connection, scope: Scope, sender: str, now_ns: int) -> str:
    """Put a new key in place of all that *sender* had, and return its text."""
    db.execute("DELETE FROM access_key WHERE sender = ?", (sender,))
    return add(db, scope, sender, now_ns)


def revoke(db: sqlite3.Connection, key_id: str, now_ns: int) -> None:
    """Revoke a key for good; one that is revoked already stays so. Raise NotFound where there is none."""
    found = db.execute("UPDATE access_key SET revoked_ns = coalesce(revoked_ns, ?) WHERE id = ?", (now_ns, key_id))
    if not found.rowcount:
        raise NotFound(f"no key {key_id[:20]!r}; `runwell keys list` shows which there are")


def used(db: sqlite3.Connection, ids: list[str], day: int) -> None:
    """Note that the keys *ids* were used on *day*."""
    db.executemany(
        "UPDATE access_key SET used_day = max(coalesce(used_day, 0), ?) WHERE id = ?", [(day, i) for i in ids]
    )


def load(db: sqlite3.Connection) -> list[Key]:
    """Return all keys, the oldest first."""
    return [Key(*row) for row in db.execute(f"SELECT {_NAMES} FROM access_key ORDER BY created_ns, id")]  # noqa: S608


def read(path: Path) -> list[Key]:
    """Return the keys of the control file *path* without opening it for writing; none when there is none.

    Raise OSError where they cannot be read.
    """
    if not path.exists():
        return []
    try:
        with untouched(path) as db:
            return _of(db)
    except sqlite3.Error as e:
        raise OSError(str(e)) from e


def _of(db: sqlite3.Connection) -> list[Key]:
    if not db.execute("SELECT 1 FROM sqlite_master WHERE name = 'access_key'").fetchone():
        return []  # of a runwell before there were keys
    return load(db)


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()
