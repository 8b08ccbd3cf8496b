"""Room for messages whose size nobody knows before they are read: no more is read than there is room for.

gRPC tells the size of a message only with all of it, so whoever reads first takes a place in which the largest one
fits, and then gives back what it did not need. Large messages take turns in most of the room. One place is apart, for
those who send small ones: they wait for each other alone, however many large ones are read, held or on their way.
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Awaitable, Callable
from typing import Literal

from collector.model.errors import NotNow
from collector.receive.line import Line

Kind = Literal["large", "unknown", "small"]
"""What a sender sends, as far as it is known."""
Part = Literal["small", "free", "apart"]
"""Where in the room a message is held."""

SMALL = 2**20
"""Bytes of a message that is small: some thousand records, read within milliseconds."""
_SMALL_SHARE = 8
"""One part in so many of the room is for small messages that were read."""
_STREAK = 8
"""So many small messages after a large one, and a sender counts as one that sends small ones."""
_SENDERS = 4_096
"""Senders of whom it is known what they send."""
_WAITING: dict[Kind, int] = {"small": 512, "unknown": 1_024, "large": 256}
"""Who may wait at once; of each, flow control lets in a little before anybody reads."""
_PATIENCE_S: dict[Kind, float] = {"small": 5.0, "unknown": 1.0, "large": 5.0}
"""How long a message may be on its way while others wait."""
_PATIENCE_APART_S: dict[Kind, float] = {"small": 1.0, "unknown": 0.1}
"""The same, in the place apart."""
_FULL = "more bytes are in flight than there is memory for (limits.in_flight); try again"
_SLOW = "the message came too slowly (limits.body_time) or while others waited; try again, or send smaller ones"


class Place:
    """A sender's place in which to read one message, and to hold it until it is answered."""

    def __init__(self, room: Room, sender: str, *, apart: bool, patience_s: float) -> None:
        self.sender = sender
        self.apart = apart
        self.until = asyncio.get_running_loop().time() + patience_s
        """How long others wait for it, in the loop's time."""
        self._room = room
        self._patience: asyncio.Timeout | None = None
        self.hurried = False

    async def read(self, read: Callable[[], Awaitable[bytes]], longest_s: float) -> bytes:
        """Return the message that *read* gives, and hold its bytes alone; raise NotNow when it takes too long."""
        try:
            async with asyncio.timeout(longest_s) as self._patience:
                message = await read()
        except TimeoutError:
            self._room.sent(self.sender, small=False)
            raise NotNow(_SLOW) from None
        finally:
            self._patience = None
        if not self._room.hold(self, len(message)):
            del message
            raise NotNow(_FULL)
        return message

    def hurry(self) -> None:
        """End the reading now."""
        if self._patience is not None and not self.hurried:
            self.hurried = True
            self._patience.reschedule(0)

    def leave(self) -> None:
        """Give all of it back."""
        self._room.leave(self)


