"""How many slots of a queue are held, and for how long: the level table that everything about saturation comes from.

Enter: intervals of `slots`, limits as steps. Leave: rows of `queue_levels`: time per level, not samples, so that
averages, percentiles and time at the limit are exact and rows of any buckets add up. At one instant ends come before
starts, because intervals are half-open; an interval without length never counts.
"""

from __future__ import annotations

import polars as pl

from collector.analyse.frames import Frame, hour_of, schema_of, shaped
from collector.analyse.slots import QUEUE

BUCKET_NS = 300_000_000_000
DWELL_NS = 1_000_000_000
"""A level counts as a peak that was held for so long at a stretch: the clocks of machines differ by less."""
_KEY = [*QUEUE, "bucket_ns", "level", "sure", "most", "limit", "limit_source", "is_queued", "may_wait"]
_MOVES = ["d", "less", "more", "q", "maybe"]


def queue_levels(
    held: Frame,
    doubted: Frame,
    waiting: Frame,
    limits: Frame,
    *,
    from_ns: int,
    to_ns: int,
    queues: Frame | None = None,
    bucket_ns: int = BUCKET_NS,
) -> pl.DataFrame:
    """Return rows of `queue_levels` for the time [*from_ns*, *to_ns*).

    *held*, *doubted*, *waiting*: at least the rows of `slots.slots`, `slots.doubts` and `slots.queued` that touch that
    time or the `DWELL_NS` before and after it, any others do no harm. *limits*: rows of `queue_limits` with their
    environment filled in (`limits.steps`), one series a queue. *queues* (`QUEUE`): queues to report although nothing
    was held, at level 0. *from_ns* is the start of an hour; buckets are whole but for one that *to_ns* ends. Cost grows
    with the rows given, not with the slots' length.
    """
    moved = moves(held, doubted, waiting, from_ns=from_ns, to_ns=to_ns, queues=queues)
    return told(leveled([moved], limits, from_ns=from_ns, to_ns=to_ns, bucket_ns=bucket_ns), [stated(waiting)])


def moves(
    held: Frame, doubted: Frame, waiting: Frame, *, from_ns: int, to_ns: int, queues: Frame | None = None
) -> pl.DataFrame:
    """Return when levels move within [*from_ns*, *to_ns*) and `DWELL_NS` around it: `QUEUE`, t, and by how much.

    d: slots held; less: those of them that are not sure; more: slots that may be held beside them; q: runs that wait;
    maybe: runs that may. What lasts all the time is one row a queue. Moves of different runs add up.
    """
    held, doubted, waiting = held.lazy(), doubted.lazy(), waiting.lazy()
    sources = [held, waiting, *([queues.lazy()] if queues is not None else [])]
    every = pl.concat([rows.select(QUEUE) for rows in sources]).unique()
    known = waiting.filter(pl.col("from_ns").is_not_null())
    around = (from_ns - DWELL_NS, to_ns + DWELL_NS)
    counted = {
        "d": held,
        "less": doubted.filter("is_held"),
        "more": doubted.filter(~pl.col("is_held")),
        "q": known.filter("is_sure"),
        "maybe": known.filter(~pl.col("is_sure")),
    }
    return (
        pl.concat(
            [
                every.with_columns(t=pl.lit(around[0], pl.Int64)),
                *(_points(intervals, *around, name) for name, intervals in counted.items()),
            ],
            how="diagonal",
        )
        .group_by(*QUEUE, "t")
        .agg(pl.col(_MOVES).sum())
        .collect()
    )


def leveled(
    moved: list[pl.DataFrame], limits: Frame, *, from_ns: int, to_ns: int, bucket_ns: int = BUCKET_NS
) -> pl.DataFrame:
    """Return rows of `queue_levels` for [*from_ns*, *to_ns*) by all of *moved* (`moves` of that time).

    *from_ns* is the start of a bucket. `is_queued` is true or NULL: that none waits is for `told` to say.
    """
    steps = limits.lazy().with_row_index("step")
    points = pl.concat([rows.lazy() for rows in moved])
    every = points.select(QUEUE).unique()
    grid = every.join(pl.LazyFrame({"t": [*range(from_ns, to_ns, bucket_ns), to_ns]}), how="cross")
    changes = (
        steps.filter(pl.col("from_ns") < to_ns)
        .join(every, on=QUEUE, how="semi", nulls_equal=True)
        .sort("from_ns", "step")
        .with_columns(t=pl.col("from_ns").clip(from_ns))
        .select(*QUEUE, "t", "step")
        # Of those in force before the window, the last one is.
        .unique([*QUEUE, "t"], keep="last", maintain_order=True)
    )
    swept = (
        pl.concat([grid, points, changes], how="diagonal")
        .group_by(*QUEUE, "t")
        .agg(pl.col(_MOVES).sum(), pl.col("step").max())
        .sort(*QUEUE, "t", nulls_last=True)
        .with_columns(
            pl.col(_MOVES).cum_sum().over(QUEUE),
            step=pl.col("step").forward_fill().over(QUEUE),
            ns=pl.col("t").shift(-1).over(QUEUE).fill_null(to_ns) - pl.col("t"),
        )
        .with_columns(level=pl.col("d"), bucket_ns=_bucket(from_ns, bucket_ns))
        .collect()
    )
    rows = (
        swept.lazy()
        .filter((pl.col("t") >= from_ns) & (pl.col("t") < to_ns) & (pl.col("ns") > 0))
        .with_columns(
            sure=pl.col("level") - pl.col("less"),
            most=pl.col("level") + pl.col("more"),
            is_queued=pl.when(pl.col("q") > 0).then(pl.lit(True)),
            may_wait=(pl.col("q") == 0) & (pl.col("maybe") > 0),
        )
        .join(steps.select("step", "limit", limit_source="source"), on="step", how="left")
        .group_by(_KEY)
        .agg(pl.col("ns").sum())
        .join(_peaks(swept, from_ns, to_ns, bucket_ns).lazy(), on=[*QUEUE, "bucket_ns"], how="left", nulls_equal=True)
    )
    return shaped(rows, "queue_levels", by=_KEY)


