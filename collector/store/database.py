"""The one open DuckDB file of this process. Access is named by intent: `reading(fn)`, `writing(fn)`.

A function gets a `Handle` that speaks SQL with parameters and frames; the connection itself is not reachable.
The file is opened locked: no other file, no extension, no setting can be reached by any statement.
"""

from __future__ import annotations

import contextlib
import os
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TypeVar
from weakref import WeakMethod

import duckdb
import pyarrow as pa

from collector.model.errors import UsageError
from collector.model.identity import content_id
from collector.model.resident import give_back
from collector.settings import Store
from collector.settings.memory import DEFAULT, divide
from collector.store import FILE, ddl, long_texts, upgrade, version
from collector.store.collected import Tally
from collector.store.errors import NoMemory, QueryFailed, is_damage, is_of_memory, is_out_of_reach
from collector.store.handle import Handle, transact
from collector.store.watchdog import Asked, Ended, Watchdog
from collector.versions import damage, failed

T = TypeVar("T")

TEMPORARY = "tmp"
"""Where DuckDB keeps what it sorts and groups beyond its memory, in the directory of its file."""
_TEMPORARY_BYTES = 8 * 2**30
"""Disk that queries may take beside memory."""


class Database:
    """An open store."""

    def __init__(self, con: duckdb.DuckDBPyConnection, on_fatal: Callable[[Exception], None], tally: Tally) -> None:
        self._con = con
        self.tally = tally
        """What statements collect."""
        self._writer = threading.Lock()
        self._on_fatal = on_fatal
        self.watchdog = Watchdog()
        """Ends what takes too long; `app` has it look at memory as well."""
        self.set_aside: list[str] = []
        """Names of damaged files put aside at open; the journal rebuilds what they held."""
        self.damaged_file = ""
        """Name of a database file set aside whose readable rows are not taken over yet (`salvage.take_over`)."""
        self._noted: Path | None = None
        self._aside = threading.Lock()

    @classmethod
    def open(
        cls,
        directory: Path,
        settings: Store,
        on_fatal: Callable[[Exception], None] = lambda e: os._exit(70),
        *,
        memory: int = divide(DEFAULT).duckdb,
        looked_at: bool = False,
    ) -> Database:
        """Open or create the file in *directory*; raise UsageError for one of a newer version, untouched.

        *memory*: bytes that DuckDB may take.

        One of an older version is brought to ours first (`upgrade`). Where a step fails it stays what it was.
        A write-ahead log that does not replay is set aside alone, then a main file that cannot be read, now or in
        an earlier process; the watermark inside what is left tells the journal where to go on. *on_fatal* ends the
        process when DuckDB declares itself unusable, so that a new one starts from what is on disk. *looked_at*: the
        file is known to be no newer, which else costs a second replay of the log.
        """
        directory.mkdir(parents=True, exist_ok=True)
        if not looked_at:
            version.check(directory)
        path = directory / FILE
        noted = damage_note(directory)
        aside = _set_aside(path) if noted.exists() and not noted.read_text("utf-8") else []
        tally = Tally()
        while True:
            con = None
            was_there = path.exists()
            try:
                con = _connect(path, settings, memory)
                for number in transact(con.cursor(), upgrade.begin, "BEGIN TRANSACTION"):
                    _step(con.cursor(), path, number)
                # Until here a refusal leaves the write-ahead log where it is.
                con.execute("PRAGMA enable_checkpoint_on_shutdown")
                con.execute("SET lock_configuration = true")
                break
            except (duckdb.Error, RuntimeError) as e:
                if con is not None:
                    con.close()
                if "Could not set lock" in str(e):
                    raise UsageError(
                        f"{path}: another process has it open; end that process or choose another --data."
                    ) from None
                if is_out_of_reach(e) or is_of_memory(e) or not was_there:
                    raise
                aside += _set_aside(path, wal_alone=con is None, why=e)
            except UsageError:
                if con is not None:
                    con.close()
                raise
        tally.serve(con)
        transact(con.cursor(), _define, "BEGIN TRANSACTION")
        database = cls(con, on_fatal, tally)
        long_texts.serve(con, tally, WeakMethod(database.reading))  # it would keep the connection that keeps it
        database.set_aside = aside
        database._noted = noted
        database.damaged_file = noted.read_text("utf-8") if noted.exists() else ""
        return database

    def reading(self, fn: Callable[[Handle], T]) -> T:
        """Return what *fn* makes of a consistent snapshot; it cannot write."""
        return self._transaction(fn, "BEGIN TRANSACTION READ ONLY")

    def writing(self, fn: Callable[[Handle], T]) -> T:
        """Return what *fn* makes; all it wrote is committed together or not at all. One writer at a time."""
        with self._writer:
            return self._transaction(fn, "BEGIN TRANSACTION")

    @contextlib.contextmanager
    def aside(self) -> Iterator[None]:
        """Let one at a time work out something large beside the writer: what two need is more than both may have.

        What it freed is given back to the system.
        """
        with self._aside:
            try:
                yield
            finally:
                give_back()

    def checkpoint(self) -> None:
        """Fold the write-ahead log into the file; when this returns, everything written so far is in it."""
        with self._writer:
            self._guard(lambda: self._con.execute("CHECKPOINT"))

    def close(self) -> None:
        """Close the file."""
        with self._writer:
            self._con.close()

    def limited(
        self,
        fn: Callable[[Handle], T],
        *,
        seconds: float,
        prepare: Callable[[Handle], None] = lambda h: None,
        asked: Asked | None = None,
    ) -> T:
        """Return what *fn* makes of a snapshot within *seconds*, or raise QueryFailed; `NoMemory` passes as it is.

        *prepare* runs first, outside the read-only transaction, on the same connection: it may make
        temporary views that only *fn* sees. *asked* may be ended by whoever asked, or by the watchdog.
        """
        asked = asked or Asked()
        cursor = self._con.cursor()
        try:
            with self.watchdog.watching(asked, cursor.interrupt, seconds):
                prepare(Handle(cursor))
                asked.go_on()
                return self._guard(lambda: transact(cursor, fn, "BEGIN TRANSACTION READ ONLY"), self._works)
        except Ended as e:
            raise QueryFailed(str(e)) from None
        except (duckdb.Error, pa.ArrowException, OSError) as e:  # Arrow's reader passes on what DuckDB says as these
            if asked.ended:
                raise QueryFailed(asked.ended) from None
            if isinstance(e, NoMemory) and not asked.text:
                raise
            raise QueryFailed(str(e).splitlines()[0][:500]) from None
        finally:
            cursor.close()

    def _transaction(self, fn: Callable[[Handle], T], begin: str) -> T:
        cursor = self._con.cursor()
        try:
            return self._guard(lambda: transact(cursor, fn, begin))
        finally:
            cursor.close()

    def _works(self) -> bool:
        try:
            return bool(self._con.cursor().execute("SELECT count(*) FROM meta").fetchall())
        except duckdb.Error:
            return False

    def _guard(self, act: Callable[[], T], works: Callable[[], bool] = lambda: False) -> T:
        """Return what *act* returns; where DuckDB gives up, and not only on a statement of others, end the process."""
        try:
            return act()
        except duckdb.Error as e:
            damaged = is_damage(e)
            if damaged and self._noted is not None and not self._noted.exists():
                self._noted.touch()
            fatal = isinstance(e, duckdb.FatalException) or (isinstance(e, duckdb.InternalException) and not works())
            if damaged or fatal:
                self._on_fatal(e)
            raise


