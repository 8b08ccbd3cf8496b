"""What stands behind the bounds of SQL: statements that take memory all the same are ended, and not asked again."""

from __future__ import annotations

import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from collector.app.statements import Statements
from collector.jobs.books import Books
from collector.model.errors import BadInput
from collector.model.resident import resident_bytes
from collector.settings import Store
from collector.store.database import Database
from collector.store.errors import QueryFailed
from collector.store.watchdog import EXIT_CODE, Asked, Watchdog
from tests.store.test_store import no_exit

MiB = 2**20
HUNGRY = "SELECT sum(strlen(repeat(r.range::VARCHAR, 20000))) FROM range(10000000) r"
"""Past the list of functions: vectors of 200 MiB, one after the other, which DuckDB can be interrupted between."""
ENDLESS = "SELECT count(*) FROM range(1000000000000) r WHERE r.range % 7 = 3"
STUCK = """
import sys
from pathlib import Path
from collector.app.statements import Statements
from collector.jobs.books import Books
from collector.settings import Store
from collector.store.database import Database
from collector.model.resident import resident_bytes
from collector.store.watchdog import Asked
data = Path(sys.argv[1])
database = Database.open(data, Store())
statements = Statements(data, Books())
database.watchdog.look_at_memory(resident_bytes() + 200 * 2**20, statements.note)
text = "SELECT max(strlen(repeat('a', 100000000 + r.range))) FROM range(12) r"
database.limited(lambda h: h.rows(text), seconds=60, asked=Asked(text))
"""
"""Past the list of functions, a vector of 1.2 GB: nothing interrupts it."""


@pytest.fixture
def database(tmp_path: Path) -> Database:
    """Return an open store."""
    return Database.open(tmp_path / "data", Store(), no_exit)


def test_a_statement_that_takes_too_much_memory_is_ended_and_refused(database: Database, tmp_path: Path) -> None:
    """It ends with a sentence that says so, is counted and named, also after a restart, and is refused for an hour
    however it is spaced; other statements, and questions of pages meanwhile, are not touched.
    """
    books = Books()
    statements = Statements(tmp_path / "data", books)
    statements.require_allowed(HUNGRY)
    exits: list[int] = []
    database.watchdog.look_at_memory(resident_bytes() + 150 * MiB, statements.note, exits.append)
    page = Asked()
    paging = threading.Thread(
        target=lambda: database.limited(
            lambda h: h.rows("SELECT count(*) FROM range(300000000)"), seconds=60, asked=page
        )
    )
    paging.start()
    with pytest.raises(QueryFailed, match=r"more than .* MiB of memory.*refused for an hour"):
        database.limited(lambda h: h.rows(HUNGRY), seconds=60, asked=Asked(HUNGRY))
    paging.join()
    assert page.ended == ""
    assert statements.count >= 1
    assert b"runwell_store_ended_statements 1.0" in books.text()
    again = Statements(tmp_path / "data", Books())
    (item,) = again.status()["ended_statements"]
    assert (item["text"], item["count"]) == (HUNGRY, again.status()["ended_statements_count"])
    for text in (HUNGRY, HUNGRY.replace(" ", "\n  ")):
        with pytest.raises(BadInput, match=r"over its memory 0 minutes ago; it is refused for \d+ more"):
            again.require_allowed(text)
    again.require_allowed(f"{HUNGRY} LIMIT 1")
    database.close()


def test_where_nothing_can_be_interrupted_the_process_ends_itself_and_says_why(tmp_path: Path) -> None:
    """At a quarter more than its budget the store exits with a code of its own, the statement on disk before."""
    data = tmp_path / "data"
    process = subprocess.run([sys.executable, "-c", STUCK, str(data)], capture_output=True, text=True, timeout=60)
    assert process.returncode == EXIT_CODE, process.stderr[-500:]
    (item,) = Statements(data, Books()).status()["ended_statements"]
    assert item["how"] == "exited"
    assert item["text"].startswith("SELECT max(strlen(repeat(")


def test_what_takes_too_long_is_ended_wherever_it_is(database: Database) -> None:
    """Time begins before the first step: what is late between two steps, or in any of them, ends with one sentence."""
    for steps in (lambda h: time.sleep(0.3), lambda h: h.rows(ENDLESS)):
        with pytest.raises(QueryFailed, match=r"longer than 0\.2 s.*store\.query_time"):
            database.limited(lambda h: h.rows(ENDLESS), seconds=0.2, prepare=steps)
    assert database.limited(lambda h: h.value("SELECT 1"), seconds=10) == 1
    database.close()


def test_what_nobody_waits_for_ends(database: Database) -> None:
    """A question that is ended by whoever asked ends soon, with that reason; one that was ended before never begins."""
    asked = Asked(ENDLESS)
    threading.Timer(0.2, asked.end, ["gone"]).start()
    began = time.monotonic()
    with pytest.raises(QueryFailed, match="gone"):
        database.limited(lambda h: h.rows(ENDLESS), seconds=60, asked=asked)
    assert time.monotonic() - began < 20
    with pytest.raises(QueryFailed, match="gone"):
        database.limited(lambda h: h.rows("SELECT 1"), seconds=60, asked=asked)
    database.close()


def test_the_watchdog_is_one_thread() -> None:
    """Its thread begins with the first question and is the same for the next, however many there are."""
    watchdog = Watchdog()

    def mine() -> set[threading.Thread]:
        return {thread for thread in threading.enumerate() if thread.name == "store-watchdog"}

    others = mine()
    seen = set()
    for _ in range(3):
        with watchdog.watching(Asked("x"), lambda: None, 60):
            seen |= mine() - others
    assert len(seen) == 1
    assert mine() >= seen
