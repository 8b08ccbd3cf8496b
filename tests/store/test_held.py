"""What levels and limits are computed from."""

from __future__ import annotations

from pathlib import Path

import polars as pl
from hypothesis import given
from hypothesis import strategies as st

from collector.analyse.frames import schema_of
from collector.model.units import HOUR_NS
from collector.settings import Store
from collector.store import held
from collector.store.database import Database
from collector.store.handle import Handle


def test_limits_are_inferred_from_as_many_hours_as_hold_enough_runs(tmp_path: Path) -> None:
    """The stretch ends with the last hour, holds at most so many starts if longer, and could not begin earlier."""
    database = Database.open(tmp_path, Store())

    @given(st.lists(st.integers(0, 9), min_size=1, max_size=24), st.integers(0, 60))
    def check(runs: list[int], most: int) -> None:
        rows = pl.DataFrame({"hour_ns": [i * HOUR_NS for i in range(len(runs))], "runs": runs})
        last = len(runs) - 1

        def ask(h: Handle) -> int:
            h.run("DELETE FROM flow_hours")
            h.run("INSERT INTO flow_hours BY NAME SELECT *, 'started' AS event FROM given_rows", given_rows=rows)
            h.run("INSERT INTO flow_hours BY NAME SELECT *, 'ended' AS event FROM given_rows", given_rows=rows)
            return held.enough_from(h, 0, last * HOUR_NS, most=most) // HOUR_NS

        first = database.writing(ask)
        assert first == last or sum(runs[first:]) <= most
        assert first == 0 or sum(runs[first - 1 :]) > most

    check()
    database.close()


def test_a_level_without_a_limit_has_the_one_that_is_inferred_for_its_queue(tmp_path: Path) -> None:
    """With more than low confidence, for the whole queue in its environment, and where nothing is stated for it."""
    about = {"project": "default", "environment": "PRODUCTION", "from_ns": 0, "source": "inferred", "limit": 5}
    rows = [
        {**about, "queue": "inferred", "confidence": "medium"},
        {**about, "queue": "unsure", "confidence": "low"},
        {**about, "queue": "stated", "confidence": "high"},
        {**about, "queue": "stated", "source": "settings", "environment": None, "from_ns": 9, "limit": 3},
        {**about, "queue": "by key", "confidence": "high", "concurrency_key": "eu"},
        {**about, "queue": "elsewhere", "confidence": "high", "environment": "STAGING"},
    ]
    limits = pl.DataFrame(rows, schema=schema_of("queue_limits"))
    levels = limits.select("project", "queue", environment=pl.lit("PRODUCTION"), level=1).unique()
    database = Database.open(tmp_path, Store())

    def look(h: Handle) -> pl.DataFrame:
        h.run("INSERT INTO queue_limits BY NAME SELECT * FROM limits", limits=limits)
        h.run("INSERT INTO queue_levels BY NAME SELECT * FROM levels", levels=levels)
        return h.frame('SELECT queue, "limit", limit_source FROM queue_levels_limited')

    found = {queue: tuple(rest) for queue, *rest in database.writing(look).iter_rows()}
    assert found == dict.fromkeys(set(limits["queue"]), (None, None)) | {"inferred": (5, "inferred")}
    database.close()
