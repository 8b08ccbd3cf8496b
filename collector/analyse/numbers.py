"""Numbers as rows: a value never leaves without what it rests on.

Enter: expressions over one row per group. Leave: rows of `NUMBERS`. A value that is not known is NULL and its
provenance `unknown`; `note` says why.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

import polars as pl

from collector.model.statistics import Z, wilson_bounds

NUMBERS = pl.Schema(
    {
        "measure": pl.String,
        "statistic": pl.String,
        "outcome": pl.String,
        "unit": pl.String,
        "value": pl.Float64,
        "n": pl.Int64,
        "low": pl.Float64,
        "high": pl.Float64,
        "provenance": pl.String,
        "coverage": pl.Float64,
        "note": pl.String,
    }
)
"""What every report's rows say, after the columns they are grouped by. `measure`: see `measures`; `statistic`: share,
mean, total, count, rate, p50, p95, p99, min, max, peak; `outcome`: only runs or attempts that ended so, NULL for all;
`n`: how many runs, attempts or buckets the value rests on; `low`, `high`: 95 % interval, NULL where there is none;
`provenance`: of the weakest input: measured, derived, inferred, or unknown; `coverage`: for which share of all that
should count the input is known, NULL when that itself is unknown."""

_WORDS = ("measure", "statistic", "outcome", "unit")
_PARTS: dict[str, type[pl.DataType]] = {
    "value": pl.Float64,
    "n": pl.Int64,
    "low": pl.Float64,
    "high": pl.Float64,
    "weakness": pl.Int8,
    "coverage": pl.Float64,
    "note": pl.String,
}
"""Columns of `NUMBERS` that are the same for every group, and those that differ, with a weakness for a provenance."""

NO_INTERVAL = "no interval: only sums are kept, not how values spread"

_NULL = pl.lit(None, pl.Float64)


@dataclass(frozen=True)
class Number:
    """One number of every group, as expressions over the group's row. *weakness*: as `frames.rank` gives it."""

    measure: str
    statistic: str
    unit: str
    value: pl.Expr
    n: pl.Expr
    coverage: pl.Expr
    weakness: pl.Expr = field(default_factory=lambda: pl.lit(0))
    low: pl.Expr = field(default_factory=lambda: _NULL)
    high: pl.Expr = field(default_factory=lambda: _NULL)
    outcome: str | None = None
    note: pl.Expr = field(default_factory=lambda: pl.lit(None, pl.String))

    def words(self) -> tuple[str | None, ...]:
        """Return what is the same for every group, as `_WORDS` names it."""
        return self.measure, self.statistic, self.outcome, self.unit

    def parts(self) -> dict[str, pl.Expr]:
        """Return what differs from group to group, as `_PARTS` names it."""
        values = (self.value, self.n, self.low, self.high, self.weakness, self.coverage, self.note)
        return {name: part.cast(kind) for (name, kind), part in zip(_PARTS.items(), values, strict=True)}


def ratio(above: pl.Expr, below: pl.Expr) -> pl.Expr:
    """Return above / below, NULL when *below* is 0 or the result is no number."""
    result = above.cast(pl.Float64) / below.cast(pl.Float64)
    return pl.when(result.is_finite()).then(result)


def share(
    measure: str,
    hits: pl.Expr,
    n: pl.Expr,
    *,
    of: pl.Expr,
    weakness: pl.Expr,
    outcome: str | None = None,
) -> Number:
    """Return hits/n with its Wilson interval; *of* is how many there are with those where it is not known."""
    low, high = wilson(hits, n)
    return Number(
        measure,
        "share",
        "share",
        ratio(hits, n),
        n=n,
        coverage=ratio(n, of),
        weakness=weakness,
        low=low,
        high=high,
        outcome=outcome,
        note=pl.when(n == 0).then(pl.lit("nothing to count")),
    )


def inverse_share(hits: pl.Expr, n: pl.Expr) -> tuple[pl.Expr, pl.Expr, pl.Expr]:
    """Return n / hits, such as attempts per first attempt, with the interval that follows from Wilson's of hits/n.

    It takes each of the *n* as independent. Open upwards, NULL, where hits may be none.
    """
    low, high = wilson(hits, n)
    return ratio(n, hits), ratio(pl.lit(1.0), high), ratio(pl.lit(1.0), low)


