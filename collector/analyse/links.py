"""Which run triggered which, from records alone: what `store.run_tables` keeps as facts, for records in memory.

Enter: raw rows of complete recordings. Leave: logs given the run of their span, and the links of `runs.LINKS`.
"""

from __future__ import annotations

import polars as pl

from collector.analyse import believable
from collector.analyse.evidence import exact_ns
from collector.analyse.runs import LINKS
from collector.model.identity import run_key

_DEEPEST = 64
_CHILD = ["project", "run_key"]


def adopt(spans: pl.DataFrame, logs: pl.DataFrame) -> pl.DataFrame:
    """Return *logs*, those that name no run given run, task and attempt of the span they stand in."""
    real = pl.when(pl.col("is_partial").fill_null(False)).then("real_span_id").otherwise("span_id")
    known = (
        spans.filter(pl.col("run_key").is_not_null())
        .select("project", "trace_id", real.alias("span_id"), span_run_key="run_key", span_attempt="attempt")
        .unique(["project", "trace_id", "span_id"], keep="any")
    )
    orphan = pl.col("run_key").is_null()
    return (
        logs.join(known, on=["project", "trace_id", "span_id"], how="left", maintain_order="left")
        .with_columns(
            attempt=pl.when(orphan).then(pl.coalesce("attempt", "span_attempt")).otherwise("attempt"),
            run_key=pl.coalesce("run_key", "span_run_key"),
        )
        .drop("span_run_key", "span_attempt")
    )


def find(spans: pl.DataFrame, logs: pl.DataFrame) -> pl.DataFrame:
    """Return at most one link per child (schema `runs.LINKS`): the earliest trigger, or the parent it names."""
    both = pl.concat(
        [f.select("project", "dialect", "environment", "run_id", "run_key", "parent_run_id", "batch_id")
         for f in (spans, logs)]
    ).filter(pl.col("run_key").is_not_null())  # fmt: skip
    edges = pl.concat([_told(spans, both), _declared(both)], how="diagonal_relaxed")
    edges = edges.filter(pl.col("run_key") != pl.col("parent_run_key"))
    first = (
        edges.group_by(*_CHILD, "parent_run_key")
        .agg(
            *(pl.col(c).min() for c in ("run_id", "dialect", "environment", "task_id", "parent_run_id")),
            pl.col("source").max(),
            pl.col("started_ns").min(),
            pl.col("ended_ns").max(),
            pl.col("waits").fill_null(False).any(),
        )
        .sort("started_ns", "parent_run_key", nulls_last=True)
        .unique(_CHILD, keep="first", maintain_order=True)
    )
    return _with_roots(first).select(pl.col(name).cast(kind) for name, kind in LINKS.items())


def _told(spans: pl.DataFrame, both: pl.DataFrame) -> pl.DataFrame:
    """Return the children that trigger spans name, by run or by batch."""
    told = spans.filter(
        pl.col("run_key").is_not_null()
        & pl.col("span_type").is_in(["trigger", "wait"])
        & (pl.col("child_run_id").is_not_null() | pl.col("child_batch_id").is_not_null())
    ).select(
        "project", "dialect", "environment", "child_run_id", "child_batch_id",
        task_id="child_task_id",
        parent_run_key="run_key",
        parent_run_id="run_id",
        source=pl.lit("derived"),
        started_ns=exact_ns("start_time_unix_nano"),
        ended_ns=pl.when(~pl.col("is_partial").fill_null(False)).then(
            exact_ns("start_time_unix_nano") + believable.lasted(pl.col("duration_ns")).fill_null(0)
        ),
        waits=pl.col("wait_kind").is_in(["child", "batch"]).fill_null(False),
    )  # fmt: skip
    by_run = told.filter(pl.col("child_run_id").is_not_null()).with_columns(
        run_id="child_run_id", run_key=_keys("child_run_id")
    )
    members = both.filter(pl.col("batch_id").is_not_null()).select("project", "run_key", "batch_id").unique()
    by_batch = told.filter(pl.col("child_batch_id").is_not_null()).join(
        members, left_on=["project", "child_batch_id"], right_on=["project", "batch_id"]
    )
    return pl.concat([by_run, by_batch], how="diagonal_relaxed").drop("child_run_id", "child_batch_id")


def _declared(both: pl.DataFrame) -> pl.DataFrame:
    """Return the parents that children name themselves."""
    return (
        both.filter(pl.col("parent_run_id").is_not_null())
        .select("project", "dialect", "environment", "run_id", "run_key", "parent_run_id")
        .unique()
        .with_columns(parent_run_key=_keys("parent_run_id"), source=pl.lit("measured"), waits=pl.lit(False))
    )


def _keys(run_id: str) -> pl.Expr:
    return pl.struct("project", "dialect", "environment", run_id).map_elements(
        lambda r: run_key(r["project"], r["dialect"], r["environment"], "", r[run_id]) if r[run_id] else None,
        return_dtype=pl.String,
    )


def _with_roots(links: pl.DataFrame) -> pl.DataFrame:
    """Add `root_run_id`: the topmost ancestor that links lead to."""
    above = links.select("project", at="run_key", above="parent_run_key", above_id="parent_run_id")
    climbing = links.select(*_CHILD, at="parent_run_key", root_run_id="parent_run_id")
    settled: list[pl.DataFrame] = []
    for _ in range(_DEEPEST):
        if climbing.is_empty():
            break
        step = climbing.join(above, on=["project", "at"], how="left")
        settled.append(step.filter(pl.col("above").is_null()).select(*_CHILD, "root_run_id"))
        climbing = step.filter(pl.col("above").is_not_null()).select(*_CHILD, at="above", root_run_id="above_id")
    settled.append(climbing.select(*_CHILD, "root_run_id"))
    return links.join(pl.concat(settled), on=_CHILD, how="left")
