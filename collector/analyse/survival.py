"""Durations of what has not ended: the Kaplan-Meier curve (E. L. Kaplan and P. Meier, 1958).

Enter: durations, some of which went on when last seen. Leave: percentiles with 95 % intervals from the log-log band.
"""

from __future__ import annotations

from collections.abc import Sequence

import polars as pl

from collector.analyse.frames import Frame
from collector.model.statistics import Z
from collector.model.words import STOPPED

_TINY = 1e-9
LASTING = ["execution", "attempt"]
"""Measures of something that lasts until it ends of itself: only these can go on, or be cut short."""


def is_cut() -> pl.Expr:
    """Return whether a row of `durations.values` tells only the least it lasts: it goes on, or was cut short.

    What was canceled would have gone on.
    """
    cut = pl.col("measure").is_in(LASTING) & pl.col("outcome").is_in(STOPPED)
    return pl.col("is_open") | cut.fill_null(False)


def curve(values: Frame, by: Sequence[str]) -> pl.LazyFrame:
    """Return the survival curve of each group: *by*, t, ended, at_risk, survival, low, high; t ascending.

    *values*: value_ns, is_open (censored) and *by*; optionally entry_ns, how long it had lasted when watching began
    (it was not at risk before), and n, how many the row stands for. S(t) is the product of 1 - ended/at_risk over the
    times up to t.
    """
    lazy = _complete(values)
    watched = lazy.filter(pl.col("entry_ns").is_null() | (pl.col("entry_ns") < pl.col("value_ns")))
    zero, n = pl.lit(0, pl.Int64), pl.col("n").cast(pl.Int64)
    events = pl.concat(
        [
            watched.select(
                *by,
                t=pl.col("value_ns").cast(pl.Int64),
                ended=pl.when("is_open").then(0).otherwise(n),
                left=n,
                joined=zero,
            ),
            watched.select(*by, t=pl.col("entry_ns").fill_null(-1).cast(pl.Int64), ended=zero, left=zero, joined=n),
        ]
    )

    at_risk, ended = pl.col("at_risk").cast(pl.Float64), pl.col("ended").cast(pl.Float64)
    rest = pl.col("survival").log()
    # Where all have ended the variance is infinite; the band is then as wide as the unit interval.
    spread = pl.col("variance").sqrt() * Z / rest.abs()
    return (
        events.group_by(*by, "t")
        .agg(pl.col("ended", "left", "joined").sum())
        .sort(*by, "t", nulls_last=True)
        .with_columns(
            at_risk=(pl.col("joined") - pl.col("left")).cum_sum().over(by) - pl.col("joined") + pl.col("left")
        )
        .filter((pl.col("ended") > 0) | (pl.col("left") > 0))
        .with_columns(
            survival=(1 - ended / at_risk).cum_prod().over(by),
            variance=(ended / (at_risk * (at_risk - ended))).cum_sum().over(by),
        )
        .with_columns(
            low=pl.when((pl.col("survival") > _TINY) & (pl.col("survival") < 1))
            .then(pl.col("survival") ** spread.exp())
            .otherwise("survival"),
            high=pl.when((pl.col("survival") > _TINY) & (pl.col("survival") < 1))
            .then(pl.col("survival") ** (-spread).exp())
            .otherwise(pl.when(pl.col("survival") < 1).then(None).otherwise(1.0)),
        )
        .select(*by, "t", "ended", "at_risk", "survival", "low", "high")
    )


def _complete(values: Frame) -> pl.LazyFrame:
    """Add to *values* what they need not have: entry_ns and n."""
    lazy = values.lazy()
    missing = {"entry_ns": pl.lit(None, pl.Int64), "n": pl.lit(1, pl.Int64)}
    return lazy.with_columns(**{c: e for c, e in missing.items() if c not in lazy.collect_schema().names()})


def quantiles(values: Frame, by: Sequence[str], permilles: Sequence[int]) -> pl.DataFrame:
    """Return *by*, permille, value, low, high (ns), n, open_share, longest: the least t with S(t) <= 1 - p.

    `value` is NULL when the curve does not come down so far: the percentile is then longer than `longest`. So are
    `low` and `high` for the band. `n`: how many ended.
    """
    steps = curve(values, by).collect(engine="streaming")
    n, is_open = pl.col("n"), pl.col("is_open")
    counts = (
        _complete(values)
        .group_by(by)
        .agg(
            n=n.filter(~is_open).sum().cast(pl.Int64),
            open_share=n.filter(is_open).sum() / n.sum(),
            longest=pl.col("value_ns").max(),
        )
        .collect(engine="streaming")
    )

    def reached(column: str, p: float) -> pl.Expr:
        at = pl.col("t").filter(pl.col(column) <= 1 - p + _TINY)
        return at.min().cast(pl.Float64)

    each = [
        steps.group_by(by).agg(
            permille=pl.lit(permille),
            value=reached("survival", permille / 1000),
            low=reached("low", permille / 1000),
            high=reached("high", permille / 1000),
        )
        for permille in permilles
    ]
    return (
        pl.concat(each).join(counts, on=list(by), how="left", nulls_equal=True).sort(*by, "permille", nulls_last=True)
    )
