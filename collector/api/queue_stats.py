"""Statistics of queues and their slots: reads what is needed, and lets `analyse` make numbers of it."""

from __future__ import annotations

from dataclasses import replace

import polars as pl

from collector.analyse import concurrency, limits, slots
from collector.analyse import levels as levels_
from collector.analyse import waiting as waiting_
from collector.api.question import ALL, HISTORY_NS, Question, counted_until
from collector.model.units import HOUR_NS
from collector.store import held, statistics
from collector.store.handle import Handle
from collector.store.statistics import Choice


def queue(h: Handle, q: Question) -> pl.DataFrame:
    """Slots held, limit, saturation, time at it, throttled, per queue; backlog and time to drain now.

    Of all queues together shares of time, of those with a known limit.
    """
    if q.by == ALL:
        return _all_queues(h, q)
    return _of_task(h, q, _queues(h, q))


def _of_task(h: Handle, q: Question, rows: pl.DataFrame) -> pl.DataFrame:
    """Return the rows of queues in which the task held slots; levels are of a whole queue, whoever holds them."""
    of_task = statistics.slot_hours(h, q.choice) if q.choice.task else rows
    return rows.join(of_task, on=slots.QUEUE, how="semi", nulls_equal=True)


def _until(h: Handle, q: Question) -> int:
    judged = -(-q.as_of_ns // levels_.BUCKET_NS) * levels_.BUCKET_NS
    return min(q.choice.to_ns, judged, statistics.levels_known(h))


def _all_queues(h: Handle, q: Question) -> pl.DataFrame:
    """Return saturation, time at the limit and throttled of all queues, each weighted by its time."""
    levels = _of_task(h, q, _together(h, q))
    rows = concurrency.report(levels, list(q.by), buckets=_buckets(h, q))
    return rows.filter(pl.col("measure").is_in(["saturation", "time_at_limit", "throttled"]))


def _together(h: Handle, q: Question) -> pl.DataFrame:
    return q.once("levels", lambda: _levels(h, q, _until(h, q), buckets=False))


def _buckets(h: Handle, q: Question) -> int:
    since = max(q.choice.from_ns, statistics.levels_since(h, q.choice.project))
    return -(-max(0, _until(h, q) - since) // levels_.BUCKET_NS)


def _queues(h: Handle, q: Question) -> pl.DataFrame:
    until = _until(h, q)
    if "bucket_ns" in q.by:
        return concurrency.report(_levels(h, q, until, buckets=True), [*slots.QUEUE, "bucket_ns"], buckets=1)
    rows = concurrency.report(_together(h, q), buckets=_buckets(h, q))
    rows = limits.noted(rows, statistics.limits(h))
    if not q.wants("backlog", "backlog_age", "drain_time"):
        return rows
    past = replace(q.choice, from_ns=q.as_of_ns - HISTORY_NS, to_ns=q.as_of_ns, task=None, version=None)
    waiting = _with_paused(h, q, backlog(h, q, past))
    recent = Choice(q.choice.project, q.as_of_ns - HOUR_NS, q.as_of_ns, population=None, queue=q.choice.queue)
    # Arrivals are counted in a queue once a record names it; those that wait have none yet.
    unnamed = waiting.filter(pl.col("is_assumed") & pl.col("is_told") & (pl.col("queued_ns") >= recent.hours().from_ns))
    moved = pl.concat(
        [
            statistics.summed(h, "flow_hours", recent, [*slots.QUEUE, "event"], ["runs"]),
            unnamed.select(*slots.QUEUE, event=pl.lit("arrived"), runs=pl.lit(1, pl.Int64)),
        ]
    )
    runs = pl.col("runs")
    counts = moved.group_by(slots.QUEUE).agg(
        arrived=runs.filter(pl.col("event") == "arrived").sum(), ended=runs.filter(pl.col("event") == "ended").sum()
    )
    over_ns = max(1, counted_until(h, q, recent.hours().to_ns) - recent.hours().from_ns)
    return pl.concat([rows, concurrency.backlog(waiting, as_of_ns=q.as_of_ns, arrivals=counts, over_ns=over_ns)])


def _with_paused(h: Handle, q: Question, waiting: pl.DataFrame) -> pl.DataFrame:
    """Return *waiting* with `is_paused`: the limit of their queue is 0 now."""
    now = limits.steps(statistics.limits(h), waiting).filter(pl.col("from_ns") <= q.as_of_ns).sort("from_ns")
    held = now.unique(slots.QUEUE, keep="last", maintain_order=True).select(
        *slots.QUEUE, is_paused=pl.col("limit") == 0
    )
    return waiting.join(held, on=slots.QUEUE, how="left", nulls_equal=True, maintain_order="left").with_columns(
        pl.col("is_paused").fill_null(False)
    )


def backlog(h: Handle, q: Question, past: Choice) -> pl.DataFrame:
    """Return the runs of *past*'s queues that wait for their first slot, in order (`waiting.ordered`)."""
    runs, queues = statistics.waiting(h, past, as_of_ns=q.as_of_ns)
    return waiting_.ordered(runs, queues, as_of_ns=q.as_of_ns, stale_ns=q.basis.lease_ns)


def _levels(h: Handle, q: Question, until: int, *, buckets: bool) -> pl.DataFrame:
    """Return time per level from a whole bucket on up to *until*, level 0 where nothing was held.

    Before anything is known of any queue nobody can tell, so that time is left out.
    """
    known = statistics.levels_since(h, q.choice.project)
    asked = q.choice
    # Levels are kept by bucket: the time before `known` in its own is taken off in the end.
    since = max(asked.from_ns, known // levels_.BUCKET_NS * levels_.BUCKET_NS)
    rows = statistics.levels(h, replace(asked, from_ns=since, to_ns=until), buckets=buckets)
    queues = rows.select(slots.QUEUE).unique()
    if until <= since or queues.is_empty():
        return rows
    stated = limits.steps(statistics.limits(h).filter(pl.col("source") == "settings"), queues)
    window = {"from_ns": since, "to_ns": until}
    if buckets:
        times = {"from_ns": pl.Int64, "to_ns": pl.Int64, "is_held": pl.Boolean, "is_sure": pl.Boolean}
        none = pl.DataFrame(schema={**dict.fromkeys(slots.QUEUE, pl.String), **times})
        idle = levels_.queue_levels(none, none, none, stated, **window, queues=queues)
        idle = idle.join(rows, on=[*slots.QUEUE, "bucket_ns"], how="anti", nulls_equal=True)
    else:
        idle = levels_.idle(rows, stated, queues, **window)
    # Where a limit is inferred none is stated, so it holds throughout.
    of_load = rows.filter(pl.col("limit_source") == "inferred")
    inferred = of_load.group_by(slots.QUEUE).agg(inferred=pl.col("limit").first())
    idle = idle.join(inferred, on=slots.QUEUE, how="left", nulls_equal=True).with_columns(
        limit=pl.coalesce("limit", "inferred"),
        limit_source=pl.coalesce("limit_source", pl.when(pl.col("inferred").is_not_null()).then(pl.lit("inferred"))),
    )
    every = pl.concat([rows, idle.select(rows.columns)])
    if since >= known:
        return every
    first = pl.col("bucket_ns") == since if buckets else pl.lit(True)
    return pl.concat(
        [every.filter(~first), levels_.without(every.filter(first), stated, from_ns=since, to_ns=min(known, until))]
    )


def slot_share(h: Handle, q: Question) -> pl.DataFrame:
    """Share of a queue's slot time per task, and slots whose end nobody saw."""
    return concurrency.slot_share(statistics.slot_hours(h, q.choice))


def _slots(h: Handle, q: Question) -> pl.LazyFrame:
    v = held.touching(h, q.choice.from_ns, min(q.choice.to_ns, q.as_of_ns))
    return _chosen(q, slots.slots(v.runs, v.attempts, v.waits, as_of_ns=q.as_of_ns, lease_ns=q.basis.lease_ns))


def _chosen(q: Question, rows: pl.LazyFrame) -> pl.LazyFrame:
    chosen = rows.filter(pl.col("project") == q.choice.project)
    return chosen.filter(*statistics.of_queue(q.choice))


def holders(h: Handle, q: Question) -> pl.DataFrame:
    """Who holds slots now, the longest first, and slots nobody ended."""
    rows = concurrency.holders(_slots(h, replace(q, choice=_at(q.choice, q.as_of_ns))), as_of_ns=q.as_of_ns)
    return rows if q.choice.task is None else rows.filter(pl.col("task_id") == q.choice.task)


def _at(choice: Choice, ns: int) -> Choice:
    return replace(choice, from_ns=ns - 1, to_ns=ns + 1)


def little(h: Handle, q: Question) -> pl.DataFrame:
    """Whether the level of each queue is what starts and durations give, and the limit that follows; whole hours."""
    counted_ns = statistics.levels_known(h)
    asked = q.choice.hours()
    from_ns = max(asked.from_ns, statistics.levels_since(h, asked.project))
    to_ns = min(asked.to_ns, counted_ns)
    if to_ns > q.as_of_ns:  # asked for a time long ago, and that hour's levels go on
        to_ns = q.as_of_ns // HOUR_NS * HOUR_NS
    v = held.across(h, from_ns, to_ns)
    edges = _chosen(q, slots.slots(v.runs, v.attempts, v.waits, as_of_ns=counted_ns, lease_ns=q.basis.lease_ns))
    hours = statistics.slot_hours(h, replace(asked, task=None, from_ns=from_ns, to_ns=to_ns))
    return _of_task(h, q, concurrency.little(hours, edges, from_ns=from_ns, to_ns=to_ns))
