"""What cannot be worked out is found by halves, so that it can be left out alone."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Generic, TypeVar

T = TypeVar("T")

MOST_TRIES = 128
"""Tries at one time: enough to find three failures among 100,000 items one by one."""


@dataclass(slots=True)
class Tried(Generic[T]):
    """What came of trying items by halves."""

    failed: list[tuple[T, BaseException]] = field(default_factory=list)
    """The items that fail alone, each with why; none where they only fail together."""
    left: list[list[T]] = field(default_factory=list)
    """Groups that were not tried any more, or not halved: there were no tries left, or it had been enough."""
    worked: int = 0
    """How many items did not fail."""

    @property
    def rest(self) -> list[T]:
        """Return the items of which nothing is known."""
        return [item for group in self.left for item in group]


def by_halves(
    items: Sequence[T],
    act: Callable[[list[T]], None],
    may_fail: Callable[[BaseException], bool],
    *,
    most: int = MOST_TRIES,
    failed: BaseException | None = None,
    enough: Callable[[], bool] = lambda: False,
) -> Tried[T]:
    """Call *act* with all *items*; where that raises what *may_fail* says yes to, with each half, and so on.

    Every item is in one call that returned, or in what is returned. At most *most* calls are made beyond the
    first, and none once *enough* says so. *failed*: that the whole failed already, and why, so it is not tried again.
    Anything else is raised.
    """
    tried: Tried[T] = Tried()
    waiting = [list(items)] if items else []
    while waiting:
        some = waiting.pop()
        if most < 0 or enough():
            tried.left.append(some)
            continue
        most -= 1
        if failed is None:
            try:
                act(some)
                tried.worked += len(some)
                continue
            except BaseException as e:
                if not may_fail(e):
                    raise
                failed = e
        if len(some) == 1:
            tried.failed.append((some[0], failed))
        else:
            middle = len(some) // 2
            waiting += [some[middle:], some[:middle]]
        failed = None
    return tried
