"""Who stays when more come to a port than it holds: those being answered always, of the rest those who came last.

A connection waits from the moment it came, or its last answer was given, until a request of it is complete, however
many bytes it sends meanwhile. So neither idle connections nor half heads nor slow bodies keep anybody out. Requests
that a connection sent ahead are answered a few connections at a time, and hold no seat: it waits.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Protocol

_PATIENCE_S = 1.0
"""How long one that just came may wait before it makes room where the spare seats still suffice."""
_SETTLE_S = 0.005
"""Nobody makes room sooner: what it sent as it came has been read by then."""
_ABREAST = 16
"""Connections whose requests that came ahead are answered at one time."""


class Guest(Protocol):
    """A connection."""

    def leave(self) -> None:
        """End at once."""
        ...


class Seats:
    """The seats of one port: *most*, and some spare ones for those who just came."""

    def __init__(self, most: int, clock: Callable[[], float] = time.monotonic) -> None:
        self.most = most
        self._spare = max(64, most // 2)
        self._clock = clock
        self._waiting: dict[Guest, float] = {}
        """Since when each waits; the one that waits longest comes first."""
        self._answered: set[Guest] = set()
        self._ahead: dict[Guest, Callable[[], None]] = {}
        """Who waits to be answered a request that came ahead, in the order in which that is done."""
        self._abreast: set[Guest] = set()

    def wait(self, guest: Guest) -> None:
        """Note that *guest* came, or that it has been answered."""
        self._answered.discard(guest)
        self._waiting.pop(guest, None)
        self._waiting[guest] = self._clock()
        self._pass(guest)

    def follow(self, guest: Guest, go: Callable[[], None]) -> None:
        """Note that *guest* has been answered and sent a request ahead; *go* answers it when its turn has come."""
        self._ahead[guest] = go
        self.wait(guest)

    def answer(self, guest: Guest) -> None:
        """Note that a request of *guest* is complete."""
        self._waiting.pop(guest, None)
        self._answered.add(guest)

    def left(self, guest: Guest) -> None:
        """Note that *guest* is gone."""
        self._answered.discard(guest)
        self._waiting.pop(guest, None)
        self._ahead.pop(guest, None)
        self._pass(guest)

    def _pass(self, guest: Guest) -> None:
        """Give the turn of *guest*, if it had one, to the next in line."""
        self._abreast.discard(guest)
        while self._ahead and len(self._abreast) < _ABREAST:
            following = next(iter(self._ahead))
            self._abreast.add(following)
            self._ahead.pop(following)()

    def crowded(self, guest: Guest) -> bool:
        """Tell whether as many others are being answered as there are seats."""
        return guest not in self._answered and len(self._answered) >= self.most

    @property
    def full(self) -> bool:
        """Tell whether nobody can be let in now, not even in somebody's seat."""
        return self._over >= self._spare and self._longest_s < _SETTLE_S

    def make_room(self) -> None:
        """Let those who wait longest go, for one more to come in."""
        while self._over >= 0 and self._longest_s >= (_SETTLE_S if self._over >= self._spare else _PATIENCE_S):
            guest = next(iter(self._waiting))
            del self._waiting[guest]
            guest.leave()

    @property
    def _over(self) -> int:
        return len(self._waiting) + len(self._answered) - self.most

    @property
    def _longest_s(self) -> float:
        """Return for how long the first one waits, -1 when nobody does."""
        return self._clock() - next(iter(self._waiting.values())) if self._waiting else -1.0
