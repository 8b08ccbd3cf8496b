"""TEL: the telemetry itself is whole: fresh, of one clock, not cut, and of a known run."""

from __future__ import annotations

from typing import Any

import polars as pl

from collector.model.cut import mark
from collector.rules.cases import attempt, log, span
from collector.rules.frames import MS_NS, RUN, SECOND_NS, Frames
from collector.rules.rule import Case, Options, Rule

CUT = 131_072
"""Characters after which the Trigger.dev SDK cuts a value, silently."""


def _stale(frames: Frames, options: Options) -> pl.LazyFrame:
    arrivals = pl.concat([f.lazy().select("project", "received_ns") for f in (frames.logs, frames.spans)])
    gaps = arrivals.sort("project", "received_ns").with_columns(gap=pl.col("received_ns").diff().over("project"))
    silence = frames.as_of_ns - pl.col("last")
    return (
        gaps.group_by("project")
        .agg(
            last=pl.col("received_ns").max(),
            n=pl.len(),
            usual=pl.col("gap").quantile(options["usual"], "higher"),
            time_ns=pl.col("received_ns").max(),
        )
        .filter(
            pl.lit(frames.live)
            & (pl.col("n") >= options["least_records"])
            & (silence > options["minutes"] * 60 * SECOND_NS)
            & (silence > 3 * pl.col("usual"))
        )
        .with_columns(detail=pl.format("{} min", (silence // (60 * SECOND_NS))))
    )


def _beats(n: int, *, pause: float = 0) -> tuple[dict[str, Any], ...]:
    """A record a second, with a pause before the last ten."""
    return tuple(log("order_charge_started", k + (pause if k >= n - 10 else 0)) for k in range(n))


TEL001 = Rule(
    code="TEL001",
    slug="telemetry-stale",
    severity="error",
    grain="queue",
    doc="""No record has arrived for longer than this project is ever silent.

    Why: While nothing arrives, nothing else here is worth reading.
    How to fix: Check the exporter's URL and headers, and the worker's own log for export errors.
    Not flagged: recordings; projects with fewer than `least_records` records; silence shorter than three times what is
    usual (quantile `usual` of the gaps between arrivals).
    """,
    needs=("records",),
    options={"minutes": 5, "least_records": 200, "usual": 0.999},
    across=_stale,
    message="No telemetry has arrived for {details: or }.",
    remedy="Check the exporter's URL and headers; `runwell status` shows who sent last.",
    bad=(
        Case(logs=_beats(201), live_after_s=400),
        Case(logs=_beats(1_003, pause=400), live_after_s=1_000, say="one pause in a thousand is not the usual silence"),
    ),
    good=(
        Case(logs=_beats(201), live_after_s=200),
        Case(logs=_beats(300, pause=400), live_after_s=1_000, say="it was silent like that before"),
        Case(logs=_beats(199), live_after_s=1_000, say="too few to tell"),
    ),
)


def _skewed(frames: Frames, options: Options) -> pl.LazyFrame:
    tolerance = int(options["tolerance_ms"] * MS_NS)
    spans = frames.spans.lazy().filter(~pl.col("is_open"))
    begin, end = (
        pl.col("start_time_unix_nano").cast(pl.Int64, strict=False),
        pl.col("end_time_unix_nano").cast(pl.Int64, strict=False),
    )
    backwards = spans.filter((end > 0) & (begin > 0) & (end < begin - tolerance)).with_columns(
        detail=pl.lit("a span ends before it starts")
    )
    parents = spans.select("project", "trace_id", parent_span_id="span_id", parent_start_ns="start_ns")
    early = (
        spans.join(parents, on=["project", "trace_id", "parent_span_id"])
        .filter(pl.col("start_ns") < pl.col("parent_start_ns") - tolerance)
        .with_columns(detail=pl.lit("a child starts before its parent"))
    )
    columns = [*RUN, "task_id", "version", "seq", "row", "detail"]
    future = (
        frames.logs.lazy()
        .filter(pl.col("time_source") == "time_future")
        .with_columns(detail=pl.lit("a record is from the future"), table=pl.lit("logs"))
    )
    return pl.concat(
        [
            pl.concat(
                [backwards.select(*columns, time_ns="start_ns"), early.select(*columns, time_ns="start_ns")]
            ).with_columns(table=pl.lit("spans")),
            future.select(*columns, "time_ns", "table"),
        ],
        how="diagonal",
    ).with_columns(key=pl.lit(None, pl.String))


TEL002 = Rule(
    code="TEL002",
    slug="clock-skew",
    severity="warning",
    grain="run",
    doc="""Times contradict each other: a span ends before it starts, a child starts before its parent, the future.

    Why: Durations and orders made from two clocks are wrong by the difference.
    How to fix: Run NTP on the workers; take both ends of a duration from one clock.
    Not flagged: differences within `tolerance_ms`.
    """,
    needs=("records",),
    options={"tolerance_ms": 1000},
    each=_skewed,
    message="Clocks disagree: {details}.",
    remedy="Synchronise the workers' clocks (NTP).",
    bad=(Case(spans=(span("charge", 5, 3.9, runner="generic"),)),),
    good=(Case(spans=(span("charge", 5, 5.2, runner="generic"), span("sum", 5, 4.1, runner="generic"))),),
)


def _cut(frames: Frames, options: Options) -> pl.LazyFrame:
    parts = []
    for table, frame, time in (("logs", frames.task_logs, "time_ns"), ("spans", frames.spans, "start_ns")):
        dropped = (pl.col("dropped_attributes_count").fill_null(0) > 0).fill_null(False)
        before = (pl.col("attributes").str.len_bytes() >= CUT) & pl.col("attributes").str.contains(_AS_LONG)
        long = pl.col("attributes").str.contains(mark(CUT), literal=True) | before
        parts.append(
            frame.lazy()
            .select(
                *RUN,
                "task_id",
                "version",
                "seq",
                "row",
                "operation",
                time_ns=time,
                table=pl.lit(table),
                key=pl.lit(None, pl.String),
                is_dropped=dropped,
                is_long=long.fill_null(False),
            )
            .filter(pl.col("is_dropped") | pl.col("is_long"))
            .with_columns(
                detail=pl.when("is_dropped")
                .then(pl.lit("attributes were dropped"))
                .otherwise(pl.lit("a value was cut"))
            )
        )
    return pl.concat(parts)


_AS_LONG = rf'"[^"]{{{1000}}}[^"]*"'
"""In rows from before the store cut texts."""

TEL003 = Rule(
    code="TEL003",
    slug="truncated",
    severity="warning",
    grain="run",
    doc="""A record lost attributes or the end of a value on the way.

    Why: At 1,024 attributes the run context does not fit either, and the record loses its run.
    How to fix: Log fewer and shorter values; store documents elsewhere and log their URL.
    Not flagged: nothing.
    """,
    sentences=("53",),
    needs=("logs", "spans"),
    each=_cut,
    message="Records are not whole: {details: and }.",
    bad=(
        Case(spans=(span("charge", 0, 1, dropped=12),)),
        Case(logs=(log("order_charge_started", document="x" * CUT),)),
    ),
    good=(Case(spans=(span("charge", 0, 1),), logs=(log("order_charge_started", document="x" * 1000),)),),
)


def _nameless(frames: Frames, options: Options) -> pl.LazyFrame:
    unnamed = pl.col("run_key").is_null() & pl.col("task_id").is_null()
    a_task_s = pl.col("operation").is_not_null() & pl.col("correlation_id").is_null()
    logs = frames.task_logs.lazy().filter(unnamed & ((pl.col("dialect") == "trigger_dev") | a_task_s))
    spans = frames.spans.lazy().filter(
        pl.col("run_key").is_null() & (pl.col("dialect") == "trigger_dev") & (pl.col("span_type") == "attempt")
    )
    columns = [*RUN, "task_id", "operation", "version", "seq", "row"]
    return pl.concat(
        [
            logs.select(*columns, "time_ns", table=pl.lit("logs")),
            spans.select(*columns, time_ns="start_ns", table=pl.lit("spans")),
        ]
    )


TEL004 = Rule(
    code="TEL004",
    slug="identity-missing",
    severity="error",
    grain="run",
    doc="""A task's record names neither its run nor its task, and nothing else leads to them.

    Why: It is stored, and belongs to nothing: no run shows it.
    How to fix: Keep the exporter as the runner configures it; give a plain logger `run_id` and `task_id`.
    Not flagged: records of libraries and of the application outside tasks.
    """,
    sentences=("2",),
    needs=("logs", "spans"),
    each=_nameless,
    message="Records name neither a run nor a task.",
    remedy="Log `run_id` and `task_id`, or keep the runner's context when exporting.",
    bad=(
        Case(logs=(log("order_charge_started", run=None, task=None, without=("correlation_id", "request_id")),)),
        Case(logs=(log("order_charge_started", run=None, task=None, runner="trigger", without=("correlation_id",)),)),
    ),
    good=(
        Case(logs=(log("order_charge_started"),)),
        Case(logs=(log("Starting server", run=None, task=None, without=("correlation_id", "request_id")),)),
    ),
)


def _twice(frames: Frames, options: Options) -> pl.LazyFrame:
    return frames.repeats.lazy().with_columns(detail=pl.lit(None, pl.String))


TEL005 = Rule(
    code="TEL005",
    slug="duplicate-records",
    severity="info",
    grain="run",
    doc="""A record arrived more than once.

    Why: The run model counts it once, raw tables hold both: SQL over `logs` counts it twice.
    How to fix: Look for two exporters with the same destination, or a Collector that sends again what was taken.
    Not flagged: requests that were sent again as they were; those are stored once.
    """,
    needs=("records",),
    each=_twice,
    message="Records arrived more than once.",
    remedy="Configure one exporter per destination; let the Collector's queue retry, not the application.",
    bad=(Case(logs=(log("order_charge_started"), log("order_charge_started"))),),
    good=(Case(logs=(log("order_charge_started"), log("order_charge_started", 1))),),
)


def _gap(frames: Frames, options: Options) -> pl.LazyFrame:
    attempts = frames.attempts.lazy().filter(pl.col("number").is_not_null())
    return (
        attempts.sort(*RUN, "number")
        .with_columns(previous=pl.col("number").shift(1).over(RUN))
        .filter(pl.col("number") > pl.col("previous") + 1)
        .select(*RUN, "task_id", time_ns="started_ns", detail=pl.format("{} follows {}", "number", "previous"))
    )


TEL006 = Rule(
    code="TEL006",
    slug="attempt-gap",
    severity="warning",
    grain="run",
    doc="""Attempts of a run are missing between two that were seen.

    Why: Something ended that attempt before it could send a record: a crash, or telemetry that was lost.
    How to fix: Look at the platform's page of the run; raise the machine's memory if it was killed.
    Not flagged: attempts before the first one that was seen, which may lie before the window.
    """,
    needs=("attempts",),
    each=_gap,
    message="Attempts left no telemetry: {details}.",
    remedy="Look the attempt up on the platform: it crashed, or its telemetry was lost.",
    bad=(Case(spans=(attempt(1, 0, 1, error=("Error", "m")), attempt(3, 9, 10))),),
    good=(Case(spans=(attempt(1, 0, 1, error=("Error", "m")), attempt(2, 5, 6))), Case(spans=(attempt(2, 5, 6),))),
)

RULES = (TEL001, TEL002, TEL003, TEL004, TEL005, TEL006)
