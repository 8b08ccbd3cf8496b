"""RTY, continued: how many attempts, with which pauses, and whether they help."""

from __future__ import annotations

from typing import Any

import polars as pl

from collector.rules.cases import attempt, trigger
from collector.rules.families.retries import ABORT, attempts
from collector.rules.frames import MS_NS, RUN, Frames
from collector.rules.rule import Case, Options, Rule


def _off_maximum(frames: Frames, options: Options) -> pl.LazyFrame:
    most = int(options["max_attempts"])
    runs = frames.runs.lazy().filter(pl.col("attempt_count").is_not_null() & pl.lit(most > 0))
    too_many = pl.col("attempt_count") > most
    exhausted = (pl.col("status") == "failed") & (pl.col("error_type") != ABORT).fill_null(True)
    too_few = exhausted & (pl.col("attempt_count") < most)
    return runs.filter(too_many | too_few).select(
        *RUN, "task_id", "version", time_ns="started_ns", key=pl.col("attempt_count").cast(pl.String)
    )


RTY003 = Rule(
    code="RTY003",
    slug="attempts-off-profile",
    severity="warning",
    grain="run",
    doc="""A run made another number of attempts than its task is meant to.

    Why: Too few give up on passing trouble, too many hammer what is down.
    How to fix: Set `retry.maxAttempts` to the task's profile.
    Not flagged: anything, until the option `max_attempts` says what is meant (per task, `[[rules.overrides]]`);
    aborted and canceled runs.
    """,
    sentences=("35", "38-40", "59"),
    needs=("runs",),
    options={"max_attempts": 0},
    each=_off_maximum,
    message="Runs ended after {key} attempts, which is not what the task is meant to make.",
    bad=(
        Case(
            spans=(attempt(1, 0, 1, error=("E", "m")), attempt(2, 5, 6, error=("E", "m"))),
            options={"max_attempts": 3},
            key="2",
        ),
    ),
    good=(
        Case(spans=(attempt(1, 0, 1, error=("E", "m")), attempt(2, 5, 6, error=("E", "m")))),
        Case(spans=(attempt(1, 0, 1),), options={"max_attempts": 3}),
    ),
)


def _gaps(frames: Frames) -> pl.LazyFrame:
    """Return the pauses between attempts that follow each other, waiting in the queue taken off where known."""
    follows = pl.col("next_number") == pl.col("number") + 1
    pause = pl.col("next_started_ns") - pl.col("ended_ns") - pl.col("next_queue_ns").fill_null(0)
    return (
        attempts(frames)
        .filter(follows & pl.col("ended_ns").is_not_null() & pl.col("ended_source").is_in(["measured", "derived"]))
        .with_columns(pause_ns=pause.clip(0))
    )


def _off_backoff(frames: Frames, options: Options) -> pl.LazyFrame:
    first, factor, most = options["min_ms"], options["factor"], options["max_ms"]
    power = pl.lit(float(factor)) ** (pl.col("number") - 1)
    least_ns = pl.min_horizontal(pl.lit(float(most)), first * power) * MS_NS
    short = pl.col("pause_ns") < least_ns * 0.9
    return (
        _gaps(frames)
        .filter((pl.len() >= options["least_gaps"]).over("project", "task_id"))
        .filter((short.sum() > pl.len() * 0.5).over("project", "task_id"))
        .filter(short)
        .select(*RUN, "task_id", "version", time_ns="started_ns")
    )


def _retries(*pauses: float, after: int = 1) -> tuple[dict[str, Any], ...]:
    return tuple(
        s
        for n, pause in enumerate(pauses)
        for s in (
            attempt(after, n * 10, n * 10 + 1, run=f"r{n}", error=("E", "m")),
            attempt(after + 1, n * 10 + 1 + pause, n * 10 + 9, run=f"r{n}"),
        )
    )


