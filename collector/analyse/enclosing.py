"""Spans that enclose a run without saying that they are its attempts, as every `start_as_current_span` around a task.

Enter: spans and events of some runs, once each. Leave: which attempt each such span is, and how it came out. Whether it
was the last of its run nobody says; a run that is told so has ended once it is silent (`SILENCE_NS`).

They are spans of plain OpenTelemetry, internal or of no kind, that have no parent in their process and are no phase, in
runs that have no attempt's span. One without length is none: loggers that only know spans write their messages so.
"""

from __future__ import annotations

import polars as pl

from collector.analyse import pairs
from collector.analyse.evidence import CORE, NO_RETRY, RUN, SPAN_IDENTITY

SILENCE_NS = 60 * 10**9
"""How long a run has to be silent after such a span, before that was its end."""
_REMOTE = 0x300
"""`Span.flags`: whether the parent is remote is known, and it is."""
_ERROR = 2
_BY = list(RUN)


def mark(spans: pl.DataFrame) -> pl.DataFrame:
    """Return *spans* with `encloses`."""
    is_user = (pl.col("span_type") == "user") & (pl.col("dialect") == "generic") & pl.col("kind").is_in([0, 1])
    is_root = pl.col("parent_span_id").is_null() | (pl.col("flags") & _REMOTE == _REMOTE).fill_null(False)
    has_length = (pl.col("end_ns") != pl.col("start_ns")).fill_null(False)
    told = (pl.col("span_type") == "attempt").any().over(RUN)
    encloses = is_user & is_root & has_length & ~told & pl.col("phase").is_null() & pl.col("run_key").is_not_null()
    return spans.with_columns(encloses=encloses.fill_null(False))


def tries(spans: pl.DataFrame, events: pl.DataFrame, outermost: pl.DataFrame) -> pl.DataFrame:
    """Return when each try of runs with enclosing spans that state no attempt began, `begun_ns`, and its `number`.

    A try begins with a span of the same name as the first one after one that ended with an error, and where the
    outermost operation starts again although it has not completed. What says so twice, a span and the start of the
    operation in it with no end between, begins one.
    """
    stating = pl.concat([frame.filter(pl.col("attempt").is_not_null()).select(RUN) for frame in (spans, events)])
    roots = spans.filter("encloses").join(stating, on=RUN, how="anti")
    if roots.is_empty():
        return pl.DataFrame(schema={**spans.select(RUN).schema, "begun_ns": pl.Int64, "number": pl.Int32})
    named = roots.sort(*RUN, "start_ns", "end_ns", "name", descending=[False, False, False, True, False]).filter(
        pl.col("name") == pl.col("name").first().over(RUN)
    )
    came_out = pl.when(pl.col("status_code") == _ERROR).then(pl.lit("failed")).otherwise(pl.lit("completed"))
    said = events.join(outermost, on=RUN).filter(
        (pl.col("operation") == pl.col("outermost")) & pl.col("phase").is_in(CORE)
    )
    marks = pl.concat(
        [
            named.select(*RUN, at="start_ns", order=pl.lit(0), of="name", what=pl.lit("started")),
            named.select(*RUN, at=pl.max_horizontal("start_ns", "end_ns"), order=pl.lit(3), of="name", what=came_out),
            said.join(named.select(RUN).unique(), on=RUN, how="semi").select(
                *RUN,
                at="time_ns",
                order=pl.when(pl.col("phase") == "started").then(1).otherwise(2),
                of=None,
                what="phase",
            ),
        ],
        how="vertical_relaxed",
    ).sort(*RUN, "at", "order", "what")
    is_start, of_span = pl.col("what") == "started", pl.col("of").is_not_null()
    said_start = pl.when(~of_span).then(is_start)
    well = (of_span & (pl.col("what") == "completed")).cum_sum().over(RUN) > 0
    return (
        marks.with_columns(
            span_before=pl.when(of_span).then("what").forward_fill().shift(1).over(RUN),
            log_before=pl.when(~of_span).then("what").forward_fill().shift(1).over(RUN),
            before=pl.col("what").shift(1).over(RUN),
            changes=(of_span != of_span.shift(1).over(RUN)).fill_null(False),
            cluster=pairs.clusters(said_start, RUN)[1],
        )
        .with_columns(beside=pairs.is_over(said_start, [*RUN, "cluster"]) & (pl.col("log_before") == "started"))
        .with_columns(
            again=pl.when(of_span)
            .then((pl.col("span_before") == "failed") & ~well)
            .otherwise(~pl.col("log_before").is_in(NO_RETRY) & ~pl.col("beside").fill_null(False))
            .fill_null(False),
            opens=is_start & ~((pl.col("before") == "started").fill_null(False) & pl.col("changes")),
        )
        .filter(is_start)
        .with_columns(nth=pl.col("opens").cum_sum().over(RUN))
        .group_by(*RUN, "nth", maintain_order=True)
        .agg(begun_ns=pl.col("at").first(), again=pl.col("again").any())
        .with_columns(number=(pl.col("again") & (pl.col("nth") > 1)).cast(pl.Int32).cum_sum().over(RUN) + 1)
        .select(*RUN, "begun_ns", "number")
    )


