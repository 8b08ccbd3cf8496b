"""A change that stays is one event, told once."""

from __future__ import annotations

import numpy as np
import polars as pl
from hourly import HISTORY, NOTHING, START_NS, noisy, rows

from collector.analyse.anomalies import counts, events
from collector.analyse.anomalies.cube import Period
from collector.model.units import HOUR_NS

DAYS = 8
BEGAN = HISTORY + 31


def daily(frame: pl.DataFrame) -> list[pl.DataFrame]:
    """Return the events of daily reports after four weeks of history."""
    reports = []
    for day in range(DAYS):
        from_ns = START_NS + (HISTORY + day * 24) * HOUR_NS
        to_ns = from_ns + 24 * HOUR_NS
        seen = frame.filter(pl.col("hour_ns") < to_ns)
        reports.append(
            events.merge(counts.decide(counts.tests(seen, Period(from_ns, to_ns, "Europe/Berlin", told=NOTHING))))
        )
    return reports


def history(metric: str, change: slice, factor: float) -> pl.DataFrame:
    """Return a series whose hits are multiplied in the hours of *change*."""
    n, x = noisy(4, n=60, share=0.1, hours=HISTORY + DAYS * 24)
    x = x.copy()
    x[change] = np.minimum(n[change], np.round(x[change] * factor)).astype(np.int64)
    if metric == "volume":
        x = n.copy()
        x[change] = np.round(x[change] * factor).astype(np.int64)
        n = x
    return rows("a", metric, n, x)


def test_a_level_is_told_once_with_where_it_began() -> None:
    """On its first day it is an anomaly, a day or two later a new level since its first hour, then never again."""
    for metric, factor in (("failures", 2.5), ("volume", 0.3), ("volume", 3.0)):
        reports = daily(history(metric, slice(BEGAN, None), factor))
        levels = [(day, e) for day, part in enumerate(reports) for e in part.filter("is_level").rows(named=True)]
        assert len(levels) == 1, metric
        assert levels[0][0] in (2, 3)
        assert reports[1].height == 1
        began_h = (levels[0][1]["from_ns"] - START_NS) // HOUR_NS
        assert abs(began_h - BEGAN) <= 3
        assert levels[0][1]["direction"] == ("up" if factor > 1 else "down")
        assert all(part.is_empty() for part in reports[levels[0][0] + 1 :]), "what has become usual is not told again"


def test_a_burst_is_no_level() -> None:
    """What lasts six hours is told on its day, and neither as a level nor on the days after."""
    reports = daily(history("failures", slice(BEGAN, BEGAN + 6), 8.0))
    assert [part.height for part in reports] == [0, 1, 0, 0, 0, 0, 0, 0]
    assert not reports[1]["is_level"].any()


def test_reports_of_any_length_tell_a_level_once() -> None:
    """A report over the whole week names the same level, once."""
    frame = history("failures", slice(BEGAN, None), 4.0)
    from_ns = START_NS + HISTORY * HOUR_NS
    tests = counts.tests(frame, Period(from_ns, from_ns + 7 * 24 * HOUR_NS, "UTC", told=NOTHING))
    raised = events.merge(counts.decide(tests))
    assert raised.select("is_level", "direction").rows() == [(True, "up")]
