"""Facts of new records when a tick failed: taken up by themselves, and where that fails, without the runs at fault.

Facts are links, batches and logs adopted through spans (`store.run_tables.advance`). The runs they touch are owed:
their rows are made again group by group, and the watermark goes on.
"""

from __future__ import annotations

from dataclasses import dataclass

import polars as pl
import structlog

from collector.model.halves import by_halves
from collector.store import changes, run_tables
from collector.store.database import Database, Handle, is_of_data
from collector.store.places import Memory, Places, key
from collector.store.run_links import KEYS
from collector.telemetry.log import cause

STAGE = "facts"
Run = tuple[str, str | None]
"""Project and run key; no key: the records of a project that name no run."""


class _Undone(Exception):
    """Ends a try that is not to be kept."""


@dataclass(frozen=True, slots=True)
class Facts:
    """Takes up the facts of the next *most_rows* raw rows, in one transaction."""

    database: Database
    memory: Memory
    adopt_ns: int
    as_of_ns: int
    most_rows: int

    def take_up(self) -> list[tuple[Run, BaseException]]:
        """Take up what can be; return the runs whose records' facts were left out, and why."""
        try:
            self.database.writing(self._taken)
            return []
        except Exception as e:
            if not is_of_data(e):
                raise
            failed = e
        structlog.get_logger().error("run_facts_failed", **cause(failed))
        tried = by_halves(self.database.reading(self._new), self._try, is_of_data, failed=failed)
        without = [*tried.failed, *((run, failed) for some in tried.left for run in some)]
        hidden = [run for run, _ in without]
        self.database.writing(lambda h: self._taken(h, hidden=hidden))
        return without

    def _new(self, h: Handle) -> list[Run]:
        """Return whose records there are to take up."""
        done, upto = run_tables.pending(h, self.most_rows)
        return h.rows(
            "SELECT DISTINCT project, run_key FROM (SELECT project, run_key, seq FROM logs "
            "UNION ALL SELECT project, run_key, seq FROM spans) WHERE seq > $done AND seq <= $upto ORDER BY ALL",
            {"done": done, "upto": upto},
        )

    def _try(self, some: list[Run]) -> None:
        """Take up the facts of the records of *some* alone, and undo it."""

        def undone(h: Handle) -> None:
            self._taken(h, shown=some)
            raise _Undone

        try:
            self.database.writing(undone)
        except _Undone:
            return

    def _taken(self, h: Handle, shown: list[Run] | None = None, hidden: list[Run] | None = None) -> None:
        done, upto = run_tables.pending(h, self.most_rows)
        if upto <= done:
            return
        places = Places(h, self.memory, upto)
        if shown or hidden:
            run_tables.show(h, done, shown or hidden or [], only=bool(shown))
        dirty = run_tables.advance(h, places, done, upto, as_of_ns=self.as_of_ns, adopt_ns=self.adopt_ns)
        if hidden:  # their records are there, whatever they say
            named = pl.DataFrame(hidden, schema=KEYS, orient="row").drop_nulls()
            places.note(named.with_columns(key(), low=pl.lit(done + 1), high=pl.lit(upto)))
        run_tables.owe(h, dirty.select(KEYS.names()), self.as_of_ns)
        places.save(dirty.select(key()).clear())
        changes.move(h, [run_tables.NAME], changes.positions(h)[run_tables.NAME][0], upto)
