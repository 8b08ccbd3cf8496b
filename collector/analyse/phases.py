"""Lifecycle phases as intervals: from `{operation}_started` to `_completed` or `_failed`, and the steps between.

Enter: logs of some runs, once each, numbered. Leave: the `phases` table, and which operation is outermost.
"""

from __future__ import annotations

from collections.abc import Sequence

import polars as pl

from collector.analyse import believable, fates
from collector.analyse.evidence import CORE, RUN
from collector.analyse.pairs import clusters, is_over, pair
from collector.model.words import ENDS

_FOR_EVER = 2**63 - 1
_ATTEMPT = [*RUN, "attempt"]
_TOLD_APART = ("trace_id", "span_id", "attributes")
"""What steps of one operation differ in."""


def events(spans: pl.DataFrame, logs: pl.DataFrame) -> pl.DataFrame:
    """Return *logs* and, as if they were some, the spans of plain OpenTelemetry whose names are phases.

    They count where no log of their run has a phase of the same operation: who writes both writes each phase twice. One
    with a length ends what it says has ended at its own end. Adds `of_span` and, of spans, `attempt_source`.
    """
    logs = logs.with_columns(of_span=pl.lit(False), attempt_source=pl.lit(None, pl.String))
    of_run = (pl.col("dialect") == "generic") & pl.col("run_key").is_not_null()
    says = pl.col("phase").is_not_null() | pl.col("name").str.contains(fates.SAYS)
    named = spans.filter(of_run & says).join(
        logs.filter(pl.col("phase").is_not_null()).select(*RUN, "operation"), on=[*RUN, "operation"], how="anti"
    )
    if named.is_empty():
        return logs
    shared = [name for name in logs.columns if name in spans.columns and name != "error_message"]
    ended = pl.max_horizontal("start_ns", "end_ns")
    as_logs = named.select(
        *shared,
        error_message=pl.coalesce("error_message", pl.col("status_message").replace("", None)),
        time_ns=pl.when(pl.col("phase").is_in(ENDS)).then(ended).otherwise("start_ns"),
        body="name",
        counts=pl.lit(True),
        of_span=pl.lit(True),
    )
    return pl.concat([logs, as_logs], how="diagonal")


def outermost(logs: pl.DataFrame, by: Sequence[str] = RUN) -> pl.DataFrame:
    """Return the operation that encloses the others, per run or *by* other columns, as `outermost`; absent: none does.

    It is the first operation to start among those that do not end before another one starts. One that started after
    it ended last is open and lasts for ever; of several that start in the same moment, as clocks of milliseconds have
    it, the one that lasts longest. The Trigger.dev dialect is stricter, because there an operation is only ever one
    part of a run the platform ends: the very first operation to start has to do, or none.
    """
    by_operation = (
        logs.filter(pl.col("operation").is_not_null() & pl.col("phase").is_in(CORE))
        .group_by(*by, "dialect", "operation")
        .agg(
            starts=pl.col("time_ns").filter(pl.col("phase") == "started").min(),
            restarts=pl.col("time_ns").filter(pl.col("phase") == "started").max(),
            ends=pl.col("time_ns").filter(pl.col("phase").is_in(ENDS)).max(),
        )
        .with_columns(ends=pl.when((pl.col("ends") >= pl.col("restarts")).fill_null(True)).then("ends"))
        .with_columns(lasts_ns=pl.col("ends").fill_null(_FOR_EVER))
        .sort(
            *by,
            "starts",
            "lasts_ns",
            "operation",
            nulls_last=True,
            descending=[*(False for _ in by), False, True, False],
        )
        .with_columns(position=pl.int_range(pl.len()).over(by))
    )
    latest = by_operation.group_by(by).agg(
        last=pl.col("restarts").max(),
        before=pl.col("restarts").sort(descending=True, nulls_last=True).get(1, null_on_oob=True),
    )
    # When another one starts for the last time: the last of all, or for the one that does the last but one.
    later = pl.when((pl.col("restarts") == pl.col("last")).fill_null(False)).then("before").otherwise("last")
    return (
        by_operation.join(latest, on=by, how="left", nulls_equal=True)
        .with_columns(later=later)
        .filter(pl.col("later").is_null() | (pl.col("lasts_ns") >= pl.col("later")))
        .filter(
            pl.when(pl.col("dialect") == "trigger_dev")
            .then((pl.col("position") == 0) & pl.col("starts").is_not_null())
            .otherwise(pl.lit(True))
        )
        .sort(*by, "position")
        .unique(by, keep="first", maintain_order=True)
        .select(*by, outermost="operation")
    )


