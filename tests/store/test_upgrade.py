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


def test_an_upgrade_that_is_killed_anywhere_is_done_by_the_next_start(tmp_path: Path) -> None:
    """Killed before, inside and after a step, the next open leaves the tables that an unbroken upgrade leaves."""
    program = """
import os, signal, sys
from pathlib import Path
from collector.settings import Store
from collector.store.database import Database, Handle
left, run = int(sys.argv[2]), Handle.run
def counted(*args, **frames):
    global left
    if (left := left - 1) == 0:
        os.kill(os.getpid(), signal.SIGKILL)
    run(*args, **frames)
Handle.run = counted
Database.open(Path(sys.argv[1]), Store(threads=1))
print(int(sys.argv[2]) - left)
"""

    def upgraded(directory: Path, kill_at: int) -> subprocess.Popen[bytes]:
        command = [sys.executable, "-c", program, str(unpack(OLDEST, directory)), str(kill_at)]
        return subprocess.Popen(command, stdout=subprocess.PIPE)

    whole = upgraded(tmp_path / "whole", 0)
    count = int(whole.communicate()[0])
    at = [len(ddl.TABLES) + 3, count - len(ddl.VIEWS) - len(ddl.MACROS) - 3, count]
    killed = [upgraded(tmp_path / str(n), n) for n in at]
    assert [p.wait() for p in killed] == [-signal.SIGKILL] * len(at)
    expected = _everything(tmp_path / "whole")
    for n in at:
        found = _everything(tmp_path / str(n))
        assert found.keys() == expected.keys()
        for name, table in expected.items():
            assert_frame_equal(found[name], table, check_row_order=False)


def _everything(directory: Path) -> dict[str, pl.DataFrame]:
    database = opened(directory)
    found = database.reading(lambda h: {name: h.frame(f'SELECT * FROM "{name}"') for name in ddl.TABLES})
    database.close()
    return {name: frame.with_columns(pl.all().cast(pl.String)) if name != "runs" else frame.drop("tags")
            for name, frame in found.items() if not any(isinstance(t, pl.List) for t in frame.dtypes) or name == "runs"}  # fmt: skip
