"""Slots: when attempts hold one of their queue's, and when runs wait for one.

Enter: rows of `runs`, `attempts`, `waits`. Leave: intervals, half-open [from_ns, to_ns), and slot time per task
and hour (`slot_hours`). A slot is held whoever holds it, so test runs and replays count here.
"""

from __future__ import annotations

import polars as pl

from collector.analyse.believable import exact
from collector.analyse.evidence import RUN
from collector.analyse.frames import Frame, dimensions, hour_of, shaped
from collector.model.believable import LONGEST_NS
from collector.model.units import HOUR_NS

QUEUE = ["project", "queue", "environment", "platform_project"]
"""What a limit applies to."""
_ATTEMPT = [*RUN, "number"]
_SLOT_HOUR = ["project", "hour_ns", *QUEUE[1:], "task_id", "population"]
_TAKEN = pl.coalesce("dequeued_ns", "started_ns")
_SINCE = pl.col("started_ns") - pl.col("queue_wait_ns")
_ABOUT_END = ["last_seen_ns", "is_inferred", "next_ns", "status"]
_KINDS = [_DOUBT, _BELIEVED, _TOLD] = ["doubt", "believed", "told"]
"""Times of an attempt: of which nobody knows, and in which it is believed, or documented, to have given its slot back.
"""


def slots(runs: Frame, attempts: Frame, waits: Frame, *, as_of_ns: int, lease_ns: int) -> pl.LazyFrame:
    """Return the slots held: `QUEUE`, task_id, population, run_key, number, from_ns, to_ns, and three flags.

    An attempt holds its slot from when it was taken from the queue, or its start, to its end, less what waits give back
    (`released_ns`); one without an end holds it until *as_of_ns* as long as its run was seen within
    *lease_ns*, or it waits and gives its slot back meanwhile, else only until it was last seen. An end before the start
    counts as a slot of no length. `is_open`: it has no end, unless it is silent and has given its slot back;
    `is_orphan`: it has none, was not seen for so long, and is in no such wait; `is_assumed`:
    its end is inferred or missing, or it waits and nobody documents whether that gives the slot back (`doubts` says
    when). Left out: attempts whose queue is unknown, and those that start at *as_of_ns* or, by their clock, later.
    """
    waits = waits.lazy().collect()
    held = _whole(runs, attempts, waits, as_of_ns=as_of_ns, lease_ns=lease_ns).drop(_ABOUT_END)
    given_back = waits.filter(pl.col("released_ns").is_not_null()).select(
        *RUN, number="attempt", a="released_ns", b=pl.col("ended_ns").fill_null(as_of_ns)
    )
    return held if given_back.is_empty() else _without(held, given_back.lazy())


def _whole(runs: Frame, attempts: Frame, waits: pl.DataFrame, *, as_of_ns: int, lease_ns: int) -> pl.LazyFrame:
    """Return `slots` as if no wait gave any back, with what tells of their end (`_ABOUT_END`).

    `is_inferred`: it is. `next_ns`: when the next attempt of the run was taken from the queue or started. Who waits is
    silent by nature, but for no longer than anything lasts.
    """
    seen = runs.lazy().select(*RUN, "last_seen_ns", "status")
    is_open = pl.col("ended_ns").is_null()
    is_silent = (is_open & (as_of_ns - pl.col("last_seen_ns") > lease_ns)).fill_null(False)
    is_orphan = is_silent & pl.col("away_ns").is_null()
    waiting = (
        waits.group_by(*RUN, number="attempt")
        .agg(
            is_doubtful=_is_doubtful().any(),
            away_ns=pl.col("released_ns").filter(pl.col("ended_ns").is_null()).min(),
        )
        .lazy()
    )
    return (
        attempts.lazy()
        .filter(pl.col("started_ns").is_not_null())
        .sort(_ATTEMPT)
        .with_columns(next_ns=_TAKEN.shift(-1).over(RUN))
        .select(*_ATTEMPT, "dequeued_ns", "started_ns", "ended_ns", "ended_source", "next_ns")
        .join(dimensions(runs, tests=True), on=RUN, how="inner", nulls_equal=True)
        .filter(pl.col("queue").is_not_null())
        .join(seen, on=RUN, how="left", nulls_equal=True)
        .join(waiting, on=_ATTEMPT, how="left", nulls_equal=True)
        .select(
            *QUEUE,
            "task_id",
            "population",
            "run_key",
            "number",
            from_ns=_TAKEN,
            to_ns=pl.max_horizontal(
                "started_ns",
                pl.when(~is_open)
                .then("ended_ns")
                .when(is_orphan)
                .then("last_seen_ns")
                .otherwise(pl.min_horizontal(pl.lit(as_of_ns), pl.col("last_seen_ns") + LONGEST_NS)),
            ),
            is_assumed=is_open | (pl.col("ended_source") == "inferred") | pl.col("is_doubtful").fill_null(False),
            # However silent: who waits with its slot given back holds none.
            is_open=is_open & ~(is_silent & (pl.col("away_ns") <= as_of_ns)).fill_null(False),
            is_orphan=is_orphan,
            last_seen_ns=pl.when(is_open).then("last_seen_ns"),
            is_inferred=pl.col("ended_source") == "inferred",
            next_ns="next_ns",
            status="status",
        )
        .filter(pl.col("from_ns") < as_of_ns)
    )


