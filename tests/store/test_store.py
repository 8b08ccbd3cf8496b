"""The store: a projection of the journal that may be rebuilt, is opened locked, and refuses what it cannot read."""

from __future__ import annotations

import shutil
from pathlib import Path

import polars as pl
import pytest
from polars.testing import assert_frame_equal

from collector.journal.entries import Entry
from collector.model.errors import UsageError
from collector.model.tables import PUBLIC
from collector.model.words import RunStatus
from collector.settings import Store
from collector.store import FILE, ddl
from collector.store.apply import NAME, applied, apply, watermark
from collector.store.database import Database
from tests.inprocess import Pipeline, later, recorded


def no_exit(error: Exception) -> None:
    """Stand in for the end of the process."""


def entries(directory: Path, name: str = "long-wait") -> list[Entry]:
    """Return a recorded set as journal groups, one a request."""
    requests = recorded(name)
    with Pipeline(directory) as p:
        for r in requests:
            p.group([r], later(requests))
        return p.reader.entries(0, 2**40)


def rows(database: Database) -> dict[str, pl.DataFrame]:
    """Return every table, rows in an order of their own and lists as text."""
    tables = {name: database.reading(lambda h, n=name: h.frame(f'SELECT * FROM "{n}"')) for name in ddl.TABLES}  # type: ignore[misc]
    return {
        name: frame.with_columns(pl.col(pl.List(pl.String)).list.join("\n")).sort(pl.all().cast(pl.String))
        for name, frame in tables.items()
    }


def test_applying_twice_is_applying_once(tmp_path: Path) -> None:
    """Groups at or below the watermark change nothing, whether they come whole, in part or mixed with new ones."""
    groups = entries(tmp_path / "journal")
    once = Database.open(tmp_path / "once", Store(), no_exit)
    assert apply(once, groups) == once.reading(
        lambda h: h.value("SELECT (SELECT count(*) FROM logs) + (SELECT count(*) FROM spans)")
    )
    again = Database.open(tmp_path / "again", Store(), no_exit)
    for upto in (3, 2, 7, 7, len(groups)):
        apply(again, groups[:upto])
    assert apply(again, groups) == 0
    assert applied(once) == applied(again) == groups[-1].seq
    for name, frame in rows(once).items():
        assert_frame_equal(rows(again)[name], frame)
    once.close()
    again.close()


def test_rows_and_watermark_are_written_together_or_not_at_all(tmp_path: Path) -> None:
    """When a group is none at all, it is not there, those before it are, and the watermark says so."""
    groups = entries(tmp_path / "journal")
    database = Database.open(tmp_path / "store", Store(), no_exit)
    apply(database, groups[:2])
    broken = Entry(groups[3].seq, groups[3].received_ns, {"logs": groups[0].tables["resources"]})
    with pytest.raises(Exception):  # noqa: B017 -- whichever library notices first
        apply(database, [groups[2], broken])
    assert applied(database) == groups[2].seq
    stored = database.reading(
        lambda h: h.value("SELECT max(seq) FROM (FROM logs SELECT seq UNION FROM spans SELECT seq)")
    )
    assert stored <= groups[2].seq
    assert apply(database, groups) > 0
    assert applied(database) == groups[-1].seq
    database.close()


def test_a_store_goes_on_from_its_watermark(tmp_path: Path) -> None:
    """Closed and opened again, it knows what it holds; a job that never ran stands at 0."""
    groups = entries(tmp_path / "journal")
    database = Database.open(tmp_path / "store", Store(), no_exit)
    apply(database, groups[:4])
    database.close()
    database = Database.open(tmp_path / "store", Store(), no_exit)
    assert (applied(database), database.set_aside) == (groups[3].seq, [])
    assert database.reading(lambda h: watermark(h, "nobody")) == 0
    assert database.reading(lambda h: watermark(h, NAME)) == groups[3].seq
    database.close()


def test_a_newer_file_is_refused_with_a_sentence(tmp_path: Path) -> None:
    """A file of a newer version is left as it is, and the message says what to do."""
    database = Database.open(tmp_path, Store(), no_exit)
    database.writing(lambda h: h.run("UPDATE meta SET value = '99' WHERE name = 'version'"))
    database.close()
    before = (tmp_path / FILE).read_bytes()
    with pytest.raises(UsageError, match=r"runwell\.duckdb: written by a newer runwell \(version 99.*upgrade"):
        Database.open(tmp_path, Store(), no_exit)
    assert (tmp_path / FILE).read_bytes() == before


