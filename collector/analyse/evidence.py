"""Records as evidence: each span and log once, with exact times and an attempt number.

Enter: raw rows of some runs, repeated or in any order. Leave: one row per record identity. Ties between
records that claim the same identity are broken by value, so the order of arrival never shows.
"""

from __future__ import annotations

import polars as pl

from collector.analyse import believable, pairs
from collector.model import tables
from collector.model.believable import AHEAD_NS, LONGEST_NS
from collector.model.words import ENDS

RUN = ["project", "run_key"]

_EFFECTIVE_NS = pl.col("time").cast(pl.Datetime("ns")).cast(pl.Int64)

SPAN_IDENTITY = [*RUN, "trace_id", "span_id"]
LOG_IDENTITY = [
    *RUN,
    "time_unix_nano",
    "observed_time_unix_nano",
    "trace_id",
    "span_id",
    "body",
    "attributes",
    "long_hash",
]
_LOG_VALUES = ["long_hash", "event_name", "severity_text", "machine", "version"]
_SPAN_VALUES = ["attributes", "events", "long_hash", "name", "status_message", "kind", "machine", "version"]
"""What else may differ between two records of one identity and is read from them: decides which of them counts."""


CORE = ("started", *ENDS)
"""Phases in which an operation begins and ends."""
NO_RETRY = ("completed", "canceled", "skipped", "interrupted")
"""Ends after which an operation that begins again is no other attempt."""


def exact_ns(raw: str) -> pl.Expr:
    """Return the effective time in ns: the record's own when it was trusted, else what replaced it.

    That of a clock that is not set (docs/time.md) is the arrival.
    """
    stated = pl.col(raw).cast(pl.Int64, strict=False)
    return believable.time(pl.when(pl.col("time_source") == "time").then(stated).otherwise(_EFFECTIVE_NS))


def spans(raw: pl.DataFrame) -> pl.DataFrame:
    """Return each span once, with `start_ns`, `end_ns` and `is_open`.

    A partial span (the platform's own exporter sends one as a span opens) stands for its real span until
    that arrives; then it disappears. `end_ns` is NULL while open. It precedes `start_ns` when nobody knows how long
    the span lasted, because its clock ran backwards or for longer than anything lasts. Numbers that cannot be are NULL.

    Some senders send a span again as it grows: of the ends that were stated the greatest counts, of equal ones that of
    an error, then of a success. An end that arrival stands in for, or before the start, counts where no other is known,
    and then the least one: sent again hours later it would be later.
    """
    real_id = pl.when(pl.col("is_partial").fill_null(False)).then("real_span_id").otherwise("span_id")
    start = exact_ns("start_time_unix_nano")
    partial = pl.col("is_partial").fill_null(False)
    closed = ~partial & (pl.col("end_time_unix_nano") > 0)
    return (
        raw.with_columns(
            span_id=pl.coalesce(real_id, "span_id"),
            is_open=partial,
            start_ns=start,
            own_end_ns=pl.col("end_time_unix_nano").cast(pl.Int64, strict=False),
        )
        .with_columns(has_own_start=~_is_replaced())
        # Of times further apart than anything lasts the end counts: arrival bounds it, and a clock is set late.
        .with_columns(start_ns=pl.when(closed & _is_far()).then(pl.col("own_end_ns") + 1).otherwise("start_ns"))
        .with_columns(end_ns=pl.when(closed).then(pl.col("start_ns") + _took_ns()))
        .with_columns(pl.col("start_ns", "end_ns") - _late_ns().fill_null(0))
        .with_columns(*believable.numbers("start_ns", raw.columns), is_open=pl.col("end_ns").is_null())
        .with_columns(stated_end_ns=pl.when(_is_stated()).then("end_ns"))
        .sort(
            [
                "is_open",
                "stated_end_ns",
                _severity(),
                "end_ns",
                "start_ns",
                "status_code",
                *_SPAN_VALUES,
                "received_ns",
            ],
            descending=[False, True, True, *[False] * (4 + len(_SPAN_VALUES))],
            nulls_last=True,
        )
        .unique(SPAN_IDENTITY, keep="first", maintain_order=True)
        .drop("has_own_start", "stated_end_ns")
    )


