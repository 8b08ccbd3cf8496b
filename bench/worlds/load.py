"""How runs arrive: a Cox process by hour whose shape is the task's own, and what is planted into it.

The rate is a shape (office hours with weekends and a holiday, steady, drifting, bursts that a parent starts) times a
wandering factor, times a factor of the day, times busy hours that come now and then; batches come by the clock instead.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from bench.worlds.ground import FIRST, HOURS, SERIES, Floats, Ints, Planter, clock, log_uniform, switches, wander

KINDS = {"wall": 0.37, "nightly": 0.09, "cron": 0.1, "steady": 0.16, "bursts": 0.1, "drifting": 0.1, "utc": 0.08}
_IGNORE_HOLIDAY = 0.25
_STOPS, _SURGES, _DROPS, _RAMPS, _MISSED_NIGHTS = 3.5, 4.75, 5.0, 2.1, 0.8


@dataclass(frozen=True)
class Load:
    """How runs arrive: `kinds` by series, `rate` as expected by hour (series, hours)."""

    kinds: list[str]
    rate: Floats


def arrivals(planter: Planter) -> tuple[Load, Floats, Floats]:
    """Return the load, arrivals without incidents, and arrivals with them."""
    rng = planter.rng
    load = _load(rng)
    ordinary = _drawn(rng, load)
    return load, ordinary, _planted(rng, planter, load, ordinary)


def _load(rng: np.random.Generator) -> Load:
    hour, weekday, day = clock()
    kinds = [str(kind) for kind in rng.choice(list(KINDS), SERIES, p=list(KINDS.values()))]
    base = log_uniform(rng, 0.2, 240, SERIES)
    holiday = int(rng.choice([d for d in range(FIRST // 24 + 1, HOURS // 24 - 2) if d % 7 < 5]))
    weekly = np.flatnonzero(np.isin(kinds, ["wall", "drifting"]))
    works = rng.choice(weekly, int(weekly.size * _IGNORE_HOLIDAY), replace=False)
    rate = np.empty((SERIES, HOURS))
    for s, kind in enumerate(kinds):
        rests = (day == holiday) & (s not in works)
        is_off = (weekday >= 5) | rests
        if kind in ("wall", "drifting"):
            rate[s] = base[s] * _office(rng, hour) * np.where(is_off, rng.uniform(0.1, 0.8), 1.0)
        elif kind == "nightly":
            runs_on = ~is_off if rng.random() < 0.3 else np.ones(HOURS, dtype=bool)
            rate[s] = (hour == rng.integers(0, 6)) * runs_on * rng.uniform(25, 220)
        elif kind == "cron":
            rate[s] = (hour % rng.choice([1, 1, 2, 4]) == 0) * rng.integers(1, 13)
        elif kind == "utc":
            rate[s] = (np.arange(HOURS) % rng.choice([3, 6, 8, 12]) == 0) * min(base[s] * 2, 150.0)
        else:
            rate[s] = base[s]
        if kind == "drifting":
            rate[s] *= np.exp(rng.choice([-1, 1]) * rng.uniform(0.3, 1.0) * (np.arange(HOURS) / HOURS - 0.5))
    return Load(kinds, rate)


def _office(rng: np.random.Generator, hour: Ints) -> Floats:
    """Return a day of two humps, morning and afternoon, over a floor; its mean is 1."""
    width = rng.uniform(1.5, 3.5)
    peaks = rng.uniform(8, 11), rng.uniform(13, 17)
    humps = [np.exp(-(((hour - at + 12) % 24 - 12) ** 2) / (2 * width**2)) for at in peaks]
    shape = rng.uniform(0.03, 0.4) + humps[0] + rng.uniform(0.5, 1.2) * humps[1]
    out: Floats = shape / shape.mean()
    return out


def _drawn(rng: np.random.Generator, load: Load) -> Floats:
    """Return arrivals: Poisson given a rate that is itself random; batches by the clock, each run with its chance."""
    kinds = np.array(load.kinds)
    is_loose = np.isin(kinds, ["wall", "steady", "drifting", "bursts"])
    sd = np.where(kinds == "drifting", rng.uniform(0.1, 0.25, SERIES), rng.uniform(0.05, 0.2, SERIES))
    lively = wander(rng, sd, rng.uniform(0.8, 0.97, SERIES))
    days = np.repeat(rng.uniform(-0.12, 0.12, (SERIES, HOURS // 24)), 24, axis=1)
    busy = switches(rng, np.where(is_loose, rng.uniform(0.0005, 0.006, SERIES), 0.0), np.full(SERIES, 0.8))
    height = 1 + busy * rng.exponential(0.6, (SERIES, HOURS))
    rate = load.rate * np.exp(np.where(is_loose[:, None], lively + days, 0.0)) * height
    runs = rng.poisson(rate).astype(np.float64)
    by_clock = ~is_loose
    runs[by_clock] = rng.binomial(load.rate[by_clock].round().astype(int), 0.97)
    for s in np.flatnonzero(kinds == "bursts"):
        runs[s] = _bursts(rng, rate[s])
    return runs


def _bursts(rng: np.random.Generator, rate: Floats) -> Floats:
    """Return the children of parents that come at random: geometrically many each, over the hours that follow."""
    mean = rng.uniform(3, 25)
    parents = rng.poisson(rate / mean)
    at = np.repeat(np.arange(HOURS), parents)
    children = rng.geometric(1 / mean, at.size)
    hour = np.repeat(at, children) + rng.exponential(rng.uniform(0.3, 2.0), int(children.sum())).astype(int)
    return np.bincount(hour[hour < HOURS], minlength=HOURS).astype(np.float64)


def _planted(rng: np.random.Generator, planter: Planter, load: Load, ordinary: Floats) -> Floats:
    runs = ordinary.copy()

    def change(kind: str, length: int, factor: Floats, least: float, among: Ints | None = None) -> None:
        span = planter.choose("volume", length, load.rate, least, among)
        if span is None:
            return
        s, was = planter.series, ordinary[planter.series, span]
        less = rng.binomial(was.astype(int), np.minimum(factor, 1.0))
        more = rng.poisson(load.rate[s, span] * np.maximum(factor - 1, 0.0))
        runs[s, span] = less + more
        excess = abs(float(runs[s, span].sum() - was.sum()))
        planter.label("volume", "up" if kind == "surge" else "down", kind, s, span, excess)

    for _ in range(planter.times(_STOPS)):
        length = int(rng.choice([4, 6, 12, 24, 48]))
        change("stop", length, np.zeros(length), 12)
    for _ in range(planter.times(_SURGES)):
        length = int(rng.choice([2, 3, 6, 12, 24]))
        change("surge", length, np.full(length, rng.uniform(1.5, 4.2)), 12)
    for _ in range(planter.times(_DROPS)):
        length = int(rng.choice([6, 12, 24, 48]))
        change("drop", length, np.full(length, rng.uniform(0.4, 0.75)), 25)
    for _ in range(planter.times(_RAMPS)):
        length = int(rng.integers(24, 96))
        change("ramp down", length, np.linspace(1, rng.uniform(0.05, 0.45), length), 40)
    nightly = np.flatnonzero(np.array(load.kinds) == "nightly")
    for _ in range(planter.times(_MISSED_NIGHTS) if nightly.size else 0):
        change("stop", 1, np.zeros(1), 20, nightly)
    return runs
