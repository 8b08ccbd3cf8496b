"""The statistics that numbers are shown with: intervals for shares, ranks for percentiles, and how much is enough.

Plain arithmetic without a library, so that every part of the product can use the same.
"""

from __future__ import annotations

import math
from functools import lru_cache
from typing import Any

Z = 1.959963984540054
"""Two-sided 95 % of the normal distribution."""
ENOUGH = 20
"""Fewest values for a percentile; fewer are listed."""
ENOUGH_P99 = 100
"""Fewest values for a 99th percentile."""
AT_LEAST = "at least"
"""How the note of a number begins that may be more."""
_TAIL = 0.025
_EXACT = 20_000


def wilson(hits: int, n: int) -> tuple[float, float]:
    """Return the 95 % Wilson interval of hits/n; (0, 1) when nothing was seen (E. B. Wilson, 1927)."""
    if n == 0:
        return 0.0, 1.0
    low, high = wilson_bounds(hits, n)
    return (max(0.0, low) if hits else 0.0), (min(1.0, high) if hits < n else 1.0)


def wilson_bounds(hits: Any, n: Any) -> tuple[Any, Any]:
    """Return the bounds of `wilson` for n > 0, not clipped; numbers or column expressions alike."""
    p = hits / n
    middle = (p + Z * Z / (2 * n)) / (1 + Z * Z / n)
    half = (p * (1 - p) / n + Z * Z / (4 * n * n)) ** 0.5 * Z / (1 + Z * Z / n)
    return middle - half, middle + half


def share(hits: int, n: int) -> float | None:
    """Return hits/n, None when nothing was seen: unknown is not zero."""
    return hits / n if n else None


def enough(permille: int) -> int:
    """Return the fewest values for a percentile given in permille."""
    return ENOUGH_P99 if permille >= 990 else ENOUGH


def nearest_rank(n: int, permille: int) -> int:
    """Return the rank, 1 to *n*, of a percentile given in permille: the least with at least that share at or below."""
    return max(1, -(-n * permille // 1000))


@lru_cache(maxsize=65_536)
def rank_interval(n: int, permille: int) -> tuple[int | None, int | None]:
    """Return the ranks (low, high) between which a percentile lies with 95 % confidence, None where no value bounds it.

    The number of values below the true percentile p is binomial (n, p): low is the greatest rank l with
    P(fewer than l below) <= 2.5 %, high the least rank u with P(fewer than u below) >= 97.5 %. Above 20,000 values
    the normal approximation is used; it is off by a rank at most.
    """
    p = permille / 1000
    if n > _EXACT:
        half = Z * math.sqrt(n * p * (1 - p))
        low, high = math.floor(n * p - half + 0.5), math.ceil(n * p + half + 0.5)
    else:
        low, high = _binomial_ranks(n, p)
    return (low if low >= 1 else None), (high if high <= n else None)


def _binomial_ranks(n: int, p: float) -> tuple[int, int]:
    """Return (low, high) of `rank_interval` by adding up the binomial distribution from 0."""
    low, high = 0, n + 1
    below = 0.0  # P(X < k)
    for k in range(n + 1):
        if below <= _TAIL:
            low = k
        if below >= 1 - _TAIL:
            high = k
            break
        below += math.exp(
            math.lgamma(n + 1)
            - math.lgamma(k + 1)
            - math.lgamma(n - k + 1)
            + k * math.log(p)
            + (n - k) * math.log1p(-p)
        )
    return low, high
