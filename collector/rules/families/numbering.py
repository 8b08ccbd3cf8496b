"""TEL, continued: attempts are counted from one number, and a record tells which run of its id it is of."""

from __future__ import annotations

from typing import Any

import polars as pl

from collector.model.identity import BARE
from collector.model.words import ENDS
from collector.rules.cases import log
from collector.rules.frames import RUN, Frames
from collector.rules.rule import Case, Options, Rule


def _stated(frames: Frames) -> pl.LazyFrame:
    """Return the records of runs that state an attempt: its number from 1 on, operation and phase."""
    columns = [*RUN, "attempt", "operation", "phase"]
    return pl.concat(
        frame.lazy().filter((pl.col("attempt_source") == "measured") & pl.col("run_key").is_not_null()).select(columns)
        for frame in (frames.logs, frames.spans)
    )


def _within(frames: Frames) -> pl.LazyFrame:
    """Return the runs that count from 0 of which a record calls the first attempt 1.

    So it does where what is told as the second attempt began before the first had ended, and where an operation that
    began in the first ended in the second without having begun there.
    """
    zero = frames.from_zero.lazy()
    first, second = (
        frames.attempts.lazy().join(zero, on=RUN, how="semi").filter(pl.col("number") == n) for n in (1, 2)
    )
    early = first.filter(pl.col("ended_source").is_in(["measured", "derived"])).join(second, on=RUN, suffix="_next")
    n, phase = pl.col("attempt"), pl.col("phase")
    begins, ends = phase == "started", phase.is_in(ENDS)
    split = (
        _stated(frames)
        .join(zero, on=RUN, how="semi")
        .filter(pl.col("operation").is_not_null())
        .group_by(*RUN, "operation")
        .agg(
            split=(begins & (n == 1)).any() & (ends & (n == 2)).any() & ~((ends & (n == 1)) | (begins & (n == 2))).any()
        )
        .filter("split")
    )
    return pl.concat(
        [early.filter(pl.col("started_ns_next") < pl.col("ended_ns")).select(RUN), split.select(RUN)]
    ).unique()


def _both_in_one(frames: Frames, options: Options) -> pl.LazyFrame:
    if frames.from_zero.is_empty():
        return pl.LazyFrame()
    runs = frames.runs.lazy().select(*RUN, "task_id", "version", time_ns="first_seen_ns")
    return runs.join(_within(frames), on=RUN, how="semi").with_columns(detail=pl.lit("within one run"))


def _both_in_a_task(frames: Frames, options: Options) -> pl.LazyFrame:
    if frames.from_zero.is_empty():
        return pl.LazyFrame()
    task = ["project", "task_id"]
    zero = frames.from_zero.lazy().with_columns(is_zero=pl.lit(True))
    is_zero = pl.col("is_zero")
    zeros, ones = is_zero.sum().over(task), (~is_zero).sum().over(task)
    begins = _stated(frames).group_by(RUN).agg(least=pl.col("attempt").min())
    return (
        frames.runs.lazy()
        .filter(pl.col("task_id").is_not_null())
        # Whose first record is of a later attempt has lost the first one, whatever its number was.
        .join(begins.filter(pl.col("least") == 1), on=RUN, how="semi")
        .join(zero, on=RUN, how="left")
        .with_columns(is_zero.fill_null(False))
        .with_columns(zeros=zeros, ones=ones)
        .filter(
            (pl.col("zeros") > 0)
            & (pl.col("ones") >= options["least_runs"])
            & (pl.col("ones") >= options["least_share"] * (pl.col("zeros") + pl.col("ones")))
        )
        .filter(is_zero == (pl.col("zeros") <= pl.col("ones")))
        .join(_within(frames), on=RUN, how="anti")
        .select(
            *RUN,
            "task_id",
            "version",
            time_ns="first_seen_ns",
            detail=pl.format("{} runs from 0, {} from 1", "zeros", "ones"),
        )
    )


def _left_open(frames: Frames, options: Options) -> pl.LazyFrame:
    """Return the runs that stand alone, with what their own records leave open: of bare numbers service and queue too.

    Such a run has the records of one statement (`store.parting`), so what one of them says all do.
    """
    runs = frames.runs.lazy().filter("ambiguous").select(*RUN, "run_id", "task_id", "version", time_ns="first_seen_ns")
    services = frames.resources.lazy().select("project", "resource_id", service="service_name")
    stated = pl.concat(
        frame.lazy().filter(pl.col("run_id").is_not_null()).select(*RUN, "resource_id", "environment", "queue")
        for frame in (frames.logs, frames.spans)
    ).join(services, on=["project", "resource_id"], how="left")
    service = pl.col("service").replace("", None)
    says = {
        "environment": pl.col("environment").replace("", None),
        "service": pl.when(~service.str.starts_with("unknown_service")).then(service),
        "queue": pl.col("queue").replace("", None),
    }
    told = stated.group_by(RUN).agg(value.is_not_null().any().alias(name) for name, value in says.items())
    bare = pl.col("run_id").str.contains(f"^{BARE}$")
    wanting = [
        pl.when(~pl.col(name).fill_null(False) & (bare | (name == "environment"))).then(pl.lit(f"no {name}"))
        for name in says
    ]
    return (
        runs.join(told, on=RUN, how="left")
        .with_columns(detail=pl.concat_str(wanting, separator=" and ", ignore_nulls=True))
        .drop("run_id", *says)
    )


