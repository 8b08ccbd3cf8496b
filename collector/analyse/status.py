"""The status of runs at `as_of`, and what follows from it: their end, how long they took, how many attempts it were.

Enter: one row a run, with what its records and its parent say (`runs`). Leave: the same with those columns.
"""

from __future__ import annotations

import polars as pl

from collector.analyse import believable
from collector.analyse.enclosing import SILENCE_NS
from collector.analyse.frames import is_backward, timestamp
from collector.model.believable import AHEAD_NS

ABORT = "AbortTaskRunError"
"""The exception with which a Trigger.dev task says: do not retry me."""


def judge(runs: pl.DataFrame, *, as_of_ns: int, grace_ns: int, stale_ns: int) -> pl.DataFrame:
    """Add `status`, `status_source` and `due_ns`: a pure function of what is known and *as_of_ns*."""
    last = pl.col("last_status")
    until_ns = pl.when(pl.col("last_is_enclosed").fill_null(False)).then(max(SILENCE_NS, stale_ns)).otherwise(stale_ns)
    fresh = (as_of_ns - pl.col("last_seen_ns")) <= until_ns
    parent_saw_end = (
        pl.col("link_waits").fill_null(False)
        & pl.col("link_end_ns").is_not_null()
        & (pl.col("link_end_ns") >= pl.col("last_ended_ns"))
    ).fill_null(False)
    aborted = ((pl.col("last_error_type") == ABORT) & (pl.col("dialect") == "trigger_dev")).fill_null(False)
    failed = (last == "failed").fill_null(False)
    interrupted = (last == "interrupted").fill_null(False)
    retries = ((pl.col("last_fate") == "retrying") & (pl.col("last_source") == "phase")).fill_null(False)
    # Nobody tries what has been tried so often; where that was counted, it is derived.
    is_final = (pl.col("last_number") >= pl.col("max_attempts")).fill_null(False)
    in_grace = (as_of_ns - pl.col("last_ended_ns")) <= grace_ns
    only_link = pl.col("coverage") == "link"
    link_ended = pl.col("link_waits").fill_null(False) & pl.col("link_end_ns").is_not_null()
    rules: list[tuple[pl.Expr, pl.Expr, pl.Expr]] = [
        (only_link & link_ended, pl.lit("unknown"), pl.lit("unknown")),
        (only_link & fresh, pl.lit("queued"), pl.lit("derived")),
        (only_link, pl.lit("unknown"), pl.lit("unknown")),
        ((last == "completed").fill_null(False), last, pl.col("last_source")),
        (
            (last == "canceled").fill_null(False) | pl.col("canceled").fill_null(False),
            pl.lit("canceled"),
            pl.when((pl.col("last_source") == "phase").fill_null(False))
            .then(pl.lit("phase"))
            .otherwise(pl.lit("measured")),
        ),
        (interrupted & fresh, pl.lit("queued"), pl.lit("phase")),
        (interrupted, pl.lit("unknown"), pl.lit("unknown")),
        (failed & retries & fresh, pl.lit("retrying"), pl.lit("phase")),
        (failed & retries, pl.lit("unknown"), pl.lit("unknown")),
        (failed & (aborted | pl.col("gave_up").fill_null(False)), last, pl.lit("measured")),
        (failed & is_final, last, pl.when("last_number_stated").then("last_source").otherwise(pl.lit("derived"))),
        (failed & parent_saw_end, last, pl.lit("derived")),
        (failed & in_grace, pl.lit("retrying"), pl.lit("inferred")),
        (failed, last, pl.lit("inferred")),
        (fresh & pl.col("waiting_now").fill_null(False), pl.lit("waiting"), pl.lit("measured")),
        (fresh, pl.lit("running"), pl.lit("inferred")),
    ]
    status, source = pl.lit("unknown"), pl.lit("unknown")
    for holds, word, origin in reversed(rules):
        status = pl.when(holds).then(word).otherwise(status)
        source = pl.when(holds).then(origin).otherwise(source)
    return runs.with_columns(status=status, status_source=source).with_columns(
        due_ns=pl.when((pl.col("status") == "retrying") & (pl.col("status_source") == "inferred"))
        .then(pl.col("last_ended_ns") + grace_ns + 1)
        .when((pl.col("status") == "running") & pl.col("last_is_enclosed").fill_null(False))
        .then(pl.col("last_seen_ns") + SILENCE_NS + 1)
        .when(pl.col("status").is_in(["queued", "running", "waiting", "retrying"]))
        .then(pl.col("last_seen_ns") + stale_ns + 1)
    )


