"""CON: what may run at once, and who makes whom wait. Limits are those that somebody stated."""

from __future__ import annotations

from typing import Any

import polars as pl

from collector.rules.cases import attempt, log
from collector.rules.frames import MS_NS, RUN, SECOND_NS, Frames
from collector.rules.rule import Case, Options, Rule

_WHOSE = ["environment", "platform_project"]
_QUEUE = ["project", "queue", *_WHOSE]


def _slots(frames: Frames) -> pl.LazyFrame:
    """Return the attempts that held a slot from start to end, measured, with the limit of their queue."""
    runs = frames.runs.lazy().select(*RUN, *_WHOSE, "dialect")
    slots = (
        frames.attempts.lazy()
        .filter(
            pl.col("started_ns").is_not_null()
            & pl.col("ended_ns").is_not_null()
            & pl.col("queue").is_not_null()
            & pl.col("status_source").is_in(["measured", "phase"])
        )
        .join(runs, on=RUN)
        # An attempt that waits may have given its slot back: it proves nothing.
        .filter(pl.col("wait_ns").fill_null(0) == 0)
    )
    return slots.join(_limits(frames, slots), on=_QUEUE, nulls_equal=True)


def _limits(frames: Frames, slots: pl.LazyFrame) -> pl.LazyFrame:
    """Return the limit of each queue of *slots*: the one that is stated for most of what tells queues apart."""
    queues = slots.select(_QUEUE).unique()
    open_ = sum(2**i * pl.col(f"{c}_stated").is_null().cast(pl.Int32) for i, c in enumerate(_WHOSE))
    return (
        queues.join(frames.limits.lazy(), on="queue", suffix="_stated")
        .filter(*(pl.col(f"{c}_stated").is_null() | (pl.col(f"{c}_stated") == pl.col(c)) for c in _WHOSE))
        .sort(*_QUEUE, open_)
        .unique(_QUEUE, keep="first", maintain_order=True)
        .filter(pl.col("limit").is_not_null())
        .select(*_QUEUE, "limit")
    )


def _over(frames: Frames, options: Options, *, single: bool) -> pl.LazyFrame:
    slots = _slots(frames).filter((pl.col("limit") == 1) if single else (pl.col("limit") > 1))
    shrink = int(options["tolerance_ms"] * MS_NS)
    edges = pl.concat(
        [
            slots.select(*_QUEUE, *RUN[1:], "task_id", "version", "limit", at="started_ns", step=pl.lit(1)),
            slots.select(
                *_QUEUE,
                *RUN[1:],
                "task_id",
                "version",
                "limit",
                at=pl.max_horizontal("started_ns", pl.col("ended_ns") - shrink),
                step=pl.lit(-1),
            ),
        ]
    )
    levels = edges.sort("at", "step", "run_key").with_columns(
        level=pl.col("step").cum_sum().over(_QUEUE), until=pl.col("at").shift(-1).over(_QUEUE)
    )
    long = (pl.col("until") - pl.col("at")) > options["least_s"] * SECOND_NS
    over = pl.col("level") > pl.col("limit")
    return levels.filter(over & long.fill_null(False) & (pl.col("step") == 1)).select(
        *RUN, "task_id", "version", time_ns="at", key="queue", detail=pl.format("{} of {}", "level", "limit")
    )


def _at_once(n: int, lasts: float) -> tuple[dict[str, Any], ...]:
    queue = {"ctx.queue.name": "payments"}
    return tuple(attempt(1, k * 0.1, lasts + k, run=f"r{k}", context=queue) for k in range(n))


CON002 = Rule(
    code="CON002",
    slug="over-limit",
    severity="error",
    grain="queue",
    doc="""More attempts of a queue ran at once than its limit allows.

    Why: The limit protects something; a concurrency key or a second queue of the same name gets around it.
    How to fix: Check the queue's name, its `concurrencyKey`, and its limit on the platform.
    Not flagged: queues whose limit nobody stated (`queues.limits`); less than `least_s` seconds; attempts that waited.
    """,
    sentences=("42",),
    needs=("attempts",),
    options={"least_s": 5, "tolerance_ms": 1000},
    across=lambda frames, options: _over(frames, options, single=False),
    message="More attempts of `{key}` ran at once than its limit allows.",
    bad=(Case(spans=_at_once(3, 6.3), limits={"payments": 2}),),
    good=(
        Case(spans=_at_once(2, 30), limits={"payments": 2}),
        Case(spans=_at_once(3, 6.1), limits={"payments": 2}, say="clocks may differ by a second"),
        Case(spans=_at_once(3, 30), say="no limit is known"),
    ),
)

CON003 = Rule(
    code="CON003",
    slug="singleton-overlap",
    severity="error",
    grain="queue",
    doc="""Two attempts of a queue with one slot ran at once.

    Why: Whoever relies on being alone was not.
    How to fix: Check the queue's name and `concurrencyKey`; a key makes a copy of the queue with a slot of its own.
    Not flagged: as CON002.
    """,
    sentences=("44", "21"),
    needs=("attempts",),
    options={"least_s": 0, "tolerance_ms": 1000},
    across=lambda frames, options: _over(frames, options, single=True),
    message="Attempts of `{key}`, which has one slot, overlap.",
    remedy="Check the queue's name and its `concurrencyKey`.",
    bad=(Case(spans=_at_once(2, 1.15), limits={"payments": 1}),),
    good=(Case(spans=_at_once(1, 30), limits={"payments": 1}), Case(spans=_at_once(2, 1.05), limits={"payments": 1})),
)


