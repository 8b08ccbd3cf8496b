"""Damaged files: every start succeeds, what can be read is kept, what cannot is counted, nothing is deleted.

`make faults` tries eight times as many mutations.
"""

from __future__ import annotations

import random
import shutil
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import duckdb
import pytest
from inprocess import Pipeline

from collector.cli.recordings import Recorded
from collector.control import CHECKPOINTED, Control
from collector.jobs.runs import RunsJob
from collector.journal import Journal, Reader
from collector.model.signals import LOGS
from collector.settings import Runs, Store
from collector.store import apply, salvage
from collector.store.database import Database
from tests.length import longer

pytestmark = pytest.mark.faults

GROUPS = 60
MUTATIONS = longer("faults", 1, 8)
"""Mutations of each kind tried on each file, twice as many on those of the journal."""
NOW = 1_790_000_000_000_000_000
Mutation = Callable[[Path, random.Random], None]


def flip(path: Path, r: random.Random) -> None:
    """Flip one bit."""
    with path.open("r+b") as file:
        at = r.randrange(path.stat().st_size)
        file.seek(at)
        byte = file.read(1)[0]
        file.seek(at)
        file.write(bytes([byte ^ 1 << r.randrange(8)]))


def blank(path: Path, r: random.Random) -> None:
    """Write zeros over a stretch of 4 KiB."""
    size = path.stat().st_size
    with path.open("r+b") as file:
        file.seek(r.randrange(max(1, size // 4096)) * 4096)
        file.write(bytes(min(4096, size)))
        file.truncate(size)


def cut(path: Path, r: random.Random) -> None:
    """Cut the end off."""
    with path.open("r+b") as file:
        file.truncate(r.randrange(path.stat().st_size))


def remove(path: Path, r: random.Random) -> None:
    """Take the file away."""
    path.unlink()


@pytest.fixture(scope="module")
def crashed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a directory as a crash leaves it: journal with WAL and head, DuckDB with checkpoint and WAL, control."""
    live, copy = tmp_path_factory.mktemp("live"), tmp_path_factory.mktemp("crashed") / "data"
    r = random.Random(1)
    with Pipeline(live) as p:
        control = Control.open(live)
        for n in range(1, GROUPS + 1):
            p.group([request(n, r)], NOW + n)
            if n == GROUPS // 2:
                p.apply()
                p.tick(NOW + n)
                p.database.checkpoint()
                control.set_mark(CHECKPOINTED, n)
        p.apply()
        p.tick(NOW + GROUPS)
        shutil.copytree(live, copy)
        control.close()
    assert {"journal.sqlite-wal", "journal.head", "runwell.duckdb.wal", "control.sqlite-wal"} <= {
        path.name for path in copy.iterdir()
    }
    return copy


def request(n: int, r: random.Random) -> Recorded:
    """Return a log of run *n*, sometimes longer than a page."""
    body = r.randbytes(r.choice((10, 20_000))).hex()
    text = (
        '{"resourceLogs": [{"scopeLogs": [{"logRecords": [{"timeUnixNano": "%d", "body": {"stringValue": "%s"},'
        ' "attributes": [{"key": "run_id", "value": {"stringValue": "run-%d"}}]}]}]}]}'
    )
    return Recorded(LOGS, "json", (text % (NOW + n, body, n)).encode())


@dataclass
class State:
    """What is there after a start on damaged files."""

    numbers: Counter[int]
    """Number of each log's run → how often it is stored."""
    damaged: int
    lost: int
    last_seq: int


def start(data: Path) -> State:
    """Start journal and store on *data*, take one more group, take up all, and return what is there."""
    control = Control.open(data)
    journal = Journal.open(data)
    journal.last_seq = max(journal.last_seq, control.mark(CHECKPOINTED), control.mark("applied"))
    for _ in journal.digests(0):
        pass
    with Pipeline.__new__(Pipeline) as p:
        p.journal, p.reader = journal, Reader(data)
        p.database = Database.open(data, Store(threads=1), on_fatal=lambda e: None)
        p.job = RunsJob(p.database, Runs())
        if p.database.damaged_file:
            salvage.take_over(p.database, data, p.reader.first_seq())
        p.group([request(GROUPS + 1, random.Random(2))], NOW + GROUPS + 1)
        for again in (False, True):
            try:
                p.apply()
                p.tick(NOW + GROUPS + 1)
                rows = p.table("logs")
                break
            except duckdb.Error:  # a block is found damaged only now: the process would end, and the next one start
                assert not again
                p.database.close()
                p.database = Database.open(data, Store(threads=1), on_fatal=lambda e: None)
                p.job = RunsJob(p.database, Runs())
                salvage.take_over(p.database, data, p.reader.first_seq())
        assert p.reader.last_seq() == apply.applied(p.database), "the store never catches up"
        numbers = Counter(int(run_id.removeprefix("run-")) for run_id in rows["run_id"])
        assert {*p.table("runs")["run_id"]} == {*rows["run_id"]}
        state = State(numbers, *p.database.reading(apply.gone).values(), p.journal.last_seq)
    control.close()
    return state


@pytest.mark.parametrize("mutate", [flip, blank, cut, remove])
@pytest.mark.parametrize("name", ["runwell.duckdb", "runwell.duckdb.wal", "control.sqlite", "control.sqlite-wal"])
def test_a_damaged_projection_is_made_again_from_the_journal(
    crashed: Path, tmp_path: Path, name: str, mutate: Mutation
) -> None:
    """Whatever happens to the files of store and control, every start succeeds and every record is there once."""
    for seed in range(MUTATIONS if mutate is not remove else 1):
        data = tmp_path / str(seed)
        shutil.copytree(crashed, data)
        mutate(data / name, random.Random(f"{name}/{mutate.__name__}/{seed}"))
        state = start(data)
        assert state.numbers == Counter(range(1, GROUPS + 2)), f"seed {seed}"
        assert (state.damaged, state.lost) == (0, 0)


def test_what_is_set_aside_is_kept_as_it_was(crashed: Path, tmp_path: Path) -> None:
    """Files that cannot be read at all stay under a new name, byte for byte, and the names are told."""
    data = tmp_path / "data"
    shutil.copytree(crashed, data)
    rubbish = random.Random(3).randbytes(50_000)
    for name in ("journal.sqlite", "runwell.duckdb", "control.sqlite"):
        (data / name).write_bytes(rubbish)
    for wal in ("journal.sqlite-wal", "runwell.duckdb.wal", "control.sqlite-wal"):  # they would still give something
        (data / wal).unlink()
    state = start(data)
    assert state.numbers == Counter({GROUPS + 1: 1})
    for name in ("journal.sqlite", "runwell.duckdb", "control.sqlite"):
        assert (data / f"{name}.damaged-1").read_bytes() == rubbish


@pytest.mark.parametrize("mutate", [flip, blank, cut, remove])
@pytest.mark.parametrize("name", ["journal.sqlite", "journal.sqlite-wal", "journal.head"])
def test_a_damaged_journal_keeps_what_can_be_read_and_counts_what_cannot(
    crashed: Path, tmp_path: Path, name: str, mutate: Mutation
) -> None:
    """With the journal damaged and the store gone, what can still be read is stored once, the rest is counted."""
    for seed in range(2 * MUTATIONS if mutate is not remove else 1):
        data = tmp_path / str(seed)
        shutil.copytree(crashed, data)
        for part in ("runwell.duckdb", "runwell.duckdb.wal"):
            (data / part).unlink()
        mutate(data / name, random.Random(f"{name}/{mutate.__name__}/{seed}"))
        state = start(data)
        assert state.numbers[GROUPS + 1] == 1, f"seed {seed}: the new group is not there"
        assert set(state.numbers.values()) == {1}, f"seed {seed}"
        assert state.damaged + state.lost == GROUPS + 1 - len(state.numbers), f"seed {seed}: {state}"
