"""What statistics of tasks are summed from where few runs touch a range: the rows of hourly tables, but of it alone.

Enter: a question with the runs that touch its range. Leave: rows as the tables have them, of the runs that are asked
for; whether one can still retry is told of each run, not of its hour.
"""

from __future__ import annotations

import polars as pl

from collector.analyse import calls, durations, retries
from collector.analyse import cohorts as cohorts_
from collector.analyse.frames import COHORT, Frame, ended_as, hour_of, inside, population, rank
from collector.api.question import Question
from collector.store import statistics
from collector.store.handle import Handle
from collector.store.statistics import Timing


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


def durations_of(q: Question, *, attempts: bool = True) -> pl.LazyFrame:
    """Return rows of `durations.values` of what started in the range; without *attempts* only those of runs."""
    v = _runs(q)

    def make() -> pl.DataFrame:
        rows = (durations.values if attempts else durations.of_runs)(v.runs, v.attempts, as_of_ns=q.as_of_ns)
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
