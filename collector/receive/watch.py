"""The health of disk and journal: whether there is room, what may be forgotten, and what failed opened anew."""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable

import structlog

from collector.control import CHECKPOINTED, Control
from collector.journal import Journal
from collector.receive.books import Books
from collector.receive.resends import Resends
from collector.settings import Settings
from collector.settings.section import nanoseconds
from collector.telemetry.log import cause

log = structlog.get_logger()

_FORGET_S = 30.0
_LOST = "the last groups are missing; the rest is kept"
_CLOSED = "the journal cannot be opened; try again"


class Watch:
    """Keeps the journal open, and *resends* in step with it. For one thread, but for *refusal*."""

    def __init__(
        self, settings: Settings, control: Control, books: Books, resends: Resends, clock: Callable[[], int]
    ) -> None:
        self._directory = settings.data
        self._settings = settings.journal
        self._window_ns = nanoseconds(settings.journal.resend_window)
        self._control = control
        self._books = books
        self._resends = resends
        self._clock = clock
        self._forgot = time.monotonic()
        self.refusal = ""
        """Why requests cannot be taken now, empty when they can."""
        self._open()

    def look(self) -> None:
        """Decide whether requests can be taken; open anew what failed, forget what is not needed any more."""
        try:
            if self.refusal == _CLOSED:
                self.reopen()
            else:
                self.refusal = self._room()
                self._resends.trim(self._clock())
                self._books.journal_bytes.set(self.journal.size_bytes())
                self._books.taken_up(self._control.mark("applied"))
        except Exception as e:  # a failing disk; opened anew in a second
            self.refusal = _CLOSED
            log.error("journal_check_failed", **cause(e))
        if time.monotonic() - self._forgot >= _FORGET_S:
            self._forgot = time.monotonic()
            self._forget()

    def reopen(self, *, repair: bool = False) -> None:
        """Start over with the file as it is on disk; a failed fsync makes everything in memory doubtful."""
        last_seq = self.journal.last_seq
        try:
            self.journal.close()
        except Exception as e:
            log.error("journal_close_failed", **cause(e))
        try:
            # A write that failed may be there all the same; its requests, refused, will be sent again.
            self._open(last_seq, repair=repair)
            self.refusal = ""
        except Exception as e:
            self.refusal = _CLOSED
            log.error("journal_open_failed", **cause(e))

    def close(self) -> None:
        """Close the journal."""
        self.journal.close()

    def _open(self, after: int = 0, *, repair: bool = False) -> None:
        """Open the journal, and take up the digests of what came after group *after*."""
        journal = Journal.open(self._directory, repair=repair)
        # Numbers that the store has seen are never given out again, whatever happened to the journal's files.
        journal.last_seq = max(journal.last_seq, self._control.mark(CHECKPOINTED), self._control.mark("applied"))
        self.journal = journal
        self._books.lost_groups.set(journal.lost)
        self._books.journal_seq.set(journal.last_seq)
        if journal.lost:
            log.error("journal_open_failed", lost_groups=journal.lost, error_type="TailLost", error_message=_LOST)
        self._resends.load(journal.digests(self._clock() - self._window_ns, after))

    def _room(self) -> str:
        """Return why there is no room for more, empty when there is."""
        if self._is_full():
            self._forget()
        try:
            free = shutil.disk_usage(self._directory).free
        except OSError:
            free = 0
        if free < self._settings.free_disk:
            least = self._settings.free_disk.human_readable(separator=" ")
            return f"disk is nearly full: less than {least} free; try again"
        if self._is_full() and self._control.mark(CHECKPOINTED) < self.journal.last_seq:
            return "the journal is full and waits for the store; try again"
        return ""

    def _is_full(self) -> bool:
        return self.journal.size_bytes() > self._settings.full_size

    def _forget(self) -> None:
        try:
            self.journal.forget(
                self._control.mark(CHECKPOINTED),
                self._clock() - nanoseconds(self._settings.keep),
                min(int(self._settings.keep_size), int(self._settings.full_size)),
                self._clock() - self._window_ns,
            )
        except Exception as e:  # tried again in half a minute
            log.error("journal_forget_failed", **cause(e))
