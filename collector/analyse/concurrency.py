"""Saturation: what the level table of queues says, and what follows for backlog and limit.

Enter: rows of `queue_levels`, `slot_hours`, `flow_hours`, intervals of `slots`. Leave: numbers. Levels are weighted by
time, so bucket maxima never stand for averages. `n` counts buckets or slots, as the unit of the table that was read.
"""

from __future__ import annotations

from collections.abc import Sequence

import polars as pl

from collector.analyse.frames import Frame
from collector.analyse.numbers import Number, count, ratio, rows
from collector.analyse.slots import QUEUE
from collector.model.statistics import Z

UTILISATION = 0.7
"""Share of the limit that leaves room: waits grow as u / (1 - u)."""


def report(levels: Frame, by: Sequence[str] = QUEUE, *, buckets: int | None = None) -> pl.DataFrame:
    """Return level (mean, p95, peak), limit, saturation, time at limit, throttled, over the limit and paused time.

    *levels*: rows of `queue_levels`; *by*: at least `QUEUE`, or with `bucket_ns` or an hour added; *buckets*: how many
    each row of the report covers, counted where it is not given. Without a limit
    only the level is known. Throttled is NULL unless it is told whether a run waited while the queue was full.
    """
    # Level times time leaves 64 bits: three thousand slots for a month.
    ns, level, limit = pl.col("ns").cast(pl.Int128), pl.col("level").cast(pl.Int64), pl.col("limit")
    limited = (limit > 0).fill_null(False)
    full = limited & (level >= limit)
    waits_known = full & pl.col("is_queued").is_not_null()
    weighted = (
        levels.lazy()
        .sort(*by, "level", nulls_last=True)
        .with_columns(reached=ns.cum_sum().over(by), all=ns.sum().over(by))
        .group_by(by)
        .agg(
            ns=ns.sum(),
            buckets=pl.col("bucket_ns").n_unique() if buckets is None else pl.lit(buckets).first(),
            held=(level * ns).cast(pl.Float64).sum(),
            p95=level.filter(pl.col("reached") * 20 >= pl.col("all") * 19).min(),
            peak=level.max(),
            limited=ns.filter(limited).sum(),
            known=ns.filter(limit.is_not_null()).sum(),
            used=(pl.min_horizontal(level, limit) * ns).cast(pl.Float64).filter(limited).sum(),
            offered=(limit * ns).cast(pl.Float64).filter(limited).sum(),
            full=ns.filter(full).sum(),
            full_known=ns.filter(waits_known).sum(),
            throttled=ns.filter(waits_known & pl.col("is_queued")).sum(),
            over=ns.filter(limited & (level > limit)).sum(),
            paused=ns.filter(limit == 0).sum(),
            weak=pl.when((pl.col("limit_source") == "inferred").any()).then(2).otherwise(1),
            most=limit.max(),
            changed=limit.drop_nulls().n_unique() > 1,
        )
    )
    c = pl.col
    unlimited = pl.when(c("known") == 0).then(pl.lit("limit unknown"))
    covered = ratio(c("known"), c("ns"))

    def level_(statistic: str, value: pl.Expr) -> Number:
        return Number("level", statistic, "slots", value, n=c("buckets"), coverage=pl.lit(1.0), weakness=pl.lit(1))

    def limited_(measure: str, above: pl.Expr, below: pl.Expr, coverage: pl.Expr = covered) -> Number:
        return Number(
            measure,
            "share",
            "share",
            ratio(above, below),
            n=c("buckets"),
            coverage=coverage,
            weakness=c("weak"),
            note=unlimited,
        )

    not_told = (c("full") > 0) & (c("full_known") == 0)
    throttled = Number(
        "throttled",
        "share",
        "share",
        pl.when(~not_told).then(ratio(c("throttled"), c("limited") - c("full") + c("full_known"))),
        n=c("buckets"),
        coverage=ratio(c("limited") - c("full") + c("full_known"), c("ns")),
        weakness=c("weak"),
        note=pl.when(not_told).then(pl.lit("waiting not told by telemetry")).otherwise(unlimited),
    )
    return rows(
        weighted,
        by,
        [
            level_("mean", ratio(c("held"), c("ns"))),
            level_("p95", c("p95")),
            level_("peak", c("peak")),
            Number(
                "limit",
                "max",
                "slots",
                c("most"),
                n=c("buckets"),
                coverage=covered,
                weakness=pl.when(c("weak") == 2).then(2).otherwise(0),
                note=pl.when(c("known") == 0)
                .then(pl.lit("limit unknown"))
                .when(c("changed"))
                .then(pl.lit("it changed; this is the highest"))
                .when(c("weak") == 2)
                .then(pl.lit("inferred from load"))
                .otherwise(pl.lit("from settings")),
            ),
            limited_("saturation", c("used"), c("offered")),
            limited_("time_at_limit", c("full"), c("limited")),
            throttled,
            limited_("over_limit", c("over"), c("limited")),
            limited_("paused", c("paused"), c("known")),
        ],
    )


