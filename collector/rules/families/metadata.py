"""META: run metadata stays small, and progress makes sense."""

from __future__ import annotations

import polars as pl

from collector.rules.cases import attempt, log
from collector.rules.families.payloads import failed_with
from collector.rules.frames import RUN, Frames
from collector.rules.rule import Case, Options, Rule

META001 = Rule(
    code="META001",
    slug="metadata-over-limit",
    severity="error",
    grain="run",
    doc="""A run failed because its metadata was too large.

    Why: Metadata is for progress, not for results.
    How to fix: Store the data elsewhere and put its URL into the metadata.
    Not flagged: runs whose failure does not say so.
    """,
    sentences=("50", "53"),
    needs=("attempts",),
    each=lambda frames, options: failed_with(
        frames, pl.col("error_message").str.contains(r"(?i)metadata\b.*(?:too large|exceeds|limit of|256 ?KB|262144)")
    ),
    message="Runs fail because their metadata is too large.",
    bad=(Case(spans=(attempt(1, 0, 1, error=("Error", "Metadata exceeds the limit of 256KB")),)),),
    good=(Case(spans=(attempt(1, 0, 1, error=("Error", "metadata key is missing")),)),),
)


def _odd(frames: Frames, options: Options) -> pl.LazyFrame:
    value = pl.col("attributes").str.extract(r'"progress":(-?[0-9.eE+]+)').cast(pl.Float64, strict=False)
    said = (
        frames.task_logs.lazy()
        .filter(pl.col("run_key").is_not_null() & pl.col("attributes").str.contains('"progress":', literal=True))
        .with_columns(value=value)
        .filter(pl.col("value").is_not_null())
        .sort("time_ns", "value")
        .with_columns(before=pl.col("value").cum_max().shift(1).over(*RUN, "attempt", "operation"))
    )
    return said.filter((pl.col("value") > 100) | (pl.col("value") < 0) | (pl.col("value") < pl.col("before"))).select(
        *RUN, "task_id", "operation", "version", "time_ns", "seq", "row", table=pl.lit("logs"), key=pl.lit("progress")
    )


META003 = Rule(
    code="META003",
    slug="progress-odd",
    severity="info",
    grain="run",
    doc="""Logged progress goes backwards or leaves 0 to 100.

    Why: A bar that shows it jumps.
    How to fix: Log `Math.round(((i + 1) / total) * 100)`.
    Not flagged: progress that is only in metadata, which telemetry does not show.
    """,
    sentences=("51",),
    needs=("run_logs",),
    on=False,
    each=_odd,
    message="`progress` goes backwards or leaves 0 to 100.",
    bad=(
        Case(logs=(log("rows_import_validating", progress=50), log("rows_import_validating", 1, progress=20))),
        Case(logs=(log("rows_import_validating", progress=150),)),
    ),
    good=(Case(logs=(log("rows_import_validating", progress=20), log("rows_import_validating", 1, progress=50))),),
)

RULES = (META001, META003)
