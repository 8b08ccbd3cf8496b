"""What became of runs since a job last looked: their rows as they were then, and as they are now.

Every rewrite of runs is numbered (a tick) and leaves the rows it replaces in `before_…`. A job that keeps something
derived from run tables asks for both versions of what changed since its own tick and settles the difference, so it
costs what changed, and may fall behind, fail and catch up without any other job waiting. One that keeps up finds both
in memory (`recent`).
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable

import polars as pl

from collector.store.ddl import BEFORE, BUILT
from collector.store.handle import Handle
from collector.store.places import Memory, Places, key, within
from collector.store.recent import Changes, Version

_KEY = ["project", "run_key"]


def positions(h: Handle) -> defaultdict[str, tuple[int, int]]:
    """Return name → (tick, seq): how far each has come; (0, 0) before its first time."""
    rows = h.rows('SELECT name, coalesce("row", 0), seq FROM watermark')
    return defaultdict(lambda: (0, 0), {name: (tick, seq) for name, tick, seq in rows})


def move(h: Handle, names: Iterable[str], tick: int, seq: int) -> None:
    """Note that *names* have come to *tick* and journal number *seq*."""
    moved = {"names": list(names), "seq": seq, "tick": tick}
    h.run("DELETE FROM watermark WHERE name IN (SELECT unnest($names))", {"names": moved["names"]})
    h.run('INSERT INTO watermark (name, seq, "row") SELECT unnest($names), $seq, $tick', moved)


def keep(h: Handle, tick: int, upto: int, dirty: pl.DataFrame, built: str, after: Version) -> Changes:
    """Note that the *dirty* runs become *after*, keep their rows, which *built* finds, and return both."""
    h.run(
        "INSERT INTO run_changes BY NAME SELECT $tick AS tick, $upto AS seq, project, run_key FROM dirty",
        {"tick": tick, "upto": upto},
        dirty=dirty,
    )
    before: dict[str, pl.DataFrame] = {}
    for table, frame in after.tables():
        before[table] = frame.clear()
        if built == "false":
            continue
        before[table] = h.frame(
            f"SELECT {_columns(table)} FROM {table} t SEMI JOIN dirty USING (project, run_key) WHERE {built}",  # noqa: S608 -- names and numbers of ours
            dirty=dirty,
        )
        if not before[table].is_empty():
            h.run(f"INSERT INTO before_{table} BY NAME SELECT *, {tick} AS tick FROM old", old=before[table])  # noqa: S608 -- ditto
    return Changes(tick, upto, dirty, Version(**before), after)


def since(h: Handle, memory: Memory, tick: int, newest: int, most_runs: int) -> Changes | None:
    """Return what changed after *tick* up to *newest*, about *most_runs* runs of it; None when nothing did."""
    if (recent := memory.recent.since(tick, newest)) is not None:
        return recent
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
            for table in BUILT
        }
    )


def _columns(table: str, alias: str = "t") -> str:
    return ", ".join(f'{alias}."{column}"' for column in BEFORE[table])


def unsettled(h: Handle, tick: int = 0) -> int:
    """Return how many rewrites of runs after *tick* are kept for jobs that have not settled them."""
    return int(h.value("SELECT count(*) FROM run_changes WHERE tick > $tick", {"tick": tick}))


def forget(h: Handle, memory: Memory, tick: int) -> None:
    """Drop what all jobs have settled: everything up to *tick*."""
    memory.recent.drop(tick)
    for table in ("run_changes", *(f"before_{name}" for name in BUILT)):
        h.run(f"DELETE FROM {table} WHERE tick <= $tick", {"tick": tick})  # noqa: S608 -- our own names