def _is_doubtful() -> pl.Expr:
    """Tell, of a wait, whether nobody documents if the slot is held meanwhile."""
    return pl.col("released_source").is_in(["inferred", "unknown"])


def doubts(runs: Frame, attempts: Frame, waits: Frame, *, as_of_ns: int, lease_ns: int) -> pl.LazyFrame:
    """Return when it is only assumed that an attempt holds its slot, or that it does not: `QUEUE`, task_id, population,
    run_key, number, from_ns, to_ns, is_held.

    `is_held`: of `slots`, the times in a wait that may have given the slot back sooner (`released_source` inferred),
    those since an attempt without an end was last seen, and all of an attempt whose end is inferred. Otherwise, the
    times in which such a wait is believed to have given the slot back, and those after the last sign of life of an
    attempt that died unseen: until the next attempt of its run, at most for *lease_ns*. No two rows of an attempt
    overlap.
    """
    waits = waits.lazy().collect()
    whole = _whole(runs, attempts, waits, as_of_ns=as_of_ns, lease_ns=lease_ns)
    about = [*QUEUE, "task_id", "population", *_ATTEMPT[1:]]
    doubtful = waits.filter(_is_doubtful())
    until_ns = pl.col("ended_ns").fill_null(as_of_ns)
    released = waits.filter(pl.col("released_ns").is_not_null())
    regions = pl.concat(
        [
            rows.select(*RUN, number="attempt", a=pl.col(start), b=until_ns, kind=pl.lit(kind))
            for rows, start, kind in (
                (doubtful, "started_ns", _DOUBT),
                (released.filter(_is_doubtful()), "released_ns", _BELIEVED),
                (released.filter(~_is_doubtful()), "released_ns", _TOLD),
            )
        ]
    ).lazy()
    of_ends = whole.filter(pl.col("is_inferred") | pl.col("last_seen_ns").is_not_null()).select(
        *_ATTEMPT,
        a=pl.when("is_inferred").then("from_ns").otherwise(pl.max_horizontal("from_ns", "last_seen_ns")),
        b="to_ns",
        kind=pl.lit(_DOUBT),
    )
    regions = pl.concat([regions, of_ends])
    inside = (
        regions.join(whole.select(*about, "from_ns", "to_ns"), on=_ATTEMPT, how="inner", nulls_equal=True)
        .with_columns(a=pl.col("a").clip("from_ns", "to_ns"), b=pl.col("b").clip("from_ns", "to_ns"))
        .filter(pl.col("a") < pl.col("b"))
    )
    steps = [
        inside.select(*about, t=t, **{k: pl.when(pl.col("kind") == k).then(step).otherwise(0) for k in _KINDS})
        for t, step in (("a", 1), ("b", -1))
    ]
    is_held = (pl.col(_TOLD) == 0) & (pl.col(_BELIEVED) == 0)
    is_free = (pl.col(_TOLD) == 0) & (pl.col(_BELIEVED) > 0)
    after = whole.select(*about, from_ns="to_ns", to_ns=_died_by(lease_ns), is_held=pl.lit(False))
    during = (
        pl.concat(steps)
        .group_by(*about, "t")
        .agg(pl.col(_KINDS).sum())
        .sort(*_ATTEMPT, "t", nulls_last=True)
        .with_columns(pl.col(_KINDS).cum_sum().over(_ATTEMPT), to_ns=pl.col("t").shift(-1).over(_ATTEMPT))
        .filter(is_free | (is_held & (pl.col(_DOUBT) > 0)))
        .select(*about, from_ns="t", to_ns="to_ns", is_held=is_held)
    )
    return pl.concat([during, after.filter(pl.col("from_ns") < pl.col("to_ns"))])


