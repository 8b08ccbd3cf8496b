"""The property the run model stands on: what arrived decides, not how it arrived."""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import dataclass

import polars as pl
import pytest
from hypothesis import HealthCheck, Phase, example, given, settings
from hypothesis import strategies as st
from polars.testing import assert_frame_equal

from collector.cli.recordings import Recorded
from collector.decode import Batch
from collector.jobs.runs import RunsJob
from collector.journal.entries import Entry, pack, unpack
from collector.settings import Limits, Runs, Store
from collector.store import ddl
from collector.store.apply import apply
from collector.store.database import Database
from tests.inprocess import KEPT, SECOND, SETS, canonical, later, recorded
from tests.jobs.histories import HISTORIES, T0
from tests.length import ASKED, also, longer
from tests.reshape import single

AS_OF = [T0 + s * SECOND for s in (5, 60, 400, 90_000)]
"""Running, retrying, failed for good, stale."""
OFTEN = settings(
    max_examples=longer("properties", 2, 60),
    deadline=None,
    suppress_health_check=list(HealthCheck),
    phases=(Phase.explicit, Phase.generate),
)
"""Without shrinking, which would take minutes: `story` tells an example briefly enough."""
RARELY = settings(OFTEN, max_examples=10, phases=OFTEN.phases if ASKED == "properties" else (Phase.explicit,))
"""Briefly the examples that are written down, and none that is made: the first made one is always the dullest."""

Tables = dict[str, pl.DataFrame]


@dataclass(frozen=True)
class Arrival:
    """How requests arrive: order, repetitions, groups, after which groups the job works, and how far apart they are."""

    seed: int
    repeat: float
    groups: int
    works: float
    apart: int
    """Journal numbers from one group to the next: look-ups go by ranges of them."""


ARRIVALS = st.builds(
    Arrival,
    seed=st.integers(0, 2**32),
    repeat=st.sampled_from([0.0, 0.3, 1.0]),
    groups=st.integers(1, 6),
    works=st.sampled_from([0.0, 0.5, 1.0]),
    apart=st.sampled_from([1, 50, 1000]),
)


class Replays:
    """One store that is emptied before each replay of journal groups."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def play(self, groups: list[list[Recorded]], ticks: list[int], apart: int = 1) -> Tables:
        """Return the run tables after *groups* were stored one by one, each followed by its tick, 0 for none."""
        self._database.writing(lambda h: [h.run(f'DELETE FROM "{name}"') for name in ddl.TABLES if name != "meta"])
        job = RunsJob(self._database, Runs())
        for i, (group, tick) in enumerate(zip(groups, ticks, strict=True)):
            if i == len(groups) // 2:
                job = RunsJob(self._database, Runs())  # as after a restart: nothing in memory
            batch = Batch(Limits())
            for r in group:
                batch.add(r.signal, r.encoding, r.body, project="default", received_ns=ticks[-1])
            apply(self._database, [Entry(1 + i * apart, ticks[-1], unpack(pack(batch.tables())))])
            while tick and job.tick(tick):
                pass
        return {name: self._database.reading(lambda h, n=name: h.frame(f"SELECT * FROM {n}")) for name in KEPT}  # type: ignore[misc]


@pytest.fixture(scope="module")
def replays(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Replays]:
    """Open one store for all examples."""
    database = Database.open(tmp_path_factory.mktemp("replays"), Store(threads=1), on_fatal=lambda e: None)
    yield Replays(database)
    database.close()


def check(replays: Replays, requests: list[Recorded], as_of_ns: int, how: Arrival) -> None:
    """Compare three ways: all at once; as *how* says, with the job at work in between; the same groups, job last.

    The clock runs while requests arrive, so that statuses come due and change on the way. With the same groups
    the tables have to be the same to the last column but `built_seq`, with other groups all but the arrival columns.
    """
    dice = random.Random(how.seed)
    sent = [*requests, *(r for r in requests if dice.random() < how.repeat)]
    dice.shuffle(sent)
    size = -(-len(sent) // how.groups)
    groups = [sent[i : i + size] for i in range(0, len(sent), size)]
    clock = [as_of_ns - (len(groups) - i) * 600 * SECOND for i in range(1, len(groups))]
    ticks = [at if dice.random() < how.works else 0 for at in clock]
    in_order = replays.play(groups, [*ticks, as_of_ns], how.apart)
    afresh = replays.play(groups, [*(0 for _ in clock), as_of_ns], how.apart)
    at_once = replays.play([requests], [as_of_ns])
    for name in KEPT:
        assert_frame_equal(canonical(in_order[name]), canonical(at_once[name]))
        assert_frame_equal(_all(in_order[name]), _all(afresh[name]))


def _all(frame: pl.DataFrame) -> pl.DataFrame:
    frame = frame.drop("built_seq", strict=False)
    return frame.sort([pl.col(c).list.join(",") if isinstance(t, pl.List) else c for c, t in frame.schema.items()])


@OFTEN
@given(requests=HISTORIES, as_of_ns=st.sampled_from(AS_OF), how=ARRIVALS)
def test_any_order_repetition_and_grouping_of_a_history_gives_the_same_run_model(
    replays: Replays, requests: list[Recorded], as_of_ns: int, how: Arrival
) -> None:
    """Runs, attempts, phases and waits at a time depend on the records alone, for histories of every oddity."""
    check(replays, requests, as_of_ns, how)


@pytest.mark.parametrize("name", [SETS[-1], *also("properties", *SETS[:-1])])
@RARELY
@given(how=ARRIVALS, split=st.booleans())
@example(how=Arrival(1, 0.3, 6, 0.5, 1000), split=True)
@example(how=Arrival(2, 1.0, 3, 1.0, 50), split=False)
def test_any_order_repetition_and_split_of_recorded_traffic_gives_the_same_run_model(
    replays: Replays, name: str, how: Arrival, split: bool
) -> None:
    """Recorded requests may be resent, shuffled, cut into single records and grouped anyhow."""
    whole = recorded(name)
    parts = [s for r in whole for s in single(r)] if split else whole
    check(replays, parts, later(whole), how)
