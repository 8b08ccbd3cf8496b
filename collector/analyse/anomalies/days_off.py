"""Days on which those who rest at weekends rested as well, such as holidays.

Enters: arrivals per task and hour. A working day is off where three quarters of the tasks that rest at weekends, and
two at least, ran hardly at all in the hours in which they usually do.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date

import polars as pl

_RESTS = 0.25
"""Share of what is usual up to which a task is at rest."""
_LEAST_TASKS = 2
_SHARE = 0.75
_LEAST_DUE = 0.5
_LEAST_DAYS = 4
_SATURDAY = 6


@dataclass(frozen=True, slots=True)
class DaysOff:
    """Local dates, and who rests on them: rows of the columns tasks are told apart by."""

    dates: frozenset[date]
    tasks: frozenset[tuple[str | None, ...]]


def days_off(hours: pl.DataFrame, by: list[str], *, from_ns: int, to_ns: int, zone: str) -> DaysOff:
    """Return the working days of [*from_ns*, *to_ns*), by the dates of *zone*, that were off.

    *hours*: *by*, `hour_ns`, `n`, of the time before as well.
    """
    local = pl.from_epoch("hour_ns", "ns").dt.replace_time_zone("UTC").dt.convert_time_zone(zone)
    rows = hours.with_columns(date=local.dt.date(), hour=local.dt.hour(), is_work=local.dt.weekday() < _SATURDAY)
    rows = rows.group_by(*by, "date", "hour", "is_work").agg(pl.col("n").sum(), pl.col("hour_ns").min())
    past = rows.filter(pl.col("hour_ns") < from_ns)
    if past.is_empty():
        return DaysOff(frozenset(), frozenset())
    grid = pl.DataFrame({"hour_ns": pl.int_range(int(rows["hour_ns"].min()), to_ns, 3600 * 10**9, eager=True)})  # type: ignore[arg-type]
    grid = grid.with_columns(date=local.dt.date(), hour=local.dt.hour(), is_work=local.dt.weekday() < _SATURDAY)
    now = grid.filter(pl.col("hour_ns") >= from_ns)["date"].unique()
    days = grid.filter(~pl.col("date").is_in(now.implode())).group_by("date").agg(pl.col("is_work").first())
    since = past.group_by(by).agg(since=pl.col("date").min())
    known = (
        since.join(days, how="cross")
        .filter(pl.col("date") >= pl.col("since"))
        .group_by(by)
        .agg(work=pl.col("is_work").sum(), rest=(~pl.col("is_work")).sum())
    )
    before = past.filter(~pl.col("date").is_in(now.implode()))
    office = (
        before.group_by(by)
        .agg(n_work=pl.col("n").filter("is_work").sum(), n_rest=pl.col("n").filter(~pl.col("is_work")).sum())
        .join(known, on=by, nulls_equal=True)
        .filter((pl.col("work") >= _LEAST_DAYS) & (pl.col("rest") >= 1))
        .filter(pl.col("n_rest") / pl.col("rest") <= _RESTS * pl.col("n_work") / pl.col("work"))
    )
    usual = (
        before.filter("is_work")
        .join(office.select(*by, "work"), on=by, nulls_equal=True)
        .group_by(*by, "hour")
        .agg(usual=pl.col("n").sum() / pl.col("work").first())
    )
    judged = grid.filter(pl.col("date").is_in(now.implode()) & pl.col("is_work"))
    votes = (
        usual.join(judged.select("date", "hour"), on="hour")
        .join(rows.select(*by, "date", "hour", "n"), on=[*by, "date", "hour"], how="left", nulls_equal=True)
        .group_by(*by, "date")
        .agg(pl.col("n").sum(), due=pl.col("usual").sum())
        .filter(pl.col("due") >= _LEAST_DUE)
        .group_by("date")
        .agg(n=pl.len(), resting=(pl.col("n") <= _RESTS * pl.col("due")).sum())
        .filter((pl.col("n") >= _LEAST_TASKS) & (pl.col("resting") >= _SHARE * pl.col("n")))
    )
    return DaysOff(frozenset(votes["date"].to_list()), frozenset(office.select(by).rows()))
