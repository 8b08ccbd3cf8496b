"""The hourly counts: what changed runs add to them, less what their old rows had added.

A contribution is a pure function of whole runs (`analyse.cohorts`, `durations`, `calls`); those of different runs add
up. So the counts are exact at all times, and a change costs what the changed runs hold, however old they are.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass
from functools import partial

import polars as pl

from collector.analyse import calls, cohorts, durations
from collector.analyse.evidence import RUN
from collector.analyse.frames import COHORT
from collector.jobs.blame import Suspects
from collector.store import additive, history
from collector.store.handle import Handle
from collector.store.recent import Changes, Version, only

_AFTER, _BEFORE = "+", "-"


@dataclass(frozen=True, slots=True)
class Contribution:
    """Rows that runs add to a table, and which of its columns name a row."""

    table: str
    keys: list[str]
    of: Callable[[Version], pl.DataFrame]


CONTRIBUTIONS: dict[str, tuple[Contribution, ...]] = {
    "retries": (
        Contribution(
            "run_cohorts", [*COHORT, "attempts", "outcome"], lambda v: cohorts.run_cohorts(v.runs, v.attempts)
        ),
        Contribution(
            "attempt_hours",
            [*COHORT, "run_version", "number", "outcome"],
            lambda v: cohorts.attempt_hours(v.runs, v.attempts),
        ),
    ),
    "throughput": (Contribution("flow_hours", [*COHORT, "event", "outcome"], lambda v: cohorts.flow_hours(v.runs)),),
    "durations": (
        Contribution(
            "duration_hours", [*COHORT, "measure", "outcome", "ix"], lambda v: durations.hours(v.runs, v.attempts)
        ),
    ),
    "calls": (
        Contribution(
            "phase_hours",
            [*COHORT, *calls.STEP, "outcome", "ix"],
            lambda v: calls.phase_hours(v.runs, v.attempts, v.phases),
        ),
    ),
}
"""Job name → what it keeps."""


def difference(both: Version, contribution: Contribution) -> pl.DataFrame:
    """Return what changes (`both_of`) add to and take from a table: rows of it, to be added to those that are there."""
    rows = contribution.of(both)
    sums = [c for c in rows.columns if c not in contribution.keys]
    sign = pl.when(pl.col("project").str.starts_with(_BEFORE)).then(-1).otherwise(1)
    return rows.with_columns(pl.col(sums) * sign, project=pl.col("project").str.slice(1))


def both_of(changes: Changes) -> Version:
    """Return both versions of the changed runs as runs of two projects: they add up apart, and in one pass."""
    merged = {
        name: pl.concat(
            [
                before.with_columns(project=pl.lit(_BEFORE) + pl.col("project")),
                after.with_columns(project=pl.lit(_AFTER) + pl.col("project")),
            ]
        )
        for (name, before), (_, after) in zip(changes.before.tables(), changes.after.tables(), strict=True)
    }
    return Version(**merged)


def without(v: Version, tasks: Collection[str]) -> Version:
    """Return *v* without the runs of *tasks*."""
    if not tasks:
        return v
    runs = v.runs.filter(~pl.col("task_id").is_in(list(tasks)).fill_null(False))
    return Version(runs, *(rows.join(runs, on=RUN, how="semi") for _, rows in v.tables()[1:]))


def drop_task(h: Handle, task: str, *, name: str) -> None:
    """Take what the tables of job *name* count of *task* out of them."""
    for c in CONTRIBUTIONS[name]:
        h.run(f"DELETE FROM {c.table} WHERE task_id = $task", {"task": task})  # noqa: S608 -- our own names


def suspects(name: str, changes: Changes) -> Suspects:
    """Return what job *name* may fail for in *changes*."""
    keys = pl.concat([v.runs.select(*RUN, "task_id") for v in (changes.before, changes.after)])

    def act(h: Handle, some: pl.DataFrame) -> None:
        settle(h, name, both_of(only(changes, some)))

    return Suspects(lambda h: keys.unique(), act, "task_id", partial(drop_task, name=name))


def suspects_of_all(name: str) -> Suspects:
    """Return what job *name* may fail for where it starts from all runs."""

    def act(h: Handle, some: pl.DataFrame) -> None:
        for part in history.parts(h):
            version = Version(**{table: rows.join(some, on=RUN, how="semi") for table, rows in part.tables()})
            for c in CONTRIBUTIONS[name]:
                c.of(version)

    return Suspects(lambda h: h.frame("SELECT project, run_key, task_id FROM runs"), act, "task_id")


def settle(h: Handle, name: str, both: Version) -> int:
    """Bring the tables of job *name* up to date with changes (`both_of`); return how many rows that wrote."""
    return sum(additive.add(h, c.table, difference(both, c), c.keys) for c in CONTRIBUTIONS[name])


def fill(h: Handle, name: str, parts: Iterable[Version]) -> int:
    """Make the tables of job *name* what whole runs, in *parts*, add up to; return how many rows they have."""
    contributions = CONTRIBUTIONS[name]
    return additive.fill(
        h, {c.table: c.keys for c in contributions}, ({c.table: c.of(part) for c in contributions} for part in parts)
    )
