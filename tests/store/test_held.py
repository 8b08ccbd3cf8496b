"""What levels and limits are computed from."""

from __future__ import annotations

from pathlib import Path

import polars as pl
from hypothesis import given
from hypothesis import strategies as st

from collector.model.units import HOUR_NS
from collector.settings import Store
from collector.store import held
from collector.store.database import Database


def test_limits_are_inferred_from_as_many_hours_as_hold_enough_runs(tmp_path: Path) -> None:
    """The stretch ends with the last hour, holds at most so many starts if longer, and could not begin earlier."""
    database = Database.open(tmp_path, Store())

    @given(st.lists(st.integers(0, 9), min_size=1, max_size=24), st.integers(0, 60))
    def check(runs: list[int], most: int) -> None:
        rows = pl.DataFrame({"hour_ns": [i * HOUR_NS for i in range(len(runs))], "runs": runs})
        last = len(runs) - 1

        def ask(h: held.Handle) -> int:
            h.run("DELETE FROM flow_hours")
            h.run("INSERT INTO flow_hours BY NAME SELECT *, 'started' AS event FROM given_rows", given_rows=rows)
            h.run("INSERT INTO flow_hours BY NAME SELECT *, 'ended' AS event FROM given_rows", given_rows=rows)
            return held.enough_from(h, 0, last * HOUR_NS, most=most) // HOUR_NS

        first = database.writing(ask)
        assert first == last or sum(runs[first:]) <= most
        assert first == 0 or sum(runs[first - 1 :]) > most

    check()
    database.close()
