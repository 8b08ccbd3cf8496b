"""RTY: retry what may work the second time, and nothing else.

How often and when is judged in `pace.py`.
"""

from __future__ import annotations

import polars as pl

from collector.rules.cases import attempt, log
from collector.rules.frames import RUN, Frames
from collector.rules.rule import Case, Options, Rule

_STATUS_WORDS = r"(?i)(?:\bhttp|\bstatus(?: code)?|\bcode|returned|responded(?: with)?|answered|unrecoverable)\D{0,4}"
_TRANSIENT = (
    r"(?i)\b(?:ECONNRESET|ECONNREFUSED|ETIMEDOUT|EAI_AGAIN|EPIPE|socket hang up|timed? ?out|too many requests|"
    r"rate.?limit(?:ed)?|service unavailable|bad gateway|gateway time-?out)\b"
)
ABORT = "AbortTaskRunError"


def attempts(frames: Frames) -> pl.LazyFrame:
    """Return attempts with the number and status of the one that follows, and the run's outcome."""
    runs = frames.runs.lazy().select(*RUN, run_status="status", run_task="task_id", run_dialect="dialect")
    return (
        frames.attempts.lazy()
        .filter(pl.col("number").is_not_null())
        .sort(*RUN, "number")
        .with_columns(
            next_number=pl.col("number").shift(-1).over(RUN),
            next_started_ns=pl.col("started_ns").shift(-1).over(RUN),
            next_queue_ns=pl.col("queue_wait_ns").shift(-1).over(RUN),
        )
        .join(runs, on=RUN, how="left")
        .with_columns(task_id=pl.coalesce("task_id", "run_task"))
    )


def _spoken_status() -> pl.Expr:
    """Return the HTTP status an error message speaks of."""
    return pl.col("error_message").str.extract(_STATUS_WORDS + r"([1-5]\d\d)\b").cast(pl.Int32, strict=False)


def _called(frames: Frames) -> pl.LazyFrame:
    """Return the status of the last failed HTTP call of each attempt."""
    return (
        frames.spans.lazy()
        .filter(pl.col("span_type").is_in(["call", "user"]) & (pl.col("http_status") >= 400))
        .sort("start_ns", "span_id")
        .group_by(*RUN, number="attempt", maintain_order=True)
        .agg(called_status=pl.col("http_status").last())
    )


def _retried(frames: Frames, options: Options) -> pl.LazyFrame:
    stays = list(options["statuses"])
    likely = list(options["likely_statuses"])
    stated = pl.col("http_status").is_in(stays)
    weaker = (
        pl.col("http_status").is_in(likely)
        | (pl.col("http_status").is_null() & pl.col("spoken").is_in(stays))
        | (pl.col("http_status").is_null() & pl.col("spoken").is_null() & pl.col("called_status").is_in(stays))
    )
    return (
        attempts(frames)
        .filter((pl.col("status") == "failed") & pl.col("next_number").is_not_null())
        .with_columns(spoken=_spoken_status())
        .join(_called(frames), on=[*RUN, "number"], how="left")
        .filter((stated | weaker).fill_null(False))
        .select(
            *RUN,
            "task_id",
            "version",
            time_ns="started_ns",
            key=pl.coalesce("http_status", "spoken", "called_status").cast(pl.String),
            severity=pl.when(stated.fill_null(False) & (pl.col("run_status") != "completed"))
            .then(pl.lit("error"))
            .otherwise(pl.lit("warning")),
        )
    )