class Room:
    """*most* bytes for messages of up to *largest*, in one event loop."""

    def __init__(self, most: int, largest: int) -> None:
        self._small_free = most // _SMALL_SHARE
        self.small = min(SMALL, self._small_free // 4)
        """The largest message that is small."""
        self.largest = min(largest, (most - self._small_free) // 2)
        """The largest message there is room for."""
        self._free = most - self._small_free - self.largest
        self._apart_free = True
        self._reading: dict[Place, None] = {}
        """Who reads."""
        self._held: dict[Place, tuple[int, Part]] = {}
        """Who holds a message that was read: its bytes, and which part of the room they are in."""
        self._streaks: OrderedDict[str, int] = OrderedDict()
        """Small messages since the last large one, by sender, at most `_STREAK`."""
        self._lines: dict[Kind, Line[Place]] = {"large": Line(), "small": Line(), "unknown": Line()}
        """Who waits; who is not known yet leaves the place apart to those who are."""
        self._look: tuple[float, asyncio.TimerHandle] | None = None
        """When it is looked who reads slowly, in the loop's time."""

    async def enter(self, sender: str, longest_s: float) -> Place:
        """Return a place for *sender* in its turn; raise NotNow when there is none within *longest_s*."""
        kind = self._kind(sender)
        if not self._lines[kind] and (place := self._seat(sender, kind)):
            return place
        self._make_way(sender, kind)
        turn: asyncio.Future[Place] = asyncio.get_running_loop().create_future()
        self._lines[kind].join(sender, turn)
        self._watch()
        try:
            async with asyncio.timeout(longest_s):
                return await turn
        except BaseException as e:
            for line in self._lines.values():
                line.leave(sender, turn)
            if turn.done() and not turn.cancelled() and turn.exception() is None:
                turn.result().leave()
            if isinstance(e, TimeoutError):
                raise NotNow(_FULL) from None
            raise

    def hold(self, place: Place, size: int) -> bool:
        """Let *place*, where a message of *size* was read, hold that much; tell whether there is room for it."""
        small = size <= self.small
        self.sent(place.sender, small=small)
        self._stop_reading(place)
        if small and size <= self._small_free:
            self._small_free -= size
            self._held[place] = size, "small"
        elif size <= self._free:
            self._free -= size
            self._held[place] = size, "free"
        elif place.apart:  # of a sender who was not known: it has what it was read in, until it is answered
            self._apart_free = False
            self._held[place] = size, "apart"
        self._next()
        return place in self._held

    def leave(self, place: Place) -> None:
        """Take back all that *place* has."""
        if place in self._reading:
            self._stop_reading(place)
        size, part = self._held.pop(place, (0, "free"))
        match part:
            case "small":
                self._small_free += size
            case "free":
                self._free += size
            case "apart":
                self._apart_free = True
        self._next()

    def sent(self, sender: str, *, small: bool) -> None:
        """Remember what *sender* sends."""
        streak = self._streaks.pop(sender, _STREAK)
        self._streaks[sender] = min(streak + 1, _STREAK) if small else 0
        if len(self._streaks) > _SENDERS:
            self._streaks.popitem(last=False)

    def _kind(self, sender: str) -> Kind:
        streak = self._streaks.get(sender)
        return "unknown" if streak is None else "small" if streak == _STREAK else "large"

    def _seat(self, sender: str, kind: Kind) -> Place | None:
        """Return a place for *sender*, None when there is none; who sends small ones takes the one apart first."""
        room = self._free >= self.largest
        apart = kind != "large" and self._apart_free and self._small_free >= self.small
        if apart and (kind == "small" or not room):
            self._apart_free = False
            place = Place(self, sender, apart=True, patience_s=_PATIENCE_APART_S[kind])
        elif room:
            self._free -= self.largest
            place = Place(self, sender, apart=False, patience_s=_PATIENCE_S[kind])
        else:
            return None
        self._reading[place] = None
        return place

    def _stop_reading(self, place: Place) -> None:
        del self._reading[place]
        if place.apart:
            self._apart_free = True
        else:
            self._free += self.largest

    def _next(self) -> None:
        """Give places to those who wait."""
        for kind, line in self._lines.items():
            while line:
                sender, turn = line.first()
                if turn.done():  # given up, though it has not left yet
                    line.leave(sender, turn)
                elif kind == "unknown" and (now := self._kind(sender)) != kind:  # what it sent since tells
                    line.leave(sender, turn)
                    self._lines[now].join(sender, turn)
                elif place := self._seat(sender, kind):
                    line.served(sender, turn)
                    turn.set_result(place)
                else:
                    break
        self._watch()

    def _make_way(self, sender: str, kind: Kind) -> None:
        """Where all turns are given, let who has most of them have one less; raise NotNow when that is *sender*."""
        line = self._lines[kind]
        if len(line) < _WAITING[kind]:
            return
        longest, turns = line.longest()
        if turns <= 1 + line.turns(sender):
            raise NotNow(_FULL)
        line.refuse(longest, NotNow(_FULL))

    def _watch(self) -> None:
        """See to it that those who read slowly do not keep others waiting."""
        if not any(self._lines.values()):
            return
        ends = min((place.until for place in self._reading if not place.hurried), default=None)
        if ends is None or (self._look and self._look[0] <= ends):
            return
        if self._look:
            self._look[1].cancel()
        self._look = ends, asyncio.get_running_loop().call_at(ends, self._hurry)

    def _hurry(self) -> None:
        """End the readings that have kept others waiting for long enough."""
        self._look = None
        if any(self._lines.values()):
            now = asyncio.get_running_loop().time()
            for place in self._reading:
                if now >= place.until:
                    place.hurry()
            self._watch()
