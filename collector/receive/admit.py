"""The one door: a body is decompressed, recognised, decoded, journalled with fsync, and only then accepted.

Requests that wait together become one group, written by one thread. What is wrong with one of them concerns
only that one; when the journal cannot be written, all are told to come back.
"""

from __future__ import annotations

import asyncio
import shutil
import sqlite3
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from hashlib import blake2b
from pathlib import Path

import structlog

from collector.control import CHECKPOINTED, Control
from collector.decode import Accepted, Batch
from collector.decode.names import Projects
from collector.journal import Journal
from collector.journal.files import is_damage
from collector.model.errors import BadInput, NotNow, Refused
from collector.model.signals import Encoding, Signal
from collector.otlp.compression import decompress
from collector.receive.books import Books, Settled
from collector.receive.refusals import Refusals
from collector.receive.resends import Resends
from collector.receive.senders import Senders
from collector.receive.via import Via
from collector.settings import Settings
from collector.settings.section import nanoseconds
from collector.telemetry.log import cause, vital
from collector.telemetry.spans import span

log = structlog.get_logger()

_GROUP_BYTES = 8 * 2**20
_GROUP_PLAIN_BYTES = 32 * 2**20
_GROUP_REQUESTS = 2_048
_HOUSEKEEPING_S = 1.0
_FORGET_S = 30.0
_LOST = "what cannot be read was set aside or is missing; the rest is kept"
_CLOSED = "the journal cannot be opened; try again"


_EMPTY = Accepted(0, 0, "")
"""What is said to a request without records."""


@dataclass(slots=True)
class _Request:
    project: str
    signal: Signal
    encoding: Encoding
    compression: str
    body: bytes
    received_ns: int
    future: asyncio.Future[Accepted]
    loop: asyncio.AbstractEventLoop
    via: Via
    digest: bytes = b""
    outcome: Accepted | Refused | None = None

    def settle(self, outcome: Accepted | Refused) -> None:
        def tell() -> None:
            if not self.future.done():
                if isinstance(outcome, Accepted):
                    self.future.set_result(outcome)
                else:
                    self.future.set_exception(outcome)

        self.loop.call_soon_threadsafe(tell)


class Hold:
    """Bytes of one request that are being held, given back at the end of the block."""

    def __init__(self, admit: Admit) -> None:
        self._admit = admit
        self._bytes = 0

    def __enter__(self) -> Hold:
        return self

    def add(self, size: int) -> None:
        """Hold *size* bytes more, or raise NotNow."""
        if self._admit.held_bytes + size > self._admit.most_held_bytes:
            raise NotNow("more bytes are in flight than limits.in_flight allows; try again")
        self._admit.held_bytes += size
        self._bytes += size

    def __exit__(self, *_: object) -> None:
        self._admit.held_bytes -= self._bytes


