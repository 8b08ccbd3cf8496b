"""How numbers and text from telemetry are written, wherever people read them."""

from __future__ import annotations

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from collector.cli import stats_table
from collector.cli.replay import Result
from collector.model import verdict
from collector.model.report import Chart, Point
from collector.model.shown import NONE, counted, duration, unit_of
from collector.rules import render
from collector.rules.checked import Checked
from dashboard.parts import charts

S = 10**9


@pytest.mark.parametrize(
    ("ns", "written"),
    [
        (None, NONE),
        (float("nan"), NONE),
        (0, "0 s"),
        (0.2, "0 s"),
        (850, "0.85 µs"),
        (42_300, "42.3 µs"),
        (250_000_000, "250 ms"),
        (999_400_000, "999 ms"),
        (999_700_000, "1 s"),
        (1_254_000_000, "1.25 s"),
        (-1_254_000_000, "-1.25 s"),
        (59_940_000_000, "59.9 s"),
        (59_960_000_000, "60 s"),
        (59_980_000_000, "1 min"),
        (90 * S, "1.5 min"),
        (300 * S, "5 min"),
        (3_599 * S, "1 h"),
        (5_400 * S, "1.5 h"),
        (95_000 * S, "26.4 h"),
        (172_800 * S, "2 d"),
        (1_000_000 * 86_400 * S, "1,000,000 d"),
    ],
)
def test_a_duration_is_written_in_one_unit_with_three_digits_that_count(ns: float | None, written: str) -> None:
    """Pages, reports, mails, doctor and command line all write it so; what is unknown is a dash."""
    assert duration(ns) == written
    assert verdict.value(ns, "ns") == written
    if written != NONE:
        assert stats_table.written(ns, "ns") == written


@given(st.floats(min_value=0.5, max_value=1e19))
def test_a_written_duration_is_what_it_was_within_its_digits(ns: float) -> None:
    """The number before the unit times the unit is the duration within half of its last digit, without exponent."""
    number, name = duration(ns).split(" ")
    size = {"µs": 1e3, "ms": 1e6, "s": S, "min": 60 * S, "h": 3600 * S, "d": 86_400 * S}[name]
    assert "e" not in number
    assert float(number.replace(",", "")) * size == pytest.approx(ns, rel=0.00501)


@given(st.floats(min_value=1, max_value=1e17))
def test_the_axis_of_a_chart_has_the_unit_of_its_longest_duration(longest: float) -> None:
    """A chart on a page, in a report and in a mail has the unit in which its longest duration is written."""
    points = (Point(at_ns=0, observed=None), Point(at_ns=S, observed=longest))
    drawn = Chart(unit="ns", label="", bucket_ns=S, points=points)
    size, name = unit_of(longest)
    assert duration(longest).endswith(f" {name}")
    assert verdict.scale(drawn) == (1 / size, f" {name}")
    assert charts.axis_unit(pl.Series([None, longest], dtype=pl.Float64), pl.Series([], dtype=pl.Int64)) == (size, name)


def test_one_of_a_thing_is_not_several() -> None:
    """Summaries of a check and a replay count one record, span, run and request in the singular."""
    assert (counted(1, "run"), counted(0, "run"), counted(1240, "run")) == ("1 run", "0 runs", "1,240 runs")
    assert render.looked_at(Checked(1, 1, 1, 2), 1, 1) == "1 log record and 1 span of 1 run"
    assert Result(sent=1, rejected_records=1).sentence() == "1 request accepted, 1 record in it rejected"
