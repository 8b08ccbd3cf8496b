"""A labelled world of task runs for `bench.anomalies`: how runs come and fail is of no family the detectors assume.

Failures come from causes that each take a heavy-tailed number of runs with them; some tasks flare for an hour or so
every few days and always have; shares drift, step with deploys and follow the day. Arrivals follow local days and
weeks with holidays, or are nightly, or fixed in UTC, or come in bursts. Durations are lognormal with a Pareto tail
under a noisy hourly factor. None of that is an incident. Incidents are planted on top, and the hits that each one
adds are counted as they are drawn, so that an incident's size is known and not estimated.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt
import polars as pl

from collector.model.units import HOUR_NS

Floats = npt.NDArray[np.float64]
ZONE = "Europe/Berlin"
START_NS = 1_769_385_600_000_000_000
"""2026-01-26 00:00 UTC, a Monday; the clocks change on 29 March, in the ninth week."""
WEEKS, QUIET_WEEKS = 12, 5
"""Incidents are planted, and alarms counted, after the quiet weeks."""
HOURS, FIRST = WEEKS * 168, QUIET_WEEKS * 168
SERIES, QUEUES = 200, 20
SCALE = 16
_APART_H = 60


@dataclass(frozen=True)
class Incident:
    """What was planted. `excess`: hits that it added or took away; `to` is excluded."""

    metric: str
    direction: str
    kind: str
    series: int
    begin: int
    to: int
    excess: float


@dataclass
class World:
    """Counts as (series, hours) arrays, labelled."""

    seed: int
    runs: Floats
    failed: Floats
    attempts: Floats
    retried: Floats
    timed: Floats
    """Runs with a duration."""
    histogram: pl.DataFrame
    """series, hour, ix, n."""
    p95: Floats
    """Of each hour's durations in ms, NaN where there are none: what a dashboard would alarm on."""
    saturation: Floats
    incidents: list[Incident] = field(default_factory=list)


class _Planter:
    """Chooses where incidents go: enough apart on a series and metric to tell them apart."""

    def __init__(self, rng: np.random.Generator) -> None:
        self.rng = rng
        self.taken: dict[tuple[str, int], list[tuple[int, int]]] = {}

    def choose(self, metric: str, length: int, n: Floats, least: float, series: int | None = None) -> Any:
        """Return (series, begin) with at least *least* trials in the span, None where none is found."""
        for _ in range(60):
            s = int(self.rng.integers(n.shape[0])) if series is None else series
            begin = int(self.rng.integers(FIRST + 12, HOURS - length - 6))
            if n[s, begin : begin + length].sum() < least:
                continue
            if any(begin < t + _APART_H and f < begin + length + _APART_H for f, t in self.taken.get((metric, s), [])):
                continue
            self.taken.setdefault((metric, s), []).append((begin, begin + length))
            return s, begin
        return None


def world(seed: int) -> World:
    """Return the world of *seed*, the same each time."""
    rng = np.random.default_rng([77, seed])
    planter = _Planter(rng)
    incidents: list[Incident] = []
    rate, burst = _rates(rng)
    runs = _arrivals(rng, rate, burst, planter, incidents)
    failed = _hits(rng, runs, *_shares(rng, (0.001, 0.08), never=0.15, flaky=0.2))
    failed = _fail_more(rng, runs, failed, planter, incidents)
    again = _hits(rng, runs, *_shares(rng, (0.003, 0.12), never=0.1, flaky=0.2))
    attempts, again = _retry_more(rng, runs, again, planter, incidents)
    histogram, p95, timed = _durations(rng, runs, planter, incidents)
    saturation = _saturations(rng, planter, incidents)
    return World(seed, runs, failed, attempts, again, timed, histogram, p95, saturation, incidents)


def _local() -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """Return the local hour of day, day of week (Monday 0) and day since the start of each hour."""
    utc = pl.Series(START_NS + np.arange(HOURS) * HOUR_NS).cast(pl.Datetime("ns", "UTC"))
    local = utc.dt.convert_time_zone(ZONE)
    day = local.dt.date().to_physical().to_numpy()
    return local.dt.hour().to_numpy().astype(np.int64), local.dt.weekday().to_numpy() - 1, day - day[0]


