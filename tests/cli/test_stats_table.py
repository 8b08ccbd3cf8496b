"""Tables of `runwell stats`: what stands in them, and that they fit where they are read."""

from __future__ import annotations

import re
from typing import get_args

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.cells import cell_len

from collector.analyse.measures import MEASURES
from collector.analyse.numbers import NUMBERS
from collector.api.stats import STATISTICS
from collector.cli import stats_table
from collector.cli.stats import Name
from collector.cli.stats_columns import LISTS, SECTIONS

HOUR = 3_600_000_000_000


def row(task: str, measure: str, statistic: str, value: float | None, unit: str, **more: object) -> dict[str, object]:
    """Return a row of a statistic."""
    provenance = "unknown" if value is None else "derived"
    return {
        "task_id": task,
        "environment": "production",
        "measure": measure,
        "statistic": statistic,
        "unit": unit,
        "value": value,
        "n": 40,
        "provenance": provenance,
        "coverage": 1.0,
        **more,
    }


def frame(*rows: dict[str, object]) -> pl.DataFrame:
    """Return rows as the API gives them."""
    return pl.DataFrame(rows, schema={"task_id": pl.String, "environment": pl.String, **NUMBERS})


def numbers(task: str, retried: float | None) -> list[dict[str, object]]:
    """Return some numbers of a task."""
    return [
        row(task, "runs", "count", 1240.0, "runs"),
        row(task, "run_retry_rate", "share", retried, "share", low=0.051, high=0.127),
        row(task, "execution", "p95", 61_500_000_000.0, "ns", note="estimated from a histogram, within 2.2%"),
        row(task, "execution", "p99", None, "ns", note="fewer than 100 values"),
    ]


def test_several_tasks_have_a_row_each_the_most_retried_first() -> None:
    """A table of tasks has a line a task with the numbers that matter, in units people use; unknown is a mark."""
    rows = frame(*numbers("calm", 0.02), *numbers("new", None), *numbers("shaky", 0.2))
    lines = [line.split() for line in stats_table.text("tasks", rows, width=None, every=False).splitlines()]
    assert [line[0] for line in lines[2:5]] == ["shaky", "calm", "new"]
    assert lines[2][1:4] == ["1,240", "20.0", "%"]
    assert "1.02 min" in " ".join(lines[2])
    assert "?" in lines[4]


def test_one_task_has_a_row_a_number_with_all_that_it_rests_on() -> None:
    """A table of one task tells value, interval, n, provenance and coverage of every number, and notes below."""
    shown = stats_table.text("tasks", frame(*numbers("shaky", 0.2)), width=None, every=False)
    assert re.search(r"^Retry rate +20\.0 % +5\.1 to 12\.7 % +40 +derived +100\.0 %$", shown, re.MULTILINE)
    assert re.search(r"^Execution, p99 +\? +40 +unknown +100\.0 % +\[2\]$", shown, re.MULTILINE)
    assert "[2] fewer than 100 values" in shown


def test_what_may_be_more_is_marked_in_a_row_of_many() -> None:
    """A number whose note says at least has a plus behind it, and a line under the table says what that is."""
    least = [
        row(t, "backlog", "count", n, "runs", note=note) for t, n, note in (("a", 4, "at least: 10"), ("b", 5, None))
    ]
    shown = stats_table.text("queues", frame(*least), width=None, every=False)
    assert re.search(r"\b4\+ ", shown) and re.search(r"\b5 ", shown)
    assert "\n+ at least" in shown
    assert "\n+" not in stats_table.text("queues", frame(*least[1:], *numbers("c", 0.1)), width=None, every=False)


def test_a_note_that_there_is_not_is_blank() -> None:
    """In a list a value that is not known is a mark, but no note is nothing unknown."""
    about = {"task_id": "a", "run_id": "r", "status": "queued", "queue": "q"}
    rows = pl.DataFrame([{**about, "ends_ns": None, "n": 1, "note": note} for note in (None, "few")])
    first, second = stats_table.text("eta", rows, width=None, every=False).splitlines()[2:4]
    assert (first.split()[-2:], second.split()[-1]) == (["?", "1"], "few")


names = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=40)


@given(st.lists(names, min_size=1, max_size=4, unique=True), st.sampled_from([80, 100, 140]), st.booleans())
def test_no_line_is_wider_than_the_terminal_whatever_a_task_is_called(
    tasks: list[str], width: int, every: bool
) -> None:
    """Tables fit into 80 columns and more, wide characters counted as such; no name writes a control character."""
    rows = frame(*(r for task in tasks for r in numbers(task, 0.1)))
    shown = stats_table.text("tasks", rows, width=width, every=every)
    assert all(cell_len(line) <= width for line in shown.split("\n"))
    assert not re.search("[\x00-\x09\x0b-\x1f\x7f-\x9f\u202e]", shown)


@given(
    st.floats(allow_nan=False, allow_infinity=False, min_value=-1e18, max_value=1e18),
    st.sampled_from(["share", "ns", "runs", "runs_per_hour", "slots", "nanocents"]),
)
def test_every_value_can_be_written(value: float, unit: str) -> None:
    """A number of any size has digits and no minus before a zero."""
    assert re.search(r"[0-9]", stats_table.written(value, unit))
    assert not re.match(r"-0(\.0+)?(\D|$)", stats_table.written(-1e-9, unit if unit == "slots" else "runs_per_hour"))


def test_the_command_line_knows_every_statistic() -> None:
    """What the API answers by name can be asked, and has a table of numbers or a list."""
    assert set(get_args(Name)) == set(STATISTICS) == {*SECTIONS, *LISTS}


def test_what_is_shown_is_explained() -> None:
    """Every column of every table has a meaning in words."""
    for name, sections in SECTIONS.items():
        text = stats_table.explain(name, frame(), width=80)
        for number in (c for section in sections for c in section.columns):
            assert MEASURES[number.measure].title in text
    for name, columns in LISTS.items():
        text = " ".join(stats_table.explain(name, frame(), width=80).split())
        assert all(f"{c.title}: {c.text}" in text for c in columns)


@pytest.mark.parametrize("width", [80, None])
def test_hours_of_a_task_stay_in_order(width: int | None) -> None:
    """Grouped by hour a table runs through time, and writes it as a date in UTC."""
    rows = frame(*numbers("a", 0.1), *numbers("a", 0.5)).with_columns(
        hour_ns=pl.Series([490_000 * HOUR] * 4 + [490_001 * HOUR] * 4)
    )
    shown = stats_table.text("tasks", rows.drop("environment"), width=width, every=False)
    assert re.findall(r"2025-11-24 (\d\d):00", shown) == ["16", "17"]
