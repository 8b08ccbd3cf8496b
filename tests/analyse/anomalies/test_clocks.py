"""A clock change alone raises nothing, whatever clock the load follows; cron jobs as cronsim runs them."""

from __future__ import annotations

from collections import Counter
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import numpy as np
import polars as pl
import pytest
from cronsim import CronSim
from hourly import NOTHING

from collector.analyse.anomalies import counts, events, gauges
from collector.analyse.anomalies.cube import Period
from collector.model.units import HOUR_NS

ZONES = {
    "America/New_York": 2026,
    "Europe/London": 2026,
    "Europe/Moscow": 2010,  # the last year with two changes
    "Australia/Lord_Howe": 2026,  # by half an hour
    "Africa/Casablanca": 2026,  # around Ramadan
    "Antarctica/Troll": 2026,  # by two hours
    "Pacific/Apia": 2020,
    "America/Sao_Paulo": 2018,  # at midnight
    "Asia/Kolkata": 2026,  # never, and half an hour off
    "UTC": 2026,
}
SCHEDULES = ["30 2 * * *", "15 0 * * *", "30 1 * * 0", "45 1 * * *", "5 3 * * 1-5", "30 * * * *", "10 0,6,12,18 * * *"]
RUNS = 60


def changes(zone: str, year: int) -> list[datetime]:
    """Return the UTC hours of *year* at which the offset of *zone* changes; two others where it never does."""
    first = datetime(year, 1, 1, tzinfo=UTC)
    hours = [first + timedelta(hours=h) for h in range(366 * 24)]
    offsets = [h.astimezone(ZoneInfo(zone)).utcoffset() for h in hours]
    changed = [hours[k] for k in range(1, len(hours)) if offsets[k] != offsets[k - 1]]
    return changed or [datetime(year, 3, 29, 1, tzinfo=UTC), datetime(year, 10, 25, 1, tzinfo=UTC)]


def load(zone: str, around: datetime) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Return counts and gauges of five weeks of loads that follow the wall clock, UTC, and cron, without any chance."""
    start = around - timedelta(days=32)
    hours = [start + timedelta(hours=h) for h in range(36 * 24)]
    ns = [int(h.timestamp()) * 10**9 for h in hours]
    made: dict[tuple[str, str], list[tuple[int, int]]] = {}
    for clock in (zone, "UTC"):
        at = [h.astimezone(ZoneInfo(clock)) for h in hours]
        day = [60 + round(50 * np.sin((t.hour - 8) * np.pi / 12)) for t in at]
        n = [d if t.weekday() < 5 else d // 3 for d, t in zip(day, at, strict=True)]
        x = [v // 5 if t.hour in (20, 21, 22) else v // 20 for v, t in zip(n, at, strict=True)]
        made[f"by {clock}", "failures"] = list(zip(n, x, strict=True))
        made[f"by {clock}", "volume"] = list(zip(n, n, strict=True))
        for schedule in SCHEDULES:
            begin = start.astimezone(ZoneInfo(clock))
            fired: Counter[datetime] = Counter()
            for fire in CronSim(schedule, begin):
                hour = fire.astimezone(UTC).replace(minute=0, second=0)
                if hour > hours[-1]:
                    break
                fired[hour] += RUNS
            made[f"{schedule} {clock}", "volume"] = [(fired[h], fired[h]) for h in hours]
    frame = pl.concat(
        [
            pl.DataFrame({"series": s, "metric": m, "hour_ns": ns, "n": [n for n, _ in v], "x": [x for _, x in v]})
            for (s, m), v in made.items()
        ]
    )
    full = frame.filter(pl.col("series").str.starts_with("by "), pl.col("metric") == "volume")
    return frame.filter(pl.col("n") > 0), full.select(
        "series", "hour_ns", metric=pl.lit("saturation"), value=pl.col("n") / 110
    )


@pytest.mark.parametrize("zone", ZONES)
def test_a_clock_change_alone_raises_nothing(zone: str) -> None:
    """Reports of the day of a change, the day before and the two after find nothing in loads that go on as ever."""
    for change in changes(zone, ZONES[zone]):
        rows, full = load(zone, change)
        midnight = change.astimezone(ZoneInfo(zone)).replace(hour=0, minute=0)
        for day in (-1, 0, 1, 2):
            begin = (midnight + timedelta(days=day)).astimezone(UTC)
            from_ns = int(begin.timestamp()) * 10**9
            period = Period(from_ns, from_ns + 24 * HOUR_NS, zone, told=NOTHING)
            seen = rows.filter(pl.col("hour_ns") < period.to_ns)
            raised = events.merge(counts.decide(counts.tests(seen, period)))
            assert raised.is_empty(), (change, day, raised.rows(named=True))
            assert gauges.merge(gauges.tests(full, period)).is_empty()


def test_a_drop_on_the_day_of_a_change_is_found() -> None:
    """What the clock does not explain is reported on that day as on any other."""
    zone = "Europe/London"
    change = changes(zone, 2026)[0]
    rows, _ = load(zone, change)
    from_ns = int(change.timestamp()) * 10**9
    gone = pl.col("hour_ns").is_between(from_ns + 8 * HOUR_NS, from_ns + 20 * HOUR_NS)
    raised = events.merge(
        counts.decide(
            counts.tests(
                rows.filter(~(gone & (pl.col("series") == f"by {zone}"))),
                Period(from_ns, from_ns + 24 * HOUR_NS, zone, told=NOTHING),
            )
        )
    )
    assert raised.select("series", "metric", "direction").rows() == [(f"by {zone}", "volume", "down")]
