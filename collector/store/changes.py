"""What became of runs since a job last looked: their rows as they were then, and as they are now.

Every rewrite of runs is numbered (a tick) and leaves the rows it replaces in `before_…`. A job that keeps something
derived from run tables asks for both versions of what changed since its own tick and settles the difference, so it
costs what changed, and may fall behind, fail and catch up without any other job waiting.
"""

from __future__ import annotations

from dataclasses import dataclass

import polars as pl

from collector.store.database import Handle
from collector.store.ddl import BEFORE
from collector.store.places import Memory, Places, key, within

RUN_TABLES = ("runs", "attempts", "phases", "waits")
_KEY = ["project", "run_key"]


@dataclass(frozen=True, slots=True)
class Version:
    """Rows of some runs at one time, columns as in `ddl.BEFORE`; a run that did not exist has none."""

    runs: pl.DataFrame
    attempts: pl.DataFrame
    phases: pl.DataFrame
    waits: pl.DataFrame

    def tables(self) -> list[tuple[str, pl.DataFrame]]:
        """Return (table name, frame) pairs."""
        return [(name, getattr(self, name)) for name in RUN_TABLES]


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


def position(h: Handle, name: str) -> tuple[int, int]:
    """Return (tick, seq): how far *name* has come; (0, 0) before its first time."""
    rows = h.frame('SELECT "row", seq FROM watermark WHERE name = $name', {"name": name})
    return (int(rows["row"][0] or 0), int(rows["seq"][0])) if rows.height else (0, 0)


def move(h: Handle, name: str, tick: int, seq: int) -> None:
    """Note that *name* has come to *tick* and journal number *seq*."""
    h.run("DELETE FROM watermark WHERE name = $name", {"name": name})
    h.run(
        'INSERT INTO watermark (name, seq, "row") VALUES ($name, $seq, $tick)', {"name": name, "seq": seq, "tick": tick}
    )


def keep(h: Handle, tick: int, upto: int, dirty: pl.DataFrame, built: str) -> None:
    """Note that the *dirty* runs are about to be written anew, and keep their rows, which stand where *built* says."""
    h.run(
        "INSERT INTO run_changes SELECT $tick, $upto, project, run_key FROM dirty",
        {"tick": tick, "upto": upto},
        dirty=dirty,
    )
    if built == "false":
        return
    for table in RUN_TABLES:
        h.run(
            f"INSERT INTO before_{table} BY NAME SELECT {_columns(table)}, {tick} AS tick FROM {table} t "  # noqa: S608 -- names and numbers of ours
            f"SEMI JOIN dirty USING (project, run_key) WHERE {built}",
            dirty=dirty,
        )


def since(h: Handle, memory: Memory, tick: int, most_runs: int) -> Changes | None:
    """Return what changed after *tick*, about *most_runs* runs of it; None when nothing did."""
    ticks = h.frame(
        "SELECT tick, max(seq) AS seq, count(*) AS n FROM run_changes WHERE tick > $tick GROUP BY tick ORDER BY tick",
        {"tick": tick},
    )
    if ticks.is_empty():
        return None
    total = ticks["n"].cum_sum()
    upto = int(ticks["tick"][min(int((total < most_runs).sum()), ticks.height - 1)])
    window = {"tick": tick, "upto": upto}
    keys = h.frame("SELECT DISTINCT project, run_key FROM run_changes WHERE tick > $tick AND tick <= $upto", window)
    return Changes(
        tick=upto,
        seq=int(ticks.filter(pl.col("tick") <= upto)["seq"].max() or 0),  # type: ignore[arg-type]
        keys=keys,
        before=_at(h, memory, keys, tick),
        after=_at(h, memory, keys, upto),
    )


def _at(h: Handle, memory: Memory, keys: pl.DataFrame, tick: int) -> Version:
    """Return the rows of *keys* as they were after *tick*: what its next rewrite kept, else what stands now."""
    later = h.frame(
        "SELECT project, run_key, min(tick) AS tick FROM run_changes SEMI JOIN keys USING (project, run_key) "
        "WHERE tick > $tick GROUP BY project, run_key",
        {"tick": tick},
        keys=keys,
    )
    now = keys.join(later, on=_KEY, how="anti")
    built = within("t.built_seq", Places(h, memory).built(now.select(key()))) if now.height else "false"
    return Version(
        **{
            table: h.frame(
                f"SELECT {_columns(table, 'b')} FROM before_{table} b "  # noqa: S608 -- names and numbers of ours
                "SEMI JOIN later USING (project, run_key, tick) WHERE b.tick > $tick "
                f"UNION ALL SELECT {_columns(table)} FROM {table} t "
                f"SEMI JOIN now USING (project, run_key) WHERE {built}",
                {"tick": tick},
                later=later,
                now=now,
            )
            for table in RUN_TABLES
        }
    )


def _columns(table: str, alias: str = "t") -> str:
    return ", ".join(f'{alias}."{column}"' for column in BEFORE[table])


def kept(h: Handle) -> int:
    """Return how many rewrites of runs are kept for jobs that have not settled them."""
    return int(h.value("SELECT count(*) FROM run_changes"))


def forget(h: Handle, tick: int) -> None:
    """Drop what all jobs have settled: everything up to *tick*."""
    for table in ("run_changes", *(f"before_{name}" for name in RUN_TABLES)):
        h.run(f"DELETE FROM {table} WHERE tick <= $tick", {"tick": tick})  # noqa: S608 -- our own names