def _runs(first: int, n: int, *, tries: int = 1, at: float = 0) -> tuple[dict[str, Any], ...]:
    """So many runs whose attempts are counted from *first* on."""
    return tuple(
        log(f"order_charge_{word}", at + 100 * i + 20 * k + late, run=f"run_{first}_{i}", attempt=first + k)
        for i in range(n)
        for k in range(tries)
        for late, word in ((0, "started"), (5, "failed" if k + 1 < tries else "completed"))
    )


TEL007 = Rule(
    code="TEL007",
    slug="attempts-from-two-numbers",
    severity="warning",
    grain="task",
    doc="""Attempts of a task are counted from 0 by some of its records and from 1 by others.

    Why: An attempt 1 is then the first try of one run and the second of another. Of a run whose attempt 0 was lost
    nobody can tell which, and within one run the same try is told as two.
    How to fix: Log one number everywhere, from 1 on: where the runner counts retries from 0 (Celery's `retries`,
    Sidekiq's `retry_count`, BullMQ's `attemptsMade`), add 1.
    Not flagged: tasks of which all runs count from 0, which are told rightly; runs whose first record is of a later
    attempt (the first one was lost); so few runs from 1, below `least_runs` or `least_share` of those that can be told,
    that they may have lost an attempt 0.
    """,
    needs=("logs", "spans", "runs", "attempts"),
    options={"least_runs": 2, "least_share": 0.1},
    each=_both_in_one,
    across=_both_in_a_task,
    message="Attempts are counted from 0 and from 1: {details:; }.",
    remedy="Log one number everywhere, from 1 on; add 1 to what counts retries from 0.",
    bad=(
        Case(logs=(*_runs(0, 15, tries=2), *_runs(1, 2, at=9000))),
        Case(logs=(*_runs(0, 1), *_runs(1, 30, at=9000)), say="one run from 0 is enough: nobody loses such a record"),
        Case(
            logs=(
                log("job_run_started", attempt=0),
                log("order_charge_started", 1),
                log("order_charge_completed", 8),
                log("job_run_completed", 9, attempt=0),
            ),
            say="the runner counts from 0, the task from 1",
        ),
        Case(logs=(log("order_charge_started", attempt=0), log("order_charge_completed", 9, attempt=1))),
    ),
    good=(
        Case(logs=_runs(0, 4, tries=3), say="all from 0"),
        Case(logs=(*_runs(0, 3, tries=2), *_runs(1, 1, at=9000)), say="that run may have lost its attempt 0"),
        Case(logs=(*_runs(0, 20), *_runs(1, 2, at=9000)), say="likewise"),
        Case(logs=(*_runs(0, 3), *_runs(2, 3, at=9000)), say="the first attempts of three runs were lost"),
        Case(
            logs=(log("order_charge_started", attempt=0), log("order_charge_started", 20, attempt=2)),
            say="a gap (TEL006)",
        ),
    ),
)


def _job(body: str, at: float = 0, run: str = "17", **stated: Any) -> dict[str, Any]:
    """A record of a job, which says of its run what is *stated*."""
    return log(body, at, run=run, **stated)


TEL008 = Rule(
    code="TEL008",
    slug="run-left-open",
    severity="warning",
    grain="run",
    doc="""Records leave open which of several runs with one id they are of.

    Why: They stand as a run of their own: the run they belong to lacks them, and may seem never to have ended, while
    runs are counted that nobody started.
    How to fix: State the environment on every record of a run, best in the resource (`deployment.environment.name`), so
    that no logger can leave it out. Where run ids are bare numbers, which queues and services give anew, state
    `service.name` in the resource and `queue` on every record too; or prefix the number (`mail:17`).
    Not flagged: records that leave something open of which only one run with their id says anything: they are that
    run's.
    """,
    needs=("logs", "spans", "runs"),
    each=_left_open,
    message="Records leave open which of several runs with one id they are of: they state {details:, or }.",
    remedy="State the environment on every record, best in the resource (`deployment.environment.name`); where run ids "
    "are numbers also `service.name` there and `queue` on every record.",
    bad=(
        Case(
            logs=(
                log("order_charge_started", environment="production"),
                log("order_charge_started", 1, environment="staging"),
                log("order_charge_completed", 9),
            ),
            say="which of the two completed?",
        ),
        Case(
            logs=(
                _job("mail_send_started", queue="mail"),
                _job("image_scale_started", 1, queue="images"),
                _job("image_scale_completed", 9),
            ),
            say="two queues number their jobs from 1",
        ),
        Case(
            logs=(
                _job("mail_send_started", resource={"service.name": "mailer"}),
                _job("mail_send_started", 1, resource={"service.name": "biller"}),
                _job("mail_send_completed", 9, resource={"service.name": "unknown_service:node"}),
            ),
            say="an SDK was given no name",
        ),
    ),
    good=(
        Case(
            logs=(
                log("order_charge_started", environment="production"),
                log("order_charge_started", 1, environment="staging"),
                log("order_charge_completed", 9, environment="staging"),
            ),
        ),
        Case(
            logs=(
                log("order_charge_started", resource={"deployment.environment.name": "production"}),
                log("order_charge_completed", 9),
            ),
            say="one run alone has this id",
        ),
        Case(
            logs=(_job("mail_send_started", queue="mail"), _job("image_scale_completed", 9, queue="images")),
            say="each is a run",
        ),
        Case(
            logs=(
                _job("mail_send_started", run="job_17", queue="mail"),
                _job("mail_send_started", 1, run="job_17", queue="bulk"),
                _job("mail_send_completed", 9, run="job_17"),
            ),
            say="no bare number: one run, whatever queue it is in",
        ),
    ),
)

