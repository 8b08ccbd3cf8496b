"""Tail probabilities of overdispersed counts, for whole arrays at once.

All are mid-p: P(beyond) + P(equal) / 2, so that the lower and the upper tail of one observation add up to 1 and a
discrete statistic is not tested more strictly than a continuous one (H. O. Lancaster, 1961).
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from scipy import special

from collector.model.statistics import Z

Floats = npt.NDArray[np.float64]

_TERMS = 64
"""How many terms of a tail are added at once."""
_TOGETHER = 255
"""Elements whose tails are summed at a time: 128 KiB an array, which stays in the processor's cache."""
_PRECISION = 1e-12
"""A tail is complete when what may follow is less than this share of it."""


def beta_binomial(x: Floats, n: Floats, p: Floats, rho: Floats) -> tuple[Floats, Floats]:
    """Return the lower and the upper mid-p tail of *x* hits in *n* trials with mean share *p* and dispersion *rho*.

    X ~ BetaBinomial(n, a, b) with a = p M, b = (1 - p) M, M = 1 / rho - 1, so Var X = n p (1-p) (1 + (n-1) rho).
    0 < p < 1, 0 < rho < 1, 0 <= x <= n. The tail on the side on which x lies is summed term by term outwards, by
    the ratio of successive probabilities; the other is its complement.
    """
    x, n, p, rho = np.broadcast_arrays(*(np.asarray(v, np.float64) for v in (x, n, p, rho)))
    size = 1 / rho - 1
    is_upper = x >= n * p
    # The lower tail of hits is the upper tail of misses.
    k = np.where(is_upper, x, n - x)
    a = np.where(is_upper, p, 1 - p) * size
    b = size - a
    log_at = special.betaln(k + a, n - k + b) - special.betaln(a, b) - np.log1p(n) - special.betaln(k + 1, n - k + 1)
    at = np.exp(log_at)
    tail = at * (0.5 + _beyond(k, n, a, b))
    tail = np.clip(tail, 0.0, 1.0)
    return np.where(is_upper, 1 - tail, tail), np.where(is_upper, tail, 1 - tail)


def _beyond(k: Floats, n: Floats, a: Floats, b: Floats) -> Floats:
    """Return the sum of P(j) / P(k) over j > k, for each element; some at a time, since each has many terms."""
    flat = [v.reshape(-1) for v in (k, n, a, b)]
    parts = (slice(at, at + _TOGETHER) for at in range(0, k.size, _TOGETHER))
    return np.concatenate([np.zeros(0), *(_sums(*(v[part] for v in flat)) for part in parts)]).reshape(k.shape)


def _sums(k: Floats, n: Floats, a: Floats, b: Floats) -> Floats:
    flat = np.zeros(k.size)
    live = np.flatnonzero(k < n)
    k, n, a, b = (v[live] for v in (k, n, a, b))
    term = np.ones(live.size)
    step = np.arange(_TERMS, dtype=np.float64)
    while live.size:
        j = k[:, None] + step
        left = np.maximum(n[:, None] - j, 0.0)
        below = np.maximum((j + 1) * (n[:, None] - j - 1 + b[:, None]), b[:, None])
        ratios = left * (j + a[:, None]) / below
        terms = term[:, None] * np.cumprod(ratios, axis=1)
        flat[live] += terms.sum(axis=1)
        term, k = terms[:, -1], k + _TERMS
        # What follows is at most a geometric series once the terms fall; at most n - k terms as large as the last.
        going = (term * np.maximum(n - k, 0.0) > _PRECISION * flat[live]) & (k < n)
        live, k, n, a, b, term = live[going], k[going], n[going], a[going], b[going], term[going]
    return flat


def negative_binomial(x: Floats, mean: Floats, alpha: Floats) -> tuple[Floats, Floats]:
    """Return the lower and the upper mid-p tail of a count *x* with Var X = mean + alpha mean^2; mean, alpha > 0."""
    x, mean, alpha = np.broadcast_arrays(*(np.asarray(v, np.float64) for v in (x, mean, alpha)))
    r = 1 / alpha
    failing = mean * alpha / (1 + mean * alpha)  # 1 - success probability
    at = np.exp(
        special.gammaln(x + r)
        - special.gammaln(r)
        - special.gammaln(x + 1)
        - r * np.log1p(mean * alpha)
        + special.xlogy(x, failing)
    )
    above = special.betainc(x + 1, r, failing)
    below = np.where(x > 0, special.betainc(r, np.maximum(x, 1.0), 1 - failing), 0.0)
    return np.clip(below + at / 2, 0.0, 1.0), np.clip(above + at / 2, 0.0, 1.0)


def count_range(mean: Floats, variance: Floats) -> tuple[Floats, Floats]:
    """Return the counts between which about 95 % lie, by the gamma distribution of the same mean and variance.

    Its quantiles by E. B. Wilson's and M. M. Hilferty's cube (1931); to be shown, not to be tested with.
    """
    shape = mean**2 / np.maximum(variance, 1e-9)
    ninth = 1 / (9 * np.maximum(shape, 1e-9))
    low, high = (mean * np.maximum(1 - ninth + z * np.sqrt(ninth), 0.0) ** 3 for z in (-Z, Z))
    return np.floor(low), np.ceil(high)


def benjamini_hochberg(p: Floats, of: int = 0) -> Floats:
    """Return the q of each p: the least false discovery rate at which it is rejected (Y. Benjamini, Y. Hochberg, 1995).

    q(i) = min over j >= i of p(j) m / j, p sorted ascending, at most 1. *of*: m, where some p are left out
    that are 1.
    """
    m = max(p.size, of)
    order = np.argsort(p, kind="stable")
    scaled = p[order] * m / np.arange(1, p.size + 1)
    q = np.empty(p.size)
    q[order] = np.minimum(np.minimum.accumulate(scaled[::-1])[::-1], 1.0)
    return q
