"""The rows of tests: every window of a period, in both directions, with what it was compared with.

Shared by shares and arrivals. Both give what is expected by hour on one or more clocks, and a law that says how much
counts scatter; the rest is here.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt
import polars as pl

from collector.analyse.anomalies import tails
from collector.analyse.anomalies.cube import DAY_H, Bools, Cube, Ints, windows
from collector.analyse.anomalies.options import Options
from collector.analyse.anomalies.tails import Floats
from collector.model.units import HOUR_NS

_NOTEWORTHY = 4.0
"""Standard deviations, by a scatter that may hold incidents, below which hardly any window fires."""
_TOGETHER = 32_768
"""Windows that become rows at a time."""
TESTS = pl.Schema(
    {
        "series": pl.String,
        "metric": pl.String,
        "direction": pl.String,
        "window_h": pl.Int64,
        "from_ns": pl.Int64,
        "to_ns": pl.Int64,
        "n": pl.Int64,
        "x": pl.Int64,
        "p0": pl.Float64,
        "expected": pl.Float64,
        "low": pl.Float64,
        "high": pl.Float64,
        "p": pl.Float64,
        "excess_inside": pl.Float64,
        "usual_days": pl.Int64,
        "is_level": pl.Boolean,
        "eligible": pl.Boolean,
        "reason": pl.String,
    }
)
"""`direction`: up or down; `n`, `x`: trials and hits of the window (arrivals: n = x); `p0`: expected share (arrivals:
NULL); `expected`: hits expected; `low`, `high`: where the hits of 95 % of such windows lie; `p`: mid-p tail
probability; `excess_inside`: by how much the hits of the period alone are beyond expectation, in the test's direction
(a window may reach back before the period); `usual_days`: on how many days of the baseline as much was seen;
`is_level`: the window is all that followed the beginning of a new level; `reason`: why it is not eligible."""

GAP = "no telemetry in part of the window"
_TOO_NEW = "too little history"


@dataclass(frozen=True)
class Counts:
    """Trials *n* and hits *x* of windows, how many hits are expected and how they scatter; arrays (series, windows)."""

    n: Floats
    x: Floats
    expected: Floats
    scatter: Floats
    """As `Law.scatter` gives it."""

    def ending(self, columns: slice) -> Counts:
        """Return the counts of the windows that end at *columns*."""
        return Counts(*(v[:, columns] for v in (self.n, self.x, self.expected, self.scatter)))

    def some(self, part: slice) -> Counts:
        """Return the counts of a *part* of the series."""
        return Counts(self.n[part], self.x[part], self.expected[part], self.scatter[part])


@dataclass(frozen=True)
class Windows:
    """Windows of some series, to be told as rows; arrays are (series, windows) or broadcast to it."""

    series: Ints
    """Index of each series in the cube."""
    from_ns: Ints
    to_ns: Ints
    counts: Counts
    variance: Floats
    tails: tuple[Floats, Floats]
    inside: Floats
    """By how much the hits of the period alone are above expectation."""
    usual: Floats
    """How unusual each day of history was (see `_usual`), for every series of the cube."""
    has_gap: Bools
    length_h: int = 0
    """Of each, 0 for levels."""

    @property
    def is_level(self) -> bool:
        """Return whether they are all that followed the beginning of a level."""
        return not self.length_h

    def parts(self) -> Iterator[Windows]:
        """Yield these windows, of so many series at a time that their rows are no more than a few MiB."""
        step = max(1, _TOGETHER // max(1, self.counts.n.shape[1]))
        for at in range(0, self.series.size, step):
            part = slice(at, at + step)
            yield replace(
                self,
                series=self.series[part],
                counts=self.counts.some(part),
                variance=self.variance[part],
                tails=(self.tails[0][part], self.tails[1][part]),
                inside=self.inside[part],
            )


@dataclass(frozen=True)
class Fitted:
    """Counts with what was to be expected of them."""

    cube: Cube
    expected: Floats
    """Hits by hour, (clocks, series, hours)."""
    law: Law
    used: Bools
    """Which hours of history (series, hours) the baseline is made of."""
    levels: Ints
    """The hour at which a new level began that this period is the first to call so, -1 for none."""
    directions: Sequence[str]
    earlier: Floats
    """The same as it was before the level that there was when the period began."""
    returns: Sequence[str] = ()
    """Directions in which it is no news that all is again as it was before that level."""

    def due(self, direction: str) -> Floats:
        """Return the hits by hour, (clocks, series, hours), that a deviation in *direction* has to be beyond: each."""
        return np.concatenate([self.expected, self.earlier]) if direction in self.returns else self.expected


class Law(Protocol):
    """How counts scatter."""

    @property
    def is_share(self) -> bool:
        """Return whether hits are a share of trials."""

    @property
    def windows_h(self) -> Sequence[int]:
        """Return the lengths of the windows tested."""

    @property
    def least_history_days(self) -> float:
        """Return for how many days a series must have been seen."""

    def margin(self, length: int) -> float:
        """Return how many times as unusual as any day of the baseline a window of *length* hours has to be."""

    def scatter(self, length: int, direction: str) -> Floats:
        """Return the overdispersion of windows of *length* hours by where they end: (series, hours) or (series, 1)."""

    def variance(self, counts: Counts) -> Floats:
        """Return the variance of the hits."""

    def tails(self, counts: Counts) -> tuple[Floats, Floats]:
        """Return the lower and the upper mid-p tail."""

    def unusual(self, counts: Counts) -> Floats:
        """Return by how many standard deviations the hits are above what is expected."""

    def too_few(self, counts: Counts, direction: str) -> tuple[Bools, str]:
        """Return which windows could not show anything that matters, and why."""


def build(fitted: Fitted, options: Options) -> Iterator[pl.DataFrame]:
    """Yield rows of `TESTS` for every window of the period, and one for each new level.

    Of one length and direction, and some series, at a time.
    """
    for length in fitted.law.windows_h:
        yield from _windows(fitted, length, options)
    for direction in fitted.directions:
        yield _levels(fitted, direction, options)


def noteworthy(fitted: Fitted, options: Options) -> pl.DataFrame:
    """Return the keys of the series of which any window of the history is far from what was expected."""
    is_noteworthy = np.zeros(fitted.cube.keys.height, dtype=bool)
    for length in fitted.law.windows_h:
        for direction, sign in (("up", 1), ("down", -1)):
            counts = _counts(fitted, length, direction)
            unusual = sign * fitted.law.unusual(counts)[:, : fitted.cube.period]
            is_noteworthy |= unusual.max(axis=1, initial=0.0) >= _NOTEWORTHY
    return fitted.cube.keys.filter(pl.Series(is_noteworthy, dtype=pl.Boolean))


def _counts(fitted: Fitted, length: int, direction: str) -> Counts:
    """Return the counts of the windows of *length* hours, by where they end."""
    n, x, sums = (windows(v, length) for v in (fitted.cube.n, fitted.cube.x, fitted.due(direction)))
    scatter = np.broadcast_to(fitted.law.scatter(length, direction), n.shape)
    return Counts(n, x, _fairest(sums, direction), scatter)


def _windows(fitted: Fitted, length: int, options: Options) -> Iterator[pl.DataFrame]:
    cube, law = fitted.cube, fitted.law
    columns = slice(cube.period, cube.hours_ns.size)
    ends_ns = cube.hours_ns[columns] + HOUR_NS
    for i, direction in enumerate(fitted.directions):
        # On one clock shares expect and scatter the same in both directions.
        if not i or len(cube.clocks) > 1 or not law.is_share or fitted.returns:
            counts = _counts(fitted, length, direction)
            judged = counts.ending(columns)
            variance, tails_ = law.variance(judged), law.tails(judged)
            unusual = law.unusual(counts)
        tested = Windows(
            np.arange(cube.keys.height),
            ends_ns - length * HOUR_NS,
            ends_ns,
            judged,
            variance,
            tails_,
            inside=_inside(cube.x[:, columns], length)
            - _fairest(_inside(fitted.due(direction)[..., columns], length), direction),
            usual=_usual(cube, unusual, fitted.used, direction, length),
            has_gap=windows((~cube.is_known).astype(np.float64), length)[columns] > 0,
            length_h=length,
        )
        for part in tested.parts():
            yield _frame(cube, law, part, direction, options)


def _inside(values: Floats, length: int) -> Floats:
    """Return the sums of windows of *length* hours, of the hours of the period alone; *values* are of it."""
    running = np.cumsum(values, axis=-1)
    since = np.arange(values.shape[-1]) - length
    out: Floats = running - np.where(since >= 0, running[..., np.maximum(since, 0)], 0.0)
    return out


def _levels(fitted: Fitted, direction: str, options: Options) -> pl.DataFrame:
    """Return a row for each new level: the window from its beginning to the end of the period."""
    cube, law, expected, levels = fitted.cube, fitted.law, fitted.due(direction), fitted.levels
    series = np.flatnonzero(levels >= 0)
    after = np.arange(cube.hours_ns.size) >= levels[series, None]
    n, x = ((v[series] * after).sum(axis=1, keepdims=True) for v in (cube.n, cube.x))
    e = _fairest((expected[:, series] * after).sum(axis=2, keepdims=True), direction)
    counts = Counts(n, x, e, np.broadcast_to(law.scatter(max(law.windows_h), direction), cube.n.shape)[series, -1:])
    lasting = Windows(
        series,
        cube.hours_ns[levels[series]][:, None],
        cube.hours_ns[-1:] + HOUR_NS,
        counts,
        law.variance(counts),
        law.tails(counts),
        inside=x - e,
        usual=np.full((cube.keys.height, 1), -np.inf),
        has_gap=np.zeros(1, dtype=bool),
    )
    return _frame(cube, law, lasting, direction, options)


def _fairest(expected: Floats, direction: str) -> Floats:
    """Return what the clock says that is nearest to a deviation in *direction*: unusual means unusual on each clock."""
    out: Floats = expected.max(axis=0) if direction == "up" else expected.min(axis=0)
    return out


def _usual(cube: Cube, unusual: Floats, used: Bools, direction: str, length: int) -> Floats:
    """Return how unusual, in standard deviations, each day of history was at its most unusual: series by days.

    By windows of *length* hours that lie in the baseline as a whole.
    """
    history = slice(0, cube.period)
    z = unusual[:, history] if direction == "up" else -unusual[:, history]
    is_whole = windows((~(used & cube.is_known)).astype(np.float64), length)[:, history] == 0
    z = np.where(is_whole, z, -np.inf)
    out: Floats = z.reshape(z.shape[0], -1, DAY_H).max(axis=2)
    return out


def _frame(cube: Cube, law: Law, tested: Windows, direction: str, options: Options) -> pl.DataFrame:
    """Return rows of `TESTS` for the windows *tested*."""
    is_up = direction == "up"
    n, x, e = tested.counts.n, tested.counts.x, tested.counts.expected
    lower, upper = tested.tails
    low, high = tails.count_range(e, tested.variance)
    few, why = law.too_few(tested.counts, direction)
    is_new = (cube.period - cube.first_seen[tested.series] < law.least_history_days * DAY_H)[:, None]
    z = law.unusual(tested.counts) * (1 if is_up else -1)

    def flat(values: npt.NDArray[Any]) -> npt.NDArray[Any]:
        return np.broadcast_to(values, x.shape).reshape(-1)

    frame = pl.DataFrame(
        {
            "row": flat(tested.series[:, None]),
            "window_h": flat((tested.to_ns - tested.from_ns) // HOUR_NS),
            "from_ns": flat(tested.from_ns),
            "to_ns": flat(tested.to_ns),
            "n": flat(n),
            "x": flat(x),
            "p0": flat(e / np.maximum(n, 1)),
            "expected": flat(e),
            "low": flat(low),
            "high": flat(np.minimum(high, n) if law.is_share else high),
            "p": flat(upper if is_up else lower),
            "excess_inside": flat(tested.inside if is_up else -tested.inside),
            "usual_days": flat(
                (tested.usual[tested.series, None, :] * law.margin(tested.length_h) >= z[:, :, None]).sum(axis=2)
            ),
            "few": flat(few),
            "gap": flat(tested.has_gap),
            "new": flat(is_new),
        }
    )
    reason = (
        pl.when("gap")
        .then(pl.lit(GAP))
        .when("new")
        .then(pl.lit(_TOO_NEW))
        .when("few")
        .then(pl.lit(why))
        .otherwise(None)
    )
    return (
        cube.keys[frame["row"]]
        .hstack(frame.drop("row"))
        .with_columns(
            direction=pl.lit(direction),
            is_level=pl.lit(tested.is_level),
            reason=reason,
            eligible=reason.is_null(),
            p0=pl.col("p0") if law.is_share else pl.lit(None, pl.Float64),
        )
        .select(pl.col(name).cast(kind) for name, kind in TESTS.items())
    )
