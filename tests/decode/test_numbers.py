"""Numbers that senders state: what is believed, what cannot be, and that nothing of it is lost."""

from __future__ import annotations

import json
import math
from typing import Any

import polars as pl
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from collector.analyse import believable as expressions
from collector.decode.dialects import generic
from collector.decode.dialects.base import JUDGED
from collector.model import believable
from collector.model.believable import LONGEST_MS, MOST_ATTEMPTS, MOST_CENTS, MOST_STATUS, WRAPPED_MS
from tests.decode.messages import NOW
from tests.decode.test_dialects import TRIGGER, log, span

DAY_MS = 86_400_000
SECONDS = NOW / 10**9
# fmt: off
EVERY = st.one_of(
    st.floats(), st.floats(0, 2.0 * LONGEST_MS), st.integers(-(2**63), 2**64).map(float),
    st.sampled_from(WRAPPED_MS).flatmap(lambda w: st.floats(0.999 * w[0], 1.001 * w[1])),
    st.floats(SECONDS - 2 * 86_400, SECONDS + 2 * 86_400),
)
# fmt: on


@pytest.mark.parametrize("ms", [0, -0.0, 0.25, 1e-9, 7 * DAY_MS, 21 * DAY_MS, 45 * DAY_MS, 200 * DAY_MS, 366 * DAY_MS])
def test_a_wait_that_can_be_is_kept(ms: float) -> None:
    """Nothing, fractions of a millisecond, weeks, months and a leap year are waits."""
    assert log({"queue_wait_ms": {"doubleValue": ms}}, {})["queue_wait_ms"] == ms


