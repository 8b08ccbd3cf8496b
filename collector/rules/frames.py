"""What rules look at: raw records and the run model of the same runs, as one value."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

import polars as pl

RUN = ["project", "run_key"]
"""What names a run in every frame."""
RECORD = ["table", "seq", "row"]
"""What names a raw record."""
SECOND_NS = 10**9
MS_NS = 10**6

REPEATS = pl.Schema(
    [
        *((name, pl.String()) for name in ("project", "run_key", "task_id", "operation")),
        *((name, pl.Int64()) for name in ("time_ns", "seq", "row")),
        ("table", pl.String()),
    ]
)
_RUNS = pl.Schema(dict.fromkeys(RUN, pl.String()))
_LIMITS = pl.Schema({**dict.fromkeys(("queue", "environment", "platform_project"), pl.String()), "limit": pl.Int64()})


@dataclass(frozen=True, slots=True)
class Frames:
    """All records of some runs, once each, and the rows of the run model built from them.

    *logs* and *spans* are raw rows (`model.tables.RAW`) with `run_key` and `attempt` resolved and exact times
    (`time_ns`; `start_ns`, `end_ns`), as `analyse.evidence` returns them. *scopes* and *resources* are the
    catalogues. The caller gives whole runs: a rule never has to wonder whether a record is missing.
    """

    logs: pl.DataFrame
    spans: pl.DataFrame
    scopes: pl.DataFrame
    resources: pl.DataFrame
    runs: pl.DataFrame
    attempts: pl.DataFrame
    phases: pl.DataFrame
    waits: pl.DataFrame
    as_of_ns: int
    live: bool = False
    """Whether `as_of_ns` is now, so that silence means something; false for recordings."""
    from_zero: pl.DataFrame = field(default_factory=lambda: pl.DataFrame(schema=_RUNS))
    """Runs that state their attempts from 0 on; every frame has them from 1 on."""
    repeats: pl.DataFrame = field(default_factory=lambda: pl.DataFrame(schema=REPEATS))
    """Records that arrived again, one row per extra arrival."""
    limits: pl.DataFrame = field(default_factory=lambda: pl.DataFrame(schema=_LIMITS))
    """Concurrency limits that somebody stated: `queue`, `environment` and `platform_project` (NULL: every one), and
    `limit`, NULL of one that changed, which says nothing of a single moment."""
    task_logs: pl.DataFrame = field(default_factory=pl.DataFrame)
    """The logs that task authors wrote, prepared by `records.prepare`; filled in by the engine, as is *cells*."""
    personal: pl.DataFrame = field(default_factory=pl.DataFrame)
    """Personal data and secrets in *task_logs*, as `privacy.scan` finds them, where a chosen rule needs it."""
    cells: pl.DataFrame = field(default_factory=pl.DataFrame)
    """Distinct kinds of task logs with counts and row numbers in *task_logs*, as `records.count_cells` makes them."""

    def hits(self, picked: pl.DataFrame, *, operation: str = "operation") -> pl.LazyFrame:
        """Return one hit per record of *picked* cells, which carry `rows` and may carry `key` and `detail`."""
        more = [name for name in ("key", "detail", "severity") if name in picked.columns]
        rows = picked.select(pl.col(operation).cast(pl.String).alias("operation"), *more, at="rows").explode("at")
        facts = self.task_logs.select("project", "run_key", "task_id", "time_ns", "version", "seq", "row")
        return rows.hstack(facts[rows["at"]]).lazy().drop("at").with_columns(table=pl.lit("logs"))


def stated_limits(limits: Iterable[tuple[str, str | None, str | None, object]]) -> pl.DataFrame:
    """Return the limits of `settings.queues.stated()` as `Frames.limits`."""
    rows = [(*whose, limit if isinstance(limit, int) else None) for *whose, limit in limits]
    return pl.DataFrame(rows, schema=_LIMITS, orient="row")
