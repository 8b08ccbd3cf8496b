"""What the parts of a labelled world share: its hours, what is planted and where, and noise that goes on for hours."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt
import polars as pl

from collector.model.units import HOUR_NS

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]
Bools = npt.NDArray[np.bool_]
ZONE = "Europe/Berlin"
START_NS = 1_777_852_800_000_000_000
"""2026-05-04 00:00 UTC, a Monday; no clocks change in the eight weeks that follow."""
WEEKS, QUIET_WEEKS = 8, 4
"""Incidents are planted, and alarms counted, after the quiet weeks."""
HOURS, FIRST = WEEKS * 168, QUIET_WEEKS * 168
SERIES, QUEUES = 60, 10
_APART_H = 48
_TRIES = 80


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
    loads: list[str]
    """What kind of load each series has."""
    runs: Floats
    failed: Floats
    attempts: Floats
    retried: Floats
    timed: Floats
    """Runs with a duration."""
    histogram: pl.DataFrame
    """series, hour, ix, n."""
    p95: Floats
    """Of each hour's durations in ms as logarithms, NaN where there are none: what a dashboard would alarm on."""
    saturation: Floats
    """Share of each hour in which a queue is full, (queues, hours)."""
    ordinary: dict[str, Floats]
    """Failures, retries and volume as they would have been without the incidents."""
    incidents: list[Incident] = field(default_factory=list)


class Planter:
    """The chance of one *part* of a world, and where its incidents go: enough apart on a series to tell them apart."""

    def __init__(self, seed: int, part: int) -> None:
        self.rng = np.random.default_rng([1126, part, seed])
        self.incidents: list[Incident] = []
        self._taken: dict[tuple[str, int], list[tuple[int, int]]] = {}

    def times(self, often: float) -> int:
        """Return *often* rounded up or down by chance, so that it is the mean."""
        return int(often) + int(self.rng.random() < often % 1)

    def choose(self, metric: str, length: int, n: Floats, least: float, among: Ints | None = None) -> slice | None:
        """Return the hours of a place with at least *least* trials of *n* in them, and keep its series in `series`."""
        for _ in range(_TRIES):
            s = int(self.rng.integers(n.shape[0])) if among is None else int(self.rng.choice(among))
            begin = int(self.rng.integers(FIRST + 6, HOURS - length - 3))
            if n[s, begin : begin + length].sum() >= least and self.take(metric, s, begin, begin + length):
                self.series = s
                return slice(begin, begin + length)
        return None

    def take(self, metric: str, s: int, begin: int, to: int) -> bool:
        """Return whether the place is free, and take it."""
        taken = self._taken.setdefault((metric, s), [])
        if any(begin < t + _APART_H and f < to + _APART_H for f, t in taken):
            return False
        taken.append((begin, to))
        return True

    def label(self, metric: str, direction: str, kind: str, s: int, span: slice, excess: float) -> None:
        """Keep what was planted."""
        self.incidents.append(Incident(metric, direction, kind, s, span.start, span.stop, excess))


def clock() -> tuple[Ints, Ints, Ints]:
    """Return the local hour of day, day of week (Monday 0) and day since the start of each hour."""
    utc = pl.Series(START_NS + np.arange(HOURS) * HOUR_NS).cast(pl.Datetime("ns", "UTC"))
    local = utc.dt.convert_time_zone(ZONE)
    day = local.dt.date().to_physical().to_numpy()
    return local.dt.hour().to_numpy().astype(np.int64), local.dt.weekday().to_numpy() - 1, (day - day[0])


def wander(rng: np.random.Generator, sd: Floats, hold: Floats) -> Floats:
    """Return Ornstein-Uhlenbeck paths by hour, (rows, hours): standard deviation *sd*, autocorrelation *hold*."""
    steps = rng.standard_normal((sd.size, HOURS)) * np.sqrt(1 - hold**2)[:, None]
    out = np.empty_like(steps)
    now = rng.standard_normal(sd.size)
    for h in range(HOURS):
        now = hold * now + steps[:, h]
        out[:, h] = now
    return out * sd[:, None]


def switches(rng: np.random.Generator, enter: Floats, leave: Floats) -> Bools:
    """Return a two-state Markov chain by hour, (rows, hours), with the chances to *enter* and to *leave* an hour."""
    chance = rng.random((enter.size, HOURS))
    out = np.zeros((enter.size, HOURS), dtype=bool)
    now = np.zeros(enter.size, dtype=bool)
    for h in range(HOURS):
        now = np.where(now, chance[:, h] >= leave, chance[:, h] < enter)
        out[:, h] = now
    return out


def log_uniform(rng: np.random.Generator, low: float, high: float, size: int) -> Floats:
    """Return *size* numbers whose logarithms are uniform."""
    out: Floats = np.exp(rng.uniform(np.log(low), np.log(high), size))
    return out
