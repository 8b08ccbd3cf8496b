"""The group commit: one thread takes the requests that wait, writes them as one group, then answers their senders.

When the journal cannot be written, all whose rows it would have held are told to come back.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable

import structlog

from collector.decode import Accepted
from collector.model.errors import NotNow
from collector.receive.books import Books
from collector.receive.group import Decoder, Group, Request
from collector.receive.resends import Resends
from collector.receive.senders import Senders
from collector.receive.watch import Watch
from collector.telemetry.log import cause, vital
from collector.telemetry.spans import span
from collector.versions import damage

log = structlog.get_logger()

DRAINING = "draining: this server is shutting down"
_UNWRITTEN = "the journal cannot be written now; try again"
_GROUP_BYTES = 8 * 2**20
_GROUP_REQUESTS = 2_048
_LOOK_S = 1.0


class Writer:
    """The thread that writes, and those who wait for it; *look_after* is called in it about once a second."""

    def __init__(
        self,
        decoder: Decoder,
        watch: Watch,
        resends: Resends,
        senders: Senders,
        books: Books,
        look_after: Callable[[], None],
    ) -> None:
        self._decoder = decoder
        self._watch = watch
        self._resends = resends
        self._senders = senders
        self._books = books
        self._look_after = look_after
        self._waiting: deque[Request] = deque()
        self._arrived = threading.Condition()
        self._stopped = False
        # Without this thread nobody gets an answer, so the process ends with it.
        self._thread = threading.Thread(target=vital, args=(self._work,), name="journal-writer", daemon=True)

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def put(self, request: Request) -> None:
        """Let *request* wait for the next group; raise NotNow when there will be none."""
        with self._arrived:
            if self._stopped:
                raise NotNow(DRAINING)
            self._waiting.append(request)
            self._arrived.notify()

    def turn_away(self) -> None:
        """Refuse what waits, and whatever comes after it."""
        with self._arrived:
            self._stopped = True
            turned_away = [*self._waiting]
            self._waiting.clear()
            self._arrived.notify()
        for request in turned_away:
            request.answer(NotNow(DRAINING))

    def stop(self) -> None:
        """Finish what waits, then end."""
        with self._arrived:
            self._stopped = True
            self._arrived.notify()
        self._thread.join(timeout=10)

    def _work(self) -> None:
        looked = time.monotonic()
        while (requests := self._take()) is not None:
            if time.monotonic() - looked >= _LOOK_S:
                looked = time.monotonic()
                self._look_after()
            if requests:
                self._commit(requests)

    def _take(self) -> list[Request] | None:
        """Return requests for one group, none when nothing came for a while; None at the end."""
        with self._arrived:
            if not self._waiting and not self._stopped:
                self._arrived.wait(timeout=_LOOK_S)
            taken: list[Request] = []
            size = 0
            while self._waiting and size < _GROUP_BYTES and len(taken) < _GROUP_REQUESTS:
                taken.append(self._waiting.popleft())
                size += len(taken[-1].body)
            return None if self._stopped and not taken else taken

    def _commit(self, requests: list[Request]) -> None:
        """Decode *requests*, write their rows, settle with their senders; those beyond one group wait on."""
        group = self._decoder.group(requests)
        self._waiting.extendleft(reversed(requests[len(group.decided) :]))
        try:
            seq = self._write(group)
        except Exception as e:  # full or failing disk: nobody is told that it was kept
            log.error("journal_write_failed", **cause(e))
            self._settle_unwritten(group)
            self._watch.reopen(repair=damage.is_damage(e))
        else:
            self._settle(group, seq)

    def _write(self, group: Group) -> int | None:
        """Return the number under which the rows of *group* are on disk, None when it has none."""
        tables = group.rows.tables()
        if not tables:
            return None
        with self._books.fsync.time(), span("journal_write", when=not group.from_runwell, requests=len(group.decided)):
            return self._watch.journal.append(tables, list(group.fresh), group.received_ns)

    def _settle(self, group: Group, seq: int | None) -> None:
        """Keep account of a group whose rows are on disk, then answer."""
        for digest, fresh in group.fresh.items():
            self._resends.add(digest, fresh.received_ns, fresh.said)
        self._books.settled(group.settled(written=True), seq)
        for d in group.decided:
            if isinstance(d.said, Accepted) and not d.said.duplicate:
                r = d.request
                self._senders.seen(r.via, r.signal.name, r.encoding, d.said.origins, r.received_ns)
        for d in group.decided:
            d.request.answer(d.said)

    def _settle_unwritten(self, group: Group) -> None:
        """Keep account of a group that could not be written, then answer; what needs no rows is said all the same."""
        self._books.settled(group.settled(written=False), None)
        for d in group.decided:
            d.request.answer(NotNow(_UNWRITTEN) if d.needs_rows else d.said)
