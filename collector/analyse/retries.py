"""Retries: how often runs retry, whether that helps, and what it costs.

Enter: rows of `run_cohorts`, `attempt_hours`, `duration_hours`. Leave: numbers. Rates of runs belong to the hour of the
first attempt's start and leave out hours in which a retry may still follow (where runs themselves are counted, such
runs), ended ones included: leaving out only the open ones would favour the quick. Sums of rates are never taken;
numerators and denominators are added up.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import replace

import polars as pl

from collector.analyse import percentiles
from collector.analyse.frames import Frame
from collector.analyse.numbers import (
    Number,
    count,
    inverse_share,
    mean_bounds,
    provenance,
    ratio,
    rows,
    share,
    total,
    weakness,
    wilson,
)
from collector.model.believable import LONGEST_NS
from collector.model.units import HOUR_NS
from collector.model.words import DECIDED, FAILED, OPEN, STOPPED

_APART = ("canceled", "expired", "skipped")
"""Outcomes that no rate of failure or success counts, nor its coverage."""
TOO_YOUNG = "only runs so young that a retry may still follow"
HORIZON = ["project", "task_id", "environment", "platform_project"]
"""What a retry horizon is kept by."""


def horizon(cohorts: Frame, durations: Frame, *, floor_ns: int) -> pl.DataFrame:
    """Return for how long after its start a run may still retry: `HORIZON`, horizon_ns.

    As many times the 95th percentile of an attempt and of the time between two as a run of the task was ever
    retried, and at least *floor_ns*, within which a failed run counts as retrying.
    """
    most = cohorts.lazy().group_by(HORIZON).agg(retries=(pl.col("attempts").max() - 1).fill_null(0).clip(0))
    p95 = percentiles.from_buckets(
        durations.lazy().filter(pl.col("measure").is_in(["attempt", "gap"])), [*HORIZON, "measure"], 950
    )
    each = p95.group_by(HORIZON).agg(step_ns=pl.col("estimate_ns").sum())
    return (
        most.join(each, on=HORIZON, how="left", nulls_equal=True)
        .select(
            *HORIZON,
            # Ten thousand retries a year apart do not fit in 64 bits; nothing is waited for so long.
            horizon_ns=pl.max_horizontal(
                (pl.col("retries").cast(pl.Int128) * pl.col("step_ns").fill_null(0))
                .clip(upper_bound=LONGEST_NS)
                .cast(pl.Int64),
                pl.lit(floor_ns),
            ),
        )
        .sort(HORIZON, nulls_last=True)
        .collect(engine="streaming")
    )


def _aged(rows_: Frame, horizons: Frame | int) -> pl.LazyFrame:
    """Add `horizon_ns` to rows that have the columns of `HORIZON`."""
    lazy = rows_.lazy()
    if isinstance(horizons, int):
        return lazy.with_columns(horizon_ns=pl.lit(horizons, pl.Int64))
    most = horizons.lazy().select(pl.col("horizon_ns").max()).collect().item() or 0
    return lazy.join(horizons.lazy(), on=HORIZON, how="left", nulls_equal=True).with_columns(
        pl.col("horizon_ns").fill_null(most)
    )


def mature(runs: Frame, horizons: Frame | int, *, as_of_ns: int) -> pl.LazyFrame:
    """Return the rows of `runs` that started so long ago that none of them can still retry."""
    return judged_runs(runs, horizons, as_of_ns=as_of_ns).filter("is_mature").drop("is_mature")


def judged_runs(runs: Frame, horizons: Frame | int, *, as_of_ns: int) -> pl.LazyFrame:
    """Add `is_mature` to rows of `runs` or of `cohorts.per_run`: the run can no longer retry."""
    is_old = pl.col("started_ns") + pl.col("horizon_ns") <= as_of_ns
    return _aged(runs, horizons).with_columns(is_mature=is_old.fill_null(False)).drop("horizon_ns")


def ripe(cohorts: Frame, horizons: Frame | int, *, as_of_ns: int) -> pl.LazyFrame:
    """Return those rows of `run_cohorts` that `judged` calls mature."""
    return judged(cohorts, horizons, as_of_ns=as_of_ns).filter("is_mature").drop("is_mature", "horizon_ns")


def report(
    cohorts: Frame,
    by: Sequence[str],
    *,
    as_of_ns: int,
    horizons: Frame | int,
    measures: Collection[str] = (),
) -> pl.DataFrame:
    """Return the numbers of runs in rows of `run_cohorts`, grouped by columns *by* of it; only *measures* if there are.

    *horizons*: from `horizon`, or one for all; with 0 the rows are taken as they are (made of `mature` runs).
    """
    wanted = [number for number in _numbers() if not measures or number.measure in measures]
    return rows(_sums(judged(cohorts, horizons, as_of_ns=as_of_ns), by), by, wanted or _numbers())


def judged(cohorts: Frame, horizons: Frame | int, *, as_of_ns: int) -> pl.LazyFrame:
    """Add `is_mature` to rows of `run_cohorts`: no run of their hours can still retry. All are with horizon 0.

    Rows that say it of their own runs are taken at their word.
    """
    if "is_mature" in cohorts.lazy().collect_schema():
        return cohorts.lazy().with_columns(horizon_ns=pl.lit(0, pl.Int64))
    whole = pl.lit(True) if isinstance(horizons, int) and horizons == 0 else _is_ripe(as_of_ns)
    return _aged(cohorts, horizons).with_columns(is_mature=whole)


def _is_ripe(as_of_ns: int) -> pl.Expr:
    return pl.col("hour_ns") + HOUR_NS + pl.col("horizon_ns") <= as_of_ns


def _sums(hours: pl.LazyFrame, by: Sequence[str]) -> pl.LazyFrame:
    ok = pl.col("is_mature")
    n, runs = pl.col("attempts").cast(pl.Int64), pl.col("runs")
    ended = pl.col("ended_runs")
    completed, failed = pl.col("outcome") == "completed", pl.col("outcome").is_in(FAILED)
    over = completed | failed

    def added(value: pl.Expr, where: pl.Expr | None = None) -> pl.Expr:
        return pl.when(ok if where is None else ok & where).then(value).otherwise(0).sum()

    sums = ["wasted", "backoff", "latency"]
    return hours.group_by(by).agg(
        immature=runs.filter(~ok).sum(),
        runs=added(runs),
        ended=added(ended),
        retried=added(ended, n > 1),
        n_sum=added(n * ended),
        n_squares=added(n * n * ended),
        over=added(runs, over),
        completed=added(runs, completed),
        failed=added(runs, failed),
        first=added(runs, completed & (n == 1)),
        recovered=added(runs, completed & (n > 1)),
        retried_over=added(runs, over & (n > 1)),
        apart=added(runs, pl.col("outcome").is_in(_APART)),
        **{f"{s}_n": added(pl.col(f"{s}_runs")) for s in sums},
        **{f"{s}_ns": added(pl.col(f"{s}_ns")) for s in sums},
        **{f"{s}_n": added(pl.col(f"{s}_runs")) for s in ("cost", "wasted_cost")},
        **{f"{s}_nanocents": added(pl.col(f"{s}_nanocents")) for s in ("cost", "wasted_cost")},
        **{f"guessed_{s}": pl.when((ok & (pl.col(f"inferred_{s}_runs") > 0)).any()).then(2).otherwise(0) for s in sums},
        weak=weakness("runs", ok & (ended > 0)),
        weak_over=weakness("runs", ok & over),
        weak_retried=weakness("runs", ok & over & (n > 1)),
    )


def _numbers() -> list[Number]:
    c = pl.col
    counted = c("runs") - c("apart")
    low, high = mean_bounds(c("n_sum"), c("n_squares"), c("ended"))
    per_run = ratio(c("n_sum"), c("ended"))
    coverage = ratio(c("ended"), c("runs"))
    young = pl.when((c("runs") == 0) & (c("immature") > 0)).then(pl.lit(TOO_YOUNG))

    def of_over(measure: str, hits: str) -> Number:
        return share(measure, c(hits), c("over"), of=counted, weakness=c("weak_over"))

    def summed(measure: str, name: str, *, of: str, weak: str) -> list[Number]:
        weak_ = pl.max_horizontal(weak, f"guessed_{name}")
        return total(measure, "ns", c(f"{name}_ns"), c(f"{name}_n"), of=c(of), weakness=weak_)

    numbers = [
        share("run_retry_rate", c("retried"), c("ended"), of=c("runs"), weakness=c("weak")),
        Number(
            "attempts_per_run",
            "mean",
            "attempts",
            per_run,
            low=low.clip(1),
            high=high,
            n=c("ended"),
            coverage=coverage,
            weakness=c("weak"),
        ),
        Number(
            "attempt_retry_ratio",
            "share",
            "share",
            1 - 1 / per_run,
            low=1 - 1 / low.clip(1),
            high=1 - 1 / high,
            n=c("ended"),
            coverage=coverage,
            weakness=c("weak"),
        ),
        of_over("run_failure_rate", "failed"),
        of_over("run_success_rate", "completed"),
        of_over("first_attempt_success", "first"),
        of_over("masked_failure", "recovered"),
        share("eventual_success", c("recovered"), c("retried_over"), of=c("retried"), weakness=c("weak_retried")),
        *summed("wasted_time", "wasted", of="ended", weak="weak"),
        *summed("backoff_time", "backoff", of="retried", weak="weak"),
        *summed("retry_latency", "latency", of="recovered", weak="weak_retried"),
        *total("cost", "nanocents", c("cost_nanocents"), c("cost_n"), of=c("runs"), weakness=pl.lit(0)),
        *total(
            "wasted_cost",
            "nanocents",
            c("wasted_cost_nanocents"),
            c("wasted_cost_n"),
            of=c("ended"),
            weakness=c("weak"),
        ),
    ]
    return [
        *(replace(number, note=young.otherwise(number.note)) for number in numbers),
        count("immature_runs", c("immature")),
    ]


def attempts(hours: Frame, by: Sequence[str]) -> pl.DataFrame:
    """Return the numbers of attempts in rows of `attempt_hours`, grouped by columns *by* of it.

    Attempts that left no record count as what they are, failed ones before a later one, and are what coverage lacks.
    Those that were canceled, skipped or let go neither failed nor succeeded.
    """
    n = pl.col("attempts")
    over = pl.col("outcome").is_in(DECIDED)
    again = pl.col("number") > 1
    sums = (
        hours.lazy()
        .group_by(by)
        .agg(
            attempts=n.sum(),
            lost=pl.col("lost_attempts").sum(),
            ended=n.filter(over).sum(),
            failed=n.filter(pl.col("outcome").is_in(FAILED)).sum(),
            apart=n.filter(pl.col("outcome").is_in([*STOPPED, "skipped"])).sum(),
            again=n.filter(again).sum(),
            weak=weakness("attempts", over),
            weak_all=weakness("attempts"),
        )
    )
    c = pl.col
    load, low, high = inverse_share(c("attempts") - c("again"), c("attempts"))
    counted = c("attempts") - c("apart")
    rate = share("attempt_failure_rate", c("failed"), c("ended"), of=counted, weakness=c("weak"))
    return rows(
        sums,
        by,
        [
            replace(rate, coverage=ratio(c("ended") - c("lost"), counted)),
            Number(
                "load_amplification",
                "mean",
                "attempts",
                load,
                n=c("attempts"),
                low=low,
                high=high,
                coverage=ratio(c("attempts") - c("lost"), c("attempts")),
                weakness=c("weak_all"),
            ),
        ],
    )


def funnel(cohorts: Frame, by: Sequence[str], *, hours: Frame | None = None) -> pl.DataFrame:
    """Return what came of attempt 1, 2, … of the runs in rows of `run_cohorts` (made of mature runs or hours).

    Columns: *by*, attempt, reached (runs that got so far), succeeded, retried (another followed), failed (for good),
    canceled, skipped, open, unknown; n (succeeded, retried or failed), yield (succeeded / n) with low and high,
    provenance and coverage (n among reached, less lost); lost: how many of the retried left no record, from rows of
    `attempt_hours` of the same *hours* (with the version of their runs), 0 without;
    lost_recoveries and saved_attempts: what a limit of that many attempts would have cost and spared.
    """
    counted = cohorts.lazy().filter(pl.col("attempts").is_not_null())
    per_n = counted.group_by(*by, "attempts").agg(
        ended=pl.col("runs").sum(),
        weak=weakness("runs"),
        **{
            name: pl.col("runs").filter(pl.col("outcome").is_in(words)).sum()
            for name, words in {
                "succeeded": ["completed"],
                "failed": FAILED,
                "canceled": ["canceled"],
                "skipped": ["skipped"],
                "open": OPEN,
                "unknown": ["unknown", "expired"],
            }.items()
        },
    )
    every = per_n.group_by(by).agg(attempt=pl.int_ranges(1, pl.col("attempts").max() + 1).first()).explode("attempt")
    key = [*by, "attempt"]
    later = pl.col("ended").cum_sum(reverse=True)
    counts = ["ended", "succeeded", "failed", "canceled", "skipped", "open", "unknown"]
    table = (
        every.with_columns(pl.col("attempt").cast(pl.Int32))
        .join(per_n.rename({"attempts": "attempt"}), on=key, how="left", nulls_equal=True)
        .pipe(_with_lost, hours, key)
        .with_columns(pl.col(*counts, "lost").fill_null(0).cast(pl.Int64))
        .sort(*key, nulls_last=True)
        .with_columns(reached=later.over(by), weak=pl.col("weak").fill_null(0).cum_max(reverse=True).over(by))
        .with_columns(weak=pl.max_horizontal("weak", (pl.col("lost") > 0).cast(pl.Int32)))
        .with_columns(retried=pl.col("reached") - pl.col("ended"))
        .with_columns(n=pl.col("succeeded") + pl.col("retried") + pl.col("failed"))
        .with_columns(
            lost_recoveries=pl.col("succeeded").cum_sum(reverse=True).over(by) - pl.col("succeeded"),
            saved_attempts=pl.col("reached").cum_sum(reverse=True).over(by) - pl.col("reached"),
        )
    )
    low, high = wilson(pl.col("succeeded"), pl.col("n"))
    return table.select(
        *key,
        "reached",
        "succeeded",
        "retried",
        "failed",
        "canceled",
        "skipped",
        "open",
        "unknown",
        "n",
        ratio(pl.col("succeeded"), pl.col("n")).alias("yield"),
        low=low,
        high=high,
        provenance=provenance(pl.col("n") > 0, pl.col("weak")),
        coverage=ratio((pl.col("n") - pl.col("lost")).clip(0), pl.col("reached")),
        lost="lost",
        lost_recoveries="lost_recoveries",
        saved_attempts="saved_attempts",
    ).collect(engine="streaming")


def _with_lost(table: pl.LazyFrame, hours: Frame | None, key: list[str]) -> pl.LazyFrame:
    """Add `lost` to rows of attempts, from rows of `attempt_hours`."""
    if hours is None:
        return table.with_columns(lost=0)
    rows_ = hours.lazy().rename({"number": "attempt"}).group_by(key).agg(lost=pl.col("lost_attempts").sum())
    return table.join(rows_, on=key, how="left", nulls_equal=True)