RTY001 = Rule(
    code="RTY001",
    slug="retried-non-transient",
    severity="error",
    grain="run",
    doc="""An attempt failed with a status that a retry cannot change, and was retried.

    Why: A wrong request stays wrong: the retries cost time and hide the cause.
    How to fix: `throw new AbortTaskRunError(…)` for these statuses, throw everything else.
    Not flagged: statuses outside `statuses`. Weaker evidence is a warning: `likely_statuses`, a status that only the
    message or a call's span tells, and runs that succeeded later (a refreshed token).
    """,
    sentences=("36", "A6"),
    needs=("attempts", "runs", "spans"),
    options={"statuses": (400, 401, 403), "likely_statuses": (404, 409, 422)},
    each=_retried,
    message="An attempt that failed with {key} was retried.",
    remedy="Throw `new AbortTaskRunError(…)` when the status is {key}.",
    bad=(
        Case(
            logs=(
                log("order_charge_started"),
                log("order_charge_failed", 1, level="error", http_status=401, error_type="E", error_message="no"),
                log("order_charge_started", 5, attempt=2),
                log(
                    "order_charge_failed",
                    6,
                    attempt=2,
                    level="error",
                    http_status=401,
                    error_type="E",
                    error_message="no",
                ),
            ),
            key="401",
            severity="error",
        ),
        Case(
            spans=(
                attempt(1, 0, 1, error=("Error", "API responded with 403 Forbidden")),
                attempt(2, 5, 6, error=("Error", "API responded with 403 Forbidden")),
            ),
            key="403",
            severity="warning",
        ),
    ),
    good=(
        Case(spans=(attempt(1, 0, 1, error=("Error", "CRM returned 503")), attempt(2, 5, 6))),
        Case(spans=(attempt(1, 0, 1, error=("AbortTaskRunError", "Unrecoverable: 401")),), say="aborted, not retried"),
        Case(spans=(attempt(1, 0, 1, error=("Error", "row 400 is locked")), attempt(2, 5, 6)), say="not a status"),
    ),
)


def _aborted(frames: Frames, options: Options) -> pl.LazyFrame:
    status = pl.coalesce("http_status", _spoken_status())
    transient = status.is_in(list(options["statuses"])) | (status >= 500)
    spoken = status.is_null() & pl.col("error_message").str.contains(_TRANSIENT)
    return (
        attempts(frames)
        .filter((pl.col("error_type") == ABORT) & (transient.fill_null(False) | spoken.fill_null(False)))
        .select(*RUN, "task_id", "version", time_ns="started_ns", key=status.cast(pl.String))
    )


RTY002 = Rule(
    code="RTY002",
    slug="aborted-transient",
    severity="warning",
    grain="run",
    doc="""A task gave up for good on an error that a retry may well cure.

    Why: A 429 or a reset connection is over in seconds; the run is lost.
    How to fix: Throw the error as it is, and abort only on what cannot change.
    Not flagged: errors that name neither a transient status nor a network failure.
    """,
    sentences=("37",),
    needs=("attempts",),
    options={"statuses": (408, 425, 429)},
    each=_aborted,
    message=lambda f: "A run was aborted on a transient error" + (f" ({f['key']})." if f["key"] else "."),
    remedy="Rethrow it instead of `AbortTaskRunError`, so that it is retried.",
    bad=(
        Case(spans=(attempt(1, 0, 1, error=("AbortTaskRunError", "Unrecoverable: 429")),), key="429"),
        Case(spans=(attempt(1, 0, 1, error=("AbortTaskRunError", "read ECONNRESET")),)),
    ),
    good=(
        Case(spans=(attempt(1, 0, 1, error=("AbortTaskRunError", "Unrecoverable: 403")),)),
        Case(spans=(attempt(1, 0, 1, error=("Error", "HTTP 503")), attempt(2, 3, 4))),
    ),
)


def _single(frames: Frames, options: Options) -> pl.LazyFrame:
    return (
        frames.attempts.lazy()
        .filter(pl.lit(bool(options["single_shot"])) & (pl.col("number") >= 2))
        .select(*RUN, "task_id", "version", time_ns="started_ns")
    )


RTY008 = Rule(
    code="RTY008",
    slug="retried-single-shot",
    severity="error",
    grain="run",
    doc="""A task that must not be retried was.

    Why: What may happen once only happened twice.
    How to fix: Set `retry: { maxAttempts: 1 }`.
    Not flagged: anything, until the option `single_shot` says that a task must not be retried.
    """,
    sentences=("41",),
    needs=("attempts",),
    options={"single_shot": False},
    each=_single,
    message="A task that must not be retried made a second attempt.",
    bad=(Case(spans=(attempt(1, 0, 1, error=("E", "m")), attempt(2, 5, 6)), options={"single_shot": True}),),
    good=(Case(spans=(attempt(1, 0, 1, error=("E", "m")), attempt(2, 5, 6))),),
)

RULES = (RTY001, RTY002, RTY008)
