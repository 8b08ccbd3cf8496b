"""What people and processes tell each other, kept apart from the projection: `control.sqlite`.

Marks, such as how far the store has checkpointed, which lets the journal forget; who has sent lately and what was
refused; reports, what was said of them, and where they went.
"""

from __future__ import annotations

import fcntl
import sqlite3
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from collector import versions
from collector.control import firings, ledger, names, refusals, reports, senders
from collector.control.firings import Delivery, Firing
from collector.control.ledger import Entry
from collector.control.refusals import Refusal, Traffic
from collector.control.reports import Feedback, ReportRow
from collector.control.senders import Sender
from collector.model.errors import UsageError
from collector.versions import damage

if TYPE_CHECKING:
    from collector.model.report import Report

FILE = "control.sqlite"
VERSION = 1
"""Raised by one with every change of a table; a file of a newer version is refused."""
STEPS: versions.Steps = {}
"""Version → what brings a file of the version before to it."""
CHECKPOINTED = "checkpointed"
"""Mark: journal number up to which the store's file holds everything. Written by store, read by receive."""


class Control:
    """Named numbers that several processes share."""

    def __init__(self, db: sqlite3.Connection) -> None:
        self._db = db
        self._gate = threading.Lock()
        """Around reports and their ledgers, which several threads may ask for."""

    @classmethod
    def open(cls, directory: Path) -> Control:
        """Open or create the file in *directory*; raise UsageError for one of a newer version, untouched.

        A damaged one is set aside under a new name: its marks start at 0 again, which forgets nothing.
        """
        refuse_newer(directory)
        path = directory / FILE
        # One at a time, or the second process would set aside what the first has just made.
        with (directory / "control.lock").open("a") as gate:
            fcntl.flock(gate, fcntl.LOCK_EX)
            try:
                db = _connect(path)
            except sqlite3.DatabaseError as e:
                if not damage.is_damage(e):
                    raise
                damage.set_aside(path, damage.SQLITE)
                db = _connect(path)
        return cls(db)

    def mark(self, name: str) -> int:
        """Return the number of *name*, 0 when it was never set."""
        row = self._db.execute("SELECT value FROM mark WHERE name = ?", (name,)).fetchone()
        return int(row[0]) if row else 0

    def set_mark(self, name: str, value: int) -> None:
        """Set the number of *name*, on disk when this returns."""
        with self._db:
            self._db.execute("INSERT OR REPLACE INTO mark VALUES (?, ?)", (name, value))

    def names(self) -> list[tuple[str, str, str, str]]:
        """Return (project, kind, service, name) of the names that are kept apart."""
        return names.load(self._db)

    def save_names(self, fresh: list[tuple[str, str, str, str]]) -> None:
        """Keep *fresh*."""
        names.save(self._db, fresh)

    def senders(self) -> list[Sender]:
        """Return who has sent, the latest first."""
        return senders.load(self._db)

    def save_senders(self, changed: list[Sender]) -> None:
        """Keep *changed*."""
        senders.save(self._db, changed)

    def refusals(self) -> tuple[list[Refusal], list[Traffic]]:
        """Return what was refused, and what was answered in all, the latest first."""
        return refusals.load(self._db)

    def save_refusals(self, changed: list[Refusal], gone: list[tuple[str, ...]], traffic: list[Traffic]) -> None:
        """Keep *changed* and *traffic*, forget what is *gone*."""
        refusals.save(self._db, changed, gone, traffic)

    def job_entries(self, name: str | None = None) -> list[Entry]:
        """Return what jobs have done, the latest first."""
        return ledger.read(self._db, name)

    def write_job_entries(self, entries: list[Entry]) -> None:
        """Add *entries* to the ledger of jobs."""
        ledger.write(self._db, entries)

    def save_report(self, report: Report) -> None:
        """Keep *report*, on disk when this returns."""
        with self._gate, self._db:
            reports.save(self._db, report)

    def report(self, report_id: str) -> Report | None:
        """Return a report; None when there is none by that id, or one of another version's shape."""
        with self._gate:
            return reports.load(self._db, report_id)

    def reports(self, schedule: str | None = None, limit: int = 50) -> list[ReportRow]:
        """Return the newest reports of *schedule*, or of all."""
        with self._gate:
            return reports.rows(self._db, schedule, limit)

    def save_feedback(self, key: str, note: str, until_ns: int | None, now_ns: int) -> None:
        """Remember at *now_ns* that the anomaly *key* is expected, until *until_ns* or for good."""
        with self._gate, self._db:
            reports.save_feedback(self._db, key, note, until_ns, now_ns)

    def forget_feedback(self, key: str) -> None:
        """Take back what was said of the anomaly *key*."""
        with self._gate, self._db:
            reports.forget_feedback(self._db, key)

    def feedback(self) -> list[Feedback]:
        """Return what was said, the latest first; some of it may be over (`until_ns`)."""
        with self._gate:
            return reports.feedback(self._db)

    def schedule_mark(self, schedule: str, definition: str, now_ns: int) -> int:
        """Return up to when the firings of *schedule* are noted, ns since 1970.

        One that is new, or defined anew since (*definition*), starts at *now_ns*.
        """
        with self._gate, self._db:
            return firings.mark(self._db, schedule, definition, now_ns)

    def keep_schedules(self, names: Sequence[str]) -> None:
        """Forget up to when the firings of other schedules were noted."""
        with self._gate, self._db:
            firings.keep(self._db, list(names))

    def note_firings(self, schedule: str, found: list[Firing], mark_ns: int) -> None:
        """Add firings to the ledger, once each, and say that those up to *mark_ns* are noted: all or nothing."""
        with self._gate, self._db:
            firings.note(self._db, found)
            firings.set_mark(self._db, schedule, mark_ns)

    def begin_firing(self, firing: Firing) -> None:
        """Count that making the report of *firing* begins, on disk when this returns."""
        with self._gate, self._db:
            firings.begin(self._db, firing)

    def settle_firing(self, firing: Firing, report: Report, channels: Sequence[str], now_ns: int) -> None:
        """Keep the report of a due firing, owe it to *channels* and call the firing made: all or nothing."""
        with self._gate, self._db:
            reports.save(self._db, report)
            firings.owe(self._db, report.id, list(channels), now_ns)
            firings.settle(self._db, firing, "made", report.id)

    def fail_firing(self, firing: Firing, why: str) -> None:
        """Say that the report of a due firing could not be made."""
        with self._gate, self._db:
            firings.settle(self._db, firing, "failed", why=why)

    def due_firings(self) -> list[Firing]:
        """Return the firings whose report is to be made, the oldest first."""
        with self._gate:
            return firings.due(self._db)

    def firings(self, schedule: str | None = None, limit: int = 1_000) -> list[Firing]:
        """Return the latest firings of *schedule*, or of all."""
        with self._gate:
            return firings.firings(self._db, schedule, limit)

    def owe_deliveries(self, report_id: str, channels: Sequence[str], now_ns: int) -> None:
        """Note that a report is to be sent to *channels*, once each."""
        with self._gate, self._db:
            firings.owe(self._db, report_id, list(channels), now_ns)

    def update_delivery(self, delivery: Delivery) -> None:
        """Write what came of an attempt to deliver, on disk when this returns."""
        with self._gate, self._db:
            firings.update(self._db, delivery)

    def waiting_deliveries(self) -> list[Delivery]:
        """Return the deliveries that wait, the one due first first."""
        with self._gate:
            return firings.waiting(self._db)

    def deliveries(self, report_id: str | None = None, limit: int = 100) -> list[Delivery]:
        """Return the latest deliveries of a report, or of all."""
        with self._gate:
            return firings.deliveries(self._db, report_id, limit)

    def close(self) -> None:
        """Close the file."""
        self._db.close()


