"""The journal: what it acknowledged it gives back, in order, once, or says that it cannot."""

from __future__ import annotations

import sqlite3
from pathlib import Path
from tempfile import TemporaryDirectory

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from collector.journal import Entry, Journal, Reader
from collector.journal.entries import checksum, pack, unpack
from collector.journal.files import HEAD, NAME
from collector.model.errors import UsageError

ALL = 2**62


def group(n: int) -> dict[str, pa.Table]:
    """Return the tables of a group that tells its number."""
    return {"logs": pa.table({"body": [f"group {n}"] * 3}), "spans": pa.table({"name": [str(n)]})}


def filled(directory: Path, count: int) -> Journal:
    """Return an open journal of *count* groups, one a second."""
    journal = Journal.open(directory)
    for n in range(1, count + 1):
        assert journal.append(group(n), [n.to_bytes(16, "big")], n * 10**9) == n
    return journal


def read(directory: Path, after: int = 0, most_bytes: int = ALL) -> dict[int, str]:
    """Return number → body of the groups after *after*."""
    return {
        e.seq: e.tables["logs"]["body"][0].as_py() if e.tables else "" for e in entries(directory, after, most_bytes)
    }


def entries(directory: Path, after: int = 0, most_bytes: int = ALL) -> list[Entry]:
    """Return the groups after *after* as a new reader finds them."""
    reader = Reader(directory)
    found = reader.entries(after, most_bytes)
    reader.close()
    return found


def lost(directory: Path, after: int = 0) -> int:
    """Return how many groups after *after* a new reader misses."""
    return sum(entry.lost for entry in entries(directory, after))


@given(st.dictionaries(st.sampled_from(["logs", "spans", "resources"]), st.lists(st.text(), min_size=1), max_size=3))
def test_a_group_comes_out_as_it_went_in(columns: dict[str, list[str]]) -> None:
    """Packing and unpacking keep every table, row and type, in order."""
    tables = {name: pa.table({"text": values, "n": list(range(len(values)))}) for name, values in columns.items()}
    assert unpack(pack(tables)) == tables


def test_groups_are_numbered_without_gaps_and_read_in_order(tmp_path: Path) -> None:
    """A number is one more than the one before, and reading goes on after any of them, while the writer is open."""
    journal = filled(tmp_path, 5)
    assert read(tmp_path) == {n: f"group {n}" for n in range(1, 6)}
    assert list(read(tmp_path, after=3)) == [4, 5]
    assert list(read(tmp_path, after=3, most_bytes=1)) == [4]
    assert read(tmp_path, after=5) == {}
    journal.close()


def test_a_journal_goes_on_where_it_stopped(tmp_path: Path) -> None:
    """After closing and opening again, nothing is lost and no number is used twice."""
    filled(tmp_path, 3).close()
    journal = Journal.open(tmp_path)
    assert (journal.last_seq, journal.lost, journal.set_aside) == (3, 0, [])
    assert journal.append(group(4), [], 4 * 10**9) == 4
    journal.close()
    assert list(read(tmp_path)) == [1, 2, 3, 4]


def test_a_journal_that_is_closed_again_closes_nothing_of_others(tmp_path: Path) -> None:
    """The door closes it once more while it cannot be opened; the number of its file may be a connection's by then."""
    journal = filled(tmp_path, 1)
    journal.close()
    others = [(tmp_path / name).open("w") for name in "abc"]
    journal.close()
    for other in others:
        other.write("still open")
        other.close()


def test_what_was_not_closed_is_there_all_the_same(tmp_path: Path) -> None:
    """A number that was returned is on disk: another process sees the group before the writer ends."""
    journal = filled(tmp_path, 2)
    again = Journal.open(tmp_path)
    assert again.last_seq == 2
    again.close()
    journal.close()


def test_forgotten_groups_are_gone_and_their_numbers_are_not_used_again(tmp_path: Path) -> None:
    """Only groups that are stored and old enough go; an emptied journal still knows its last number."""
    journal = filled(tmp_path, 5)
    journal.forget(through_seq=4, before_ns=3 * 10**9, most_bytes=ALL, resent_ns=0)
    assert list(read(tmp_path)) == [3, 4, 5]
    journal.forget(through_seq=5, before_ns=ALL, most_bytes=ALL, resent_ns=0)
    assert entries(tmp_path, after=5) == []
    journal.close()
    (tmp_path / HEAD).unlink()
    journal = Journal.open(tmp_path)
    assert journal.append(group(6), [], 6 * 10**9) == 6
    journal.close()
    assert (list(read(tmp_path, after=5)), lost(tmp_path, after=5)) == ([6], 0)


@given(count=st.integers(1, 6), forgotten=st.integers(0, 6), after=st.integers(0, 6), most=st.sampled_from([1, ALL]))
def test_who_has_not_come_as_far_as_was_forgotten_is_told_how_many_are_lost(
    count: int, forgotten: int, after: int, most: int
) -> None:
    """Read from any number on, groups and those told as lost are together all there are, also without a head file."""
    forgotten, after = min(forgotten, count), min(after, count)
    with TemporaryDirectory() as directory:
        journal = filled(Path(directory), count)
        journal.forget(through_seq=forgotten, before_ns=ALL, most_bytes=ALL, resent_ns=0)
        journal.close()
        for head in (True, False):
            seq, groups, missed = after, 0, 0
            while taken := entries(Path(directory), seq, most):
                seq, groups = taken[-1].seq, groups + sum(bool(e.tables) for e in taken)
                missed += sum(e.lost for e in taken)
            assert (seq, groups, missed) == (count, count - max(forgotten, after), max(0, forgotten - after)), head
            (Path(directory) / HEAD).unlink(missing_ok=True)