RTY004 = Rule(
    code="RTY004",
    slug="backoff-off-profile",
    severity="warning",
    grain="task",
    doc="""Most pauses before a retry are shorter than the profile's.

    Why: A retry that comes too soon meets the same trouble, and adds to it.
    How to fix: Set `minTimeoutInMs`, `factor` and `maxTimeoutInMs` to the task's profile.
    Not flagged: longer pauses (a queue may have caused them); fewer than `least_gaps` pauses. The defaults are the
    shortest of the guideline's profiles (database); set them per task.
    """,
    sentences=("35", "38-40", "59"),
    needs=("attempts",),
    options={"min_ms": 500, "factor": 1.5, "max_ms": 5000, "least_gaps": 20},
    across=_off_backoff,
    message="Retries follow sooner than the backoff profile says.",
    remedy="Set `retry.minTimeoutInMs` and `factor` to the task's profile.",
    bad=(
        Case(spans=_retries(*[0.44] * 20)),
        Case(spans=_retries(*[1.0] * 20, after=3)),
        Case(spans=_retries(*[4.4] * 20, after=7)),
    ),
    good=(
        Case(spans=_retries(*[0.46] * 20)),
        Case(spans=_retries(*[1.05] * 20, after=3)),
        Case(spans=_retries(*[4.6] * 20, after=7)),
        Case(spans=_retries(*[0.44] * 19), say="too few to tell"),
    ),
)


def _quantised(frames: Frames, options: Options) -> pl.LazyFrame:
    group = ["project", "task_id", "number"]
    spread = (pl.col("pause_ns").std() / pl.col("pause_ns").mean()).over(group)
    return (
        _gaps(frames)
        .filter((pl.len() >= options["least_gaps"]).over(group))
        .filter((spread < options["least_spread"]).fill_null(False))
        .select(*RUN, "task_id", "version", time_ns="started_ns", key=pl.format("after attempt {}", "number"))
    )


RTY005 = Rule(
    code="RTY005",
    slug="no-jitter",
    severity="warning",
    grain="task",
    doc="""Pauses before a retry are all the same length.

    Why: Runs that failed together come back together, and fail together again.
    How to fix: Set `retry.randomize: true`.
    Not flagged: fewer than `least_gaps` pauses after the same attempt; pauses that vary by `least_spread` or more.
    """,
    sentences=("35", "59"),
    needs=("attempts",),
    options={"least_gaps": 30, "least_spread": 0.02},
    across=_quantised,
    message="Pauses {key} have no jitter.",
    bad=(Case(spans=_retries(*[1.964, 2.036] * 15)),),
    good=(Case(spans=_retries(*[1.956, 2.044] * 15)), Case(spans=_retries(*[2.0] * 29), say="too few to tell")),
)


def _fruitless(frames: Frames, options: Options) -> pl.LazyFrame:
    n, k, z = pl.col("retried"), pl.col("recovered"), 1.96
    share = k / n
    upper = (share + z**2 / (2 * n) + z * (share * (1 - share) / n + z**2 / (4 * n**2)).sqrt()) / (1 + z**2 / n)
    return (
        frames.runs.lazy()
        .filter((pl.col("attempt_count") >= 2) & pl.col("status").is_in(["completed", "failed"]))
        .group_by("project", "task_id")
        .agg(
            retried=pl.len(),
            recovered=(pl.col("status") == "completed").sum(),
            time_ns=pl.col("started_ns").max(),
            run_key=pl.col("run_key").filter(pl.col("status") == "failed"),
        )
        .filter((n >= options["least_runs"]) & (upper < options["least_yield"]))
        .with_columns(detail=pl.format("{} of {}", "recovered", "retried"))
        .explode("run_key")
    )


def _failing(n: int, *, recovering: int = 0) -> tuple[dict[str, Any], ...]:
    return tuple(
        s
        for k in range(n)
        for s in (
            attempt(1, k * 10, k * 10 + 1, run=f"r{k}", error=("E", "m")),
            attempt(2, k * 10 + 3, k * 10 + 4, run=f"r{k}", error=("E", "m") if k >= recovering else None),
        )
    )


