"""The run model job: recompute the runs that new records or the clock touched.

Enters: the store and a time. Leaves: rows of `runs`, `attempts`, `phases`, `waits`, and a watermark in the same
transaction, so that a kill at any moment is made good by the next tick. A run that cannot be worked out is found by
halves, each a transaction, and set aside alone: its row says so, and no other run waits for it.
"""

from __future__ import annotations

from functools import partial

import polars as pl
import structlog

from collector.analyse import runs
from collector.jobs import asides, facts
from collector.model.halves import by_halves
from collector.settings import Runs
from collector.settings.section import nanoseconds
from collector.store import aside, run_links, run_tables
from collector.store.database import Database, Handle, is_of_data
from collector.store.places import Memory, Places
from collector.store.recent import Rewrite
from collector.telemetry.log import cause

STAGE = "runs"
_MOST_ROWS = 100_000
"""Raw rows taken up in one tick; bounds memory and the time other writers wait."""
_RUN = ["project", "run_key"]


class RunsJob:
    """Keeps the run tables equal to what a recompute of everything would give."""

    def __init__(self, database: Database, settings: Runs, memory: Memory | None = None) -> None:
        self._database = database
        self._grace_ns = nanoseconds(settings.retry_grace)
        self._stale_ns = nanoseconds(settings.stale)
        self._adopt_ns = nanoseconds(settings.adopt)
        self._memory = memory or Memory()
        self.is_behind = False
        """Whether runs that were touched are left for the next tick."""
        self.recomputed = 0
        """Runs computed again since the start."""

    def tick(self, as_of_ns: int) -> int:
        """Take up what arrived and what is due at *as_of_ns*; return how many runs were recomputed.

        0 means that nothing is left to do now.
        """
        if self._memory.aside is None:
            self._memory.aside = self._database.writing(asides.begin)
        try:
            rewrite = self._database.writing(partial(self._tick, as_of_ns=as_of_ns))
        except Exception as e:
            if not is_of_data(e):
                raise
            self.is_behind = False
            return self._apart(as_of_ns, e)
        self.is_behind = False
        if rewrite is None:
            return self._apart(as_of_ns) if self._is_due(as_of_ns) else 0
        return self._added(rewrite)

    def _tick(self, h: Handle, as_of_ns: int) -> Rewrite | None:
        done, upto = run_tables.pending(h, _MOST_ROWS)
        places = Places(h, self._memory, upto)
        dirty = run_tables.advance(h, places, done, upto, as_of_ns=as_of_ns, adopt_ns=self._adopt_ns)
        known = self._memory.aside
        if known is not None and not known.is_empty():
            run_tables.owe(h, dirty.join(known, on=_RUN, how="semi"), as_of_ns)
            dirty = dirty.join(known, on=_RUN, how="anti")
        if dirty.is_empty() and upto == done:
            return None
        return self._rebuilt(h, places, dirty, upto, as_of_ns)

    def _rebuilt(self, h: Handle, places: Places, dirty: pl.DataFrame, upto: int, as_of_ns: int) -> Rewrite:
        known = run_tables.records(h, places, dirty)
        links = run_links.with_roots(h, places, run_links.parents(h, places, dirty))
        rows = runs.build(
            known["spans"],
            known["logs"],
            links,
            as_of_ns=as_of_ns,
            grace_ns=self._grace_ns,
            stale_ns=self._stale_ns,
        )
        changes = run_tables.replace(h, places, dirty, rows.items(), upto)
        return Rewrite(changes, {**known, "links": links, **dict(rows.items())})

    def _added(self, rewrite: Rewrite) -> int:
        self._memory.recent.add(rewrite)
        recomputed = rewrite.changes.keys.height
        self.recomputed += recomputed
        return recomputed or 1

    # -- what fails ------------------------------------------------------------------------------------------

    def _is_due(self, as_of_ns: int) -> bool:
        """Tell whether a run that is set aside waits to be tried again."""
        if self._memory.aside is None or self._memory.aside.is_empty():
            return False
        return not self._database.reading(lambda h: run_tables.due(h, as_of_ns)).is_empty()

    def _apart(self, as_of_ns: int, failed: BaseException | None = None) -> int:
        """Take up the facts, then the due runs by halves; what fails alone is set aside. Return how many were done.

        *failed*: why they could not all be done at once. At most `MOST_TRIES` tries: the rest stays due.
        """
        act = partial(self._again, as_of_ns=as_of_ns)
        if failed is not None:
            structlog.get_logger().error("run_tick_failed", **cause(failed))
            act([])  # what fails for no run at all is not the fault of one
            taken = facts.Facts(self._database, self._memory, self._adopt_ns, as_of_ns, _MOST_ROWS)
            for (project, run_key), why in taken.take_up():
                if run_key is not None:
                    self._set_aside((project, run_key), facts.STAGE, why, as_of_ns)
        due = self._database.reading(lambda h: run_tables.due(h, as_of_ns))
        aside_ = self._memory.aside if self._memory.aside is not None else due.clear()
        known, others = ([*due.join(aside_, on=_RUN, how=how).select(_RUN).iter_rows()] for how in ("semi", "anti"))
        before, failures = self.recomputed, 0
        for some in (others, known):
            tried = by_halves(some, act, is_of_data)
            self.is_behind = self.is_behind or bool(tried.left)
            failures += len(tried.failed)
            for run, why in tried.failed:
                self._set_aside(run, STAGE, why, as_of_ns)
        self._memory.aside = self._database.reading(aside.runs)
        return max(self.recomputed - before + failures, 1)

    def _again(self, keys: list[tuple[str, str]], as_of_ns: int) -> None:
        """Recompute the due runs *keys* in one transaction."""

        def work(h: Handle) -> Rewrite:
            some = pl.DataFrame(keys, schema=run_links.KEYS, orient="row")
            upto = run_tables.reached(h)
            rewrite = self._rebuilt(h, Places(h, self._memory, upto), some, upto, as_of_ns)
            aside.forget_runs(h, some)
            return rewrite

        self._added(self._database.writing(work))

    def _set_aside(self, run: asides.Run, stage: str, why: BaseException, as_of_ns: int) -> None:
        asides.set_aside(self._database, self._memory, run, stage, why, as_of_ns)
