"""What is likely of runs that have not ended: reads queues and history, and lets `analyse.outlook` tell."""

from __future__ import annotations

from dataclasses import replace

import polars as pl

from collector.analyse import outlook, retries, slots
from collector.api import queue_stats
from collector.api.question import Basis, Question, past
from collector.model.words import DECIDED, OPEN
from collector.store import statistics
from collector.store.handle import Handle
from collector.store.statistics import Choice


def eta(h: Handle, q: Question) -> pl.DataFrame:
    """When runs that have not ended are likely to start and to end, and how many wait before them."""
    where = replace(past(q), environment=q.choice.environment, platform_project=q.choice.platform_project)
    waiting = queue_stats.backlog(h, q, where).filter("is_told")
    paces = statistics.taken_up(h, outlook.since(waiting))
    usual = q.basis.learned("lasting", q.choice.project, q.as_of_ns, lambda: _learn_lasting(h, q))
    return outlook.told(_live(h, q, waiting), waiting, paces, usual, as_of_ns=q.as_of_ns)


def of_run(h: Handle, basis: Basis, project: str, run: dict[str, object], as_of_ns: int) -> pl.DataFrame:
    """Return the row of `eta` of a row of `runs`, none where it has ended."""
    of = {
        name: _text(run[c]) for name, c in (("task", "task_id"), *((c, c) for c in ("environment", "platform_project")))
    }
    choice = Choice(project, as_of_ns, as_of_ns + 1, **of, population=None)
    rows = eta(h, Question(choice, (), as_of_ns, basis))
    return rows.filter(pl.col("run_key") == run["run_key"])


def _text(value: object) -> str | None:
    return None if value is None else str(value)


def _live(h: Handle, q: Question, waiting: pl.DataFrame) -> pl.DataFrame:
    """Return the runs of the question that have not ended, and those of which nobody has heard that still wait.

    The queue of those that wait may be assumed.
    """
    key = ["project", "run_key"]
    runs = statistics.open_runs(h, replace(q.choice, queue=None), lost_since_ns=q.as_of_ns).runs
    live = (
        runs.filter(pl.col("status").is_in(OPEN))
        .join(waiting.select(*key, assumed="queue"), on=key, how="left")
        .with_columns(queue=pl.coalesce("queue", "assumed"))
    )
    unheard = waiting.filter(pl.col("status") == "unknown")
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
