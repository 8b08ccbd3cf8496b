"""Statistics of tasks and their runs: reads what is needed, within bounds, and lets `analyse` make numbers of it.

What few runs touch is counted of these runs (`Question.runs`, `task_sums`), everything else of hourly tables.
"""

from __future__ import annotations

import polars as pl

from collector.analyse import calls, percentiles, retries, stuck, throughput, trees
from collector.analyse.frames import COHORT, population
from collector.api import task_sums
from collector.api.question import Question, counted_until, past
from collector.model.tables import PUBLIC
from collector.model.units import HOUR_NS
from collector.store import statistics
from collector.store.handle import Handle

_LASTING = ("queue_wait", "execution", "end_to_end")
"""Measures of time that a table of tasks shows."""
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
    # Also of tasks that were never retried: what is not known at all has the longest horizon there is.
    cohorts = statistics.summed(h, "run_cohorts", week, [*retries.HORIZON, "attempts"], ["runs"])
    keys, sums = [*retries.HORIZON, "measure", "ix"], ["n", "inferred_n"]
    measured = statistics.summed(h, "duration_hours", week, keys, sums, also="measure IN ('attempt', 'gap')")
    return retries.horizon(cohorts, measured, floor_ns=q.basis.grace_ns)


def _cohorts(h: Handle, q: Question) -> pl.DataFrame:
    """Return what retry numbers are summed from; hours in which nothing can still retry are one, unless asked for."""
    if q.runs is not None:
        return task_sums.cohorts(q, _horizon(h, q))
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
    horizons = _horizon(h, q)
    runs = retries.report(_cohorts(h, q), by, as_of_ns=q.as_of_ns, horizons=horizons, measures=q.measures)
    if not q.wants("attempt_failure_rate", "load_amplification"):
        return runs
    counts = ["attempts", "lost_attempts", "derived_attempts", "inferred_attempts"]
    if q.runs is not None:
        hours = task_sums.attempts(q)
    else:
        hours = statistics.summed(h, "attempt_hours", q.choice, [*by, "number", "outcome"], counts)
    return pl.concat([runs, retries.attempts(hours, by)])


def funnel(h: Handle, q: Question) -> pl.DataFrame:
    """What came of attempt 1, 2, …: reached, succeeded, retried, failed; yield with interval."""
    cohorts = _cohorts(h, q)
    if q.runs is not None:
        hours = task_sums.lost(q, _horizon(h, q))
    else:
        hours = _until_ripe(h, q, "attempt_hours", ["number"], ["lost_attempts"], of_runs=True)
    ripe = [retries.ripe(rows, _horizon(h, q), as_of_ns=q.as_of_ns) for rows in (cohorts, hours)]
    return retries.funnel(ripe[0], list(q.by), hours=ripe[1])


def duration(h: Handle, q: Question) -> pl.DataFrame:
    """Percentiles of queue wait, execution, attempts, …: exact for up to 5,000 runs, else estimated."""
    if q.runs is not None:
        return percentiles.exact(task_sums.durations_of(q), list(q.by))
    keys = [*q.by, "measure", "outcome", "ix"]
    rows = statistics.summed(h, "duration_hours", q.choice, keys, _sums("duration_hours", "measure", "outcome", "ix"))
    return percentiles.estimate(rows, list(q.by))


def _lasting(h: Handle, q: Question) -> pl.DataFrame:
    """Return what `duration` says of three measures, all outcomes together."""
    measures = [m for m in _LASTING if q.wants(m)]
    if q.runs is not None:
        values = task_sums.durations_of(q, attempts=False).filter(pl.col("measure").is_in(measures))
        return percentiles.exact(values, list(q.by), outcomes=False)
    also = f"measure IN ({', '.join(map(repr, measures))})"
    sums = _sums("duration_hours", "measure", "outcome", "ix")
    rows = statistics.summed(h, "duration_hours", q.choice, [*q.by, "measure", "outcome", "ix"], sums, also=also)
    return percentiles.estimate(rows, list(q.by), outcomes=False)


def tree(h: Handle, q: Question) -> pl.DataFrame:
    """Attempts per run of each generation of trees of runs, and their product, by task of the root."""
    v = statistics.related(h, q.choice, most=_MOST_RELATED)
    old = retries.mature(v.runs, _horizon(h, q), as_of_ns=q.as_of_ns)
    wanted = q.choice.population
    rows = trees.report(old if wanted is None else old.filter(population() == wanted), v.attempts)
    return rows if q.choice.task is None else rows.filter(pl.col("task_id") == q.choice.task)


def flow(h: Handle, q: Question) -> pl.DataFrame:
    """Runs, arrivals, starts and ends: counts, and per hour."""
    by = list(q.by)
    none = task_sums.unnamed(h, q) if q.choice.queue is not None or "queue" in by else None
    begun = _begun(h, q)
    runs = throughput.seen(begun if none is None else task_sums.begun_beside(q, begun, none), by)
    if not q.wants(*throughput.MEASURES):
        return runs
    if q.runs is not None:
        rows = task_sums.flow(q)
    else:
        rows = statistics.summed(h, "flow_hours", q.choice, [*by, "event"], _sums("flow_hours", "event", "outcome"))
    if none is not None:
        rows = task_sums.flow_beside(q, rows, none)
    until = counted_until(h, q, q.choice.to_ns)
    first, last = pl.col("hour_ns").clip(q.choice.from_ns), (pl.col("hour_ns") + HOUR_NS).clip(upper_bound=until)
    whole = max(1, until - q.choice.from_ns)
    over_ns = (last - first).clip(1) if "hour_ns" in by else whole
    return pl.concat([runs, throughput.report(rows, by, over_ns=over_ns)])


def _begun(h: Handle, q: Question) -> pl.DataFrame:
    """Return the runs that began in the range, started or not, by outcome, as rows with `runs` to add up."""
    if q.runs is not None:
        return task_sums.begun(q)
    sums = ["runs", "derived_runs", "inferred_runs"]
    started = statistics.summed(h, "run_cohorts", q.choice, [*q.by, "outcome"], sums)
    return pl.concat([started, task_sums.unstarted(h, q).select(started.columns)])


def failures(h: Handle, q: Question) -> pl.DataFrame:
    """Failure rates with Wilson intervals, ranked by their lower bound."""
    by = list(dict.fromkeys(["project", *q.by]))
    return throughput.failures(_cohorts(h, q), by, as_of_ns=q.as_of_ns, horizons=_horizon(h, q))


def tasks(h: Handle, q: Question) -> pl.DataFrame:
    """One set of numbers per task: retries, failures, throughput, and percentiles of waits and durations."""
    parts = [retry(h, q), flow(h, q)]
    return pl.concat([*parts, _lasting(h, q)] if q.wants(*_LASTING) else parts)


def call(h: Handle, q: Question) -> pl.DataFrame:
    """Calls to services: how many, how often they fail, how many retries add; and how long steps take."""
    by = list(q.by)
    if q.runs is not None:
        rows = task_sums.phases(q)
        steps = percentiles.exact(task_sums.steps_of(q), [*by, *calls.STEP])
    else:
        keys = [*by, *calls.STEP, "outcome", "ix"]
        rows = statistics.summed(h, "phase_hours", q.choice, keys, ["n", "ideal_n", "total_ns"])
        steps = calls.durations(rows, by)
    report, steps = calls.report(rows, by), steps.filter(pl.col("outcome").is_null())
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
