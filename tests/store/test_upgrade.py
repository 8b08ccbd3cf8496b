"""An older store becomes one of ours, whatever stops it on the way; and whoever changes a table keeps one of his."""

from __future__ import annotations

import os
import shutil
import signal
import sqlite3
import subprocess
import sys
from pathlib import Path

import duckdb
import polars as pl
import pyarrow as pa
import pytest
from polars.testing import assert_frame_equal

from collector import control
from collector.journal import Entry, Journal, files
from collector.model.errors import UsageError
from collector.settings import Store
from collector.store import apply, ddl, derive, run_tables, upgrade, version
from collector.store.database import FILE, Database, Handle
from tests.store.kept import DAY_NS, VERSIONS, Opened, content, newest, replayed
from tests.vectors.stores.make import SECOND, requests, unpack

OLDEST, NEWEST = VERSIONS[0], VERSIONS[-1]
_HOW = "raise VERSION, add a step, and keep a store of the new version (ARCHITECTURE.md, How a table is changed)"


def opened(directory: Path) -> Database:
    """Return the database in *directory*."""
    return Database.open(directory, Store(threads=1), on_fatal=lambda: None)


@pytest.mark.parametrize("kept", VERSIONS)
def test_a_kept_store_becomes_what_a_replay_of_its_journal_gives_and_goes_on(kept: int, tmp_path: Path) -> None:
    """Run tables and statistics are to the last value those of an empty store that reads the whole journal, also after
    both took in more of the same; and the columns of every table are those of a new file."""
    old = Opened(unpack(kept, tmp_path / "old"))
    fresh = replayed(tmp_path / "old", tmp_path / "fresh")
    late_ns = newest() + DAY_NS
    for more in ([], requests(first=100, count=3)):
        for store in (old, fresh):
            for n, some in enumerate(more):
                store.group(some, late_ns + n)
        after_ns = late_ns + (DAY_NS if more else 0)
        found, expected = old.rest(after_ns), fresh.rest(after_ns)
        for name, table in expected.items():
            assert_frame_equal(found[name], table)
    assert old.table("runs").height > 30
    assert old.database.reading(upgrade.rebuilding) == 0
    for name in ddl.TABLES:
        both = [set(s.database.reading(lambda h, n=name: upgrade.columns(h, n)).items()) for s in (old, fresh)]  # type: ignore[misc]
        assert both[0] == both[1], name
    old.close()
    fresh.close()


def test_a_change_of_a_table_comes_with_a_version_a_step_and_a_kept_store(tmp_path: Path) -> None:
    """The newest kept store has the version of this code and its tables, columns and types: those of the database,
    the journal and the control file. Every version from the first kept one on is there, and has a step."""
    assert version.VERSION == NEWEST, _HOW
    assert [*range(OLDEST, NEWEST + 1)] == VERSIONS, _HOW
    assert sorted(upgrade.STEPS) == VERSIONS, _HOW
    unpack(NEWEST, tmp_path / "kept")
    with duckdb.connect(str(tmp_path / "kept" / FILE), read_only=True) as con:
        rows = con.execute(
            "SELECT table_name, column_name, data_type FROM duckdb_columns() WHERE NOT internal"
        ).fetchall()
        names = {name for (name,) in con.execute("SELECT table_name FROM duckdb_tables()").fetchall()}
    assert names == set(ddl.TABLES), _HOW
    ours = {(table, f.name, ddl.sql_type(f.type)) for table, schema in ddl.TABLES.items() for f in schema}
    assert {row for row in rows if row[0] in names} == ours, _HOW
    Journal.open(tmp_path).close()
    control.Control.open(tmp_path).close()
    for name in (files.NAME, control.FILE):
        found = [sqlite3.connect(d / name).execute("SELECT name, sql FROM sqlite_master ORDER BY name").fetchall()
                 for d in (tmp_path / "kept", tmp_path)]  # fmt: skip
        assert found[0] == found[1], f"{name}: {_HOW}"


_KILLED = """
import os, signal, sys
from pathlib import Path
from collector.settings import Store
from collector.store.database import Database, Handle
run, count = Handle.run, 0
def opened(directory, kill_at):
    global count
    count = 0
    def counted(*args, **frames):
        global count
        count += 1
        if count == kill_at:
            os.kill(os.getpid(), signal.SIGKILL)
        return run(*args, **frames)
    Handle.run = counted
    Database.open(directory, Store(threads=1)).reading(lambda h: h.value("SELECT 1"))
    os._exit(count if kill_at == 0 else 1)
for directory, back in zip(sys.argv[1::2], sys.argv[2::2]):
    # Forked before DuckDB has any thread.
    child = os.fork() or opened(Path(directory), count and max(1, count - int(back)))
    status = os.waitpid(child, 0)[1]
    count = count or os.waitstatus_to_exitcode(status)
    print(os.waitstatus_to_exitcode(status))
"""
"""Opens directories, the first to its end, the others as many statements less; prints how each process ended."""


def test_an_upgrade_that_is_killed_anywhere_is_done_by_the_next_start(tmp_path: Path) -> None:
    """Killed before, inside and after a step, the next open leaves the tables that an unbroken upgrade leaves."""
    defined = len(ddl.VIEWS) + len(ddl.MACROS) + 2
    # Statements before the end: none; the last of the step and those that change tables; the first of all.
    backs = [0, 0, defined, *(defined + n for n in range(1, 8, 2)), 200]
    directories = [unpack(OLDEST, tmp_path / str(i)) for i in range(len(backs))]
    named = [str(word) for pair in zip(directories, backs, strict=True) for word in pair]
    told = subprocess.run([sys.executable, "-c", _KILLED, *named], capture_output=True, text=True, check=True)
    assert [*map(int, told.stdout.split())][1:] == [-signal.SIGKILL] * (len(backs) - 1)
    expected = _everything(directories[0])
    for directory in directories[1:]:
        found = _everything(directory)
        assert found.keys() == expected.keys()
        for name, table in expected.items():
            assert_frame_equal(found[name], table, check_row_order=False)


def _everything(directory: Path) -> dict[str, pl.DataFrame]:
    """Return all that is in the tables, each row as text."""
    database = opened(directory)
    found = database.reading(
        lambda h: {name: h.frame(f'SELECT t::VARCHAR AS row FROM "{name}" t') for name in ddl.TABLES}
    )
    database.close()
    return found
