"""Runs before and after a rewrite, and the last rewrites kept in memory: a job that keeps up reads nothing back."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass

import polars as pl

from collector.store.ddl import BEFORE, BUILT

_KEY = ["project", "run_key"]
_MOST_BYTES = 24 * 2**20
"""Bytes of rewrites that are kept in memory; a larger one is not kept."""


@dataclass(frozen=True, slots=True)
class Version:
    """Rows of some runs at one time, columns as in `ddl.BEFORE`; a run that did not exist has none."""

    runs: pl.DataFrame
    attempts: pl.DataFrame
    phases: pl.DataFrame
    waits: pl.DataFrame

    def tables(self) -> list[tuple[str, pl.DataFrame]]:
        """Return (table name, frame) pairs."""
        return [(name, getattr(self, name)) for name in BUILT]


@dataclass(frozen=True, slots=True)
class Changes:
    """The runs that changed after a job's tick, up to `tick`."""

    tick: int
    seq: int
    """How far the journal was read at the last of these changes."""
    keys: pl.DataFrame
    """The runs that changed: project, run_key."""
    before: Version
    after: Version


def only(changes: Changes, keys: pl.DataFrame) -> Changes:
    """Return what of *changes* is of the runs *keys* (`project`, `run_key`)."""
    versions = (
        Version(**{name: rows.join(keys, on=_KEY, how="semi") for name, rows in version.tables()})
        for version in (changes.before, changes.after)
    )
    return Changes(changes.tick, changes.seq, changes.keys.join(keys, on=_KEY, how="semi"), *versions)


Tables = dict[str, pl.DataFrame]
"""Rows of some runs by table: raw `spans` and `logs`, `links` as `run_links.parents` gives them, `ddl.BUILT` whole."""


@dataclass(frozen=True, slots=True)
class Rewrite:
    """One rewrite of runs, and everything it was made from and into."""

    changes: Changes
    tables: Tables


class Recent:
    """The last rewrites, one a tick, without gaps."""

    def __init__(self) -> None:
        self._rewrites: deque[Rewrite] = deque()
        self._bytes = 0

    def add(self, rewrite: Rewrite) -> None:
        """Keep *rewrite*, which is committed; drop old ones beyond what memory is given."""
        if self._rewrites and rewrite.changes.tick != self._rewrites[-1].changes.tick + 1:
            self.clear()
        self._rewrites.append(rewrite)
        self._bytes += _size(rewrite)
        while self._bytes > _MOST_BYTES:
            self._bytes -= _size(self._rewrites.popleft())

    def clear(self) -> None:
        """Forget all: runs were written that are not here."""
        self._rewrites.clear()
        self._bytes = 0

    def drop(self, tick: int) -> None:
        """Drop rewrites that every job has settled: everything up to *tick*."""
        while self._rewrites and self._rewrites[0].changes.tick <= tick:
            self._bytes -= _size(self._rewrites.popleft())

    def tables(self, keys: pl.DataFrame) -> tuple[list[Tables], pl.DataFrame]:
        """Return the tables of the runs *keys* as they were last written, and the keys of those that are not here."""
        rest, tables = keys.select(_KEY), []
        for rewrite in reversed(self._rewrites):
            here = rest.join(rewrite.changes.keys, on=_KEY, how="semi")
            if not here.is_empty():
                tables.append(
                    {
                        name: frame.join(here, on=_KEY, how="semi", maintain_order="left")
                        for name, frame in rewrite.tables.items()
                    }
                )
                rest = rest.join(here, on=_KEY, how="anti")
        return tables, rest

    def since(self, tick: int, upto: int) -> Changes | None:
        """Return what changed after *tick* up to *upto*, None unless all of it is here."""
        steps = [r.changes for r in self._rewrites if tick < r.changes.tick <= upto]
        if len(steps) != upto - tick or not steps:
            return None
        if len(steps) == 1:
            return steps[0]
        first, last = steps[0], steps[-1]
        seen = first.keys
        before = {name: [frame] for name, frame in first.before.tables()}
        for changes in steps[1:]:
            for name, frame in changes.before.tables():
                before[name].append(frame.join(seen, on=_KEY, how="anti"))
            seen = pl.concat([seen, changes.keys]).unique()
        after = {name: [frame] for name, frame in last.after.tables()}
        seen = last.keys
        for changes in reversed(steps[:-1]):
            for name, frame in changes.after.tables():
                after[name].append(frame.join(seen, on=_KEY, how="anti"))
            seen = pl.concat([seen, changes.keys]).unique()
        return Changes(
            tick=last.tick,
            seq=max(changes.seq for changes in steps),
            keys=seen,
            before=Version(**{name: pl.concat(parts) for name, parts in before.items()}),
            after=Version(**{name: pl.concat(parts) for name, parts in after.items()}),
        )


def kept_columns(rows: Iterable[tuple[str, pl.DataFrame]]) -> Version:
    """Return the columns of run tables that statistics may read."""
    return Version(**{name: frame.select(BEFORE[name]) for name, frame in rows})


def _size(rewrite: Rewrite) -> int:
    return int(sum(frame.estimated_size() for frame in rewrite.tables.values()))
