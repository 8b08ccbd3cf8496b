"""What reports told of leaves the baseline: one incident does not hide the next, nor is its end one more."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import polars as pl
from hourly import FROM_NS, HISTORY, HOURS, NOTHING, START_NS, TO_NS, noisy, rows

from collector.analyse.anomalies import counts, events, told
from collector.analyse.anomalies.cube import Period
from collector.model.units import DAY_NS, HOUR_NS

FIELD = Path(__file__).parents[2] / "vectors" / "truth" / "hourly-counts.csv.gz"
FIELD_START_NS = 1_769_385_600_000_000_000
"""2026-01-26 00:00 UTC, hour 0 of the field's series."""


def raised(frame: pl.DataFrame, period: Period) -> pl.DataFrame:
    """Return the events of *period*."""
    return events.merge(counts.decide(counts.tests(frame.filter(pl.col("hour_ns") < period.to_ns), period)))


def day(n: int, before: pl.DataFrame | None = None) -> Period:
    """Return the day *n* after the history of `hourly`."""
    return Period(FROM_NS + n * DAY_NS, TO_NS + n * DAY_NS, "UTC", told=before)


def test_series_of_the_field_tell_what_happened_once() -> None:
    """Outages are found also a week after a greater one; nights that a batch missed are told, and no surge after."""
    field = pl.read_csv(FIELD).with_columns(hour_ns=FIELD_START_NS + pl.col("hour") * HOUR_NS).drop("hour")
    days = [FIELD_START_NS + n * DAY_NS for n in (28, 29)]
    first, second = (raised(field, Period(a, a + DAY_NS, "UTC")).sort("series") for a in days)
    assert first.select("series", "direction", "is_level").rows() == [
        ("nightly-200", "down", False),
        ("nightly-25", "down", False),
        ("outage-0", "up", False),
        ("outage-1", "up", False),
        ("outage-2", "up", False),
    ]
    assert second.is_empty()


def test_an_incident_hides_a_smaller_one_only_where_nobody_told_of_it() -> None:
    """A third of the runs failing, a week after most did: told where the first was, or where that is worked out."""
    n, x = noisy(5, n=60, share=0.03)
    x[HISTORY - 170 : HISTORY - 166] = n[HISTORY - 170 : HISTORY - 166] * 4 // 5
    x[HISTORY + 5 : HISTORY + 9] = n[HISTORY + 5 : HISTORY + 9] // 5
    frame = rows("a", "failures", n, x)
    assert raised(frame, day(0, NOTHING)).is_empty()
    assert raised(frame, day(0)).height == 1
    known = counts.told_before(frame, day(0), counts.Options())
    assert {(f - START_NS) // HOUR_NS // 24 for f in known["from_ns"]} == {(HISTORY - 170) // 24}
    assert raised(frame, day(0, known)).height == 1


def test_what_is_told_again_and_again_is_usual() -> None:
    """Hours that were told of in four episodes, or on eight days on end, are in the baseline again."""
    n, x = noisy(8, n=60)
    burst = np.arange(HOURS) % 24 == 12
    for days, usual in (((3, 9, 15, 21), True), ((9, 15), False), (range(18, 27), True)):
        hit = burst & np.isin(np.arange(HOURS) // 24, [*days, 28])
        failed = np.where(hit, n // 2, x)
        before = [(START_NS + (d * 24 + 12) * HOUR_NS, START_NS + (d * 24 + 13) * HOUR_NS) for d in days]
        known = pl.DataFrame([("a", "failures", "up", a, b, False) for a, b in before], schema=told.TOLD, orient="row")
        assert raised(rows("a", "failures", n, failed), day(0, known)).is_empty() == usual, days


def test_a_level_takes_its_hours_back_and_is_no_news_twice() -> None:
    """What a level's days told of is usual once it is told; its end is no news, and what differs from both is."""
    hours = HOURS + 14 * 24
    n, x = noisy(4, n=60, share=0.05, hours=hours)
    at, end = HISTORY + 30, HISTORY + 30 + 7 * 24
    x[at:end] = n[at:end] // 4
    frame, known, said = rows("a", "failures", n, x), NOTHING, []
    for k in range(15):
        new = raised(frame, day(k, known))
        known = told.add(known, new)
        said += [(k, r["direction"], r["is_level"]) for r in new.iter_rows(named=True)]
    levels = [k for k, _, is_level in said if is_level]
    assert len(levels) == 1
    assert all(direction == "up" and k <= levels[0] for k, direction, _ in said), said
    assert known.select("direction", "is_level").rows() == [("up", True)]


def test_reports_that_overlap_tell_a_level_once() -> None:
    """Of reports over 24 hours every 12 hours one tells the level, and none after it anything of its hours."""
    n, x = noisy(4, n=60, share=0.05, hours=HOURS + 6 * 24)
    x[HISTORY + 30 :] = n[HISTORY + 30 :] // 4
    known, levels = NOTHING, []
    for hour in range(0, 5 * 24, 12):
        period = Period(FROM_NS + hour * HOUR_NS, TO_NS + hour * HOUR_NS, "UTC", told=known)
        new = raised(rows("a", "failures", n, x), period)
        known = told.add(known, new)
        assert not levels or new.is_empty(), hour
        levels += [hour] * new["is_level"].sum()
    assert len(levels) == 1


def test_days_are_worked_out_once() -> None:
    """Of days that are known to be told nothing is worked out, and those after them are."""
    n, x = noisy(5, n=60, share=0.03)
    x[HISTORY - 40 : HISTORY - 36] = n[HISTORY - 40 : HISTORY - 36] * 4 // 5
    frame = rows("a", "failures", n, x)
    options = counts.Options()
    assert counts.told_before(frame, day(0), options, NOTHING, FROM_NS).is_empty()
    for known_h in (47, 48, 60):
        assert counts.told_before(frame, day(0), options, NOTHING, FROM_NS - known_h * HOUR_NS).height == 1, known_h
    assert counts.told_before(frame, day(0), options, NOTHING, FROM_NS - 12 * HOUR_NS).is_empty()
