"""What tests of hourly counts must have in common, whatever their thresholds are."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import polars as pl
import pytest
from hourly import FROM_NS, HISTORY, HOURS, NOTHING, START_NS, TO_NS, noisy, rows
from hypothesis import given, settings
from hypothesis import strategies as st
from polars.testing import assert_frame_equal

from collector.analyse.anomalies import counts, events
from collector.analyse.anomalies.cube import Period
from collector.analyse.anomalies.options import Options
from collector.analyse.anomalies.rows import TESTS
from collector.model.units import HOUR_NS
from tests.length import examples

KEY = ["series", "metric", "direction", "window_h", "from_ns", "is_level"]
WINDOW = ["direction", "window_h", "from_ns"]


def judged(frame: pl.DataFrame, **options: object) -> pl.DataFrame:
    """Return the tests of the day after the history, decided."""
    chosen = replace(Options(), **options)  # type: ignore[arg-type]
    made = counts.tests(frame, Period(FROM_NS, TO_NS, "Europe/Berlin", told=NOTHING), chosen)
    return counts.decide(made, chosen)


def some(seed: int) -> pl.DataFrame:
    """Return three series of failures and one of arrivals, one of them with a burst in the period."""
    frames = [rows(f"s{k}", "failures", *noisy(seed + k)) for k in range(2)]
    n, x = noisy(seed + 9)
    x[HISTORY + 7 : HISTORY + 10] = n[HISTORY + 7 : HISTORY + 10] // 2
    arrivals = noisy(seed + 5)[0]
    return pl.concat([*frames, rows("burst", "failures", n, x), rows("s0", "volume", arrivals, arrivals)])


def test_a_burst_is_found_where_it_is_and_nothing_else_is() -> None:
    """Half of three hours' runs failing, of 5 % before, is one event of its series that lies over these hours."""
    raised = events.merge(judged(some(3)))
    assert raised.select("series", "metric", "direction").rows() == [("burst", "failures", "up")]
    event = raised.row(0, named=True)
    assert event["from_ns"] < FROM_NS + 10 * HOUR_NS
    assert event["to_ns"] > FROM_NS + 7 * HOUR_NS
    assert event["x"] > event["high"] >= event["expected"] >= event["low"]
    assert event["q"] <= Options().q
    assert event["excess"] == pytest.approx(event["x"] - event["expected"])


@settings(max_examples=examples(10), deadline=None)
@given(st.randoms(use_true_random=False), st.integers(0, 100))
def test_the_order_of_rows_is_irrelevant(random: object, seed: int) -> None:
    """Any permutation of the counts, also with an hour's count split in two rows, gives the same tests."""
    frame = some(seed)
    order = np.random.default_rng(seed).permutation(frame.height)
    one = frame.with_columns(n=pl.col("n") - pl.col("x"), x=pl.lit(0, pl.Int64)).filter(pl.col("metric") == "failures")
    two = frame.with_columns(n=pl.col("x")).filter(pl.col("metric") == "failures")
    split = pl.concat([one, two, frame.filter(pl.col("metric") == "volume")])
    for other in (frame[order.tolist()], split):
        assert_frame_equal(judged(other), judged(frame))


@settings(max_examples=examples(8), deadline=None)
@given(st.integers(0, 1_000), st.integers(0, 60))
def test_an_unrelated_series_changes_only_q(seed: int, failing: int) -> None:
    """A series of another metric leaves every number of the others as it was, but their false discovery rate."""
    alone = judged(some(seed))
    n, x = noisy(seed + 77)
    x[-5:] = np.minimum(n[-5:], failing)
    beside = judged(pl.concat([some(seed), rows("other", "retries", n, x)])).filter(pl.col("metric") != "retries")
    assert_frame_equal(alone.drop("q", "fires").sort(KEY), beside.drop("q", "fires").sort(KEY))


