"""Which version an attempt and its run ran on, against an oracle that goes through the records one by one."""

from __future__ import annotations

import random
from typing import Any

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from story import SECOND, T0, attempt, frame, log

from collector.analyse import runs
from tests.length import examples

VERSIONS = st.sampled_from([None, None, "1", "2"])


def told(spans: list[dict[str, Any]], logs: list[dict[str, Any]]) -> tuple[str | None, dict[int, str | None]]:
    """Return the version of the only run of these records, and those of its attempts by number."""
    made = runs.build(
        frame("spans", spans),
        frame("logs", logs),
        pl.DataFrame(schema=runs.LINKS),
        as_of_ns=T0 + 100_000 * SECOND,
        grace_ns=180 * SECOND,
        stale_ns=3600 * SECOND,
    )
    (version,) = made.runs["version"].to_list()
    return version, dict(made.attempts.select("number", "version").rows())


Said = tuple[float, str | None]
"""When a record says which version."""


def oracle(spans: dict[int, Said], logs: list[tuple[int | None, Said]]) -> tuple[str | None, dict[int, str | None]]:
    """Return what `told` should of spans of attempts, and of logs that name an attempt or none.

    A log that names none is of the attempt whose span began last before it.
    """

    def whose(number: int | None, at: float) -> int | None:
        begun = [n for n, (start, _) in spans.items() if start <= at]
        return number if number is not None else max(begun, key=lambda n: spans[n][0], default=None)

    placed = [(whose(n, at), (at, version)) for n, (at, version) in logs]
    said = sorted([*spans.items(), *placed], key=lambda record: record[1][0])
    stated = [(n, version) for n, (_, version) in said if version is not None]
    numbers = {n for n, _ in said if n is not None}
    own = {n: next((v for m, v in reversed(stated) if m == n), None) for n in numbers}
    own |= {n: version for n, (_, version) in spans.items() if version is not None}
    first = next((version for _, version in stated), None)
    if set(own.values()) == {None} and len({version for _, version in stated}) == 1:
        own = dict.fromkeys(own, first)
    known = [own[n] for n in sorted(own) if own[n] is not None]
    return known[-1] if known else first, own


@settings(max_examples=examples(25), deadline=None)
@given(
    spans=st.dictionaries(st.integers(1, 3), VERSIONS, max_size=3),
    logs=st.lists(st.tuples(st.none() | st.integers(1, 3), VERSIONS), max_size=6),
    zero=st.booleans(),
    numbered=st.booleans(),
    seed=st.integers(0, 2**32),
)
def test_an_attempt_is_of_the_version_that_its_own_records_state(
    spans: dict[int, str | None], logs: list[tuple[int | None, str | None]], zero: bool, numbered: bool, seed: int
) -> None:
    """Its span first, else the last of its records that states one; where no attempt of the run states any, the only
    one that the others state. A run is of the version of its last attempt that knows its own, else as its first record
    states that has one. Whatever order and repetitions they come in, with numbers from 0, from 1 or without.
    """
    dice = random.Random(seed)
    if not (spans or logs):
        return
    if not numbered:  # they are counted in the order they began
        spans = dict(zip(range(1, len(spans) + 1), spans.values(), strict=True))
    times = dice.sample(range(100), len(spans) + len(logs))
    starts = dict(zip(spans, sorted(times[: len(spans)]), strict=True))
    at = times[len(spans) :]
    counts_from_0 = zero and (1 in (spans if numbered else ()) or 1 in [n for n, _ in logs])

    def sent(number: int | None) -> int | None:
        return None if number is None else number - counts_from_0

    span_rows = [
        attempt("r", sent(n) if numbered else None, starts[n], starts[n] + 0.5, dialect="generic", version=version)
        for n, version in spans.items()
    ]
    log_rows = [
        log("r", when, "hello", attempt=sent(n), version=version) for when, (n, version) in zip(at, logs, strict=True)
    ]
    for rows in (span_rows, log_rows):
        rows += [{**row, "seq": 2} for row in rows if dice.random() < 0.3]
        dice.shuffle(rows)
    expected = oracle(
        {n: (starts[n], version) for n, version in spans.items()},
        [(n, (when, version)) for when, (n, version) in zip(at, logs, strict=True)],
    )
    assert told(span_rows, log_rows) == expected


@pytest.mark.parametrize(
    ("first", "second", "expected"),
    [
        ("1", "2", ("2", {1: "1", 2: "2"})),
        ("1", None, ("1", {1: "1", 2: None})),
        (None, "2", ("2", {1: None, 2: "2"})),
        (None, None, (None, {1: None, 2: None})),
    ],
)
def test_attempts_that_are_counted_have_a_version_too(
    first: str | None, second: str | None, expected: tuple[str | None, dict[int, str | None]]
) -> None:
    """Plain logs of an operation that fails and begins again are of two attempts, each of the version of its own, and
    what one of them ran on says nothing of the other.
    """
    logs = [
        log("r", at + i, f"order_charge_{phase}", version=version)
        for at, version in ((0, first), (10, second))
        for i, phase in enumerate(("started", "failed"))
    ]
    assert told([], logs) == told([], logs[::-1]) == expected
