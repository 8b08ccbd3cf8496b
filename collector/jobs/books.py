"""The books of store, as Prometheus metrics: what was applied, how far behind it is, how long its jobs take."""

from __future__ import annotations

from collections.abc import Callable

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    ProcessCollector,
    disable_created_metrics,
    generate_latest,
)

from collector import __version__
from collector.journal import Entry
from collector.model.tables import RAW

JOBS = ("apply", "runs", "statistics", "checkpoint")
STAGES = (
    "applied",
    "facts",
    "runs",
    "retries",
    "throughput",
    "durations",
    "calls",
    "concurrency",
    "limits",
    "rules",
    "rules_window",
)
"""Where something that cannot be worked out is set aside alone (`store.aside`)."""
disable_created_metrics()  # type: ignore[no-untyped-call]  # a start time for each series helps nobody
_PREFIX = "runwell_store"
_BUCKETS = (0.001, 0.005, 0.01, 0.05, 0.1, 0.5, 1.0, 5.0, 30.0, 120.0)


class Books:
    """Counts of one store process. Every method may be called from any thread."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        ProcessCollector(registry=self.registry)
        c, g = self._counter, self._gauge
        g("info", "Version of runwell; always 1.", "version").labels(__version__).set(1)
        self.rows = c("rows_applied", "Rows taken from the journal.", "table")
        self.groups = c("groups_applied", "Journal groups taken up.")
        self.runs = g("runs_recomputed", "Runs computed again since the start: records or the clock touched them.")
        self.checkpoints = c("checkpoints", "Checkpoints of the database file that returned.")
        self.lag = g("lag_seconds", "For how long something acknowledged has been waiting to become visible.")
        self.journal_seq = g("journal_seq", "Number of the journal's newest group.")
        self.applied_seq = g("applied_seq", "Number of the last group the tables hold.")
        self.runs_seq = g("runs_seq", "Number of the last group the run tables know.")
        self.damaged = g("damaged_groups", "Journal groups that could not be read and were passed.")
        self.lost = g("lost_groups", "Journal groups that were acknowledged and are not there any more.")
        self.set_aside = g("set_aside_files", "Damaged files set aside when the store was opened.")
        self.set_aside_work = g("set_aside", "Runs, records, series and rules set aside: not worked out.", "stage")
        self.ended_statements = g("ended_statements", "How often a statement of SQL was ended for the store's memory.")
        self.jobs = Histogram(
            f"{_PREFIX}_job_seconds", "Time a job took.", ("job",), buckets=_BUCKETS, registry=self.registry
        )
        for table in RAW:
            self.rows.labels(table)
        for job in JOBS:
            self.jobs.labels(job)
        for stage in STAGES:
            self.set_aside_work.labels(stage)

    def _counter(self, name: str, text: str, *labels: str) -> Counter:
        return Counter(f"{_PREFIX}_{name}", text, labels, registry=self.registry)

    def _gauge(self, name: str, text: str, *labels: str) -> Gauge:
        return Gauge(f"{_PREFIX}_{name}", text, labels, registry=self.registry)

    def applied(self, entries: list[Entry]) -> None:
        """Count groups whose transaction was committed."""
        self.groups.inc(sum(1 for entry in entries if entry.tables))
        for entry in entries:
            for table, rows in entry.tables.items():
                self.rows.labels(table).inc(rows.num_rows)

    def positions(self, journal: Callable[[], int], applied: Callable[[], int], runs: Callable[[], int]) -> None:
        """Read these when asked."""
        self.journal_seq.set_function(journal)
        self.applied_seq.set_function(applied)
        self.runs_seq.set_function(runs)

    def text(self) -> bytes:
        """Return all metrics in Prometheus' text format."""
        return generate_latest(self.registry)
