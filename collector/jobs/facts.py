"""Facts of new records when a tick failed: taken up by themselves, and where that fails, without those at fault.

Facts are links, batches and logs adopted through spans (`store.run_tables.advance`). The runs they touch are owed:
their rows are made again group by group, and the watermark goes on. Whose facts could not be told is noted with the
journal numbers they are of, in the same transaction, and taken up when it is tried again: a fact taken twice counts
once.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial

import polars as pl
import structlog

from collector.model.halves import by_halves
from collector.store import aside, changes, run_tables
from collector.store.aside import Aside
from collector.store.database import Database
from collector.store.errors import is_of_data
from collector.store.handle import Handle
from collector.store.places import Memory, Places, key
from collector.store.run_links import KEYS
from collector.telemetry.log import cause

STAGE = "facts"
_FEWER = 16
Whose = tuple[str, str]
"""Project, and run key or trace (`run_tables.WHOSE`)."""


class _Undone(Exception):
    """Ends a try that is not to be kept."""


@dataclass(slots=True)
class Again:
    """Runs whose facts are told now, and those that failed once more, with why."""

    done: list[Whose] = field(default_factory=list)
    failed: list[tuple[Whose, BaseException]] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Facts:
    """Takes up the facts of raw rows, at most about *most_rows* in one transaction."""

    database: Database
    memory: Memory
    adopt_ns: int
    as_of_ns: int
    most_rows: int

    def take_up(self) -> None:
        """Take up what is next: fewer groups than usual where they fail, in one that fails all but those at fault."""
        most_rows = self.most_rows
        while True:
            try:
                self.database.writing(partial(self._next, most_rows))
                return
            except Exception as e:
                if not is_of_data(e):
                    raise
                failed = e
            if most_rows == 1:
                break
            most_rows = max(most_rows // _FEWER, 1)
        structlog.get_logger().error("run_facts_failed", **cause(failed))
        whose = self.database.reading(self._new)
        tried = by_halves(whose, self._try, is_of_data, most=4 * len(whose), failed=failed)
        self.database.writing(partial(self._next, 1, hidden=tried.failed))

    def again(self, runs: list[Whose], enough: Callable[[], bool]) -> Again:
        """Take up the facts of *runs* that were left out before, each in a transaction, until it is *enough*."""
        windows = {(p, k): (a, b) for p, k, a, b in self.database.reading(lambda h: aside.windows(h, STAGE, "run"))}
        outcome = Again()
        for run in runs:
            if enough():
                break
            try:
                if run in windows:
                    first, last = windows[run]
                    self.database.writing(partial(self._window, whose=[run], first=first, last=last))
                outcome.done.append(run)
            except Exception as e:
                if not is_of_data(e):
                    raise
                outcome.failed.append((run, e))
        return outcome

    def loose_again(self) -> None:
        """Take up the facts of records of no run that were left out before; what fails again stays noted."""
        for project, trace, first, last in self.database.reading(lambda h: aside.windows(h, STAGE, "record")):

            def work(h: Handle, *, p: str = project, t: str = trace, a: int = first, b: int = last) -> None:
                self._window(h, whose=[(p, t)], first=a, last=b)
                aside.forget_record(h, STAGE, p, t, b)

            try:
                self.database.writing(work)
            except Exception as e:
                if not is_of_data(e):
                    raise

    def _new(self, h: Handle) -> list[Whose]:
        """Return whose records are in the next group."""
        done, upto = run_tables.pending(h, 1)
        rows = h.rows(
            f"SELECT DISTINCT project, {run_tables.WHOSE} AS whose FROM ("  # noqa: S608 -- our own words
            "SELECT project, run_key, trace_id, seq FROM logs "
            "UNION ALL SELECT project, run_key, trace_id, seq FROM spans"
            ") WHERE seq > $done AND seq <= $upto ORDER BY ALL",
            {"done": done, "upto": upto},
        )
        return rows

    def _try(self, some: list[Whose]) -> None:
        """Take up the facts of the records of *some* in the next group alone, and undo it."""

        def undone(h: Handle) -> None:
            done, upto = run_tables.pending(h, 1)
            self._window(h, whose=some, first=done + 1, last=upto)
            raise _Undone

        try:
            self.database.writing(undone)
        except _Undone:
            return

    def _next(self, most_rows: int, h: Handle, *, hidden: list[tuple[Whose, BaseException]] | None = None) -> None:
        done, upto = run_tables.pending(h, most_rows)
        if upto <= done:
            return
        places = Places(h, self.memory, upto)
        left = hidden or []
        stated = pl.DataFrame([whose for whose, _ in left if not _is_loose(whose)], schema=KEYS, orient="row")
        if left:  # their records are there, whatever they say
            run_tables.show(h, done, [whose for whose, _ in left], only=False)
            told = {(p, k): of for p, k, of, *_ in places.statements.told(stated).iter_rows()}
            aside.note(
                h,
                (_noted((w[0], told.get(w, w[1])), why, done + 1, upto, self.as_of_ns) for w, why in left),
            )
            places.note(stated.with_columns(key(), low=pl.lit(done + 1), high=pl.lit(upto)))
        self._advance(h, places, done, upto)
        run_tables.owe(h, places.statements.runs(stated), self.as_of_ns)
        changes.move(h, [run_tables.NAME], changes.positions(h)[run_tables.NAME][0], upto)

    def _window(self, h: Handle, *, whose: list[Whose], first: int, last: int) -> None:
        """Take up the facts of the records of *whose* with journal numbers from *first* to *last*."""
        places = Places(h, self.memory, run_tables.reached(h))
        runs = pl.DataFrame([w for w in whose if not _is_loose(w)], schema=KEYS, orient="row")
        stated = [(p, k) for p, k, *_ in places.statements.of(runs).iter_rows()]
        run_tables.show(h, first - 1, [*whose, *stated], only=True)
        self._advance(h, places, first - 1, last)

    def _advance(self, h: Handle, places: Places, done: int, upto: int) -> None:
        dirty = run_tables.advance(h, places, done, upto, as_of_ns=self.as_of_ns, adopt_ns=self.adopt_ns)
        run_tables.owe(h, dirty, self.as_of_ns)
        places.save(dirty.select(key()).clear())


def _is_loose(whose: Whose) -> bool:
    return whose[1].startswith("trace ")


def _noted(whose: Whose, why: BaseException, first: int, last: int, as_of_ns: int) -> Aside:
    kind: aside.Kind = "record" if _is_loose(whose) else "run"
    return Aside(whose[0], STAGE, kind, whose[1], aside.reason(why), as_of_ns, first_seq=first, last_seq=last)
