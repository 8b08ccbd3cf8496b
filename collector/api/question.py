"""What is asked of the statistics, and what all questions to one store share."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass

import polars as pl

from collector.model.units import HOUR_NS
from collector.store import statistics
from collector.store.handle import Handle
from collector.store.statistics import Choice

HISTORY_NS = 7 * 24 * HOUR_NS
"""What a retry horizon and what is usual for a task are learnt from."""
_LEARN_NS = 300 * 10**9
_MOST_LEARNT = 16


class Basis:
    """What all questions to one store share: *grace_ns*, *lease_ns* as its run model has them, and what is learnt.

    What is learnt from a week of runs (retry horizons, what is usual) holds for some minutes.
    """

    def __init__(self, grace_ns: int, lease_ns: int) -> None:
        self.grace_ns = grace_ns
        self.lease_ns = lease_ns
        self._learned: dict[tuple[str, str, int], pl.DataFrame] = {}
        self._lock = threading.Lock()

    def learned(self, name: str, project: str, as_of_ns: int, make: Callable[[], pl.DataFrame]) -> pl.DataFrame:
        """Return what *make* returned for the five minutes that *as_of_ns* is in."""
        key = (name, project, as_of_ns // _LEARN_NS)
        with self._lock:
            if key not in self._learned:
                while len(self._learned) >= _MOST_LEARNT:
                    self._learned.pop(next(iter(self._learned)))
                self._learned[key] = make()
            return self._learned[key]


@dataclass(frozen=True, slots=True)
class Question:
    """What is asked: which runs, grouped by what, at what time."""

    choice: Choice
    by: tuple[str, ...]
    as_of_ns: int
    basis: Basis


def past(q: Question) -> Choice:
    """Return the week before, all populations, to learn from."""
    return Choice(q.choice.project, q.as_of_ns - HISTORY_NS, q.as_of_ns, population=None)


def counted_until(h: Handle, q: Question, choice: Choice) -> int:
    """Return up to when the hourly counts of *choice* go: its last hour's end, or now if that is to come."""
    return min(choice.hours().to_ns, max(q.as_of_ns, statistics.levels_known(h)))
