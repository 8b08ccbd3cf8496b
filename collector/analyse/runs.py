"""Runs: what all records of a run say together; its `status` comes last.

Enter: every raw record of some runs and the links that name them as children. Leave: their rows of `runs`,
`attempts`, `phases` and `waits`. The same records in any order, any number of times, in any split give the
same rows; nothing here knows which of them are new. Which records are one run is not judged here: `ambiguous` is false.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import polars as pl
import pyarrow as pa

from collector.analyse import attempts as attempts_
from collector.analyse import believable, enclosing, evidence, fates, phases, status, waits
from collector.analyse import links as links_
from collector.analyse.evidence import RUN
from collector.analyse.frames import is_backward, timestamp
from collector.model import tables
from collector.model.believable import LONGEST_MS, MOST_CENTS

FAILURE_HOOK = "onFailure()"
"""Trigger.dev runs this hook of a task only after its last attempt failed."""

LINKS = pl.Schema(
    {
        "project": pl.String,
        "run_key": pl.String,
        "run_id": pl.String,
        "dialect": pl.String,
        "environment": pl.String,
        "platform_project": pl.String,
        "task_id": pl.String,
        "parent_run_key": pl.String,
        "parent_run_id": pl.String,
        "root_run_id": pl.String,
        "source": pl.String,
        "started_ns": pl.Int64,
        "ended_ns": pl.Int64,
        "waits": pl.Boolean,
    }
)
"""What parents say of their children, at most one row a child: the earliest trigger, of the parent that the child names
where it names one. `started_ns` and `ended_ns` are the trigger span's own; `waits` tells that it lasts until the child
ended. `source` is measured where the child names its parent itself, derived where the parent's span names the child;
whether that made it is judged here (`links`). `root_run_id` may be left open (NULL)."""

_CONTEXT = [
    "run_id",
    "dialect",
    "task_id",
    "task_file",
    "queue",
    "environment",
    "platform_project",
    "version",
    "machine",
    "idempotency_key",
    "batch_id",
    "correlation_id",
    "request_id",
]

_FIRST = ["queue_wait_ms", "delay_ms", "due_at_ns", "priority"]
"""Of what the first log that has it counts, beside the context."""


@dataclass(frozen=True, slots=True)
class RunTables:
    """Rows of the run model, schemas as in `model.tables`."""

    runs: pl.DataFrame
    attempts: pl.DataFrame
    phases: pl.DataFrame
    waits: pl.DataFrame

    def items(self) -> list[tuple[str, pl.DataFrame]]:
        """Return (table name, frame) pairs."""
        return [(name, getattr(self, name)) for name in self.__slots__]


def build(
    raw_spans: pl.DataFrame,
    raw_logs: pl.DataFrame,
    links: pl.DataFrame,
    *,
    as_of_ns: int,
    grace_ns: int,
    stale_ns: int,
) -> RunTables:
    """Return the run model of these records at *as_of_ns*.

    *raw_spans* and *raw_logs* are rows of the raw tables with `run_key` resolved; *links* as in `LINKS`.
    *grace_ns*: how long a failed last attempt may still be retried; *stale_ns*: how long silence may last.
    """
    spans, logs, events, outer, _ = records(raw_spans, raw_logs)
    outer_of = phases.by_attempt(events)
    idle = waits.between_deliveries(spans, events, phases.deliveries(events, outer_of))
    wait_rows = pl.concat([waits.build(spans), idle], how="vertical_relaxed")
    attempt_rows = attempts_.build(
        spans,
        events,
        phases.endings(events, outer_of),
        waits.union_ns(wait_rows),
        waits.idle_ns(wait_rows),
        as_of_ns=as_of_ns,
        stale_ns=stale_ns,
    )
    run_rows = status.judge(
        _gather(spans, logs, links, outer)
        .join(_arrivals(raw_spans, raw_logs), on=RUN, how="left", nulls_equal=True)
        .join(_by_attempts(attempt_rows), on=RUN, how="left", nulls_equal=True)
        .join(_by_spans(spans, wait_rows), on=RUN, how="left", nulls_equal=True)
        .with_columns(version=pl.coalesce("last_version", "version")),
        as_of_ns=as_of_ns,
        grace_ns=grace_ns,
        stale_ns=stale_ns,
    )
    return RunTables(
        runs=_shape(_doubted(status.finish(run_rows)).with_columns(ambiguous=pl.lit(False)), "runs").sort(
            "project", "run_key"
        ),
        attempts=_shape(
            # A run is of one task, whatever a record of it says.
            _doubted(
                _named(attempt_rows.with_columns(task_id=None), run_rows, "run_id", "task_id", "queue", "heard")
            ).with_columns(started_at=timestamp("started_ns"), ended_at=timestamp("ended_ns")),
            "attempts",
        ),
        phases=_shape(_named(phases.build(events), run_rows, "run_id"), "phases"),
        waits=_shape(_named(wait_rows, run_rows, "run_id"), "waits"),
    )


class Records(NamedTuple):
    """Each record of some runs once, in time order, with exact times and attempts."""

    spans: pl.DataFrame
    logs: pl.DataFrame
    events: pl.DataFrame
    """What tells phases and attempts: the logs that say something of their run, and spans that are named as phases."""
    outermost: pl.DataFrame
    """The operation that encloses the others, per run (`phases.outermost`)."""
    from_zero: pl.DataFrame
    """The runs whose own count of attempts begins at 0."""


def records(raw_spans: pl.DataFrame, raw_logs: pl.DataFrame) -> Records:
    """Return rows of the raw tables as evidence."""
    spans = evidence.spans(raw_spans)
    logs = evidence.heard(spans, evidence.logs(raw_logs))
    zero = evidence.from_zero(spans, logs)
    spans, logs = evidence.from_one(spans, logs, zero)
    spans = enclosing.mark(evidence.number_spans(spans))
    events = fates.read(phases.events(spans, logs.filter("counts")))
    outer = phases.outermost(events)
    tries = enclosing.tries(spans, events, outer)
    events = fates.of_attempt(evidence.number_logs(events, spans, outer, enclosing.at(events, "time_ns", tries)))
    spans = enclosing.number(spans, events, tries)
    silent = logs.filter(~pl.col("counts")).with_columns(attempt_source=pl.lit(None, pl.String), of_span=pl.lit(False))
    events, silent = (
        rows.sort("time_ns", evidence.phase_rank(), "body", "attributes", "long_hash", "event_name", nulls_last=True)
        for rows in (events, silent)
    )
    logs = pl.concat([events.filter(~pl.col("of_span")), silent.select(events.columns)]).drop("of_span")
    return Records(spans, logs, events, outer, zero)


def _doubted(frame: pl.DataFrame) -> pl.DataFrame:
    """Return rows of runs with what was said of those that are `heard` of as inferred, whatever it rests on."""
    known = pl.selectors.ends_with("_source") & pl.selectors.string()
    inferred = known.replace(dict.fromkeys(("measured", "phase", "derived"), "inferred"))
    return frame.with_columns(pl.when(pl.col("heard").fill_null(False)).then(inferred).otherwise(known))


def _named(parts: pl.DataFrame, run_rows: pl.DataFrame, *columns: str) -> pl.DataFrame:
    """Return *parts* of runs with what their own records leave open (a log found through its span names nothing)."""
    of_run = run_rows.select(*RUN, *(pl.col(c).alias(f"of_run_{c}") for c in columns))
    return parts.join(of_run, on=RUN, how="left", nulls_equal=True, maintain_order="left").with_columns(
        pl.coalesce(c if c in parts.columns else None, f"of_run_{c}").alias(c) for c in columns
    )


def _gather(spans: pl.DataFrame, logs: pl.DataFrame, links: pl.DataFrame, outer: pl.DataFrame) -> pl.DataFrame:
    """Return one row a run: its context, range, counts and link; also for runs known only from their parent."""
    shared = [*_CONTEXT, "parent_run_id", "is_test", "is_replay"]
    both = pl.concat(
        [
            spans.select(
                *RUN,
                *shared,
                "tags",
                queue_wait_ms=None,
                delay_ms=None,
                due_at_ns=None,
                max_attempts=None,
                priority=None,
                # A platform that tells when it dequeued the run has seen it then.
                first=pl.when(pl.col("dequeued_ns") <= pl.col("start_ns")).then("dequeued_ns").otherwise("start_ns"),
                last=pl.coalesce("end_ns", "start_ns"),
                span=True,
                heard=False,
            ),
            logs.select(
                *RUN,
                *shared,
                tags=None,
                # A retry that waited again says so too; the run had waited before its first attempt.
                # So it is with what it was put off by: a retry is put off anew.
                **{
                    name: pl.when(pl.col("attempt").fill_null(1) == 1).then(name)
                    for name in ("queue_wait_ms", "delay_ms", "due_at_ns")
                },
                max_attempts="max_attempts",
                priority="priority",
                first=pl.when("counts").then("time_ns"),
                last=pl.when("counts").then("time_ns"),
                span=False,
                heard=pl.col("counts") & pl.col("keys_from").is_not_null(),
            ),
        ],
        how="vertical_relaxed",
    ).sort("first", *_CONTEXT, "parent_run_id", *_FIRST, nulls_last=True)
    of_records = both.group_by(RUN, maintain_order=True).agg(
        *(pl.col(c).drop_nulls().first() for c in _CONTEXT),
        # Nothing is its own parent.
        declared_parent=pl.col("parent_run_id")
        .filter(pl.col("parent_run_id").ne_missing(pl.col("run_id")))
        .drop_nulls()
        .first(),
        priority=pl.col("priority").drop_nulls().first(),
        max_attempts=pl.col("max_attempts").max(),
        stated_due_ns=pl.col("due_at_ns").drop_nulls().first(),
        stated_delay_ns=(pl.col("delay_ms").drop_nulls().first() * 1e6).cast(pl.Int64),
        stated_queue_wait_ns=(pl.col("queue_wait_ms").drop_nulls().first() * 1e6).cast(pl.Int64),
        is_test=pl.col("is_test").any(),
        is_replay=pl.col("is_replay").any(),
        says_test=pl.col("is_test").is_not_null().any(),
        says_replay=pl.col("is_replay").is_not_null().any(),
        tags=pl.col("tags").explode().drop_nulls().unique().sort(),
        # A record so long before the last one that nothing lasts so long has a wrong clock.
        first_seen_ns=pl.col("first").filter(believable.is_near("first", pl.col("last").max())).min(),
        last_seen_ns=pl.col("last").max(),
        span_count=pl.col("span").sum().cast(pl.Int64),
        log_count=(~pl.col("span")).sum().cast(pl.Int64),
        heard=pl.col("heard").any(),
    )
    of_links = links.select(
        *RUN,
        linked_run_id="run_id",
        linked_dialect="dialect",
        linked_environment="environment",
        linked_platform_project="platform_project",
        linked_task="task_id",
        linked_parent="parent_run_id",
        root_run_id="root_run_id",
        parent_source="source",
        link_start_ns="started_ns",
        link_end_ns="ended_ns",
        link_waits="waits",
    )
    return (
        of_records.join(of_links, on=RUN, how="full", coalesce=True, nulls_equal=True)
        .join(outer, on=RUN, how="left", nulls_equal=True)
        .with_columns(made=links_.made())
        .with_columns(
            pl.when(pl.col("made") | (pl.col("parent_source") == "measured"))
            .then(pl.col("linked_parent", "root_run_id", "parent_source"))
            .name.keep(),
            made_ns=pl.when("made").then("link_start_ns"),
        )
        .with_columns(
            coverage=pl.when((pl.col("span_count") > 0) & (pl.col("log_count") > 0))
            .then(pl.lit("spans+logs"))
            .when(pl.col("span_count") > 0)
            .then(pl.lit("spans"))
            .when(pl.col("log_count") > 0)
            .then(pl.lit("logs"))
            .otherwise(pl.lit("link")),
            task_source=pl.when(pl.col("task_id").is_not_null())
            .then(pl.lit("measured"))
            .when(pl.coalesce("linked_task", "outermost").is_not_null())
            .then(pl.lit("derived"))
            .otherwise(pl.lit("unknown")),
            queue_source=pl.when(pl.col("queue").is_not_null()).then(pl.lit("measured")).otherwise(pl.lit("unknown")),
            is_test=pl.when("says_test").then("is_test"),
            is_replay=pl.when("says_replay").then("is_replay"),
            run_id=pl.coalesce("run_id", "linked_run_id"),
            dialect=pl.coalesce("dialect", "linked_dialect"),
            environment=pl.coalesce("environment", "linked_environment"),
            platform_project=pl.coalesce("platform_project", "linked_platform_project"),
            # A plain logger that names no task is known by the operation that encloses the run.
            task_id=pl.coalesce("task_id", "linked_task", "outermost"),
            parent_run_id=pl.coalesce("linked_parent", "declared_parent"),
            first_seen_ns=pl.coalesce("first_seen_ns", "link_start_ns"),
            last_seen_ns=pl.coalesce("last_seen_ns", "link_end_ns", "link_start_ns"),
            span_count=pl.col("span_count").fill_null(0),
            log_count=pl.col("log_count").fill_null(0),
        )
        .with_columns(
            parent_source=pl.when(pl.col("parent_run_id").is_null())
            .then(pl.lit("unknown"))
            .otherwise(pl.coalesce("parent_source", pl.lit("measured"))),
            # As far as telemetry tells, a run that nobody is known to have triggered is a root.
            root_run_id=pl.coalesce("root_run_id", "parent_run_id", "run_id"),
        )
    )


def _arrivals(raw_spans: pl.DataFrame, raw_logs: pl.DataFrame) -> pl.DataFrame:
    """Return the range of journal batches that hold the run's records, repeated ones included."""
    return (
        pl.concat([raw_spans.select(*RUN, "seq"), raw_logs.select(*RUN, "seq")])
        .group_by(RUN)
        .agg(first_seq=pl.col("seq").min(), last_seq=pl.col("seq").max())
    )