def slot_share(hours: Frame, by: Sequence[str] = ("task_id", "population")) -> pl.DataFrame:
    """Return the share of its queue's slot time that each *by* has, from rows of `slot_hours`; `n` counts hours."""
    key = [*QUEUE, *by]
    sums = (
        hours.lazy()
        .group_by(key)
        .agg(
            pl.col("slot_ns", "assumed_ns", "orphan_slots").sum(),
            hours=pl.col("hour_ns").filter(pl.col("slot_ns") > 0).n_unique().cast(pl.Int64),
        )
        .with_columns(all=pl.col("slot_ns").sum().over(QUEUE))
        .with_columns(weak=pl.when(pl.col("assumed_ns") > 0).then(2).otherwise(1))
    )
    c = pl.col
    return rows(
        sums,
        key,
        [
            Number(
                "slot_share",
                "share",
                "share",
                ratio(c("slot_ns"), c("all")),
                n=c("hours"),
                coverage=ratio(c("slot_ns") - c("assumed_ns"), c("slot_ns")),
                weakness=c("weak"),
            ),
            Number(
                "slot_share",
                "total",
                "ns",
                c("slot_ns"),
                n=c("hours"),
                coverage=ratio(c("slot_ns") - c("assumed_ns"), c("slot_ns")),
                weakness=c("weak"),
            ),
            count("orphan_slots", c("orphan_slots"), unit="slots", weakness=pl.lit(2)),
        ],
    )


def little(hours: Frame, edges: Frame, *, from_ns: int, to_ns: int) -> pl.DataFrame:
    """Return by `QUEUE` whether level = start rate x time held, and the limit that follows, for [*from_ns*, *to_ns*).

    *hours*: the rows of `slot_hours` that make up the window; *edges*: rows of `slots.slots`, at least those held at
    its start and at its end. Level and prediction differ exactly by the slot time outside the window of slots that
    started in it, less the time inside of those that did not: `n` of `little_difference` counts both.
    """
    window = to_ns - from_ns
    before = pl.col("from_ns") < from_ns
    reached = pl.col("to_ns").clip(from_ns, to_ns) - from_ns
    moved = (
        edges.lazy()
        .filter((pl.col("from_ns") < to_ns) & pl.when(before).then(reached > 0).otherwise(pl.col("to_ns") > to_ns))
        .group_by(QUEUE)
        .agg(
            moved=pl.when(before).then(-reached).otherwise(pl.col("to_ns") - to_ns).cast(pl.Float64).sum(),
            crossing=pl.len().cast(pl.Int64),
            weak=pl.col("is_assumed").any(),
        )
    )
    sums = (
        hours.lazy()
        .group_by(QUEUE)
        .agg(pl.col("slot_ns").cast(pl.Float64).sum(), pl.col("starts").sum(), assumed=pl.col("assumed_ns").sum() > 0)
        .join(moved, on=QUEUE, how="left", nulls_equal=True)
        .select(
            *QUEUE,
            "starts",
            pl.col("crossing").fill_null(0),
            inside="slot_ns",
            lasting=pl.col("slot_ns") + pl.col("moved").fill_null(0.0),
            weak=pl.when(pl.col("assumed") | pl.col("weak").fill_null(False)).then(2).otherwise(1),
        )
    )
    c = pl.col
    predicted = c("lasting") / window

    def slots_(measure: str, value: pl.Expr, n: str = "starts", statistic: str = "mean") -> Number:
        return Number(measure, statistic, "slots", value, n=c(n), coverage=pl.lit(1.0), weakness=c("weak"))

    needed = pl.when(c("starts") > 0).then((predicted / UTILISATION).ceil().clip(1))
    return rows(
        sums,
        QUEUE,
        [
            slots_("level", c("inside") / window),
            slots_("little_level", predicted),
            slots_("little_difference", c("inside") / window - predicted, n="crossing"),
            slots_("needed_limit", needed, statistic="count"),
        ],
    )


