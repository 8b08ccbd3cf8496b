"""BAT: batches fit into one call, and their items have keys."""

from __future__ import annotations

from typing import Any

import polars as pl

from collector.rules.cases import attempt, span
from collector.rules.frames import RUN, Frames
from collector.rules.rule import Case, Options, Rule


def _batches(frames: Frames) -> pl.LazyFrame:
    return (
        frames.spans.lazy()
        .filter(pl.col("span_type").is_in(["trigger"]) & pl.col("attributes").str.contains('"runCount":', literal=True))
        .with_columns(items=pl.col("attributes").str.extract(r'"runCount":([0-9]+)').cast(pl.Int64, strict=False))
    )


def _too_large(frames: Frames, options: Options) -> pl.LazyFrame:
    return (
        _batches(frames)
        .filter(pl.col("items") > options["most"])
        .select(
            *RUN,
            "task_id",
            "version",
            "seq",
            "row",
            time_ns="start_ns",
            table=pl.lit("spans"),
            detail=pl.format("{} items", "items"),
        )
    )


def _batch(items: int) -> tuple[dict[str, Any], ...]:
    keys = {"$style.icon": "trigger", "batchId": "batch_1", "runCount": items}
    return (attempt(1, 0, 5), span("batchTriggerAndWait()", 1, 4, kind=4, keys=keys))


BAT001 = Rule(
    code="BAT001",
    slug="batch-over-limit",
    severity="error",
    grain="run",
    doc="""A batch has more items than one call takes.

    Why: The call is refused, or the platform splits what you meant as one.
    How to fix: Chunk the items into several calls.
    Not flagged: up to `most` items: 500 in the guideline, 1,000 on the current platform.
    """,
    sentences=("15",),
    needs=("spans",),
    options={"most": 1000},
    each=_too_large,
    message="A batch has more items than one call takes ({details}).",
    bad=(Case(spans=_batch(1001)), Case(spans=_batch(501), options={"most": 500})),
    good=(Case(spans=_batch(1000)),),
)


def _keyless_items(frames: Frames, options: Options) -> pl.LazyFrame:
    return (
        frames.runs.lazy()
        .filter(
            (pl.col("dialect") == "trigger_dev")
            & pl.col("batch_id").is_not_null()
            & pl.col("idempotency_key").is_null()
            & ~pl.col("is_test").fill_null(False)
            & ~pl.col("is_replay").fill_null(False)
        )
        .select(*RUN, "task_id", "version", time_ns="first_seen_ns")
    )


BAT002 = Rule(
    code="BAT002",
    slug="batch-item-without-key",
    severity="warning",
    grain="run",
    doc="""Items of a batch have no idempotency key.

    Why: When the batch is triggered again, every item runs again.
    How to fix: `options: { idempotencyKey: "item-" + item.id }` for each item.
    Not flagged: tests and replays.
    """,
    sentences=("16",),
    needs=("runs",),
    each=_keyless_items,
    message="Runs that were items of a batch have no idempotency key.",
    remedy="Give each item of the batch `options: {{ idempotencyKey: `item-${{item.id}}` }}`.",
    bad=(Case(spans=(attempt(1, 0, 1, context={"ctx.batch.id": "batch_1"}),)),),
    good=(Case(spans=(attempt(1, 0, 1, context={"ctx.batch.id": "batch_1", "ctx.run.idempotencyKey": "item-1"}),)),),
)


def _throttled(frames: Frames, options: Options) -> pl.LazyFrame:
    return (
        _batches(frames)
        .filter(
            (pl.col("status_code") == 2)
            & pl.coalesce("error_message", "status_message").str.contains(r"(?i)rate.?limit|\b429\b|too many requests")
        )
        .select(*RUN, "task_id", "version", "seq", "row", time_ns="start_ns", table=pl.lit("spans"))
    )


BAT003 = Rule(
    code="BAT003",
    slug="batch-burst",
    severity="info",
    grain="run",
    doc="""A batch met the platform's rate limit.

    Why: Its items were not triggered, or much later.
    How to fix: Pace the batches: wait between calls, or use fewer and larger ones.
    Not flagged: batches that went through.
    """,
    sentences=("15",),
    needs=("spans",),
    each=_throttled,
    message="A batch was refused by the platform's rate limit.",
    bad=(
        Case(
            spans=(
                attempt(1, 0, 5),
                span(
                    "batchTrigger()",
                    1,
                    2,
                    kind=4,
                    keys={"$style.icon": "trigger", "runCount": 50},
                    error=("Error", "429"),
                ),
            )
        ),
    ),
    good=(Case(spans=_batch(50)),),
)


RULES = (BAT001, BAT002, BAT003)
