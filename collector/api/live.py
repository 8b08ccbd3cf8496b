"""What is likely of runs that have not ended: reads queues and history, and lets `analyse.outlook` tell."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import polars as pl

from collector.analyse import outlook, retries, slots
from collector.analyse.frames import population
from collector.api import queue_stats
from collector.api.question import Basis, Question, past
from collector.model.words import DECIDED, OPEN
from collector.store import statistics
from collector.store.handle import Handle
from collector.store.statistics import Choice


def eta(h: Handle, q: Question) -> pl.DataFrame:
    """When runs that have not ended are likely to start and to end, and how many wait before them."""
    return _told(h, q, population() != "test")


def _told(h: Handle, q: Question, *listed: pl.Expr) -> pl.DataFrame:
    """Return the rows of `eta` of those runs that are *listed*."""
    where = replace(past(q), environment=q.choice.environment, platform_project=q.choice.platform_project)
    untold = (~pl.col("is_told")).sum().over(slots.QUEUE)
    waiting = queue_stats.backlog(h, q, where).with_columns(untold=untold).filter("is_told")
    paces = statistics.taken_up(h, outlook.since(waiting), as_of_ns=q.as_of_ns)
    usual = q.basis.learned("lasting", q.choice.project, q.as_of_ns, lambda: _learn_lasting(h, q))
    return outlook.told(_live(h, q, waiting, *listed), waiting, paces, usual, as_of_ns=q.as_of_ns)


def may_be_told(run: Mapping[str, object]) -> bool:
    """Tell whether a row of `runs` can have one in `eta`: it has not ended, or may still wait though nobody heard."""
    return run["status"] in OPEN or (run["status"] == "unknown" and run["started_ns"] is None)


def of_run(h: Handle, basis: Basis, project: str, run: dict[str, object], as_of_ns: int) -> pl.DataFrame:
    """Return the row of `eta` of a row of `runs`, of a test run too; none where it has ended."""
    of = {
        name: _text(run[c]) for name, c in (("task", "task_id"), *((c, c) for c in ("environment", "platform_project")))
    }
    choice = Choice(project, as_of_ns, as_of_ns + 1, **of, population=None)
    rows = _told(h, Question(choice, (), as_of_ns, basis))
    return rows.filter(pl.col("run_key") == run["run_key"])


def _text(value: object) -> str | None:
    return None if value is None else str(value)


def _live(h: Handle, q: Question, waiting: pl.DataFrame, *listed: pl.Expr) -> pl.DataFrame:
    """Return the runs of the question that have not ended, and those of which nobody has heard that still wait.

    The queue of those that wait may be assumed. Nobody knows the version of a run that nobody heard of.
    """
    key = ["project", "run_key"]
    runs = statistics.open_runs(h, replace(q.choice, queue=None), lost_since_ns=q.as_of_ns).runs
    live = (
        runs.filter(pl.col("status").is_in(OPEN), *listed)
        .join(waiting.select(*key, assumed="queue"), on=key, how="left")
        .with_columns(queue=pl.coalesce("queue", "assumed"))
    )
    unheard = waiting.filter(pl.col("status") == "unknown")
    if q.choice.version is not None:
        unheard = unheard.clear()
    if q.choice.task is not None:
        unheard = unheard.filter(pl.col("task_id") == q.choice.task)
    about = ("run_key", "run_id", "status", "started_ns", "delayed_until_ns")
    columns = list(dict.fromkeys((*slots.QUEUE, *retries.HORIZON, *about)))
    every = pl.concat(
        [live.select(columns), unheard.select(c for c in columns if c in unheard.columns)], how="diagonal"
    )
    return every.filter(*statistics.of_queue(q.choice))


def _learn_lasting(h: Handle, q: Question) -> pl.DataFrame:
    decided = ", ".join(repr(word) for word in DECIDED)
    return statistics.summed(
        h,
        "duration_hours",
        past(q),
        [*retries.HORIZON, "ix"],
        ["n"],
        also=f"measure = 'execution' AND outcome IN ({decided})",
    )
