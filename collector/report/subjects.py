"""Series by name: kind, subject and detail as one text, as the statistical core wants them, and back."""

from __future__ import annotations

from dataclasses import dataclass
from hashlib import blake2b

import polars as pl

from collector.model.report import Kind, Subject

WHOSE = ["environment", "platform_project"]
"""What subjects of one name are told apart by."""
KEY = ["kind", "type", "name", "task_id", *WHOSE, "detail"]
MOST_SERIES = 500
"""Series judged of each kind."""
_BETWEEN = "\x1f"


@dataclass(frozen=True, slots=True)
class Series:
    """What one series of numbers is about. *detail*: code of a convention, an error; empty otherwise."""

    kind: Kind
    subject: Subject
    detail: str = ""


def named() -> pl.Expr:
    """Return the name of a row's series from its `KEY` columns."""
    parts = [pl.col(c).cast(pl.String).fill_null("").str.replace_all(_BETWEEN, "", literal=True) for c in KEY]
    return pl.concat_str(parts, separator=_BETWEEN).alias("series")


def kind_of() -> pl.Expr:
    """Return the kind of a row's `series`."""
    return pl.col("series").str.split(_BETWEEN).list.first()


def busiest(rows: pl.DataFrame, n: str = "n") -> pl.LazyFrame:
    """Return the rows of the 500 series of each kind with the greatest sum of *n*: names come from telemetry.

    Beside it `series`, named once, however many rows it has.
    """
    totals = rows.group_by(KEY).agg(total=pl.col(n).sum())
    rank = pl.struct(-pl.col("total"), *KEY).rank("ordinal").over("kind")
    chosen = totals.filter(rank <= MOST_SERIES).select(*KEY, named())
    return rows.lazy().join(chosen.lazy(), on=KEY, how="inner", nulls_equal=True, maintain_order="left")


def series_of(rows: pl.DataFrame) -> pl.DataFrame:
    """Return `series`, once each, of *rows*."""
    return rows.select(KEY).unique().select(named())


def parse(name: str) -> Series:
    """Return what the series *name* is about."""
    kind, type_, subject, *whose, detail = name.split(_BETWEEN)
    told = dict(zip(["task_id", *WHOSE], (part or None for part in whose), strict=True))
    return Series(Kind(kind), Subject(type=type_, name=subject, **told), detail)


def key_of(series: Series, direction: str | None, level_ns: int | None = None) -> str:
    """Return the 16 hex digits that name an anomaly as long as it goes on; a level also by when it began."""
    s = series.subject
    parts = [series.kind, s.type, s.name, s.task_id, s.environment, series.detail, direction, level_ns]
    # Where none is stated the name is what it was before platform projects were told apart.
    parts += [s.platform_project] if s.platform_project else []
    return blake2b(_BETWEEN.join("" if p is None else str(p) for p in parts).encode(), digest_size=8).hexdigest()