def read_marks(directory: Path) -> dict[str, int]:
    """Return all marks of the control file in *directory* without opening it for writing."""
    with versions.untouched(directory / FILE) as db:
        return dict(db.execute("SELECT name, value FROM mark"))


def refuse_newer(directory: Path) -> None:
    """Raise UsageError when the control file in *directory* is of a newer version; not a byte of it changes."""
    path = directory / FILE
    versions.refuse_newer(path, versions.read(path, "mark"), VERSION)


def _connect(path: Path) -> sqlite3.Connection:
    db = sqlite3.connect(path, timeout=10, isolation_level="IMMEDIATE", check_same_thread=False)
    try:
        db.execute("PRAGMA journal_mode = WAL")
        db.execute("PRAGMA synchronous = FULL")
        versions.bring_forward(db, path, "mark", VERSION, STEPS, lambda: _create(db))
        if (found := db.execute("PRAGMA quick_check").fetchone()[0]) != "ok":
            broken = sqlite3.DatabaseError(str(found))
            broken.sqlite_errorcode = sqlite3.SQLITE_CORRUPT
            raise broken
    except (sqlite3.Error, UsageError):
        db.close()
        raise
    return db


def _create(db: sqlite3.Connection) -> None:
    db.execute("CREATE TABLE IF NOT EXISTS mark (name TEXT PRIMARY KEY, value INTEGER NOT NULL)")
    senders.create(db)
    refusals.create(db)
    names.create(db)
    ledger.create(db)
    reports.create(db)
    firings.create(db)
