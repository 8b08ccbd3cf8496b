"""PHA: every operation has one start and one end.

Of several ends is judged in `ends.py`, of what lies between in `steps.py`, of what the ends say in `outcomes.py`.
"""

from __future__ import annotations

import re

import polars as pl

from collector.model.words import ENDS, FATES
from collector.rules.cases import attempt, log, span
from collector.rules.frames import MS_NS, RUN, Frames
from collector.rules.rule import Case, Finding, Options, Rule

ATTEMPT = [*RUN, "attempt"]
GROUP = [*ATTEMPT, "operation"]


def phases(frames: Frames) -> pl.LazyFrame:
    """Return task logs of runs that are in the format, in time order."""
    return (
        frames.task_logs.lazy()
        .filter(pl.col("phase").is_not_null() & pl.col("run_key").is_not_null())
        .select(
            *GROUP,
            "task_id",
            "phase",
            "called_service",
            "time_ns",
            "version",
            "reported_ms",
            "attributes",
            "seq",
            "row",
            table=pl.lit("logs"),
        )
        .sort("time_ns", "phase", "attributes", "seq", "row")
    )


def ended_attempts(frames: Frames) -> pl.LazyFrame:
    """Return the attempts known to be over, and how that is known.

    An attempt that fell silent is none of them, nor one that only a later attempt proves to have failed: whatever
    killed it may have kept it from logging.
    """
    return (
        frames.attempts.lazy()
        .filter(pl.col("status").is_in(["completed", "failed"]) & pl.col("status_source").is_in(["measured", "phase"]))
        .select(*RUN, "wait_ns", attempt="number", attempt_status="status", attempt_source="status_source")
    )


def by_operation(frames: Frames) -> pl.LazyFrame:
    """Return one row per operation and attempt: how often it started and ended, and when."""
    phase = pl.col("phase")
    return (
        phases(frames)
        .group_by(GROUP, maintain_order=True)
        .agg(
            pl.col("task_id").drop_nulls().first(),
            starts=(phase == "started").sum(),
            most_alike=pl.max_horizontal((phase == word).sum() for word in ENDS),
            kinds=phase.filter(phase.is_in(ENDS)).unique().sort(),
            ends=phase.is_in(ENDS).sum(),
            first_start_ns=pl.col("time_ns").filter(phase == "started").min(),
            last_end_ns=pl.col("time_ns").filter(phase.is_in(ENDS)).max(),
            last_phase=phase.last(),
            last_ns=pl.col("time_ns").last(),
        )
    )


def _at(phase: str, *, first: bool = True) -> list[pl.Expr]:
    """Return expressions for what identifies the first record of *phase* in a group, or the last."""
    pick = pl.col("phase") == phase
    return [
        pl.col(c).filter(pick).first().alias(c) if first else pl.col(c).filter(pick).last().alias(c)
        for c in ("task_id", "time_ns", "version", "seq", "row", "table")
    ]


def _open(frames: Frames) -> tuple[pl.LazyFrame, pl.LazyFrame]:
    """Return what every operation of an attempt logged, and those of them that started and did not end."""
    groups = (
        phases(frames)
        .group_by(GROUP, maintain_order=True)
        .agg(
            *_at("started"),
            starts=(pl.col("phase") == "started").sum(),
            ends=pl.col("phase").is_in(ENDS).sum(),
        )
    )
    # An end that names no attempt may be this one's.
    loose = groups.filter(pl.col("attempt").is_null() & (pl.col("ends") > 0)).select(*RUN, "operation")
    started = groups.filter((pl.col("starts") > 0) & (pl.col("ends") == 0))
    return groups, started.join(loose, on=[*RUN, "operation"], how="anti")


_STARTED = [*GROUP, "task_id", "time_ns", "version", "seq", "row", "table"]


def _started_only(frames: Frames, options: Options) -> pl.LazyFrame:
    _, started = _open(frames)
    return started.join(ended_attempts(frames), on=ATTEMPT, how="inner").select(_STARTED)


def _never_ends(frames: Frames, options: Options) -> pl.LazyFrame:
    """Runs of which nobody saw the end tell nothing, but a task none of whose runs logs one has no such line."""
    groups, started = _open(frames)
    silent = frames.runs.lazy().filter(pl.col("status") == "unknown").select(RUN)
    by_task = groups.group_by("project", "task_id", "operation").agg(
        of_runs=pl.col("run_key").n_unique(), ends=pl.col("ends").sum()
    )
    never = by_task.filter((pl.col("of_runs") >= options["least_runs"]) & (pl.col("ends") == 0))
    return (
        started.join(silent, on=RUN, how="semi")
        .join(ended_attempts(frames), on=ATTEMPT, how="anti")
        .join(never, on=["project", "task_id", "operation"], how="semi", nulls_equal=True)
        .select(_STARTED)
    )