RTY006 = Rule(
    code="RTY006",
    slug="retries-rarely-help",
    severity="warning",
    grain="task",
    doc="""Hardly any run of a task that failed once succeeded later.

    Why: The retries buy nothing but cost and delay.
    How to fix: Abort on the errors that stay (RTY001), or fix their cause.
    Not flagged: fewer than `least_runs` retried runs; a share of recovered runs that may be `least_yield` or more
    (upper 95 % bound).
    """,
    sentences=("A6", "35"),
    needs=("runs",),
    options={"least_runs": 30, "least_yield": 0.1},
    across=_fruitless,
    message="Of the runs that were retried, {details} recovered.",
    remedy="Abort on errors that stay, or fix their cause.",
    bad=(Case(spans=_failing(36)),),
    good=(
        Case(spans=_failing(30), say="one in ten may yet recover"),
        Case(spans=_failing(40, recovering=8)),
        Case(spans=_failing(29), options={"least_yield": 0.2}, say="too few to tell"),
    ),
)


def _amplified(frames: Frames, options: Options) -> pl.LazyFrame:
    runs = frames.runs.lazy()
    parents = runs.filter(pl.col("attempt_count") >= 2).select(
        "project",
        "dialect",
        parent_run_id="run_id",
        parent_key="run_key",
        parent_attempts="attempt_count",
        parent_task="task_id",
        parent_version="version",
        parent_started="started_ns",
    )
    last = (
        frames.attempts.lazy()
        .sort("number")
        .group_by("project", parent_key="run_key", maintain_order=True)
        .agg(last_started_ns=pl.col("started_ns").last())
    )
    children = runs.filter(pl.col("parent_run_id").is_not_null()).select(
        "project",
        "dialect",
        "parent_run_id",
        child_attempts="attempt_count",
        made_ns=pl.coalesce("created_ns", "started_ns"),
    )
    return (
        parents.join(children, on=["project", "dialect", "parent_run_id"])
        .join(last, on=["project", "parent_key"])
        .group_by("project", "parent_key", "parent_task", "parent_version", "parent_started", "parent_attempts")
        .agg(
            total=pl.col("child_attempts").fill_null(1).sum(),
            needed=(pl.col("made_ns") >= pl.col("last_started_ns")).sum(),
            nested=(pl.col("child_attempts") >= 2).any(),
        )
        .with_columns(total=pl.col("total") + pl.col("parent_attempts"), needed=pl.col("needed") + 1)
        .filter(pl.col("nested") & (pl.col("total") > options["most_factor"] * pl.col("needed")))
        .select(
            "project",
            run_key="parent_key",
            task_id="parent_task",
            version="parent_version",
            time_ns="parent_started",
            detail=pl.format("{} attempts where {} would have done", "total", "needed"),
        )
    )


def _tree(*children: int) -> tuple[dict[str, Any], ...]:
    """Three attempts of a run, the last of which trigger a child each, with so many attempts."""
    spans = [attempt(n, n * 10, n * 10 + 5, error=("E", "m")) for n in (1, 2, 3)]
    for n, attempts_of in enumerate(children, 4 - len(children)):
        spans.append(trigger(n * 10 + 1, n * 10 + 4, f"child{n}", attempt=n, waits=True))
        spans += [
            attempt(k, n * 10 + k, n * 10 + k + 0.5, run=f"child{n}", task="send-receipt", error=("E", "m"))
            for k in range(1, attempts_of + 1)
        ]
    return tuple(spans)


RTY007 = Rule(
    code="RTY007",
    slug="retry-amplification",
    severity="warning",
    grain="run",
    doc="""A run and the runs it triggers are both retried, so that attempts multiply.

    Why: Three attempts of three attempts are nine calls to something that is down.
    How to fix: Retry on one level: in the child, and let the parent check `result.ok`.
    Not flagged: trees with no more than `most_factor` times the attempts they needed.
    """,
    sentences=("35", "31"),
    needs=("runs", "attempts"),
    options={"most_factor": 3},
    each=_amplified,
    message="Retries multiply down the tree: {details:; }.",
    bad=(Case(spans=_tree(3, 3, 3)), Case(spans=_tree(1, 1, 2))),
    good=(
        Case(spans=_tree(1, 2)),
        Case(
            spans=(
                attempt(1, 0, 5),
                trigger(1, 4, "child", waits=True),
                attempt(1, 1, 2, run="child", task="send-receipt", error=("E", "m")),
                attempt(2, 3, 4, run="child", task="send-receipt"),
            )
        ),
    ),
)


RULES = (RTY003, RTY004, RTY005, RTY006, RTY007)
