"""The run model job: recompute the runs that new records or the clock touched.

Enters: the store and a time. Leaves: rows of `runs`, `attempts`, `phases`, `waits`, and a watermark in the same
transaction, so that a kill at any moment is made good by the next tick. A run that cannot be worked out is found by
halves, each a transaction, and set aside alone: its row says so, and no other run waits for it.
"""

from __future__ import annotations

from dataclasses import replace
from functools import partial

import polars as pl
import structlog

from collector.analyse import again, runs
from collector.jobs import asides, facts
from collector.jobs.asides import patience
from collector.model.halves import by_halves
from collector.settings import Runs
from collector.settings.section import nanoseconds
from collector.store import aside, run_links, run_tables, weights
from collector.store.database import Database
from collector.store.errors import is_of_data
from collector.store.handle import Handle
from collector.store.places import Memory, Places
from collector.store.recent import Rewrite
from collector.telemetry.log import cause

STAGE = "runs"
_PATIENCE_S = 3.0
"""How long a tick looks for runs that fail; the writer has other things to do."""
_MOST_ROWS = 100_000
"""Raw rows taken up in one tick; bounds memory and the time other writers wait."""
_KEYS = run_links.KEYS
_RUN = _KEYS.names()


class RunsJob:
    """Keeps the run tables equal to what a recompute of everything would give."""

    def __init__(self, database: Database, settings: Runs, memory: Memory | None = None) -> None:
        self._database = database
        self._grace_ns = nanoseconds(settings.retry_grace)
        self._stale_ns = nanoseconds(settings.stale)
        self._adopt_ns = nanoseconds(settings.adopt)
        self._reuse_ns = nanoseconds(settings.reuse)
        self._memory = memory or Memory()
        self._fails = False
        """Whether runs that were touched are left for the next tick, because some failed."""
        self._owes = False
        """Whether some are, because they did not fit."""
        self._late = False
        """Whether more are due than one tick takes up."""
        self.share = 1.0
        """How much of what a tick may take up it does take up: less where memory was short."""
        self.recomputed = 0
        """Runs computed again since the start."""

    @property
    def is_behind(self) -> bool:
        """Tell whether runs that were touched are left for the next tick: some failed, or not all fit into one."""
        return self._fails or self._owes

    @property
    def is_whole(self) -> bool:
        """Tell whether the run tables have all of the groups that they have come to."""
        return not self.is_behind and not self._late

    @property
    def _most(self) -> int:
        return int(weights.MOST * self.share)

    def tick(self, as_of_ns: int) -> int:
        """Take up what arrived and what is due at *as_of_ns*; return how many runs were recomputed.

        0 means that nothing is left to do now.
        """
        if self._memory.aside is None:
            self._memory.aside = self._database.writing(asides.begin)
            self._facts(as_of_ns).loose_again()
        return self._ordinary(as_of_ns) + self._try_again(as_of_ns)

    def _ordinary(self, as_of_ns: int) -> int:
        """Recompute the runs that are not set aside; return how many."""
        if self._fails:
            return self._apart(as_of_ns)
        try:
            rewrite = self._database.writing(partial(self._tick, as_of_ns=as_of_ns))
        except Exception as e:
            if not is_of_data(e):
                raise
            structlog.get_logger().error("run_tick_failed", **cause(e))
            self._again([], as_of_ns)  # what fails for no run at all is not the fault of one
            return self._apart(as_of_ns)
        return self._added(rewrite) if rewrite else 0

    def _tick(self, h: Handle, as_of_ns: int) -> Rewrite | None:
        done, upto = run_tables.pending(h, max(1, int(_MOST_ROWS * self.share)))
        if self._owes:  # first what is owed: it never becomes more than one tick touches
            upto = done
        places = Places(h, self._memory, upto)
        dirty = run_tables.advance(
            h, places, done, upto, as_of_ns=as_of_ns, adopt_ns=self._adopt_ns, set_aside=self._memory.aside
        )
        if (set_aside := self._runs_aside()) is not None:
            asides.owe(h, set_aside.join(dirty, on=_RUN, how="semi"), as_of_ns)
            dirty = dirty.join(set_aside, on=_RUN, how="anti")
        if dirty.is_empty() and upto == done:
            self._owes = self._late = False
            return None
        fits, rest = weights.fitting(run_tables.weigh(h, places, dirty), self._most)
        run_tables.owe(h, rest, as_of_ns)
        self._owes = not rest.is_empty()
        rewrite = self._rebuilt(h, places, fits, upto, as_of_ns)
        self._late = not run_tables.due(h, as_of_ns, self._runs_aside(), upgrade=False).is_empty()
        return rewrite

    def _rebuilt(self, h: Handle, places: Places, weighed: pl.DataFrame, upto: int, as_of_ns: int) -> Rewrite:
        """Make the rows of the runs *weighed* (`run_tables.weigh`) again; what was not read of a heavy one is told."""
        dirty = weighed.select(_RUN)
        heavy = weights.heavy(weighed)
        records = run_tables.records(h, places, weighed, places.statements.whole(dirty))
        times = {"as_of_ns": as_of_ns, "grace_ns": self._grace_ns, "stale_ns": self._stale_ns}
        no_links = pl.DataFrame(schema=runs.LINKS)
        cuts = again.cuts(records, self._reuse_ns, lambda spans, logs: runs.build(spans, logs, no_links, **times).runs)
        records = again.apart(records, cuts)
        dirty = places.statements.cut(dirty, cuts)
        links = run_links.parents(h, places, dirty)
        no_roots = links.with_columns(root_run_id=pl.lit(None, pl.String))
        rows = runs.build(records["spans"], records["logs"], no_roots, **times)
        rooted = run_tables.rooted(h, places, links, rows.runs, as_of_ns)
        rows = replace(rows, runs=run_tables.marked(places, rooted))
        if self._runs_aside() is not None:
            aside.forget_runs(h, dirty.join(heavy, on=_RUN, how="anti"))
        if not heavy.is_empty():
            rows = replace(rows, runs=asides.shortened(h, rows.runs, heavy, STAGE, as_of_ns))
        changes = run_tables.replace(h, places, dirty, rows.items(), upto)
        return Rewrite(changes, {**records, "links": links, **dict(rows.items())})

    def _added(self, rewrite: Rewrite) -> int:
        self._memory.recent.add(rewrite)
        if rewrite.tables["runs"]["set_aside"].count():
            self._memory.aside = self._database.reading(aside.runs)
        recomputed = rewrite.changes.keys.height
        self.recomputed += recomputed
        return recomputed or 1

    # -- what fails ------------------------------------------------------------------------------------------

    def _runs_aside(self) -> pl.DataFrame | None:
        """Return the runs that are set aside, None when there are none."""
        runs_aside = self._memory.aside
        return None if runs_aside is None or runs_aside.is_empty() else runs_aside

    def _facts(self, as_of_ns: int) -> facts.Facts:
        return facts.Facts(self._database, self._memory, self._adopt_ns, as_of_ns, _MOST_ROWS)

    def _apart(self, as_of_ns: int) -> int:
        """Take up the facts, then the due runs by halves, and set aside what fails alone; return how many were done.

        What there is no time for stays due.
        """
        self._facts(as_of_ns).take_up()
        self._memory.aside = self._database.reading(aside.runs)
        due = self._database.reading(lambda h: run_tables.due(h, as_of_ns, self._runs_aside()))
        before = self.recomputed
        tried = by_halves(
            [*due.iter_rows()], partial(self._again, as_of_ns=as_of_ns), is_of_data, enough=patience(_PATIENCE_S)
        )
        asides.set_aside(self._database, self._memory, tried.failed, STAGE, as_of_ns)
        left = self._database.reading(lambda h: run_tables.due(h, as_of_ns, self._runs_aside()))
        self._fails = not left.is_empty()
        return max(self.recomputed - before + len(tried.failed), 1)

    def _try_again(self, as_of_ns: int) -> int:
        """Try runs again that are set aside and due, for a short time; return how many that were."""
        if (set_aside := self._runs_aside()) is None:
            return 0
        due = self._database.reading(lambda h: run_tables.due(h, as_of_ns, set_aside, only_those=True))
        if due.is_empty():
            return 0
        enough = patience(_PATIENCE_S / 2)
        outcome = self._facts(as_of_ns).again([*due.iter_rows()], enough)
        tried = by_halves(outcome.done, partial(self._again, as_of_ns=as_of_ns), is_of_data, enough=enough)
        asides.set_aside(self._database, self._memory, outcome.failed, facts.STAGE, as_of_ns)
        asides.set_aside(self._database, self._memory, tried.failed, STAGE, as_of_ns)
        self._memory.aside = self._database.reading(aside.runs)
        return max(tried.worked + len(tried.failed) + len(outcome.failed), 1)

    def _again(self, keys: list[asides.Run], as_of_ns: int) -> None:
        """Recompute the due runs *keys*, as many in one transaction as fit."""
        upto = self._database.reading(run_tables.reached)

        def weighed(h: Handle) -> pl.DataFrame:
            return run_tables.weigh(h, Places(h, self._memory, upto), pl.DataFrame(keys, schema=_KEYS, orient="row"))

        def work(h: Handle, part: pl.DataFrame) -> Rewrite:
            return self._rebuilt(h, Places(h, self._memory, upto), part, upto, as_of_ns)

        every = self._database.writing(weighed)
        for part in weights.parts(every, self._most) if keys else [every]:
            self._added(self._database.writing(partial(work, part=part)))
