"""The ledgers of schedules: which firing was made or skipped, and which report went where.

A firing is one (schedule, nominal time). Its report, its state and the deliveries it owes are one transaction, so a
kill leaves either a firing that is made again, with the same report id, or deliveries that are sent again, with the
same key.
"""

from __future__ import annotations

import hashlib
import sqlite3
from collections.abc import Sequence
from dataclasses import astuple, dataclass
from typing import TYPE_CHECKING, Literal

from collector.control import reports

if TYPE_CHECKING:
    from collector.model.report import Report

FiringState = Literal["due", "made", "skipped", "failed"]
DeliveryState = Literal["waiting", "sent", "given_up"]
MOST_FIRINGS = 1_000
"""Firings kept of each schedule."""
MOST_DELIVERIES = 5_000
"""Deliveries kept that are over; those that wait are all kept."""


@dataclass(frozen=True, slots=True)
class Firing:
    """One time a schedule came round. Times in ns since 1970; the period is what its report covers.

    *state*: `due` is being made, `made` has a report, `skipped` was missed, `failed` could not be made: *note* says
    why. *as_of_ns* is chosen once, so that making it again gives the same report.
    """

    schedule: str
    fire_ns: int
    from_ns: int
    to_ns: int
    as_of_ns: int
    state: FiringState
    report_id: str = ""
    note: str = ""
    attempts: int = 0
    """How often making it was begun: one that ends the process is not begun for ever."""


@dataclass(frozen=True, slots=True)
class Delivery:
    """One report on its way to one channel. *key* is sent along each time, and is the same each time."""

    report_id: str
    channel: str
    key: str
    state: DeliveryState
    attempts: int
    due_ns: int
    """When it is tried next."""
    created_ns: int
    ended_ns: int | None
    note: str
    """Why the last attempt failed; empty when none did."""


_FIRING = "schedule, fire_ns, from_ns, to_ns, as_of_ns, state, report_id, note, attempts"
_DELIVERY = "report_id, channel, key, state, attempts, due_ns, created_ns, ended_ns, note"


def create(db: sqlite3.Connection) -> None:
    """Create the tables."""
    db.execute(
        "CREATE TABLE IF NOT EXISTS firing (schedule TEXT NOT NULL, fire_ns INTEGER NOT NULL, from_ns INTEGER NOT "
        "NULL, to_ns INTEGER NOT NULL, as_of_ns INTEGER NOT NULL, state TEXT NOT NULL, report_id TEXT NOT NULL, "
        "note TEXT NOT NULL, attempts INTEGER NOT NULL, PRIMARY KEY (schedule, fire_ns)) WITHOUT ROWID"
    )
    db.execute("CREATE INDEX IF NOT EXISTS firing_due ON firing (fire_ns) WHERE state = 'due'")
    db.execute(
        "CREATE TABLE IF NOT EXISTS schedule (name TEXT PRIMARY KEY, definition TEXT NOT NULL, "
        "mark_ns INTEGER NOT NULL)"
    )
    db.execute(
        "CREATE TABLE IF NOT EXISTS delivery (id INTEGER PRIMARY KEY, report_id TEXT NOT NULL, channel TEXT NOT NULL, "
        "key TEXT NOT NULL, state TEXT NOT NULL, attempts INTEGER NOT NULL, due_ns INTEGER NOT NULL, "
        "created_ns INTEGER NOT NULL, ended_ns INTEGER, note TEXT NOT NULL, UNIQUE (report_id, channel))"
    )
    db.execute("CREATE INDEX IF NOT EXISTS delivery_state ON delivery (state, due_ns)")


def mark(db: sqlite3.Connection, schedule: str, definition: str, now_ns: int) -> int:
    """Return up to when firings of *schedule* are noted: *now_ns* for one that is new or defined anew."""
    db.execute(
        "INSERT INTO schedule VALUES (:name, :definition, :now) ON CONFLICT (name) DO UPDATE "
        "SET definition = :definition, mark_ns = :now WHERE definition <> :definition",
        {"name": schedule, "definition": definition, "now": now_ns},
    )
    found = db.execute("SELECT mark_ns FROM schedule WHERE name = ?", (schedule,)).fetchone()
    return int(found[0])


def keep(db: sqlite3.Connection, schedules: Sequence[str]) -> None:
    """Forget the marks of all schedules but these: one that comes back later owes nothing of the time between."""
    places = ", ".join("?" * len(schedules))
    db.execute(f"DELETE FROM schedule WHERE name NOT IN ({places})", list(schedules))  # noqa: S608 -- placeholders


