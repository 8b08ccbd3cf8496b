"""PHA: steps of an operation lie between its start and its end, and a call has an outcome."""

from __future__ import annotations

import polars as pl

from collector.rules.cases import attempt, log
from collector.rules.families.phases import ATTEMPT, GROUP, by_operation, ended_attempts, phases
from collector.rules.frames import MS_NS, Frames
from collector.rules.rule import Case, Options, Rule


def _out_of_order(frames: Frames, options: Options) -> pl.LazyFrame:
    tolerance = int(options["tolerance_ms"] * MS_NS)
    whole = by_operation(frames).filter((pl.col("starts") == 1) & (pl.col("ends") <= 1))
    steps = phases(frames).filter(pl.col("phase").is_in(["validating", "calling"]))
    early = pl.col("time_ns") < pl.col("first_start_ns") - tolerance
    late = (pl.col("time_ns") > pl.col("last_end_ns") + tolerance).fill_null(False)
    return (
        steps.join(whole.select(*GROUP, "first_start_ns", "last_end_ns"), on=GROUP, nulls_equal=True)
        .filter(early | late)
        .with_columns(
            detail=pl.when(early).then(pl.lit("before its start")).otherwise(pl.lit("after its end")),
            key=pl.col("phase"),
        )
        .unique([*GROUP, "key"], keep="first", maintain_order=True)
    )


PHA005 = Rule(
    code="PHA005",
    slug="phase-order",
    severity="warning",
    grain="run",
    doc="""A step of an operation is logged before its start or after its end.

    Why: Time spent in the step cannot be told from time outside the operation.
    How to fix: Log `_started` first and the terminal phase last; await calls before logging the end.
    Not flagged: differences within `tolerance_ms` (clocks), operations that start or end more than once.
    """,
    sentences=("28", "4"),
    needs=("run_logs",),
    options={"tolerance_ms": 50},
    each=_out_of_order,
    message="`{operation}_{key}` is logged {details: or }.",
    bad=(
        Case(
            logs=(
                log("order_charge_validating"),
                log("order_charge_started", 1),
                log("order_charge_completed", 2, processing_time_ms=1000),
            )
        ),
        Case(
            logs=(
                log("order_charge_started"),
                log("order_charge_completed", 1, processing_time_ms=1000),
                log("order_charge_calling_stripe", 2),
            )
        ),
        Case(logs=(log("order_charge_validating"), log("order_charge_started", 0.051))),
    ),
    good=(
        Case(
            logs=(
                log("order_charge_started"),
                log("order_charge_validating", 1),
                log("order_charge_calling_stripe", 2),
                log("order_charge_completed", 3, processing_time_ms=3000),
            )
        ),
        Case(logs=(log("order_charge_validating"), log("order_charge_started", 0.049)), say="within the tolerance"),
    ),
)


def _unanswered(frames: Frames, options: Options) -> pl.LazyFrame:
    last = phases(frames).unique(GROUP, keep="last", maintain_order=True)
    return (
        last.filter(pl.col("phase") == "calling")
        .join(ended_attempts(frames), on=ATTEMPT)
        .with_columns(key=pl.col("called_service"))
    )


PHA010 = Rule(
    code="PHA010",
    slug="call-without-outcome",
    severity="warning",
    grain="run",
    doc="""An operation logged a call and then nothing more, although its attempt is over.

    Why: The call may have failed, or taken all the time; nobody can tell.
    How to fix: Log the operation's next phase after the call, `_failed` when it throws.
    Not flagged: attempts whose end nobody saw.
    """,
    sentences=("28",),
    needs=("logs", "attempts"),
    each=_unanswered,
    message="Nothing follows `{operation}_calling_{key}`.",
    remedy="Log `{operation}_completed` or `{operation}_failed` after the call.",
    bad=(
        Case(
            logs=(
                log("order_charge_started", runner="trigger"),
                log("order_charge_calling_stripe", 1, runner="trigger"),
            ),
            spans=(attempt(1, 0, 2, error=("Error", "m")),),
        ),
    ),
    good=(
        Case(
            logs=(
                log("order_charge_started"),
                log("order_charge_calling_stripe", 1),
                log("order_charge_calling_ledger", 2),
                log("order_charge_completed", 3, processing_time_ms=3000),
            )
        ),
        Case(
            logs=(
                log("order_charge_started", runner="trigger"),
                log("order_charge_calling_stripe", 1, runner="trigger"),
            ),
            say="killed: nobody saw its end",
        ),
    ),
)

RULES = (PHA005, PHA010)
