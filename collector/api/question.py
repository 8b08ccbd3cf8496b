"""What is asked of the statistics, and what all questions to one store share."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass, field, replace

import polars as pl

from collector.analyse.frames import Window
from collector.analyse.levels import BUCKET_NS
from collector.model.units import HOUR_NS
from collector.store import statistics
from collector.store.handle import Handle
from collector.store.statistics import Choice, Timing

HISTORY_NS = 7 * 24 * HOUR_NS
"""What a retry horizon and what is usual for a task are learnt from."""
ALL = ("project",)
"""What numbers of all together are grouped by."""
_HOURS = "whole hours"
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
    measures: frozenset[str] = frozenset()
    """Only these; empty: all."""
    total: bool = False
    """Also all groups together."""
    runs: Timing | None = None
    """The runs that touch its range, where they are few enough to be counted themselves; else hourly tables are."""
    widened: str = ""
    """In what it is counted, such as `whole hours`, to which its range was widened; empty: as it was asked."""

    kept: dict[str, pl.DataFrame] = field(default_factory=dict)
    """What was worked out for one grouping and serves another."""

    def once(self, name: str, make: Callable[[], pl.DataFrame]) -> pl.DataFrame:
        """Return what *make* returned the first time."""
        if name not in self.kept:
            self.kept[name] = make()
        return self.kept[name]

    def wants(self, *measures: str) -> bool:
        """Tell whether any of *measures* is asked for."""
        return not self.measures or not self.measures.isdisjoint(measures)

    def window(self) -> Window:
        """Return the range in ns."""
        return self.choice.from_ns, self.choice.to_ns


def past(q: Question) -> Choice:
    """Return the week before, all populations, to learn from."""
    return Choice(q.choice.project, q.as_of_ns - HISTORY_NS, q.as_of_ns, population=None)


def counted_until(h: Handle, q: Question, to_ns: int) -> int:
    """Return up to when counts of a range that ends at *to_ns* go: its end, or now if that is to come."""
    return min(to_ns, max(q.as_of_ns, statistics.levels_known(h)))


EXACT_RUNS = 5_000
"""Most runs that are counted themselves for a range that they touch; of more, hourly tables are asked."""


def few(h: Handle, q: Question, *, phases: bool = False) -> Question:
    """Return *q* with the runs that touch its range if they are few; else in whole hours.

    That is said of a range of whole hours too: whether a run can still retry is told by its hour.
    """
    if statistics.count_touching(h, q.choice, most=EXACT_RUNS) <= EXACT_RUNS:
        return replace(q, runs=statistics.touching(h, q.choice, phases=phases))
    return replace(q, choice=q.choice.hours(), widened=_HOURS)


def in_hours(h: Handle, q: Question) -> Question:
    """Return *q* with its range widened to whole hours."""
    return _widened(q, q.choice.hours(), _HOURS)


def in_buckets(h: Handle, q: Question) -> Question:
    """Return *q* with its range widened to the whole five minutes that levels of queues are kept by."""
    first, last = q.choice.from_ns // BUCKET_NS * BUCKET_NS, -(-q.choice.to_ns // BUCKET_NS) * BUCKET_NS
    return _widened(q, replace(q.choice, from_ns=first, to_ns=last), "whole 5 minutes")


def as_asked(h: Handle, q: Question) -> Question:
    """Return *q* as it is: what is told of runs themselves, or of now."""
    return q


def _widened(q: Question, choice: Choice, to: str) -> Question:
    return q if choice == q.choice else replace(q, choice=choice, widened=to)
