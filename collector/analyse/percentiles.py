"""Percentiles: nearest rank on values with order-statistic intervals, or estimates from histogram buckets.

Enter: durations as `durations.values` or `calls.values` give them, or histogram rows. Leave: numbers.
Under 20 values there is no percentile, and the note lists them; under 100 no 99th. Where more than 1 % of what
`execution` or `attempt` measure has not ended or was cut short (canceled, expired), percentiles of all outcomes
together are Kaplan-Meier's: those that ended are the quick ones. A histogram tells what was cut short, and not what
has not ended.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import polars as pl

from collector.analyse import believable, survival
from collector.analyse.durations import RELATIVE_ERROR, bucket_ns
from collector.analyse.frames import Frame
from collector.analyse.numbers import NO_INTERVAL, NUMBERS, mean_bounds, provenance, ratio
from collector.model.shown import duration
from collector.model.statistics import ENOUGH, enough, nearest_rank, rank_interval

PERMILLES = (500, 950, 990)
_CENSORED = 0.01
_KEY = ["measure", "outcome"]


def exact(
    values: Frame, by: Sequence[str], *, permilles: Sequence[int] = PERMILLES, outcomes: bool = True
) -> pl.DataFrame:
    """Return count, mean, max and percentiles of each measure, by columns *by*, for all outcomes and, if asked, each.

    *values*: measure, outcome, value_ns, is_open, weakness and *by*; `missing` where there were others of which
    nobody told how long they took. `n` counts what ended; `coverage` is its share of all, those still open included.
    """
    key = [*by, *_KEY]
    wanted = dict.fromkeys([*key, "value_ns", "is_open", "weakness"])
    columns = values.lazy().collect_schema().names()
    untold = pl.col("missing") if "missing" in columns else pl.lit(0, pl.Int64)
    every = values.lazy().select(*wanted, is_cut=survival.is_cut(), missing=untold).collect()
    gone = every.filter(pl.col("missing") > 0).group_by(*by, "measure").agg(pl.col("missing").sum())
    lazy = every.lazy().filter(pl.col("value_ns").is_not_null())
    both = lazy.with_columns(outcome=pl.lit(None, pl.String))
    if outcomes:
        # What has not ended has no outcome yet.
        both = pl.concat([both, lazy.filter(~pl.col("is_open"))])
    open_, value = pl.col("is_open"), pl.col("value_ns")
    ended = value.filter(~open_).sort()
    in_order = pl.col("sorted").cast(pl.List(pl.Float64))  # sums of floats depend on it; within `agg` it is anyone's
    groups = (
        both.group_by(key)
        .agg(
            n=(~open_).sum().cast(pl.Int64),
            still_open=open_.sum().cast(pl.Int64),
            cut_share=pl.col("is_cut").mean(),
            total=believable.exact(ended).cast(pl.Float64),
            longest=value.filter(~open_).max(),
            longest_seen=value.max(),
            sorted=ended,
            weak=pl.col("weakness").filter(~open_).max().fill_null(0),
        )
        .collect(engine="streaming")
        .with_columns(squares=(in_order * in_order).list.sum())
    )
    ranked = _ranked(groups, key, permilles)
    ranked = _with_survival(ranked, lazy, groups, by, permilles, _exactly)
    told = groups.join(gone, on=[*by, "measure"], how="left", nulls_equal=True).with_columns(
        missing=pl.when(pl.col("outcome").is_null()).then("missing").fill_null(0)
    )
    return _with_count_mean_max(told, ranked, by, key)


def _ranked(groups: pl.DataFrame, key: list[str], permilles: Sequence[int]) -> pl.DataFrame:
    """Return key, statistic, value, low, high, note by nearest rank."""
    ranks = pl.DataFrame(
        [
            (n, _name(p), nearest_rank(n, p), *rank_interval(n, p), n >= enough(p))
            for n in groups["n"].unique().to_list()
            for p in permilles
        ],
        schema={
            "n": pl.Int64,
            "statistic": pl.String,
            "rank": pl.Int64,
            "low_rank": pl.Int64,
            "high_rank": pl.Int64,
            "is_enough": pl.Boolean,
        },
        orient="row",
    )

    def at(rank: str) -> pl.Expr:
        value = pl.col("sorted").list.get(pl.col(rank) - 1, null_on_oob=True)
        return pl.when("is_enough").then(value).cast(pl.Float64)

    few = pl.format("fewer than {} values", pl.when(pl.col("statistic") == "p99").then(100).otherwise(ENOUGH))
    each = pl.col("sorted").list.head(ENOUGH).map_elements(_written, return_dtype=pl.String)
    listed = (pl.col("statistic") == "p50") & (pl.col("n") > 0)
    few = pl.when(listed).then(pl.format("{}: {}", few, each)).otherwise(few)
    return groups.join(ranks, on="n").select(
        *key,
        "statistic",
        value=at("rank"),
        low=at("low_rank"),
        high=at("high_rank"),
        note=pl.when(~pl.col("is_enough")).then(few),
    )


def _written(values: pl.Series) -> str:
    return ", ".join(map(duration, values))


def _with_survival(
    ranked: pl.DataFrame,
    values: pl.LazyFrame,
    groups: pl.DataFrame,
    by: Sequence[str],
    permilles: Sequence[int],
    curves: Callable[[pl.LazyFrame, list[str], Sequence[int]], pl.DataFrame],
) -> pl.DataFrame:
    """Replace the percentiles of *groups* of which too much was cut short by those of *curves*: `_exactly` or so."""
    group = [*by, "measure"]
    censored = groups.filter(pl.col("outcome").is_null() & (pl.col("cut_share") > _CENSORED)).select(group)
    if censored.is_empty():
        return ranked
    chosen = values.join(censored.lazy(), on=group, how="semi", nulls_equal=True).with_columns(is_open="is_cut")
    is_enough = pl.col("n") >= ENOUGH
    estimated = curves(chosen, group, permilles).with_columns(
        *(pl.when(is_enough).then(pl.col(c)).alias(c) for c in ("value", "low", "high")),
        outcome=pl.lit(None, pl.String),
        statistic=pl.format("p{}", pl.col("permille") // 10),
        note=pl.when(is_enough).then("note").otherwise(pl.format("fewer than {} values", ENOUGH)),
    )
    rest = ranked.join(estimated, on=[*group, "outcome", "statistic"], how="anti", nulls_equal=True)
    return pl.concat([rest, estimated.select(rest.columns)])


def _exactly(values: pl.LazyFrame, group: list[str], permilles: Sequence[int]) -> pl.DataFrame:
    """Return `survival.quantiles` of *values*, with note."""
    note = pl.format("Kaplan-Meier, {} % open or cut short", _percent(pl.col("open_share")))
    longer = pl.format("longer than {}, the longest seen", _duration("longest"))
    return survival.quantiles(values, group, permilles).with_columns(
        note=pl.when(pl.col("value").is_null()).then(longer).otherwise(note)
    )


def _of_buckets(buckets: pl.LazyFrame, group: list[str], permilles: Sequence[int]) -> pl.DataFrame:
    """Return `survival.quantiles` of *buckets* (ix, n, is_open), with note.

    What ended in a bucket may have done so before others of it were cut short, or after. The exact percentile lies
    between those that follow from all before and all after, which mostly are in one bucket.
    """
    # A nanosecond later is after all of the bucket that were cut short, and before the next bucket.
    least = survival.quantiles(
        buckets.with_columns(value_ns=bucket_ns() + (~pl.col("is_open")).cast(pl.Int64)), group, permilles
    ).select(*group, "permille", least=pl.col("value") - 1, low=pl.col("low") - 1)
    most = survival.quantiles(buckets.with_columns(value_ns=bucket_ns()), group, permilles).drop("low")
    begin, end = pl.col("least") / (1 + RELATIVE_ERROR), pl.col("value") / (1 - RELATIVE_ERROR)
    error = ((end - begin) / (end + begin)).fill_nan(RELATIVE_ERROR).fill_null(RELATIVE_ERROR)
    note = (
        pl.when(pl.col("value").is_not_null())
        .then(pl.format("Kaplan-Meier, {} % cut short", _percent(pl.col("open_share"))))
        .when(pl.col("least").is_not_null())
        .then(pl.format("longer than {}", _duration("least")))
        .otherwise(pl.format("longer than {}, the longest seen", _duration("longest")))
    )
    return most.join(least, on=[*group, "permille"], nulls_equal=True).with_columns(
        value=(2 * begin * end / (begin + end)).fill_nan(0).round(),
        low=pl.col("low") / (1 + RELATIVE_ERROR),
        high=pl.col("high") / (1 - RELATIVE_ERROR),
        note=pl.format("{}; {}", note, _estimated(error, pl.lit(True))),
    )


def _estimated(error: pl.Expr, is_lasting: pl.Expr) -> pl.Expr:
    """Return the note on an estimate; what goes on is in no histogram, which matters to what *is_lasting*."""
    over = pl.when(is_lasting).then(pl.lit(" of what is over")).otherwise(pl.lit(""))
    return pl.format("estimated from a histogram{}, within {}%", over, _percent(error))


def _percent(share: pl.Expr) -> pl.Expr:
    return (share * 100).round(1)


def _duration(ns: str) -> pl.Expr:
    return pl.col(ns).cast(pl.Int64).map_elements(duration, return_dtype=pl.String)


def _with_count_mean_max(groups: pl.DataFrame, ranked: pl.DataFrame, by: Sequence[str], key: list[str]) -> pl.DataFrame:
    low, high = mean_bounds(pl.col("total"), pl.col("squares"), pl.col("n"))
    none = pl.lit(None, pl.Float64)
    plain = pl.concat(
        groups.select(
            *key,
            statistic=pl.lit(name),
            value=value.cast(pl.Float64),
            low=low_,
            high=high_,
            note=pl.lit(None, pl.String),
        )
        for name, value, low_, high_ in (
            ("count", pl.col("n"), none, none),
            ("mean", ratio(pl.col("total"), pl.col("n")), low.clip(0), high),
            ("max", pl.col("longest"), none, none),
        )
    )
    of = pl.col("n") + pl.col("still_open") + pl.col("missing")
    about = groups.select(*key, "n", "weak", coverage=ratio(pl.col("n"), of))
    return finished(pl.concat([plain, ranked.select(plain.columns)]).join(about, on=key, nulls_equal=True), by)


def finished(statistics: pl.DataFrame, by: Sequence[str]) -> pl.DataFrame:
    """Return rows of `NUMBERS` from key, statistic, value, low, high, note, n, weak, coverage."""
    statistic = pl.col("statistic")
    permille = statistic.str.strip_prefix("p").cast(pl.Float64, strict=False)
    return (
        statistics.with_columns(
            unit=pl.when(statistic == "count").then(pl.lit("durations")).otherwise(pl.lit("ns")),
            provenance=provenance(pl.col("value").is_not_null(), pl.col("weak")),
            order=pl.when(statistic == "count").then(-2).when(statistic == "mean").then(-1).otherwise(permille),
        )
        .sort(*by, *_KEY, "order", nulls_last=True)
        .select(*by, *(pl.col(name).cast(kind) for name, kind in NUMBERS.items()))
    )


def _name(permille: int) -> str:
    return f"p{permille / 10:g}"


def from_buckets(buckets: Frame, by: Sequence[str], permille: int) -> pl.LazyFrame:
    """Return *by*, n, estimate_ns: a percentile of merged histograms (columns ix, n), within `RELATIVE_ERROR`."""
    return (
        buckets.lazy()
        .filter(pl.col("ix").is_not_null())
        .group_by(*by, "ix")
        .agg(pl.col("n").sum())
        .sort(*by, "ix", nulls_last=True)
        .with_columns(reached=pl.col("n").cum_sum().over(by), all=pl.col("n").sum().over(by))
        .filter(pl.col("reached") * 1000 >= pl.col("all") * permille)
        .group_by(by)
        .agg(n=pl.col("all").first(), ix=pl.col("ix").min())
        .select(*by, "n", estimate_ns=bucket_ns())
    )


def estimate(
    buckets: Frame, by: Sequence[str], *, permilles: Sequence[int] = PERMILLES, outcomes: bool = True
) -> pl.DataFrame:
    """Return count, mean and estimated percentiles of rows of `duration_hours` or the like, as `exact` does.

    *buckets*: measure, outcome, ix, n, total_ns, derived_n, inferred_n and *by*. The mean is exact. Percentiles carry
    their relative error in `note`, and in `low` and `high`, which are a 95 % interval where they are Kaplan-Meier's;
    how many had not ended is not in a histogram, so coverage is NULL.
    """
    key = [*by, *_KEY]
    # Only what is over is in a histogram.
    lazy = buckets.lazy().with_columns(is_open=pl.lit(False)).with_columns(is_cut=survival.is_cut())
    both = lazy.with_columns(outcome=pl.lit(None, pl.String))
    if outcomes:
        both = pl.concat([both, lazy.select(both.collect_schema().names())])
    n = pl.col("n")
    groups = (
        both.sort("ix")
        .with_columns(reached=n.cum_sum().over(key), all=n.sum().over(key))
        .group_by(key)
        .agg(
            n=n.sum(),
            cut_share=n.filter("is_cut").sum() / n.sum(),
            total=believable.exact(pl.col("total_ns")).cast(pl.Float64),
            weak=pl.when((pl.col("inferred_n") > 0).any())
            .then(2)
            .when((pl.col("derived_n") > 0).any())
            .then(1)
            .otherwise(0),
            **{_name(p): pl.when(pl.col("reached") * 1000 >= pl.col("all") * p).then("ix").min() for p in permilles},
        )
        .with_columns(coverage=pl.lit(None, pl.Float64))
        .collect()
    )
    no = pl.lit(None, pl.Float64)

    def rows(statistic: str, value: pl.Expr, low: pl.Expr = no, high: pl.Expr = no, note: pl.Expr = no) -> pl.DataFrame:
        return groups.select(
            *key,
            statistic=pl.lit(statistic),
            value=value.cast(pl.Float64),
            low=low,
            high=high,
            note=note.cast(pl.String),
        )

    def percentile(permille: int) -> pl.DataFrame:
        is_enough = n >= enough(permille)
        value = pl.when(is_enough).then(bucket_ns(_name(permille)).cast(pl.Float64))
        is_lasting = pl.col("measure").is_in(survival.LASTING) & pl.col("outcome").is_null()
        note = pl.when(is_enough).then(_estimated(pl.lit(RELATIVE_ERROR), is_lasting))
        return rows(
            _name(permille),
            value,
            value * (1 - RELATIVE_ERROR),
            value * (1 + RELATIVE_ERROR),
            note.otherwise(pl.lit(f"fewer than {enough(permille)} values")),
        )

    mean = rows("mean", ratio(pl.col("total"), n), note=pl.lit(NO_INTERVAL))
    ranked = pl.concat([percentile(p) for p in permilles])
    ranked = _with_survival(ranked, lazy, groups, by, permilles, _of_buckets)
    about = groups.select(*key, "n", "weak", "coverage")
    return finished(pl.concat([rows("count", n), mean, ranked]).join(about, on=key, nulls_equal=True), by)
