"""Specification of what is said to be different inside a span, of when it was, and of the runs to look at."""

from __future__ import annotations

import random

import polars as pl
from hypothesis import given
from hypothesis import strategies as st

from collector.analyse.anomalies.explain import commonest_error, densest, differences, examples


def runs(rows: list[dict[str, object]]) -> pl.DataFrame:
    """Return runs of one task; what a row leaves out is the same for all."""
    plain = {
        "task_id": "t",
        "version": "v1",
        "queue": "q",
        "machine": None,
        "tags": None,
        "services": None,
        "error_group": None,
        "status": "completed",
        "affected": False,
        "at_ns": 0,
        "run_key": "k",
    }
    schema = {
        "tags": pl.List(pl.String),
        "services": pl.List(pl.String),
        "machine": pl.String,
        "error_group": pl.String,
    }
    return pl.DataFrame([plain | row for row in rows], schema_overrides=schema)


def test_a_value_is_named_where_it_makes_up_half_of_the_excess() -> None:
    """What eight of ten affected and one of ten others share is named, with both shares; what all share is not."""
    rows = [{"affected": True, "machine": "m1" if i < 8 else "m2", "version": "v2"} for i in range(10)]
    rows += [{"machine": "m1" if i < 1 else "m2", "version": "v2"} for i in range(10)]
    (difference,) = differences(runs(rows)).iter_rows(named=True)
    assert (difference["dimension"], difference["value"]) == ("machine", "m1")
    assert (difference["affected_hits"], difference["affected"], difference["other_hits"], difference["others"]) == (
        8,
        10,
        1,
        10,
    )
    assert abs(difference["excess_share"] - 0.7) < 1e-9


def test_nothing_is_named_below_half_with_few_runs_or_without_others() -> None:
    """Half of the excess, five affected runs that have it, and somebody to compare with."""
    weak = [{"affected": True, "machine": "m1" if i < 5 else "m2"} for i in range(12)]
    assert differences(runs([*weak, *[{"machine": "m2"}] * 10])).is_empty()
    few = [{"affected": True, "machine": "m1"}] * 4
    assert differences(runs([*few, *[{"machine": "m2"}] * 10])).is_empty()
    assert differences(runs([{"affected": True, "machine": "m1"}] * 30)).is_empty()


def test_tags_and_called_services_are_dimensions() -> None:
    """A run with several tags or calls counts for each of them."""
    rows = [{"affected": True, "tags": ["gold", "eu"], "services": ["ledger"]}] * 9
    rows += [{"tags": ["eu"], "services": ["mail", "crm"]}] * 9
    named = {(r["dimension"], r["value"]) for r in differences(runs(rows)).iter_rows(named=True)}
    assert named == {("tag", "gold"), ("called service", "ledger")}


@given(seed=st.integers(0, 1000))
def test_the_order_of_runs_changes_nothing(seed: int) -> None:
    """Differences, the error and the runs to look at are the same however the runs are ordered."""
    dice = random.Random(seed)
    rows = [
        {
            "affected": dice.random() < 0.4,
            "machine": dice.choice(["a", "b"]),
            "version": dice.choice(["1", "2"]),
            "error_group": dice.choice([None, "E", "F"]),
            "at_ns": dice.randrange(50),
            "run_key": f"k{i:02d}",
        }
        for i in range(40)
    ]
    mixed = dice.sample(rows, len(rows))
    one, two = runs(rows), runs(mixed)
    assert differences(one).equals(differences(two))
    assert commonest_error(one) == commonest_error(two)
    for a, b in zip(examples(one), examples(two), strict=True):
        assert a.equals(b)


def test_three_affected_runs_and_the_nearest_healthy_one() -> None:
    """The first, the middle and the last affected run, and the completed one nearest to the first."""
    rows = [{"affected": True, "status": "failed", "at_ns": 10 * i, "run_key": f"f{i}"} for i in range(1, 6)]
    rows += [{"at_ns": at, "run_key": f"h{at}"} for at in (2, 12, 70)]
    some, healthy = examples(runs(rows))
    assert some["run_key"].to_list() == ["f1", "f3", "f5"]
    assert healthy["run_key"].to_list() == ["h12"]


def test_the_error_that_most_share_is_named_apart() -> None:
    """An error type that at least half of the affected ended with is told; another is not."""
    rows = [{"affected": True, "error_group": "Timeout"}] * 6 + [{"affected": True, "error_group": "Other"}] * 4
    assert commonest_error(runs([*rows, *[{"error_group": "Other"}] * 50])) == ("Timeout", 6, 10)
    assert commonest_error(runs(rows[4:])) == ("Other", 4, 6)
    assert commonest_error(runs([{"affected": True, "error_group": None}] * 9)) is None


def test_the_hours_that_differ_are_found_without_what_chance_puts_beside_them() -> None:
    """Of a day with a burst of two hours, the two hours; where nothing speaks against it, up to the end."""
    expected = [3.0] * 24
    usual = [3, 4, 2, 3, 5, 3, 2, 3, 4, 3, 2, 4]
    hits = [*usual, *usual]
    hits[10:12] = [40, 35]
    assert densest(hits, expected, 24) == (10, 12)
    assert densest([*usual, 30, 25, 31], [3.0] * 15, 15) == (12, 15)
    # Quiet hours after it say nothing.
    assert densest([*usual, 30, 25, 0, 0], [3.0] * 14 + [0.02, 0.02], 14) == (12, 16)
    drop = [10, 9, 11, 10, 0, 0, 1, 10, 12]
    assert densest(drop, [10.0] * 9, 9) == (4, 7)
    # What was caught up afterwards is not the drop.
    assert densest([*drop, 50, 40, 30], [10.0] * 12, 8) == (4, 7)
