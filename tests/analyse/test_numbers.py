"""Rows of numbers against the same numbers worked out one by one."""

from __future__ import annotations

import math
from typing import Any

import polars as pl
from hypothesis import given, settings
from hypothesis import strategies as st
from polars.testing import assert_frame_equal

from collector.analyse import numbers
from collector.model import statistics
from tests.length import examples

counts = st.integers(0, 40)
groups = st.lists(
    st.fixed_dictionaries(
        {
            "hits": counts,
            "more": counts,
            "unknown": counts,
            "lasted": st.none() | counts,
            "odd": st.sampled_from([None, 0.0, -1.5, math.nan, math.inf]),
            "weak": st.integers(0, 2),
        }
    ),
    max_size=12,
)
names = st.lists(st.sampled_from([None, "a", "b", "c"]), max_size=12, unique=True)


def one_by_one(row: dict[str, Any]) -> list[tuple[Any, ...]]:
    """Return what each of the numbers in the test below says of *row*, columns as in `NUMBERS`."""
    n = row["hits"] + row["more"]
    of, word = n + row["unknown"], ["measured", "derived", "inferred"][row["weak"]]
    covered = n / of if of else None
    low, high = statistics.wilson(row["hits"], n) if n else (None, None)
    total = row["lasted"] if n else None
    mean = row["lasted"] / n if n and row["lasted"] is not None else None
    odd = row["odd"] if row["odd"] is not None and math.isfinite(row["odd"]) else None
    nothing, untold = (None, None) if n else ("nothing to count", "not told by telemetry")

    def provenance(value: float | None, if_known: str = word) -> str:
        return "unknown" if value is None else if_known

    rate = row["hits"] / n if n else None
    return [
        ("rate", "share", "failed", "share", rate, n, low, high, provenance(rate), covered, nothing),
        ("time", "total", None, "ns", total, n, None, None, provenance(total), covered, untold),
        ("time", "mean", None, "ns", mean, n, None, None, provenance(mean), covered, untold or numbers.NO_INTERVAL),
        ("all", "count", None, "runs", of, of, None, None, "measured", 1.0, None),
        (
            "odd",
            "mean",
            None,
            "ns",
            odd,
            of,
            None if odd is None else odd - 1,
            None,
            provenance(odd, "derived"),
            None,
            None,
        ),
    ]


@settings(max_examples=examples(60), deadline=None)
@given(names, groups)
def test_every_group_has_the_same_numbers_in_the_same_order(
    tasks: list[str | None], drawn: list[dict[str, Any]]
) -> None:
    """Groups are sorted, each has all numbers in the order given, and each cell is that of its own group."""
    rows = [{"task_id": task, **row} for task, row in zip(tasks, drawn, strict=False)]
    kinds = dict.fromkeys(("hits", "more", "unknown", "lasted"), pl.Int64)
    frame = pl.DataFrame(rows, schema={"task_id": pl.String, **kinds, "odd": pl.Float64, "weak": pl.Int64})
    c = pl.col
    n = c("hits") + c("more")
    of = n + c("unknown")
    stacked = numbers.rows(
        frame,
        ["task_id"],
        [
            numbers.share("rate", c("hits"), n, of=of, weakness=c("weak"), outcome="failed"),
            *numbers.total("time", "ns", c("lasted"), n, of=of, weakness=c("weak")),
            numbers.count("all", of),
            numbers.Number(
                "odd", "mean", "ns", c("odd"), n=of, low=c("odd") - 1, coverage=pl.lit(math.nan), weakness=pl.lit(1)
            ),
        ],
    )
    ordered = sorted(rows, key=lambda row: (row["task_id"] is None, row["task_id"]))
    expected = [(row["task_id"], *number) for row in ordered for number in one_by_one(row)]
    schema = {"task_id": pl.String, **numbers.NUMBERS}
    assert_frame_equal(stacked, pl.DataFrame(expected, schema=schema, orient="row"), abs_tol=1e-15, rel_tol=1e-12)
