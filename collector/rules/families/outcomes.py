"""PHA, continued: the end of an operation says how long it took or why it failed, and what it says is true."""

from __future__ import annotations

import polars as pl

from collector.rules.cases import attempt, log, span
from collector.rules.families.phases import ATTEMPT, GROUP, by_operation, phases
from collector.rules.frames import MS_NS, RUN, Frames
from collector.rules.rule import Case, Options, Rule


def _renamed_duration(options: Options) -> pl.Expr:
    return pl.when(pl.col("claims_ms").fill_null(False)).then(pl.lit("info"))


PHA006 = Rule(
    code="PHA006",
    slug="completed-without-duration",
    severity="warning",
    grain="record",
    doc="""A `_completed` record has no `processing_time_ms`.

    Why: It is the one number that needs no other record to be understood.
    How to fix: `processing_time_ms: Date.now() - startTime`.
    Not flagged: nothing. A duration under another name (`duration_ms`) is a hint only (info).
    """,
    sentences=("24",),
    marks={"claims_ms": pl.col("reported_ms").is_not_null()},
    where=lambda options: (pl.col("phase") == "completed") & ~pl.col("names").list.contains("processing_time_ms"),
    level=_renamed_duration,
    message=lambda f: (
        "The duration of `_completed` goes by another name than `processing_time_ms`."
        if f["severity"] == "info"
        else "`_completed` does not say how long it took."
    ),
    remedy=lambda f: (
        "Rename the duration to `processing_time_ms`."
        if f["severity"] == "info"
        else "Add `processing_time_ms: Date.now() - startTime`."
    ),
    bad=(
        Case(logs=(log("order_charge_started"), log("order_charge_completed", 1))),
        Case(logs=(log("order_charge_completed", duration_ms=5),), severity="info"),
    ),
    good=(Case(logs=(log("order_charge_completed", processing_time_ms=5),)),),
)


def _disagreeing(frames: Frames, options: Options) -> pl.LazyFrame:
    once = by_operation(frames).filter((pl.col("starts") == 1) & (pl.col("ends") == 1))
    ends = phases(frames).filter(
        (pl.col("phase") == "completed")
        & (pl.col("reported_ms") >= 0)
        & pl.col("attributes").str.contains('"processing_time_ms":', literal=True)
    )
    waits = frames.attempts.lazy().select(*RUN, "wait_ns", attempt="number")
    wall = (pl.col("time_ns") - pl.col("first_start_ns")) / MS_NS
    slack = pl.max_horizontal(wall * options["most_share"], pl.lit(float(options["least_ms"])))
    more = pl.col("reported_ms") > wall + slack
    # Time that was waited may rightly be left out; without spans nobody knows of waits.
    less = (pl.col("reported_ms") < wall - slack) & (pl.col("wait_ns") == 0).fill_null(False)
    return (
        ends.join(once.select(*GROUP, "first_start_ns"), on=GROUP, nulls_equal=True)
        .join(waits, on=ATTEMPT, how="left", nulls_equal=True)
        .filter((wall >= 0) & (more | less))
        .with_columns(
            key=pl.lit("processing_time_ms"),
            detail=pl.when(more).then(pl.lit("longer")).otherwise(pl.lit("shorter")),
        )
    )


PHA007 = Rule(
    code="PHA007",
    slug="duration-disagrees",
    severity="warning",
    grain="run",
    doc="""`processing_time_ms` is not the time from `_started` to `_completed`.

    Why: Two durations of one thing, and every report has to choose.
    How to fix: Take the start time where `_started` is logged, the end where `_completed` is.
    Not flagged: differences below `most_share` or `least_ms`; shorter values where the attempt waited, or where no
    span tells whether it did.
    """,
    sentences=("24",),
    needs=("logs", "attempts"),
    options={"most_share": 0.2, "least_ms": 250},
    each=_disagreeing,
    message="`processing_time_ms` is {details: or } than the time from `_started` to `_completed`.",
    remedy="Measure around the same block that the two records enclose.",
    bad=(
        Case(logs=(log("order_charge_started"), log("order_charge_completed", 10, processing_time_ms=12_100))),
        Case(logs=(log("order_charge_started"), log("order_charge_completed", 0.5, processing_time_ms=760))),
        Case(
            logs=(
                log("order_charge_started", runner="trigger"),
                log("order_charge_completed", 9, runner="trigger", processing_time_ms=100),
            ),
            spans=(attempt(1, 0, 10),),
        ),
    ),
    good=(
        Case(logs=(log("order_charge_started"), log("order_charge_completed", 10, processing_time_ms=11_900))),
        Case(logs=(log("order_charge_started"), log("order_charge_completed", 0.5, processing_time_ms=740))),
        Case(
            logs=(
                log("order_charge_started", runner="trigger"),
                log("order_charge_completed", 9, runner="trigger", processing_time_ms=100),
            ),
            spans=(attempt(1, 0, 10), span("wait.for()", 0.1, 8.9, keys={"$style.icon": "wait"})),
            say="it waited",
        ),
    ),
)


