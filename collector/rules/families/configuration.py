"""CFG: log level, duration limit and runtime are as the guideline configures them."""

from __future__ import annotations

from typing import Any

import polars as pl

from collector.rules.cases import attempt, log
from collector.rules.frames import RUN, SECOND_NS, Frames
from collector.rules.rule import Case, Options, Rule


def _near_limit(frames: Frames, options: Options) -> pl.LazyFrame:
    limit_ns = options["max_duration_s"] * SECOND_NS
    runs = frames.runs.lazy().select(*RUN, "dialect")
    near = pl.col("active_ns") > 0.8 * limit_ns
    return (
        frames.attempts.lazy()
        .filter(pl.col("active_ns").is_not_null() & pl.lit(limit_ns > 0))
        .join(runs, on=RUN)
        .filter(pl.col("dialect") == "trigger_dev")
        .filter((pl.len() >= options["least_attempts"]).over("project", "task_id"))
        .filter((pl.col("active_ns").quantile(0.95, "higher") > 0.8 * limit_ns).over("project", "task_id"))
        .filter(near)
        .select(*RUN, "task_id", "version", time_ns="started_ns")
    )


def _long(n: int, lasts: float) -> tuple[dict[str, Any], ...]:
    return tuple(attempt(1, k * 400, k * 400 + lasts, run=f"r{k}") for k in range(n))


CFG001 = Rule(
    code="CFG001",
    slug="duration-near-limit",
    severity="warning",
    grain="task",
    doc="""A task's active time comes close to maxDuration.

    Why: A run that reaches it is killed without a word: no span, no log, no hook.
    How to fix: Raise `maxDuration` for the task, or split the work.
    Not flagged: anything while `max_duration_s` is 0: a task's limit is not in telemetry. The profile `guideline` sets
    the guideline's 300; set yours per task. Waits do not count.
    """,
    sentences=("57",),
    needs=("attempts",),
    options={"max_duration_s": 0, "least_attempts": 5},
    across=_near_limit,
    message="The active time comes close to maxDuration.",
    bad=(Case(spans=_long(5, 260), options={"max_duration_s": 300}),),
    good=(
        Case(spans=_long(5, 260)),
        Case(spans=_long(5, 100), options={"max_duration_s": 300}),
        Case(spans=_long(4, 260), options={"max_duration_s": 300}),
    ),
)


def _debugging(frames: Frames, options: Options) -> pl.LazyFrame:
    cells = frames.cells.filter(pl.col("level") == "debug").with_columns(operation=pl.lit(None, pl.String))
    rows = frames.hits(cells).with_columns(table=pl.lit("logs"))
    environments = frames.task_logs.lazy().select("project", "seq", "row", "environment")
    span = (pl.col("time_ns").max() - pl.col("time_ns").min()).over("project", "task_id")
    return (
        rows.join(environments, on=["project", "seq", "row"])
        .filter(pl.col("environment").str.to_lowercase().str.starts_with("prod").fill_null(False))
        .filter(span > options["hours"] * 3600 * SECOND_NS)
        .drop("environment")
    )


CFG002 = Rule(
    code="CFG002",
    slug="debug-in-production",
    severity="warning",
    grain="task",
    doc="""Debug records arrive from production for longer than an incident lasts.

    Why: They cost, hide the rest, and often hold what should not be logged.
    How to fix: Set `logLevel: "info"`.
    Not flagged: debug records within `hours` hours (switched on for an incident).
    """,
    sentences=("56",),
    options={"hours": 24},
    across=_debugging,
    message="Debug records arrive from production for more than a day.",
    bad=(
        Case(
            logs=tuple(
                log("order_charge_validating", n * 90_000, level="debug", environment="production") for n in range(2)
            )
        ),
    ),
    good=(
        Case(
            logs=tuple(
                log("order_charge_validating", n * 80_000, level="debug", environment="production") for n in range(2)
            )
        ),
        Case(
            logs=tuple(
                log("order_charge_validating", n * 90_000, level="debug", environment="staging") for n in range(2)
            )
        ),
    ),
)


def _never_retried(frames: Frames, options: Options) -> pl.LazyFrame:
    failed = frames.runs.lazy().filter(
        (pl.col("environment") == "DEVELOPMENT")
        & (pl.col("status") == "failed")
        & (pl.col("error_type") != "AbortTaskRunError").fill_null(True)
    )
    return (
        failed.filter((pl.len() >= options["least_runs"]).over("project"))
        .filter((pl.col("attempt_count").max() == 1).over("project"))
        .select(*RUN, "task_id", "version", time_ns="started_ns")
    )


def _unretried(n: int, environment: str) -> tuple[dict[str, Any], ...]:
    keys = {"ctx.environment.type": environment}
    return tuple(attempt(1, k, k + 0.5, run=f"r{k}", error=("E", "m"), keys=keys) for k in range(n))


CFG003 = Rule(
    code="CFG003",
    slug="dev-without-retries",
    severity="info",
    grain="task",
    doc="""In development no failed run is ever retried.

    Why: Code that is not safe to retry shows only in production.
    How to fix: Set `retries: { enabledInDev: true }`.
    Not flagged: fewer than `least_runs` failed runs; aborted ones.
    """,
    sentences=("58",),
    needs=("runs",),
    on=False,
    options={"least_runs": 3},
    across=_never_retried,
    message="In development no failed run is ever retried.",
    bad=(Case(spans=_unretried(3, "DEVELOPMENT")),),
    good=(Case(spans=_unretried(3, "PRODUCTION")), Case(spans=_unretried(2, "DEVELOPMENT"), say="too few to tell")),
)


def _runtimes(frames: Frames, options: Options) -> pl.LazyFrame:
    runtime = pl.col("attributes").str.extract(r'"process\.runtime\.name":"([^"]+)"')
    trigger = pl.col("attributes").str.contains(r'"\$trigger":(?:true|"(?i:true)")')
    wrong = (
        frames.resources.lazy()
        .filter(trigger & ~runtime.is_in(list(options["runtimes"])))
        .select("project", "resource_id", key=runtime)
    )
    return (
        pl.concat(
            [
                frames.logs.lazy().select(*RUN, "task_id", "version", "resource_id", "time_ns"),
                frames.spans.lazy().select(*RUN, "task_id", "version", "resource_id", time_ns="start_ns"),
            ]
        )
        .join(wrong, on=["project", "resource_id"])
        .unique([*RUN, "key"])
        .drop("resource_id")
    )


CFG004 = Rule(
    code="CFG004",
    slug="runtime-off-list",
    severity="info",
    grain="run",
    doc="""A worker runs on a runtime that is not on the list.

    Why: The guideline knows node and bun.
    How to fix: Set `runtime` in trigger.config.ts.
    Not flagged: workers that do not name their runtime.
    """,
    sentences=("55",),
    on=False,
    options={"runtimes": ("nodejs", "node", "bun")},
    each=_runtimes,
    message="Workers run on `{key}`.",
    bad=(Case(logs=(log("a_b_started", runner="trigger", resource={"process.runtime.name": "deno"}),), key="deno"),),
    good=(Case(logs=(log("a_b_started", runner="trigger", resource={"process.runtime.name": "nodejs"}),)),),
)

RULES = (CFG001, CFG002, CFG003, CFG004)
