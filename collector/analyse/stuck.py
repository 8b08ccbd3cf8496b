"""Runs that take too long, and runs that retry now.

Enter: rows of `runs`, `attempts`, `phases`. Leave: one row a run. Only runs that are running, or that
fell silent, are judged: one in a queue or a wait is not at work. The clock starts with the attempt, waits are taken
off.
"""

from __future__ import annotations

import polars as pl

from collector.analyse import durations, survival
from collector.analyse.evidence import RUN
from collector.analyse.frames import Frame, population
from collector.model.statistics import ENOUGH, nearest_rank
from collector.model.units import MINUTE_NS
from collector.model.words import ENDED

TASK = ["project", "task_id", "environment", "platform_project"]
"""What is usual is learnt by."""
_LEAST_NS = MINUTE_NS
_TIMES = 3
_LOST_TIMES = 2
"""A run that has been silent for so many times as long as its task's at their quietest is silent for good."""


def usual(runs: Frame, attempts: Frame, phases: Frame, *, as_of_ns: int) -> pl.DataFrame:
    """Return what is usual: `TASK`, n (attempts that ended of themselves), long_ns, quiet_ns.

    `long_ns`: the greatest of three times the 95th percentile of an attempt, the 99th (both Kaplan-Meier's, open and
    canceled attempts included, waits taken off; where it is not reached, the longest that ended) and 60 s; NULL under
    20 attempts. `quiet_ns`: 99th percentile of the longest silence between an attempt's start, phases and end, NULL
    likewise; a task that logs more is silent for less.
    """
    about = runs.lazy().with_columns(population=population()).filter(pl.col("population") != "test")
    about = about.select(*RUN, *TASK[1:])
    lasting = (
        durations.of_attempts(runs, attempts, as_of_ns=as_of_ns)
        .filter(pl.col("measure") == "attempt")
        .join(
            attempts.lazy().select("project", "run_key", "number", "wait_ns"),
            on=["project", "run_key", "number"],
            how="left",
            nulls_equal=True,
        )
        .select(
            *TASK, is_open=survival.is_cut(), value_ns=(pl.col("value_ns") - pl.col("wait_ns").fill_null(0)).clip(0)
        )
        .collect()
    )
    curves = survival.quantiles(lasting, TASK, [950, 990])
    p95 = pl.col("value").filter(pl.col("permille") == 950).first()
    p99 = pl.col("value").filter(pl.col("permille") == 990).first()
    # A percentile the curve does not reach is longer than all that ended. What still runs is what is to be judged.
    ended = lasting.filter(~pl.col("is_open")).group_by(TASK).agg(longest_ended=pl.col("value_ns").max())
    seen = pl.col("longest_ended").first().cast(pl.Float64)
    long = (
        curves.join(ended, on=TASK, how="left", nulls_equal=True)
        .group_by(TASK)
        .agg(
            n=pl.col("n").first(),
            long_ns=pl.max_horizontal(_TIMES * p95.fill_null(seen), p99.fill_null(seen), pl.lit(float(_LEAST_NS))),
        )
    )
    silences = _silences(attempts, phases).join(about, on=RUN, how="inner", nulls_equal=True)
    quiet = (
        silences.group_by(TASK)
        .agg(m=pl.len(), sorted=pl.col("silence_ns").sort())
        .with_columns(rank=(pl.col("m").cast(pl.Int64) * 990 + 999) // 1000)
        .select(
            *TASK,
            quiet_ns=pl.when(pl.col("m") >= ENOUGH).then(pl.col("sorted").list.get(pl.col("rank") - 1)),
        )
        .collect(engine="streaming")
    )
    return (
        long.join(quiet, on=TASK, how="left", nulls_equal=True)
        .select(
            *TASK,
            "n",
            "quiet_ns",
            long_ns=pl.when(pl.col("n") >= ENOUGH).then(pl.col("long_ns").cast(pl.Int64)),
        )
        .sort(TASK, nulls_last=True)
    )


def _silences(attempts: Frame, phases: Frame) -> pl.LazyFrame:
    """Return the longest silence of each attempt that ended: `RUN`, silence_ns."""
    key = [*RUN, "number"]
    over = attempts.lazy().filter(pl.col("status").is_in(ENDED) & pl.col("ended_ns").is_not_null())
    signs = phases.lazy().select(*RUN, number="attempt", a="started_ns", b="ended_ns")
    times = pl.concat(
        [
            over.select(*key, t="started_ns"),
            over.select(*key, t="ended_ns"),
            signs.select(*key, t="a"),
            signs.select(*key, t="b"),
        ]
    ).filter(pl.col("t").is_not_null())
    return (
        times.join(over.select(*key, "started_ns", "ended_ns"), on=key, how="inner", nulls_equal=True)
        .filter((pl.col("t") >= pl.col("started_ns")) & (pl.col("t") <= pl.col("ended_ns")))
        .sort(*key, "t")
        .with_columns(gap=pl.col("t").diff().over(key))
        .group_by(key)
        .agg(silence_ns=pl.col("gap").max().fill_null(0))
        .select(*RUN, "silence_ns")
    )


def stages(runs: Frame, attempts: Frame, usual_: Frame, *, as_of_ns: int, lost_since_ns: int = 0) -> pl.DataFrame:
    """Return runs that take unusually long, the longest first: `TASK`, run_key, run_id, queue, number, stage, ….

    `stage`: long (the attempt is), silent (no record for longer than usual), stuck (both), lost (its status is unknown,
    and it has been silent for more than twice as long as is usual: that was so after *lost_since_ns*; where nobody
    knows what is usual it was lost when last seen). Further columns: since_ns (start of the attempt), active_ns (its
    time so far, of a run that fell silent until then, less waits that ended), silent_ns, long_ns, quiet_ns, n (from
    `usual`). Runs of tasks without enough history have stage NULL and are kept: nobody can tell.
    """
    is_open = pl.col("status") == "running"
    fell_silent = (pl.col("status") == "unknown") & (pl.col("log_count") > 0)
    good_ns = (_LOST_TIMES * pl.col("quiet_ns")).fill_null(0)
    running = (
        runs.lazy()
        .with_columns(population=population())
        .filter((pl.col("population") != "test") & (is_open | fell_silent))
        .join(usual_.lazy(), on=TASK, how="left", nulls_equal=True)
        .filter(is_open | (pl.col("last_seen_ns") + good_ns >= lost_since_ns))
    )
    last = (
        attempts.lazy()
        .sort(*RUN, "number")
        .unique(RUN, keep="last", maintain_order=True)
        .filter(pl.col("ended_ns").is_null())
        .select(*RUN, "number", since_ns="started_ns", waited_ns=pl.col("wait_ns").fill_null(0))
    )
    is_lost = fell_silent & (as_of_ns - pl.col("last_seen_ns") > good_ns)
    until = pl.when(fell_silent).then("last_seen_ns").otherwise(as_of_ns)
    is_long = pl.col("active_ns") > pl.col("long_ns")
    is_silent = pl.col("silent_ns") > pl.col("quiet_ns")
    judged = (
        running.join(last, on=RUN, how="inner", nulls_equal=True)
        .with_columns(
            active_ns=(until - pl.col("since_ns") - pl.col("waited_ns")).clip(0),
            silent_ns=as_of_ns - pl.col("last_seen_ns"),
        )
        .with_columns(
            stage=pl.when(is_lost)
            .then(pl.lit("lost"))
            .when(is_long & is_silent)
            .then(pl.lit("stuck"))
            .when(is_long)
            .then(pl.lit("long"))
            .when(is_silent)
            .then(pl.lit("silent"))
            .when(is_long.is_not_null())
            .then(pl.lit("usual"))
        )
    )
    return (
        judged.filter(pl.col("stage").is_null() | (pl.col("stage") != "usual"))
        .select(
            *TASK,
            "run_key",
            "run_id",
            "queue",
            "number",
            "stage",
            "since_ns",
            "active_ns",
            "silent_ns",
            "long_ns",
            "quiet_ns",
            "n",
        )
        .sort("active_ns", "run_key", descending=[True, False])
        .collect(engine="streaming")
    )


def quietest_ns(usual_: pl.DataFrame) -> int:
    """Return after what silence at most a run of any task in *usual_* is lost."""
    return _LOST_TIMES * int(usual_["quiet_ns"].max() or 0)  # type: ignore[arg-type]


def usual_gaps(runs: Frame, attempts: Frame) -> pl.DataFrame:
    """Return how soon retries begin: `TASK`, number (after which attempt), n, half_ns, most_ns (median and 95 %)."""
    gaps = (
        durations.of_attempts(runs, attempts, as_of_ns=0)
        .filter(pl.col("measure") == "gap")
        .group_by(*TASK, number=pl.col("number") - 1)
        .agg(n=pl.len().cast(pl.Int64), sorted=pl.col("value_ns").sort())
        .collect(engine="streaming")
    )
    return gaps.select(*TASK, "number", "n", half_ns=_rank(gaps, 500, least=5), most_ns=_rank(gaps, 950, least=ENOUGH))


def retrying(runs: Frame, attempts: Frame, gaps: Frame) -> pl.DataFrame:
    """Return runs that retry now, the longest since their first attempt first.

    *gaps*: `usual_gaps`, of the same runs or others. `state`: waiting (the last attempt failed and the next has not
    begun) or running (a retry is). Columns: `TASK`,
    run_key, run_id, queue, state, number (attempts so far), since_ns (first start), failed_ns, error_type,
    error_message, error_group; for waiting ones expected_ns and late_ns: when half and 95 % of the task's retries after
    the same attempt had begun, from n of them (NULL under 20; the median from 5), and given_up_ns: when runwell takes
    the run for failed. `provenance`: of failed_ns, inferred where nobody saw the attempt end.
    """
    counted = runs.lazy().with_columns(population=population()).filter(pl.col("population") != "test")
    last = (
        attempts.lazy()
        .sort(*RUN, "number")
        .with_columns(
            before_ns=pl.col("ended_ns").shift(1).over(RUN),
            **{f"last_{name}": pl.col(name).shift(1).over(RUN) for name in ("error_type", "error_group")},
            before_source=pl.col("ended_source").shift(1).over(RUN),
            goes_on=(pl.col("status") == "interrupted").shift(1).over(RUN).fill_null(False),
        )
        .unique(RUN, keep="last", maintain_order=True)
        .select(
            *RUN,
            "number",
            "before_ns",
            "before_source",
            "last_error_type",
            "last_error_group",
            "goes_on",
            last_ended_ns="ended_ns",
            last_source="ended_source",
        )
    )
    waits = pl.col("status") == "retrying"
    return (
        counted.filter(waits | (pl.col("status").is_in(["running", "waiting"])))
        .join(last, on=RUN, how="inner", nulls_equal=True)
        .filter(waits | ((pl.col("number") > 1) & ~pl.col("goes_on")))
        .join(gaps.lazy(), on=[*TASK, "number"], how="left", nulls_equal=True)
        .with_columns(failed_ns=pl.when(waits).then("last_ended_ns").otherwise("before_ns"))
        .select(
            *TASK,
            "run_key",
            "run_id",
            "queue",
            state=pl.when(waits).then(pl.lit("waiting")).otherwise(pl.lit("running")),
            number="number",
            since_ns="started_ns",
            failed_ns="failed_ns",
            error_type=pl.coalesce("error_type", "last_error_type"),
            error_message="error_message",
            error_group=pl.coalesce("error_group", "last_error_group"),
            expected_ns=pl.when(waits).then(pl.col("failed_ns") + pl.col("half_ns")),
            late_ns=pl.when(waits).then(pl.col("failed_ns") + pl.col("most_ns")),
            n=pl.when(waits).then(pl.col("n").fill_null(0)),
            given_up_ns=pl.when(waits).then("due_ns"),
            provenance=pl.when(pl.when(waits).then("last_source").otherwise("before_source") == "inferred")
            .then(pl.lit("inferred"))
            .otherwise(pl.lit("derived")),
        )
        .sort("since_ns", "run_key", nulls_last=True)
        .collect(engine="streaming")
    )


def _rank(gaps: pl.DataFrame, permille: int, *, least: int) -> pl.Series:
    """Return the nearest-rank percentile of each row's sorted list, NULL where it is shorter than *least*."""
    ranks = pl.Series([nearest_rank(n, permille) - 1 for n in gaps["n"].to_list()], dtype=pl.Int64)
    values = gaps["sorted"].list.get(ranks)
    return gaps.select(pl.when(pl.col("n") >= least).then(values)).to_series()