def finish(runs: pl.DataFrame) -> pl.DataFrame:
    """Add times, durations and the attempt count, NULL where telemetry does not prove them."""
    terminal = pl.col("status").is_in(["completed", "failed", "canceled"])
    open_ = pl.col("status").is_in(["running", "waiting", "retrying"])
    # A last attempt that left no end may have been followed by others that left nothing.
    counted = pl.col("last_number").is_not_null() & (terminal | open_)
    first_known = (pl.col("first_number") == 1).fill_null(False)
    ended = (
        pl.when(pl.col("status") == "canceled")
        .then(pl.coalesce("last_ended_ns", "canceled_ns"))
        .when(terminal)
        .then("last_ended_ns")
    )
    started = pl.when(first_known).then("first_started_ns").when(pl.col("coverage") != "link").then("first_seen_ns")
    # Nobody waits for longer than anything lasts, nor begins before clocks could have it so.
    waited = believable.waited(pl.col("started_ns") - pl.col("queued_ns"))
    is_queued = (
        pl.when(pl.col("started_ns").is_null())
        .then(believable.is_near("queued_ns", pl.coalesce("ended_ns", "last_seen_ns")))
        .otherwise(waited.is_not_null())
    )
    return (
        runs.with_columns(
            attempt_count=pl.when(counted).then("last_number").cast(pl.Int32),
            # Nobody said that the last failure was final: an attempt after it may have left no trace.
            attempt_count_source=pl.when(
                counted & (pl.col("status") == "failed") & (pl.col("status_source") == "inferred")
            )
            .then(pl.lit("inferred"))
            .when(counted & pl.col("last_number_stated").fill_null(False))
            .then(pl.lit("measured"))
            .when(counted)
            .then(pl.lit("derived"))
            .otherwise(pl.lit("unknown")),
            started_ns=started,
            # Nobody knows when a run started whose first attempt left no record.
            started_source=pl.when(started.is_null() | (pl.col("first_number") > 1).fill_null(False))
            .then(pl.lit("unknown"))
            .when(first_known)
            .then("first_started_source")
            .otherwise(pl.lit("inferred")),
            ended_ns=ended,
            **{
                name: pl.when(pl.col("status").is_in(["failed", "canceled", "retrying"])).then(f"last_{name}")
                for name in ("error_type", "error_message", "error_group")
            },
            outcome=pl.when(pl.col("status") == "completed").then("last_outcome"),
            created_ns="link_start_ns",
        )
        .with_columns(
            ended_source=pl.when(pl.col("ended_ns").is_null())
            .then(pl.lit("unknown"))
            .otherwise(pl.coalesce("last_ended_source", pl.lit("inferred"))),
        )
        .with_columns(
            # When the first attempt left no record, nobody knows how long it had waited.
            **{
                name: pl.when(pl.col("first_number").fill_null(1) == 1).then(name)
                for name in ("stated_queue_wait_ns", "stated_due_ns", "stated_delay_ns")
            },
        )
        .with_columns(
            # A run triggered with a delay is due later than its parent's span says: what its own records say counts.
            queued_ns=pl.coalesce(pl.col("started_ns") - pl.col("stated_queue_wait_ns"), "made_ns"),
        )
        .with_columns(delayed_until_ns=_due())
        .with_columns(
            # Who stands in a queue and is not due yet does not wait for it.
            put_off=(pl.col("delayed_until_ns") > pl.col("queued_ns")).fill_null(
                pl.col("delayed_until_ns").is_not_null()
            ),
        )
        .with_columns(queued_ns=pl.when("put_off").then("delayed_until_ns").otherwise("queued_ns"))
        .with_columns(queued_ns=pl.when(is_queued).then("queued_ns"))
        .with_columns(
            queued_source=pl.when(pl.col("queued_ns").is_null())
            .then(pl.lit("unknown"))
            .when(_is_due_known())
            .then(pl.lit("derived"))
            .otherwise(pl.lit("inferred")),
            queue_wait_ns=pl.when(
                (pl.col("started_source") != "unknown") & (pl.col("first_number").fill_null(1) == 1)
            ).then(waited),
            # Where the clocks have it begin before it was queued, it waited 0 and took what it worked.
            end_to_end_ns=pl.when(~is_backward() & pl.col("queued_ns").is_not_null()).then(
                believable.waited(pl.col("ended_ns") - pl.min_horizontal("queued_ns", "started_ns"))
            ),
            started_at=timestamp("started_ns"),
            ended_at=timestamp("ended_ns"),
            at_ns=pl.coalesce("started_ns", "queued_ns", "first_seen_ns"),
            set_aside=pl.lit(None, pl.String),
        )
        .with_columns(
            queue_wait_source=pl.when(pl.col("queue_wait_ns").is_null())
            .then(pl.lit("unknown"))
            .when(pl.col("stated_queue_wait_ns").is_not_null() & ~pl.col("put_off"))
            .then(pl.lit("measured"))
            .when((pl.col("started_source") == "inferred") | (pl.col("queued_source") == "inferred"))
            .then(pl.lit("inferred"))
            .otherwise(pl.lit("derived"))
        )
    )


def _is_due_known() -> pl.Expr:
    """Tell whether it is known since when a run was due, and not only since when it was triggered.

    Who waits for a child triggers it for now. A trigger that waits for nothing may put the run off, and its span does
    not say so: then only what the run's own records state, wait, delay or due time, tells. What a platform itself says
    of when a run was due is to be taken for `delayed_until_ns`.
    """
    stated = pl.any_horizontal(pl.col(name).is_not_null() for name in ("stated_queue_wait_ns", "delayed_until_ns"))
    return stated | pl.col("link_waits").fill_null(False)


def _due() -> pl.Expr:
    """Return when a run was due that was put off: as stated, else so long after it was queued as is stated.

    A stated wait that is shorter than the delay began when the run was due. What lies after the start of the run by
    more than clocks differ was not when this start was due.
    """
    start = pl.col("started_ns")
    since = pl.col("queued_ns") + pl.col("stated_delay_ns")
    began_due = (pl.col("stated_queue_wait_ns") < pl.col("stated_delay_ns")).fill_null(False)
    due = pl.coalesce("stated_due_ns", pl.when(began_due).then("queued_ns").otherwise(since))
    return pl.when((due <= start + AHEAD_NS).fill_null(start.is_null())).then(due)