def note(db: sqlite3.Connection, schedule: str, firings: list[Firing], mark_ns: int) -> None:
    """Add *firings* of *schedule*, where one that is known stays as it is; those up to *mark_ns* are noted now."""
    db.executemany(
        f"INSERT OR IGNORE INTO firing ({_FIRING}) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",  # noqa: S608 -- our own names
        [astuple(f) for f in firings],
    )
    db.execute(
        "DELETE FROM firing WHERE schedule = ? AND state <> 'due' AND fire_ns <= "
        "(SELECT fire_ns FROM firing WHERE schedule = ? ORDER BY fire_ns DESC LIMIT 1 OFFSET ?)",
        (schedule, schedule, MOST_FIRINGS),
    )
    db.execute("UPDATE schedule SET mark_ns = ? WHERE name = ?", (mark_ns, schedule))


def begin(db: sqlite3.Connection, firing: Firing) -> None:
    """Count that making the report of *firing* begins."""
    db.execute(
        "UPDATE firing SET attempts = attempts + 1 WHERE schedule = ? AND fire_ns = ?",
        (firing.schedule, firing.fire_ns),
    )


def made(db: sqlite3.Connection, firing: Firing, report: Report, channels: Sequence[str], now_ns: int) -> None:
    """Keep the report of a due firing, owe it to *channels* and call the firing made."""
    hand_over(db, report, channels, now_ns)
    _settle(db, firing, "made", report.id)


def fail(db: sqlite3.Connection, firing: Firing, why: str) -> None:
    """Say that the report of a due firing could not be made."""
    _settle(db, firing, "failed", why=why)


def _settle(db: sqlite3.Connection, firing: Firing, state: FiringState, report_id: str = "", why: str = "") -> None:
    db.execute(
        "UPDATE firing SET state = ?, report_id = ?, note = ? WHERE schedule = ? AND fire_ns = ? AND state = 'due'",
        (state, report_id, why, firing.schedule, firing.fire_ns),
    )


def due(db: sqlite3.Connection) -> list[Firing]:
    """Return all firings that are due, the oldest first."""
    found = db.execute(f"SELECT {_FIRING} FROM firing WHERE state = 'due' ORDER BY fire_ns, schedule")  # noqa: S608
    return [Firing(*row) for row in found]


def latest(db: sqlite3.Connection, schedule: str | None = None, limit: int = 1_000) -> list[Firing]:
    """Return the latest *limit* firings of *schedule*, or of all."""
    found = db.execute(
        f"SELECT {_FIRING} FROM firing WHERE :schedule IS NULL OR schedule = :schedule "  # noqa: S608 -- our own names
        "ORDER BY fire_ns DESC, schedule LIMIT :most",
        {"schedule": schedule, "most": limit},
    )
    return [Firing(*row) for row in found]


def delivery_key(report_id: str, channel: str) -> str:
    """Return what makes a delivery known to its receiver: 32 hex, of report and channel."""
    return hashlib.blake2b(f"{report_id}\0{channel}".encode(), digest_size=16).hexdigest()


def hand_over(db: sqlite3.Connection, report: Report, channels: Sequence[str], now_ns: int) -> None:
    """Keep *report* and owe it to *channels*."""
    reports.save(db, report)
    owe(db, report.id, channels, now_ns)


def owe(db: sqlite3.Connection, report_id: str, channels: Sequence[str], now_ns: int) -> None:
    """Note that *report_id* is to be sent to *channels*; where it was noted before, nothing changes."""
    db.executemany(
        f"INSERT OR IGNORE INTO delivery ({_DELIVERY}) VALUES (?, ?, ?, 'waiting', 0, ?, ?, NULL, '')",  # noqa: S608
        [(report_id, channel, delivery_key(report_id, channel), now_ns, now_ns) for channel in channels],
    )
    db.execute(
        "DELETE FROM delivery WHERE state <> 'waiting' AND id <= "
        "(SELECT id FROM delivery WHERE state <> 'waiting' ORDER BY id DESC LIMIT 1 OFFSET ?)",
        (MOST_DELIVERIES,),
    )


def update(db: sqlite3.Connection, d: Delivery) -> None:
    """Write what came of an attempt."""
    db.execute(
        "UPDATE delivery SET state = ?, attempts = ?, due_ns = ?, ended_ns = ?, note = ? "
        "WHERE report_id = ? AND channel = ?",
        (d.state, d.attempts, d.due_ns, d.ended_ns, d.note, d.report_id, d.channel),
    )


def waiting(db: sqlite3.Connection) -> list[Delivery]:
    """Return all deliveries that wait, the one due first first."""
    return [
        Delivery(*row)
        for row in db.execute(f"SELECT {_DELIVERY} FROM delivery WHERE state = 'waiting' ORDER BY due_ns, id")  # noqa: S608
    ]


def deliveries(db: sqlite3.Connection, report_id: str | None = None, limit: int = 100) -> list[Delivery]:
    """Return the latest *limit* deliveries of *report_id*, or of all."""
    found = db.execute(
        f"SELECT {_DELIVERY} FROM delivery WHERE :id IS NULL OR report_id = :id ORDER BY id DESC LIMIT :most",  # noqa: S608
        {"id": report_id, "most": limit},
    )
    return [Delivery(*row) for row in found]