def _starved(frames: Frames, options: Options) -> pl.LazyFrame:
    # Nanoseconds of many runs leave 64 bits; shares of them need no more than a double.
    lasted = (pl.col("ended_ns") - pl.col("started_ns")).clip(0).cast(pl.Float64)
    runs = frames.runs.lazy().filter(pl.col("queue").is_not_null()).with_columns(lasted=lasted)
    slot_time = (
        runs.filter(pl.col("ended_ns").is_not_null())
        .group_by(*_QUEUE, "task_id")
        .agg(slot_ns=pl.col("lasted").sum(), n=pl.len())
    )
    share = pl.col("slot_ns") / pl.col("slot_ns").sum().over(_QUEUE)
    hogs = slot_time.filter((share >= options["most_share"]) & (pl.len() > 1).over(_QUEUE)).select(
        *_QUEUE, hog="task_id"
    )
    hour = pl.col("started_ns") // (3600 * SECOND_NS)
    # A run that was only triggered may have been due later: it proves no wait.
    is_proved = pl.col("queue_wait_ns").is_not_null() & pl.col("queue_wait_source").is_in(["measured", "derived"])
    waits = runs.filter(is_proved).with_columns(hour=hour)
    busy = (
        runs.filter(pl.col("ended_ns").is_not_null())
        .with_columns(hour=hour)
        .join(hogs, on=_QUEUE, nulls_equal=True)
        .group_by(*_QUEUE, "hour", "hog")
        .agg(hog_share=pl.col("lasted").filter(pl.col("task_id") == pl.col("hog")).sum() / pl.col("lasted").sum())
    )
    group = [*_QUEUE, "task_id"]
    return (
        waits.join(busy, on=[*_QUEUE, "hour"], nulls_equal=True)
        .filter(pl.col("task_id") != pl.col("hog"))
        .with_columns(loaded=pl.col("hog_share") >= options["most_share"])
        .with_columns(
            quiet_p95=pl.col("queue_wait_ns").filter(~pl.col("loaded")).quantile(0.95, "higher").over(group),
            loud_p95=pl.col("queue_wait_ns").filter(pl.col("loaded")).quantile(0.95, "higher").over(group),
            quiet_n=(~pl.col("loaded")).sum().over(group),
            loud_n=pl.col("loaded").sum().over(group),
        )
        .filter(
            pl.col("loaded")
            & (pl.min_horizontal("quiet_n", "loud_n") >= options["least_runs"])
            & (pl.col("loud_p95") > options["most_factor"] * pl.col("quiet_p95"))
            & (pl.col("loud_p95") > options["least_wait_s"] * SECOND_NS)
            & (pl.col("queue_wait_ns") > options["most_factor"] * pl.col("quiet_p95"))
        )
        .select(*RUN, "task_id", "version", time_ns="started_ns", key="queue", detail="hog")
    )


def _hogged(wait: float, *, usual: float = 0.1, n_of: int = 20, lasts: float = 2) -> tuple[dict[str, Any], ...]:
    """An hour of mails that wait as *usual* and last so long, then one in which an import holds the queue."""
    records = []
    for n in range(n_of):
        for hour, waits, takes in ((0, usual, lasts), (1, wait, 2)):
            at = hour * 3600 + n * 100 + 1000
            records += [
                log(
                    "mail_send_started",
                    at,
                    run=f"m{hour}-{n}",
                    task="send-mail",
                    queue="mail",
                    queue_wait_ms=waits * 1000,
                ),
                log(
                    "mail_send_completed",
                    at + takes,
                    run=f"m{hour}-{n}",
                    task="send-mail",
                    queue="mail",
                    processing_time_ms=takes * 1000,
                ),
            ]
    for n in range(10):
        at = 3600 + n * 300 + 900
        records += [
            log("import_load_started", at, run=f"i{n}", task="load-import", queue="mail", queue_wait_ms=1),
            log(
                "import_load_completed",
                at + 250,
                run=f"i{n}",
                task="load-import",
                queue="mail",
                processing_time_ms=250_000,
            ),
        ]
    base = 1_790_000_000 % 3600
    return tuple({**r, "at": r["at"] - base + 3600} for r in records)


CON007 = Rule(
    code="CON007",
    slug="shared-queue-starvation",
    severity="warning",
    grain="queue",
    doc="""One task holds most of a shared queue while another waits far longer than it does otherwise.

    Why: The queue's limit was meant for both.
    How to fix: Give the long task a queue of its own.
    Not flagged: queues whose waits nobody knows for certain, such as those of runs that a `trigger()` may have put off;
    fewer than `least_runs` runs with and without the load; waits below `least_wait_s` seconds or `most_factor` times
    the usual 95th percentile.
    """,
    sentences=("43",),
    needs=("runs",),
    options={"most_share": 0.5, "most_factor": 3, "least_runs": 20, "least_wait_s": 10},
    across=_starved,
    message=lambda f: f"Runs wait in `{f['key']}` while {', '.join(f['details'] or ['another task'])} holds it.",
    remedy=lambda f: f"Give {', '.join(f['details'] or ['the other task'])} a queue of its own.",
    bad=(Case(logs=_hogged(11, usual=3, lasts=100)),),
    good=(
        Case(logs=_hogged(9.5)),
        Case(logs=_hogged(60, usual=25)),
        Case(logs=_hogged(60, lasts=150), say="it does not hold half of it"),
        Case(logs=_hogged(60, n_of=19), say="too few to tell"),
    ),
)

RULES = (CON002, CON003, CON007)
