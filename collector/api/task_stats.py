"""Statistics of tasks and their runs: reads what is needed, within bounds, and lets `analyse` make numbers of it."""

from __future__ import annotations

import polars as pl

from collector.analyse import calls, durations, percentiles, retries, stuck, throughput, trees
from collector.analyse.frames import COHORT, population
from collector.api.question import Question, counted_until, past
from collector.model.tables import PUBLIC
from collector.model.units import HOUR_NS
from collector.store import statistics
from collector.store.handle import Handle

EXACT_RUNS = 5_000
"""Most runs of which percentiles are taken exactly; beyond, they are estimated from the hourly histograms."""
_MOST_RELATED = 20_000
"""Most runs that trees are made from, the newest."""
_MOST_USUAL = 20_000
"""Runs that tell what is usual for a task, the newest."""
_LOST_NS = 24 * HOUR_NS
_MOST_RETRIED = 2_000
"""Retried runs that tell how soon a retry usually begins."""


def _sums(table: str, *keys: str) -> list[str]:
    return [c for c in PUBLIC[table].names if c not in {*COHORT, *keys}]


def _horizon(h: Handle, q: Question) -> pl.DataFrame:
    """Return the retry horizons at the question's time, from the week before."""
    return q.basis.learned("horizon", q.choice.project, q.as_of_ns, lambda: _learn_horizon(h, q))


def _learn_horizon(h: Handle, q: Question) -> pl.DataFrame:
    week = past(q)
    cohorts = statistics.summed(h, "run_cohorts", week, [*retries.HORIZON, "attempts"], ["runs"], also="attempts > 1")
    measured = statistics.summed(
        h, "duration_hours", week, [*retries.HORIZON, "measure", "ix"], ["n"], also="measure IN ('attempt', 'gap')"
    )
    return retries.horizon(cohorts, measured, floor_ns=q.basis.grace_ns)


def _cohorts(h: Handle, q: Question) -> pl.DataFrame:
    """Return what retry numbers are summed from; hours in which nothing can still retry are one, unless asked for."""
    return _until_ripe(h, q, "run_cohorts", ["attempts", "outcome"], _sums("run_cohorts", "attempts", "outcome"))


def _until_ripe(
    h: Handle, q: Question, table: str, keys: list[str], sums: list[str], *, of_runs: bool = False
) -> pl.DataFrame:
    keys = list(dict.fromkeys(["hour_ns", *retries.HORIZON, *q.by, *keys]))
    longest = max(q.basis.grace_ns, int(_horizon(h, q)["horizon_ns"].max() or 0))  # type: ignore[arg-type]
    ripe_ns = 0 if "hour_ns" in q.by else q.as_of_ns - longest
    return statistics.summed(h, table, q.choice, keys, sums, ripe_ns=ripe_ns, of_runs=of_runs)


def retry(h: Handle, q: Question) -> pl.DataFrame:
    """Rates of runs that retry, fail and recover, what that costs; and rates of attempts."""
    by = list(q.by)
    runs = retries.report(_cohorts(h, q), by, as_of_ns=q.as_of_ns, horizons=_horizon(h, q))
    counts = ["attempts", "lost_attempts", "derived_attempts", "inferred_attempts"]
    hours = statistics.summed(h, "attempt_hours", q.choice, [*by, "number", "outcome"], counts)
    return pl.concat([runs, retries.attempts(hours, by)])


def funnel(h: Handle, q: Question) -> pl.DataFrame:
    """What came of attempt 1, 2, …: reached, succeeded, retried, failed; yield with interval."""
    cohorts = _cohorts(h, q)
    hours = _until_ripe(h, q, "attempt_hours", ["number"], ["lost_attempts"], of_runs=True)
    ripe = [retries.ripe(rows, _horizon(h, q), as_of_ns=q.as_of_ns) for rows in (cohorts, hours)]
    return retries.funnel(ripe[0], list(q.by), hours=ripe[1])


def duration(h: Handle, q: Question) -> pl.DataFrame:
    """Percentiles of queue wait, execution, attempts, …: exact for up to 5,000 runs, else estimated."""
    if "hour_ns" not in q.by and statistics.count_runs(h, q.choice) <= EXACT_RUNS:
        v = statistics.started(h, q.choice, most=EXACT_RUNS)
        return percentiles.exact(_of(q, durations.values(v.runs, v.attempts, as_of_ns=q.as_of_ns)), list(q.by))
    return _estimated(h, q)