_OVER = ("completed", "canceled", "skipped")
"""Ends after which an operation has no reason to begin once more."""


def _began_again(frames: Frames, options: Options) -> pl.LazyFrame:
    several = frames.attempts.lazy().filter(pl.col("deliveries") > 1).select(*RUN, attempt="number")
    stated = _stated(frames).select(RUN).unique()
    phase = pl.col("phase")
    group = [*RUN, "attempt", "operation"]
    return (
        frames.logs.lazy()
        .filter(phase.is_in(["started", *ENDS]) & pl.col("run_key").is_not_null() & pl.col("operation").is_not_null())
        .select(*group, "task_id", "version", "phase", "time_ns", "seq", "row", table=pl.lit("logs"))
        .join(several, on=[*RUN, "attempt"])
        .join(stated, on=RUN, how="anti")
        .sort("time_ns", phase != "started", "phase", "seq", "row")
        .with_columns(previous=phase.shift(1).over(group), first_ns=pl.col("time_ns").min().over(group))
        # The operation that encloses the others is what was delivered: what repeats within it is a loop.
        .filter(pl.col("first_ns") == pl.col("first_ns").min().over(*RUN, "attempt"))
        .filter((phase == "started") & pl.col("previous").is_in(_OVER))
        .unique([*RUN, "attempt"], keep="first", maintain_order=True)
        .with_columns(key=pl.col("previous"))
        .drop("previous", "first_ns")
    )


def _again(*words: str, number: int | None = None, run: str = "run_0b7e") -> tuple[dict[str, Any], ...]:
    """An operation that begins and ends so, time after time, under one attempt number or none."""
    return tuple(
        log(f"order_charge_{said}", 20 * i + late, attempt=number, run=run)
        for i, word in enumerate(words)
        for late, said in ((0, "started"), (5, word))
    )


TEL009 = Rule(
    code="TEL009",
    slug="repeated-without-attempt",
    severity="warning",
    grain="run",
    doc="""The operation of a run ended, not by failing, and began again, and no record of the run states an attempt.

    Why: It may have been delivered twice, started again by hand, or be two runs under one id: without attempt numbers
    nobody can tell. runwell takes it for the same attempt, delivered again, and the time between for idle.
    How to fix: Log `attempt` on every record, or give each execution a `run_id` of its own.
    Not flagged: what began again after `_failed` or `_retrying`, which is told as the next attempt, or after
    `_interrupted`, which says that it will go on; runs that state attempts; steps that repeat within the operation.
    """,
    needs=("logs", "attempts"),
    each=_began_again,
    message="`{operation}` began again after `_{key}`, without an attempt number.",
    remedy="Log `attempt` on every record, or a `run_id` for each execution.",
    bad=(
        Case(logs=_again("completed", "completed"), key="completed"),
        Case(logs=_again("failed", "completed", "failed"), key="completed", say="the first failure was retried"),
        Case(logs=_again("skipped", "completed"), key="skipped"),
    ),
    good=(
        Case(logs=_again("failed", "completed"), say="a retry"),
        Case(logs=_again("retrying", "completed"), say="a retry"),
        Case(logs=_again("interrupted", "completed"), say="it went on"),
        Case(logs=_again("completed", "completed", number=1), say="stated: delivered twice"),
        Case(logs=(*_again("completed"), *_again("completed", run="run_0b7f")), say="two runs"),
        Case(
            logs=(
                log("order_sync_started", attempt=None),
                *(
                    log(f"page_load_{word}", at, attempt=None)
                    for at, word in ((1, "started"), (2, "completed"), (3, "started"), (4, "completed"))
                ),
                log("order_sync_completed", 9, attempt=None),
            ),
            say="a loop",
        ),
    ),
)

RULES = (TEL007, TEL008, TEL009)
