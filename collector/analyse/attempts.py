"""Attempts: from their span where one arrived, else from phases, else from the records that name them.

Enter: evidence of some runs. Leave: the `attempts` table at `as_of`, which alone decides between running
and unknown.
"""

from __future__ import annotations

import polars as pl

from collector.analyse import believable, enclosing
from collector.analyse.enclosing import SILENCE_NS
from collector.analyse.error_groups import with_groups
from collector.analyse.evidence import RUN

ATTEMPT = [*RUN, "attempt"]
_FATES = (("canceled", "canceled"), ("skipped", "completed"), ("interrupted", "interrupted"), ("retrying", "failed"))
"""How an outermost operation may end otherwise → the status of its attempt."""
_OK, _ERROR = 1, 2
CANCEL_HOOK = "onCancel()"
"""Trigger.dev runs this hook of a task only when the run is canceled."""


def build(
    spans: pl.DataFrame,
    events: pl.DataFrame,
    endings: pl.DataFrame,
    wait_ns: pl.DataFrame,
    idle_ns: pl.DataFrame,
    *,
    as_of_ns: int,
    stale_ns: int,
) -> pl.DataFrame:
    """Return one row per attempt that telemetry names, `number` ascending within a run.

    `status_source`: measured (its span ended), phase (its outermost operation ended, and no span of it states a status;
    for Trigger.dev only `_completed` without a span counts), derived (a later attempt proves that this one failed),
    inferred (a span that encloses it ended, and silence since; or it is not silent yet), unknown.
    """
    span = _own_spans(spans)
    seen = _seen(spans, events)
    stated = _stated_by_logs(events)
    canceled = (
        spans.filter((pl.col("name") == CANCEL_HOOK) & (pl.col("dialect") == "trigger_dev"))
        .group_by(RUN)
        .agg(canceled_attempt=pl.col("attempt").max(), canceled_ns=pl.coalesce("end_ns", "start_ns").max())
    )
    joined = (
        seen.join(span, on=ATTEMPT, how="left", nulls_equal=True)
        .join(endings, on=ATTEMPT, how="left", nulls_equal=True)
        .join(stated, on=ATTEMPT, how="left", nulls_equal=True)
        .join(enclosing.outcomes(spans), on=ATTEMPT, how="left", nulls_equal=True)
        .join(wait_ns, on=ATTEMPT, how="left", nulls_equal=True)
        .join(idle_ns, on=ATTEMPT, how="left", nulls_equal=True)
        .join(canceled, on=RUN, how="left", nulls_equal=True)
        .with_columns(
            is_last=pl.col("attempt") == pl.col("attempt").max().over(RUN),
            is_trigger=pl.col("dialect") == "trigger_dev",
            # What an operation is still at that began after such a span was not ended by it.
            is_enclosed=(pl.col("phase_open_ns") <= pl.col("enclosed_to_ns")).fill_null(
                pl.col("enclosed_to_ns").is_not_null()
            ),
            silent_ns=as_of_ns - pl.col("run_last_ns"),
            has_span=pl.col("span_end_ns").is_not_null(),
        )
    )
    until_ns = pl.when("is_enclosed").then(max(stale_ns, SILENCE_NS)).otherwise(stale_ns)
    return _finish(_judge(joined.with_columns(fresh=pl.col("silent_ns") <= until_ns)))


def _own_spans(spans: pl.DataFrame) -> pl.DataFrame:
    """Return the span of each attempt; of several claiming one number, the one that started last."""
    return (
        spans.filter((pl.col("span_type") == "attempt") & pl.col("attempt").is_not_null())
        .sort(
            *ATTEMPT,
            "start_ns",
            "end_ns",
            "span_id",
            "trace_id",
            descending=[False, False, False, True, True, True, True],
        )
        .unique(ATTEMPT, keep="first", maintain_order=True)
        .select(
            *ATTEMPT,
            span_start_ns="start_ns",
            span_end_ns="end_ns",
            span_status="status_code",
            span_error_type="error_type",
            span_error_message=pl.coalesce("error_message", pl.col("status_message").replace("", None)),
            span_http_status="http_status",
            trace_id="trace_id",
            span_id="span_id",
            span_version="version",
            error_stack="error_stack",
            compute_ms="compute_ms",
            cost_cents="cost_cents",
            start_kind="start_kind",
            # A clock that says the attempt was taken up after it started is wrong.
            dequeued_ns=pl.when(pl.col("dequeued_ns") <= pl.col("start_ns")).then("dequeued_ns"),
        )
    )