def _by_attempts(attempts: pl.DataFrame) -> pl.DataFrame:
    """Return what the attempts of a run add up to, and its last attempt."""
    later = pl.col("started_ns").shift(-1).over(RUN)
    follows = pl.col("number").shift(-1).over(RUN) == pl.col("number") + 1
    complete = pl.col("number").max() == pl.len()
    return (
        attempts.with_columns(
            backoff=pl.when(follows & pl.col("ended_ns").is_not_null() & ~is_backward()).then(
                believable.waited(later - pl.col("ended_ns"))
            ),
            last_number=pl.col("number").max().over(RUN),
        )
        .group_by(RUN, maintain_order=True)
        .agg(
            last_number=pl.col("number").last(),
            last_number_stated=pl.col("number_stated").last(),
            first_number=pl.col("number").first(),
            last_version=pl.col("version").drop_nulls().last(),
            last_status=pl.col("status").last(),
            last_source=pl.col("status_source").last(),
            last_ended_ns=pl.col("ended_ns").last(),
            last_ended_source=pl.col("ended_source").last(),
            last_has_span=pl.col("has_span").last(),
            last_is_enclosed=pl.col("is_enclosed").last(),
            last_fate=pl.col("phase_outcome").last(),
            last_outcome=pl.col("outcome").last(),
            last_error_type=pl.col("error_type").last(),
            last_error_message=pl.col("error_message").last(),
            last_error_group=pl.col("error_group").last(),
            first_started_ns=pl.col("started_ns").first(),
            first_started_source=pl.col("started_source").first(),
            # Sums are known only when every attempt from the first to the last is.
            active_ns=pl.when(complete & pl.col("active_ns").is_not_null().all()).then(_total("active_ns")),
            wait_ns=pl.when(complete & pl.col("wait_ns").is_not_null().all()).then(_total("wait_ns")),
            backoff_ns=pl.when(complete & (pl.col("backoff").is_not_null().sum() == pl.len() - 1)).then(
                _total("backoff")
            ),
            idle_ns=_total("idle_ns"),
            compute_ms=_upto("compute_ms", LONGEST_MS),
            cost_cents=_upto("cost_cents", MOST_CENTS),
        )
    )