def test_a_wal_that_does_not_replay_is_set_aside_alone(tmp_path: Path) -> None:
    """The last checkpoint and its watermark stand, and the damaged log is kept under another name."""
    groups = entries(tmp_path / "journal")
    database = Database.open(tmp_path / "running", Store(), no_exit)
    apply(database, groups[:3])
    database.checkpoint()
    apply(database, groups[3:])
    shutil.copytree(tmp_path / "running", tmp_path / "killed")  # what a kill would leave
    database.close()
    wal = tmp_path / "killed" / f"{FILE}.wal"
    damaged = bytearray(wal.read_bytes())
    damaged[len(damaged) // 2] ^= 0xFF
    wal.write_bytes(damaged)
    database = Database.open(tmp_path / "killed", Store(), no_exit)
    assert database.set_aside == [f"{FILE}.wal.damaged-1"]
    assert (tmp_path / "killed" / database.set_aside[0]).read_bytes() == damaged
    assert applied(database) == groups[2].seq
    assert apply(database, groups) > 0
    database.close()


def test_a_file_that_is_no_database_is_set_aside_and_rebuilt_from_the_journal(tmp_path: Path) -> None:
    """A damaged file is kept under another name; an empty store takes the journal from its beginning."""
    groups = entries(tmp_path / "journal")
    (tmp_path / "store").mkdir()
    (tmp_path / "store" / FILE).write_bytes(b"garbage" * 4096)
    database = Database.open(tmp_path / "store", Store(), no_exit)
    assert database.set_aside == [f"{FILE}.damaged-1"]
    assert applied(database) == 0
    assert apply(database, groups) > 0
    database.close()


def test_every_table_has_its_project_and_the_types_of_its_schema(tmp_path: Path) -> None:
    """What the schema promises is what DuckDB has: each column of each public table, first of all the project."""
    database = Database.open(tmp_path, Store(), no_exit)
    for name, schema in PUBLIC.items():
        columns = database.reading(lambda h, n=name: h.frame(f"DESCRIBE {n}")).rows()  # type: ignore[misc]
        assert columns[0][0] == "project"
        types = {column[0]: column[1] for column in columns}
        for field in schema:
            assert types[field.name] == ddl.sql_type(field.type)
    database.close()


def test_statements_know_the_statuses_as_words_have_them(tmp_path: Path) -> None:
    """Each status is open, ended by itself, well or not, stopped, or unknown; a status that is not known is none."""
    failed, stopped = {"failed", "timed_out", "crashed"}, {"canceled", "expired"}
    expected = {
        "is_open": {"queued", "running", "waiting", "retrying"},
        "is_failed": failed,
        "is_decided": {"completed"} | failed,
        "is_stopped": stopped,
        "is_over": {"completed"} | failed | stopped,
    }
    every = pl.DataFrame({"status": [*RunStatus, None]})
    database = Database.open(tmp_path, Store(), no_exit)
    for macro, of in expected.items():
        statuses = database.reading(lambda h, m=macro: h.frame(f"SELECT status FROM e WHERE {m}(status)", e=every))  # type: ignore[misc]
        assert set(statuses["status"]) == of, macro
    assert expected["is_open"] | expected["is_over"] | {"unknown"} == set(RunStatus)
    database.close()


def test_reading_cannot_write(tmp_path: Path) -> None:
    """A reading transaction refuses any change."""
    database = Database.open(tmp_path, Store(), no_exit)
    with pytest.raises(Exception, match="read-only"):
        database.reading(lambda h: h.run("DELETE FROM meta"))
    database.close()


LOCKED = [
    "SELECT * FROM read_csv('/etc/passwd')",
    "SELECT * FROM '/etc/passwd'",
    "SELECT * FROM sniff_csv('/etc/passwd')",
    "SELECT * FROM read_text('/etc/passwd')",
    "COPY (SELECT 1) TO '{dir}/out.csv'",
    "ATTACH '{dir}/other.duckdb'",
    "INSTALL httpfs",
    "LOAD httpfs",
    "SET enable_external_access = true",
    "SELECT * FROM glob('/etc/*')",
    "SET temp_directory = '/tmp'",
    "SET secret_directory = '/tmp'",
    "EXPORT DATABASE '{dir}/export'",
    "PRAGMA disable_checkpoint_on_shutdown",
    "SET lock_configuration = false",
    "RESET memory_limit",
    "SET memory_limit = '8GiB'",
    "SELECT * FROM read_parquet('https://example.com/x.parquet')",
    "CREATE SECRET s (TYPE s3, KEY_ID 'a', SECRET 'b')",
]


@pytest.mark.parametrize("statement", LOCKED)
def test_the_connection_itself_is_locked(tmp_path: Path, statement: str) -> None:
    """No statement of ours could reach another file, an extension or a setting, even when it writes."""
    database = Database.open(tmp_path / "store", Store(), no_exit)
    with pytest.raises(Exception) as refused:
        database.writing(lambda h: h.run(statement.replace("{dir}", str(tmp_path))))
    assert type(refused.value).__module__.startswith(("duckdb", "_duckdb"))
    assert sorted(p.name for p in tmp_path.iterdir()) == ["store"]
    database.close()
