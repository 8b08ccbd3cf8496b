"""The hourly counts: what changed runs add to them, less what their old rows had added.

A contribution is a pure function of whole runs (`analyse.cohorts`, `durations`, `calls`); those of different runs add
up. So the counts are exact at all times, and a change costs what the changed runs hold, however old they are.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass

import polars as pl

from collector.analyse import calls, cohorts, durations
from collector.analyse.frames import COHORT
from collector.store import additive
from collector.store.database import Handle
from collector.store.recent import Changes, Version

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
            "attempt_hours", [*COHORT, "number", "outcome"], lambda v: cohorts.attempt_hours(v.runs, v.attempts)
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
            lambda v: calls.phase_hours(v.runs, v.phases),
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
        name: pl.concat([
            before.with_columns(project=pl.lit(_BEFORE) + pl.col("project")),
            after.with_columns(project=pl.lit(_AFTER) + pl.col("project")),
        ])
        for (name, before), (_, after) in zip(changes.before.tables(), changes.after.tables(), strict=True)
    }  # fmt: skip
    return Version(**merged)


def settle(h: Handle, name: str, both: Version) -> int:
    """Bring the tables of job *name* up to date with changes (`both_of`); return how many rows that wrote."""
    return sum(additive.add(h, c.table, difference(both, c), c.keys) for c in CONTRIBUTIONS[name])


def fill(h: Handle, name: str, parts: Iterable[Version]) -> int:
    """Make the tables of job *name* what whole runs, in *parts*, add up to; return how many rows they have."""
    kept = CONTRIBUTIONS[name]
    return additive.fill(h, {c.table: c.keys for c in kept}, ({c.table: c.of(part) for c in kept} for part in parts))
