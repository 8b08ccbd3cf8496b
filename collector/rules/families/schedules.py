"""SCH: scheduled runs start when they should, once, and end before the next."""

from __future__ import annotations

import polars as pl

from collector.model.units import DAY_NS
from collector.rules.cases import log
from collector.rules.frames import MS_NS, RUN, SECOND_NS, Frames
from collector.rules.rule import Case, Options, Rule

_TASK = ["project", "task_id", "environment"]
_SCHEDULE_ID = r'"schedule_?[iI]d":"([^"]+)"'
_SLOT = r'"schedule(?:d_?[aA]t|d_?[tT]ime|_?[tT]imestamp)":"?([^",}]+)'


def marked(frames: Frames) -> pl.LazyFrame:
    """Return the runs whose records name their schedule, with `schedule` and, where logged, their `slot`."""
    said = frames.task_logs.lazy().filter(
        pl.col("run_key").is_not_null() & pl.col("attributes").str.contains_any(['"schedule'])
    )
    ids = said.group_by(RUN).agg(
        schedule=pl.col("attributes").str.extract(_SCHEDULE_ID).drop_nulls().min(),
        slot=pl.col("attributes").str.extract(_SLOT).drop_nulls().min(),
    )
    return frames.runs.lazy().join(ids, on=RUN).filter(pl.col("schedule").is_not_null())


def cadence(frames: Frames, options: Options) -> pl.LazyFrame:
    """Return the starts of tasks that nobody but a clock can start: `started_ns`, `interval_ns`, `slot`.

    That is proved by regularity alone: at least `least_runs` runs without a parent, nine in ten of whose gaps are a
    whole multiple of the usual gap, within two percent of it.
    """
    roots = frames.runs.lazy().filter(
        pl.col("parent_run_id").is_null()
        & pl.col("batch_id").is_null()
        & pl.col("started_ns").is_not_null()
        & ~pl.col("is_test").fill_null(False)
        & ~pl.col("is_replay").fill_null(False)
    )
    gaps = roots.sort("started_ns", "run_key").with_columns(
        gap_ns=pl.col("started_ns").diff().over(_TASK), previous_ns=pl.col("started_ns").shift(1).over(_TASK)
    )
    usual = (
        gaps.group_by(_TASK)
        .agg(interval_ns=pl.col("gap_ns").median(), n=pl.len(), anchor_ns=pl.col("started_ns").min())
        .filter((pl.col("n") >= options["least_runs"]) & (pl.col("interval_ns") >= 30 * SECOND_NS))
    )
    joined = gaps.join(usual, on=_TASK, nulls_equal=True)
    turns = pl.col("gap_ns") / pl.col("interval_ns")
    regular = ((turns - turns.round()).abs() < 0.02) & (turns.round() >= 1)
    return joined.filter((regular.fill_null(False).sum() >= 0.9 * (pl.len() - 1)).over(_TASK)).with_columns(turns=turns)


def _overlapping(frames: Frames, options: Options) -> pl.LazyFrame:
    named = (
        marked(frames)
        .filter(pl.col("started_ns").is_not_null())
        .select(*RUN, *_TASK[1:], "version", "started_ns", "ended_ns", "schedule")
    )
    regular = (
        cadence(frames, options)
        .with_columns(schedule=pl.lit(""))
        .select(*RUN, *_TASK[1:], "version", "started_ns", "ended_ns", "schedule")
    )
    group = [*_TASK, "schedule"]
    return (
        pl.concat([named, regular.join(named, on=RUN, how="anti")])
        .sort("started_ns", "run_key")
        .with_columns(previous_end_ns=pl.col("ended_ns").cum_max().shift(1).over(group))
        .filter(pl.col("started_ns") < pl.col("previous_end_ns") - options["tolerance_ms"] * MS_NS)
        .select(*RUN, "task_id", "version", time_ns="started_ns")
    )


def _every(
    seconds: float, n: int, lasts: float, *, but: dict[int, float] | None = None
) -> tuple[dict[str, object], ...]:
    starts = [(k, (but or {}).get(k, k * seconds)) for k in range(n)]
    return tuple(
        record
        for k, at in starts
        for record in (
            log("cleanup_run_started", at, run=f"run_{k}", task="cleanup"),
            log("cleanup_run_completed", at + lasts, run=f"run_{k}", task="cleanup", processing_time_ms=lasts * 1000),
        )
    )