def tree(h: Handle, q: Question) -> pl.DataFrame:
    """Attempts per run of each generation of trees of runs, and their product, by task of the root."""
    v = statistics.related(h, q.choice, most=_MOST_RELATED)
    old = retries.mature(v.runs, _horizon(h, q), as_of_ns=q.as_of_ns)
    wanted = q.choice.population
    rows = trees.report(old if wanted is None else old.filter(population() == wanted), v.attempts)
    return rows if q.choice.task is None else rows.filter(pl.col("task_id") == q.choice.task)


def _of(q: Question, values: pl.LazyFrame) -> pl.LazyFrame:
    """Return the *values* of population and version that are asked for: a run and its attempts may be of several."""
    for column in ("population", "version"):
        wanted = getattr(q.choice, column)
        values = values if wanted is None else values.filter(pl.col(column) == wanted)
    return values


def _estimated(h: Handle, q: Question, measures: tuple[str, ...] = ()) -> pl.DataFrame:
    """Return estimates of all measures by outcome, or only of *measures*, for all outcomes together."""
    keys = [*q.by, "measure", *([] if measures else ["outcome"]), "ix"]
    also = f"measure IN ({', '.join(repr(m) for m in measures)})" if measures else "true"
    sums = _sums("duration_hours", "measure", "outcome", "ix")
    rows = statistics.summed(h, "duration_hours", q.choice, keys, sums, also=also)
    return percentiles.estimate(rows, list(q.by), outcomes=not measures)


def flow(h: Handle, q: Question) -> pl.DataFrame:
    """Arrivals, starts and ends, as counts and per hour."""
    rows = statistics.summed(h, "flow_hours", q.choice, [*q.by, "event"], _sums("flow_hours", "event", "outcome"))
    until = counted_until(h, q, q.choice)
    hourly = (until - pl.col("hour_ns")).clip(1, HOUR_NS)
    whole = max(1, until - q.choice.hours().from_ns)
    return throughput.report(rows, list(q.by), over_ns=hourly if "hour_ns" in q.by else whole)


def failures(h: Handle, q: Question) -> pl.DataFrame:
    """Failure rates with Wilson intervals, ranked by their lower bound."""
    by = list(dict.fromkeys(["project", *q.by]))
    return throughput.failures(_cohorts(h, q), by, as_of_ns=q.as_of_ns, horizons=_horizon(h, q))


def tasks(h: Handle, q: Question) -> pl.DataFrame:
    """One set of numbers per task: retries, failures, throughput, and estimated percentiles of waits and durations."""
    return pl.concat(
        [
            retry(h, q),
            flow(h, q),
            _estimated(h, q, ("queue_wait", "execution", "end_to_end")),
        ]
    )


def call(h: Handle, q: Question) -> pl.DataFrame:
    """Calls to services: how many, how often they fail, how many retries add; and how long steps take."""
    by = list(q.by)
    keys = [*by, *calls.STEP, "outcome", "ix"]
    rows = statistics.summed(h, "phase_hours", q.choice, keys, ["n", "ideal_n", "total_ns"])
    report = calls.report(rows, by)
    steps = calls.durations(rows, by).filter(pl.col("outcome").is_null())
    return pl.concat(
        [
            report.with_columns(operation=pl.lit(None, pl.String), phase=pl.lit("calling")).select(steps.columns),
            steps,
        ]
    )


def stuck_runs(h: Handle, q: Question) -> pl.DataFrame:
    """Runs that take unusually long, with the stage: long, silent, stuck, lost; NULL when nobody can tell."""
    usual = q.basis.learned("usual", q.choice.project, q.as_of_ns, lambda: _learn_usual(h, q))
    since_ns = q.as_of_ns - _LOST_NS
    now = statistics.open_runs(h, q.choice, lost_since_ns=since_ns - stuck.quietest_ns(usual))
    return stuck.stages(now.runs, now.attempts, usual, as_of_ns=q.as_of_ns, lost_since_ns=since_ns)


def _learn_usual(h: Handle, q: Question) -> pl.DataFrame:
    runs = statistics.started(h, past(q), most=_MOST_USUAL, phases=True)
    return stuck.usual(runs.runs, runs.attempts, runs.phases, as_of_ns=q.as_of_ns)


def retrying(h: Handle, q: Question) -> pl.DataFrame:
    """Runs that retry now: since when, what failed, when the next attempt is usually there."""
    gaps = q.basis.learned("gaps", q.choice.project, q.as_of_ns, lambda: _learn_gaps(h, q))
    now = statistics.open_runs(h, q.choice, lost_since_ns=q.as_of_ns)
    return stuck.retrying(now.runs, now.attempts, gaps)


def _learn_gaps(h: Handle, q: Question) -> pl.DataFrame:
    runs = statistics.started(h, past(q), most=_MOST_RETRIED, also="attempt_count > 1")
    return stuck.usual_gaps(runs.runs, runs.attempts)
