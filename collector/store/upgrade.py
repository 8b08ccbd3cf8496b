"""A file of an older version becomes one of ours: the steps between, and what a step may do.

Each step is one transaction that also writes the version it leads to, so a kill leaves whole steps. A step adds
columns (`add_columns`), has columns worked out anew from raw rows (`derive.begin`), or has runs built again
(`rebuild`). Only the first happens at once; the other two are noted here, and done in parts beside the work.
Missing tables, and statistics whose columns changed, need no step: every step makes them.

`ddl.TABLES` is what the tables are now, not what they were at a step: a step may find done what a later one would do.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from collector.model.errors import UsageError
from collector.store import ddl, version

if TYPE_CHECKING:
    from collector.store.database import Handle

REBUILD_NS = 0
"""`due_ns` of a run that is to be built again whatever the clock says: before every time a clock tells."""
_LONGEST_MS = 31 * 86_400_000


def _to_2(h: Handle) -> None:
    """Statistics changed their columns, and `begin` sees to those."""


def _to_3(h: Handle) -> None:
    """Runs may be set aside; and waits that cannot be, which some say of themselves, count as unknown from now on."""
    add_columns(h, "runs")
    impossible = f"NOT coalesce(isfinite(l.queue_wait_ms) AND l.queue_wait_ms BETWEEN 0 AND {_LONGEST_MS}, true)"
    rebuild(
        h,
        f"SELECT l.project, l.run_key FROM logs l WHERE {impossible} "  # noqa: S608 -- numbers of ours
        "UNION ALL SELECT r.project, r.run_key FROM logs l "
        f"JOIN log_runs r ON r.project = l.project AND r.seq = l.seq AND r.row = l.row WHERE {impossible}",
    )


STEPS: dict[int, Callable[[Handle], None]] = {2: _to_2, 3: _to_3}
"""Version → what brings a file of the version before to it."""


def begin(h: Handle) -> list[int]:
    """Make the tables that are not there; return the versions that an older file is to be brought to, one by one."""
    h.run(ddl.create("meta"))
    found = h.value("SELECT value FROM meta WHERE name = 'version'")
    if found is not None and int(found) > version.VERSION:
        raise UsageError(f"{version.FILE}: written by a newer runwell (version {found}); upgrade runwell.")
    if found is None or int(found) == version.VERSION:
        for name in ddl.TABLES:
            h.run(ddl.create(name))
    if found is None:
        h.run("INSERT INTO meta BY NAME SELECT 'version' AS name, $v AS value", {"v": str(version.VERSION)})
    return [*range(int(found) + 1, version.VERSION + 1)] if found is not None else []


def step(h: Handle, number: int) -> None:
    """Bring a file of the version before to version *number*."""
    for name in ddl.TABLES:
        h.run(ddl.create(name))
    STEPS[number](h)
    _renew_statistics(h)
    h.run("DELETE FROM meta WHERE name IN ('version', 'views')")  # views are bound to columns that were there
    h.run("INSERT INTO meta BY NAME SELECT 'version' AS name, $v AS value", {"v": str(number)})


def columns(h: Handle, table: str) -> dict[str, str]:
    """Return the columns that *table* has in the file: name → SQL type."""
    found = h.rows(
        "SELECT column_name, data_type FROM duckdb_columns() WHERE NOT internal AND schema_name = 'main' "
        "AND table_name = $table ORDER BY column_index",
        {"table": table},
    )
    return dict(found)


def add_columns(h: Handle, table: str) -> None:
    """Add the columns that *table* has now and the file lacks, NULL in every row. They stand last, whatever their
    place in the schema: nothing goes by places."""
    there = columns(h, table)
    for field in ddl.TABLES[table]:
        if field.name not in there:
            h.run(f'ALTER TABLE "{table}" ADD COLUMN "{field.name}" {ddl.sql_type(field.type)}')


def rebuild(h: Handle, runs: str) -> None:
    """Have all runs built again that the query *runs* (project, run_key) gives: in parts, by the runs job."""
    h.run(
        f"INSERT INTO run_due BY NAME SELECT DISTINCT project, run_key, {REBUILD_NS}::BIGINT AS due_ns FROM ({runs}) "  # noqa: S608 -- our own query
        "WHERE run_key IS NOT NULL EXCEPT SELECT project, run_key, due_ns FROM run_due"
    )


def rebuilding(h: Handle) -> int:
    """Return how many runs are still to be built again."""
    return int(h.value(f"SELECT count(*) FROM run_due WHERE due_ns = {REBUILD_NS}"))  # noqa: S608 -- a number


def _renew_statistics(h: Handle) -> None:
    """Empty the tables of statistics whose columns are not ours, so that their jobs make them anew from all runs."""
    for table, job in ddl.KEPT_BY.items():
        if columns(h, table) != {f.name: ddl.sql_type(f.type) for f in ddl.TABLES[table]}:
            h.run(f"DROP TABLE {table}")
            h.run(ddl.create(table))
            h.run("DELETE FROM watermark WHERE name = $job", {"job": job})
