"""Which runs wait for a slot or hold one in some time, and the hours whose level has to be computed again."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import polars as pl

from collector.store.handle import Handle
from collector.store.places import clusters, within

LEVELS_AS_OF = "concurrency_as_of"
"""Name of the watermark whose seq is the time, in ns, that levels are computed for."""
_RUN = ("project", "run_key")
_COLUMNS: dict[str, tuple[str, ...]] = {
    "runs": (
        *_RUN,
        "task_id",
        "queue",
        "environment",
        "platform_project",
        "version",
        "is_test",
        "is_replay",
        "status",
        "queued_ns",
        "queued_source",
        "started_ns",
        "last_seen_ns",
    ),
    "attempts": (*_RUN, "number", "dequeued_ns", "started_ns", "ended_ns", "ended_source", "queue_wait_ns"),
    "waits": (*_RUN, "attempt", "started_ns", "ended_ns", "released_ns", "released_source"),
}
"""What slots and waits for them are computed from (`analyse.slots`)."""
_TOUCHING = "held_from_ns < $to AND held_until_ns >= $early AND (held_until_ns >= $from OR status = 'unknown')"
"""Of runs that may wait for a slot or hold one in a time (`_time`)."""


@dataclass(frozen=True, slots=True)
class Holding:
    """Rows of runs that may wait for a slot or hold one."""

    runs: pl.DataFrame
    attempts: pl.DataFrame
    waits: pl.DataFrame


def touching(
    h: Handle,
    from_ns: int,
    to_ns: int,
    *,
    also: str = "true",
    params: dict[str, Any] | None = None,
    lease_ns: int = 0,
) -> Holding:
    """Return the rows of all runs that may wait for a slot or hold one in [*from_ns*, *to_ns*), and meet *also*.

    Whoever fell silent may hold one for *lease_ns* more.
    """
    runs = h.frame(
        f"SELECT {', '.join(_COLUMNS['runs'])}, built_seq FROM runs WHERE {_TOUCHING} AND {also}",  # noqa: S608 -- names of ours
        {**(params or {}), **_time(from_ns, to_ns, lease_ns)},
    )
    built = within("t.built_seq", clusters(runs, "built_seq", "built_seq"))
    parts = {
        name: h.frame(
            f"SELECT {', '.join(_COLUMNS[name])} FROM {name} t SEMI JOIN keys USING (project, run_key) WHERE {built}",  # noqa: S608 -- names and numbers of ours
            keys=runs.select(_RUN),
        )
        for name in ("attempts", "waits")
    }
    return Holding(runs.drop("built_seq"), **parts)


def _time(from_ns: int, to_ns: int, lease_ns: int) -> dict[str, int]:
    """Return what `_TOUCHING` asks for: [*from_ns*, *to_ns*), and *lease_ns* more for whoever fell silent."""
    return {"from": from_ns, "early": from_ns - lease_ns, "to": to_ns}


def count(h: Handle, from_ns: int, to_ns: int, *, also: str = "true", lease_ns: int = 0) -> tuple[int, int]:
    """Return how many runs `touching` is about, and in how many queues."""
    sql = (
        "SELECT count(*), count(DISTINCT (project, queue, environment, platform_project)) FROM runs "  # noqa: S608 -- ditto
        f"WHERE {_TOUCHING} AND {also}"
    )
    ((runs, queues),) = h.rows(sql, _time(from_ns, to_ns, lease_ns))
    return int(runs), int(queues)


def queues(h: Handle, from_ns: int, to_ns: int, *, lease_ns: int) -> pl.DataFrame:
    """Return the queues (as `analyse.slots.QUEUE`) of the runs that `touching` is about."""
    return h.frame(
        "SELECT DISTINCT project, queue, environment, platform_project FROM runs "  # noqa: S608 -- ditto
        f"WHERE {_TOUCHING} AND queue IS NOT NULL",
        _time(from_ns, to_ns, lease_ns),
    )


def across(h: Handle, *times_ns: int) -> Holding:
    """Return the rows of all runs that may hold a slot at one of *times_ns*, ascending, and did before it."""
    times = " OR ".join(f"(held_from_ns < {ns} AND held_until_ns >= {ns})" for ns in times_ns)
    return touching(h, times_ns[0], times_ns[-1], also=f"({times})")


def last_ns(h: Handle, since_ns: int, *, lease_ns: int) -> int:
    """Return until when at most the runs wait for a slot or hold one that do so after *since_ns*, else *since_ns*.

    Whoever fell silent may hold one for *lease_ns* more.
    """
    until = f"held_until_ns + CASE status WHEN 'unknown' THEN {lease_ns} ELSE 0 END"
    asked = f"SELECT max({until}) FROM runs WHERE held_until_ns >= $early"  # noqa: S608 -- a number of ours
    return max(since_ns, int(h.value(asked, {"early": since_ns - lease_ns}) or 0))


def mark(h: Handle, hours: list[int]) -> None:
    """Note *hours*, not marked yet, whose level is to be computed again."""
    if hours:
        h.run("INSERT INTO level_hours SELECT unnest($hours)", {"hours": hours})


def unmark(h: Handle, hours: list[int]) -> None:
    """Note that the levels of *hours* are computed."""
    if hours:
        h.run("DELETE FROM level_hours WHERE list_contains($hours, hour_ns)", {"hours": hours})


def mark_runs(h: Handle, as_of_ns: int, *, lease_ns: int) -> None:
    """Note every hour in which a run may wait for a slot or hold one; whoever fell silent, for *lease_ns* more."""
    h.run("DELETE FROM level_hours")
    # Joined to stretches first: as many rows as there are hours, however many runs last for long.
    h.run(
        """
        INSERT INTO level_hours
        WITH held AS (
            SELECT DISTINCT held_from_ns // 3600000000000 AS a, least(until_ns, $as_of) // 3600000000000 AS b
            FROM (SELECT held_from_ns, held_until_ns + if(status = 'unknown', $lease, 0) AS until_ns FROM runs)
            WHERE held_from_ns <= least(until_ns, $as_of)
        ), reached AS (
            SELECT a, b, max(b) OVER (ORDER BY a, b ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING) AS upto FROM held
        ), islands AS (
            SELECT a, b, count(*) FILTER (upto IS NULL OR a > upto + 1) OVER (ORDER BY a, b) AS island FROM reached
        )
        SELECT unnest(range(a, b + 1)) * 3600000000000
        FROM (SELECT min(a) AS a, max(b) AS b FROM islands GROUP BY island)
        """,
        {"as_of": as_of_ns, "lease": lease_ns},
    )


def mark_all(h: Handle) -> None:
    """Note every hour that has a level."""
    h.run(
        "INSERT INTO level_hours SELECT DISTINCT bucket_ns // 3600000000000 * 3600000000000 FROM queue_levels "
        "EXCEPT SELECT hour_ns FROM level_hours"
    )


def marked(h: Handle) -> list[int]:
    """Return the hours to compute again, the newest first."""
    return [hour for (hour,) in h.rows("SELECT DISTINCT hour_ns FROM level_hours ORDER BY hour_ns DESC")]


def replace(h: Handle, from_ns: int, to_ns: int, levels: pl.DataFrame, hours: pl.DataFrame) -> None:
    """Write *levels* and slot *hours* in place of those of [*from_ns*, *to_ns*), whole hours."""
    window = {"from": from_ns, "to": to_ns}
    h.run("DELETE FROM queue_levels WHERE bucket_ns >= $from AND bucket_ns < $to", window)
    h.run("DELETE FROM slot_hours WHERE hour_ns >= $from AND hour_ns < $to", window)
    h.run("INSERT INTO queue_levels BY NAME SELECT * FROM levels ORDER BY bucket_ns", levels=levels)
    h.run("INSERT INTO slot_hours BY NAME SELECT * FROM hours ORDER BY hour_ns", hours=hours)


def limits(h: Handle) -> pl.DataFrame:
    """Return all limits of queues."""
    return h.frame("SELECT * FROM queue_limits")


def set_limits(h: Handle, source: str, rows: pl.DataFrame) -> bool:
    """Make *rows* the limits known from *source*; tell whether that changed anything."""
    before = h.frame("SELECT * FROM queue_limits WHERE source = $source", {"source": source})
    order = rows.columns
    if before.select(order).sort(order, nulls_last=True).equals(rows.sort(order, nulls_last=True)):
        return False
    h.run("DELETE FROM queue_limits WHERE source = $source", {"source": source})
    h.run("INSERT INTO queue_limits BY NAME SELECT * FROM rows", rows=rows)
    return True


def enough_from(h: Handle, first_ns: int, last_ns: int, *, most: int) -> int:
    """Return the earliest hour from *first_ns* on since which at most *most* runs started, *last_ns* if there is none.

    Both are starts of hours. Where more runs started in the hour of *last_ns*, the time since which *most* of them did.
    """
    hour_ns = h.value(
        "SELECT min(hour_ns) FROM (SELECT hour_ns, sum(runs) OVER (ORDER BY hour_ns DESC) AS started FROM "
        "(SELECT hour_ns, sum(runs) AS runs FROM (SELECT hour_ns, runs FROM flow_hours WHERE event = 'started' "
        "AND hour_ns BETWEEN $first AND $last UNION ALL SELECT unnest([$first, $last]), 0) GROUP BY hour_ns)) "
        "WHERE started <= $most OR hour_ns = $last",
        {"first": first_ns, "last": last_ns, "most": most},
    )
    if hour_ns < last_ns:
        return int(hour_ns)
    since_ns = h.value(
        "SELECT started_ns FROM runs WHERE held_until_ns >= $last AND started_ns >= $last "
        "ORDER BY started_ns DESC LIMIT 1 OFFSET $most",
        {"last": last_ns, "most": most},
    )
    return int(since_ns or last_ns)