def _noise(rng: np.random.Generator, sd: Floats, hold: float, series: int = SERIES) -> Floats:
    """Return an autocorrelated factor around 1 with steps from a t distribution of four degrees of freedom.

    Cut at three standard deviations: what is beyond would be an incident to anybody.
    """
    steps = rng.standard_t(4, (series, HOURS)) / np.sqrt(2.0) * np.sqrt(1 - hold**2)
    out = np.empty((series, HOURS))
    now = np.zeros(series)
    for h in range(HOURS):
        now = hold * now + steps[:, h]
        out[:, h] = now
    return np.exp(np.clip(out, -3, 3) * sd[:, None])


def _rates(rng: np.random.Generator) -> tuple[Floats, Floats]:
    """Return the expected arrivals by hour, and which series come in bursts."""
    hour, weekday, day = _local()
    base = np.exp(rng.uniform(np.log(0.3), np.log(120), SERIES))
    kind = rng.choice(5, SERIES, p=[0.5, 0.12, 0.1, 0.13, 0.15])  # daily, nightly, UTC cron, around the clock, bursts
    rate = np.empty((SERIES, HOURS))
    holidays = rng.choice(np.arange(7, WEEKS * 7), 4, replace=False)
    is_off = (weekday >= 5) | np.isin(day, holidays)
    for s in range(SERIES):
        angle = 2 * np.pi * (hour - rng.uniform(11, 17)) / 24
        shape = np.exp(rng.uniform(0.2, 1.3) * np.cos(angle) + rng.uniform(0, 0.4) * np.cos(2 * angle))
        if kind[s] == 0:
            rate[s] = base[s] * shape * np.where(is_off, rng.uniform(0.1, 0.8), 1)
        elif kind[s] == 1:
            rate[s] = np.where(hour == rng.integers(0, 6), base[s] * 10, 0)
        elif kind[s] == 2:
            rate[s] = np.where((np.arange(HOURS) % 24) % rng.choice([1, 2, 6]) == 0, base[s], 0)
        else:
            rate[s] = base[s]
    drift = np.exp(np.cumsum(rng.normal(0, 0.004, (SERIES, HOURS)), axis=1) * 0.5)
    return rate * drift, kind == 4


def _arrivals(
    rng: np.random.Generator, rate: Floats, burst: Floats, planter: _Planter, incidents: list[Incident]
) -> Floats:
    noisy = rate * _noise(rng, rng.uniform(0.05, 0.3, SERIES), 0.7)
    # Bursts: parents with Pareto numbers of children.
    parents = rng.poisson(np.where(burst[:, None], noisy / 4, 0))
    children = np.minimum(parents * (rng.pareto(1.8, noisy.shape) + 1) * 1.8, 40 * noisy + 40)
    normal = rng.poisson(noisy)
    runs = np.where(burst[:, None], children.round(), normal).astype(np.float64)
    for kind in ["drop"] * 14 + ["surge"] * 10 + ["stop"] * 3:
        length = int(rng.choice([3, 6, 12, 24])) if kind != "stop" else int(rng.integers(96, 200))
        chosen = planter.choose("volume", length, rate, 20)
        if chosen is None:
            continue
        s, at = chosen
        span = slice(at, at + length)
        was = runs[s, span].copy()
        if kind == "surge":
            runs[s, span] += rng.poisson(rate[s, span] * rng.uniform(2, 9))
        else:
            runs[s, span] = rng.binomial(was.astype(int), 0.0 if kind == "stop" else rng.choice([0.0, 0.1, 0.3]))
        size = float(abs(runs[s, span] - was).sum())
        incidents.append(Incident("volume", "up" if kind == "surge" else "down", kind, s, at, at + length, size))
    return runs


