"""Which start of an operation belongs to which end, where several of one operation are under way at one time.

Enter: starts and ends of operations, in time order. Leave: pairs of them. Steps that run beside each other are told
apart by their span, else by what their attributes have alone (a recipient, an item), else by as many ends as starts.
"""

from __future__ import annotations

import polars as pl

_SHARED = r'"(?:[^"\\]|\\.)*":(?:"(?:[^"\\]|\\.)*"|-?[0-9][0-9.eE+-]*|true|false)'
"""A key with a value that is no map or list, in JSON text."""
_SAME_SPAN = ["group", "trace_id", "span_id"]


def clusters(is_start: pl.Expr, group: str | list[str]) -> tuple[pl.Expr, pl.Expr]:
    """Return (how many are under way after each event of *group*, the number of its cluster).

    A cluster begins where nothing is under way. What is neither start nor end (NULL) changes nothing.
    """
    change = pl.when(is_start).then(1).when(~is_start).then(-1).otherwise(0)
    summed = change.cum_sum().over(group)
    under_way = summed - pl.min_horizontal(summed.cum_min().over(group), 0)
    number = (under_way.shift(1).over(group).fill_null(0) == 0).cum_sum().over(group)
    return under_way, number


def is_over(is_start: pl.Expr, cluster: list[str]) -> pl.Expr:
    """Tell of the events of a *cluster* whether it has as many ends as starts."""
    return (is_start.sum() == (~is_start).sum()).over(cluster)


def pair(events: pl.DataFrame) -> pl.DataFrame:
    """Return `start`, `end`: the `i` of starts and ends that belong together.

    *events*, in time order: `i` ascending, `group`, `is_start`, `time_ns`, `trace_id`, `span_id`, `attributes`.
    """
    events = events.sort("group", "i")
    is_start = pl.col("is_start")
    stacked = is_start & is_start.shift(1) & (pl.col("group") == pl.col("group").shift(1))
    several = events.filter(stacked).select("group").unique()
    if several.is_empty():
        return _next_to_each_other(events)
    beside = events.join(several, on="group", how="semi", maintain_order="left")
    beside = beside.with_columns(cluster=clusters(is_start, "group")[1])
    pairs = [_by_span(beside)]
    pairs.append(_by_attributes(_without(beside, pairs[0])))
    pairs.append(_by_count(_without(beside, pl.concat(pairs))))
    paired = pl.concat(pairs)
    return pl.concat([paired, _next_to_each_other(_without(events, paired))])


def _without(events: pl.DataFrame, pairs: pl.DataFrame) -> pl.DataFrame:
    taken = pl.concat([pairs["start"], pairs["end"]]).alias("i").to_frame()
    return events.join(taken, on="i", how="anti", maintain_order="left")


def _by_span(events: pl.DataFrame) -> pl.DataFrame:
    """Return pairs of a start and an end that have a span to themselves."""
    return _only_one_of_each(events.filter(pl.col("span_id").is_not_null()), _SAME_SPAN)


def _only_one_of_each(events: pl.DataFrame, by: list[str]) -> pl.DataFrame:
    start = pl.col("is_start")
    return (
        events.group_by(by, maintain_order=True)
        .agg(
            starts=start.sum(),
            ends=(~start).sum(),
            start=pl.col("i").filter(start).first(),
            end=pl.col("i").filter(~start).first(),
        )
        .filter((pl.col("starts") == 1) & (pl.col("ends") == 1) & (pl.col("start") < pl.col("end")))
        .select("start", "end")
    )


def _by_attributes(events: pl.DataFrame) -> pl.DataFrame:
    """Return pairs that share a value which no other start or end of their operation has, the most of them first."""
    tokens = events.select("i", "group", "is_start", token=pl.col("attributes").str.extract_all(_SHARED)).explode(
        "token"
    )
    shared = _only_one_of_each(
        tokens.drop_nulls("token").unique(["i", "token"], maintain_order=True), ["group", "token"]
    )
    counted = shared.group_by("start", "end").len()
    best = counted.sort("len", "start", "end", descending=[True, False, False])
    first_of = best.unique("start", keep="first", maintain_order=True)
    return first_of.unique("end", keep="first", maintain_order=True).select("start", "end")


def _by_count(events: pl.DataFrame) -> pl.DataFrame:
    """Return the pairs of clusters that are over: the first start with the first end, and so on."""
    left = events.filter(is_over(pl.col("is_start"), ["group", "cluster"])).with_columns(
        nth=pl.int_range(pl.len()).over("group", "cluster", "is_start")
    )
    starts, ends = (left.filter(pl.col("is_start") == which) for which in (True, False))
    return (
        starts.join(ends, on=["group", "cluster", "nth"], suffix="_end")
        .filter(pl.col("i") < pl.col("i_end"))
        .select(start="i", end="i_end")
    )


def _next_to_each_other(events: pl.DataFrame) -> pl.DataFrame:
    """Return a pair for each start that an end follows, of events by group and time."""
    follows = pl.col("group") == pl.col("group").shift(-1)
    return (
        events.with_columns(end=pl.col("i").shift(-1), closes=~pl.col("is_start").shift(-1) & follows)
        .filter(pl.col("is_start") & pl.col("closes"))
        .select(start="i", end="end")
    )
