"""A damaged file is never deleted: it and what belongs to it are renamed, and our own log says so."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from pathlib import Path

import structlog

SQLITE = ("-wal", "-shm")
"""What stands beside a SQLite file, by the end of its name."""
_CORRUPT = frozenset({sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB})
_SAID = "what cannot be read was set aside; what is kept elsewhere fills it in"

log = structlog.get_logger()


def is_damage(error: Exception) -> bool:
    """Tell whether *error* means that a SQLite file is damaged, rather than busy, full or out of reach."""
    return getattr(error, "sqlite_errorcode", 0) & 0xFF in _CORRUPT


def new_name(path: Path, beside: Sequence[str] = ()) -> Path:
    """Return the first of `NAME.damaged-1`, `-2`, … under which neither *path* nor what is *beside* it stands yet."""
    n = 1
    while any(path.with_name(f"{path.name}.damaged-{n}{end}").exists() for end in ("", *beside)):
        n += 1
    return path.with_name(f"{path.name}.damaged-{n}")


def set_aside(path: Path, beside: Sequence[str] = (), *, to: Path | None = None) -> list[str]:
    """Rename *path* and what is *beside* it, so that they can still be read together; return the new names.

    *to*: the `new_name` for it, where that had to be known before.
    """
    to = to or new_name(path, beside)
    names: list[str] = []
    for end in ("", *beside):
        damaged = path.with_name(path.name + end)
        if damaged.exists():
            damaged.rename(to.with_name(to.name + end))
            names.append(to.name + end)
    if names:
        log.error("file_open_failed", set_aside=names, error_type="DamagedFile", error_message=_SAID)
    return names
