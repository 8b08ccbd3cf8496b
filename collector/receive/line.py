"""Who waits for a place, served in turn: a sender after the other, and of each the one that came first."""

from __future__ import annotations

import asyncio
from collections import OrderedDict, deque
from typing import Generic, TypeVar

T = TypeVar("T")


class Line(Generic[T]):
    """Turns of senders, each a future that is given what it waits for."""

    def __init__(self) -> None:
        self._turns: OrderedDict[str, deque[asyncio.Future[T]]] = OrderedDict()
        self._count = 0

    def __len__(self) -> int:
        return self._count

    def join(self, sender: str, turn: asyncio.Future[T]) -> None:
        """Let *sender* have *turn* after those it has."""
        self._turns.setdefault(sender, deque()).append(turn)
        self._count += 1

    def leave(self, sender: str, turn: asyncio.Future[T]) -> None:
        """Take *turn* of *sender* out, if it is still in."""
        turns = self._turns.get(sender)
        if turns is None or turn not in turns:
            return
        turns.remove(turn)
        self._count -= 1
        if not turns:
            del self._turns[sender]

    def first(self) -> tuple[str, asyncio.Future[T]]:
        """Return who is next, with its turn; somebody waits."""
        sender, turns = next(iter(self._turns.items()))
        return sender, turns[0]

    def served(self, sender: str, turn: asyncio.Future[T]) -> None:
        """Take *turn* out; *sender* comes last from now on."""
        self.leave(sender, turn)
        if sender in self._turns:
            self._turns.move_to_end(sender)

    def longest(self) -> tuple[str, int]:
        """Return who has most turns, and how many; ("", 0) when nobody waits."""
        return max(((s, len(turns)) for s, turns in self._turns.items()), key=lambda each: each[1], default=("", 0))

    def refuse(self, sender: str, error: Exception) -> None:
        """End the turn of *sender* that came last with *error*."""
        turn = self._turns[sender][-1]
        self.leave(sender, turn)
        if not turn.done():
            turn.set_exception(error)

    def turns(self, sender: str) -> int:
        """Return how many turns *sender* has."""
        return len(self._turns.get(sender, ()))
