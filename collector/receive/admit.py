"""The one door behind both ports: a request that may come in waits until its rows are on disk, then is accepted."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable

from collector.control import Control, names
from collector.decode import Accepted
from collector.decode.names import Projects
from collector.model.errors import NotNow, Refused
from collector.model.signals import Encoding, Signal
from collector.receive.books import Books
from collector.receive.group import Decoder, Request
from collector.receive.refusals import Refusals
from collector.receive.resends import Resends
from collector.receive.senders import Senders
from collector.receive.via import Via
from collector.receive.watch import Watch
from collector.receive.writer import DRAINING, Writer
from collector.settings import Settings
from collector.settings.section import nanoseconds


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
        self.books = books
        self._clock = clock
        self.held_bytes = 0
        self.most_held_bytes = settings.parts.in_flight
        self._draining = False
        resends = Resends(nanoseconds(settings.journal.resend_window))
        self._watch = Watch(settings, control, books, resends, clock)
        self._names = Projects(settings.names, control.reading(names.load))
        self._senders = Senders(control, self._names)
        self.refusals = Refusals(control, clock)
        books.observe(lambda: self.held_bytes, lambda: not self.ready)
        self._look_after()
        decoder = Decoder(settings.limits, self._names, resends)
        self._writer = Writer(decoder, self._watch, resends, self._senders, books, self._look_after)
        self._writer.start()

    @property
    def ready(self) -> str:
        """Return why requests would be refused now, empty when they are taken."""
        return DRAINING if self._draining else self._watch.refusal

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
        answered: asyncio.Future[Accepted] = asyncio.get_running_loop().create_future()
        self._writer.put(Request(project, signal, encoding, compression, body, self._clock(), via, _answer(answered)))
        return await asyncio.shield(answered)

    def drain(self) -> None:
        """Refuse new requests from now on; those waiting are still finished."""
        self._draining = True

    def turn_away(self) -> None:
        """Tell those who wait to be written to come back; a group that is being written is settled."""
        self._writer.turn_away()

    def close(self) -> None:
        """Finish what waits, then close the journal."""
        self._draining = True
        self._writer.stop()
        self._senders.save(now=True)
        self.refusals.save(now=True)
        self._watch.close()

    def _look_after(self) -> None:
        """Look at disk and journal, and keep what was seen of senders since the last time. For the writer's thread."""
        self.refusals.save()
        self._watch.look()
        self.books.count_names(self._names.counts())
        self._senders.save()


def _answer(future: asyncio.Future[Accepted]) -> Callable[[Accepted | Refused], None]:
    """Return what settles *future* from any thread."""
    loop = future.get_loop()

    def settle(said: Accepted | Refused) -> None:
        if future.done():
            return
        if isinstance(said, Accepted):
            future.set_result(said)
        else:
            future.set_exception(said)

    def answer(said: Accepted | Refused) -> None:
        loop.call_soon_threadsafe(settle, said)

    return answer
