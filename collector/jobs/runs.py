"""The run model job: recompute the runs that new records or the clock touched.

Enters: the store and a time. Leaves: rows of `runs`, `attempts`, `phases`, `waits`, and a watermark in the same
transaction, so that a kill at any moment is made good by the next tick.
"""

from __future__ import annotations

from collector.analyse import runs
from collector.settings import Runs
from collector.settings.section import nanoseconds
from collector.store import run_links, run_tables
from collector.store.database import Database, Handle
from collector.store.places import Memory, Places
from collector.store.recent import Rewrite

_MOST_ROWS = 100_000
"""Raw rows taken up in one tick; bounds memory and the time other writers wait."""


class RunsJob:
    """Keeps the run tables equal to what a recompute of everything would give."""

    def __init__(self, database: Database, settings: Runs, memory: Memory | None = None) -> None:
        self._database = database
        self._grace_ns = nanoseconds(settings.retry_grace)
        self._stale_ns = nanoseconds(settings.stale)
        self._adopt_ns = nanoseconds(settings.adopt)
        self._memory = memory or Memory()
        self.recomputed = 0
        """Runs computed again since the start."""

    def tick(self, as_of_ns: int) -> int:
        """Take up what arrived and what is due at *as_of_ns*; return how many runs were recomputed.

        0 means that nothing is left to do now.
        """

        def work(h: Handle) -> Rewrite | None:
            done, upto = run_tables.pending(h, _MOST_ROWS)
            places = Places(h, self._memory, upto)
            dirty = run_tables.advance(h, places, done, upto, as_of_ns=as_of_ns, adopt_ns=self._adopt_ns)
            if dirty.is_empty() and upto == done:
                return None
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

        rewrite = self._database.writing(work)
        if rewrite is None:
            return 0
        self._memory.recent.add(rewrite)
        recomputed = rewrite.changes.keys.height
        self.recomputed += recomputed
        return recomputed or 1
