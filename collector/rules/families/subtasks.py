"""SUB: runs that wait for others look at what came of it, and trigger many at once."""

from __future__ import annotations

from typing import Any

import polars as pl

from collector.rules.cases import attempt, log, trigger
from collector.rules.frames import RUN, SECOND_NS, Frames
from collector.rules.rule import Case, Options, Rule

_COUNTED = r'"[a-z_]*(?:fail|error|ok|success|completed)[a-zA-Z_]*":'


def _ignored(frames: Frames, options: Options) -> pl.LazyFrame:
    waited = frames.spans.lazy().filter(
        (pl.col("wait_kind") == "child") & pl.col("child_run_id").is_not_null() & pl.col("run_key").is_not_null()
    )
    failed = (
        frames.runs.lazy()
        .filter(pl.col("status") == "failed")
        .select("project", "dialect", child_run_id="run_id", child_task="task_id")
    )
    parents = (
        frames.runs.lazy()
        .filter(pl.col("status") == "completed")
        .select(*RUN, parent_version="version", last_attempt="attempt_count", parent_task="task_id")
    )
    by_task = frames.logs.lazy().filter(pl.col("run_key").is_not_null() & (pl.col("source") != "platform"))
    said = by_task.group_by(RUN).agg(
        troubled=((pl.col("phase") == "failed") | (pl.col("severity_number") >= 13)).any(),
        counted=(pl.col("attributes").str.contains(_COUNTED) & (pl.col("phase") == "completed")).any(),
    )
    return (
        waited.join(failed, on=["project", "dialect", "child_run_id"])
        .join(parents, on=RUN)
        .filter(pl.col("attempt") == pl.col("last_attempt"))
        .join(said, on=RUN)
        .filter(~pl.col("troubled").fill_null(False) & ~pl.col("counted").fill_null(False))
        .select(
            *RUN,
            "seq",
            "row",
            task_id="parent_task",
            version="parent_version",
            time_ns="start_ns",
            key="child_task",
            table=pl.lit("spans"),
        )
    )


_FAILED_CHILD = (
    attempt(1, 0, 5),
    trigger(1, 3, "child", waits=True),
    attempt(1, 1, 2, run="child", task="send-receipt", error=("AbortTaskRunError", "m")),
)
_PARENT = (
    log("order_charge_started", runner="trigger"),
    log("order_charge_completed", 4, runner="trigger", processing_time_ms=4000),
)
SUB001 = Rule(
    code="SUB001",
    slug="child-failure-ignored",
    severity="error",
    grain="run",
    doc="""A run waited for a child that failed, and completed as if nothing had happened.

    Why: `triggerAndWait` does not throw: without a look at `result.ok` the failure is lost.
    How to fix: Check `result.ok` after `triggerAndWait`, and throw when it is false.
    Not flagged: parents that log a `_failed`, a warning or an error, or that count failures; batches.
    """,
    sentences=("12", "13"),
    needs=("spans", "runs", "logs"),
    each=_ignored,
    message=lambda f: f"Runs complete although `{f['key'] or 'the child'}`, which they waited for, failed.",
    bad=(Case(logs=_PARENT, spans=_FAILED_CHILD),),
    good=(
        Case(
            logs=(
                *_PARENT,
                log("receipt_send_failed", 3.5, runner="trigger", level="error", error_type="E", error_message="m"),
            ),
            spans=_FAILED_CHILD,
        ),
        Case(
            logs=_PARENT,
            spans=(
                attempt(1, 0, 5),
                trigger(1, 3, "child", waits=True),
                attempt(1, 1, 2, run="child", task="send-receipt"),
            ),
        ),
    ),
)


def _loop(frames: Frames, options: Options) -> pl.LazyFrame:
    group = [*RUN, "attempt", "child_task_id"]
    least, within_ns = int(options["least"]), int(options["within_s"] * SECOND_NS)
    return (
        frames.spans.lazy()
        .filter(
            pl.col("child_run_id").is_not_null()
            & pl.col("wait_kind").is_null()
            & pl.col("run_key").is_not_null()
            & pl.col("child_batch_id").is_null()
        )
        .sort("start_ns", "child_run_id")
        .with_columns(since_ns=pl.col("start_ns") - pl.col("start_ns").shift(least - 1).over(group))
        .filter(pl.col("since_ns") <= within_ns)
        .unique(group, keep="first", maintain_order=True)
        .select(
            *RUN, "task_id", "version", "seq", "row", time_ns="start_ns", key="child_task_id", table=pl.lit("spans")
        )
    )


def _calls(n: int, every: float) -> tuple[dict[str, Any], ...]:
    return (attempt(1, 0, 9), *(trigger(k * every, k * every + 0.05, f"c{k}") for k in range(n)))


SUB002 = Rule(
    code="SUB002",
    slug="trigger-in-loop",
    severity="info",
    grain="run",
    doc="""A run triggers the same task again and again, one call each.

    Why: Each call is a request of its own; a batch is one.
    How to fix: `batchTrigger`, or `batch.triggerByTaskAndWait` for several tasks.
    Not flagged: fewer than `least` triggers of one task within `within_s` seconds.
    """,
    sentences=("14",),
    needs=("run_spans",),
    options={"least": 10, "within_s": 5},
    each=_loop,
    message=lambda f: f"Runs trigger `{f['key'] or 'one task'}` in a loop.",
    remedy="Use `batchTrigger` with all items.",
    bad=(Case(spans=_calls(10, 0.54)),),
    good=(Case(spans=_calls(9, 0.54)), Case(spans=_calls(10, 0.57))),
)

RULES = (SUB001, SUB002)