def _error_fields(options: Options) -> pl.Expr:
    failed = pl.col("phase") == "failed"
    return pl.concat_list(
        pl.when(failed & ~pl.col("names").list.contains(name)).then(pl.lit(name))
        for name in ("error_type", "error_message")
    ).list.drop_nulls()


PHA008 = Rule(
    code="PHA008",
    slug="failed-without-error-fields",
    severity="error",
    grain="record",
    doc="""A `_failed` record does not say what failed: `error_type` or `error_message` is missing.

    Why: Failures are grouped by type and read by message.
    How to fix: `error_type: error.name, error_message: error.message`.
    Not flagged: nothing. The fields under other names (`error.name`, `exception.type`) are a hint only (info).
    """,
    sentences=("25",),
    marks={
        "says_error": pl.col("error_type").is_not_null() & pl.col("error_message").is_not_null(),
    },
    keys=_error_fields,
    level=lambda options: pl.when(pl.col("says_error").fill_null(False)).then(pl.lit("info")),
    message=lambda f: (
        f"`_failed` gives `{f['key']}` under another name."
        if f["severity"] == "info"
        else f"`_failed` does not give `{f['key']}`."
    ),
    remedy=lambda f: (
        "Add `error_type: error.name`." if f["key"] == "error_type" else "Add `error_message: error.message`."
    ),
    bad=(
        Case(logs=(log("order_charge_failed", level="error", error_message="m"),), key="error_type"),
        Case(logs=(log("order_charge_failed", level="error", error_type="E"),), key="error_message"),
        Case(
            logs=(log("order_charge_failed", level="error", error__name="E", error__message="m", runner="trigger"),),
            severity="info",
        ),
    ),
    good=(Case(logs=(log("order_charge_failed", level="error", error_type="E", error_message="m"),)),),
)


def _contradicting(frames: Frames, options: Options) -> pl.LazyFrame:
    measured = frames.attempts.lazy().filter(
        (pl.col("status_source") == "measured")
        & pl.col("status").is_in(["completed", "failed"])
        & pl.col("trace_id").is_not_null()
    )
    records = phases(frames)
    outer = (
        records.filter(pl.col("phase") == "started")
        .unique(ATTEMPT, keep="first", maintain_order=True)
        .select(*ATTEMPT, outer="operation")
    )
    last = records.unique(ATTEMPT, keep="last", maintain_order=True)
    swallowed = pl.col("phase").is_in(["failed", "retrying"]) & (pl.col("status") == "completed")
    claimed = pl.col("phase").is_in(["completed", "skipped"]) & (pl.col("status") == "failed")
    return (
        last.join(outer, on=ATTEMPT)
        .filter(pl.col("operation") == pl.col("outer"))
        .join(measured.select(*RUN, "status", attempt="number"), on=ATTEMPT)
        .filter(swallowed | claimed)
        .with_columns(
            key=pl.col("phase"),
            detail=pl.when(swallowed).then(pl.lit("the attempt succeeded")).otherwise(pl.lit("the attempt failed")),
        )
    )


PHA009 = Rule(
    code="PHA009",
    slug="log-and-span-disagree",
    severity="error",
    grain="run",
    doc="""The log says `_completed` and the attempt failed, or `_failed` and the attempt succeeded.

    Why: A swallowed error counts as a success and is never retried.
    How to fix: Throw after logging `_failed`; log `_completed` as the last thing before returning.
    Not flagged: inner operations, whose failure the task may handle. Switch the rule off for operations that fall
    back on purpose.
    """,
    sentences=("13", "28"),
    needs=("logs", "spans", "attempts"),
    each=_contradicting,
    message="The log says `{operation}_{key}`, but {details: or }.",
    remedy=lambda f: (
        "Throw the error after logging it, or name the outcome otherwise."
        if f["key"] in ("failed", "retrying")
        else "Log `_completed` after everything that can fail."
    ),
    bad=(
        Case(
            logs=(
                log("order_charge_started", runner="trigger"),
                log("order_charge_failed", 1, runner="trigger", level="error", error_type="E", error_message="m"),
            ),
            spans=(attempt(1, 0, 2),),
        ),
        Case(
            logs=(
                log("order_charge_started", runner="trigger"),
                log("order_charge_completed", 1, runner="trigger", processing_time_ms=1000),
            ),
            spans=(attempt(1, 0, 2, error=("Error", "late")),),
        ),
    ),
    good=(
        Case(
            logs=(
                log("order_charge_started", runner="trigger"),
                log("cache_read_started", 0.1, runner="trigger"),
                log("cache_read_failed", 0.2, runner="trigger", level="error", error_type="E", error_message="m"),
                log("order_charge_completed", 1, runner="trigger", processing_time_ms=1000),
            ),
            spans=(attempt(1, 0, 2),),
            say="an inner failure, handled",
        ),
    ),
)


RULES = (PHA006, PHA007, PHA008, PHA009)