SCH001 = Rule(
    code="SCH001",
    slug="schedule-overlap",
    severity="error",
    grain="task",
    doc="""A scheduled run started before the one before it had ended.

    Why: Both work on the same data; and when one is slow, the next makes it slower.
    How to fix: `queue: { concurrencyLimit: 1 }`. The runs then queue: also make the task faster or rarer (SCH005).
    Not flagged: tasks that neither name a schedule in their records nor start regularly; runs of different schedules.
    """,
    sentences=("21", "A7"),
    needs=("runs", "logs"),
    options={"least_runs": 6, "tolerance_ms": 1000},
    across=_overlapping,
    message="Scheduled runs overlap.",
    remedy="Set `queue: {{ concurrencyLimit: 1 }}`, and make the task shorter than its interval.",
    bad=(Case(logs=_every(60, 6, 61.1)),),
    good=(
        Case(logs=_every(60, 8, 60.9)),
        Case(logs=_every(60, 5, 90), say="too few to tell"),
        Case(logs=_every(60, 8, 90, but={k: k * k * 7.0 for k in range(8)}), say="not a schedule"),
    ),
)


def _missing(frames: Frames, options: Options) -> pl.LazyFrame:
    # A break that begins at the same time of another day is a night or a weekend.
    begins = (pl.col("previous_ns") % DAY_NS / pl.col("interval_ns")).round().cast(pl.Int64)
    missing = (
        cadence(frames, options)
        .filter(pl.col("turns").round() >= 2)
        .filter((pl.len() == 1).over([*_TASK, begins]))
        .with_columns(
            expected_ns=(pl.col("previous_ns") + pl.col("interval_ns")).cast(pl.Int64),
            count=(pl.col("turns").round() - 1).cast(pl.Int64),
        )
        .select("project", "task_id", "version", "interval_ns", "expected_ns", "count")
        .sort("expected_ns")
    )
    heard = pl.concat(
        [
            frames.logs.lazy().select("project", heard_ns="time_ns"),
            frames.spans.lazy().select("project", heard_ns="start_ns"),
        ]
    ).sort("heard_ns")
    # Where nothing else was heard of either, telemetry was out, not the schedule.
    near = pl.min_horizontal(pl.col("interval_ns") / 4, pl.lit(900.0 * SECOND_NS))
    return (
        missing.join_asof(
            heard, left_on="expected_ns", right_on="heard_ns", by="project", strategy="nearest", check_sortedness=False
        )
        .filter((pl.col("heard_ns") - pl.col("expected_ns")).abs() < near)
        .select("project", "task_id", "version", "count", time_ns="expected_ns")
    )


_BESIDE = tuple(log("other_work_started", n * 10, run=f"o{n}", task="other") for n in range(160))


def _without(k: int, logs: tuple[dict[str, object], ...]) -> tuple[dict[str, object], ...]:
    return tuple(r for r in logs if r["run"] != f"run_{k}")


_NIGHTS = tuple(r for k in range(144) if k % 48 < 40 for r in _every(1800, 144, 5)[2 * k : 2 * k + 2])
_HEARD = tuple(log("other_work_started", n * 400, run=f"o{n}", task="other") for n in range(650))


SCH002 = Rule(
    code="SCH002",
    slug="missed-run",
    severity="error",
    grain="task",
    doc="""A schedule that is otherwise regular left out a run.

    Why: What it does was not done, and no run says so.
    How to fix: Look at the schedule and at deploys at that time; a paused queue or a missing worker starts nothing.
    Not flagged: tasks with fewer than `least_runs` regular runs; times at which nothing else was heard of either;
    breaks that begin at the same time of another day.
    """,
    sentences=("17", "18"),
    needs=("runs",),
    options={"least_runs": 10},
    across=_missing,
    message="Runs of a regular schedule are missing.",
    remedy="Check the schedule, the deploys at that time, and whether a worker was there.",
    bad=(Case(logs=(*_BESIDE, *_without(5, _every(60, 11, 5)))),),
    good=(
        Case(logs=_every(60, 20, 5)),
        Case(logs=_without(9, _every(60, 20, 5)), say="nothing was heard of anything"),
        Case(logs=(*_BESIDE, *_without(5, _every(60, 10, 5))), say="too few to tell"),
        Case(logs=(*_HEARD, *_NIGHTS), say="it rests at night"),
    ),
)


