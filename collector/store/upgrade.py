"""A file of an older version becomes one of ours: the steps between, and what a step may do.

Each step is one transaction that also writes the version it leads to, so a kill leaves whole steps. A step adds
columns (`add_columns`), has columns worked out anew from raw rows (`derive.begin`), or has runs built again
(`rebuild`). Only the first happens at once; the other two are noted here, and done in parts beside the work.
Missing tables, and statistics whose columns changed, need no step: every step makes them.

`ddl.TABLES` is what the tables are now, not what they were at a step: a step may find done what a later one would do.
"""

from __future__ import annotations

from collections.abc import Callable

from collector.model.errors import UsageError
from collector.model.tables import WIRE
from collector.store import ddl, doubted, earlier, restated, version
from collector.store.handle import Handle


def _to_2(h: Handle) -> None:
    """Statistics changed their columns, and `step` sees to those."""


def _to_3(h: Handle) -> None:
    """Runs may be set aside; and what records say that cannot be counts as unknown from now on."""
    add_columns(h, "runs")
    rebuild(h, doubted.RUNS)
    too_early = f"held_from_ns < {doubted.HELD_FROM}"
    if h.value(f"SELECT count(*) FROM runs WHERE {too_early}"):  # noqa: S608 -- our own names
        # A wait of decades left half a million hours to be computed, 48 at a time.
        h.run(f"UPDATE runs SET held_from_ns = {doubted.HELD_FROM} WHERE {too_early}")  # noqa: S608 -- ditto
        h.run("DELETE FROM level_hours")
        _renew(h, "queue_levels", "slot_hours")


def _to_4(h: Handle) -> None:
    """Long texts stand in a table of their own from now on; those that are there stay where they are."""
    for table in WIRE:
        add_columns(h, table)


def _to_5(h: Handle) -> None:
    """Logs say where the keys of their run stand; all runs are told anew, by what spans and clocks say of them too."""
    for table in ("logs", "runs", "attempts", "before_runs", "before_attempts"):
        add_columns(h, table)
    rebuild(h, "SELECT project, run_key FROM runs")


def _to_6(h: Handle) -> None:
    """Runs are parted by what their records state, attempts know their version: all runs are told anew.

    What was skipped or interrupted counts otherwise, so that what was counted before cannot be taken off.
    """
    _complete(h)
    # What attempts and phases add counts by their own version from now on, which old rows of theirs do not tell.
    _renew(h, "run_cohorts", "attempt_hours", "flow_hours", "duration_hours", "phase_hours")
    rebuild(h, "SELECT project, run_key FROM runs")
    restated.part(h)


def _to_7(h: Handle) -> None:
    """Statistics, queues and limits are apart by platform project; waits, backlogs and errors are told otherwise."""
    _complete(h)
    for table in ("waits", "before_waits"):  # `released_ns` says more
        h.run(f"ALTER TABLE {table} DROP COLUMN IF EXISTS holds_slot")
    earlier.complete_links(h)
    _renew(h, *ddl.KEPT_BY)
    rebuild(h, "SELECT project, run_key FROM runs")


def _to_8(h: Handle) -> None:
    """The control file keeps access keys; nothing changes here."""


STEPS: dict[int, Callable[[Handle], None]] = {2: _to_2, 3: _to_3, 4: _to_4, 5: _to_5, 6: _to_6, 7: _to_7, 8: _to_8}
"""Version → what brings a file of the version before to it."""


def begin(h: Handle) -> list[int]:
    """Make the tables that are not there; return the versions that an older file is to be brought to, one by one."""
    h.run(ddl.create("meta"))
    stored = h.value("SELECT value FROM meta WHERE name = 'version'")
    if stored is not None and not str(stored).isdigit():
        raise UsageError(
            f"{version.FILE}: its version is {str(stored)[:20]!r}, which no runwell wrote; move the file away."
        )
    if stored is not None and int(stored) > version.VERSION:
        raise UsageError(f"{version.FILE}: written by a newer runwell (version {stored}); upgrade runwell.")
    if stored is None or int(stored) == version.VERSION:
        for name in ddl.TABLES:
            h.run(ddl.create(name))
    if stored is None:
        h.run("INSERT INTO meta BY NAME SELECT 'version' AS name, $v AS value", {"v": str(version.VERSION)})
    return [*range(int(stored) + 1, version.VERSION + 1)] if stored is not None else []


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
    rows = h.rows(
        "SELECT column_name, data_type FROM duckdb_columns() WHERE NOT internal AND schema_name = 'main' "
        "AND table_name = $table ORDER BY column_index",
        {"table": table},
    )
    return dict(rows)


def add_columns(h: Handle, table: str) -> None:
    """Add the columns that *table* has now and the file lacks, NULL in every row. They stand last, wherever
    they are in the schema: nothing goes by position."""
    there = columns(h, table)
    for field in ddl.TABLES[table]:
        if field.name not in there:
            h.run(f'ALTER TABLE "{table}" ADD COLUMN "{field.name}" {ddl.sql_type(field.type)}')


def _complete(h: Handle) -> None:
    """Add every column that a table lacks; statistics are made anew instead."""
    for table in ddl.TABLES:
        if table not in ddl.KEPT_BY:
            add_columns(h, table)


def rebuild(h: Handle, runs: str) -> None:
    """Have all runs built again that the query *runs* (project, run_key) gives: in parts, by the runs job.

    `run_due` says so by a time before every clock's: less the number of the journal where a run begins, so that a part
    is runs that lie together.
    """
    h.run(
        "INSERT INTO run_due BY NAME SELECT project, run_key, -coalesce(first_seq, 0) AS due_ns FROM runs "  # noqa: S608 -- our own query
        f"SEMI JOIN ({runs}) USING (project, run_key) "
        "ANTI JOIN (SELECT project, run_key FROM run_due WHERE due_ns <= 0) USING (project, run_key)"
    )


def rebuilding(h: Handle) -> int:
    """Return how many runs are still to be built again."""
    return int(h.value("SELECT count(*) FROM run_due WHERE due_ns <= 0"))


def _renew_statistics(h: Handle) -> None:
    """Empty the tables of statistics whose columns are not ours, so that their jobs make them anew from all runs."""
    for table in ddl.KEPT_BY:
        if columns(h, table) != {f.name: ddl.sql_type(f.type) for f in ddl.TABLES[table]}:
            _renew(h, table)


def _renew(h: Handle, *tables: str) -> None:
    for table in tables:
        h.run(f"DROP TABLE {table}")
        h.run(ddl.create(table))
        h.run("DELETE FROM watermark WHERE name = $job", {"job": ddl.KEPT_BY[table]})
