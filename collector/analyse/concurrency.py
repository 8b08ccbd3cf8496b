"""Saturation: what the level table of queues says, and what follows for backlog and limit.

Enter: rows of `queue_levels`, `slot_hours`, `flow_hours`, intervals of `slots`. Leave: numbers. Levels are weighted by
time, so bucket maxima never stand for averages. `n` counts buckets or slots, as the unit of the table that was read.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import polars as pl

from collector.analyse.believable import exact
from collector.analyse.frames import Frame
from collector.analyse.numbers import Number, count, ratio, rows
from collector.analyse.slots import QUEUE
from collector.model.statistics import AT_LEAST, Z

UTILISATION = 0.7
"""Share of the limit that leaves room: waits grow as u / (1 - u)."""


def report(levels: Frame, by: Sequence[str] = QUEUE, *, buckets: int | None = None) -> pl.DataFrame:
    """Return level (mean, p95, peak), limit, saturation, time at limit, throttled, over the limit and paused time.

    *levels*: rows of `queue_levels`; *by*: at least `QUEUE`, or with `bucket_ns` or an hour added; *buckets*: how many
    each row of the report covers, counted where it is not given. Without a limit
    only the level is known. Throttled is NULL unless it is told whether a run waited while the queue was full.

    Numbers are of the level; how much of it is certain (`sure` to `most`) is their coverage: of levels the share of
    slot time, of shares of time the time in which all levels that may be say the same. Over the limit is only what is
    certain, in buckets in which it was held for longer than clocks differ (`peak`); what is not is a number of its own.
    """
    # Level times time leaves 64 bits: three thousand slots for a month.
    ns, level, limit = pl.col("ns").cast(pl.Int128), pl.col("level").cast(pl.Int64), pl.col("limit")
    sure, most = pl.col("sure").cast(pl.Int64), pl.col("most").cast(pl.Int64)
    limited = (limit > 0).fill_null(False)
    full = limited & (level >= limit)
    over = limited & (sure > limit) & (pl.col("peak").cast(pl.Int64) > limit)
    maybe_over = limited & (most > limit) & ~over
    waits_known = full & pl.col("is_queued").is_not_null()
    lasting = pl.col("peak").max()

    def slot_ns(held: pl.Expr, where: pl.Expr | None = None) -> pl.Expr:
        spent = held * ns
        return (spent if where is None else spent.filter(where)).sum().cast(pl.Float64)

    weighted = (
        levels.lazy()
        .sort(*by, "level", nulls_last=True)
        .with_columns(reached=ns.cum_sum().over(by), all=ns.sum().over(by))
        .group_by(by)
        .agg(
            ns=ns.sum(),
            buckets=pl.col("bucket_ns").n_unique() if buckets is None else pl.lit(buckets).first(),
            held=slot_ns(level),
            sure=slot_ns(sure),
            most_held=slot_ns(most),
            p95=level.filter(pl.col("reached") * 20 >= pl.col("all") * 19).min(),
            peak=pl.when(lasting > 0).then(lasting).otherwise(level.max()),
            moment=level.max(),
            is_short=(lasting == 0) & (level.max() > 0),
            limited=ns.filter(limited).sum(),
            known=ns.filter(limit.is_not_null()).sum(),
            used=slot_ns(pl.min_horizontal(level, limit), limited),
            surely_used=slot_ns(pl.min_horizontal(sure, limit), limited),
            most_used=slot_ns(pl.min_horizontal(most, limit), limited),
            offered=slot_ns(limit, limited),
            full=ns.filter(full).sum(),
            full_agreed=ns.filter(limited & ((sure >= limit) == (most >= limit))).sum(),
            full_known=ns.filter(waits_known).sum(),
            throttled=ns.filter(waits_known & pl.col("is_queued")).sum(),
            over=ns.filter(over).sum(),
            over_agreed=ns.filter(limited & ~maybe_over).sum(),
            maybe_over=ns.filter(maybe_over & (level > limit)).sum(),
            paused=ns.filter(limit == 0).sum(),
            is_inferred=(pl.col("limit_source") == "inferred").any(),
            most=limit.max(),
            changed=limit.drop_nulls().n_unique() > 1,
        )
        .with_columns(is_sure=pl.col("sure") == pl.col("most_held"))
        .with_columns(
            weak=pl.when(pl.col("is_sure")).then(1).otherwise(2),
            weak_limit=pl.when(pl.col("is_inferred")).then(2).otherwise(1),
        )
    )
    c = pl.col
    unlimited = pl.when(c("known") == 0).then(pl.lit("limit unknown"))
    covered = ratio(c("known"), c("ns"))
    of_levels = pl.when(c("most_held") > 0).then(ratio(c("sure"), c("most_held"))).otherwise(1.0)
    maybe_over = pl.when(c("maybe_over") > 0).then(pl.lit("without levels that waits, inferred ends or clocks explain"))

    def level_(statistic: str, value: pl.Expr, note: pl.Expr | None = None) -> Number:
        return Number(
            "level",
            statistic,
            "slots",
            value,
            n=c("buckets"),
            coverage=of_levels,
            weakness=c("weak"),
            note=pl.lit(None, pl.String) if note is None else note,
        )

    def limited_(
        measure: str, above: pl.Expr, below: pl.Expr, certain: pl.Expr | None = None, note: pl.Expr | None = None
    ) -> Number:
        """Return a share of time with a limit; *certain*: the share of that in which it is certain."""
        agreed = pl.lit(1.0) if certain is None else certain.fill_null(1.0)
        return Number(
            measure,
            "share",
            "share",
            ratio(above, below),
            n=c("buckets"),
            coverage=covered * agreed,
            weakness=pl.when(agreed < 1).then(2).otherwise(c("weak_limit")),
            note=unlimited if note is None else pl.coalesce(unlimited, note),
        )

    not_told = (c("full") > 0) & (c("full_known") == 0)
    throttled = Number(
        "throttled",
        "share",
        "share",
        pl.when(~not_told).then(ratio(c("throttled"), c("limited") - c("full") + c("full_known"))),
        n=c("buckets"),
        coverage=ratio(c("limited") - c("full") + c("full_known"), c("ns"))
        * ratio(c("full_agreed"), c("limited")).fill_null(1.0),
        # Of an end that is inferred nobody knows whom it let in.
        weakness=pl.when((c("full_agreed") < c("limited")) | (c("full_known") < c("full")) | ~pl.col("is_sure"))
        .then(2)
        .otherwise(c("weak_limit")),
        note=pl.when(not_told).then(pl.lit("waiting not told by telemetry")).otherwise(unlimited),
    )
    return rows(
        weighted,
        by,
        [
            level_("mean", ratio(c("held"), c("ns"))),
            level_("p95", c("p95")),
            level_(
                "peak",
                c("peak"),
                pl.when("is_short")
                .then(pl.lit("no level lasted for a second: the highest of any moment"))
                .when(c("moment") > c("peak"))
                .then(pl.format("{} for less than a second", "moment")),
            ),
            Number(
                "limit",
                "max",
                "slots",
                c("most"),
                n=c("buckets"),
                coverage=covered,
                weakness=pl.when("is_inferred").then(2).otherwise(0),
                note=pl.when(c("known") == 0)
                .then(pl.lit("limit unknown"))
                .when(c("changed"))
                .then(pl.lit("it changed; this is the highest"))
                .when("is_inferred")
                .then(pl.lit("inferred from load"))
                .otherwise(pl.lit("from settings")),
            ),
            limited_(
                "saturation",
                c("used"),
                c("offered"),
                pl.when(c("most_used") > 0).then(ratio(c("surely_used"), c("most_used"))),
            ),
            limited_("time_at_limit", c("full"), c("limited"), ratio(c("full_agreed"), c("limited"))),
            throttled,
            limited_("over_limit", c("over"), c("limited"), ratio(c("over_agreed"), c("limited")), maybe_over),
            limited_("maybe_over_limit", c("maybe_over"), c("limited"), ratio(c("over_agreed"), c("limited"))),
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
            pl.col("slot_ns", "assumed_ns", "maybe_ns", "orphan_slots").sum(),
            hours=pl.col("hour_ns").filter(pl.col("slot_ns") > 0).n_unique().cast(pl.Int64),
        )
        .with_columns(all=pl.col("slot_ns").sum().over(QUEUE))
        .with_columns(weak=pl.when((pl.col("assumed_ns") > 0) | (pl.col("maybe_ns") > 0)).then(2).otherwise(1))
    )
    c = pl.col
    certain = ratio(c("slot_ns") - c("assumed_ns"), c("slot_ns") + c("maybe_ns"))
    # A share rests on the slot time of all tasks.
    of_queue = [c(name).sum().over(QUEUE) for name in ("slot_ns", "assumed_ns", "maybe_ns")]
    sums = sums.with_columns(
        all_certain=ratio(of_queue[0] - of_queue[1], of_queue[0] + of_queue[2]), all_weak=c("weak").max().over(QUEUE)
    )
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
                coverage=c("all_certain"),
                weakness=c("all_weak"),
            ),
            Number(
                "slot_share",
                "total",
                "ns",
                c("slot_ns"),
                n=c("hours"),
                coverage=certain,
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
            moved=exact(pl.when(before).then(-reached).otherwise(pl.col("to_ns") - to_ns)).cast(pl.Float64),
            crossing=pl.len().cast(pl.Int64),
            weak=pl.col("is_assumed").any(),
        )
    )
    sums = (
        hours.lazy()
        .group_by(QUEUE)
        .agg(exact(pl.col("slot_ns", "assumed_ns", "maybe_ns")).cast(pl.Float64), pl.col("starts").sum())
        .join(moved, on=QUEUE, how="left", nulls_equal=True)
        .select(
            *QUEUE,
            "starts",
            "assumed_ns",
            "maybe_ns",
            pl.col("crossing").fill_null(0),
            inside="slot_ns",
            lasting=pl.col("slot_ns") + pl.col("moved").fill_null(0.0),
            weak=pl.when((pl.col("assumed_ns") > 0) | (pl.col("maybe_ns") > 0) | pl.col("weak").fill_null(False))
            .then(2)
            .otherwise(1),
        )
    )
    c = pl.col
    predicted = c("lasting") / window
    most = c("inside") + c("maybe_ns")
    certain = pl.when(most > 0).then((c("inside") - c("assumed_ns")) / most).otherwise(1.0)

    def slots_(measure: str, value: pl.Expr, n: str = "starts", statistic: str = "mean") -> Number:
        return Number(measure, statistic, "slots", value, n=c(n), coverage=certain, weakness=c("weak"))

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

    *waiting*: runs that have not started (`waiting.ordered`): *by*, queued_ns, status, is_assumed (their queue is),
    is_told; those that are not are left out, and the backlog is `AT_LEAST` what it says; is_paused (their queue is).
    *arrivals*: *by*, arrived, ended, as counted over the last *over_ns*. Time to drain is NULL with the note "paused"
    of a queue that is, and "never" unless ends outpace arrivals; its interval follows from both counts' (normal), open
    upwards where they may not.
    """
    age, told = as_of_ns - pl.col("queued_ns"), pl.col("is_told")
    is_unheard = pl.col("status") == "unknown"
    now = (
        waiting.lazy()
        .group_by(by)
        .agg(
            backlog=told.sum().cast(pl.Int64),
            unheard=(told & is_unheard).sum().cast(pl.Int64),
            untold=(~told).sum().cast(pl.Int64),
            aged=pl.col("queued_ns").filter(told).count().cast(pl.Int64),
            age_ns=age.filter(told).max(),
            weak=pl.when((pl.col("is_assumed") | is_unheard).any()).then(2).otherwise(1),
            is_paused=pl.col("is_paused").any(),
        )
    )
    c = pl.col
    at_least = pl.when(c("untold") > 0).then(
        pl.format(f"{AT_LEAST}: {{}} more were triggered so long ago that nobody can tell whether they wait", "untold")
    )
    unheard = pl.when(c("unheard") > 0).then(
        pl.format("{} of them have the status unknown: only the order of the queue says that they wait", "unheard")
    )
    numbers = [
        replace(
            count("backlog", c("backlog"), weakness=c("weak")),
            coverage=ratio(c("backlog"), c("backlog") + c("untold")),
            note=pl.concat_str(at_least, unheard, separator="; ", ignore_nulls=True).replace("", None),
        ),
        count("backlog_unheard", c("unheard"), weakness=pl.lit(2)),
        Number(
            "backlog_age",
            "max",
            "ns",
            c("age_ns"),
            n=c("aged"),
            coverage=ratio(c("aged"), c("backlog") + c("untold")),
            weakness=c("weak"),
            note=at_least,
        ),
    ]
    if arrivals is not None:
        now = now.join(
            arrivals.lazy().select(*by, "arrived", "ended"), on=list(by), how="left", nulls_equal=True
        ).with_columns(pl.col("arrived", "ended").fill_null(0))
        gain = (c("ended") - c("arrived")).cast(pl.Float64)
        half = (c("ended") + c("arrived")).cast(pl.Float64).sqrt() * Z

        def lasts(gained: pl.Expr) -> pl.Expr:
            return pl.when((gained > 0) & ~c("is_paused")).then(c("backlog") / gained * over_ns)

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
                note=pl.when("is_paused")
                .then(pl.lit("paused: its limit is 0"))
                .when(gain <= 0)
                .then(pl.lit("never: no more runs end than arrive"))
                .otherwise(at_least),
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
