"""What is worked out from a snapshot beside the writer, which then only writes it.

That is what is due now and then and takes long, one thing at a time: what changed since the snapshot is no loss, the
next time comes soon. And what rules find in changed runs, while the writer takes up the same runs in its statistics.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import partial
from typing import TypeVar

import polars as pl

from collector.store.database import Database
from collector.store.handle import Handle

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Rare:
    """One thing to work out and write: *read* from a snapshot, *write* its result and tell how many rows that wrote."""

    name: str
    read: Callable[[Handle], pl.DataFrame]
    write: Callable[[Handle, pl.DataFrame], int]
    began_ns: int = field(default_factory=time.time_ns)

    def both(self, h: Handle) -> int:
        """Work it out and write it, in one transaction."""
        return self.write(h, self.read(h))


class Beside:
    """Works out rare things of one store on a thread of its own."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._pool = ThreadPoolExecutor(1, thread_name_prefix="store-beside")
        self._ahead = ThreadPoolExecutor(1, thread_name_prefix="store-ahead")
        self._begun: dict[str, tuple[Rare, Future[pl.DataFrame]]] = {}

    def ahead(self, read: Callable[[Handle], T]) -> Callable[[Handle], T]:
        """Begin to read at once, from what is committed, and return what waits for the result.

        It is of this turn, so it does not wait for rare things.
        """
        future = self._ahead.submit(self._database.reading, read)
        return lambda _: future.result()

    def begin(self, due: Iterable[Rare]) -> None:
        """Take up what is *due*, but for what is still being worked out from the last time."""
        for rare in due:
            if rare.name not in self._begun:
                self._begun[rare.name] = rare, self._pool.submit(self._read, rare)

    def _read(self, rare: Rare) -> pl.DataFrame:
        with self._database.aside():
            return self._database.reading(rare.read)

    def ended(self) -> Iterator[tuple[Rare, Callable[[Handle], int]]]:
        """Yield what is worked out, with what writes it, or raises why it could not be worked out."""
        for name, (rare, future) in list(self._begun.items()):
            if future.done():
                del self._begun[name]
                yield rare, partial(_write, rare, future)

    @property
    def working(self) -> list[str]:
        """Return the names of what is being worked out."""
        return [name for name, (_, future) in self._begun.items() if not future.done()]

    def close(self) -> None:
        """End the thread once it is through with what it works at."""
        for pool in (self._ahead, self._pool):
            pool.shutdown(cancel_futures=True)


def _write(rare: Rare, future: Future[pl.DataFrame], h: Handle) -> int:
    return rare.write(h, future.result())