@pytest.mark.parametrize(
    ("ms", "why"),
    [
        (math.nan, "not finite"),
        (math.inf, "not finite"),
        (-math.inf, "not finite"),
        (-5, "negative"),
        (-1e-9, "negative"),
        (-(2**63), "negative"),
        (2**64 - 5, "wrapped"),
        (2.0**64, "wrapped"),
        (2**63 - 5, "wrapped"),
        (2**32 - 5, "wrapped"),
        (2**32 - 1, "wrapped"),
        (2**31 - 500, "wrapped"),
        (2**64 / 1e6, "wrapped"),
        (2**64 / 1e3, "wrapped"),
        ((2**32 - 5) / 1e3, "wrapped"),
        ((2**32 - 5) * 1e3, "wrapped"),
        (2**63 / 1e6, "wrapped"),
        (NOW / 1e9, "since 1970"),
        (NOW // 10**6, "since 1970"),
        (NOW / 1e3, "since 1970"),
        (NOW, "since 1970"),
        (NOW / 1e9 - 3600, "since 1970"),
        (366 * DAY_MS + 1, "beyond"),
        (1e300, "beyond"),
    ],
)
def test_a_wait_that_cannot_be_is_unknown(ms: float, why: str) -> None:
    """Negative, endless, wrapped, since 1970 or of over a year: NULL, kept as it was sent, and told by its kind."""
    sent = {"doubleValue": {"nan": "NaN", "inf": "Infinity", "-inf": "-Infinity"}.get(str(ms), ms)}
    row = log({"queue_wait_ms": sent}, {})
    assert row["queue_wait_ms"] is None
    assert "queue_wait_ms" in json.loads(row["attributes"])
    assert why in believable.impossible_ms(float(ms), NOW)


@pytest.mark.parametrize(
    ("key", "column", "believed", "lost"),
    [
        ("attempt", "attempt", (0, 1, 5_000, MOST_ATTEMPTS), (-1, MOST_ATTEMPTS + 1, 2**31, 2**63 - 1)),
        ("http_status", "http_status", (0, 200, 599, MOST_STATUS), (-1, MOST_STATUS + 1, 2**32)),
        ("cost_cents", "cost_cents", (0, 0.001, 12_345.5, MOST_CENTS), (-0.5, MOST_CENTS + 1, 1e300)),
        ("compute_ms", "compute_ms", (0, 4.5, 9 * DAY_MS), (-1, 1e13)),
    ],
)
def test_other_numbers_have_bounds_too(
    key: str, column: str, believed: tuple[float, ...], lost: tuple[float, ...]
) -> None:
    """Attempts, statuses, costs and computing times are kept up to their bound, and unknown below 0 or beyond."""
    make = log if column in ("attempt", "http_status") else span
    for number, expected in (*zip(believed, believed, strict=True), *((n, None) for n in lost)):
        sent = {"doubleValue": number} if isinstance(number, float) else {"intValue": str(number)}
        assert make({key: sent}, {})[column] == expected


@pytest.mark.parametrize("text", ["18446744073709551611", "9223372036854775808", "-9223372036854775809", "9" * 39])
def test_an_integer_beyond_64_bits_as_text_is_the_double_it_stands_for(text: str) -> None:
    """It is read as the same number without quotes is, unknown as a wait, and its request is not refused for it."""
    quoted, bare = (log({"queue_wait_ms": {"intValue": n}, "big": {"intValue": n}}, {}) for n in (text, int(text)))
    assert quoted == bare
    assert (quoted["queue_wait_ms"], json.loads(quoted["attributes"])["big"]) == (None, float(text))


@pytest.mark.parametrize("key", ["attempt", "queue_wait_ms", "cost_cents", "http_status"])
@pytest.mark.parametrize(
    ("sent", "believed"),
    [
        ("12", 12),
        ("12.0", 12),
        ("1.2e1", 12),
        ("-12", None),
        ("1e400", None),
        ("9" * 21, None),
        ("NaN", None),
        ("-Infinity", None),
        ("12ms", ...),
        ("", ...),
        ("١٢", ...),
        ("1_2", ...),
        (" 12\n", 12),
        ("1 2", ...),
    ],
)
def test_a_number_as_text_is_that_number(key: str, sent: str, believed: float | None) -> None:
    """What cannot be is noted whatever its form; what is no number is none, and no impossible one either."""
    noted: list[str] = []
    (value,) = generic.DIALECT.read((key,), {key: sent}, NOW, noted.append)
    assert value == (None if believed is ... else believed)
    assert noted == (["number_impossible"] if believed is None else [])


@pytest.mark.parametrize("sent", [-0.5, 1.5, 1e300, math.nan])
def test_a_count_is_whole(sent: float) -> None:
    """A fraction of an attempt is impossible, and noted."""
    noted: list[str] = []
    assert generic.DIALECT.read(("attempt",), {"attempt": sent}, NOW, noted.append) == [None]
    assert noted == ["number_impossible"]


def test_a_dequeue_time_is_one_before_its_span() -> None:
    """A time of dequeuing is kept up to a year and a day before its span; one of 1970 or of next year is unknown."""
    key = "$metrics.events.dequeue.timestamp"
    ms = NOW / 1e6
    for stated, believed in (
        (ms - 1000, True),
        (ms - 300 * DAY_MS, True),
        (ms - 367 * DAY_MS, False),
        (5.0, False),
        (ms + DAY_MS, False),
        (1e300, False),
        (-5.0, False),
    ):
        assert (span({key: {"doubleValue": stated}}, TRIGGER)["dequeued_ns"] is not None) is believed


S = NOW // 10**9
ISO = "2026-11-24T06:00:00"
"""`NOW`, UTC."""


@pytest.mark.parametrize(
    ("stated", "after_ns"),
    [
        *(({"intValue": str(NOW // one)}, 0) for one in (1, 10**3, 10**6, 10**9)),
        *(({"stringValue": str(NOW // one)}, 0) for one in (1, 10**3, 10**6, 10**9)),
        ({"doubleValue": S + 0.25}, 250_000_000),
        ({"stringValue": f"{ISO}Z"}, 0),
        ({"stringValue": ISO}, 0),
        ({"stringValue": f"{ISO}.000001+00:00"}, 1_000),
        ({"stringValue": "2026-11-24T07:00:00+01:00"}, 0),
        ({"stringValue": "2026-11-24"}, -6 * 3_600 * 10**9),
        ({"intValue": str(S + 300 * 86_400)}, 300 * 86_400 * 10**9),
        *(({"intValue": str(n)}, None) for n in (0, -5, 5, S + 400 * 86_400, S - 400 * 86_400, 2**63 - 1)),
        *(({"stringValue": text}, None) for text in ("", "soon", "2026-13-01", "1969-12-31", "0001-01-01T00:00+23:00")),
        *(({"doubleValue": x}, None) for x in ("NaN", "Infinity", 1e300)),
        ({"boolValue": True}, None),
    ],
)
def test_a_due_time_is_a_text_or_a_number_within_a_year(stated: dict[str, Any], after_ns: int | None) -> None:
    """ISO 8601, UTC where no zone is named, or s, ms, us or ns since 1970, up to a year and a day from its record."""
    row = log({"due_at": stated}, {})
    assert row["due_at_ns"] == (None if after_ns is None else NOW + after_ns)
    assert "due_at" in json.loads(row["attributes"])


@given(st.lists(EVERY, min_size=1, max_size=50))
@example([2.0**31, 2.0**32, 2.0**31 - 3.6e6, 2.0**32 / 1e3, 2.0**32 / 1e6, SECONDS - 86_400, SECONDS + 86_401])
def test_stored_numbers_are_judged_as_sent_ones(values: list[float]) -> None:
    """Decode and the run model hold the same numbers for impossible, whatever the number."""
    whole = [int(v) for v in values if math.isfinite(v) and abs(v) < 2**62]
    stored: dict[str, list[Any]] = {
        "queue_wait_ms": values,
        "cost_cents": values,
        "dequeued_ns": whole,
        "delay_ms": values,
        "due_at_ns": whole,
        "max_attempts": [n for n in whole if abs(n) < 2**31],
        "attempt": [n for n in whole if abs(n) < 2**31],
    }
    for column, stated in stored.items():
        frame = pl.DataFrame(
            {column: stated, "own": NOW},
            schema={column: pl.Float64 if stated is values else pl.Int64, "own": pl.Int64},
            strict=False,
        )
        believed = frame.select(expressions.numbers("own", [column]))[column].is_not_null().to_list()
        assert believed == [not JUDGED[column](v, NOW) for v in stated]
