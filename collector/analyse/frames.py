"""What the statistics share: frames lazy or not, exactly a table's columns, populations, and provenance as a number."""

from __future__ import annotations

from collections.abc import Sequence

import polars as pl
import pyarrow as pa

from collector.analyse.evidence import RUN
from collector.model import tables
from collector.model.believable import MOST_CENTS
from collector.model.units import HOUR_NS
from collector.model.words import DEVELOPMENT

Frame = pl.DataFrame | pl.LazyFrame
Window = tuple[int, int]
"""A time range [from, to) in ns."""

COHORT = ["project", "hour_ns", "task_id", "queue", "environment", "platform_project", "version", "population"]
"""What hourly statistics are kept by."""
DIMENSIONS = [name for name in COHORT if name != "hour_ns"]


def shaped(frame: Frame, table: str, *, by: Sequence[str] = ()) -> pl.DataFrame:
    """Return exactly the columns of *table*, in its order and types, sorted by *by* (default: all of them)."""
    schema = schema_of(table)
    return (
        frame.lazy()
        .select(pl.col(name).cast(kind) for name, kind in schema.items())
        .sort(*(by or schema.names()), nulls_last=True)
        .collect()
    )


def schema_of(table: str) -> pl.Schema:
    """Return the polars schema of a public table."""
    empty = pl.from_arrow(pa.Table.from_batches([], tables.PUBLIC[table]))
    assert isinstance(empty, pl.DataFrame)
    return empty.schema


def hour_of(column: str) -> pl.Expr:
    """Return the start of the UTC hour that a time in ns falls into."""
    return pl.col(column) // HOUR_NS * HOUR_NS


def inside(column: str, window: Window | None) -> pl.Expr:
    """Tell whether a time in ns is known and lies in *window*; without one any does."""
    if window is None:
        return pl.col(column).is_not_null()
    return pl.col(column).is_between(*window, closed="left").fill_null(False)


def timestamp(column: str) -> pl.Expr:
    """Return a nanosecond column as a TIMESTAMP."""
    return (pl.col(column) // 1000).cast(pl.Datetime("us"))


def population() -> pl.Expr:
    """Return test, replay, development or live: what a row of `runs` may be counted with."""
    return (
        pl.when(pl.col("is_test").fill_null(False))
        .then(pl.lit("test"))
        .when(pl.col("is_replay").fill_null(False))
        .then(pl.lit("replay"))
        .when(pl.col("environment").str.to_lowercase().is_in(DEVELOPMENT).fill_null(False))
        .then(pl.lit("development"))
        .otherwise(pl.lit("live"))
    )


def ended_as() -> pl.Expr:
    """Return how a run or attempt stands, its `outcome` (`skipped`) where it has one that its status does not say."""
    return pl.coalesce("outcome", "status")


def dimensions(runs: Frame, *, tests: bool = False) -> pl.LazyFrame:
    """Return run keys with the dimensions their attempts and phases are counted by; test runs only with *tests*.

    That of attempts and phases is their own version; the one of their run is `run_version`.
    """
    plain = [name for name in DIMENSIONS if name not in ("project", "population", "version")]
    rows = runs.lazy().select(*RUN, *plain, run_version="version", population=population())
    return rows if tests else rows.filter(pl.col("population") != "test")


def with_version(rows: pl.LazyFrame, attempts: Frame) -> pl.LazyFrame:
    """Add `version` to *rows* of runs (`RUN`, attempt, run_version): that of the attempt they belong to.

    Where that is unknown: the one that all attempts of the run have, or of a run without any its own.
    """
    tried = attempts.lazy().select(*RUN, attempt="number", version="version")
    whole = tried.group_by(RUN).agg(
        attempt=pl.lit(None, pl.Int32), version=pl.when(pl.col("version").n_unique() == 1).then(pl.first("version"))
    )
    told = pl.concat([tried, whole.select(tried.collect_schema().names())]).with_columns(is_told=pl.lit(True))
    return (
        rows.join(told, on=[*RUN, "attempt"], how="left", nulls_equal=True)
        .with_columns(
            version=pl.when(pl.col("is_told") | pl.col("attempt").is_not_null())
            .then("version")
            .otherwise("run_version")
        )
        .drop("is_told")
    )


def is_backward() -> pl.Expr:
    """Tell, of a run or attempt, whether its end precedes its start: how long it lasted is not known then."""
    return (pl.col("ended_ns") < pl.col("started_ns")).fill_null(False)


def rank(*sources: str | pl.Expr) -> pl.Expr:
    """Return how weak the weakest of the *sources* is: 0 measured, 1 derived or phase, 2 inferred or worse."""
    measured, derived, inferred = (pl.lit(n, pl.Int8) for n in range(3))
    # Comparisons, not a mapping: `replace_strict` joins, which costs twenty times as much on the few rows of a tick.
    return pl.max_horizontal(
        pl.when(e == "measured")
        .then(measured)
        .when((e == "phase") | (e == "derived"))
        .then(derived)
        .otherwise(inferred)
        for e in (pl.col(s) if isinstance(s, str) else s for s in sources)
    )


def nanocents(cents: str) -> pl.Expr:
    """Return an amount in cents as whole billionths, so that sums do not depend on their order."""
    # Runs that an older version wrote may have cost anything.
    return (pl.when(pl.col(cents).is_between(0, MOST_CENTS)).then(cents) * 1e9).round().cast(pl.Int64)
