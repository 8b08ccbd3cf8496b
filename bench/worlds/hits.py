"""How runs fail, and how attempts repeat: clustered causes under a wandering chance, and what is planted on top.

A cause takes the runs after it along, geometrically many (so hits are compound Poisson, of no family that a
detector's variance assumes); the chance wanders for hours, follows the day, and steps a little with deploys.
"""

from __future__ import annotations

import numpy as np

from bench.worlds.ground import (
    FIRST,
    HOURS,
    QUEUES,
    SERIES,
    Floats,
    Ints,
    Planter,
    clock,
    log_uniform,
    switches,
    wander,
)

_OUTAGES, _RAMPS, _PARTIALS, _DEPLOYS, _BURNS, _SPIKES = 4.5, 2.2, 5.5, 4.2, 4.2, 3.2
_DEPENDENCIES, _QUEUE_OUTAGES = 3.0, 1.6
_STORMS, _STORM_LEVELS = 8.2, 1.8
_NEVER = 0.1


def failures(planter: Planter, runs: Floats) -> tuple[Floats, Floats]:
    """Return failed runs without incidents, and with them."""
    rng = planter.rng
    share = _shares(rng, 0.002, 0.06, 0.2, 0.0)
    ordinary = _drawn(rng, runs, share, 1.3)
    failed = ordinary.copy()

    def add(kind: str, s: int, span: slice, chance: Floats | float) -> None:
        more = rng.binomial((runs[s, span] - failed[s, span]).astype(int), chance)
        failed[s, span] += more
        planter.label("failures", "up", kind, s, span, float(more.sum()))

    def one(kind: str, length: int, least: float, chance: Floats | float, among: Ints | None = None) -> None:
        span = planter.choose("failures", length, runs, least, among)
        if span is not None:
            add(kind, planter.series, span, chance)

    hourly = runs[:, :FIRST].mean(axis=1)
    usual = ordinary[:, :FIRST].sum(axis=1) / np.maximum(runs[:, :FIRST].sum(axis=1), 1)
    for _ in range(planter.times(_OUTAGES)):
        one("outage", int(rng.integers(1, 7)), 10, rng.uniform(0.5, 1.0))
    for _ in range(planter.times(_RAMPS)):
        length = int(rng.integers(6, 24))
        one("ramp", length, 40, np.linspace(0.01, rng.uniform(0.15, 0.6), length))
    for _ in range(planter.times(_PARTIALS)):
        one("partial", int(rng.choice([3, 6, 12])), 20, rng.uniform(0.06, 0.4))
    for _ in range(planter.times(_DEPLOYS)):
        one("deploy step", int(rng.integers(48, 220)), 60, rng.uniform(0.06, 0.25))
    many = np.flatnonzero((hourly >= 15) & (usual >= 0.01))
    for _ in range(planter.times(_BURNS) if many.size else 0):
        length, s = int(rng.integers(40, 140)), int(rng.choice(many))
        one("slow burn", length, 400, usual[s] * rng.uniform(1, 3), np.array([s]))
    some = np.flatnonzero((hourly >= 15) & (hourly <= 60))
    for _ in range(planter.times(_SPIKES) if some.size else 0):
        s = int(rng.choice(some))
        one("spike", 1, 12, min(rng.uniform(6, 17) / hourly[s], 0.9), np.array([s]))
    for kind, tasks in _together(planter):
        length = int(rng.integers(1, 6))
        begin, chance = int(rng.integers(FIRST + 6, HOURS - length - 3)), rng.uniform(0.2, 0.85)
        for s in tasks:
            if runs[s, begin : begin + length].sum() >= 1 and planter.take("failures", int(s), begin, begin + length):
                add(kind, int(s), slice(begin, begin + length), chance)
    return ordinary, failed


def _together(planter: Planter) -> list[tuple[str, Ints]]:
    """Return the tasks that fail together, because of a service that they call or of the workers of their queue."""
    rng = planter.rng
    queue = rng.integers(0, QUEUES, SERIES)
    sizes = rng.integers(5, 12, planter.times(_DEPENDENCIES))
    of_service = [("dependency", rng.choice(SERIES, size, replace=False)) for size in sizes]
    return of_service + [
        ("queue", np.flatnonzero(queue == rng.integers(QUEUES))) for _ in range(planter.times(_QUEUE_OUTAGES))
    ]


def retries(planter: Planter, runs: Floats) -> tuple[Floats, Floats]:
    """Return attempts that repeat another, without incidents and with them."""
    rng = planter.rng
    ordinary = _drawn(rng, runs, _shares(rng, 0.003, 0.06, 0.3, 0.0007), 1.4)
    again = ordinary.copy()

    def storm(kind: str, length: int, least: float, chance: float) -> None:
        span = planter.choose("retries", length, runs, least)
        if span is None:
            return
        hit = rng.binomial(runs[planter.series, span].astype(int), chance)
        more = hit + rng.binomial(2 * hit, 0.4)  # up to three attempts more
        again[planter.series, span] += more
        planter.label("retries", "up", kind, planter.series, span, float(more.sum()))

    for _ in range(planter.times(_STORMS)):
        storm("storm", int(rng.choice([1, 1, 2, 3, 6])), 1, rng.uniform(0.1, 0.75))
    for _ in range(planter.times(_STORM_LEVELS)):
        storm("storm level", int(rng.integers(48, 200)), 60, rng.uniform(0.05, 0.3))
    return ordinary, again


def _shares(rng: np.random.Generator, low: float, high: float, moods: float, spells: float) -> Floats:
    """Return by hour the chance that a run is hit, (series, hours)."""
    hour, _, _ = clock()
    p = np.where(rng.random(SERIES) < _NEVER, 0.0, log_uniform(rng, low, high, SERIES))
    by_day = 1 + rng.uniform(0, 0.4, (SERIES, 1)) * np.cos(2 * np.pi * (hour - rng.uniform(0, 24, (SERIES, 1))) / 24)
    deploys = np.where(rng.random((SERIES, HOURS)) < 1 / 150, rng.normal(0, 0.15, (SERIES, HOURS)), 0.0)
    steps = np.clip(np.cumsum(deploys, axis=1), -0.5, 0.5)
    mood = wander(rng, rng.uniform(0.05, moods, SERIES), rng.uniform(0.6, 0.95, SERIES))
    spell = switches(rng, np.full(SERIES, spells), np.full(SERIES, 0.4))
    height = 1 + spell * rng.exponential(2.5, (SERIES, HOURS))
    out: Floats = np.minimum(p[:, None] * by_day * np.exp(steps + mood) * height, 0.6)
    return out


def _drawn(rng: np.random.Generator, n: Floats, share: Floats, most: float) -> Floats:
    """Return hits of *n*: each cause takes geometrically many along, of a mean of its series' own, at most *most*."""
    mean = rng.uniform(1.0, most, (SERIES, 1))
    causes = rng.poisson(n * share / mean)
    extra = rng.negative_binomial(np.maximum(causes, 1), np.broadcast_to(1 / mean, n.shape)) * (causes > 0)
    out: Floats = np.minimum(causes + extra, n).astype(np.float64)
    return out
