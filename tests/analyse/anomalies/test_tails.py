"""Tail probabilities against scipy's exact distributions, and the false discovery rate against its definition."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from collector.analyse.anomalies import tails
from tests.length import examples

shares = st.floats(1e-4, 1 - 1e-4)
dispersions = st.floats(1e-5, 0.5)


@settings(max_examples=examples(60), deadline=None)
@given(st.data(), st.integers(1, 3_000), shares, dispersions)
def test_beta_binomial_tails_are_those_of_scipy(data: st.DataObject, n: int, p: float, rho: float) -> None:
    """Both mid-p tails equal P(beyond) + P(equal) / 2 summed from scipy's probabilities, to nine digits."""
    x = data.draw(st.integers(0, n))
    size = 1 / rho - 1
    masses = np.exp(stats.betabinom.logpmf(np.arange(n + 1), n, p * size, (1 - p) * size))
    lower, upper = tails.beta_binomial(*(np.array([float(v)]) for v in (x, n, p, rho)))
    assert lower[0] == pytest.approx(masses[:x].sum() + masses[x] / 2, rel=1e-6, abs=1e-9)
    assert upper[0] == pytest.approx(masses[x + 1 :].sum() + masses[x] / 2, rel=1e-6, abs=1e-9)
    tail, beyond = (lower[0], masses[:x]) if x < n * p else (upper[0], masses[x + 1 :])
    assert tail == pytest.approx(beyond.sum() + masses[x] / 2, rel=1e-6), (
        "far out the tail keeps its relative precision"
    )


@settings(max_examples=examples(60), deadline=None)
@given(st.integers(0, 5_000), st.floats(1e-3, 3_000), st.floats(1e-4, 20))
def test_negative_binomial_tails_are_those_of_scipy(x: int, mean: float, alpha: float) -> None:
    """Both mid-p tails equal those of scipy's negative binomial of the same mean and variance."""
    law = stats.nbinom(1 / alpha, 1 / (1 + mean * alpha))
    lower, upper = tails.negative_binomial(*(np.array([float(v)]) for v in (x, mean, alpha)))
    half = law.pmf(x) / 2
    assert lower[0] == pytest.approx(law.cdf(x - 1) + half, rel=1e-6, abs=1e-12)
    assert upper[0] == pytest.approx(law.sf(x) + half, rel=1e-6, abs=1e-300)


@settings(max_examples=examples(60), deadline=None)
@given(st.integers(1, 2_000), shares, dispersions)
def test_tails_are_monotone_and_symmetric(n: int, p: float, rho: float) -> None:
    """More hits never make the upper tail greater; the lower tail of hits is the upper tail of misses."""
    x = np.unique(np.linspace(0, n, 60).round())
    lower, upper = tails.beta_binomial(x, np.array(float(n)), np.array(p), np.array(rho))
    assert (np.diff(upper) <= 1e-12).all()
    assert np.allclose(lower + upper, 1, atol=1e-12)
    mirrored, _ = tails.beta_binomial(n - x, np.array(float(n)), np.array(1 - p), np.array(rho))
    assert np.allclose(mirrored, upper, rtol=1e-6, atol=1e-12)


@given(st.lists(st.floats(0, 1), min_size=1, max_size=60), st.floats(0.001, 0.3))
def test_benjamini_hochberg_rejects_what_its_definition_rejects(p: list[float], level: float) -> None:
    """Rejected are the k smallest, k the greatest number whose k-th smallest p is at most k / m of the level."""
    m = len(p)
    ordered = sorted(p)
    k = max((i for i in range(1, m + 1) if ordered[i - 1] * m / i <= level), default=0)
    rejected = [v for v in p if k and v <= ordered[k - 1]]
    q = tails.benjamini_hochberg(np.array(p))
    assert sorted(v for v, rate in zip(p, q, strict=True) if rate <= level) == sorted(rejected)