PHA001 = Rule(
    code="PHA001",
    slug="started-without-end",
    severity="error",
    grain="run",
    doc="""An operation started and logged neither `_completed` nor `_failed`, although its attempt is over.

    Why: Its duration and outcome are unknown; on a chart it runs for ever.
    How to fix: Log `_failed` in `catch` (then throw on) and `_completed` at the end, or use the helper in docs/connect.
    Not flagged: attempts whose end nobody saw (killed, still running), unless no run of the task ever logs an end in
    at least `least_runs` runs; canceled attempts; operations that end with `_canceled`, `_skipped`, `_interrupted` or
    `_retrying`.
    """,
    sentences=("28", "25"),
    needs=("logs", "attempts"),
    options={"least_runs": 5},
    each=_started_only,
    across=_never_ends,
    message="`{operation}_started` is followed by neither `_completed` nor `_failed`.",
    remedy=(
        "Log `{operation}_failed` with error_type and error_message where the error is caught, then throw on; "
        "log `{operation}_completed` at the end."
    ),
    bad=(
        Case(
            logs=(log("order_charge_started", runner="trigger"),),
            spans=(attempt(1, 0, 3, error=("Error", "boom")),),
            say="it threw, and logged no failure",
        ),
        Case(
            logs=(
                log("order_charge_started"),
                log("card_check_started", 1),
                log("order_charge_completed", 2, processing_time_ms=2000),
            ),
            say="an inner step never ends",
        ),
        Case(
            logs=tuple(log("order_charge_started", n * 9, run=f"run_{n}") for n in range(5)),
            say="no run of the task ever logs an end",
        ),
    ),
    good=(
        Case(logs=(log("order_charge_started", runner="trigger"),), say="killed: nobody saw its end"),
        Case(logs=tuple(log("order_charge_started", n * 9, run=f"run_{n}") for n in range(4)), say="too few to tell"),
        *(
            Case(
                logs=(
                    log("order_charge_started"),
                    log("card_check_started", 1),
                    log(f"card_check_{word}", 2),
                    log("order_charge_completed", 3, processing_time_ms=3000),
                )
            )
            for word in FATES
        ),
        Case(
            logs=(
                log("order_charge_started"),
                log("order_charge_failed", 1, level="error", error_type="E", error_message="m"),
            )
        ),
        Case(
            logs=(log("order_charge_started", runner="trigger"),),
            spans=(span("onCancel()", 1, 1.1, keys={"$style.icon": "task-hook-onCancel"}),),
            say="canceled",
        ),
    ),
)


def _ended_only(frames: Frames, options: Options) -> pl.LazyFrame:
    records = phases(frames)
    started = records.filter(pl.col("phase") == "started").select(*RUN, "operation").unique()
    ends = records.filter(pl.col("phase").is_in(ENDS)).join(started, on=[*RUN, "operation"], how="anti")
    seen = pl.concat(
        [
            frames.logs.lazy().select(*RUN, at="time_ns"),
            frames.spans.lazy().select(*RUN, at="start_ns"),
        ]
    )
    begun = seen.filter(pl.col("run_key").is_not_null()).group_by(RUN).agg(begun_ns=pl.col("at").min())
    first_ns = seen.select(window_ns=pl.col("at").min())
    edge_ns = int(options["edge_minutes"] * 60_000 * MS_NS)
    return (
        ends.join(begun, on=RUN)
        .join(first_ns, how="cross")
        .filter((pl.col("begun_ns") < pl.col("time_ns")) | (pl.col("window_ns") + edge_ns < pl.col("time_ns")))
        .unique([*ATTEMPT, "operation"], keep="first", maintain_order=True)
    )


_EARLIER = log("mail_send_started", run="run_before")

_CALL = re.compile(r"(.+?)_calling_.+")


def _about_a_call(f: Finding) -> str | None:
    """Return the operation that calls, where what ended is named as a call of one."""
    match = _CALL.fullmatch(f["operation"] or "")
    return match[1] if match else None


def _no_start(f: Finding) -> str:
    if not _about_a_call(f):
        return f"`{f['operation']}` ends without having logged `_started`."
    return f"`{f['operation']}` is a call, and a call has no end of its own."


def _start_or_outcome(f: Finding) -> str:
    if operation := _about_a_call(f):
        return (
            f"Log the outcome of the call as the next phase of `{operation}`: `{operation}_failed` if it fails, else "
            f"`{operation}_completed` or the next `{operation}_calling_{{service}}`."
        )
    return f"Log `{f['operation']}_started` with the three ids before the work begins."


PHA002 = Rule(
    code="PHA002",
    slug="end-without-started",
    severity="warning",
    grain="run",
    doc="""An operation logged its end and no start.

    Why: Without a start there is no duration, and no way to see that it runs.
    How to fix: Log `_started` first. What ends as `order_calling_stripe_completed` is a call, which has no end of its
    own: log `order_calling_stripe` before it, and its outcome as the next phase of `order`.
    Not flagged: runs whose beginning may lie before the telemetry that was looked at (`edge_minutes`).
    """,
    sentences=("28", "23"),
    needs=("run_logs",),
    options={"edge_minutes": 60},
    each=_ended_only,
    message=_no_start,
    remedy=_start_or_outcome,
    bad=(
        Case(logs=(log("order_process_started"), log("order_charge_completed", 1, processing_time_ms=9))),
        Case(
            logs=(log("order_charge_completed", 4, runner="trigger", processing_time_ms=9),), spans=(attempt(1, 0, 5),)
        ),
        Case(logs=(_EARLIER, log("order_charge_completed", 61 * 60, processing_time_ms=9))),
        Case(
            logs=(
                log("order_charge_started"),
                log("order_charge_calling_stripe", 1),
                log("order_charge_calling_stripe_completed", 2),
                log("order_charge_completed", 3, processing_time_ms=3000),
            ),
            say="a call has no end of its own",
        ),
    ),
    good=(
        Case(
            logs=(_EARLIER, log("order_charge_completed", 59 * 60, processing_time_ms=9)),
            say="its start may lie before the window",
        ),
        Case(logs=(log("order_charge_started"), log("order_charge_completed", 1, processing_time_ms=9))),
    ),
)

RULES = (PHA001, PHA002)