def _is_stated() -> pl.Expr:
    """Tell whether an end is the one that was sent, and may be: arrival stands in for what cannot be."""
    end = pl.col("end_ns")
    arrived = (end // 1000 == pl.col("received_ns") // 1000) & (end != pl.col("own_end_ns")).fill_null(True)
    return pl.col("has_own_start") & (end >= pl.col("start_ns")) & ~arrived


def _severity() -> pl.Expr:
    """Return a rank of what a span with a stated end says of itself: an error above a success above nothing."""
    code = pl.col("status_code")
    return pl.when(_is_stated()).then(pl.when(code.is_in([1, 2])).then(code).otherwise(0))


def _took_ns() -> pl.Expr:
    """Return how long a closed span lasted by its own clock, -1 where that is not known."""
    took = pl.col("duration_ns")
    return pl.when(took.is_between(-LONGEST_NS, LONGEST_NS)).then(took).otherwise(-1)


def _is_far() -> pl.Expr:
    """Tell whether a span's own end may be, and is too long after its start."""
    end = pl.col("own_end_ns")
    return ((end - LONGEST_NS > pl.col("start_ns")) & (end <= pl.col("received_ns") + AHEAD_NS)).fill_null(False)


def _late_ns() -> pl.Expr:
    """Return by how much a span ends too late whose start its arrival stands in for: it had ended by then."""
    late = pl.col("end_ns") - pl.col("received_ns")
    return pl.when(_is_replaced() & (late > AHEAD_NS)).then(late)


def _is_replaced() -> pl.Expr:
    """Tell whether arrival stands in for a span's start."""
    stated = pl.col("start_time_unix_nano").cast(pl.Int64, strict=False)
    arrived = pl.col("start_ns") // 1000 == pl.col("received_ns") // 1000
    return arrived & (pl.col("start_ns") != stated).fill_null(True)


def logs(raw: pl.DataFrame) -> pl.DataFrame:
    """Return each log record once, in time order, with `time_ns`. Numbers that cannot be are NULL.

    Of a sender whose clock is ahead the times are as far apart as it says, the last of them no later than it arrived.
    """
    return (
        raw.with_columns(time_ns=exact_ns("time_unix_nano"))
        .with_columns(time_ns=_by_own_clock())
        .with_columns(believable.numbers("time_ns", raw.columns))
        # Two arrivals of one record differ only in where they arrived: keep the first arrival.
        .sort(
            ["time_ns", phase_rank(), "body", "attributes", "attempt", *_LOG_VALUES, "seq", "row"],
            nulls_last=True,
        )
        .unique(LOG_IDENTITY, keep="first", maintain_order=True)
    )


def _by_own_clock() -> pl.Expr:
    """Return the time of a log by its sender's clock, put right by how far that is ahead of arrival at least."""
    is_ahead = (pl.col("time_source") == "time_future") & pl.col("run_key").is_not_null()
    stated = pl.when(is_ahead).then(pl.col("time_unix_nano").cast(pl.Int64, strict=False))
    sender = [*RUN, "resource_id"]
    near = stated >= stated.max().over(sender) - LONGEST_NS
    ahead = (stated - pl.col("received_ns")).filter(near).max().over(sender)
    return pl.when(near).then(stated - ahead).otherwise("time_ns")


def heard(spans: pl.DataFrame, logs: pl.DataFrame) -> pl.DataFrame:
    """Return *logs* with `counts`: false, and nothing that they say of it, where others tell their run.

    A log whose attributes name no run may name one in a body or a map (`keys_from`), which may be what a stranger sent.
    It tells a run that nothing else tells; to one whose records name it by keys of their own it only belongs.
    """
    if logs["keys_from"].null_count() == logs.height:
        return logs.with_columns(counts=pl.lit(True))
    own = pl.concat([spans.select(RUN), logs.filter(pl.col("keys_from").is_null()).select(RUN)]).unique()
    counts = pl.col("keys_from").is_null() | pl.col("told").is_null()
    return (
        logs.join(own.with_columns(told=pl.lit(True)), on=RUN, how="left", nulls_equal=True, maintain_order="left")
        .with_columns(counts=counts)
        .with_columns(pl.when("counts").then(name).alias(name) for name in (*tables.SAYS, *tables.EVENT))
        .drop("told")
    )


def repeats(raw_spans: pl.DataFrame, raw_logs: pl.DataFrame) -> pl.DataFrame:
    """Return the arrivals of records that had arrived before: their run, task and operation, `time_ns`, where."""
    whole = raw_spans.filter(~pl.col("is_partial").fill_null(False))
    return pl.concat(
        [
            _again(raw_logs, "logs", LOG_IDENTITY, "time_unix_nano"),
            _again(whole, "spans", SPAN_IDENTITY, "start_time_unix_nano"),
        ]
    )


def _again(raw: pl.DataFrame, table: str, identity: list[str], time: str) -> pl.DataFrame:
    return (
        raw.sort("seq", "row")
        .filter(pl.int_range(pl.len()).over(identity) > 0)
        .select(
            "project",
            "run_key",
            "task_id",
            "operation",
            pl.col(time).cast(pl.Int64, strict=False).alias("time_ns"),
            "seq",
            "row",
            table=pl.lit(table),
        )
    )


def phase_rank() -> pl.Expr:
    """Order phases that share a nanosecond as a lifecycle does."""
    order = {"started": 0, "validating": 1, "calling": 2, "completed": 3, "failed": 4, "retrying": 5}
    return pl.col("phase").replace_strict(order, default=2, return_dtype=pl.Int32)


def from_zero(spans: pl.DataFrame, logs: pl.DataFrame) -> pl.DataFrame:
    """Return the runs that count their attempts from 0: any record that states an attempt 0 proves it."""
    is_zero = (pl.col("attempt") == 0) & pl.col("run_key").is_not_null()
    return pl.concat([frame.filter(is_zero).select(RUN) for frame in (spans, logs)]).unique()


def from_one(spans: pl.DataFrame, logs: pl.DataFrame, zero: pl.DataFrame) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Return both with attempts from 1 on also in the runs *zero*, which count their own from 0 (`from_zero`)."""
    runs = zero.with_columns(first=pl.lit(0, pl.Int32))

    def counted(frame: pl.DataFrame) -> pl.DataFrame:
        more = pl.when(pl.col("first") == 0).then(1).otherwise(0)
        of_run = frame.join(runs, on=RUN, how="left", nulls_equal=True, maintain_order="left")
        return of_run.with_columns(pl.col("attempt") + more).drop("first")

    return (spans, logs) if runs.is_empty() else (counted(spans), counted(logs))


def number_spans(spans: pl.DataFrame) -> pl.DataFrame:
    """Give attempt spans that state no number their rank by start, and other spans their attempt's number.

    Adds `attempt_source`: measured when the record says it, derived when it was counted.
    """
    is_attempt = pl.col("span_type") == "attempt"
    counted = (
        spans.filter(is_attempt)
        .with_columns(has_number=pl.col("attempt").is_not_null().any().over(RUN))
        .filter(~pl.col("has_number"))
        .sort([*RUN, "start_ns", "end_ns", "span_id"], nulls_last=True)
        .select(
            *SPAN_IDENTITY,
            counted=(pl.int_range(1, pl.len() + 1).over(RUN)).cast(pl.Int32),
        )
    )
    return (
        spans.join(counted, on=SPAN_IDENTITY, how="left", nulls_equal=True)
        .with_columns(
            attempt_source=pl.when(pl.col("attempt").is_not_null())
            .then(pl.lit("measured"))
            .when(pl.col("counted").is_not_null())
            .then(pl.lit("derived")),
            attempt=pl.coalesce("attempt", "counted"),
        )
        .drop("counted")
    )


def number_logs(logs: pl.DataFrame, spans: pl.DataFrame, outermost: pl.DataFrame, tries: pl.Series) -> pl.DataFrame:
    """Give logs that state no attempt the one they belong to.

    By the attempt span they fall into where spans exist; by *tries* (the number of each of *logs*, `enclosing.at`)
    where spans enclose the run; otherwise by counting: a new attempt begins when the outermost operation starts again
    although it has not completed, but not beside itself, of which as many ends tell as starts. Adds `attempt_source`.
    """
    logs = logs.with_columns(tried=tries)
    has_number = pl.col("attempt").is_not_null()
    numbered = logs.filter(has_number).with_columns(pl.col("attempt_source").fill_null("measured"))
    open_ = logs.filter(~has_number)
    if open_.is_empty():
        return numbered.drop("tried")
    attempts = spans.filter((pl.col("span_type") == "attempt") & pl.col("attempt").is_not_null())
    with_spans = attempts.select(RUN).unique().with_columns(spanned=pl.lit(True))
    stating = numbered.select(RUN).unique().with_columns(states=pl.lit(True))
    event = (pl.col("operation") == pl.col("outermost")) & pl.col("phase").is_in(CORE)
    starts = pl.when(event).then(pl.col("phase") == "started")
    return pl.concat(
        [
            numbered,
            open_.with_row_index("i")
            .sort("time_ns", "i")
            .join_asof(
                attempts.select(*RUN, "start_ns", number="attempt").sort("start_ns", "number"),
                left_on="time_ns",
                right_on="start_ns",
                by=RUN,
                check_sortedness=False,
            )
            .join(with_spans, on=RUN, how="left", nulls_equal=True)
            .join(stating, on=RUN, how="left", nulls_equal=True)
            .join(outermost, on=RUN, how="left", nulls_equal=True)
            .sort("time_ns", "i")
            .with_columns(
                previous=pl.when(event).then("phase").forward_fill().over(RUN).shift(1).over(RUN),
                cluster=pairs.clusters(starts, RUN)[1],
            )
            .with_columns(beside=pairs.is_over(starts, [*RUN, "cluster"]) & (pl.col("previous") == "started"))
            .with_columns(
                begins=event
                & (pl.col("phase") == "started")
                & (~pl.col("previous").is_in(NO_RETRY)).fill_null(True)
                & ~pl.col("beside").fill_null(False)
            )
            .with_columns(counted=pl.col("begins").fill_null(False).cast(pl.Int32).cum_sum().over(RUN).clip(1))
            .with_columns(
                attempt=pl.when(pl.col("spanned").fill_null(False))
                .then(pl.col("number").cast(pl.Int32))
                .when(pl.col("tried").is_not_null())
                .then("tried")
                # A run whose other logs state their attempt has no business being counted.
                .when(pl.col("outermost").is_not_null() & pl.col("states").is_null())
                .then("counted")
            )
            .with_columns(attempt_source=pl.when(pl.col("attempt").is_not_null()).then(pl.lit("derived")))
            .select(*numbered.columns),
        ]
    ).drop("tried")
