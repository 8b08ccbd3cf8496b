"""Specification of data gaps, of who fell silent, and of what was never seen before."""

from __future__ import annotations

import math
from datetime import UTC, date, datetime

import polars as pl
import pytest

from collector.analyse.anomalies import novelty, silence
from collector.model.units import DAY_NS, HOUR_NS

START = 1_790_000_000 * 10**9 // HOUR_NS * HOUR_NS
BY = ["name"]


def hours(name: str, count: int, *, without: range = range(0), n: int = 30) -> pl.DataFrame:
    """Return *count* hours with *n* records each, but those at the indices *without*."""
    indices = [i for i in range(count) if i not in without]
    return pl.DataFrame(
        {
            "name": [name] * len(indices),
            "hour_ns": [START + i * HOUR_NS for i in indices],
            "n": [n] * len(indices),
        }
    )


def test_a_gap_is_when_nobody_sends_though_many_records_were_to_be_expected() -> None:
    """Empty hours are a gap where 20 records or more are usual for them; what is expected is told."""
    rows = hours("a", 240, without=range(200, 203)).select("hour_ns", "n")
    (gap,) = silence.gaps(rows, from_ns=START, to_ns=START + 240 * HOUR_NS, zone="UTC")
    assert (gap.from_ns, gap.to_ns) == (START + 200 * HOUR_NS, START + 203 * HOUR_NS)
    assert gap.expected == 90
    few = rows.with_columns(n=pl.lit(6))
    assert silence.gaps(few, from_ns=START, to_ns=START + 240 * HOUR_NS, zone="UTC") == []


def test_nothing_is_a_gap_before_the_first_record_or_without_any() -> None:
    """Before anybody sent there is no gap, and a store without telemetry has none."""
    rows = hours("a", 240, without=range(0, 100)).select("hour_ns", "n")
    assert silence.gaps(rows, from_ns=START, to_ns=START + 240 * HOUR_NS, zone="UTC") == []
    assert silence.gaps(rows.clear(), from_ns=START, to_ns=START + 240 * HOUR_NS, zone="UTC") == []


def test_who_stops_while_others_go_on_fell_silent() -> None:
    """A sender that reported every hour and stops is silent from then on; the others are not."""
    rows = pl.concat([hours("a", 480), hours("b", 480, without=range(470, 480))])
    period = {"from_ns": START + 456 * HOUR_NS, "to_ns": START + 480 * HOUR_NS}
    (row,) = silence.silent(rows, BY, **period, zone="Europe/Berlin").iter_rows(named=True)
    assert (row["name"], row["from_ns"], row["goes_on"]) == ("b", START + 470 * HOUR_NS, True)
    assert row["expected"] == pytest.approx(300)
    assert row["p"] < 1e-7


def test_hours_in_a_gap_are_nobodys_silence() -> None:
    """What is missing because nobody sent is told as a gap alone."""
    rows = pl.concat([hours("a", 480, without=range(470, 480)), hours("b", 480, without=range(470, 480))])
    period = {"from_ns": START + 456 * HOUR_NS, "to_ns": START + 480 * HOUR_NS}
    gap = [(START + 470 * HOUR_NS, START + 480 * HOUR_NS)]
    assert silence.silent(rows, BY, **period, zone="UTC", gaps=gap).is_empty()


def test_who_is_often_silent_or_new_is_not_told() -> None:
    """Nights without a record are usual after some days; a sender of two days is not judged."""
    nights = {i for day in range(20) for i in range(day * 24, day * 24 + 8)}
    often = hours("night", 480).filter(~((pl.col("hour_ns") - START) // HOUR_NS).is_in(list(nights)))
    new = hours("new", 480, without=range(0, 420)).filter(pl.col("hour_ns") < START + 465 * HOUR_NS)
    rows = pl.concat([often, new, hours("a", 480)])
    period = {"from_ns": START + 456 * HOUR_NS, "to_ns": START + 480 * HOUR_NS}
    assert silence.silent(rows, BY, **period, zone="UTC").is_empty()


def test_a_weekend_or_a_day_off_is_nobodys_silence() -> None:
    """Who works from Monday to Friday is not silent at the weekend, nor on a day off, but is on a working day."""
    at = pl.from_epoch("hour_ns", "ns")
    works = (at.dt.weekday() <= 5) & at.dt.hour().is_between(8, 17)
    office = hours("office", 29 * 24).filter(works)
    days = [START // DAY_NS * DAY_NS + d * DAY_NS for d in range(21, 28)]
    monday = next(d for d in days if datetime.fromtimestamp(d / 1e9, UTC).weekday() == 0)

    def fell_silent(rows: pl.DataFrame, to_ns: int, days_off: tuple[date, ...] = ()) -> list[str]:
        seen = pl.concat([rows, hours("a", 29 * 24)]).filter(pl.col("hour_ns") < to_ns)
        told = silence.silent(seen, BY, from_ns=to_ns - DAY_NS, to_ns=to_ns, zone="UTC", days_off=days_off)
        return told["name"].to_list()

    assert [fell_silent(office, monday + k * DAY_NS) for k in range(-1, 6)] == [[]] * 7
    rested = office.filter(pl.col("hour_ns") < monday)
    assert fell_silent(rested, monday + DAY_NS) == ["office"]
    assert fell_silent(rested, monday + DAY_NS, (datetime.fromtimestamp(monday / 1e9, UTC).date(),)) == []


@pytest.mark.parametrize(
    ("before", "now", "n_before", "n_now", "is_new"),
    [
        (0, 3, 2000, 100, True),
        (0, 2, 2000, 100, False),  # two may be chance
        (1, 9, 2000, 100, False),  # it was there before
        (0, 3, 100, 100, False),  # as many chances now as ever before
    ],
)
def test_new_is_what_the_history_would_have_shown(
    before: int, now: int, n_before: int, n_now: int, is_new: bool
) -> None:
    """Something is new when three runs show it, none did before, and the history is long enough to tell."""
    seen = pl.DataFrame({"name": ["t"], "before": [before], "now": [now]})
    chances = pl.DataFrame({"name": ["t"], "n_before": [n_before], "n_now": [n_now]})
    rows = novelty.unseen(seen, chances, BY).filter(pl.col("p").is_not_null())
    assert rows.height == int(is_new)
    if is_new:
        assert math.isclose(rows["p"][0], (n_now / (n_now + n_before)) ** now)


def test_too_little_history_is_said() -> None:
    """With fewer than 50 runs before, nobody can tell: p is NULL."""
    seen = pl.DataFrame({"name": ["t"], "before": [0], "now": [9]})
    chances = pl.DataFrame({"name": ["t"], "n_before": [49], "n_now": [10]})
    assert novelty.unseen(seen, chances, BY)["p"].to_list() == [None]
