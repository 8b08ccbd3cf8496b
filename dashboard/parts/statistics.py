"""The few statistics that pages show: shares with their Wilson interval, and what may be compared."""

from __future__ import annotations

import math

Z = 1.96
ENOUGH = 20
"""Fewest values for a 95th percentile."""


def wilson(hits: int, n: int) -> tuple[float, float]:
    """Return the 95 % Wilson interval of hits/n; (0, 1) when nothing was seen."""
    if n == 0:
        return 0.0, 1.0
    p = hits / n
    middle = (p + Z * Z / (2 * n)) / (1 + Z * Z / n)
    half = Z / (1 + Z * Z / n) * math.sqrt(p * (1 - p) / n + Z * Z / (4 * n * n))
    return max(0.0, middle - half), min(1.0, middle + half)


def share(hits: int, n: int) -> float | None:
    """Return hits/n, None when nothing was seen: unknown is not zero."""
    return hits / n if n else None
