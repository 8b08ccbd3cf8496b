"""How long runs take: a quick and a slow mode (gamma, Weibull), the slower the busier, and what is planted.

The quick mode is a cache that is hit or an input that is small. An incident's size is counted by letting every run of
it happen twice, with and without: those that only with it lie beyond the usual p90 (or under the usual p10).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import polars as pl

from bench.worlds.ground import FIRST, HOURS, SERIES, Floats, Planter, log_uniform, switches, wander

SCALE = 16
_SPELLS = 0.003
"""Chance an hour that a neighbour is noisy, or away, for a while."""
_MOST = 60
"""Durations an hour that are kept."""
_SLOW, _LEVELS, _CREEPS, _SWITCHES, _FAST = 6.7, 3.0, 2.4, 1.9, 4.0


@dataclass(frozen=True)
class _Plan:
    """Factor of the durations by hour, for which part of the runs, and by how much less often the quick mode comes."""

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
    usual, quick = _usual(rng, cell, s, runs)
    slow_mode = np.log(log_uniform(rng, 2.5, 15, SERIES))[s]
    value = usual + np.where(quick < missed.reshape(-1)[cell], slow_mode, 0.0)
    value += np.where(rng.random(cell.size) < part.reshape(-1)[cell], np.log(times).reshape(-1)[cell], 0.0)
    for plan in plans:
        task = (cell >= plan.series * HOURS) & (cell < (plan.series + 1) * HOURS)
        low, high = np.quantile(usual[task], [0.1, 0.9])
        inside = (cell >= plan.series * HOURS + plan.span.start) & (cell < plan.series * HOURS + plan.span.stop)
        with_, without = value[inside], usual[inside]
        more = (with_ < low).sum() - (without < low).sum() if plan.kind == "fast" else (with_ > high).sum() - (without > high).sum()
        planter.label("fast" if plan.kind == "fast" else "slow", "up", plan.kind, plan.series, plan.span, float(more))
    frame = pl.DataFrame({"cell": cell, "value": value, "ix": np.ceil(value / np.log(2) * SCALE).astype(np.int64)})
    rows = frame.group_by("cell", "ix").len("n").sort("cell", "ix")
    p95 = np.full(n.size, np.nan)
    top = frame.group_by("cell").agg(pl.col("value").quantile(0.95, "higher"))
    p95[top["cell"].to_numpy()] = top["value"].to_numpy()
    histogram = rows.select(series=pl.col("cell") // HOURS, hour=pl.col("cell") % HOURS, ix="ix", n="n")
    return histogram, p95.reshape(SERIES, HOURS), n.astype(np.float64)


def _usual(rng: np.random.Generator, cell: Floats, s: Floats, runs: Floats) -> tuple[Floats, Floats]:
    """Return the logarithm of each run's duration without incidents, and where it lies within the quick mode (or 1+)."""
    scale = log_uniform(rng, 40, 60_000, SERIES)
    has_two = rng.random(SERIES) < 0.5
    slow_share = np.where(has_two, rng.uniform(0.02, 0.3, SERIES), 0.0)
    apart = np.log(log_uniform(rng, 2.5, 15, SERIES))
    is_weibull = rng.random(SERIES) < 0.4
    gamma, weibull = rng.uniform(1.5, 20, SERIES), rng.uniform(0.9, 4, SERIES)
    drawn = np.where(is_weibull[s], np.log(np.maximum(rng.weibull(weibull[s]), 1e-3)), np.log(rng.gamma(gamma[s]) / gamma[s]))
    is_slow = rng.random(cell.size) < slow_share[s]
    crowd = rng.uniform(0, 0.15, (SERIES, 1)) * (runs / np.maximum(runs.max(axis=1, keepdims=True), 1))
    mood = crowd + wander(rng, rng.uniform(0.01, 0.08, SERIES), rng.uniform(0.6, 0.95, SERIES))
    spells = switches(rng, np.full(SERIES, _SPELLS), np.full(SERIES, 0.5))
    by = rng.exponential(0.15, (SERIES, HOURS)) * rng.choice([-1.05, 0.9], (SERIES, HOURS))
    mood += np.where(spells, by, 0.0)
    value = np.log(scale)[s] + drawn + np.where(is_slow, apart[s], 0.0) + mood.reshape(-1)[cell]
    return value, np.where(is_slow, 2.0, rng.random(cell.size))


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
        if span := place("slow", int(rng.choice([2, 3, 6, 12, 24])), 8):
            part[planter.series, span], times[planter.series, span] = rng.uniform(0.6, 1), rng.uniform(1.8, 4)
    for _ in range(planter.times(_LEVELS)):
        if span := place("slow level", int(rng.integers(72, 220)), 15):
            times[planter.series, span] = rng.uniform(1.6, 3)
    for _ in range(planter.times(_CREEPS)):
        if span := place("creep", length := int(rng.integers(48, 140)), 40):
            times[planter.series, span] = np.exp(np.linspace(0, np.log(rng.uniform(1.5, 3.5)), length))
    for _ in range(planter.times(_SWITCHES)):
        if span := place("mode switch", int(rng.integers(6, 72)), 6):
            missed[planter.series, span] = rng.uniform(0.2, 0.9)
    for _ in range(planter.times(_FAST)):
        if span := place("fast", int(rng.choice([2, 3, 6, 12, 24])), 10):
            part[planter.series, span], times[planter.series, span] = rng.uniform(0.5, 1), rng.uniform(0.05, 0.3)
    return out
