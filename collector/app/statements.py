"""Analysts' statements that the watchdog ended: counted, named, and not taken again for an hour, restarts included."""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import Any

import msgspec
import structlog

from collector.jobs.books import Books
from collector.model.errors import BadInput

FILE = "ended-statements.json"
_REFUSED_NS = 3600 * 10**9
_MOST = 64
"""Texts kept, the newest."""
_SHOWN = 300
"""Characters of a statement that status shows."""


class EndedStatement(msgspec.Struct, frozen=True):
    """One text; *how* it was ended last: `interrupted`, or `exited` with the store's process."""

    text: str
    how: str
    count: int
    last_ns: int


class Statements:
    """What was ended, in a file of the data directory; counted in *books*."""

    def __init__(self, data: Path, books: Books) -> None:
        self._path = data / FILE
        self._known = {one.text: one for one in _read(self._path)}
        books.ended_statements.set_function(lambda: self.count)

    @property
    def count(self) -> int:
        """Return how often a statement was ended, as long as its text is kept."""
        return sum(one.count for one in self._known.values())

    def note(self, texts: list[str], how: str) -> None:
        """Keep, on disk when this returns, that *texts* were ended."""
        now_ns = time.time_ns()
        for text in map(_normal, texts):
            before = self._known[text].count if text in self._known else 0
            self._known[text] = EndedStatement(text, how, before + 1, now_ns)
        newest = sorted(self._known.values(), key=lambda one: one.last_ns, reverse=True)[:_MOST]
        self._known = {one.text: one for one in newest}
        _write(self._path, newest)
        structlog.get_logger().error(
            "statement_memory_failed",
            how=how,
            statements=len(texts),
            error_type="MemoryExceeded",
            error_message="the store took more memory than it may while they ran",
        )

    def require_allowed(self, text: str) -> None:
        """Raise BadInput for a statement that was ended within the hour."""
        one = self._known.get(_normal(text))
        since_ns = time.time_ns() - one.last_ns if one else _REFUSED_NS
        if since_ns < _REFUSED_NS:
            left = max(1, (_REFUSED_NS - since_ns) // (60 * 10**9))
            raise BadInput(
                f"this statement took the store over its memory {since_ns // (60 * 10**9)} minutes ago; it is refused "
                f"for {left} more. Narrow it, and ask that",
                field="sql",
            )

    def status(self) -> dict[str, Any]:
        """Return how many were ended, and which last."""
        items = [
            {"text": one.text[:_SHOWN], "how": one.how, "count": one.count, "last_ns": one.last_ns}
            for one in self._known.values()
        ]
        return {"ended_statements_count": self.count, "ended_statements": items}


def _read(path: Path) -> list[EndedStatement]:
    """Return what the file says; nothing where there is none, or none that can be read."""
    try:
        return msgspec.json.decode(path.read_bytes(), type=list[EndedStatement])
    except (OSError, msgspec.MsgspecError):
        return []


def _write(path: Path, statements: list[EndedStatement]) -> None:
    new = path.with_suffix(".new")
    with os.fdopen(os.open(new, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as file:
        file.write(msgspec.json.encode(statements))
        file.flush()
        os.fsync(file.fileno())
    new.replace(path)


def _normal(text: str) -> str:
    return " ".join(text.split())
