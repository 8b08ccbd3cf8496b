"""A figure as it truly is, and small sums that figures share."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Callable, Hashable, Iterable
from dataclasses import dataclass
from typing import TypeVar

T = TypeVar("T")
K = TypeVar("K", bound=Hashable)
ENOUGH, ENOUGH_P99 = 20, 100
"""Fewest values for a percentile, and for a 99th (docs/api.md)."""


@dataclass(frozen=True)
class Fact:
    """What a figure is; None where nobody can tell."""

    value: float | str | None
    n: int | None = None
    coverage: float | None = None
    proved: bool = True
    """Telemetry proves it. Otherwise the product has to mark it, and may be off."""
    how: str = "equal"
    """How near the product has to be: equal, level, share, estimate, or as near as it notes itself (noted)."""


def grouped(items: Iterable[T], by: Callable[[T], K]) -> dict[K, list[T]]:
    """Return *items* by what *by* says of each."""
    groups: dict[K, list[T]] = defaultdict(list)
    for item in items:
        groups[by(item)].append(item)
    return groups


def ratio(above: float, below: float) -> float | None:
    """Return above / below, None where there is nothing below."""
    return above / below if below else None


def known(values: Iterable[int | None]) -> list[int]:
    """Return what is known of *values*."""
    return [value for value in values if value is not None]


def nearest_rank(values: list[int], permille: int) -> int | None:
    """Return the percentile of *values* by nearest rank; None of too few."""
    return ranked(values, permille) if len(values) >= (ENOUGH_P99 if permille >= 990 else ENOUGH) else None


def ranked(values: list[int], permille: int) -> int:
    """Return the percentile of *values*, one at least, by nearest rank."""
    return sorted(values)[max(0, -(-len(values) * permille // 1000) - 1)]


def bucketed(ns: int) -> int:
    """Return what a histogram of 16 buckets per doubling says instead of a duration: as near as 2.2 %."""
    ratio, ix = 2 ** (1 / 16), math.ceil(math.log2(max(ns, 1_000) / 1e6) * 16)
    return round(2 * ratio**ix / (ratio + 1) * 1e6) if ns > 1_000 else 0


def kaplan_meier(values: list[tuple[int, bool]], permille: int) -> int | None:
    """Return the least duration that so many per mille do not outlast; *values*: how long, and whether it goes on.

    None where fewer than `ENOUGH` ended, or where the curve does not come down so far.
    """
    if sum(not goes_on for _, goes_on in values) < ENOUGH:
        return None
    alive, survival = len(values), 1.0
    for t, some in sorted(grouped(values, lambda v: v[0]).items()):
        survival *= 1 - sum(not goes_on for _, goes_on in some) / alive
        if survival <= 1 - permille / 1000 + 1e-9:
            return t
        alive -= len(some)
    return None