def _died_by(lease_ns: int) -> pl.Expr:
    """Return, of rows of `_whole`, by when an attempt that died unseen has given its slot back; NULL of any other.

    It died so if a later one began and its own end is inferred, or if its run fell silent and is `unknown` since.
    """
    again = pl.when("is_inferred").then("next_ns")
    lost = pl.when(pl.col("is_orphan") & (pl.col("status") == "unknown")).then(pl.col("to_ns") + lease_ns)
    return pl.coalesce(pl.min_horizontal(again, pl.when(again.is_not_null()).then(pl.col("to_ns") + lease_ns)), lost)


def _without(held: pl.LazyFrame, given_back: pl.LazyFrame) -> pl.LazyFrame:
    """Return the parts of *held* that no interval [a, b) of *given_back* covers."""
    clipped = (
        given_back.join(held.select(*_ATTEMPT, "from_ns", "to_ns"), on=_ATTEMPT, how="inner", nulls_equal=True)
        .with_columns(a=pl.col("a").clip("from_ns", "to_ns"), b=pl.col("b").clip("from_ns", "to_ns"))
        .filter(pl.col("a") < pl.col("b"))
        .sort(*_ATTEMPT, "a", "b")
        .with_columns(reached=pl.col("b").cum_max().shift(1).over(_ATTEMPT))
        .with_columns(island=(pl.col("a") > pl.col("reached")).fill_null(True).cum_sum().over(_ATTEMPT))
        .group_by(*_ATTEMPT, "island")
        .agg(a=pl.col("a").min(), b=pl.col("b").max())
        .sort(*_ATTEMPT, "a")
    )
    before = held.join(clipped, on=_ATTEMPT, how="inner", nulls_equal=True).sort(*_ATTEMPT, "a")
    before = before.with_columns(
        from_ns=pl.coalesce(pl.col("b").shift(1).over(_ATTEMPT), "from_ns"), rest_ns="to_ns", to_ns="a"
    )
    after = (
        before.filter(pl.col("a") == pl.col("a").max().over(_ATTEMPT))
        .with_columns(from_ns="b", to_ns="rest_ns")
        # A wait that goes on, or lasts to the end of the attempt, leaves nothing after it.
        .filter((pl.col("from_ns") < pl.col("to_ns")) | pl.col("is_orphan"))
    )
    columns = held.collect_schema().names()
    whole = held.join(clipped, on=_ATTEMPT, how="anti", nulls_equal=True)
    # Only the last part is open or lost: it is one slot.
    closed = before.with_columns(is_open=pl.lit(False), is_orphan=pl.lit(False))
    return pl.concat(part.select(columns) for part in (whole, closed, after))


def queued(runs: Frame, attempts: Frame, waits: Frame, *, as_of_ns: int) -> pl.LazyFrame:
    """Return the waits for a slot: `QUEUE`, task_id, population, run_key, number, from_ns, to_ns, is_sure.

    `from_ns` NULL: an attempt started at `to_ns`, or took up a slot again that it had given back in a wait, and nothing
    tells since when it was due. `is_sure` false: it may have
    been due only later (`runs.queued_source` is inferred), so that nothing proves that it waited. Runs whose queue is
    unknown are left out, and waits that only begin at *as_of_ns* or later. Waiting runs last until *as_of_ns*.
    """
    about = dimensions(runs, tests=True)
    started = attempts.lazy().filter(pl.col("started_ns").is_not_null())
    is_first = pl.col("number") == 1
    taken = started.group_by(RUN).agg(taken_ns=pl.col("dequeued_ns").filter(is_first).first(), is_lost=~is_first.any())
    plain = [*QUEUE, "task_id", "population", "run_key"]
    first = (
        runs.lazy()
        .select(*RUN, "queued_ns", "queued_source", "started_ns", "status")
        .filter(pl.col("started_ns").is_not_null() | (pl.col("status") == "queued"))
        .join(about, on=RUN, how="inner", nulls_equal=True)
        .join(taken, on=RUN, how="left", nulls_equal=True)
        .select(
            *plain,
            number=pl.lit(1, pl.Int32),
            # Where the first attempt left no record, its wait did not last until what is seen.
            from_ns=pl.when(~pl.col("is_lost").fill_null(False)).then("queued_ns"),
            to_ns=pl.coalesce("taken_ns", "started_ns", pl.lit(as_of_ns)),
            is_sure=pl.col("queued_source").ne_missing("inferred"),
        )
    )
    again = (
        started.filter(pl.col("number") > 1)
        .select(*_ATTEMPT, "dequeued_ns", "started_ns", "queue_wait_ns")
        .join(about, on=RUN, how="inner", nulls_equal=True)
        .select(*plain, "number", from_ns=_SINCE, to_ns=_TAKEN, is_sure=pl.lit(True))
    )
    resumed = (
        waits.lazy()
        .filter(pl.col("released_ns").is_not_null() & pl.col("ended_ns").is_not_null())
        .select(*RUN, "ended_ns", number="attempt")
        .join(about, on=RUN, how="inner", nulls_equal=True)
        .select(*plain, "number", from_ns=pl.lit(None, pl.Int64), to_ns="ended_ns", is_sure=pl.lit(True))
    )
    return (
        pl.concat([first, again, resumed])
        .filter(pl.col("queue").is_not_null() & (pl.coalesce("from_ns", "to_ns") < as_of_ns))
        .with_columns(to_ns=pl.max_horizontal("from_ns", "to_ns"))
    )