def build(logs: pl.DataFrame) -> pl.DataFrame:
    """Return one row per interval that a phase opens, and per terminal phase that nothing opened.

    `started` lasts to the terminal phase of the same operation in the same attempt that belongs to it (`pairs`),
    `validating` and `calling` to the operation's next record. An interval nothing closed has no end and outcome
    `unknown`.
    """
    group = [*RUN, "attempt", "operation"]
    events = (
        logs.filter(pl.col("operation").is_not_null() & pl.col("phase").is_not_null())
        .select(*group, "run_id", "phase", "called_service", "time_ns", "reported_ms", *_TOLD_APART)
        .with_row_index("i")  # logs arrive in time order, lifecycle order within one nanosecond
    )
    shown = [*group, "run_id", "phase", "called_service"]
    return (
        pl.concat([_whole(events, group, shown), _parts(events, group, shown)])
        # Of times further apart than anything lasts only the end is known.
        .with_columns(
            started_ns=pl.when(believable.is_near("started_ns", "ended_ns").fill_null(True)).then("started_ns")
        )
        .with_columns(duration_ns=believable.lasted(pl.col("ended_ns") - pl.col("started_ns")))
        .sort(*RUN, "attempt", "started_ns", "ended_ns", "operation", "phase", "called_service", nulls_last=True)
    )


def _whole(events: pl.DataFrame, group: list[str], shown: list[str]) -> pl.DataFrame:
    """Return what operations took from their starts to their ends, and ends that nothing opened."""
    core = events.filter(pl.col("phase").is_in(CORE)).with_columns(is_start=pl.col("phase") == "started")
    groups = core.select(group).unique(maintain_order=True).with_row_index("group")
    pairs = pair(core.join(groups, on=group, nulls_equal=True, maintain_order="left"))
    ends = core.select(end="i", end_phase="phase", end_ns="time_ns", end_ms="reported_ms")
    closed = core.join(pairs, left_on="i", right_on="start", how="left").join(ends, on="end", how="left")
    is_start = pl.col("is_start")
    return closed.join(pairs.select(i="end"), on="i", how="anti").select(
        *shown,
        started_ns=pl.when(is_start).then("time_ns"),
        ended_ns=pl.when(is_start).then("end_ns").otherwise("time_ns"),
        outcome=pl.when(is_start).then(pl.col("end_phase").fill_null("unknown")).otherwise("phase"),
        reported_ms=pl.when(is_start).then("end_ms").otherwise("reported_ms"),
    )


def _parts(events: pl.DataFrame, group: list[str], shown: list[str]) -> pl.DataFrame:
    """Return the steps of operations, each as long as nothing else is said of its operation."""
    return (
        events.with_columns(
            next_phase=pl.col("phase").shift(-1).over(group), next_ns=pl.col("time_ns").shift(-1).over(group)
        )
        .filter(~pl.col("phase").is_in(CORE))
        .select(
            *shown,
            started_ns="time_ns",
            ended_ns="next_ns",
            outcome=pl.when(pl.col("next_phase").is_null())
            .then(pl.lit("unknown"))
            .when(pl.col("next_phase").is_in(["failed", "retrying"]))
            .then(pl.lit("failed"))
            # Nobody waited for how the call would come out.
            .when(pl.col("next_phase").is_in(["canceled", "interrupted"]))
            .then("next_phase")
            .otherwise(pl.lit("completed")),
            reported_ms="reported_ms",
        )
    )


