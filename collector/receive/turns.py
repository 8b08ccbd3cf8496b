"""Whose turn it is: of those who wait, whoever has had least is next.

There are two levels. Addresses share what there is, however many connections each has; connections of one address
share what it gets. On loopback all senders have one address, so there the second level alone tells them apart. A
sender that comes back after a pause has little more coming to it than those who stayed.
"""

from __future__ import annotations

from collections import deque
from typing import Generic, NamedTuple, TypeVar

T = TypeVar("T")
_CREDIT = 100_000.0
"""By how much who comes may have had less than whoever was last, in units of `decode.work`: 0.1 s. So who sends little
is before all of those who always wait, however many they are."""
_MOST_REMEMBERED = 1_024


class Who(NamedTuple):
    """Who sends: where from, and by which of its connections."""

    address: str = ""
    connection: str = ""


NOBODY = Who()


class _Level:
    """Some who wait, by name, and what each has had."""

    def __init__(self) -> None:
        self.waiting: dict[str, float] = {}
        self._gone: dict[str, float] = {}
        self._floor = 0.0
        """What whoever was last had had: none who comes is far behind it."""

    def come(self, name: str) -> None:
        if name not in self.waiting:
            self.waiting[name] = max(self._gone.pop(name, 0.0), self._floor - _CREDIT)

    def first(self) -> str:
        name = min(self.waiting, key=self.waiting.__getitem__)
        self._floor = self.waiting[name]
        return name

    def leave(self, name: str) -> None:
        self._gone[name] = self.waiting.pop(name)
        if len(self._gone) > _MOST_REMEMBERED:
            del self._gone[next(iter(self._gone))]

    def charge(self, name: str, cost: float) -> None:
        of = self.waiting if name in self.waiting else self._gone
        if name in of:
            of[name] += cost


class Turns(Generic[T]):
    """Things that wait, each somebody's. For one thread at a time."""

    def __init__(self) -> None:
        self._addresses = _Level()
        self._connections: dict[str, _Level] = {}
        self._things: dict[Who, deque[T]] = {}
        self._count = 0

    def __len__(self) -> int:
        return self._count

    def put(self, who: Who, thing: T) -> None:
        """Let *thing* wait behind what else *who* has waiting."""
        self._count += 1
        if who not in self._things:
            self._addresses.come(who.address)
            if who.address not in self._connections:
                self._connections = {a: of for a, of in self._connections.items() if of.waiting} | {
                    who.address: _Level()
                }
            self._connections[who.address].come(who.connection)
            self._things[who] = deque()
        self._things[who].append(thing)

    def take(self) -> T:
        """Return the next thing; raise IndexError when none waits."""
        if not self._count:
            raise IndexError("nobody waits")
        self._count -= 1
        address = self._addresses.first()
        connections = self._connections[address]
        who = Who(address, connections.first())
        things = self._things[who]
        thing = things.popleft()
        if not things:
            del self._things[who]
            connections.leave(who.connection)
            if not connections.waiting:
                self._addresses.leave(address)
        return thing

    def charge(self, who: Who, cost: float) -> None:
        """Count what *who* has had; may be less than nothing where it was counted too high."""
        self._addresses.charge(who.address, cost)
        if who.address in self._connections:
            self._connections[who.address].charge(who.connection, cost)

    def clear(self) -> list[T]:
        """Return all that waits, and wait for nothing more."""
        return [self.take() for _ in range(self._count)]
