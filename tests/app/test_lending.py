"""How much more than its part DuckDB is lent, over the ends and starts of the store."""

from __future__ import annotations

from pathlib import Path

import pytest

from collector.app import lending
from collector.app.lending import EXIT_CODE, Lending
from collector.control import Control
from collector.store.errors import NoMemory


def test_duckdb_is_lent_twice_as_much_each_time_it_cannot_get_on_and_its_part_again_in_the_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Twice as much at each start after one that had too little, eight times at most; the part alone again once
    nothing waits and ten minutes have passed; an end for any other reason lends nothing.
    """
    control = Control.open(tmp_path)
    ended: list[int] = []

    def started() -> Lending:
        return Lending(control, ended.append)

    assert started().times == 1
    started().gave_up(OSError("the disk is gone"))
    assert (started().times, ended) == (1, [70])
    started().more()
    assert (started().times, ended.pop()) == (2, EXIT_CODE)
    started().gave_up(NoMemory[1]("failed to pin block of size 628.0 KiB"))
    assert (started().times, ended.pop()) == (4, 70)
    started().gave_up(RuntimeError("the autocheckpoint failed: failed to pin block of size 628.0 KiB"))
    assert started().times == 8
    ended.clear()
    for keep in (started().more, started().caught_up):
        keep()
    assert (started().times, ended) == (8, [])
    monkeypatch.setattr(lending, "_KEPT_S", -1.0)
    started().caught_up()
    assert (started().times, ended) == (1, [EXIT_CODE])
    control.close()