def _shares(rng: np.random.Generator, span: tuple[float, float], *, never: float, flaky: float) -> tuple[Floats, float]:
    """Return the probability by hour that a run is hit by a cause of its own, and the mean size of a cause."""
    hour, _, _ = _local()
    p = np.exp(rng.uniform(np.log(span[0]), np.log(span[1]), SERIES))
    p[rng.random(SERIES) < never] = 0.0
    day = 1 + 0.4 * np.sin(2 * np.pi * (hour - rng.uniform(0, 24, (SERIES, 1))) / 24) * (rng.random((SERIES, 1)) < 0.5)
    deploys = rng.random((SERIES, HOURS)) < 1 / (24 * 6)
    steps = np.cumsum(np.where(deploys, rng.normal(0, 0.12, (SERIES, HOURS)), 0), axis=1)
    share = p[:, None] * day * np.exp(np.clip(steps, -0.6, 0.6)) * _noise(rng, rng.uniform(0.1, 0.4, SERIES), 0.6)
    # Flares of tasks that are known to be flaky: a two-state chain, in the quiet weeks as later.
    prone = rng.random(SERIES) < flaky
    enter = np.where(prone, 1 / rng.uniform(24 * 1.5, 24 * 6, SERIES), 0.0)
    state = np.zeros(SERIES, dtype=bool)
    height = np.ones(SERIES)
    for h in range(HOURS):
        starts = ~state & (rng.random(SERIES) < enter)
        height = np.where(starts, 1.5 + np.minimum(rng.pareto(2.0, SERIES), 3.5), height)
        state = starts | (state & (rng.random(SERIES) < 0.35))
        share[:, h] *= np.where(state, height, 1)
    return np.minimum(share, 0.9), 1.6


def _hits(rng: np.random.Generator, n: Floats, share: Floats, mean_size: float) -> Floats:
    """Return hits of *n*: causes are Poisson, each takes a heavy-tailed number of runs with it."""
    causes = rng.poisson(n * share / mean_size)
    hits = np.zeros(n.shape)
    most = int(causes.max(initial=0))
    for k in range(most):
        live = causes > k
        hits[live] += np.minimum(rng.zipf(2.6, int(live.sum())), 5)
    return np.minimum(hits, n)


def _add(rng: np.random.Generator, n: Floats, x: Floats, s: int, at: int, chance: Floats | float) -> float:
    """Hit each run that was not hit with *chance* more; return how many."""
    span = slice(at, at + (len(chance) if isinstance(chance, np.ndarray) else 1))
    more = rng.binomial((n[s, span] - x[s, span]).astype(int), chance)
    x[s, span] += more
    return float(more.sum())


def _fail_more(rng: np.random.Generator, n: Floats, x: Floats, planter: _Planter, incidents: list[Incident]) -> Floats:
    plan = ["outage"] * 9 + ["partial"] * 16 + ["burn"] * 6 + ["ramp"] * 5 + ["level"] * 5 + ["fixed"] * 3
    for kind in plan:
        length = {
            "outage": int(rng.integers(1, 4)),
            "partial": int(rng.choice([2, 3, 6, 12])),
            "burn": 24,
            "ramp": 10,
            "level": int(rng.integers(72, 240)),
            "fixed": int(rng.integers(120, 240)),
        }[kind]
        chosen = planter.choose("failures", length, n, 8)
        if chosen is None:
            continue
        s, at = chosen
        share = max(x[s, :FIRST].sum() / max(n[s, :FIRST].sum(), 1), 0.002)
        if kind == "fixed":
            before = x[s, at : at + length].copy()
            if before.sum() < 15:
                continue
            x[s, at : at + length] = rng.binomial(before.astype(int), 0.1)
            size = float((before - x[s, at : at + length]).sum())
            incidents.append(Incident("failures", "down", kind, s, at, at + length, size))
            continue
        if kind == "outage":
            chance = np.full(length, rng.uniform(0.5, 1.0))
        elif kind == "ramp":
            chance = np.linspace(0.02, rng.uniform(0.15, 0.5), length)
        elif kind == "burn":
            chance = np.full(length, min(share * rng.uniform(1.0, 3.0), 0.4))
        else:
            chance = np.full(length, min(max(share * rng.uniform(2, 8), rng.uniform(0.04, 0.3)), 0.8))
        size = _add(rng, n, x, s, at, chance)
        incidents.append(Incident("failures", "up", kind, s, at, at + length, size))
    for _ in range(2):  # a dependency that many tasks share
        at = int(rng.integers(FIRST + 24, HOURS - 24))
        for s in rng.choice(SERIES, int(rng.integers(5, 12)), replace=False):
            taken = planter.taken.setdefault(("failures", int(s)), [])
            if any(at < t + _APART_H and f < at + 3 + _APART_H for f, t in taken) or n[s, at : at + 3].sum() < 1:
                continue
            taken.append((at, at + 3))
            size = _add(rng, n, x, int(s), at, np.full(3, 0.6))
            incidents.append(Incident("failures", "up", "shared", int(s), at, at + 3, size))
    return x


