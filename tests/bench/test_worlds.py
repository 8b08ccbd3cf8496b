"""The labelled worlds of `bench.anomalies`: labels say what was added, and alarms are judged by them."""

from __future__ import annotations

import numpy as np
import polars as pl
import pytest

from bench.anomaly_score import ALARM, END, RIGHT, WRONG, verdicts
from bench.worlds import FIRST, HOURS, Incident, World, frames, world


@pytest.fixture(scope="module")
def made() -> World:
    """Return a world."""
    return world(1)


def test_the_size_of_an_incident_is_what_it_added(made: World) -> None:
    """Failures, retries and arrivals differ from ordinary life where a label says so, by as much, and nowhere else."""
    for metric, seen in (("failures", made.failed), ("retries", made.retried), ("volume", made.runs)):
        more = seen - made.ordinary[metric]
        planted = [one for one in made.incidents if one.metric == metric]
        assert {one.excess for one in planted} != {0.0}
        for one in planted:
            assert FIRST <= one.begin < one.to <= HOURS
            sign = 1 if one.direction == "up" else -1
            assert sign * more[one.series, one.begin : one.to].sum() == one.excess
            more[one.series, one.begin : one.to] = 0
        assert not more.any()


def test_hits_are_a_part_of_their_trials(made: World) -> None:
    """No run fails twice, no more durations are kept than runs, and a queue is full for no more than the hour."""
    assert (made.failed <= made.runs).all()
    assert (made.retried <= made.attempts).all()
    assert (made.timed <= made.runs).all()
    assert made.histogram["n"].sum() == made.timed.sum()
    assert ((made.saturation >= 0) & (made.saturation <= 1)).all()


@pytest.mark.long("properties")
def test_a_world_is_the_same_each_time(made: World) -> None:
    """A figure of one seed can be had again."""
    again = world(made.seed)
    assert made.incidents == again.incidents
    assert made.histogram.equals(again.histogram)
    for name in ("runs", "failed", "retried", "saturation"):
        assert np.array_equal(getattr(made, name), getattr(again, name))


def test_what_detectors_read_is_the_world(made: World) -> None:
    """Counts add up to the runs, hours without any are left out, and series have one name in all of them."""
    read = frames(made)
    of_runs = read["counts"].filter(metric="volume")
    assert of_runs["n"].sum() == made.runs.sum()
    assert of_runs["n"].min() == 1
    assert {*read["histograms"]["series"]} <= {*of_runs["series"]}
    assert read["gauges"].height == made.saturation.size


@pytest.mark.parametrize(
    ("direction", "begin", "to", "verdict"),
    [
        ("up", 99, 101, RIGHT),
        ("up", 130, 131, RIGHT),  # the hour after
        ("up", 131, 132, WRONG),
        ("down", 99, 130, WRONG),
        ("down", 140, 146, END),
        ("down", 160, 166, WRONG),
    ],
)
def test_an_alarm_is_right_if_it_touches_an_incident(direction: str, begin: int, to: int, verdict: str) -> None:
    """In its direction; one in the other may tell of the end of what lasted for a day or more."""
    alarm = pl.DataFrame([(7, direction, begin, to)], schema=ALARM, orient="row")
    planted = Incident("failures", "up", "deploy step", 7, 100, 130, 50.0)
    assert verdicts(alarm, [planted]) == ([verdict], [verdict == RIGHT])
    assert verdicts(alarm.with_columns(series=pl.lit(8, pl.Int64)), [planted]) == ([WRONG], [False])