def _late(frames: Frames, options: Options) -> pl.LazyFrame:
    phase = (pl.col("started_ns") - pl.col("anchor_ns")) % pl.col("interval_ns")
    half = pl.col("interval_ns") / 2
    centred = pl.when(phase > half).then(phase - pl.col("interval_ns")).otherwise(phase)
    late = centred - centred.median().over(_TASK)
    margin = pl.max_horizontal(pl.lit(float(options["minutes"] * 60 * SECOND_NS)), pl.col("interval_ns") * 0.1)
    return cadence(frames, options).filter(late > margin).select(*RUN, "task_id", "version", time_ns="started_ns")


SCH003 = Rule(
    code="SCH003",
    slug="late-start",
    severity="warning",
    grain="task",
    doc="""A scheduled run started late.

    Why: Something held its place: a full queue, or no worker.
    How to fix: Give scheduled work a queue of its own, or more slots.
    Not flagged: delays up to `minutes` or a tenth of the interval; irregular tasks.
    """,
    sentences=("17",),
    needs=("runs",),
    options={"minutes": 5, "least_runs": 10},
    across=_late,
    message="Scheduled runs start late.",
    bad=(Case(logs=_every(1800, 11, 5, but={10: 10 * 1800 + 310})),),
    good=(Case(logs=_every(1800, 24, 5, but={9: 9 * 1800 + 290})),),
)


def _double(frames: Frames, options: Options) -> pl.LazyFrame:
    group = [*_TASK, "schedule", "slot"]
    return (
        marked(frames)
        .filter(pl.col("slot").is_not_null() & ~pl.col("is_replay").fill_null(False))
        .sort("first_seen_ns", "run_key")
        .filter(pl.int_range(pl.len()).over(group) > 0)
        .select(*RUN, "task_id", "version", time_ns="first_seen_ns")
    )


SCH004 = Rule(
    code="SCH004",
    slug="double-fire",
    severity="warning",
    grain="task",
    doc="""One slot of one schedule made two runs.

    Why: Two schedules were made where one was meant, or a slot fired twice.
    How to fix: Pass `deduplicationKey` to `schedules.create`.
    Not flagged: replays; runs that do not log both their schedule and their slot.
    """,
    sentences=("20",),
    needs=("runs", "logs"),
    across=_double,
    message="One slot of a schedule made more than one run.",
    bad=(
        Case(
            logs=tuple(
                log("report_make_started", n, run=f"r{n}", schedule_id="sched_1", scheduled_at="2026-11-23T09:00:00Z")
                for n in range(2)
            )
        ),
    ),
    good=(
        Case(
            logs=tuple(
                log(
                    "report_make_started", n, run=f"r{n}", schedule_id=f"sched_{n}", scheduled_at="2026-11-23T09:00:00Z"
                )
                for n in range(2)
            )
        ),
    ),
)


def _long(frames: Frames, options: Options) -> pl.LazyFrame:
    lasted = pl.coalesce("active_ns", pl.col("ended_ns") - pl.col("started_ns"))
    return (
        cadence(frames, options)
        .with_columns(lasted=lasted)
        .filter((pl.col("lasted").quantile(0.95, "higher") > options["most_share"] * pl.col("interval_ns")).over(_TASK))
        .filter(pl.col("lasted") > options["most_share"] * pl.col("interval_ns"))
        .select(*RUN, "task_id", "version", time_ns="started_ns")
    )


SCH005 = Rule(
    code="SCH005",
    slug="longer-than-interval",
    severity="warning",
    grain="task",
    doc="""A scheduled task takes almost as long as the time between its runs.

    Why: One slow run, and they overlap or queue up.
    How to fix: Run it more rarely, or split the work.
    Not flagged: tasks whose 95th percentile is below `most_share` of the interval; irregular tasks.
    """,
    sentences=("21",),
    needs=("runs",),
    options={"most_share": 0.8, "least_runs": 10},
    across=_long,
    message="A scheduled task takes almost as long as the time between its runs.",
    bad=(Case(logs=_every(60, 12, 55)),),
    good=(Case(logs=_every(60, 12, 47)), Case(logs=_every(60, 9, 55), say="too few to tell")),
)

RULES = (SCH001, SCH002, SCH003, SCH004, SCH005)
