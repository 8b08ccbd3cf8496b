"""What statistics of tasks are summed from where few runs touch a range: the rows of hourly tables, but of it alone.

Enter: a question with the runs that touch its range. Leave: rows as the tables have them, of the runs that are asked
for; whether one can still retry is told of each run, not of its hour.
"""

from __future__ import annotations

import polars as pl

from collector.analyse import calls, durations, retries
from collector.analyse import cohorts as cohorts_
from collector.analyse.frames import COHORT, Frame, ended_as, hour_of, inside, population, rank
from collector.api.question import HISTORY_NS, Question
from collector.store import statistics
from collector.store import unnamed as of_none
from collector.store.handle import Handle
from collector.store.statistics import Timing

_SUMS = ["runs", "derived_runs", "inferred_runs"]
_NO_SUMS = [pl.lit(0, pl.Int64).alias(name) for name in _SUMS]


def _runs(q: Question) -> Timing:
    assert q.runs is not None
    return q.runs


def _of(q: Question, rows: pl.LazyFrame) -> pl.LazyFrame:
    """Return those *rows* of population and version that are asked for: a run and its attempts may be of several."""
    for column in ("population", "version"):
        wanted = getattr(q.choice, column)
        rows = rows if wanted is None else rows.filter(pl.col(column) == wanted)
    return rows


def cohorts(q: Question, horizons: Frame) -> pl.DataFrame:
    """Return rows of `run_cohorts` with `is_mature`."""
    v = _runs(q)

    def make() -> pl.DataFrame:
        each = cohorts_.per_run(v.runs, v.attempts).filter(inside("started_ns", q.window()))
        told = retries.judged_runs(_of(q, each), horizons, as_of_ns=q.as_of_ns)
        return cohorts_.summed(told, [*COHORT, "attempts", "outcome", "is_mature"]).collect()

    return q.once("cohorts", make)


def lost(q: Question, horizons: Frame) -> pl.DataFrame:
    """Return, of rows of `attempt_hours` of runs that cannot retry any more, what left no record, by their version."""
    v = _runs(q)
    old = retries.mature(v.runs, horizons, as_of_ns=q.as_of_ns)
    rows = cohorts_.lost(old, v.attempts, q.window()).with_columns(version="run_version", lost_attempts="attempts")
    return _of(q, rows).with_columns(is_mature=pl.lit(True)).collect()


def attempts(q: Question) -> pl.DataFrame:
    """Return rows of `attempt_hours`."""
    v = _runs(q)
    rows = q.once("attempts", lambda: cohorts_.attempt_hours(v.runs, v.attempts, q.window()))
    return _of(q, rows.lazy()).collect()


def flow(q: Question) -> pl.DataFrame:
    """Return rows of `flow_hours`."""
    rows = q.once("flow", lambda: cohorts_.flow_hours(_runs(q).runs, q.window()))
    return _of(q, rows.lazy()).collect()


def begun(q: Question) -> pl.DataFrame:
    """Return the runs that began in the range, started or not, a row each, with the sums of `run_cohorts`."""
    return _of(q, _counted(_runs(q).runs).filter(inside("at_ns", q.window()))).collect()


def unstarted(h: Handle, q: Question) -> pl.DataFrame:
    """Return the runs of the range that never started, which no hourly table counts as runs; likewise."""
    return _of(q, _counted(statistics.unstarted(h, q.choice))).collect()


def _counted(runs: Frame) -> pl.LazyFrame:
    weakness = rank("status_source", "attempt_count_source")
    return (
        runs.lazy()
        .with_columns(population=population(), hour_ns=hour_of("at_ns"), outcome=ended_as(), runs=pl.lit(1, pl.Int64))
        .with_columns(
            (weakness == n).cast(pl.Int64).alias(f"{word}_runs") for n, word in ((1, "derived"), (2, "inferred"))
        )
        .filter(pl.col("population") != "test")
    )


def unnamed(h: Handle, q: Question) -> pl.DataFrame:
    """Return the runs that name no queue and never started, a row for each queue they may be of (`store.unnamed`)."""
    return of_none.runs(h, q.choice, since_ns=min(q.choice.from_ns, q.choice.to_ns - HISTORY_NS))


def begun_beside(q: Question, begun: pl.DataFrame, runs: pl.DataFrame) -> pl.DataFrame:
    """Return *begun*, and as `maybe_runs` in each of their queues those of the *runs* that are `unnamed`."""
    told = _of(q, _counted(_asked(q, runs)).filter(inside("at_ns", q.window()))).collect()
    keys = [*q.by, "outcome"]
    return pl.concat([begun.select(*keys, *_SUMS), told.select(*keys, *_NO_SUMS, maybe_runs="runs")], how="diagonal")


def flow_beside(q: Question, flow: pl.DataFrame, runs: pl.DataFrame) -> pl.DataFrame:
    """Return rows of *flow* with each of the *runs* that are `unnamed` in the only queue it may be of, inferred.

    It counts in no queue no more. One that may be of several counts as `maybe_runs` in each.
    """
    by = [*q.by, "event"]

    def counted(some: pl.DataFrame) -> pl.DataFrame:
        return _of(q, cohorts_.flow_hours(some, q.window()).lazy()).select(*by, *_SUMS).collect()

    only = runs.filter("is_only")
    parts = [
        flow.select(*by, *_SUMS),
        counted(_asked(q, only)).with_columns(derived_runs=pl.lit(0, pl.Int64), inferred_runs="runs"),
        counted(_asked(q, runs.filter(~pl.col("is_only")))).select(*by, *_NO_SUMS, maybe_runs="runs"),
    ]
    if q.choice.queue is None:
        parts.append(counted(only.with_columns(queue=pl.lit(None, pl.String))).with_columns(-pl.col(_SUMS)))
    every = pl.concat(parts, how="diagonal").group_by(by).agg(pl.col(*_SUMS, "maybe_runs").sum())
    return every.filter(pl.col("runs") + pl.col("maybe_runs") > 0)


def _asked(q: Question, runs: pl.DataFrame) -> pl.DataFrame:
    return runs.filter(*statistics.of_queue(q.choice))


def durations_of(q: Question, *, attempts: bool = True) -> pl.LazyFrame:
    """Return rows of `durations.values` of what started in the range; without *attempts* only those of runs."""
    v = _runs(q)

    def make() -> pl.DataFrame:
        told = durations.values if attempts else durations.of_runs
        rows = told(v.runs, v.attempts, as_of_ns=q.as_of_ns, unknown=True)
        return _of(q, rows.filter(inside("started_ns", q.window()))).collect()

    return q.once(f"durations {attempts}", make).lazy()


def phases(q: Question) -> pl.DataFrame:
    """Return rows of `phase_hours`."""
    v = _runs(q)
    return _of(q, calls.phase_hours(v.runs, v.attempts, v.phases, q.window()).lazy()).collect()


def steps_of(q: Question) -> pl.LazyFrame:
    """Return rows of `calls.values` of what began in the range."""
    v = _runs(q)
    return _of(q, calls.values(v.runs, v.attempts, v.phases).filter(inside("started_ns", q.window())))
