"""A program that is older than the files it meets says so and leaves the directory as it is, to the last byte."""

from __future__ import annotations

import sqlite3
import struct
import subprocess
from collections.abc import Callable
from pathlib import Path

import duckdb
import pytest

from collector import control
from collector.client import Access
from collector.control import Control
from collector.doctor.checks import examine
from collector.journal import Journal, files
from collector.model.errors import UsageError
from collector.settings import Settings, Store
from collector.store import FILE, version
from collector.store.database import Database
from tests.stack import RUNWELL
from tests.store.kept import VERSIONS, content
from tests.vectors.stores.make import unpack


def _database(directory: Path) -> None:
    """Raise the version of the database in its write-ahead log alone."""
    with duckdb.connect(str(directory / FILE)) as con:
        con.execute("PRAGMA disable_checkpoint_on_shutdown")
        con.execute("UPDATE meta SET value = '99' WHERE name = 'version'")


def _format(directory: Path) -> None:
    """Give the database file a storage format of a later DuckDB; its header has a checksum."""
    raw = bytearray((directory / FILE).read_bytes())
    raw[12] = 250
    check = 5381
    for (word,) in struct.iter_unpack("<Q", raw[8:4096]):
        check ^= word * 0xBF58476D1CE4E5B9 & 2**64 - 1
    raw[:8] = struct.pack("<Q", check)
    (directory / FILE).write_bytes(raw)


def _sqlite(name: str, table: str, *, index: bool) -> Callable[[Path], None]:
    """Return what raises the version of a SQLite file in its WAL alone, and leaves the WAL as a kill does."""

    def act(directory: Path) -> None:
        db = sqlite3.connect(directory / name)
        with db:
            db.execute(f"UPDATE {table} SET value = 99 WHERE name = 'version'")
        contents = {suffix: (directory / f"{name}{suffix}").read_bytes() for suffix in ("", "-wal", "-shm")}
        db.close()
        for suffix, raw in contents.items():
            (directory / f"{name}{suffix}").write_bytes(raw)
        if not index:
            (directory / f"{name}-shm").unlink()

    return act


NEWER = {
    "database": (_database, FILE),
    "format": (_format, FILE),
    "journal": (_sqlite(files.NAME, "meta", index=True), files.NAME),
    "control": (_sqlite(control.FILE, "mark", index=False), control.FILE),
}
OPENED: dict[str, Callable[[Path], object]] = {
    FILE: lambda path: Database.open(path, Store(threads=1), on_fatal=lambda e: None),
    files.NAME: Journal.open,
    control.FILE: Control.open,
}


@pytest.mark.parametrize("which", NEWER)
def test_a_newer_file_is_refused_and_nothing_changes(which: str, tmp_path: Path) -> None:
    """Whichever of the files is newer, in its log alone: what opens it says so in a sentence, and so does
    `runwell serve`, which ends with exit code 2, and doctor; every file stays what it was, and none is added."""
    make_newer, name = NEWER[which]
    data = unpack(VERSIONS[-1], tmp_path / "data")
    make_newer(data)
    before = content(data)
    with pytest.raises(UsageError, match=rf"{name}: written by a newer runwell.*upgrade runwell"):
        OPENED[name](data)
    assert content(data) == before
    run = subprocess.run([RUNWELL, "serve", "--data", data], capture_output=True, text=True, check=False)
    assert (run.returncode, run.stdout) == (2, "")
    assert f"{name}: written by a newer runwell" in run.stderr.splitlines()[-1]
    assert "Traceback" not in run.stderr
    settings = Settings(data=data, http_port=0, grpc_port=0, api_port=0)
    (problem,) = [c for c in examine(settings, Access()).checks if c.state == "problem"]
    assert f"{name}: written by a newer runwell" in problem.message
    assert content(data) == before


@pytest.mark.parametrize("name", [files.NAME, control.FILE])
def test_an_older_journal_or_control_file_is_brought_forward_step_by_step(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each step and its version are one transaction: where the second fails the first stands, and the next start goes
    on with the second. A step that the data does not allow is told in a sentence."""
    table, module = ("batch", files) if name == files.NAME else ("report", control)
    OPENED[name](tmp_path).close()  # type: ignore[attr-defined]

    def second(db: sqlite3.Connection) -> None:
        db.execute(f"ALTER TABLE {table} ADD COLUMN second INTEGER")
        db.execute(f"UPDATE {table} SET second = {left.pop()}")

    left = ["1", "absent"]
    now = module.VERSION
    monkeypatch.setattr(module, "VERSION", now + 2)
    steps = {now + 1: lambda db: db.execute(f"ALTER TABLE {table} ADD COLUMN first INTEGER"), now + 2: second}
    monkeypatch.setattr(module, "STEPS", steps)
    with pytest.raises(UsageError, match=rf"{name}: cannot be brought to version {now + 2} \(no such column: absent\)"):
        OPENED[name](tmp_path)
    for reached, columns in ((now + 1, {"first"}), (now + 2, {"first", "second"})):
        with sqlite3.connect(tmp_path / name) as db:
            meta = "meta" if name == files.NAME else "mark"
            assert db.execute(f"SELECT value FROM {meta} WHERE name = 'version'").fetchone() == (reached,)
            names = {row[1] for row in db.execute(f"PRAGMA table_info({table})")}
            assert names & {"first", "second"} == columns
        if left:
            OPENED[name](tmp_path).close()  # type: ignore[attr-defined]


def test_a_file_that_is_damaged_or_locked_is_no_newer_one(tmp_path: Path) -> None:
    """Whoever opens it for writing finds out what is wrong with it."""
    for raw in (b"", b"not a database", bytes(20_000)):
        for name in (FILE, files.NAME, control.FILE):
            (tmp_path / name).write_bytes(raw)
        version.check(tmp_path)
        files.refuse_newer(tmp_path)
        control.refuse_newer(tmp_path)
        assert set(content(tmp_path)) == {FILE, files.NAME, control.FILE}