def endings(logs: pl.DataFrame, outer: pl.DataFrame) -> pl.DataFrame:
    """Return per run and attempt how its outermost operation stands; *outer*: which one that is (`by_attempt`).

    Columns: `phase_started_ns`, `phase_ended_ns`, `phase_outcome` (how it ended, or NULL while open), and since when it
    is open, `phase_open_ns`. Where operations follow each other, the attempt started with the first of them.
    """
    starts = logs.filter(pl.col("operation").is_not_null() & (pl.col("phase") == "started"))
    first = starts.group_by(_ATTEMPT).agg(first_started_ns=pl.col("time_ns").min())
    ends = pl.col("phase").is_in(ENDS)
    return (
        logs.join(outer, on=_ATTEMPT, nulls_equal=True)
        .filter((pl.col("operation") == pl.col("outermost")) & pl.col("phase").is_in(CORE))
        .group_by(_ATTEMPT, maintain_order=True)
        .agg(
            phase_started_ns=pl.col("time_ns").filter(pl.col("phase") == "started").min(),
            last_ns=pl.col("time_ns").last(),
            last=pl.col("phase").last(),
            ended_ns=pl.col("time_ns").filter(ends).last(),
            ended=pl.col("phase").filter(ends).last(),
            turned=((pl.len() - ends.sum() == 1) & (pl.col("attempt_source") == "measured").any()),
        )
        .with_columns(
            last_ns=pl.when("turned").then(pl.coalesce("ended_ns", "last_ns")).otherwise("last_ns"),
            last=pl.when("turned").then(pl.coalesce("ended", "last")).otherwise("last"),
        )
        .join(first, on=_ATTEMPT, how="left", nulls_equal=True)
        .select(
            *_ATTEMPT,
            phase_started_ns=pl.when(pl.col("phase_started_ns").is_not_null()).then("first_started_ns"),
            phase_outcome=pl.when(pl.col("last") != "started").then("last"),
            phase_ended_ns=pl.when(pl.col("last") != "started").then("last_ns"),
            phase_open_ns=pl.when(pl.col("last") == "started").then("last_ns"),
        )
    )


def by_attempt(logs: pl.DataFrame) -> pl.DataFrame:
    """Return `outermost` of each attempt.

    An operation that another one encloses in any attempt of the run encloses none: the start of that may be lost.
    """
    starts = logs.filter(pl.col("operation").is_not_null() & (pl.col("phase") == "started"))
    outer = outermost(logs, _ATTEMPT)
    is_outer = pl.col("operation") == pl.col("outermost")
    inner = (
        starts.join(outer, on=_ATTEMPT, nulls_equal=True)
        .filter(~is_outer & (pl.col("time_ns") >= pl.col("time_ns").filter(is_outer).min().over(_ATTEMPT)))
        .select(*RUN, "operation")
        .unique()
    )
    if inner.is_empty():
        return outer
    others = logs.join(inner, on=[*RUN, "operation"], how="anti", nulls_equal=True)
    return outermost(others, _ATTEMPT)


def deliveries(logs: pl.DataFrame, outer: pl.DataFrame) -> pl.DataFrame:
    """Return when attempts began that did more than once, `started_ns`: each time that their outermost operation did.

    Two that ran beside each other are one. Trigger.dev delivers no attempt twice: what begins again there is a loop.
    """
    is_start = pl.col("phase") == "started"
    marks = logs.join(outer, on=_ATTEMPT).filter(
        (pl.col("operation") == pl.col("outermost"))
        & pl.col("phase").is_in(CORE)
        & (pl.col("dialect") != "trigger_dev")
    )
    again = marks.filter(is_start).group_by(_ATTEMPT).len().filter(pl.col("len") > 1)
    return (
        marks.join(again, on=_ATTEMPT, how="semi", maintain_order="left")
        .with_columns(previous=pl.col("phase").shift(1).over(_ATTEMPT), cluster=clusters(is_start, _ATTEMPT)[1])
        .with_columns(beside=is_over(is_start, [*_ATTEMPT, "cluster"]) & (pl.col("previous") == "started"))
        .filter(is_start & ~pl.col("beside").fill_null(False))
        .select(*_ATTEMPT, started_ns="time_ns")
    )
