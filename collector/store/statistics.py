"""Bounded reads of the statistics tables and of the runs behind them: what the numbers of the API are made from."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import polars as pl

from collector.model.tables import PUBLIC
from collector.store.database import Handle
from collector.store.ddl import BUILT
from collector.store.places import clusters, within
from collector.store.recent import Version

HOUR_NS = 3_600_000_000_000
_COLUMNS = {
    name: ", ".join(f't."{c}"' for c in PUBLIC[name].names if c not in ("error_stack", "tags")) for name in BUILT
}


@dataclass(frozen=True, slots=True)
class Choice:
    """Which runs: a time range [from_ns, to_ns) and what they must have; None means any."""

    project: str
    from_ns: int
    to_ns: int
    task: str | None = None
    queue: str | None = None
    environment: str | None = None
    version: str | None = None
    population: str | None = "live"

    def hours(self) -> Choice:
        """Return the choice with its range widened to whole hours."""
        first = self.from_ns // HOUR_NS * HOUR_NS
        last = -(-self.to_ns // HOUR_NS) * HOUR_NS
        return Choice(self.project, first, last, self.task, self.queue, self.environment, self.version, self.population)

    def where(self, columns: list[str]) -> str:
        """Return SQL conditions on those of task, queue, environment, version, population that are *columns*."""
        named = {"task_id": "task", "queue": "queue", "environment": "environment", "version": "version"}
        given = {**named, "population": "population"}
        chosen = [f"{c} = ${p}" for c, p in given.items() if c in columns and getattr(self, p) is not None]
        return " AND ".join(["project = $project", *chosen])

    def parameters(self, columns: list[str]) -> dict[str, Any]:
        """Return the values of what `where` names, and of the range."""
        given = {"task_id": self.task, "queue": self.queue, "environment": self.environment, "version": self.version}
        given |= {"population": self.population}
        named = {"task_id": "task"}
        chosen = {named.get(c, c): v for c, v in given.items() if c in columns and v is not None}
        return {"project": self.project, "from_ns": self.from_ns, "to_ns": self.to_ns, **chosen}


def summed(
    h: Handle, table: str, choice: Choice, keys: list[str], sums: list[str], *, also: str = "true"
) -> pl.DataFrame:
    """Return the rows of an hourly *table* in *choice*'s hours, added up by *keys*; sums are whole numbers."""
    wide = choice.hours()
    columns = ["task_id", "queue", "environment", "version", "population"]
    named = ", ".join(f'"{k}"' for k in keys)
    added = ", ".join(f'sum("{s}")::BIGINT AS "{s}"' for s in sums)
    return h.frame(
        f"SELECT {named}, {added} FROM {table} "  # noqa: S608 -- our own names; values are parameters
        f"WHERE {wide.where(columns)} AND hour_ns >= $from_ns AND hour_ns < $to_ns AND {also} GROUP BY {named}",
        wide.parameters(columns),
    )


def levels(h: Handle, choice: Choice) -> pl.DataFrame:
    """Return the rows of `queue_levels` whose bucket begins in *choice*'s range."""
    columns = ["queue", "environment"]
    return h.frame(
        f"SELECT * FROM queue_levels WHERE {choice.where(columns)} AND bucket_ns >= $from_ns AND bucket_ns < $to_ns",  # noqa: S608 -- ditto
        choice.parameters(columns),
    )


def slot_hours(h: Handle, choice: Choice) -> pl.DataFrame:
    """Return the rows of `slot_hours` in *choice*'s hours."""
    wide = choice.hours()
    columns = ["task_id", "queue", "environment"]
    return h.frame(
        f"SELECT * FROM slot_hours WHERE {wide.where(columns)} AND hour_ns >= $from_ns AND hour_ns < $to_ns",  # noqa: S608 -- ditto
        wide.parameters(columns),
    )


def limits(h: Handle) -> pl.DataFrame:
    """Return all limits of queues, stated and inferred."""
    return h.frame("SELECT * FROM queue_limits")


def count_runs(h: Handle, choice: Choice) -> int:
    """Return how many runs count in *choice*'s range."""
    columns = ["task_id", "queue", "environment", "version"]
    return int(
        h.value(
            f"SELECT count(*) FROM runs WHERE {choice.where(columns)} AND at_ns >= $from_ns AND at_ns < $to_ns",  # noqa: S608 -- ditto
            choice.parameters(columns),
        )
    )


def started(h: Handle, choice: Choice, *, most: int, also: str = "true") -> Version:
    """Return the rows of the runs that count in *choice*'s range, the newest *most* of them."""
    columns = ["task_id", "queue", "environment", "version"]
    keys = h.frame(
        f"SELECT project, run_key, built_seq FROM runs WHERE {choice.where(columns)} "  # noqa: S608 -- ditto
        f"AND at_ns >= $from_ns AND at_ns < $to_ns AND {also} ORDER BY at_ns DESC, run_key LIMIT $most",
        {**choice.parameters(columns), "most": most},
    )
    return _rows(h, keys)


def open_runs(h: Handle, choice: Choice, *, lost_since_ns: int) -> Version:
    """Return the rows of runs that have not ended, and of those that fell silent after *lost_since_ns*."""
    columns = ["task_id", "queue", "environment", "version"]
    given = {k: v for k, v in choice.parameters(columns).items() if k not in ("from_ns", "to_ns")}
    keys = h.frame(
        f"SELECT project, run_key, built_seq FROM runs WHERE {choice.where(columns)} "  # noqa: S608 -- ditto
        "AND held_until_ns >= $since AND (due_ns IS NOT NULL OR (status = 'unknown' AND last_seen_ns >= $since))",
        {**given, "since": lost_since_ns},
    )
    return _rows(h, keys)


def _rows(h: Handle, keys: pl.DataFrame) -> Version:
    built = within("t.built_seq", clusters(keys, "built_seq", "built_seq"))
    named = keys.select("project", "run_key")
    return Version(
        **{
            name: h.frame(
                f"SELECT {_COLUMNS[name]} FROM {name} t SEMI JOIN named USING (project, run_key) WHERE {built}",  # noqa: S608 -- ditto
                named=named,
            )
            for name in BUILT
        }
    )