def test_a_journal_that_is_too_large_forgets_the_oldest_stored_groups(tmp_path: Path) -> None:
    """Beyond its size the oldest stored groups go first, and what is not stored stays whatever its size."""
    journal = filled(tmp_path, 6)
    journal.forget(through_seq=4, before_ns=0, most_bytes=0, resent_ns=0)
    assert list(read(tmp_path)) == [5, 6]
    journal.close()


def test_digests_outlive_their_groups_for_as_long_as_requests_may_be_resent(tmp_path: Path) -> None:
    """Digests are found by time, and forgetting a group keeps those that are still inside the window."""
    journal = filled(tmp_path, 5)
    assert [int.from_bytes(d) for d, _ in journal.digests(3 * 10**9)] == [3, 4, 5]
    journal.forget(through_seq=5, before_ns=ALL, most_bytes=ALL, resent_ns=4 * 10**9)
    assert [int.from_bytes(d) for d, _ in journal.digests(0)] == [4, 5]
    journal.close()


def test_a_group_with_a_wrong_checksum_is_passed_and_counted(tmp_path: Path) -> None:
    """A flipped bit costs its own group, not its neighbours; reading goes past it and says which it was."""
    filled(tmp_path, 4).close()
    with sqlite3.connect(tmp_path / NAME) as db:
        body = bytearray(db.execute("SELECT arrow FROM batch WHERE seq = 2").fetchone()[0])
        body[len(body) // 2] ^= 1
        db.execute("UPDATE batch SET arrow = ? WHERE seq = 2", (bytes(body),))
    assert read(tmp_path) == {1: "group 1", 2: "", 3: "group 3", 4: "group 4"}
    assert [(e.seq, e.lost) for e in entries(tmp_path) if e.damaged] == [(2, 0)]


def test_a_checksum_belongs_to_its_number() -> None:
    """The same bytes under another number do not pass."""
    assert checksum(1, b"rows") != checksum(2, b"rows")


def test_a_lost_tail_is_noticed_counted_and_not_numbered_again(tmp_path: Path) -> None:
    """The head file knows of groups that the database lost, so that they are counted instead of replaced."""
    filled(tmp_path, 5).close()
    with sqlite3.connect(tmp_path / NAME) as db:
        db.execute("DELETE FROM batch WHERE seq > 3")
    assert ([n for n, body in read(tmp_path).items() if body], lost(tmp_path)) == ([1, 2, 3], 2)
    journal = Journal.open(tmp_path)
    assert (journal.lost, journal.last_seq) == (2, 5)
    assert journal.append(group(6), [], 6 * 10**9) == 6
    journal.close()


@pytest.mark.parametrize("content", [b"", b"short", bytes(16), b"\xff" * 16])
def test_a_damaged_head_file_claims_nothing(tmp_path: Path, content: bytes) -> None:
    """Without a valid head file the database alone tells the last number."""
    filled(tmp_path, 2).close()
    (tmp_path / HEAD).write_bytes(content)
    journal = Journal.open(tmp_path)
    assert (journal.last_seq, journal.lost) == (2, 0)
    journal.close()


def test_a_file_that_is_no_database_is_set_aside_not_deleted(tmp_path: Path) -> None:
    """What cannot be read is kept under a new name, and a new journal begins behind the numbers that were used."""
    filled(tmp_path, 2).close()
    (tmp_path / NAME).write_bytes(b"this is not SQLite" * 1000)
    journal = Journal.open(tmp_path)
    assert journal.set_aside
    assert (tmp_path / journal.set_aside[0]).read_bytes().startswith(b"this is not SQLite")
    assert (journal.lost, journal.append(group(3), [], 0)) == (2, 3)
    journal.close()


def test_a_newer_journal_is_refused_with_a_sentence(tmp_path: Path) -> None:
    """A file of a newer version is left alone, and the message names it and says what to do."""
    filled(tmp_path, 1).close()
    with sqlite3.connect(tmp_path / NAME) as db:
        db.execute("UPDATE meta SET value = 99 WHERE name = 'version'")
    with pytest.raises(UsageError, match=r"journal\.sqlite: written by a newer runwell.*upgrade"):
        Journal.open(tmp_path)
    assert list(read(tmp_path)) == [1]


def test_a_reader_needs_no_journal_yet(tmp_path: Path) -> None:
    """The store may start first: there is nothing to read, and then there is."""
    reader = Reader(tmp_path)
    assert (reader.last_seq(), reader.entries(0, ALL)) == (0, [])
    journal = filled(tmp_path, 2)
    assert (reader.last_seq(), len(reader.entries(0, ALL))) == (2, 2)
    reader.close()
    journal.close()