def _seen(spans: pl.DataFrame, logs: pl.DataFrame) -> pl.DataFrame:
    """Return every (run, attempt) that any record names, with when it was seen and when the run was.

    `version`: the last that its records state, since a deploy may let an attempt go and take it up again. Where no
    attempt of the run states one, the only one that the run's other records state: what one attempt ran on says nothing
    of another, as a deploy may have come between them.
    """
    shared = ["run_id", "task_id", "queue", "dialect", "version"]
    stated = (pl.col("attempt_source") == "measured").any()
    both = pl.concat(
        [
            spans.select(
                *ATTEMPT,
                *shared,
                "attempt_source",
                first=pl.when(~pl.col("covers")).then("start_ns"),
                last=pl.coalesce("end_ns", "start_ns"),
            ),
            logs.select(*ATTEMPT, *shared, "attempt_source", first="time_ns", last="time_ns"),
        ]
    ).with_columns(
        run_last_ns=pl.col("last").max().over(RUN),
        is_told=(pl.col("version").is_not_null() & pl.col("attempt").is_not_null()).any().over(RUN),
        least_version=pl.col("version").min().over(RUN),
        most_version=pl.col("version").max().over(RUN),
    )
    only = pl.when(~pl.col("is_told") & (pl.col("least_version") == pl.col("most_version"))).then("least_version")
    return (
        both.filter(pl.col("attempt").is_not_null())
        .sort("first", *shared, nulls_last=True)
        .group_by(ATTEMPT, maintain_order=True)
        .agg(
            *(pl.col(c).drop_nulls().first() for c in shared if c != "version"),
            version=pl.coalesce(
                pl.col("version").filter(pl.col("first").is_not_null()).drop_nulls().last(),
                pl.col("version").drop_nulls().first(),
            ),
            run_last_ns=pl.col("run_last_ns").first(),
            run_version=only.first(),
            first_ns=pl.col("first").min(),
            last_ns=pl.col("last").max(),
            number_stated=stated,
        )
    )


def _stated_by_logs(logs: pl.DataFrame) -> pl.DataFrame:
    """Return the queue wait that the logs of each attempt state, and the error of its last `_failed` record."""
    failed = pl.col("phase").is_in(["failed", "retrying", "canceled"])

    def last(column: str) -> pl.Expr:
        return pl.col(column).filter(failed).drop_nulls().last()

    return (
        logs.filter(pl.col("attempt").is_not_null())
        .group_by(ATTEMPT, maintain_order=True)
        .agg(
            log_error_type=last("error_type"),
            log_error_message=last("error_message"),
            log_http_status=last("http_status"),
            queue_wait_ns=(pl.col("queue_wait_ms").drop_nulls().first() * 1e6).cast(pl.Int64),
        )
    )


def _judge(a: pl.DataFrame) -> pl.DataFrame:
    """Add `status` and `status_source`, the strongest evidence first."""
    span_failed = pl.col("has_span") & (pl.col("span_status") == _ERROR)
    hook = pl.col("canceled_ns").is_not_null() & (pl.col("canceled_attempt") == pl.col("attempt")).fill_null(
        pl.col("is_last")
    )

    def says(outcome: str) -> pl.Expr:
        return (pl.col("phase_outcome") == outcome).fill_null(False)

    completed = says("completed")
    failed = says("failed")
    # A failing inner phase of a platform's task proves nothing: the platform decides, and says so by span.
    phase_failed = failed & ~pl.col("is_trigger")
    # A span without a status says that the attempt ended, and leaves to logs how.
    stated = pl.col("span_status").is_in([_OK, _ERROR]).fill_null(False) | pl.col("is_trigger")
    otherwise = pl.col("phase_outcome").is_in(["failed", *dict(_FATES)]).fill_null(False)
    ended = pl.col("is_enclosed") & (pl.col("silent_ns") > SILENCE_NS)
    rules: list[tuple[pl.Expr, str, str]] = [
        (pl.col("has_span") & ~span_failed & (stated | ~otherwise), "completed", "measured"),
        (span_failed & hook, "canceled", "measured"),
        (span_failed, "failed", "measured"),
        (hook, "canceled", "measured"),
        (completed, "completed", "phase"),
        (phase_failed, "failed", "phase"),
        *((says(fate) & ~pl.col("is_trigger"), status, "phase") for fate, status in _FATES),
        (~pl.col("is_last"), "failed", "derived"),
        (ended & pl.col("enclosed_failed"), "failed", "inferred"),
        (ended & ~pl.col("enclosed_failed"), "completed", "inferred"),
        (pl.col("fresh"), "running", "inferred"),
    ]
    status, source = pl.lit("unknown"), pl.lit("unknown")
    for holds, word, origin in reversed(rules):
        status = pl.when(holds).then(pl.lit(word)).otherwise(status)
        source = pl.when(holds).then(pl.lit(origin)).otherwise(source)
    skipped = (source == "phase") & says("skipped")
    return a.with_columns(status=status, status_source=source, outcome=pl.when(skipped).then(pl.lit("skipped")))


