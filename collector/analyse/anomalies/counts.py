"""Tests of shares and arrivals, and the decision over all of them.

For each series and each window of 1, 6 and 24 hours that ends in the period: hits of trials against the baseline, by
the tail of the beta-binomial (arrivals: `volume`) on the side on which they lie. `decide` then controls the false
discovery rate over all tests of a report, because a report makes thousands of them, and asks for an effect that
matters.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import ClassVar

import numpy as np
import polars as pl

from collector.analyse.anomalies import baseline, events, levels, rows, tails, told, volume
from collector.analyse.anomalies.cube import KEY, Bools, Cube, Period, cube
from collector.analyse.anomalies.options import FAST, RETRIES, SLOW, VOLUME, Options
from collector.analyse.anomalies.rows import Counts, Fitted
from collector.analyse.anomalies.tails import Floats
from collector.model.units import DAY_NS

_FAMILY = ["series", "metric", "direction"]
_IS_VOLUME = pl.col("metric") == VOLUME
_IS_PACE = pl.col("metric").is_in([SLOW, FAST])


def tests(counts: pl.DataFrame, period: Period, options: Options | None = None) -> pl.DataFrame:
    """Return one row of `rows.TESTS` per series, metric, window and direction, and one per new level.

    *counts*: series, metric, hour_ns (UTC hours), n trials, x hits; about `history_days` before *period*. Rows of the
    metric `volume` count arrivals (n = x) and are tested as such; `slow` and `fast` only upwards. Raises ValueError
    for an empty period or an unknown zone.
    """
    return pl.concat(parts(counts, period, options))


def parts(counts: pl.DataFrame, period: Period, options: Options | None = None) -> Iterator[pl.DataFrame]:
    """Yield the rows of `tests`, of one length and direction, and some series, at a time; first none."""
    options = options or Options()
    if period.told is None:
        period = replace(period, told=told_before(counts, period, options))
    yield rows.TESTS.to_frame()
    for fitted in _fitted(counts, period, options):
        yield from rows.build(fitted, options)


def told_before(
    counts: pl.DataFrame,
    period: Period,
    options: Options,
    known: pl.DataFrame | None = None,
    known_ns: int | None = None,
) -> pl.DataFrame:
    """Return what reports of the days before *period* told, or would have told: rows of `told.TOLD`.

    *known*: what is known of the days until *known_ns*. The others are judged here, a day after the other, each with
    what the days before it told; of them those series alone that anything in the history is noteworthy of.
    """
    out = told.TOLD.to_frame() if known is None else known
    days = told.days_before(period.from_ns, known_ns, options)
    if not days:
        return out
    every = list(_fitted(counts, replace(period, told=out), options))
    some = counts.join(pl.concat([rows.noteworthy(f, options) for f in every]), on=KEY, how="semi") if every else counts
    hypotheses = sum(f.cube.keys.height * len(f.directions) for f in every)
    for from_ns in days:
        day = replace(period, from_ns=from_ns, to_ns=from_ns + DAY_NS, told=out)
        tested = ranked(tests(some.filter(pl.col("hour_ns") < day.to_ns), day, options))
        judged = gate(with_q(tested, options.q, of=hypotheses), options)
        out = told.add(out, events.merge(judged, options))
    return out


def _fitted(counts: pl.DataFrame, period: Period, options: Options) -> Iterator[Fitted]:
    kinds = ((~_IS_VOLUME & ~_IS_PACE, ("up", "down")), (_IS_PACE, ("up",)))
    for of_kind, directions in kinds:
        if not (shares := cube(counts.filter(of_kind), period, options)).keys.is_empty():
            yield _fit(shares, options, directions)
    if not (arrivals := cube(counts.filter(_IS_VOLUME), period, options)).keys.is_empty():
        yield volume.fit(arrivals, options)


def decide(tests: pl.DataFrame, options: Options | None = None) -> pl.DataFrame:
    """Return *tests* with q and fires: what is reported.

    q: false discovery rate at which the test is still rejected, over all eligible tests given (NULL for the others):
    give all tests of a report at once. Windows of one series overlap, so that one incident makes dozens of small p;
    counted singly they would loosen the rate for everything else. So the tests of a series, metric and direction are
    one hypothesis (R. J. Simes, 1986), and within it a test is judged at the rate times the share of hypotheses that
    were rejected (Y. Benjamini and M. Bogomolov, 2014). fires: q at most `Options.q`, and an effect beyond every gate
    (see `gate`).
    """
    options = options or Options()
    return gate(with_q(ranked(tests), options.q), options)


def ranked(tests: pl.DataFrame, sizes: pl.DataFrame | None = None) -> pl.DataFrame:
    """Return *tests* with within: the q of an eligible test among those of its series, metric and direction.

    *sizes*: how many eligible `tests` each of those has, where only those with a small p are given; what is within that
    p is right.
    """
    numbered = tests.with_row_index("at")
    eligible = numbered.filter("eligible")
    if sizes is None:
        sizes = eligible.group_by(_FAMILY).agg(tests=pl.len())
    within = (
        eligible.join(sizes, on=_FAMILY, how="left")
        .sort("p", "at")
        .with_columns(scaled=(pl.col("p") * pl.col("tests") / pl.int_range(1, pl.len() + 1).over(_FAMILY)).clip(0, 1))
        .select("at", within=pl.col("scaled").reverse().cum_min().reverse().over(_FAMILY))
    )
    return numbered.join(within, on="at", how="left", maintain_order="left").drop("at")


def families(ranked: pl.DataFrame, sizes: pl.DataFrame | None = None) -> pl.DataFrame:
    """Return the hypotheses of *ranked* tests: series, metric, direction, simes (the least `within` of its tests).

    *sizes*: as `ranked` takes it; it names those as well of which no test is given, and stays beside the others.
    """
    known = ranked.filter("eligible").group_by(_FAMILY).agg(simes=pl.col("within").min())
    if sizes is None:
        return known
    return sizes.join(known, on=_FAMILY, how="left").with_columns(pl.col("simes").fill_null(1.0))


def with_q(ranked: pl.DataFrame, level: float, every: pl.DataFrame | None = None, of: int = 0) -> pl.DataFrame:
    """Return *ranked* tests with q; *level*: at which rate hypotheses count as rejected.

    *every*: `families` of all tests, where those given are not all; *of*: of how many hypotheses these are, where those
    left out show nothing.
    """
    every = (families(ranked) if every is None else every).sort(_FAMILY)
    of_family = tails.benjamini_hochberg(every["simes"].to_numpy(), of)
    rejected = max(int((of_family <= level).sum()), 1)
    judged = ranked.join(every.select(*_FAMILY, of_family=of_family), on=_FAMILY, how="left", maintain_order="left")
    q = pl.max_horizontal("of_family", (pl.col("within") * (max(every.height, of) / rejected)).clip(0, 1))
    return judged.with_columns(q=pl.when("eligible").then(q)).drop("within", "of_family")


def gate(judged: pl.DataFrame, options: Options) -> pl.DataFrame:
    """Return *judged* (tests with their q) with fires, by the gates of *options*."""
    x, expected = pl.col("x").cast(pl.Float64), pl.col("expected")
    excess = pl.when(pl.col("direction") == "up").then(x - expected).otherwise(expected - x)
    more, less = pl.max_horizontal(x, expected), pl.min_horizontal(x, expected)
    points = (
        pl.when((pl.col("n") >= options.many_n) & (pl.col("direction") == "up"))
        .then(options.many_difference)
        .otherwise(options.least_difference)
    )
    rate = pl.when(pl.col("metric") == RETRIES).then(options.retries_q).otherwise(options.q)
    fires = (
        pl.col("eligible")
        & (pl.col("q") <= _least(options.volume_q, options.pace_q, rate))
        & (pl.col("usual_days") <= options.usual_days)
        & (excess >= _least(options.volume_least_excess, options.least_excess, options.least_excess))
        & (more >= _least(options.volume_least_ratio, options.pace_ratio, options.least_ratio) * less)
        & (excess >= _least(0.0, options.pace_difference, points) * pl.col("n"))
        & (pl.col("excess_inside") >= excess * options.least_inside)
    )
    return judged.with_columns(fires=fires.fill_null(False))


def _least(of_volume: float, of_pace: float, of_others: float | pl.Expr) -> pl.Expr:
    return pl.when(_IS_VOLUME).then(of_volume).when(_IS_PACE).then(of_pace).otherwise(of_others)


@dataclass(frozen=True)
class _ShareLaw:
    """Beta-binomial: the hits of a window scatter more than binomial, and the baseline is not known exactly."""

    rho: dict[int, Floats]
    support: Floats
    options: Options
    is_share: ClassVar[bool] = True

    @property
    def windows_h(self) -> Sequence[int]:
        """Return the lengths of the windows tested."""
        return self.options.windows_h

    @property
    def least_history_days(self) -> float:
        """Return for how many days a series must have been seen."""
        return self.options.least_history_days

    def margin(self, length: int) -> float:
        """Return how many times as unusual as any day of the baseline."""
        return self.options.usual_margin

    def scatter(self, length: int, direction: str) -> Floats:
        """Return rho by (series, hours): of the hits, and of what the baseline itself rests on."""
        longest = max(k for k in self.rho if k <= max(length, min(self.rho)))
        trials = self.support * max(1.0, min(length, 24) / 3)
        return np.minimum(self.rho[longest][:, None] + 1 / (trials + 1), 0.9)

    def variance(self, counts: Counts) -> Floats:
        """Return n p (1 - p) (1 + (n - 1) rho)."""
        share = _share(counts)
        out: Floats = counts.n * share * (1 - share) * (1 + np.maximum(counts.n - 1, 0) * counts.scatter)
        return out

    def tails(self, counts: Counts) -> tuple[Floats, Floats]:
        """Return the beta-binomial tails."""
        return tails.beta_binomial(counts.x, counts.n, _share(counts), counts.scatter)

    def unusual(self, counts: Counts) -> Floats:
        """Return the distance in standard deviations, of which one is at least one hit."""
        out: Floats = (counts.x - counts.expected) / np.sqrt(self.variance(counts) + 1.0)
        return out

    def too_few(self, counts: Counts, direction: str) -> tuple[Bools, str]:
        """Return where even all hits (or none) would not be enough to matter."""
        most = counts.n - counts.expected if direction == "up" else counts.expected
        return (counts.n < self.options.least_n) | (most < self.options.least_excess), "too few in the window"


def _share(counts: Counts) -> Floats:
    return np.clip(counts.expected / np.maximum(counts.n, 1), 1e-6, 1 - 1e-6)


def _fit(cube: Cube, options: Options, directions: Sequence[str]) -> Fitted:
    """Return the shares of *cube* with what was to be expected of them."""
    everything = cube.is_known & ~cube.is_told
    first = baseline.of_shares(cube, everything, options)
    level = levels.split(cube, first.hourly(cube.clocks, first.share) * cube.n, options)
    used = level.used(everything)
    second = baseline.of_shares(cube, used, options)
    expected = second.hourly(cube.clocks, second.share) * cube.n
    support = second.hourly(cube.clocks, second.support)[0]
    law = _ShareLaw(baseline.dispersions(cube, expected[0], used, options), support, options)
    past = baseline.of_shares(cube, level.until_before(everything), options)
    earlier = np.where((level.before >= 0)[:, None], past.hourly(cube.clocks, past.share) * cube.n, expected)
    return Fitted(cube, expected, law, used, level.new, directions, earlier, returns=("down",))