@settings(max_examples=examples(15), deadline=None)
@given(st.integers(1, 500), st.floats(0, 1), st.sampled_from(["failures", "retries", "slow", "volume"]))
def test_nothing_fires_on_a_constant_series(n: int, share: float, metric: str) -> None:
    """The same count in every hour is what was expected."""
    x = n if metric == "volume" else round(n * share)
    assert not judged(rows("constant", metric, n, x))["fires"].any()


@settings(max_examples=examples(10), deadline=None)
@given(st.integers(0, 1_000), st.integers(0, 40))
def test_both_directions_are_symmetric(seed: int, changed: int) -> None:
    """More hits are tested exactly as fewer misses are."""
    n, x = noisy(seed, share=0.3)
    x[-6:] = np.minimum(n[-6:], changed)
    hits = judged(rows("a", "failures", n, x), level_evidence=1e9)
    misses = judged(rows("a", "failures", n, n - x), level_evidence=1e9)
    for one, other in (("up", "down"), ("down", "up")):
        left = hits.filter(pl.col("direction") == one, ~pl.col("is_level")).sort(WINDOW)
        right = misses.filter(pl.col("direction") == other, ~pl.col("is_level")).sort(WINDOW)
        assert np.allclose(left["p"], right["p"], rtol=1e-6, atol=1e-12)
        assert left["eligible"].to_list() == right["eligible"].to_list()


@settings(max_examples=examples(10), deadline=None)
@given(st.integers(0, 1_000), st.integers(0, 23), st.sampled_from(["failures", "volume"]))
def test_more_hits_are_never_less_unusual(seed: int, hour: int, metric: str) -> None:
    """One more hit in an hour of the period never makes a test upwards less significant, nor one downwards more."""
    n, x = noisy(seed)
    more = x.copy()
    more[HISTORY + hour] += 1
    frames = [rows("a", metric, v if metric == "volume" else n + 1, v) for v in (x, more)]
    before, after = (judged(f, level_evidence=1e9).sort(WINDOW) for f in frames)
    up = (before["direction"] == "up").to_numpy()
    change = (after["p"] - before["p"]).to_numpy()
    assert (change[up] <= 1e-12).all()
    assert (change[~up] >= -1e-12).all()


def test_what_cannot_be_judged_says_why() -> None:
    """A gap, too little history and too few trials are reasons, not passes; a series that is not judged has no q."""
    frame = pl.concat(
        [
            some(1),
            rows("new", "failures", np.where(np.arange(HOURS) < HISTORY - 30, 0, 50), 2),
            rows("sparse", "failures", np.where(np.arange(HOURS) % 24 == 0, 2, 0), 1),
        ]
    )
    gap = (FROM_NS + 5 * HOUR_NS, FROM_NS + 6 * HOUR_NS)
    made = counts.tests(frame, Period(FROM_NS, TO_NS, "UTC", [gap], told=NOTHING))
    assert made.schema == TESTS
    touches = (pl.col("from_ns") < gap[1]) & (pl.col("to_ns") > gap[0])
    assert made.filter(touches)["reason"].unique().to_list() == ["no telemetry in part of the window"]
    rest = made.filter(~touches)
    assert rest.filter(pl.col("series") == "new")["reason"].unique().to_list() == ["too little history"]
    assert rest.filter(pl.col("series") == "sparse")["reason"].unique().to_list() == ["too few in the window"]
    assert rest.filter(pl.col("series") == "s1", pl.col("direction") == "up", pl.col("window_h") == 6)["eligible"].all()
    decided = counts.decide(made)
    assert decided.filter(~pl.col("eligible"))["q"].null_count() == decided.filter(~pl.col("eligible")).height
    assert not decided.filter(~pl.col("eligible"))["fires"].any()


