"""What is likely of runs that have not ended: reads queues and history, and lets `analyse.outlook` tell."""

from __future__ import annotations

from dataclasses import replace

import polars as pl

from collector.analyse import outlook, retries, slots
from collector.api.question import Basis, Question, past
from collector.model.words import DECIDED, OPEN
from collector.store import statistics
from collector.store.handle import Handle
from collector.store.statistics import Choice


def eta(h: Handle, q: Question) -> pl.DataFrame:
    """When runs that have not ended are likely to start and to end, and how many wait before them."""
    queues = replace(past(q), queue=None, environment=q.choice.environment)
    waiting = statistics.waiting(h, queues, as_of_ns=q.as_of_ns)
    paces = statistics.taken_up(h, outlook.since(waiting))
    usual = q.basis.learned("lasting", q.choice.project, q.as_of_ns, lambda: _learn_lasting(h, q))
    return outlook.told(_live(h, q, waiting), waiting, paces, usual, as_of_ns=q.as_of_ns)


def of_run(h: Handle, basis: Basis, project: str, run: dict[str, object], as_of_ns: int) -> pl.DataFrame:
    """Return the row of `eta` of a row of `runs`, none where it has ended."""
    task, environment = (_text(run[c]) for c in ("task_id", "environment"))
    choice = Choice(project, as_of_ns, as_of_ns + 1, task=task, environment=environment, population=None)
    rows = eta(h, Question(choice, (), as_of_ns, basis))
    return rows.filter(pl.col("run_key") == run["run_key"])


def _text(value: object) -> str | None:
    return None if value is None else str(value)


def _live(h: Handle, q: Question, waiting: pl.DataFrame) -> pl.DataFrame:
    """Return the runs of the question that have not ended; the queue of those that wait may be assumed."""
    about = ("run_key", "run_id", "status", "started_ns", "delayed_until_ns")
    keys = dict.fromkeys((*slots.QUEUE, *retries.HORIZON, *about))
    runs = statistics.open_runs(h, replace(q.choice, queue=None), lost_since_ns=q.as_of_ns).runs
    queue = waiting.select("project", "run_key", assumed="queue")
    live = (
        runs.filter(pl.col("status").is_in(OPEN))
        .join(queue, on=["project", "run_key"], how="left")
        .with_columns(queue=pl.coalesce("queue", "assumed"))
        .select(*keys)
    )
    return live if q.choice.queue is None else live.filter(pl.col("queue") == q.choice.queue)


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