def _bucket(from_ns: int, bucket_ns: int) -> pl.Expr:
    return from_ns + (pl.col("t") - from_ns) // bucket_ns * bucket_ns


def _peaks(swept: pl.DataFrame, from_ns: int, to_ns: int, bucket_ns: int) -> pl.DataFrame:
    """Return `peak` by `QUEUE` and bucket: the highest level in it that was held for `DWELL_NS` at a stretch.

    The stretch may begin before the bucket and end after it, so no number depends on how time is cut. It begins where
    the level moves or, of a bucket that it reaches into, by less than `DWELL_NS` before the bucket.
    """
    moved = swept.select(*QUEUE, "t", "level")
    early = (
        moved.filter((pl.col("t") >= from_ns) & (pl.col("t") < to_ns) & ((pl.col("t") - from_ns) % bucket_ns == 0))
        .select(*QUEUE, t=pl.col("t") - DWELL_NS + 1)
        .join(moved, on=[*QUEUE, "t"], how="anti", nulls_equal=True)
    )
    lasting = (
        pl.concat([moved, early], how="diagonal")
        .sort(*QUEUE, "t", nulls_last=True)
        .with_columns(pl.col("level").forward_fill().over(QUEUE))
        .rolling("t", period=f"{DWELL_NS}i", offset="0i", closed="left", group_by=QUEUE)
        .agg(peak=pl.col("level").min())
        .filter(pl.col("t") < to_ns)
    )
    # What begins in the last moment of a bucket reaches into the next one too.
    reaching = lasting.with_columns(t=pl.col("t") + DWELL_NS - 1)
    return (
        pl.concat([lasting, reaching])
        .filter((pl.col("t") >= from_ns) & (pl.col("t") < to_ns))
        .group_by(*QUEUE, bucket_ns=_bucket(from_ns, bucket_ns))
        .agg(pl.col("peak").max())
    )


def stated(waiting: Frame) -> pl.DataFrame:
    """Return per queue and hour whether every attempt that started in it tells how long it had waited, at most."""
    return (
        waiting.lazy()
        .with_columns(hour_ns=hour_of("to_ns"))
        .group_by(*QUEUE, "hour_ns")
        .agg(all_stated=pl.col("from_ns").is_not_null().all())
        .collect()
    )


def told(rows: pl.DataFrame, known: list[pl.DataFrame]) -> pl.DataFrame:
    """Return *rows* of `leveled`, which say that nobody waited in hours where *known* (`stated`) tells of all waits."""
    every = pl.concat(known).group_by(*QUEUE, "hour_ns").agg(pl.col("all_stated").all())
    none_waits = pl.when(pl.col("all_stated").fill_null(False) & ~pl.col("may_wait")).then(pl.lit(False))
    joined = rows.with_columns(hour_ns=hour_of("bucket_ns")).join(
        every, on=[*QUEUE, "hour_ns"], how="left", nulls_equal=True
    )
    return shaped(joined.with_columns(is_queued=pl.coalesce("is_queued", none_waits)), "queue_levels", by=_KEY)


def _points(intervals: pl.LazyFrame, from_ns: int, to_ns: int, name: str) -> pl.LazyFrame:
    """Return +1 at each interval's start and -1 at its end, both clipped to the window."""
    clipped = intervals.filter((pl.col("from_ns") < to_ns) & (pl.col("to_ns") > from_ns))
    one = pl.lit(1, pl.Int64)
    return pl.concat(
        [
            clipped.select(*QUEUE, t=pl.col("from_ns").clip(from_ns, to_ns), **{name: one}),
            clipped.select(*QUEUE, t=pl.col("to_ns").clip(from_ns, to_ns), **{name: -one}),
        ]
    )


