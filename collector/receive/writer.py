"""The group commit: one thread takes the requests that wait, writes them as one group, then answers their senders.

When the journal cannot be written, all whose rows it would have held are told to come back.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

import structlog

from collector.decode import Accepted
from collector.model.errors import NotNow
from collector.receive.apart import DRAINING, Apart
from collector.receive.books import Books
from collector.receive.group import Decoded, Decoder, Group, Request
from collector.receive.resends import Resends
from collector.receive.senders import Senders
from collector.receive.turns import Turns
from collector.receive.watch import Watch
from collector.telemetry.log import cause, vital
from collector.telemetry.spans import span
from collector.versions import damage

log = structlog.get_logger()

_UNWRITTEN = "the journal cannot be written now; try again"
_LOOK_S = 1.0


class Writer:
    """The thread that writes, and those who wait for it; *look_after* is called in it about once a second.

    *apart* is given what is too much to be decoded here.
    """

    def __init__(
        self,
        decoder: Decoder,
        apart: Apart,
        watch: Watch,
        resends: Resends,
        senders: Senders,
        books: Books,
        look_after: Callable[[], None],
    ) -> None:
        self._decoder = decoder
        self._apart = apart
        self._watch = watch
        self._resends = resends
        self._senders = senders
        self._books = books
        self._look_after = look_after
        self._waiting: Turns[Request] = Turns()
        self._decoded: Decoded | None = None
        self._arrived = threading.Condition()
        self._stopped = False
        # Without this thread nobody gets an answer, so the process ends with it.
        self._thread = threading.Thread(target=vital, args=(self._work,), name="journal-writer", daemon=True)

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def put(self, request: Request) -> None:
        """Let *request* wait for its turn; raise NotNow when there will be none."""
        with self._arrived:
            if self._stopped:
                raise NotNow(DRAINING)
            self._waiting.put(request.who, request)
            self._arrived.notify_all()

    def put_decoded(self, decoded: Decoded) -> None:
        """Let what was decoded apart be written next; wait until the one before it is."""
        with self._arrived:
            self._arrived.wait_for(lambda: self._decoded is None or self._stopped)
            if not self._stopped:
                self._decoded = decoded
                self._arrived.notify_all()
                return
        decoded.request.answer(NotNow(DRAINING))

    @property
    def held_bytes(self) -> int:
        """Return the bytes of rows that were decoded apart and are not written yet."""
        decoded = self._decoded
        return len(decoded.rows) if decoded else 0

    def turn_away(self) -> None:
        """Refuse what waits, and whatever comes after it."""
        with self._arrived:
            self._stopped = True
            turned_away = self._waiting.clear()
            self._arrived.notify_all()
        for request in turned_away:
            request.answer(NotNow(DRAINING))

    def stop(self) -> None:
        """Finish what waits, then end."""
        with self._arrived:
            self._stopped = True
            self._arrived.notify_all()
        self._thread.join(timeout=10)

    def next(self) -> Request | None:
        """Return whose turn it is, None when nobody waits. For the writer's thread."""
        with self._arrived:
            return self._waiting.take() if len(self._waiting) else None

    def charge(self, request: Request, cost: float) -> None:
        """Count what *request* cost its sender."""
        with self._arrived:
            self._waiting.charge(request.who, cost)

    def _work(self) -> None:
        looked = time.monotonic()
        while self._wait():
            if time.monotonic() - looked >= _LOOK_S:
                looked = time.monotonic()
                self._look_after()
            if self._decoded is not None:
                self._commit(self._decoder.apart(self._decoded))
                with self._arrived:
                    self._decoded = None
                    self._arrived.notify_all()
            self._commit(self._decoder.group(self))

    def _wait(self) -> bool:
        """Wait for something to do, or a while; tell whether there will be more."""
        with self._arrived:
            self._arrived.wait_for(self._has_work, timeout=_LOOK_S)
            return bool(len(self._waiting) or self._decoded or not self._stopped)

    def _has_work(self) -> bool:
        return bool(len(self._waiting) or self._decoded or self._stopped)

    def _commit(self, group: Group) -> None:
        """Write the rows of *group*, settle with its senders, and let be decoded apart what is left."""
        for request in group.apart:
            self._apart.put(request)
        if not group.decided:
            return
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
        if not group.fresh:
            return None
        rows = group.packed or group.rows.tables()
        with self._books.fsync.time(), span("journal_write", when=not group.from_runwell, requests=len(group.decided)):
            return self._watch.journal.append(rows, list(group.fresh), group.received_ns)

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
