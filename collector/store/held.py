"""Which runs wait for a slot or hold one in some time, and the hours whose level has to be computed again."""

from __future__ import annotations

import polars as pl

from collector.store.changes import RUN_TABLES, Version
from collector.store.database import Handle
from collector.store.ddl import BEFORE
from collector.store.places import clusters, within


def touching(h: Handle, from_ns: int, to_ns: int) -> Version:
    """Return the rows of all runs that may wait for a slot or hold one in [*from_ns*, *to_ns*)."""
    runs = h.frame(
        "SELECT project, run_key, built_seq FROM runs WHERE held_from_ns < $to AND held_until_ns >= $from",
        {"from": from_ns, "to": to_ns},
    )
    built = within("t.built_seq", clusters(runs, "built_seq", "built_seq"))
    keys = runs.select("project", "run_key")
    return Version(
        **{
            name: h.frame(
                f"SELECT {', '.join(BEFORE[name])} FROM {name} t SEMI JOIN keys USING (project, run_key) WHERE {built}",  # noqa: S608 -- names and numbers of ours
                keys=keys,
            )
            for name in RUN_TABLES
        }
    )


def last_ns(h: Handle, since_ns: int) -> int:
    """Return until when at most the runs wait for a slot or hold one that do so after *since_ns*, else *since_ns*."""
    return int(
        h.value("SELECT max(held_until_ns) FROM runs WHERE held_until_ns >= $since", {"since": since_ns}) or since_ns
    )


def mark(h: Handle, hours: pl.DataFrame) -> None:
    """Note *hours* (column `hour_ns`) whose level is to be computed again."""
    if not hours.is_empty():
        h.run(
            "INSERT INTO level_hours SELECT hour_ns FROM hours ANTI JOIN level_hours USING (hour_ns)",
            hours=hours.unique(),
        )


def mark_runs(h: Handle, as_of_ns: int) -> None:
    """Note every hour in which a run may wait for a slot or hold one."""
    h.run("DELETE FROM level_hours")
    h.run(
        """
        INSERT INTO level_hours SELECT DISTINCT unnest(range(
            held_from_ns // 3600000000000 * 3600000000000, least(held_until_ns, $as_of) + 1, 3600000000000
        )) FROM runs
        """,
        {"as_of": as_of_ns},
    )


def mark_all(h: Handle) -> None:
    """Note every hour that has a level."""
    h.run(
        "INSERT INTO level_hours SELECT DISTINCT bucket_ns // 3600000000000 * 3600000000000 FROM queue_levels "
        "EXCEPT SELECT hour_ns FROM level_hours"
    )


def marked(h: Handle) -> list[int]:
    """Return the hours to compute again, the newest first."""
    return h.frame("SELECT DISTINCT hour_ns FROM level_hours ORDER BY hour_ns DESC")["hour_ns"].to_list()


def replace(h: Handle, from_ns: int, to_ns: int, levels: pl.DataFrame, hours: pl.DataFrame) -> None:
    """Write *levels* and slot *hours* in place of those of [*from_ns*, *to_ns*), whole hours, which are then done."""
    window = {"from": from_ns, "to": to_ns}
    h.run("DELETE FROM queue_levels WHERE bucket_ns >= $from AND bucket_ns < $to", window)
    h.run("DELETE FROM slot_hours WHERE hour_ns >= $from AND hour_ns < $to", window)
    h.run("INSERT INTO queue_levels BY NAME SELECT * FROM levels ORDER BY bucket_ns", levels=levels)
    h.run("INSERT INTO slot_hours BY NAME SELECT * FROM hours ORDER BY hour_ns", hours=hours)
    h.run("DELETE FROM level_hours WHERE hour_ns >= $from AND hour_ns < $to", window)


def limits(h: Handle) -> pl.DataFrame:
    """Return all limits of queues."""
    return h.frame("SELECT * FROM queue_limits")


def set_limits(h: Handle, source: str, rows: pl.DataFrame) -> bool:
    """Make *rows* the limits known from *source*; tell whether that changed anything."""
    known = h.frame("SELECT * FROM queue_limits WHERE source = $source", {"source": source})
    order = rows.columns
    if known.select(order).sort(order, nulls_last=True).equals(rows.sort(order, nulls_last=True)):
        return False
    h.run("DELETE FROM queue_limits WHERE source = $source", {"source": source})
    h.run("INSERT INTO queue_limits BY NAME SELECT * FROM rows", rows=rows)
    return True
