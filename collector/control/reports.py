"""Reports that were made, and what people said of them: kept in the control file, since no journal brings them back."""

from __future__ import annotations

import sqlite3
import zlib
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collector.model.report import Report

MOST = 400
"""Reports kept of each schedule: over a year of mornings."""
MOST_BYTES = 32 * 2**20
"""…and of all together, compressed; the oldest make room."""
MOST_FEEDBACK = 1_000


@dataclass(frozen=True, slots=True)
class ReportRow:
    """One report in a list. Times in ns since 1970; *new*, *ongoing* and *resolved* count anomalies."""

    id: str
    schedule: str
    zone: str
    from_ns: int
    to_ns: int
    as_of_ns: int
    new: int
    ongoing: int
    resolved: int


@dataclass(frozen=True, slots=True)
class Feedback:
    """What somebody said of the anomaly *key*: that it is expected, until *until_ns* (None: for good)."""

    key: str
    note: str
    until_ns: int | None
    said_ns: int


def create(db: sqlite3.Connection) -> None:
    """Create the tables."""
    db.execute(
        "CREATE TABLE IF NOT EXISTS report (id TEXT PRIMARY KEY, schedule TEXT NOT NULL, zone TEXT NOT NULL, "
        "from_ns INTEGER NOT NULL, to_ns INTEGER NOT NULL, as_of_ns INTEGER NOT NULL, new INTEGER NOT NULL, "
        "ongoing INTEGER NOT NULL, resolved INTEGER NOT NULL, size INTEGER NOT NULL, body BLOB NOT NULL)"
    )
    db.execute("CREATE INDEX IF NOT EXISTS report_as_of ON report (as_of_ns)")
    db.execute(
        "CREATE TABLE IF NOT EXISTS feedback (key TEXT PRIMARY KEY, note TEXT NOT NULL, until_ns INTEGER, "
        "said_ns INTEGER NOT NULL)"
    )


def save(db: sqlite3.Connection, report: Report) -> None:
    """Keep *report* in place of one with its id; drop the oldest beyond the bounds, never this one."""
    states = [a.state for a in (*report.anomalies, *report.resolved)]
    body = zlib.compress(report.model_dump_json().encode())
    db.execute(
        "INSERT OR REPLACE INTO report VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        (
            report.id,
            report.schedule,
            report.zone,
            report.period.from_ns,
            report.period.to_ns,
            report.as_of_ns,
            states.count("new"),
            states.count("ongoing"),
            states.count("resolved"),
            len(body),
            body,
        ),
    )
    db.execute(
        "DELETE FROM report WHERE id <> ? AND id IN "
        "(SELECT id FROM report WHERE schedule = ? ORDER BY as_of_ns DESC, id LIMIT -1 OFFSET ?)",
        (report.id, report.schedule, MOST),
    )
    db.execute(
        "DELETE FROM report WHERE id <> ? AND id IN (SELECT id FROM "
        "(SELECT id, sum(size) OVER (ORDER BY as_of_ns DESC, id) AS so_far FROM report) WHERE so_far > ?)",
        (report.id, MOST_BYTES),
    )


def load(db: sqlite3.Connection, report_id: str) -> Report | None:
    """Return the report *report_id*; None when there is none, or one of another version's shape."""
    from pydantic import ValidationError

    from collector.model.report import Report

    row = db.execute("SELECT body FROM report WHERE id = ?", (report_id,)).fetchone()
    try:
        return Report.model_validate_json(zlib.decompress(row[0])) if row else None
    except ValidationError:
        return None


def rows(db: sqlite3.Connection, schedule: str | None = None, limit: int = 50) -> list[ReportRow]:
    """Return the newest *limit* reports of *schedule*, or of all."""
    where, given = ("WHERE schedule = ?", (schedule,)) if schedule is not None else ("", ())
    found = db.execute(
        "SELECT id, schedule, zone, from_ns, to_ns, as_of_ns, new, ongoing, resolved FROM report "  # noqa: S608 -- ours
        f"{where} ORDER BY as_of_ns DESC, id LIMIT ?",
        (*given, limit),
    )
    return [ReportRow(*row) for row in found]


def save_feedback(db: sqlite3.Connection, key: str, note: str, until_ns: int | None, now_ns: int) -> None:
    """Remember what was said of *key* at *now_ns*, and forget what is over or beyond the bound."""
    db.execute("DELETE FROM feedback WHERE until_ns <= ?", (now_ns,))
    db.execute("INSERT OR REPLACE INTO feedback VALUES (?, ?, ?, ?)", (key, note, until_ns, now_ns))
    db.execute(
        "DELETE FROM feedback WHERE key IN (SELECT key FROM feedback ORDER BY said_ns DESC, key LIMIT -1 OFFSET ?)",
        (MOST_FEEDBACK,),
    )


def forget_feedback(db: sqlite3.Connection, key: str) -> None:
    """Forget what was said of *key*."""
    db.execute("DELETE FROM feedback WHERE key = ?", (key,))


def feedback(db: sqlite3.Connection) -> list[Feedback]:
    """Return all that was said, the latest first; *until_ns* may be over."""
    found = db.execute("SELECT key, note, until_ns, said_ns FROM feedback ORDER BY said_ns DESC, key")
    return [Feedback(*row) for row in found]