def _retry_more(
    rng: np.random.Generator, runs: Floats, again: Floats, planter: _Planter, incidents: list[Incident]
) -> tuple[Floats, Floats]:
    """Return attempts and those that repeat another; in a storm a run is repeated a heavy-tailed number of times."""
    extra = again.copy()
    for _ in range(22):
        length = int(rng.choice([1, 2, 3, 6, 12]))
        chosen = planter.choose("retries", length, runs, 10)
        if chosen is None:
            continue
        s, at = chosen
        span = slice(at, at + length)
        hit = rng.binomial(runs[s, span].astype(int), rng.uniform(0.05, 0.5))
        storm = np.array([np.minimum(rng.zipf(2.2, int(k)), 4).sum() for k in hit], dtype=np.float64)
        extra[s, span] += storm
        incidents.append(Incident("retries", "up", "storm", s, at, at + length, float(storm.sum())))
    return runs + extra, extra


def _durations(
    rng: np.random.Generator, runs: Floats, planter: _Planter, incidents: list[Incident]
) -> tuple[pl.DataFrame, Floats, Floats]:
    """Return histogram rows, the 95th percentile and the number of durations by hour; of at most 60 runs an hour."""
    hour, _, _ = _local()
    n = np.minimum(runs, 60).astype(np.int64)
    median = np.exp(rng.uniform(np.log(50), np.log(60_000), SERIES))
    sd = rng.uniform(0.15, 0.9, SERIES)
    day = np.exp(rng.uniform(0, 0.15, (SERIES, 1)) * np.cos(2 * np.pi * (hour - rng.uniform(0, 24, (SERIES, 1))) / 24))
    deploys = np.where(rng.random((SERIES, HOURS)) < 1 / (24 * 6), rng.normal(0, 0.05, (SERIES, HOURS)), 0)
    factor = day * np.exp(np.clip(np.cumsum(deploys, axis=1), -0.2, 0.2))
    factor *= _noise(rng, rng.uniform(0.02, 0.12, SERIES), 0.7)
    part, times = np.ones((SERIES, HOURS)), np.ones((SERIES, HOURS))
    planted = []
    for kind in ["slow"] * 24 + ["slow level"] * 4 + ["fast"] * 8:
        length = int(rng.choice([2, 3, 6, 12, 24])) if kind != "slow level" else int(rng.integers(72, 200))
        chosen = planter.choose("pace", length, n.astype(np.float64), 20)
        if chosen is None:
            continue
        s, at = chosen
        by = rng.uniform(0.15, 0.5) if kind == "fast" else rng.uniform(1.5, 4.0)
        part[s, at : at + length], times[s, at : at + length] = rng.uniform(0.4, 1.0), by
        planted.append((kind, s, at, length))
    flat = n.reshape(-1)
    hour_index = np.repeat(np.arange(flat.size), flat)
    s_of = hour_index // HOURS
    value = np.log(median[s_of]) + sd[s_of] * rng.standard_normal(hour_index.size)
    tail = rng.random(hour_index.size) < 0.04
    value[tail] += np.minimum(rng.exponential(1 / 1.8, int(tail.sum())) + 0.7, 5)  # Pareto of index 1.8
    value += np.log(factor).reshape(-1)[hour_index]
    affected = rng.random(hour_index.size) < part.reshape(-1)[hour_index]
    value += np.where(affected, np.log(times).reshape(-1)[hour_index], 0)
    usual = np.full((2, SERIES), np.nan)
    for s in range(SERIES):
        usual_values = (
            value[(s_of == s) & (hour_index % HOURS < FIRST)] if flat[s * HOURS : (s + 1) * HOURS].sum() else value[:0]
        )
        if usual_values.size:
            usual[:, s] = np.quantile(usual_values, [0.1, 0.9])
    for kind, s, at, length in planted:
        inside = value[(hour_index >= s * HOURS + at) & (hour_index < s * HOURS + at + length)]
        beyond = (inside < usual[0, s]) if kind == "fast" else (inside > usual[1, s])
        size = float(beyond.sum() - 0.1 * inside.size)
        metric = "fast" if kind == "fast" else "slow"
        incidents.append(Incident(metric, "up", kind, s, at, at + length, size))
    ix = np.ceil(np.log2(np.exp(value)) * SCALE).astype(np.int64)
    frame = pl.DataFrame({"hour_index": hour_index, "value": value, "ix": ix})
    rows = frame.group_by("hour_index", "ix").len("n").sort("hour_index", "ix")
    histogram = rows.select(series=pl.col("hour_index") // HOURS, hour=pl.col("hour_index") % HOURS, ix="ix", n="n")
    p95 = np.full(flat.size, np.nan)
    top = frame.group_by("hour_index").agg(pl.col("value").quantile(0.95, "higher"))
    p95[top["hour_index"].to_numpy()] = top["value"].to_numpy()
    return histogram, p95.reshape(SERIES, HOURS), n.astype(np.float64)


def _saturations(rng: np.random.Generator, planter: _Planter, incidents: list[Incident]) -> Floats:
    """Return the share of each hour in which a queue is full while runs wait; a soft maximum of a noisy load."""
    hour, weekday, _ = _local()
    level = rng.uniform(-2.5, 0.5, (QUEUES, 1))
    day = rng.uniform(0, 1.5, (QUEUES, 1)) * np.cos(2 * np.pi * (hour - rng.uniform(9, 17, (QUEUES, 1))) / 24)
    load = level + day - np.where(weekday >= 5, rng.uniform(0, 1, (QUEUES, 1)), 0)
    load = load + np.log(_noise(rng, rng.uniform(0.2, 0.6, QUEUES), 0.7, QUEUES))
    spikes = rng.random((QUEUES, HOURS)) < 1 / 100
    load = load + np.where(spikes, rng.pareto(1.5, (QUEUES, HOURS)), 0)
    for _ in range(10):
        length = int(rng.choice([3, 4, 6, 12]))
        chosen = planter.choose("saturation", length, np.ones((QUEUES, HOURS)), 1)
        if chosen is None:
            continue
        s, at = chosen
        load[s, at : at + length] += rng.uniform(2, 5)
        incidents.append(Incident("saturation", "up", "full", s, at, at + length, float(length)))
    return 1 / (1 + np.exp(-load))


def frames(made: World) -> dict[str, pl.DataFrame]:
    """Return what the detectors of the product read: counts, histograms and gauges, with series as text."""

    def rows(n: Floats, x: Floats, metric: str) -> pl.DataFrame:
        s, h = np.nonzero(n)
        return pl.DataFrame(
            {
                "series": np.char.mod("s%03d", s),
                "metric": np.full(s.size, metric),
                "hour_ns": START_NS + h * HOUR_NS,
                "n": n[s, h].astype(np.int64),
                "x": x[s, h].astype(np.int64),
            }
        )

    q, h = np.nonzero(np.isfinite(made.saturation))
    return {
        "counts": pl.concat(
            [
                rows(made.runs, made.failed, "failures"),
                rows(made.attempts, made.retried, "retries"),
                rows(made.runs, made.runs, "volume"),
            ]
        ),
        "histograms": made.histogram.select(
            series=pl.format("s{}", pl.col("series").cast(pl.String).str.zfill(3)),
            hour_ns=START_NS + pl.col("hour") * HOUR_NS,
            ix=pl.col("ix").cast(pl.Int32),
            n=pl.col("n").cast(pl.Int64),
        ),
        "gauges": pl.DataFrame(
            {
                "series": np.char.mod("s%03d", q),
                "metric": np.full(q.size, "saturation"),
                "hour_ns": START_NS + h * HOUR_NS,
                "value": made.saturation[q, h],
            }
        ),
    }