def slot_hours(held: Frame, doubted: Frame, *, from_ns: int | None = None, to_ns: int | None = None) -> pl.DataFrame:
    """Return rows of `slot_hours` of the *held* slots (`slots`), of which *doubted* (`doubts`) is assumed; additive for
    sets of slots that share none.

    *from_ns*, *to_ns*: what was held from one to before the other alone; of times that follow each other they add up.
    """
    assumed = doubted.lazy().with_columns(is_orphan=pl.lit(False), is_slot=pl.lit(False))
    columns = [*_SLOT_HOUR[:1], *_SLOT_HOUR[2:], "from_ns", "to_ns", "is_orphan", "is_slot", "is_held"]
    slots_ = held.lazy().with_columns(is_slot=pl.lit(True), is_held=pl.lit(True))
    every = pl.concat([slots_.select(columns), assumed.select(columns)])
    last_ns = pl.max_horizontal("from_ns", pl.col("to_ns") - 1)
    inside = every
    if from_ns is not None:
        inside = inside.filter(last_ns >= from_ns)
    if to_ns is not None:
        inside = inside.filter(pl.col("from_ns") < to_ns)
    hour_ns = pl.col("hour_ns")
    is_start = pl.col("is_slot") & pl.col("is_first")
    grouped = (
        inside.with_columns(begins=hour_of("from_ns"))
        .with_columns(
            first=hour_of("from_ns").clip(from_ns and from_ns // HOUR_NS * HOUR_NS),
            last=last_ns.clip(None, to_ns and to_ns - 1),
        )
        # What lasts for a year and is asked for an hour is a row, not nine thousand.
        .with_columns(hour_ns=pl.int_ranges(pl.col("first"), pl.col("last") + 1, HOUR_NS))
        .explode("hour_ns")
        .with_columns(
            ns=pl.min_horizontal("to_ns", (hour_ns + HOUR_NS).clip(None, to_ns))
            - pl.max_horizontal("from_ns", hour_ns.clip(from_ns)),
            is_first=(hour_ns == pl.col("begins")) & (pl.col("from_ns") >= (from_ns or 0)),
        )
        .group_by(_SLOT_HOUR)
        .agg(
            slot_ns=exact(pl.col("ns").filter("is_slot")),
            starts=is_start.sum(),
            assumed_ns=exact(pl.col("ns").filter(~pl.col("is_slot") & pl.col("is_held"))),
            maybe_ns=exact(pl.col("ns").filter(~pl.col("is_held"))),
            orphan_slots=(pl.col("is_orphan") & is_start).sum(),
        )
    )
    return shaped(grouped, "slot_hours", by=_SLOT_HOUR)


def added(hours: list[pl.DataFrame]) -> pl.DataFrame:
    """Return rows of `slot_hours` that say what all of *hours* say together."""
    columns = ["slot_ns", "starts", "assumed_ns", "maybe_ns", "orphan_slots"]
    sums = pl.concat(hours).group_by(_SLOT_HOUR).agg(pl.col(columns).sum())
    return shaped(sums, "slot_hours", by=_SLOT_HOUR)
