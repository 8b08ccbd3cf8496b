"""The one door behind both ports: a request that may come in waits until its rows are on disk, then is accepted."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Sequence

from collector.control import Control, names
from collector.decode import Accepted
from collector.decode.names import Projects
from collector.model.errors import NotNow, Refused
from collector.model.signals import Encoding, Signal
from collector.receive.apart import DRAINING, Apart
from collector.receive.books import Books
from collector.receive.group import Decoded, Decoder, Request
from collector.receive.refusals import Refusals
from collector.receive.resends import Resends
from collector.receive.senders import Senders
from collector.receive.trim import LARGE, trim
from collector.receive.turns import NOBODY, Who
from collector.receive.via import Via
from collector.receive.watch import Watch
from collector.receive.writer import Writer
from collector.settings import Settings
from collector.settings.section import nanoseconds

_SMALL = LARGE
"""Bytes of a body for which an eighth of `limits.in_flight` is kept."""


class Hold:
    """Bytes of one request that are being held, given back at the end of the block."""

    def __init__(self, admit: Admit) -> None:
        self._admit = admit
        self._bytes = 0

    def __enter__(self) -> Hold:
        return self

    def add(self, size: int) -> None:
        """Hold *size* bytes more, or raise NotNow."""
        if self._admit.held_bytes + size > self._admit.most_for(self._bytes + size):
            raise NotNow("more bytes are in flight than limits.in_flight allows; try again")
        self._admit.held_bytes += size
        self._bytes += size

    def __exit__(self, *_: object) -> None:
        self._admit.held_bytes -= self._bytes
        self._admit.let_go_of |= self._bytes > LARGE


class Admit:
    """Takes requests from any port into the journal."""

    def __init__(
        self, settings: Settings, control: Control, books: Books, clock: Callable[[], int] = time.time_ns
    ) -> None:
        self.books = books
        self._clock = clock
        self.held_bytes = 0
        self.let_go_of = False
        """Whether large bodies were let go of since the last look."""
        self.most_held_bytes = settings.parts.in_flight
        self._draining = False
        resends = Resends(nanoseconds(settings.journal.resend_window))
        self._watch = Watch(settings, control, books, resends, clock)
        self._names = Projects(settings.names, control.reading(names.load))
        self._senders = Senders(control, self._names)
        self.refusals = Refusals(control, clock)
        books.observe(lambda: self.held_bytes + self._writer.held_bytes, lambda: not self.ready)
        self._look_after()
        decoder = Decoder(settings.limits, self._names, resends)
        self._apart = Apart(settings, self._names, resends, self._put_decoded, books.decode_restarts.inc)
        self._writer = Writer(decoder, self._apart, self._watch, resends, self._senders, books, self._look_after)
        self._writer.start()
        self._apart.start()

    def most_for(self, size: int) -> int:
        """Return how many bytes may be held, one of *size* bytes so far among them: large ones leave some."""
        return self.most_held_bytes - (self.most_held_bytes // 8 if size > _SMALL else 0)

    @property
    def ready(self) -> str:
        """Return why requests would be refused now, empty when they are taken."""
        return DRAINING if self._draining else self._watch.refusal

    def hold(self) -> Hold:
        """Return what counts the bytes of a request while they are read and decided; for the loop's thread only."""
        return Hold(self)

    async def admit(
        self,
        project: str,
        signal: Signal,
        encoding: Encoding,
        compression: str,
        body: bytes | Sequence[bytes | bytearray],
        via: Via,
        who: Who = NOBODY,
    ) -> Accepted:
        """Return what became of a request once its rows are on disk, or raise `Refused`.

        *compression* is the Content-Encoding of *body*, empty for none, which is whole or in parts; *via* says how it
        came, *who* whose turn it takes. The caller holds the body (`hold`); where it is cancelled, it is held on here.
        """
        if refusal := self.ready:
            raise NotNow(refusal)
        answered: asyncio.Future[Accepted] = asyncio.get_running_loop().create_future()
        parts: Sequence[bytes | bytearray] = [body] if isinstance(body, bytes) else body
        request = Request(project, signal, encoding, compression, parts, self._clock(), via, _answer(answered), who)
        if request.is_large:
            self._apart.put(request)
        else:
            self._writer.put(request)
        try:
            return await asyncio.shield(answered)
        except asyncio.CancelledError:  # the caller went away, and its body waits on
            self._hold_until(answered, request.size)
            raise
        finally:
            del answered, request, parts, body  # an error that is raised here knows this frame, and `answered` it

    def _hold_until(self, answered: asyncio.Future[Accepted], size: int) -> None:
        """Hold *size* bytes until a request is answered that nobody waits for any more."""
        self.held_bytes += size

        def give_back(answered: asyncio.Future[Accepted]) -> None:
            self.held_bytes -= size
            answered.exception()  # there is nobody to tell

        answered.add_done_callback(give_back)

    def drain(self) -> None:
        """Refuse new requests from now on; those waiting are still finished."""
        self._draining = True
        self._apart.drain()

    def turn_away(self) -> None:
        """Tell those who wait to be written to come back; a group that is being written is settled."""
        self._apart.turn_away()
        self._writer.turn_away()

    def close(self) -> None:
        """Finish what waits, then close the journal."""
        self._draining = True
        self._apart.close()
        self._writer.stop()
        self._senders.save(now=True)
        self.refusals.save(now=True)
        self._watch.close()

    def _put_decoded(self, decoded: Decoded) -> None:
        self.books.decoded_apart.inc()
        self._writer.put_decoded(decoded)

    def _look_after(self) -> None:
        """Look at disk and journal, keep what was seen of senders since the last time, and give back what large bodies
        took. For the writer's thread.
        """
        self.refusals.save()
        if self.let_go_of:
            self.let_go_of = False
            trim()
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
