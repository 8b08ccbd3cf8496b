"""Tests that fire become events."""

from __future__ import annotations

import polars as pl
from hourly import FROM_NS
from hypothesis import given, settings
from hypothesis import strategies as st

from collector.analyse.anomalies import events
from collector.analyse.anomalies.options import Options
from collector.model.units import HOUR_NS
from tests.length import examples

ROW = {
    "series": "a",
    "metric": "failures",
    "direction": "up",
    "n": 100,
    "p0": 0.05,
    "expected": 5.0,
    "low": 1.0,
    "high": 11.0,
    "p": 1e-9,
    "q": 1e-6,
    "is_level": False,
    "fires": True,
}


def firing(*windows: tuple[int, int, int], **change: object) -> pl.DataFrame:
    """Return tests that fire, from (first hour, hours, hits)."""
    made = [
        ROW | {"from_ns": FROM_NS + h * HOUR_NS, "to_ns": FROM_NS + (h + w) * HOUR_NS, "window_h": w, "x": x} | change
        for h, w, x in windows
    ]
    return pl.DataFrame(made)


def spans(raised: pl.DataFrame) -> list[tuple[int, int, int]]:
    """Return (first hour, hours, hits) of events."""
    hour = (pl.col("from_ns") - FROM_NS) // HOUR_NS
    return raised.select(hour, "window_h", "x").sort("from_ns").rows()


def test_windows_close_to_each_other_are_one_event() -> None:
    """Overlapping windows, and those at most three hours apart, are one; four hours apart are two."""
    assert spans(events.merge(firing((0, 1, 20), (4, 1, 30)))) == [(4, 1, 30)]
    assert spans(events.merge(firing((0, 1, 20), (5, 1, 30)))) == [(0, 1, 20), (5, 1, 30)]
    chained = events.merge(firing((0, 24, 40), (6, 1, 20), (26, 6, 20)))
    assert spans(chained) == [(0, 24, 40)]


def test_an_event_shows_the_shortest_window_that_holds_nearly_all_of_it() -> None:
    """Of windows with at least nine tenths of the greatest excess the shortest is shown, with its own numbers."""
    raised = events.merge(firing((0, 24, 105), (10, 6, 100), (12, 1, 40)))
    assert spans(raised) == [(10, 6, 100)]
    assert raised["excess"].to_list() == [95.0]


def test_series_metrics_and_directions_are_apart() -> None:
    """Nothing merges across series, metrics or directions."""
    other = [firing((0, 1, 20), **{key: "b"}) for key in ("series", "metric")]
    down = firing((0, 1, 0), direction="down")
    assert events.merge(pl.concat([firing((0, 1, 20)), *other, down])).height == 4


def test_a_new_level_stands_for_what_overlaps_it() -> None:
    """The window since a level began goes before any other of its event."""
    raised = events.merge(pl.concat([firing((0, 24, 200)), firing((3, 30, 150), is_level=True)]))
    assert raised.select("window_h", "is_level").rows() == [(30, True)]


@settings(max_examples=examples(60), deadline=None)
@given(st.lists(st.tuples(st.integers(0, 40), st.sampled_from([1, 6, 24]), st.integers(6, 90)), min_size=1, max_size=8))
def test_events_of_a_series_never_touch_and_cover_every_test_that_fires(windows: list[tuple[int, int, int]]) -> None:
    """Events are as many as there are stretches of windows more than three hours apart, in any order of rows."""
    gap = Options().merge_gap_h
    stretches: list[list[int]] = []
    for first, length, _ in sorted(windows):
        if stretches and first <= stretches[-1][1] + gap:
            stretches[-1][1] = max(stretches[-1][1], first + length)
        else:
            stretches.append([first, first + length])
    raised = events.merge(firing(*windows))
    assert raised.height == len(stretches)
    for (first, length, hits), (begin, end) in zip(spans(raised), stretches, strict=True):
        assert begin <= first and first + length <= end
        assert (first, length, hits) in windows
    assert spans(events.merge(firing(*reversed(windows)))) == spans(raised)
