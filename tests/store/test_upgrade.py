"""An older store becomes one of ours, whatever stops it on the way; and whoever changes a table keeps one of his."""

from __future__ import annotations

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
from collector.model.units import DAY_NS
from collector.settings import Store
from collector.store import FILE, apply, ddl, derive, run_tables, salvage, upgrade, version
from collector.store.database import Database, damage_note
from collector.store.handle import Handle
from tests.analyse.story import attempt, log, span
from tests.jobs.invented import store as store_rows
from tests.length import also
from tests.stack import running, until
from tests.store.kept import VERSIONS, Opened, arranged, content, newest, replayed
from tests.vectors.stores.make import requests, unpack

OLDEST, NEWEST = VERSIONS[0], VERSIONS[-1]
_HOW = "raise VERSION, add a step, and keep a store of the new version (ARCHITECTURE.md, How a table is changed)"


def opened(directory: Path) -> Database:
    """Return the database in *directory*."""
    return Database.open(directory, Store(threads=1), on_fatal=lambda e: None)


@pytest.mark.parametrize("stored", [OLDEST, NEWEST - 1, *also("properties", *VERSIONS[1:-2], NEWEST)])
def test_a_kept_store_becomes_what_a_replay_of_its_journal_gives_and_goes_on(stored: int, tmp_path: Path) -> None:
    """Run tables and statistics are to the last value those of an empty store that reads the whole journal, also after
    both took in more of the same; and the columns of every table are those of a new file. Runs know the project that
    their resources state, or those of their parents, also where records are from before it was a column."""
    old = Opened(unpack(stored, tmp_path / "old"))
    fresh = replayed(tmp_path / "old", tmp_path / "fresh")
    late_ns = newest() + DAY_NS
    for more in ([], requests(first=100, count=3)):
        for store in (old, fresh):
            for n, some in enumerate(more):
                store.group(some, late_ns + n)
        after_ns = late_ns + (DAY_NS if more else 0)
        upgraded, expected = old.rest(after_ns), fresh.rest(after_ns)
        for name, table in expected.items():
            assert_frame_equal(upgraded[name], table)
    runs = old.table("runs")
    assert runs.height >= 30
    told = runs.filter(pl.col("dialect") == "trigger_dev")["platform_project"]
    assert told.len() > 10
    assert told.null_count() == 0
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
        definitions = [
            sqlite3.connect(d / name).execute("SELECT name, sql FROM sqlite_master ORDER BY name").fetchall()
            for d in (tmp_path / "kept", tmp_path)
        ]
        assert definitions[0] == definitions[1], f"{name}: {_HOW}"


_KILLED = """
import os, signal, sys
from pathlib import Path
from collector.settings import Store
from collector.store.database import Database
from collector.store.handle import Handle
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
    output = subprocess.run([sys.executable, "-c", _KILLED, *named], capture_output=True, text=True, check=True)
    assert [*map(int, output.stdout.split())][1:] == [-signal.SIGKILL] * (len(backs) - 1)
    expected = _everything(directories[0])
    for directory in directories[1:]:
        tables = _everything(directory)
        assert tables.keys() == expected.keys()
        for name, table in expected.items():
            assert_frame_equal(tables[name], table, check_row_order=False)


def _everything(directory: Path) -> dict[str, pl.DataFrame]:
    """Return all that is in the tables, each row as text."""
    database = opened(directory)
    tables = database.reading(
        lambda h: {name: h.frame(f'SELECT t::VARCHAR AS row FROM "{name}" t') for name in ddl.TABLES}
    )
    database.close()
    return tables


def test_a_step_that_the_data_does_not_allow_says_so_and_leaves_the_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One sentence names file, version and reason; not a byte of database and log differs, and when the step can be
    taken it is, as it would have been at first."""
    before = content(unpack(NEWEST, tmp_path))
    monkeypatch.setattr(version, "VERSION", NEWEST + 1)
    monkeypatch.setitem(upgrade.STEPS, NEWEST + 1, lambda h: h.run("UPDATE runs SET first_seq = task_id::BIGINT"))
    with pytest.raises(
        UsageError, match=rf"runwell\.duckdb: cannot be brought to version {NEWEST + 1} \(.*Could not convert"
    ):
        opened(tmp_path)
    assert {name: now for name, now in content(tmp_path).items() if name in before} == before
    monkeypatch.setitem(upgrade.STEPS, NEWEST + 1, lambda h: h.run("UPDATE runs SET first_seq = 1"))
    database = opened(tmp_path)
    assert database.reading(lambda h: h.rows("SELECT DISTINCT first_seq FROM runs")) == [(1,)]
    database.close()


