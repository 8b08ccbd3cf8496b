"""Logs that name a run in a body or a map only belong to one whose records name it by keys of their own."""

from __future__ import annotations

from collections.abc import Iterator

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from polars.testing import assert_frame_equal

from collector.cli.recordings import Recorded
from collector.settings import Store
from collector.store.database import Database
from tests.inprocess import KEPT, canonical
from tests.jobs.histories import RUNS, plain
from tests.jobs.test_any_order import AS_OF, OFTEN, Replays, Tables
from tests.length import longer

_OWN = st.lists(plain(("own",)), min_size=1, max_size=8)
_HEARD = st.lists(plain(("body", "extra"), logs=True), min_size=1, max_size=8)
_COUNTS = ("log_count", "coverage", "last_seq", "first_seq")
_SOURCES = pl.selectors.ends_with("_source")


@pytest.fixture(scope="module")
def replays(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Replays]:
    """Open one store for all examples."""
    database = Database.open(tmp_path_factory.mktemp("heard"), Store(threads=1), on_fatal=lambda e: None)
    yield Replays(database)
    database.close()


def told(tables: Tables, runs: set[str], *, with_logs: bool = False) -> Tables:
    """Return what is told of some *runs*, without how many logs they have."""
    left_out = () if with_logs else _COUNTS
    return {n: canonical(tables[n].filter(pl.col("run_id").is_in(runs)).drop(left_out, strict=False)) for n in KEPT}


@settings(OFTEN, max_examples=longer("properties", 4, 60))
@given(own=_OWN, heard=_HEARD, as_of_ns=st.sampled_from(AS_OF))
def test_a_run_that_is_told_is_not_changed_by_hearsay(
    replays: Replays, own: list[Recorded], heard: list[Recorded], as_of_ns: int
) -> None:
    """Nor are runs that only hearsay tells by those; each log of it is counted with its run, and what it alone tells is
    inferred."""
    before = replays.play([own], [as_of_ns])
    only = replays.play([heard], [as_of_ns])
    both = replays.play([[*own, *heard]], [as_of_ns])
    mine = set(before["runs"]["run_id"])
    for name in KEPT:
        assert_frame_equal(told(before, mine)[name], told(both, mine)[name])
        assert_frame_equal(
            told(only, set(RUNS) - mine, with_logs=True)[name], told(both, set(RUNS) - mine, with_logs=True)[name]
        )
    logs = [frame.group_by("run_id").agg(pl.col("log_count").sum()) for frame in (before["runs"], only["runs"])]
    together = both["runs"].group_by("run_id").agg(pl.col("log_count").sum()).sort("run_id")
    assert pl.concat(logs).group_by("run_id").agg(pl.col("log_count").sum()).sort("run_id").equals(together)
    for name in ("runs", "attempts"):
        sources = only[name].select(_SOURCES)
        assert all(set(column.drop_nulls()) <= {"inferred", "unknown"} for column in sources)
