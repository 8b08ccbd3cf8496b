"""How long runs take: a quick and a slow mode (gamma, Weibull), the slower the busier, and what is planted.

The quick mode is a cache that is hit or an input that is small. An incident's size is counted by letting every run of
it happen twice, with and without: those that only with it lie beyond the usual p90 (or under the usual p10).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import polars as pl

from bench.worlds.ground import HOURS, SERIES, Floats, Ints, Planter, log_uniform, switches, wander

SCALE = 16
_SPELLS = 0.003
"""Chance an hour that a neighbour is noisy, or away, for a while."""
_MOST = 60
"""Durations an hour that are kept."""
_SLOW, _LEVELS, _CREEPS, _SWITCHES, _FAST = 7.2, 2.8, 2.2, 1.8, 4.0


@dataclass(frozen=True)
class _Plan:
    """Where an incident of which kind is planted."""

    kind: str
    series: int
    span: slice


def durations(planter: Planter, runs: Floats) -> tuple[pl.DataFrame, Floats, Floats]:
    """Return histogram rows (series, hour, ix, n), the log of the 95th percentile and the number of durations."""
    rng = planter.rng
    n = np.minimum(runs, _MOST).astype(np.int64)
    part, times, missed = np.ones((SERIES, HOURS)), np.ones((SERIES, HOURS)), np.zeros((SERIES, HOURS))
    plans = _plans(rng, planter, n.astype(np.float64), part, times, missed)
    # Every run, in order of series and hour.
    cell = np.repeat(np.arange(n.size), n.reshape(-1))
    s = cell // HOURS
    apart = np.log(log_uniform(rng, 2.5, 15, SERIES))[s]
    is_slow = rng.random(cell.size) < np.where(rng.random(SERIES) < 0.5, rng.uniform(0.02, 0.3, SERIES), 0.0)[s]
    usual = _quick(rng, cell, s, runs) + np.where(is_slow, apart, 0.0)
    misses = ~is_slow & (rng.random(cell.size) < missed.reshape(-1)[cell])
    value = usual + np.where(misses, apart, 0.0)
    value += np.where(rng.random(cell.size) < part.reshape(-1)[cell], np.log(times).reshape(-1)[cell], 0.0)
    for plan in plans:
        task = (cell >= plan.series * HOURS) & (cell < (plan.series + 1) * HOURS)
        low, high = np.quantile(usual[task], [0.1, 0.9])
        inside = (cell >= plan.series * HOURS + plan.span.start) & (cell < plan.series * HOURS + plan.span.stop)
        metric = "fast" if plan.kind == "fast" else "slow"
        more, less = ((v[inside] < low if metric == "fast" else v[inside] > high).sum() for v in (value, usual))
        planter.label(metric, "up", plan.kind, plan.series, plan.span, float(more - less))
    frame = pl.DataFrame({"cell": cell, "value": value, "ix": np.ceil(value / np.log(2) * SCALE).astype(np.int64)})
    rows = frame.group_by("cell", "ix").len("n").sort("cell", "ix")
    p95 = np.full(n.size, np.nan)
    top = frame.group_by("cell").agg(pl.col("value").quantile(0.95, "higher"))
    p95[top["cell"].to_numpy()] = top["value"].to_numpy()
    histogram = rows.select(series=pl.col("cell") // HOURS, hour=pl.col("cell") % HOURS, ix="ix", n="n")
    return histogram, p95.reshape(SERIES, HOURS), n.astype(np.float64)


def _quick(rng: np.random.Generator, cell: Ints, s: Ints, runs: Floats) -> Floats:
    """Return the logarithm of what runs take in the quick mode; *cell*: hour of the series *s* that each is of."""
    scale = log_uniform(rng, 40, 60_000, SERIES)
    is_weibull = rng.random(SERIES) < 0.4
    gamma, weibull = rng.uniform(1.5, 20, SERIES), rng.uniform(0.9, 4, SERIES)
    drawn = np.where(is_weibull[s], np.maximum(rng.weibull(weibull[s]), 1e-3), rng.gamma(gamma[s]) / gamma[s])
    crowd = rng.uniform(0, 0.15, (SERIES, 1)) * (runs / np.maximum(runs.max(axis=1, keepdims=True), 1))
    mood = crowd + wander(rng, rng.uniform(0.01, 0.08, SERIES), rng.uniform(0.6, 0.95, SERIES))
    spells = switches(rng, np.full(SERIES, _SPELLS), np.full(SERIES, 0.5))
    by = rng.exponential(0.15, (SERIES, HOURS)) * rng.choice([-1.05, 0.9], (SERIES, HOURS))
    mood += np.where(spells, by, 0.0)
    out: Floats = np.log(scale)[s] + np.log(drawn) + mood.reshape(-1)[cell]
    return out


def _plans(
    rng: np.random.Generator, planter: Planter, n: Floats, part: Floats, times: Floats, missed: Floats
) -> list[_Plan]:
    out = []

    def place(kind: str, length: int, least: float) -> slice | None:
        span = planter.choose("pace", length, n, least)
        if span is not None:
            out.append(_Plan(kind, planter.series, span))
        return span

    for _ in range(planter.times(_SLOW)):
        if span := place("slow", int(rng.choice([2, 3, 6, 12, 24])), 5):
            part[planter.series, span], times[planter.series, span] = rng.uniform(0.7, 1), rng.uniform(2, 4.5)
    for _ in range(planter.times(_LEVELS)):
        if span := place("slow level", int(rng.integers(72, 220)), 100):
            times[planter.series, span] = rng.uniform(1.6, 3)
    for _ in range(planter.times(_CREEPS)):
        if span := place("creep", length := int(rng.integers(48, 140)), 100):
            times[planter.series, span] = np.exp(np.linspace(0, np.log(rng.uniform(2, 4)), length))
    for _ in range(planter.times(_SWITCHES)):
        if span := place("mode switch", int(rng.integers(6, 72)), 6):
            missed[planter.series, span] = rng.uniform(0.2, 0.9)
    for _ in range(planter.times(_FAST)):
        if span := place("fast", int(rng.choice([2, 3, 6, 12, 24])), 10):
            part[planter.series, span], times[planter.series, span] = rng.uniform(0.5, 1), rng.uniform(0.05, 0.3)
    return out
