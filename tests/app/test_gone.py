"""What was acknowledged and cannot be had any more is counted and told, whatever became of the database file."""

from __future__ import annotations

import random
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from collector.app.keeper import Keeper
from collector.app.lending import Lending
from collector.cli.recordings import Recorded
from collector.control import CHECKPOINTED, Control, read_marks
from collector.doctor import store
from collector.doctor.found import Check
from collector.jobs.books import Books
from collector.journal import Reader
from collector.model.signals import LOGS
from collector.settings import Settings, Store
from collector.store import FILE, apply, salvage
from collector.store.database import Database
from tests.inprocess import Pipeline
from tests.stack import until

NOW = 1_790_000_000_000_000_000
ALL, COPIED, FORGOTTEN = 9, 3, 6
RUBBISH = random.Random(4).randbytes(20_000)
LOG = (
    '{"resourceLogs": [{"scopeLogs": [{"logRecords": [{"timeUnixNano": "%d", "body": {"stringValue": "%d"},'
    ' "attributes": [{"key": "run_id", "value": {"stringValue": "run-%d"}}]}]}]}]}'
)


def remove(path: Path) -> None:
    """Take the file away."""
    path.unlink()


def spoil(path: Path) -> None:
    """Write over the file."""
    path.write_bytes(RUBBISH)


def replace(path: Path) -> None:
    """Put a directory where the file was."""
    path.unlink()
    path.mkdir()


def restore(path: Path) -> None:
    """Put back an older copy."""
    shutil.copy(path.with_name("copy"), path)


def leave(path: Path) -> None:
    """Do nothing."""


@pytest.fixture(scope="module")
def kept(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the directory of a store that took up all groups, whose journal has forgotten most; and an older copy."""
    data = tmp_path_factory.mktemp("kept") / "data"
    with Pipeline(data) as p:
        control = Control.open(data)
        for n in range(1, ALL + 1):
            p.group([Recorded(LOGS, "json", (LOG % (NOW + n, n, n)).encode())], NOW + n)
            p.apply()
            if n == COPIED:
                p.database.checkpoint()
                shutil.copy(data / FILE, data / "copy")
        p.database.checkpoint()
        for mark in ("applied", CHECKPOINTED):
            control.set_mark(mark, ALL)
        p.journal.forget(FORGOTTEN, NOW * 2, 2**40, 0)
        control.close()
    return data


def started(data: Path) -> tuple[int, dict[str, int], str, list[Check]]:
    """Start a store, let it take up everything, and return how many logs it has, what its status says is gone, its
    metrics, and what doctor makes of its status.
    """
    settings = Settings(data=data)
    control, database, reader = Control.open(data), Database.open(data, Store(threads=1)), Reader(data)
    salvage.take_over(database, data, reader.first_seq())
    books = Books()
    keeper = Keeper(settings, database, reader, control, books, Lending(control))
    keeper.start()
    until(lambda: keeper.runs_seq == ALL, why="the store to catch up")
    status = keeper.status()
    logs = database.reading(lambda h: h.value("SELECT count(*) FROM logs"))
    keeper.ask_to_stop()
    until(lambda: not keeper.unfinished, why="the keeper to end")
    reader.close()
    database.close()
    control.close()
    told = [c for c in store.of_status(status, settings, 0) if c.name == "damage"]
    return logs, {name: status[name] for name in apply.GONE}, books.text().decode(), told


@pytest.mark.parametrize(
    ("happens", "lost"),
    [(leave, 0), (remove, FORGOTTEN), (spoil, FORGOTTEN), (replace, FORGOTTEN), (restore, FORGOTTEN - COPIED)],
)
def test_what_neither_database_nor_journal_has_is_counted_and_stays_so(
    kept: Path, tmp_path: Path, happens: Callable[[Path], None], lost: int
) -> None:
    """Every group is in the tables or told as lost, in status, metrics and doctor, after the next start too; doctor
    says it of a store that is stopped as well.
    """
    data = tmp_path / "data"
    shutil.copytree(kept, data)
    happens(data / FILE)
    for _ in range(2):
        logs, gone, metrics, told = started(data)
        assert (logs, gone) == (ALL - lost, {"damaged_groups": 0, "lost_groups": lost})
        assert f"runwell_store_lost_groups {lost}.0" in metrics
        assert read_marks(data).get("lost_groups", 0) == lost
        stopped = [c for c in store.waiting(Settings(data=data)) if c.name == "damage"]
        for found in (told, stopped):
            assert [(c.state, c.facts) for c in found] == [("problem", {"lost_groups": lost})] * bool(lost)
            assert all(str(data / FILE) in c.message for c in found)


def test_a_database_that_is_gone_is_told_before_it_is_begun_anew(kept: Path, tmp_path: Path) -> None:
    """While it can still be put back, doctor says how many groups only it has, and that the others wait."""
    data = tmp_path / "data"
    shutil.copytree(kept, data)
    (data / FILE).unlink()
    lag, damage = store.waiting(Settings(data=data))
    assert lag.message == f"{ALL - FORGOTTEN} groups in the journal wait for the store to start"
    assert (damage.state, damage.facts) == ("problem", {"lost_groups": FORGOTTEN})


def test_what_is_put_back_is_not_lost(kept: Path, tmp_path: Path) -> None:
    """A database that was moved away and comes back has everything, and nothing is told any more."""
    data = tmp_path / "data"
    shutil.copytree(kept, data)
    (data / FILE).rename(tmp_path / FILE)
    assert started(data)[1]["lost_groups"] == FORGOTTEN
    shutil.move(tmp_path / FILE, data / FILE)
    assert started(data)[:2] == (ALL, {"damaged_groups": 0, "lost_groups": 0})
    assert read_marks(data)["lost_groups"] == 0


def test_a_new_store_has_lost_nothing(tmp_path: Path) -> None:
    """A database that is new beside a journal that begins at 1, or that has no group yet, misses none."""
    with Pipeline(tmp_path) as p:
        assert p.database.reading(apply.gone) == {"damaged_groups": 0, "lost_groups": 0}
        for n in (1, 2):
            p.group([Recorded(LOGS, "json", (LOG % (NOW, n, n)).encode())], NOW)
        p.apply()
        assert p.database.reading(apply.gone) == {"damaged_groups": 0, "lost_groups": 0}
