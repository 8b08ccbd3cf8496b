"""Which runs a statistics job fails for: found by halves, in transactions that are undone, and set aside.

A job that fails for no run by itself leaves a task or queue out whose runs together are at fault.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import TypeVar

import polars as pl

from collector.analyse.evidence import RUN
from collector.jobs import asides
from collector.model.halves import Tried, by_halves
from collector.model.project import PROJECT
from collector.store import aside
from collector.store.aside import Aside
from collector.store.database import Database
from collector.store.errors import is_of_data
from collector.store.handle import Handle
from collector.store.places import Memory

T = TypeVar("T")
_MOST = 256
"""Runs, or tasks and queues, that one job sets aside: where it fails for more, it is to blame."""
_ALL = 4
"""Where more fail than these and none does not, the job is to blame too."""
_PATIENCE_S = 3.0
"""How long is looked for them at one time; the writer has other things to do."""
_RUN = pl.Schema(dict.fromkeys(RUN, pl.String()))


class _Undone(Exception):
    """Ends a try that is not to be kept."""


@dataclass(frozen=True, slots=True)
class Suspects:
    """What a job looks at, and how to do its work for some of it alone."""

    runs: Callable[[Handle], pl.DataFrame]
    """`project`, `run_key` and *by*."""
    act: Callable[[Handle, pl.DataFrame], None]
    """Do the job's work for the runs given (`project`, `run_key`) alone."""
    by: str
    """task_id or queue: what is left out where no run by itself is at fault."""
    drop: Callable[[Handle, str], None] = field(default=lambda h, name: None)
    """Take what is known of a task or queue out of the job's tables."""


@dataclass(frozen=True, slots=True)
class Blame:
    """Finds and sets aside what a job of this store fails for."""

    database: Database
    memory: Memory

    def find(self, stage: str, suspects: Suspects, as_of_ns: int) -> list[str]:
        """Set aside what *stage* fails for; return the run keys, or tasks or queues, that were at fault.

        It is the stage that is at fault, and nothing is set aside, where it fails for none of them, for all of them, or
        has failed for many. What there is no time to find is found the next time.
        """
        looked_at = self.database.reading(suspects.runs)
        try:
            self._try(suspects, looked_at.clear())
        except Exception as e:
            if not is_of_data(e):
                raise
            return []
        runs = [*looked_at.select(RUN).unique().sort(RUN).iter_rows()]
        tried = self._halves(runs, lambda some: pl.DataFrame(some, schema=_RUN, orient="row"), suspects)
        earlier = self.database.reading(aside.counts).get(stage, 0)
        if (len(tried.failed) > _ALL and not tried.worked) or earlier + len(tried.failed) > _MOST:
            return []
        asides.set_aside(self.database, self.memory, tried.failed, stage, as_of_ns)
        if tried.failed or tried.left:
            return [run_key for (_, run_key), _ in tried.failed]
        names = looked_at[suspects.by].drop_nulls().unique().sort().to_list()
        series = self._halves(names, lambda some: looked_at.filter(pl.col(suspects.by).is_in(some)), suspects)
        if not series.worked or earlier + len(series.failed) > _MOST:
            return []
        for name, why in series.failed:
            self.database.writing(lambda h, name=name, why=why: _leave_out(h, stage, suspects, name, why, as_of_ns))  # type: ignore[misc]
        return [name for name, _ in series.failed]

    def _halves(self, items: Sequence[T], rows: Callable[[list[T]], pl.DataFrame], suspects: Suspects) -> Tried[T]:
        act = lambda some: self._try(suspects, rows(some))  # noqa: E731
        return by_halves(items, act, is_of_data, enough=asides.patience(_PATIENCE_S))

    def _try(self, suspects: Suspects, runs: pl.DataFrame) -> None:
        """Do the job's work for *runs* alone, and undo it."""

        def undone(h: Handle) -> None:
            suspects.act(h, runs.select(RUN))
            raise _Undone

        try:
            self.database.writing(undone)
        except _Undone:
            return


def _leave_out(h: Handle, stage: str, suspects: Suspects, name: str, why: BaseException, as_of_ns: int) -> None:
    suspects.drop(h, name)
    aside.note(h, [Aside(PROJECT, stage, "series", name, aside.reason(why), as_of_ns)])
