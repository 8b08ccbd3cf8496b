"""Slots: when attempts hold one of their queue's, and when runs wait for one.

Enter: rows of `runs`, `attempts`, `waits`. Leave: intervals, half-open [from_ns, to_ns), and slot time per task
and hour (`slot_hours`). A slot is held whoever holds it, so test runs and replays count here.
"""

from __future__ import annotations

import polars as pl

from collector.analyse.believable import exact
from collector.analyse.evidence import RUN
from collector.analyse.frames import Frame, dimensions, hour_of, shaped
from collector.model.units import HOUR_NS

QUEUE = ["project", "queue", "environment", "platform_project"]
"""What a limit applies to."""
_ATTEMPT = [*RUN, "number"]
_SLOT_HOUR = ["project", "hour_ns", *QUEUE[1:], "task_id", "population"]
_TAKEN = pl.coalesce("dequeued_ns", "started_ns")


def slots(runs: Frame, attempts: Frame, waits: Frame, *, as_of_ns: int, lease_ns: int) -> pl.LazyFrame:
    """Return the slots held: `QUEUE`, task_id, population, run_key, number, from_ns, to_ns, and three flags.

    An attempt holds its slot from when it was taken from the queue, or its start, to its end, less the waits that give
    it back (`holds_slot` false); one without an end holds it until *as_of_ns* as long as its run was seen within
    *lease_ns*, else only until it was last seen. An end before the start counts as a slot of no length. `is_open`: it
    has no end; `is_orphan`: and was not seen for so long; `is_assumed`: the end is inferred or missing, or a wait may
    have given the slot back. Left out: attempts whose queue is unknown, and those that start at *as_of_ns* or, by their
    clock, later.
    """
    seen = runs.lazy().select(*RUN, "last_seen_ns")
    is_open = pl.col("ended_ns").is_null()
    lost = is_open & (as_of_ns - pl.col("last_seen_ns") > lease_ns)
    waits = waits.lazy().collect()
    doubtful = (
        waits.filter(pl.col("holds_slot").is_null())
        .select(*RUN, number="attempt", is_doubtful=pl.lit(True))
        .unique(_ATTEMPT)
        .lazy()
    )
    held = (
        attempts.lazy()
        .filter(pl.col("started_ns").is_not_null())
        .select(*_ATTEMPT, "dequeued_ns", "started_ns", "ended_ns", "ended_source")
        .join(dimensions(runs, tests=True), on=RUN, how="inner", nulls_equal=True)
        .filter(pl.col("queue").is_not_null())
        .join(seen, on=RUN, how="left", nulls_equal=True)
        .join(doubtful, on=_ATTEMPT, how="left", nulls_equal=True)
        .select(
            *QUEUE,
            "task_id",
            "population",
            "run_key",
            "number",
            from_ns=_TAKEN,
            to_ns=pl.max_horizontal(
                "started_ns",
                pl.when(~is_open).then("ended_ns").when(lost).then("last_seen_ns").otherwise(pl.lit(as_of_ns)),
            ),
            is_assumed=is_open | (pl.col("ended_source") == "inferred") | pl.col("is_doubtful").fill_null(False),
            is_open=is_open,
            is_orphan=lost.fill_null(False),
        )
        .filter(pl.col("from_ns") < as_of_ns)
    )
    given_back = waits.filter(~pl.col("holds_slot") & pl.col("ended_ns").is_not_null()).select(
        *RUN, number="attempt", a="started_ns", b="ended_ns"
    )
    return held if given_back.is_empty() else _without(held, given_back.lazy())


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
    after = before.filter(pl.col("a") == pl.col("a").max().over(_ATTEMPT)).with_columns(from_ns="b", to_ns="rest_ns")
    columns = held.collect_schema().names()
    whole = held.join(clipped, on=_ATTEMPT, how="anti", nulls_equal=True)
    # Only the last part is open or lost: it is one slot.
    closed = before.with_columns(is_open=pl.lit(False), is_orphan=pl.lit(False))
    return pl.concat(part.select(columns) for part in (whole, closed, after))


def queued(runs: Frame, attempts: Frame, *, as_of_ns: int) -> pl.LazyFrame:
    """Return the waits for a slot: `QUEUE`, task_id, population, run_key, number, from_ns, to_ns.

    `from_ns` NULL: an attempt started at `to_ns` and nothing tells since when it was due. Runs whose queue is
    unknown are left out, and waits that only begin at *as_of_ns* or later. Waiting runs last until *as_of_ns*.
    """
    about = dimensions(runs, tests=True)
    started = attempts.lazy().filter(pl.col("started_ns").is_not_null())
    is_first = pl.col("number") == 1
    taken = started.group_by(RUN).agg(taken_ns=pl.col("dequeued_ns").filter(is_first).first(), is_lost=~is_first.any())
    plain = [*QUEUE, "task_id", "population", "run_key"]
    first = (
        runs.lazy()
        .select(*RUN, "queued_ns", "started_ns", "status")
        .filter(pl.col("started_ns").is_not_null() | (pl.col("status") == "queued"))
        .join(about, on=RUN, how="inner", nulls_equal=True)
        .join(taken, on=RUN, how="left", nulls_equal=True)
        .select(
            *plain,
            number=pl.lit(1, pl.Int32),
            # Where the first attempt left no record, its wait did not last until what is seen.
            from_ns=pl.when(~pl.col("is_lost").fill_null(False)).then("queued_ns"),
            to_ns=pl.coalesce("taken_ns", "started_ns", pl.lit(as_of_ns)),
        )
    )
    again = (
        started.filter(pl.col("number") > 1)
        .select(*_ATTEMPT, "dequeued_ns", "started_ns", "queue_wait_ns")
        .join(about, on=RUN, how="inner", nulls_equal=True)
        .select(*plain, "number", from_ns=pl.col("started_ns") - pl.col("queue_wait_ns"), to_ns=_TAKEN)
    )
    return (
        pl.concat([first, again])
        .filter(pl.col("queue").is_not_null() & (pl.coalesce("from_ns", "to_ns") < as_of_ns))
        .with_columns(to_ns=pl.max_horizontal("from_ns", "to_ns"))
    )


def slot_hours(held: Frame, *, from_ns: int | None = None, to_ns: int | None = None) -> pl.DataFrame:
    """Return rows of `slot_hours` of the *held* slots (`slots`); additive for sets of slots that share none.

    *from_ns*, *to_ns*: what was held from one to before the other alone; of times that follow each other they add up.
    """
    last_ns = pl.max_horizontal("from_ns", pl.col("to_ns") - 1)
    inside = held.lazy()
    if from_ns is not None:
        inside = inside.filter(last_ns >= from_ns)
    if to_ns is not None:
        inside = inside.filter(pl.col("from_ns") < to_ns)
    hour_ns = pl.col("hour_ns")
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
            slot_ns=exact(pl.col("ns")),
            starts=pl.col("is_first").sum(),
            assumed_ns=exact(pl.col("ns").filter("is_assumed")),
            orphan_slots=(pl.col("is_orphan") & pl.col("is_first")).sum(),
        )
    )
    return shaped(grouped, "slot_hours", by=_SLOT_HOUR)


def added(hours: list[pl.DataFrame]) -> pl.DataFrame:
    """Return rows of `slot_hours` that say what all of *hours* say together."""
    sums = pl.concat(hours).group_by(_SLOT_HOUR).agg(pl.col("slot_ns", "starts", "assumed_ns", "orphan_slots").sum())
    return shaped(sums, "slot_hours", by=_SLOT_HOUR)