def _connect(path: Path, settings: Store, memory: int) -> duckdb.DuckDBPyConnection:
    temporary = path.parent / TEMPORARY
    temporary.mkdir(exist_ok=True)
    con = duckdb.connect(
        str(path),
        config={
            "storage_compatibility_version": "v1.5.0",
            "enable_external_access": "false",
            "autoinstall_known_extensions": "false",
            "autoload_known_extensions": "false",
            "allow_community_extensions": "false",
            "memory_limit": f"{memory // 2**20}MiB",
            "threads": settings.threads,
            "temp_directory": str(temporary),
            "max_temp_directory_size": f"{_TEMPORARY_BYTES // 2**20}MiB",
        },
    )
    con.execute("PRAGMA disable_checkpoint_on_shutdown")
    return con


def _step(cursor: duckdb.DuckDBPyConnection, path: Path, number: int) -> None:
    """Bring an older file to version *number*; raise UsageError when what is in it does not allow that."""
    try:
        transact(cursor, lambda h: upgrade.step(h, number), "BEGIN TRANSACTION")
    except Exception as e:
        if is_damage(e) or is_out_of_reach(e):
            raise
        raise failed(path, number, str(e).splitlines()[0][:300]) from None


def _define(h: Handle) -> None:
    """Create views and macros where they differ from those of the file; a full disk still opens one that has them."""
    definitions = content_id(*(f"{name} {sql}" for name, sql in (*ddl.VIEWS.items(), *ddl.MACROS.items())))
    if h.value("SELECT value FROM meta WHERE name = 'views'") == definitions:
        return
    for name, sql in ddl.VIEWS.items():
        h.run(f"CREATE OR REPLACE VIEW {name} AS {sql}")
    for name, sql in ddl.MACROS.items():
        h.run(f"CREATE OR REPLACE MACRO {name} AS {sql}")
    h.run("DELETE FROM meta WHERE name = 'views'")
    h.run("INSERT INTO meta VALUES ('views', $definitions)", {"definitions": definitions})


def damage_note(directory: Path) -> Path:
    """Return the file that stands while a damaged database file is not dealt with; it holds its name once set aside."""
    return directory / "runwell.damaged"


def _set_aside(path: Path, *, wal_alone: bool = False, why: Exception | None = None) -> list[str]:
    """Rename the database file and its WAL, or first the WAL alone if there is one; return the new names."""
    wal = path.with_name(f"{path.name}.wal")
    alone = wal_alone and wal.exists()
    if not alone and not path.exists() and why is not None:
        raise UsageError(f"{path}: cannot be opened ({str(why).splitlines()[0]}); check the directory.") from why
    if alone:
        return damage.set_aside(wal)
    to = damage.new_name(path, [".wal"])
    damage_note(path.parent).write_text(to.name, "utf-8")
    return damage.set_aside(path, [".wal"], to=to)
