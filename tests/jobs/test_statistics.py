"""The statistics jobs: what they keep is what a computation from all runs gives, however it came about."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

import polars as pl
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from polars.testing import assert_frame_equal

from collector.analyse import calls, cohorts, durations, levels, limits, slots
from collector.analyse.frames import HOUR_NS
from collector.control import Control
from collector.jobs.levels import busy
from collector.jobs.runner import Runner
from collector.jobs.runs import RunsJob
from collector.model.tables import STATISTICS
from collector.settings import Queues, Settings, Store
from collector.store.database import Database
from collector.store.places import Memory
from tests.analyse.story import SECOND, T0
from tests.jobs.invented import HOUR, arrivals, store

LIMITS = Queues(limits={"mail": 2})
LATE = T0 + 10 * 24 * 3600 * SECOND


class Jobs:
    """A store with its jobs, in one process."""

    def __init__(self, directory: Path) -> None:
        self.settings = Settings(data=directory, queues=LIMITS)
        self.database = Database.open(directory, Store(threads=1), on_fatal=lambda: None)
        self.control = Control.open(directory)
        memory = Memory()
        self.runs = RunsJob(self.database, self.settings.runs, memory)
        self.runner = Runner(self.database, self.control, memory, self.settings)

    def work(self, as_of_ns: int, *, statistics: bool = True) -> None:
        """Bring the run model, and with *statistics* everything, to where it stays at *as_of_ns*."""
        while self.runs.tick(as_of_ns):
            pass
        while statistics and self.runner.run(as_of_ns):
            pass

    def table(self, name: str) -> pl.DataFrame:
        """Return the public columns of a table."""
        found = self.database.reading(lambda h: h.frame(f"SELECT * FROM {name}"))
        return found.drop("built_seq", "held_from_ns", "held_until_ns", strict=False)

    def statistics(self) -> dict[str, pl.DataFrame]:
        """Return all tables of the statistics jobs, sorted."""
        return {name: _sorted(self.table(name)) for name in STATISTICS}

    def close(self) -> None:
        """Close the files."""
        self.control.close()
        self.database.close()


def _sorted(frame: pl.DataFrame) -> pl.DataFrame:
    return frame.sort(frame.columns, nulls_last=True)


def recomputed(jobs: Jobs, as_of_ns: int) -> dict[str, pl.DataFrame]:
    """Return the statistics computed from all rows of the run tables at once."""
    runs, attempts, phases, waits = (jobs.table(name) for name in ("runs", "attempts", "phases", "waits"))
    lease_ns = 3600 * SECOND
    held = slots.slots(runs, attempts, waits, as_of_ns=as_of_ns, lease_ns=lease_ns).collect()
    waiting = slots.queued(runs, attempts, as_of_ns=as_of_ns).collect()
    queues = pl.concat([held.select(slots.QUEUE), waiting.select(slots.QUEUE)]).unique()
    steps = limits.steps(limits.from_settings("default", LIMITS.limits), queues)
    begins = [*held["from_ns"], *waiting["from_ns"].drop_nulls(), *waiting["to_ns"], as_of_ns]
    ends = [*held["to_ns"], *waiting["to_ns"], min(begins)]
    last = min(as_of_ns, max(ends) // HOUR_NS * HOUR_NS + HOUR_NS)
    first = min(min(begins), last) // HOUR_NS * HOUR_NS
    level = levels.queue_levels(held, waiting, steps, from_ns=first, to_ns=last)
    hours = slots.slot_hours(held)
    return {
        "run_cohorts": _sorted(cohorts.run_cohorts(runs, attempts)),
        "attempt_hours": _sorted(cohorts.attempt_hours(runs, attempts)),
        "flow_hours": _sorted(cohorts.flow_hours(runs)),
        "duration_hours": _sorted(durations.hours(runs, attempts)),
        "phase_hours": _sorted(calls.phase_hours(runs, phases)),
        "queue_levels": _sorted(busy(level)),
        "slot_hours": _sorted(hours.filter(pl.col("hour_ns") < as_of_ns)),
    }


def same(found: dict[str, pl.DataFrame], expected: dict[str, pl.DataFrame]) -> None:
    """Assert that every table is the same to the last row."""
    for name, table in expected.items():
        assert_frame_equal(found[name], table)


@settings(
    max_examples=int(__import__("os").environ.get("EX", "15")),
    deadline=None,
    derandomize=True,
    suppress_health_check=list(HealthCheck),
)
@given(arrivals(), st.lists(st.booleans(), min_size=40, max_size=40), st.sampled_from([0.0, HOUR, 200_000.0]))
def test_statistics_kept_step_by_step_are_those_of_a_recompute(
    groups: list[list[tuple[str, dict[str, Any]]]], works: list[bool], span_s: float
) -> None:
    """Whenever the jobs run between arrivals, in any order and days apart, their tables equal a recompute exactly."""
    with tempfile.TemporaryDirectory() as directory:
        jobs = Jobs(Path(directory))
        as_of_ns = T0
        for seq, (records, work) in enumerate(zip(groups, works, strict=False), start=1):
            as_of_ns += round((span_s + 1.5) * SECOND)
            store(jobs.database, seq, records, as_of_ns)
            jobs.work(as_of_ns, statistics=work)
        jobs.work(as_of_ns)
        same(jobs.statistics(), recomputed(jobs, as_of_ns))
        jobs.work(LATE)
        same(jobs.statistics(), recomputed(jobs, LATE))
        jobs.close()
