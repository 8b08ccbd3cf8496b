"""What reports told of: hours that leave the baseline, so that one incident does not hide the next.

What was told is kept with the reports. Where they do not reach back over the history, it is worked out day by day, as
reports would have told it.
"""

from __future__ import annotations

import math

import polars as pl

from collector.analyse.anomalies.cube import KEY
from collector.analyse.anomalies.options import Options
from collector.model.units import DAY_NS

TOLD = pl.Schema(
    {
        "series": pl.String,
        "metric": pl.String,
        "direction": pl.String,
        "from_ns": pl.Int64,
        "to_ns": pl.Int64,
        "is_level": pl.Boolean,
    }
)
"""One row per series, metric, direction and stretch of hours told of; `is_level`: a new level, since `from_ns`."""


def add(told: pl.DataFrame, events: pl.DataFrame) -> pl.DataFrame:
    """Return *told* (`TOLD`) with the *events* of a report, which have its columns.

    A level is usual from when it began on: what was told of it since is no exception any more.
    """
    levels = events.filter("is_level").group_by(KEY).agg(since_ns=pl.col("from_ns").min())
    every = pl.concat([told, events.select(TOLD.names())]).join(levels, on=KEY, how="left", maintain_order="left")
    is_past = (pl.col("to_ns") <= pl.col("since_ns")).fill_null(True)
    return every.filter(is_past | pl.col("is_level")).select(TOLD.names()).unique(maintain_order=True)


def days_before(from_ns: int, known_ns: int | None, options: Options) -> list[int]:
    """Return when the days before *from_ns* begin of which it is not known what they tell, ascending.

    *known_ns*: up to when it is known (of the first day a part may be), None: of no day. The first days have too little
    history to tell anything.
    """
    days = options.history_days - math.ceil(options.least_history_days)
    if known_ns is not None:
        days = min(days, math.ceil((from_ns - known_ns) / DAY_NS))
    return [from_ns - day * DAY_NS for day in range(days, 0, -1)]
