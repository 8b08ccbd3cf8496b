"""The journal as the store sees it: groups after a number, in order, damaged ones left out and counted."""

from __future__ import annotations

import sqlite3
from pathlib import Path

from collector.journal.entries import Entry, checksum, unpack
from collector.journal.writer import FILE


class Reader:
    """Read-only view of a journal that another process writes. Not for use by several threads at once."""

    def __init__(self, directory: Path) -> None:
        self._path = directory / FILE
        self._db: sqlite3.Connection | None = None
        self.damaged: set[int] = set()
        """Numbers of groups whose checksum is wrong."""

    def _open(self) -> sqlite3.Connection | None:
        if self._db is None and self._path.exists():
            self._db = sqlite3.connect(
                f"file:{self._path}?mode=ro", uri=True, timeout=5, check_same_thread=False, isolation_level=None
            )
        return self._db

    def last_seq(self) -> int:
        """Return the newest number, 0 when there is none yet."""
        try:
            db = self._open()
            if db is None:
                return 0
            return int(
                db.execute(
                    "SELECT max((SELECT coalesce(max(seq), 0) FROM batch),"
                    " (SELECT value FROM meta WHERE name = 'forgotten'))"
                ).fetchone()[0]
            )
        except sqlite3.OperationalError:  # being created just now
            return 0

    def entries(self, after: int, most_bytes: int) -> list[Entry]:
        """Return the groups after number *after*, about *most_bytes* of them, at least one if there is one."""
        db = self._open()
        if db is None:
            return []
        found: list[Entry] = []
        taken = 0
        try:
            rows = db.execute("SELECT seq, received_ns, arrow, crc FROM batch WHERE seq > ? ORDER BY seq", (after,))
            for seq, received_ns, body, crc in rows:
                if checksum(seq, body) != crc:
                    self.damaged.add(seq)
                    continue
                found.append(Entry(seq, received_ns, unpack(body)))
                taken += len(body)
                if taken >= most_bytes:
                    break
            rows.close()
        except sqlite3.OperationalError:
            return found
        return found

    def close(self) -> None:
        """Close the file."""
        if self._db is not None:
            self._db.close()
            self._db = None