class Admit:
    """Takes requests from any port into the journal."""

    def __init__(
        self, settings: Settings, control: Control, books: Books, clock: Callable[[], int] = time.time_ns
    ) -> None:
        self._settings = settings
        self._control = control
        self.books = books
        self._clock = clock
        self._directory = settings.data
        self._waiting: deque[_Request] = deque()
        self._arrived = threading.Condition()
        self.held_bytes = 0
        self.most_held_bytes = int(settings.limits.in_flight)
        self._draining = False
        self._refusal: str | None = None
        self._journal = self._open_journal()
        self._window_ns = nanoseconds(settings.journal.resend_window)
        self._resends = Resends(self._window_ns)
        self._resends.load(self._journal.digests(clock() - self._window_ns))
        self._names = Projects(settings.names, control.names())
        self._senders = Senders(control, self._names)
        self.refusals = Refusals(control, clock)
        self._stop = threading.Event()
        books.held(lambda: self.held_bytes, lambda: not self.ready)
        self._look_after()
        self._writer = threading.Thread(target=self._run, name="journal-writer", daemon=True)
        self._writer.start()

    def _open_journal(self, *, repair: bool = False) -> Journal:
        journal = Journal.open(self._directory, repair=repair)
        # Numbers that the store has seen are never given out again, whatever happened to the journal's files.
        journal.last_seq = max(journal.last_seq, self._control.mark(CHECKPOINTED), self._control.mark("applied"))
        self.books.lost_groups.set(journal.lost)
        self.books.journal_seq.set(journal.last_seq)
        if journal.lost:
            log.error("journal_open_failed", lost_groups=journal.lost, error_type="TailLost", error_message=_LOST)
        if journal.set_aside:
            log.error("journal_open_failed", set_aside=journal.set_aside, error_type="DamagedFile", error_message=_LOST)
        return journal

    @property
    def ready(self) -> str:
        """Return why requests would be refused now, empty when they are taken."""
        return "draining: this server is shutting down" if self._draining else (self._refusal or "")

    def hold(self) -> Hold:
        """Return what counts the bytes of a request while they are read and decided; for the loop's thread only."""
        return Hold(self)

    async def admit(
        self, project: str, signal: Signal, encoding: Encoding, compression: str, body: bytes, via: Via
    ) -> Accepted:
        """Return what became of a request once its rows are on disk, or raise `Refused`.

        *compression* is the Content-Encoding of *body*, empty for none; *via* says how it came. The caller holds
        the body (`hold`).
        """
        if refusal := self.ready:
            raise NotNow(refusal)
        loop = asyncio.get_running_loop()
        request = _Request(project, signal, encoding, compression, body, self._clock(), loop.create_future(), loop, via)
        with self._arrived:
            if self._stop.is_set():
                raise NotNow("draining: this server is shutting down")
            self._waiting.append(request)
            self._arrived.notify()
        return await asyncio.shield(request.future)

    def drain(self) -> None:
        """Refuse new requests from now on; those waiting are still finished."""
        self._draining = True

    def close(self) -> None:
        """Finish what waits, then close the journal."""
        self._draining = True
        with self._arrived:
            self._stop.set()
            self._arrived.notify()
        self._writer.join(timeout=10)
        self._senders.save(now=True)
        self.refusals.save(now=True)
        self._journal.close()

    # -- the writer thread -----------------------------------------------------------------------------------

    def _run(self) -> None:
        """Work until told to stop; without this thread nobody gets an answer, so the process ends with it."""
        vital(self._work)

    def _work(self) -> None:
        looked = forgot = time.monotonic()
        while True:
            with self._arrived:
                if not self._waiting and not self._stop.is_set():
                    self._arrived.wait(timeout=_HOUSEKEEPING_S)
                group = self._take()
                if not group and self._stop.is_set():
                    return
            now = time.monotonic()
            if now - looked >= _HOUSEKEEPING_S:
                looked = now
                try:
                    self._look_after()
                except Exception as e:  # a failing disk; opened anew in a second
                    self._refusal = _CLOSED
                    log.error("journal_check_failed", **cause(e))
            if now - forgot >= _FORGET_S:
                forgot = now
                self._forget()
            if group:
                self._commit(group)

    def _take(self) -> list[_Request]:
        group: list[_Request] = []
        size = 0
        while self._waiting and size < _GROUP_BYTES and len(group) < _GROUP_REQUESTS:
            group.append(self._waiting.popleft())
            size += len(group[-1].body)
        return group

    def _commit(self, group: list[_Request]) -> None:
        batch = Batch(self._settings.limits, self._names)
        fresh: dict[bytes, _Request] = {}
        size = 0
        for place, request in enumerate(group):
            if size > _GROUP_PLAIN_BYTES:
                # Rows of more than this are not held at once: the rest is the next group.
                self._waiting.extendleft(reversed(group[place:]))
                group = group[:place]
                break
            try:
                size += self._decode(request, batch, fresh)
            except Refused as e:
                request.outcome = e
            except Exception as e:  # a defect of ours must not take the other requests with it
                log.error("request_decode_failed", **cause(e), signal=request.signal.name)
                request.outcome = BadInput("this request could not be read; please report it")
        try:
            tables = batch.tables()
            seq = None
            if tables:
                received_ns = min(r.received_ns for r in fresh.values())
                told = any(not r.via.own for r in group)
                with self.books.fsync.time(), span("journal_write", when=told, requests=len(group)):
                    seq = self._journal.append(tables, list(fresh), received_ns)
        except Exception as e:  # full or failing disk: nobody is told that it was kept
            log.error("journal_write_failed", **cause(e))
            refused = NotNow("the journal cannot be written now; try again")
            for request in group:
                # Bad input stays bad; a request seen before was kept before.
                keep = isinstance(request.outcome, BadInput) or request.digest not in fresh
                request.settle(request.outcome if keep and request.outcome else refused)
            self.books.settled(_decoded(group, fresh, written=False), None)
            self._reopen(repair=isinstance(e, sqlite3.Error) and is_damage(e))
            return
        for digest, request in fresh.items():
            if isinstance(request.outcome, Accepted):
                self._resends.add(digest, request.received_ns, request.outcome)
        self.books.settled(_decoded(group, fresh, written=True), seq)
        for request in group:
            if isinstance(said := request.outcome, Accepted) and not said.duplicate:
                self._senders.seen(
                    request.via, request.signal.name, request.encoding, said.origins, request.received_ns
                )
        for request in group:
            request.settle(request.outcome or NotNow("not decided; try again"))

    def _decode(self, request: _Request, batch: Batch, fresh: dict[bytes, _Request]) -> int:
        """Decide one request; return the bytes of its plain body."""
        body = decompress(request.body, request.compression, self._settings.limits.body)
        h = blake2b(digest_size=16)
        h.update(f"{request.project}\0{request.signal.name}\0{request.encoding}\0".encode())
        h.update(body)
        request.digest = h.digest()
        if body == (b"{}" if request.encoding == "json" else b""):
            request.outcome = _EMPTY
            return len(body)
        if before := self._resends.find(request.digest, request.received_ns):
            request.outcome = before if before.records >= 0 else self._read_again(request, body)
            return len(body)
        if (twin := fresh.get(request.digest)) and isinstance(twin.outcome, Accepted):
            request.outcome = replace(twin.outcome, duplicate=True)
            return len(body)
        request.outcome = self._read(request, body, batch)
        if request.outcome.records:
            fresh[request.digest] = request
        return len(body)

    def _read(self, request: _Request, body: bytes, batch: Batch) -> Accepted:
        return batch.add(
            request.signal, request.encoding, body, project=request.project, received_ns=request.received_ns
        )

    def _read_again(self, request: _Request, body: bytes) -> Accepted:
        """Return what is said to a request that was taken before the last start: the same, without storing it."""
        try:
            said = replace(self._read(request, body, Batch(self._settings.limits, self._names)), duplicate=True)
        except Refused:  # taken under other limits
            said = Accepted(0, 0, "", duplicate=True)
        self._resends.learn(request.digest, said)
        return said

    def _reopen(self, *, repair: bool = False) -> None:
        """Start over with the file as it is on disk; a failed fsync makes everything in memory doubtful."""
        known = self._journal.last_seq
        try:
            self._journal.close()
        except Exception as e:
            log.error("journal_close_failed", **cause(e))
        try:
            self._journal = self._open_journal(repair=repair)
            # A write that failed may be there all the same; its requests, refused, will be sent again.
            self._resends.load(self._journal.digests(self._clock() - self._window_ns, known))
            self._refusal = None
        except Exception as e:
            self._refusal = _CLOSED
            log.error("journal_open_failed", **cause(e))

    def _look_after(self) -> None:
        """Decide whether there is room, and forget digests beyond the window."""
        self.refusals.save()
        if self._refusal == _CLOSED:
            self._reopen()
            return
        journal = self._settings.journal
        stored = self._control.mark(CHECKPOINTED)
        try:
            free = shutil.disk_usage(self._directory).free
        except OSError:
            free = 0
        if self._journal.size_bytes() > journal.full_size:
            self._forget()
        if free < journal.free_disk:
            least = journal.free_disk.human_readable(separator=" ")
            self._refusal = f"disk is nearly full: less than {least} free; try again"
        elif stored < self._journal.last_seq and self._journal.size_bytes() > journal.full_size:
            self._refusal = "the journal is full and waits for the store; try again"
        else:
            self._refusal = None
        self._resends.trim(self._clock())
        self.books.journal_bytes.set(self._journal.size_bytes())
        self.books.taken_up(self._control.mark("applied"))
        self.books.known(self._names.counts())
        self._senders.save()

    def _forget(self) -> None:
        journal = self._settings.journal
        try:
            self._journal.forget(
                self._control.mark(CHECKPOINTED),
                self._clock() - nanoseconds(journal.keep),
                min(int(journal.keep_size), int(journal.full_size)),
                self._clock() - self._window_ns,
            )
        except Exception as e:  # tried again in half a minute
            log.error("journal_forget_failed", **cause(e))


def _decoded(group: list[_Request], fresh: dict[bytes, _Request], *, written: bool) -> Iterator[Settled]:
    """Yield the requests of *group* that were decoded; without their rows *written*, copies of them are lost too."""
    for r in group:
        if isinstance(r.outcome, Accepted):
            if not written and r.digest in fresh:
                yield Settled(r.signal.name, r.via, replace(r.outcome, duplicate=False), written=False)
            else:
                yield Settled(r.signal.name, r.via, r.outcome, written=True)


def data_directory(path: Path) -> Path:
    """Return *path*, created for its owner only."""
    path.mkdir(parents=True, exist_ok=True, mode=0o700)
    return path
