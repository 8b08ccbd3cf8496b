"""Frames behind the charts of the Queues page: pure functions of what the API says."""

from __future__ import annotations

import polars as pl
from streamlit import column_config as column

from dashboard import strings
from dashboard.parts.text import visible

WHOSE = ["environment", "platform_project"]
"""What queues of one name are told apart by."""
STATISTIC = {
    "saturation": "share",
    "time_at_limit": "share",
    "throttled": "share",
    "backlog": "count",
    "drain_time": "mean",
    "needed_limit": "count",
}
"""Which statistic of a measure the page shows."""
HOLDER_COLUMNS = {
    "Task": column.TextColumn(width=170),
    "Run": column.TextColumn(width=220),
    "Attempt": column.NumberColumn(width=70),
    "Since": column.DatetimeColumn(format="MMM DD HH:mm:ss", width=130),
    "Held": column.NumberColumn(format="%,.1f s", width=90),
    "Note": column.TextColumn(width=110),
}


def labelled(levels: pl.DataFrame) -> pl.DataFrame:
    """Add `label`: the queue, and its environment and platform project where another one has a queue of that name."""
    label = pl.col("queue")
    for name in WHOSE:
        several = pl.col(name).fill_null("").n_unique().over("queue") > 1
        named = pl.concat_str(label, pl.col(name).fill_null(strings.UNKNOWN), separator=" · ")
        label = pl.when(several).then(named).otherwise(label)
    return levels.with_columns(label=label)


def told_apart(levels: pl.DataFrame, queue: str) -> list[str]:
    """Return by which of `WHOSE` the queues of that name differ, as their labels do."""
    of_name = levels.filter(pl.col("queue") == queue)
    return [name for name in WHOSE if of_name[name].fill_null("").n_unique() > 1]


def filled(levels: pl.DataFrame, window: tuple[int, int, int], now_ns: int) -> pl.DataFrame:
    """Add the buckets in which nothing was held, level 0, up to *now_ns*; add `mean` and `saturation`.

    *window* is from, to, width in ns. A limit holds until another one is known; saturation without a limit is NULL.
    Before `since_ns` of *levels* nothing is known: NULL, not 0.
    """
    start, end, width = window
    since = int(levels["since_ns"][0] or start)
    edges = pl.DataFrame({"bucket_ns": range(start, min(end, now_ns), width)}, schema={"bucket_ns": pl.Int64})
    queues = levels.select("label", "queue", *WHOSE).unique(maintain_order=True)
    lasted = pl.min_horizontal(pl.col("bucket_ns") + width, pl.lit(now_ns)) - pl.max_horizontal(
        "bucket_ns", pl.lit(since)
    )
    seen = pl.col("bucket_ns") + width > since
    return (
        queues.join(edges, how="cross")
        .join(levels.drop("queue", *WHOSE, "since_ns"), on=["label", "bucket_ns"], how="left")
        .sort("label", "bucket_ns")
        .with_columns(
            pl.when(seen).then(pl.col(c).fill_null(0)).alias(c) for c in ("slot_ns", "peak", "at_limit_ns", "queued_ns")
        )
        .with_columns(
            pl.col("limit", "limit_source").forward_fill().backward_fill().over("label"),
        )
        .with_columns(mean=pl.col("slot_ns") / lasted.clip(1))
        .with_columns(saturation=pl.when(pl.col("limit") > 0).then(pl.col("mean") / pl.col("limit")))
    )


def busiest(frame: pl.DataFrame) -> list[str]:
    """Return the labels, the fullest queue first, those without a limit by slots held."""
    ranked = frame.group_by("label").agg(full=pl.col("saturation").mean(), mean_slots=pl.col("mean").mean())
    labels: list[str] = ranked.sort("full", "mean_slots", "label", descending=[True, True, False], nulls_last=True)[
        "label"
    ].to_list()
    return labels


def latest_limit(queue: pl.DataFrame) -> tuple[int, str] | None:
    """Return the limit that held last and how it is known."""
    limited = queue.filter(pl.col("limit").is_not_null())
    return None if limited.is_empty() else (int(limited["limit"][-1]), str(limited["limit_source"][-1]))


def with_idle(levels: pl.DataFrame, start_ns: int, now_ns: int) -> pl.DataFrame:
    """Return level and ns; whatever no slot was held is level 0, from when anything is known (`since_ns`)."""
    since = levels["since_ns"][0] if levels.height else start_ns
    held = levels.filter(pl.col("level") > 0).select(pl.col("level", "ns").cast(pl.Int64))
    rest = max(0, now_ns - max(start_ns, since or start_ns) - int(held["ns"].sum() or 0))
    idle = pl.DataFrame({"level": [0], "ns": [rest]}, schema={"level": pl.Int64, "ns": pl.Int64})
    rows = pl.concat([held, idle])
    most = int(rows["level"].max() or 0)  # type: ignore[arg-type]
    every = pl.DataFrame({"level": range(most + 1)}, schema={"level": pl.Int64})
    return every.join(rows.group_by("level").agg(pl.col("ns").sum()), on="level", how="left").with_columns(
        pl.col("ns").fill_null(0)
    )


def shares(slots: pl.DataFrame) -> list[tuple[str, float, int]]:
    """Return (task, share of the queue's slot time, slot time in ns), largest first: rows of the statistic `slots`."""
    of_share = slots.filter(pl.col("measure") == "slot_share")
    rows = (
        of_share.group_by(pl.col("task_id").fill_null(strings.UNKNOWN))
        .agg(
            share=pl.col("value").filter(pl.col("statistic") == "share").sum(),
            ns=pl.col("value").filter(pl.col("statistic") == "total").sum(),
        )
        .sort("share", "task_id", descending=[True, False])
    )
    return [(task, share, int(ns)) for task, share, ns in rows.head(12).rows()]


def holders(rows: pl.DataFrame) -> pl.DataFrame:
    """Return what the table of holders shows: rows of the statistic `holders` with their run ids."""

    def text(name: str) -> pl.Expr:
        return pl.col(name).map_elements(visible, return_dtype=pl.String).fill_null(strings.UNKNOWN)

    return rows.select(
        text("task_id").alias("Task"),
        text("run_id").alias("Run"),
        pl.col("number").alias("Attempt"),
        (pl.col("from_ns") // 1_000_000).cast(pl.Datetime("ms")).alias("Since"),
        (pl.col("held_ns") / 1e9).alias("Held"),
        pl.when("is_orphan").then(pl.lit(strings.ORPHAN)).alias("Note"),
    )