def wilson(hits: pl.Expr, n: pl.Expr) -> tuple[pl.Expr, pl.Expr]:
    """Return the 95 % Wilson interval of hits/n, NULL where n is 0; exactly 0 for no hits and 1 for nothing else."""
    low, high = wilson_bounds(hits.cast(pl.Float64), n.cast(pl.Float64))
    some = pl.when(n > 0)
    return (
        some.then(pl.when(hits == 0).then(0.0).otherwise(low.clip(0, 1))),
        some.then(pl.when(hits == n).then(1.0).otherwise(high.clip(0, 1))),
    )


def total(measure: str, unit: str, value: pl.Expr, n: pl.Expr, *, of: pl.Expr, weakness: pl.Expr) -> list[Number]:
    """Return the sum over the *n* of *of* for which it is known, and the mean of those; it has no interval."""
    summed = pl.when(n > 0).then(value)
    note = pl.when(n == 0).then(pl.lit("not told by telemetry"))
    bare = note.otherwise(pl.lit(NO_INTERVAL))
    return [
        Number(measure, "total", unit, summed, n=n, coverage=ratio(n, of), weakness=weakness, note=note),
        Number(measure, "mean", unit, ratio(value, n), n=n, coverage=ratio(n, of), weakness=weakness, note=bare),
    ]


def count(measure: str, value: pl.Expr, *, unit: str = "runs", weakness: pl.Expr | None = None) -> Number:
    """Return a plain count."""
    return Number(
        measure,
        "count",
        unit,
        value,
        n=value,
        coverage=pl.lit(1.0),
        weakness=pl.lit(0) if weakness is None else weakness,
    )


def mean_bounds(total: pl.Expr, squares: pl.Expr, n: pl.Expr) -> tuple[pl.Expr, pl.Expr]:
    """Return the 95 % interval of a mean from the sums of *n* values and of their squares (normal; NULL for n < 2)."""
    mean = ratio(total, n)
    variance = (ratio(squares, n) - mean**2).clip(0) * ratio(n, n - 1)
    half = (variance / n).sqrt() * Z
    return mean - half, mean + half


def rows(groups: pl.LazyFrame | pl.DataFrame, by: Sequence[str], numbers: Iterable[Number]) -> pl.DataFrame:
    """Return the *numbers* of each row of *groups*, sorted by *by*, in the order given."""
    groups = groups.lazy().sort(*by, nulls_last=True).collect()
    asked = list(numbers)
    # One wide frame whose columns are then put below one another: a frame for every number costs three times as much.
    wide = groups.select(part.alias(f"{name} {i}") for i, one in enumerate(asked) for name, part in one.parts().items())
    row = pl.int_range(groups.height * len(asked), eager=True)
    group, number = row // len(asked), row % len(asked)
    index = number * groups.height + group
    words = pl.DataFrame([a.words() for a in asked], schema={name: NUMBERS[name] for name in _WORDS}, orient="row")
    stacked = pl.concat(
        [
            groups.select(by)[group],
            words[number],
            pl.DataFrame({c: pl.concat([wide[f"{c} {i}"] for i in range(len(asked))])[index] for c in _PARTS}),
        ],
        how="horizontal",
    )
    is_number = pl.col("value").is_finite().fill_null(False)
    return stacked.select(
        *by,
        *_WORDS,
        *(pl.when(is_number).then(pl.col(c)).alias(c) for c in ("value", "low", "high")),
        "n",
        "note",
        coverage=ratio(pl.col("coverage"), pl.lit(1)),
        provenance=provenance(is_number, pl.col("weakness")),
    ).select(*by, *NUMBERS)


def provenance(is_known: pl.Expr, weak: pl.Expr) -> pl.Expr:
    """Return the word for a weakness as `frames.rank` gives it; `unknown` where *is_known* is false."""
    measured, derived, inferred, unknown = (pl.lit(word) for word in ("measured", "derived", "inferred", "unknown"))
    return (
        pl.when(~is_known)
        .then(unknown)
        .when(weak == 0)
        .then(measured)
        .when(weak == 1)
        .then(derived)
        .otherwise(inferred)
    )


def weakness(counted: str, where: pl.Expr | None = None) -> pl.Expr:
    """Return the weakness of rows that count `derived_…` and `inferred_…` of *counted*, over a group."""

    def some(name: str) -> pl.Expr:
        counts = pl.col(f"{name}_{counted}") > 0
        return (counts if where is None else counts & where).any()

    return pl.when(some("inferred")).then(2).when(some("derived")).then(1).otherwise(0)
