"""What takes long is worked out beside the writer: from a snapshot, one thing at a time, written by the writer."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path

import polars as pl
import pytest

from collector.jobs.beside import Beside, Rare
from collector.settings import Store
from collector.store.database import Database
from collector.store.handle import Handle

ENOUGH_S = 30.0


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    """Return an empty store."""
    opened = Database.open(tmp_path, Store(threads=1), on_fatal=lambda e: None)
    yield opened
    opened.close()


def marks(h: Handle) -> pl.DataFrame:
    return h.frame("SELECT name, seq FROM watermark ORDER BY name")


def keep(h: Handle, rows: pl.DataFrame) -> int:
    h.run("INSERT INTO watermark (name, seq) SELECT 'seen', count(*) FROM rows", rows=rows)
    return rows.height


def mark(database: Database, name: str) -> None:
    database.writing(lambda h: h.run("INSERT INTO watermark (name, seq) VALUES ($name, 1)", {"name": name}))


def test_the_writer_goes_on_while_something_is_worked_out(database: Database) -> None:
    """A snapshot is read on another thread; what is written meanwhile is not in it, and its result is written after."""
    entered, go_on = threading.Event(), threading.Event()

    def slow(h: Handle) -> pl.DataFrame:
        before = marks(h)
        entered.set()
        assert go_on.wait(ENOUGH_S)
        return pl.concat([before, marks(h)])

    beside = Beside(database)
    mark(database, "first")
    beside.begin([Rare("slow", slow, keep)])
    assert entered.wait(ENOUGH_S)
    mark(database, "second")
    assert list(beside.ended()) == []
    beside.begin([Rare("slow", slow, keep)])  # it is at it already
    go_on.set()
    beside.close()
    ((rare, write),) = beside.ended()
    assert rare.name == "slow"
    assert database.writing(write) == 2
    assert dict(database.reading(marks).iter_rows()) == {"first": 1, "second": 1, "seen": 2}


def test_what_cannot_be_worked_out_says_so_when_it_is_its_turn(database: Database) -> None:
    """A failure reaches whoever writes, as if it had happened there, and the thing can be begun again."""

    def fails(h: Handle) -> pl.DataFrame:
        raise ValueError("too hot")

    beside = Beside(database)
    for _ in range(2):
        beside.begin([Rare("fails", fails, keep)])
        while not (ended := list(beside.ended())):
            pass
        with pytest.raises(ValueError, match="too hot"):
            database.writing(ended[0][1])
    beside.close()
    assert database.reading(marks).is_empty()


def test_what_belongs_to_this_turn_does_not_wait_for_what_takes_long(database: Database) -> None:
    """It is begun at once on another thread, reads what is committed, and is waited for where it is written."""
    go_on = threading.Event()

    def slow(h: Handle) -> pl.DataFrame:
        assert go_on.wait(ENOUGH_S)
        return marks(h)

    beside = Beside(database)
    beside.begin([Rare("slow", slow, keep)])
    mark(database, "first")
    wait_for = beside.ahead(marks)
    assert database.writing(lambda h: keep(h, wait_for(h))) == 1
    go_on.set()
    beside.close()