def backlog(
    waiting: Frame, *, as_of_ns: int, arrivals: Frame | None = None, over_ns: int = 0, by: Sequence[str] = QUEUE
) -> pl.DataFrame:
    """Return by *by* how many wait, how old the oldest is and, with *arrivals*, when the backlog is gone.

    *waiting*: runs that have not started: *by*, queued_ns, is_assumed (their queue is). *arrivals*: *by*, arrived,
    ended, as counted over the last *over_ns*. Time to drain is NULL with the note "never" unless ends outpace arrivals;
    its interval follows from both counts' (normal), open upwards where they may not.
    """
    age = as_of_ns - pl.col("queued_ns")
    now = (
        waiting.lazy()
        .group_by(by)
        .agg(
            backlog=pl.len().cast(pl.Int64),
            aged=pl.col("queued_ns").count().cast(pl.Int64),
            age_ns=age.max(),
            weak=pl.when(pl.col("is_assumed").any()).then(2).otherwise(1),
        )
    )
    c = pl.col
    numbers = [
        count("backlog", c("backlog"), weakness=c("weak")),
        Number(
            "backlog_age",
            "max",
            "ns",
            c("age_ns"),
            n=c("aged"),
            coverage=ratio(c("aged"), c("backlog")),
            weakness=c("weak"),
        ),
    ]
    if arrivals is not None:
        now = now.join(
            arrivals.lazy().select(*by, "arrived", "ended"), on=list(by), how="left", nulls_equal=True
        ).with_columns(pl.col("arrived", "ended").fill_null(0))
        gain = (c("ended") - c("arrived")).cast(pl.Float64)
        half = (c("ended") + c("arrived")).cast(pl.Float64).sqrt() * Z

        def lasts(gained: pl.Expr) -> pl.Expr:
            return pl.when(gained > 0).then(c("backlog") / gained * over_ns)

        numbers.append(
            Number(
                "drain_time",
                "mean",
                "ns",
                lasts(gain),
                n=c("ended"),
                coverage=pl.lit(1.0),
                weakness=c("weak"),
                low=lasts(gain + half),
                high=lasts(gain - half),
                note=pl.when(gain <= 0).then(pl.lit("never: no more runs end than arrive")),
            )
        )
    return rows(now, by, numbers)


def holders(held: Frame, *, as_of_ns: int) -> pl.DataFrame:
    """Return who holds slots at *as_of_ns*, the longest first: `QUEUE`, task_id, population, run_key, number, from_ns,
    held_ns, `is_orphan` for slots nobody ended, which are not counted any more, and `provenance`: nobody states of an
    attempt that goes on that it holds its slot still."""
    return (
        held.lazy()
        .filter(pl.col("is_open") | ((pl.col("from_ns") <= as_of_ns) & (pl.col("to_ns") > as_of_ns)))
        .select(
            *QUEUE,
            "task_id",
            "population",
            "run_key",
            "number",
            "from_ns",
            "is_orphan",
            held_ns=pl.when("is_orphan")
            .then(pl.col("to_ns") - pl.col("from_ns"))
            .otherwise(as_of_ns - pl.col("from_ns")),
            provenance=pl.when("is_assumed").then(pl.lit("inferred")).otherwise(pl.lit("derived")),
        )
        .sort("is_orphan", "held_ns", "run_key", "number", descending=[False, True, False, False])
        .collect(engine="streaming")
    )