def _total(ns: str) -> pl.Expr:
    return believable.total(pl.col(ns))


def _upto(column: str, most: float) -> pl.Expr:
    """Return the sum of what is known, NULL when nothing is or it is beyond what a run may come to."""
    return pl.when(pl.col(column).is_not_null().any() & (pl.col(column).sum() <= most)).then(pl.col(column).sum())


def _by_spans(spans: pl.DataFrame, wait_rows: pl.DataFrame) -> pl.DataFrame:
    """Return per run whether its failure or cancel hook ran, and whether it waits now."""
    trigger = pl.col("dialect") == "trigger_dev"
    hooks = spans.group_by(RUN).agg(
        gave_up=(trigger & (pl.col("name") == FAILURE_HOOK)).any(),
        canceled=(trigger & (pl.col("name") == attempts_.CANCEL_HOOK)).any(),
        canceled_ns=pl.coalesce("end_ns", "start_ns").filter(trigger & (pl.col("name") == attempts_.CANCEL_HOOK)).max(),
    )
    open_waits = wait_rows.group_by(RUN).agg(waiting_now=pl.col("ended_ns").is_null().any())
    return hooks.join(open_waits, on=RUN, how="left", nulls_equal=True)


def _shape(frame: pl.DataFrame, table: str) -> pl.DataFrame:
    """Return exactly the columns of *table*, in its order and types."""
    empty = pl.from_arrow(pa.Table.from_batches([], tables.RUN_MODEL[table]))
    assert isinstance(empty, pl.DataFrame)
    return frame.select(pl.col(name).cast(kind) for name, kind in empty.schema.items())