def idle(rows: Frame, limits: Frame, queues: Frame, *, from_ns: int, to_ns: int) -> pl.DataFrame:
    """Return the time of [*from_ns*, *to_ns*) that is not in *rows*, rows of `queue_levels` in it: level 0, by limit.

    *limits*: the steps that *rows* were computed with. Columns as in `queue_levels`, without `bucket_ns`.
    """
    key = [*QUEUE, "limit", "limit_source"]
    schema = schema_of("queue_levels")
    lasting = _lasting(limits, queues, from_ns=from_ns, to_ns=to_ns)
    inferred = pl.col("limit_source") == "inferred"
    counted = (
        rows.lazy()
        .with_columns(pl.when(~inferred.fill_null(False)).then(pl.col(c)).alias(c) for c in ("limit", "limit_source"))
        .group_by(key)
        .agg(counted=pl.col("ns").sum())
    )
    return (
        lasting.join(counted, on=key, how="left", nulls_equal=True)
        .select(
            *key,
            **{name: pl.lit(0, schema[name]) for name in ("level", "sure", "most", "peak")},
            is_queued=pl.lit(None, pl.Boolean),
            may_wait=pl.lit(False),
            ns=pl.col("ns") - pl.col("counted").fill_null(0),
        )
        .filter(pl.col("ns") > 0)
        .collect()
    )


def without(rows: pl.DataFrame, limits: Frame, *, from_ns: int, to_ns: int) -> pl.DataFrame:
    """Return *rows* of `queue_levels` less the time [*from_ns*, *to_ns*), which they cover and which is level 0.

    *limits*: the stated steps that *rows* were computed with. Which of the time at level 0 somebody waited in is not
    looked at: no number asks.
    """
    key = [*QUEUE, "stated"]
    gone = _lasting(limits, rows.select(QUEUE).unique(), from_ns=from_ns, to_ns=to_ns)
    is_idle = pl.col("level") == 0
    stated = pl.when(pl.col("limit_source") != "inferred").then("limit")
    return (
        rows.with_columns(stated=stated)
        .join(gone.select(*QUEUE, stated="limit", gone="ns").collect(), on=key, how="left", nulls_equal=True)
        .sort(pl.col("is_queued").fill_null(False) | pl.col("may_wait") | (pl.col("most") > 0), maintain_order=True)
        .with_columns(before=pl.when(is_idle).then("ns").otherwise(0).cum_sum().over(key) - pl.col("ns"))
        .with_columns(
            ns=pl.when(is_idle)
            .then(pl.col("ns") - (pl.col("gone").fill_null(0) - pl.col("before")).clip(0, pl.col("ns")))
            .otherwise("ns")
        )
        .filter(pl.col("ns") > 0)
        .select(rows.columns)
    )


def _lasting(limits: Frame, queues: Frame, *, from_ns: int, to_ns: int) -> pl.LazyFrame:
    """Return how much of [*from_ns*, *to_ns*) each limit of *queues* held: `QUEUE`, limit, limit_source, ns."""
    schema = schema_of("queue_levels")
    steps = limits.lazy().filter(pl.col("from_ns") < to_ns).with_columns(from_ns=pl.col("from_ns").clip(from_ns))
    begin = queues.lazy().select(
        *QUEUE, from_ns=pl.lit(from_ns, pl.Int64), limit=pl.lit(None, schema["limit"]), source=pl.lit(None, pl.String)
    )
    return (
        pl.concat([begin, steps.select(*QUEUE, "from_ns", pl.col("limit").cast(schema["limit"]), "source")])
        .sort("from_ns", maintain_order=True)
        .select(
            *QUEUE,
            "limit",
            limit_source="source",
            ns=pl.col("from_ns").shift(-1).over(QUEUE).fill_null(to_ns) - pl.col("from_ns"),
        )
        .group_by(*QUEUE, "limit", "limit_source")
        .agg(pl.col("ns").sum())
    )


def segments(held: Frame, *, from_ns: int, to_ns: int) -> pl.DataFrame:
    """Return how the level of each queue moved within [*from_ns*, *to_ns*): `QUEUE`, from_ns, to_ns, level.

    One row per time in which the level stood still, in order, without gaps; neighbours differ.
    """
    points = _points(held.lazy(), from_ns, to_ns, "d")
    edge = held.lazy().select(*QUEUE, t=pl.lit(from_ns, pl.Int64), d=pl.lit(0, pl.Int64)).unique()
    return (
        pl.concat([points, edge])
        .group_by(*QUEUE, "t")
        .agg(pl.col("d").sum())
        .filter((pl.col("t") < to_ns) & ((pl.col("d") != 0) | (pl.col("t") == from_ns)))
        .sort(*QUEUE, "t", nulls_last=True)
        .select(
            *QUEUE,
            from_ns="t",
            to_ns=pl.col("t").shift(-1).over(QUEUE).fill_null(to_ns),
            level=pl.col("d").cum_sum().over(QUEUE),
        )
        .collect(engine="streaming")
    )