def test_runs_are_built_again_in_parts_beside_what_the_clock_makes_due(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A tick takes up no more than its share; status tells how many are left; in the end every row is what it was."""
    store, late_ns = Opened(unpack(NEWEST, tmp_path)), newest() + DAY_NS
    while store.runs.tick(late_ns):
        pass
    expected = {name: arranged(store.table(name)) for name in ddl.BUILT}
    monkeypatch.setattr(run_tables, "_MOST_DUE", 7)
    store.database.writing(lambda h: h.run("UPDATE runs SET status = 'completed', task_id = 'wrong', ended_ns = NULL"))
    store.database.writing(lambda h: upgrade.rebuild(h, "SELECT * FROM runs"))
    left = [store.database.reading(upgrade.rebuilding)]
    while count := store.runs.tick(late_ns):
        assert count <= 7
        left.append(store.database.reading(upgrade.rebuilding))
    assert left == [*range(len(expected["runs"]), 0, -7), 0]
    for name in ddl.BUILT:
        assert_frame_equal(arranged(store.table(name)), expected[name])
    store.close()


def test_waits_of_decades_leave_no_hours_to_compute(tmp_path: Path) -> None:
    """The step to 3 drops what a wait since 1970 had marked: no run holds a slot from then on, and queue levels begin
    anew from all runs."""
    with duckdb.connect(str(unpack(2, tmp_path) / FILE)) as con:
        con.execute("UPDATE runs SET held_from_ns = 1 WHERE run_id = 'worker-1'")
        con.execute("INSERT INTO level_hours SELECT range * 3600000000000 FROM range(500000)")
    database = opened(tmp_path)
    assert database.reading(lambda h: h.rows("SELECT hour_ns FROM level_hours UNION SELECT ns FROM queue_levels")) == []
    assert database.reading(lambda h: apply.watermark(h, "concurrency")) == 0
    assert database.reading(lambda h: h.value("SELECT min(held_from_ns) FROM runs")) > 10**18
    database.close()


def test_all_runs_are_built_again_by_version_5(tmp_path: Path) -> None:
    """And end as those of a new store do."""
    around = {"dialect": "generic", "span_type": "user", "kind": 1}
    records = [
        *(("spans", span("root", "job", 0, 5, **around)), ("spans", attempt("platform", 0, 0, 5))),
        *(("logs", log("zero", 1, "a_completed", attempt=0)), ("logs", log("other", 1, "a_completed", attempt=1))),
    ]
    store = Opened(tmp_path)
    store_rows(store.database, 1, records)
    while store.runs.tick(newest()):
        pass
    told = "SELECT run_id, status, attempt_count, idle_ns FROM runs ORDER BY run_id"
    expected = store.database.reading(lambda h: h.rows(told))
    assert {row[1:] for row in expected} == {("completed", 1, 0)}
    store.database.writing(lambda h: h.run("UPDATE runs SET status = 'unknown', idle_ns = NULL"))
    store.database.writing(lambda h: h.run("UPDATE meta SET value = '4' WHERE name = 'version'"))
    store.close()
    store = Opened(tmp_path)
    assert store.database.reading(upgrade.rebuilding) == 4
    while store.runs.tick(newest()):
        pass
    assert store.database.reading(lambda h: h.rows(told)) == expected
    store.close()


TEXT = derive.Derived(
    "logs", "severity_text", ("severity_number",), lambda rows: rows["severity_number"].cast(pa.string())
)


def without_text(directory: Path) -> None:
    """Unpack a store into *directory* as one of a version that had no text of severities."""
    with duckdb.connect(str(unpack(NEWEST, directory) / FILE)) as con:
        con.execute("ALTER TABLE logs DROP COLUMN severity_text")


def test_a_column_is_worked_out_from_raw_rows_in_parts_and_for_groups_that_came_before_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each part is committed with how far it came, so that another process goes on from there; the runs of its records
    are built again. A group of the journal without the column has it once applied, and one that nothing makes is NULL;
    a column that the table does not have is left out; rows of another table are refused."""
    without_text(tmp_path)
    monkeypatch.setattr(derive, "DERIVED", [TEXT])
    monkeypatch.setattr(derive, "_MOST_ROWS", 8)
    monkeypatch.setattr(version, "VERSION", NEWEST + 1)

    def to_next(h: Handle) -> None:
        upgrade.add_columns(h, "logs")
        derive.begin(h, TEXT)

    monkeypatch.setitem(upgrade.STEPS, NEWEST + 1, to_next)
    seen = []
    while not seen or seen[-1]:
        database = opened(tmp_path)
        seen.append(database.reading(derive.waiting).get("logs.severity_text", (0, 0)))
        seen += [()] if not database.writing(derive.part) else []
        database.close()
    assert len(seen) > 4
    assert seen[:-2] == sorted(set(seen[:-2]))
    store = Opened(tmp_path)
    group = store.reader.entries(apply.applied(store.database), 2**20)[-1]
    logs = group.tables["logs"].drop_columns(["severity_text", "event_name"])
    logs = logs.append_column("newer", logs["body"])
    apply.apply(store.database, [Entry(group.seq, group.received_ns, {"logs": logs})])
    logs_after = store.table("logs")
    assert logs_after["severity_text"].to_list() == logs_after["severity_number"].cast(pl.String).to_list()
    assert logs_after.filter(seq=group.seq)["event_name"].null_count() == logs.num_rows > 0
    changed = logs_after.filter(pl.col("seq") < group.seq)["run_key"].drop_nulls().unique()
    runs = changed.filter(changed.is_in(store.table("runs")["run_key"].to_list()))
    assert store.database.reading(upgrade.rebuilding) == runs.len() > 0
    with pytest.raises(ValueError, match="rows of logs without received_ns"):
        apply.apply(store.database, [Entry(group.seq + 1, 0, {"logs": group.tables["resources"]})])
    store.close()


def test_what_is_taken_over_from_a_damaged_file_may_be_of_an_older_version(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its rows come without the columns it lacks, and with those that can be made of others."""
    without_text(tmp_path)
    monkeypatch.setattr(derive, "DERIVED", [TEXT])
    (tmp_path / FILE).rename(tmp_path / f"{FILE}.damaged-1")
    damage_note(tmp_path).write_text(f"{FILE}.damaged-1", "utf-8")
    database = opened(tmp_path)
    assert salvage.take_over(database, tmp_path, 0)["logs"] > 50
    assert database.reading(lambda h: h.value("SELECT count(*) FROM logs WHERE severity_text IS NULL")) == 0
    database.close()


@pytest.mark.e2e
def test_runwell_starts_on_the_directory_of_the_oldest_kept_store(tmp_path: Path) -> None:
    """With its settings file, its logs as a kill left them, and nothing else: it takes up what the journal holds, says
    in status when the upgrade is done, and tells of no setting that it would not say of the newest file."""
    with running(unpack(OLDEST, tmp_path / "data")) as stack:
        stack.applied()
        until(lambda: stack.client.status()["upgrading"] == {}, why="runs to be built again")
        status = stack.client.status()
        assert (status["applied_seq"], status["set_aside"], status["failing_jobs"]) == (14, [], {})
        assert status["rows"]["runs"] == 30
    assert "Traceback" not in (tmp_path / "data.log").read_text()