def at(frame: pl.DataFrame, time: str, tries: pl.DataFrame, *, before: bool = False) -> pl.Series:
    """Return the number of the try that was under way at *time* of each row of *frame*, NULL in other runs.

    *before*: one that began at that very moment was not.
    """
    if tries.is_empty():
        return pl.repeat(None, frame.height, dtype=pl.Int32, eager=True)
    known = tries.select(RUN).unique().with_columns(known=pl.lit(True))
    return (
        frame.select(*RUN, at=time)
        .with_row_index("i")
        .sort("at")
        .join_asof(
            tries.sort("begun_ns", "number"),
            left_on="at",
            right_on="begun_ns",
            by=_BY,
            allow_exact_matches=not before,
            check_sortedness=False,
        )
        .join(known, on=RUN, how="left")
        .sort("i")
        .select(pl.when("known").then(pl.col("number").fill_null(1)))
        .to_series()
    )


def number(spans: pl.DataFrame, events: pl.DataFrame, tries: pl.DataFrame) -> pl.DataFrame:
    """Return *spans* with the number of its attempt in each that encloses and states none, and with `covers`.

    It is the last try that began within the span. Where records of the run state attempts it is the last one that they
    state within it, else that of the span before, one more where this one is a new try. `covers`: other tries began
    within it too.
    """
    open_ = spans.filter(pl.col("encloses") & pl.col("attempt").is_null())
    if open_.is_empty():
        return spans.with_columns(covers=pl.lit(False))
    counted = open_.select(
        *SPAN_IDENTITY, number=at(open_, "end_ns", tries, before=True), first=at(open_, "start_ns", tries)
    )
    stated = _stated(spans, events)
    numbers = pl.concat(
        [counted.drop_nulls("number"), stated.join(counted.drop_nulls("number"), on=SPAN_IDENTITY, how="anti")]
    )
    return (
        spans.join(numbers, on=SPAN_IDENTITY, how="left", nulls_equal=True, maintain_order="left")
        .with_columns(
            attempt_source=pl.when(pl.col("number").is_not_null()).then(pl.lit("derived")).otherwise("attempt_source"),
            attempt=pl.coalesce("attempt", "number"),
            covers=(pl.col("first") != pl.col("number")).fill_null(False),
        )
        .drop("number", "first")
    )


def _stated(spans: pl.DataFrame, events: pl.DataFrame) -> pl.DataFrame:
    """Return `number` and `first` of the enclosing spans that state none, of runs whose records state attempts."""
    records = [(spans.filter(~pl.col("encloses")), "start_ns"), (events, "time_ns")]
    said = pl.concat(
        [f.filter(pl.col("attempt").is_not_null()).select(*RUN, "attempt", said_ns=time) for f, time in records]
    ).sort("said_ns", "attempt")
    roots = spans.filter("encloses").select(*SPAN_IDENTITY, "name", "status_code", "start_ns", "end_ns", own="attempt")
    roots = roots.filter(
        pl.col("own").is_not_null().any().over(RUN)
        | pl.struct(RUN).is_in(said.select(pl.struct(RUN).unique()).to_series().implode())
    )
    last = roots.sort("end_ns").join_asof(said, left_on="end_ns", right_on="said_ns", by=_BY, check_sortedness=False)
    first = (
        last.rename({"attempt": "last", "said_ns": "last_ns"})
        .sort("start_ns")
        .join_asof(said, left_on="start_ns", right_on="said_ns", by=_BY, strategy="forward", check_sortedness=False)
    )
    within = pl.col("last_ns") >= pl.col("start_ns")
    is_try = pl.col("name") == pl.col("name").first().over(RUN)
    failed = pl.when(is_try).then(pl.col("status_code") == _ERROR).forward_fill().shift(1).over(RUN)
    return (
        first.sort(*RUN, "start_ns", "end_ns", "span_id")
        .with_columns(
            new=(is_try & failed).fill_null(False).cast(pl.Int32).cum_sum().over(RUN),
            known=pl.coalesce("own", pl.when(within).then("last")),
            nearest=pl.coalesce("last", "attempt"),
        )
        .with_columns(off=pl.col("known") - pl.col("new"))
        .with_columns(
            off=pl.coalesce(
                pl.col("off").forward_fill().over(RUN),
                pl.col("off").backward_fill().over(RUN),
                pl.col("nearest").first().over(RUN),
            )
        )
        .filter(pl.col("own").is_null())
        .select(
            *SPAN_IDENTITY,
            number=pl.coalesce("known", (pl.col("off") + pl.col("new")).clip(1)).cast(pl.Int32),
            first=pl.when(within).then("attempt").cast(pl.Int32),
        )
    )


def outcomes(spans: pl.DataFrame) -> pl.DataFrame:
    """Return per run and attempt how the enclosing spans of it came out.

    An error of one is undone by a later span of the same name alone. Columns: `enclosed_from_ns`, `enclosed_to_ns`,
    `enclosed_failed`, and the last error as `enclosed_error_type`, `enclosed_error_message`, `enclosed_http_status`.
    """
    failed = (pl.col("status_code") == _ERROR).fill_null(False)
    errors = {
        "error_type": pl.col("error_type"),
        "error_message": pl.coalesce("error_message", pl.col("status_message").replace("", None)),
        "http_status": pl.col("http_status"),
    }
    return (
        spans.filter(pl.col("encloses") & pl.col("attempt").is_not_null())
        .with_columns(failed=failed)
        .sort("end_ns", "failed", "start_ns", "span_id", descending=[True, True, False, False])
        .with_columns(failed=pl.col("failed").first().over(*RUN, "attempt", "name"))
        .group_by(*RUN, "attempt", maintain_order=True)
        .agg(
            enclosed_from_ns=pl.col("start_ns").filter(~pl.col("covers")).min(),
            enclosed_to_ns=pl.col("end_ns").first(),
            enclosed_failed=pl.col("failed").any(),
            **{f"enclosed_{name}": value.filter(failed & pl.col("failed")).first() for name, value in errors.items()},
        )
    )
