"""The one promise of memory and its parts."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from collector import settings
from collector.model.errors import UsageError
from collector.settings import memory


@given(st.integers(memory.LEAST, 64 * 2**30))
def test_the_parts_are_the_promise_and_each_holds_what_it_must(size: int) -> None:
    """Programs and parts add up to what was promised, and the largest body fits among those in flight."""
    parts = memory.divide(size)
    assert memory.PROGRAMS + sum(getattr(parts, p.name) for p in memory.PARTS) == parts.promise == size
    assert min(parts.in_flight, parts.decode) >= settings.Limits().body


def test_a_part_of_another_size_changes_the_promise_by_the_difference(tmp_path: Path) -> None:
    """`store.memory` and `limits.in_flight` win over their shares, and the others keep theirs."""
    usual = settings.load({"data": tmp_path})
    (tmp_path / "runwell.toml").write_text('[store]\nmemory = "2GiB"\n[limits]\nin_flight = "100MiB"\n')
    parts = settings.load({"data": tmp_path}).parts
    assert (parts.duckdb, parts.in_flight) == (2 * 2**30, 100 * 2**20)
    assert (parts.tick, parts.decode, parts.questions) == (usual.parts.tick, usual.parts.decode, usual.parts.questions)
    other = parts.duckdb - usual.parts.duckdb + parts.in_flight - usual.parts.in_flight
    assert parts.promise == usual.parts.promise + other


def test_too_little_memory_is_refused_with_what_is_needed(tmp_path: Path) -> None:
    """The option is named, and the least that would do."""
    with pytest.raises(UsageError, match=r"--memory \(RUNWELL_MEMORY\): expected at least 1280 MiB"):
        settings.load({"data": tmp_path, "memory": "1GiB"})