def test_a_gap_in_the_period_hides_no_failures_outside_it_and_makes_no_drop() -> None:
    """Hours without telemetry are neither a drop of arrivals nor part of the baseline."""
    arrivals = np.full(HOURS, 50)
    arrivals[HISTORY + 3 : HISTORY + 9] = 0
    arrivals[100:160] = 0
    frame = rows("a", "volume", arrivals, arrivals)
    spans = [(100, 160), (HISTORY + 3, HISTORY + 9)]
    gaps = [(START_NS + a * HOUR_NS, START_NS + b * HOUR_NS) for a, b in spans]
    made = counts.tests(frame, Period(FROM_NS, TO_NS, "UTC", gaps, told=NOTHING))
    assert not counts.decide(made)["fires"].any()
    assert made.filter("eligible", pl.col("window_h") == 1)["expected"].min() == pytest.approx(50, abs=0.5)
    arrivals[100:160] = 50
    stopped = rows("a", "volume", arrivals, arrivals)
    assert counts.decide(counts.tests(stopped, Period(FROM_NS, TO_NS, "UTC", told=NOTHING)))["fires"].any()


def test_what_happens_every_other_day_is_usual() -> None:
    """A burst as it came on many days of the baseline is not reported."""
    n, x = noisy(8)
    x[12::48] = n[12::48] // 2
    x[HISTORY + 12] = n[HISTORY + 12] // 2
    assert not judged(rows("flaky", "failures", n, x))["fires"].any()


@pytest.mark.parametrize(
    ("period", "said"),
    [
        (Period(FROM_NS, FROM_NS, "UTC", told=NOTHING), "the period is empty"),
        (Period(FROM_NS, TO_NS, "Europe/Nowhere", told=NOTHING), "zone 'Europe/Nowhere' is not known"),
    ],
)
def test_a_wrong_period_or_zone_is_named(period: Period, said: str) -> None:
    """Bad arguments are refused in one sentence."""
    with pytest.raises(ValueError, match=said):
        counts.tests(some(1), period)


def test_nothing_in_gives_nothing_out() -> None:
    """No counts give no tests, no decision and no events, in the same columns."""
    made = counts.tests(some(1).clear(), Period(FROM_NS, TO_NS, "UTC", told=NOTHING))
    assert made.is_empty()
    assert made.schema == TESTS
    assert events.merge(counts.decide(made)).schema == events.EVENTS


def test_late_records_are_judged_once() -> None:
    """What arrives after its report is found by the next one, which begins at its hour, and not by the one after."""
    n, x = noisy(3, hours=HOURS + 48)
    x[HISTORY + 20 : HISTORY + 23] = n[HISTORY + 20 : HISTORY + 23] // 2
    frame = rows("a", "failures", n, x)
    late = pl.col("hour_ns").is_between(FROM_NS + 20 * HOUR_NS, FROM_NS + 22 * HOUR_NS)
    day = 24 * HOUR_NS

    def report(seen: pl.DataFrame, from_ns: int, to_ns: int) -> pl.DataFrame:
        seen = seen.filter(pl.col("hour_ns") < to_ns)
        return events.merge(counts.decide(counts.tests(seen, Period(from_ns, to_ns, "UTC", told=NOTHING))))

    assert report(frame.filter(~late), FROM_NS, FROM_NS + day).is_empty()
    raised = report(frame, FROM_NS + 20 * HOUR_NS, FROM_NS + 2 * day)
    assert raised.select("series", "direction").rows() == [("a", "up")]
    assert report(frame, FROM_NS + 2 * day, FROM_NS + 3 * day).is_empty()


@settings(max_examples=examples(10), deadline=None)
@given(st.integers(1, 24))
def test_a_window_may_be_longer_than_the_period(hours: int) -> None:
    """A report of a few hours judges windows that reach back before it, but only what its own hours add to them."""
    n, x = noisy(3)
    x[HISTORY - 4 : HISTORY] = n[HISTORY - 4 : HISTORY] // 2
    frame = rows("a", "failures", n, x)
    made = counts.tests(frame, Period(FROM_NS, FROM_NS + hours * HOUR_NS, "UTC", told=NOTHING))
    assert made.filter(~pl.col("is_level")).height == hours * 2 * len(Options().windows_h)
    alone = made.filter(pl.col("window_h") == 1, pl.col("direction") == "up")
    assert np.allclose(alone["excess_inside"], alone["x"] - alone["expected"])
    assert not counts.decide(made)["fires"].any(), "what was before the period is not told again"
