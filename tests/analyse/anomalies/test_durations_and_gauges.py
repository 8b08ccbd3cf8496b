"""Slow-downs from histograms, and gauges against the median of their hour."""

from __future__ import annotations

import numpy as np
import polars as pl
from hourly import FROM_NS, HISTORY, HOURS, NOTHING, START_NS, TO_NS
from hypothesis import given, settings
from hypothesis import strategies as st

from collector.analyse import durations as run_durations
from collector.analyse.anomalies import counts, durations, events, gauges
from collector.analyse.anomalies.cube import Period
from collector.model.units import HOUR_NS
from tests.length import examples

PERIOD = Period(FROM_NS, TO_NS, "Europe/Berlin", told=NOTHING)


def histogram(seed: int, factor: np.ndarray | float = 1.0, per_hour: int = 30, sd: float = 0.4) -> pl.DataFrame:
    """Return hourly histograms of lognormal durations around 2 s times *factor* by hour."""
    rng = np.random.default_rng(seed)
    hour = np.repeat(np.arange(HOURS), per_hour)
    times = np.broadcast_to(np.asarray(factor, np.float64), HOURS)
    ns = np.exp(np.log(2e9) + sd * rng.standard_normal(hour.size)) * times[hour]
    frame = pl.DataFrame({"hour_ns": START_NS + hour * HOUR_NS, "value_ns": ns.astype(np.int64)})
    rows = frame.with_columns(ix=run_durations.bucket()).group_by("hour_ns", "ix").agg(n=pl.len().cast(pl.Int64))
    return rows.select(series=pl.lit("a"), hour_ns="hour_ns", ix="ix", n="n")


def exceedances(histograms: pl.DataFrame) -> pl.DataFrame:
    """Return how many durations are slow or fast against the thresholds of the same histograms."""
    return durations.exceedances(histograms, durations.thresholds(histograms, from_ns=FROM_NS))


def fired(rows: pl.DataFrame) -> list[tuple[str, int, int]]:
    """Return (metric, first hour, end hour in the period) of the events."""
    raised = events.merge(counts.decide(counts.tests(rows, PERIOD)))
    hour = [((pl.col(c) - FROM_NS) // HOUR_NS) for c in ("from_ns", "to_ns")]
    return list(raised.select("metric", *hour).rows())


@settings(max_examples=examples(12), deadline=None)
@given(st.integers(0, 100), st.floats(0.05, 1.0))
def test_exceedances_are_counted_by_their_definition(seed: int, sd: float) -> None:
    """Slow is a quarter above the bucket of the baseline's p90, fast as far below that of its p10."""
    frame = histogram(seed, per_hour=3, sd=sd)
    past = frame.filter(pl.col("hour_ns") < FROM_NS)
    every = np.sort(np.repeat(past["ix"].to_numpy(), past["n"].to_numpy()))
    p10, p90 = (every[int(np.ceil(every.size * p)) - 1] for p in (0.1, 0.9))
    margin = int(np.ceil(np.log2(1.25) * run_durations.SCALE))
    slow, fast = p90 + margin, p10 - margin
    made = exceedances(frame)
    for metric, is_out in (("slow", pl.col("ix") > slow), ("fast", pl.col("ix") < fast)):
        of_metric = made.filter(pl.col("metric") == metric)
        assert of_metric["x"].sum() == frame.filter(is_out)["n"].sum()
        assert of_metric["n"].sum() == frame["n"].sum()
        assert of_metric["hour_ns"].n_unique() == of_metric.height == frame["hour_ns"].n_unique()


def test_a_slow_down_and_a_speed_up_are_found_and_compared() -> None:
    """Runs of the period's hours 8 to 12 that take 2.5 times (0.3 times) as long are slow (fast), nothing else is."""
    for factor, metric in ((2.5, "slow"), (0.3, "fast")):
        times = np.ones(HOURS)
        times[HISTORY + 8 : HISTORY + 12] = factor
        frame = histogram(5, times)
        spans_fired = fired(exceedances(frame))
        assert [m for m, _, _ in spans_fired] == [metric]
        assert spans_fired[0][1] <= 8 and spans_fired[0][2] >= 12
        span = [{"series": "a", "from_ns": FROM_NS + 8 * HOUR_NS, "to_ns": FROM_NS + 12 * HOUR_NS}]
        spans = pl.DataFrame([*span, {"series": "b", "from_ns": FROM_NS, "to_ns": TO_NS}])
        medians = durations.compare(frame, spans)
        assert abs(medians["estimate_ns"][0] / (2e9 * factor) - 1) < 0.15
        assert medians.row(1, named=True)["n"] is None, "nothing is known of a series without durations"


def test_no_slow_down_is_made_of_what_nobody_would_notice() -> None:
    """Durations that hardly vary and become a tenth longer are not slow; a series with few durations is left out."""
    times = np.ones(HOURS)
    times[HISTORY:] = 1.1
    assert fired(exceedances(histogram(6, times, sd=0.01))) == []
    few = histogram(7).filter(pl.col("hour_ns") >= FROM_NS - 2 * HOUR_NS)
    assert exceedances(few).is_empty()


def saturation(values: np.ndarray) -> pl.DataFrame:
    """Return a queue's saturation by hour."""
    hours = START_NS + np.arange(HOURS) * HOUR_NS
    return pl.DataFrame({"series": "q", "metric": "saturation", "hour_ns": hours, "value": values})


def test_a_queue_that_is_full_for_hours_is_found_and_for_one_is_not() -> None:
    """Two of three hours far from the median of the hour are an event, a single one is not."""
    rng = np.random.default_rng(1)
    usual = 0.3 + 0.1 * np.sin(np.arange(HOURS) * np.pi / 12) + rng.normal(0, 0.02, HOURS)
    once, long = usual.copy(), usual.copy()
    once[HISTORY + 10] = 1.0
    long[HISTORY + 10 : HISTORY + 14] = 1.0
    assert gauges.merge(gauges.tests(saturation(once), PERIOD)).is_empty()
    merged = gauges.merge(gauges.tests(saturation(long), PERIOD))
    assert merged.select("direction", "hours", (pl.col("from_ns") - FROM_NS) // HOUR_NS).rows() == [("up", 4, 10)]
    assert merged["value"][0] > merged["high"][0] > merged["expected"][0] > merged["low"][0]


def test_a_gauge_with_too_little_history_is_not_judged() -> None:
    """A queue first seen a day before says so, and hours that are unknown make no row."""
    values = saturation(np.linspace(0, 1, HOURS)).filter(pl.col("hour_ns") >= FROM_NS - 24 * HOUR_NS)
    made = gauges.tests(values.filter(pl.col("hour_ns") != FROM_NS + 3 * HOUR_NS), PERIOD)
    assert made["eligible"].any() is False
    assert made["reason"].unique().to_list() == ["too little history"]
    assert made.height == 2 * 23