def _finish(a: pl.DataFrame) -> pl.DataFrame:
    """Add times, durations and errors, each from the best source there is.

    A time so long before the run was last seen that nothing lasts so long is unknown. An attempt of which one record is
    all there is of start and end ends before it starts: nobody knows how long it lasted.
    """
    by_phase = pl.col("status_source") == "phase"
    ended = (
        pl.when(pl.col("has_span"))
        .then("span_end_ns")
        .when(by_phase)
        .then("phase_ended_ns")
        .when(pl.col("status") == "canceled")
        .then("canceled_ns")
        .when(pl.col("status").is_in(["completed", "failed"]))
        .then(pl.coalesce("enclosed_to_ns", "last_ns"))
    )
    ended_source = (
        pl.when(pl.col("has_span"))
        .then(pl.lit("measured"))
        .when(by_phase)
        .then(pl.lit("derived"))
        .when(ended.is_not_null())
        .then(pl.lit("inferred"))
        .otherwise(pl.lit("unknown"))
    )
    bad = pl.col("status").is_in(["failed", "canceled"])

    def believed(time_ns: pl.Expr) -> pl.Expr:
        return pl.when(believable.is_near(time_ns, "run_last_ns")).then(time_ns)

    # What ended with a span around it began with that.
    around = pl.when(pl.col("is_enclosed") & ~by_phase).then("enclosed_from_ns")
    started = believed(pl.coalesce("span_start_ns", around, "phase_started_ns", "enclosed_from_ns", "first_ns"))
    end = believed(ended)
    return (
        a.with_columns(
            version=pl.coalesce("span_version", "version", "run_version"),
            started_ns=started,
            dequeued_ns=pl.when(started.is_not_null()).then(believed(pl.col("dequeued_ns"))),
            started_source=pl.when(started.is_null())
            .then(pl.lit("unknown"))
            .when(pl.col("span_start_ns").is_not_null())
            .then(pl.lit("measured"))
            .when(pl.coalesce("phase_started_ns", "enclosed_from_ns").is_not_null())
            .then(pl.lit("derived"))
            .otherwise(pl.lit("inferred")),
            ended_ns=end,
            ended_source=pl.when(end.is_null() & (ended_source != "unknown"))
            .then(pl.lit("unknown"))
            .otherwise(ended_source),
        )
        .with_columns(
            ended_ns=pl.when((pl.col("ended_ns") == pl.col("started_ns")) & _is_unseen())
            .then(pl.col("started_ns") - 1)
            .otherwise("ended_ns")
        )
        .with_columns(
            wall_ns=believable.lasted(pl.col("ended_ns") - pl.col("started_ns")),
            # Without spans nobody would have told of waits, so none is not zero.
            wait_ns=pl.when(pl.col("has_span") & pl.col("waits_known").fill_null(True))
            .then(pl.col("wait_ns").fill_null(0))
            .otherwise("wait_ns"),
            error_type=pl.when(bad).then(pl.coalesce("span_error_type", "log_error_type", "enclosed_error_type")),
            error_message=pl.when(bad).then(
                pl.coalesce("span_error_message", "log_error_message", "enclosed_error_message")
            ),
            http_status=pl.when(bad).then(pl.coalesce("span_http_status", "log_http_status", "enclosed_http_status")),
        )
        .pipe(with_groups)
        .with_columns(pl.col("idle_ns").fill_null(0), pl.col("deliveries").fill_null(1))
        .with_columns(active_ns=(pl.col("wall_ns") - pl.col("wait_ns").fill_null(0) - pl.col("idle_ns")).clip(0))
        # A delivery that is over before the next begins says itself how long it worked, as far as logs can.
        .with_columns(active_ns=pl.when(pl.col("wait_ns").is_not_null() | (pl.col("deliveries") > 1)).then("active_ns"))
        .rename({"attempt": "number"})
        .sort(*RUN, "number")
    )


def _is_unseen() -> pl.Expr:
    """Tell whether no record says when an attempt began, or none when it ended."""
    return pl.any_horizontal(pl.col("started_source", "ended_source") == "inferred")
