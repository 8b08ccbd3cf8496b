"""Spans that enclose a run without saying that they are its attempts, as every `start_as_current_span` around a task.

Enter: spans and logs of some runs, once each. Leave: which attempt each such span is, and how it came out.
Whether it was the last of its run nobody says; a run that is told so has ended once it is silent (`SILENCE_NS`).

They are spans of plain OpenTelemetry, internal or of no kind, that have no parent in their process, in runs that have
no attempt's span. One without length is none: loggers that only know spans write their messages so.
"""

from __future__ import annotations

import polars as pl

from collector.analyse.evidence import RUN, SPAN_IDENTITY

SILENCE_NS = 60 * 10**9
"""How long a run has to be silent after such a span, before that was its end."""
_REMOTE = 0x300
"""`Span.flags`: whether the parent is remote is known, and it is."""
_ERROR = 2


def number(spans: pl.DataFrame, logs: pl.DataFrame) -> pl.DataFrame:
    """Return *spans* with `encloses`, and with the number of its attempt in each that does and states none.

    It is the one that the records within it state. Where no record of the run states any it is counted: a new attempt
    begins where a span of the same name as the first one follows one that ended with an error.
    """
    is_user = (pl.col("span_type") == "user") & (pl.col("dialect") == "generic") & pl.col("kind").is_in([0, 1])
    is_user &= pl.col("run_key").is_not_null()
    is_root = pl.col("parent_span_id").is_null() | (pl.col("flags") & _REMOTE == _REMOTE).fill_null(False)
    has_length = (pl.col("end_ns") != pl.col("start_ns")).fill_null(False)
    told = (pl.col("span_type") == "attempt").any().over(RUN)
    spans = spans.with_columns(encloses=(is_user & is_root & has_length & ~told).fill_null(False))
    open_ = spans.filter(pl.col("encloses") & pl.col("attempt").is_null())
    if open_.is_empty():
        return spans
    stated = pl.concat(
        [
            frame.filter(pl.col("attempt").is_not_null()).select(*RUN, "attempt", at=time)
            for frame, time in ((spans, "start_ns"), (logs, "time_ns"))
        ]
    )
    numbered = pl.concat(
        [_by_records(open_, stated), _by_count(open_.join(stated, on=RUN, how="anti", nulls_equal=True))]
    )
    return (
        spans.join(numbered, on=SPAN_IDENTITY, how="left", nulls_equal=True, maintain_order="left")
        .with_columns(
            attempt_source=pl.when(pl.col("number").is_not_null()).then(pl.lit("derived")).otherwise("attempt_source"),
            attempt=pl.coalesce("attempt", "number"),
        )
        .drop("number")
    )


def _by_records(spans: pl.DataFrame, stated: pl.DataFrame) -> pl.DataFrame:
    """Return the number that every record within a span states which states any."""
    return (
        spans.select(*SPAN_IDENTITY, "start_ns", "end_ns")
        .join(stated, on=RUN, nulls_equal=True)
        .filter(pl.col("at").is_between("start_ns", "end_ns"))
        .group_by(SPAN_IDENTITY)
        .agg(number=pl.col("attempt").min(), several=pl.col("attempt").n_unique() > 1)
        .filter(~pl.col("several"))
        .drop("several")
    )


def _by_count(spans: pl.DataFrame) -> pl.DataFrame:
    """Return the number of each span of runs whose records state none."""
    is_try = pl.col("name") == pl.col("name").first().over(RUN)

    def before(what: str) -> pl.Expr:
        return pl.when(is_try).then(what).forward_fill().over(RUN).shift(1).over(RUN)

    begins = is_try & (before("status_code") == _ERROR) & (before("end_ns") <= pl.col("start_ns"))
    return (
        spans.sort(*RUN, "start_ns", "end_ns", "name", "span_id", descending=[False, False, False, True, False, False])
        .with_columns(begins=begins.fill_null(False))
        .select(*SPAN_IDENTITY, number=pl.col("begins").cast(pl.Int32).cum_sum().over(RUN) + 1)
    )


def outcomes(spans: pl.DataFrame) -> pl.DataFrame:
    """Return per run and attempt how the last enclosing span of it came out: the one with the greatest end.

    Columns: `enclosed_from_ns`, `enclosed_to_ns`, `enclosed_failed`, and its error as `enclosed_error_type`,
    `enclosed_error_message`, `enclosed_http_status`.
    """
    return (
        spans.filter(pl.col("encloses") & pl.col("attempt").is_not_null())
        .with_columns(failed=(pl.col("status_code") == _ERROR).fill_null(False))
        .sort("end_ns", "failed", "start_ns", "span_id", descending=[True, True, False, False])
        .group_by(*RUN, "attempt", maintain_order=True)
        .agg(
            enclosed_from_ns=pl.col("start_ns").min(),
            enclosed_to_ns=pl.col("end_ns").first(),
            enclosed_failed=pl.col("failed").first(),
            enclosed_error_type=pl.col("error_type").first(),
            enclosed_error_message=pl.coalesce("error_message", pl.col("status_message").replace("", None)).first(),
            enclosed_http_status=pl.col("http_status").first(),
        )
    )
