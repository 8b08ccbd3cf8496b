"""Trees of runs: what retries at one level cost at the levels below.

Enter: rows of `runs` and `attempts`. Leave: one row per generation of the trees of a root task, and their product.
"""

from __future__ import annotations

import polars as pl

from collector.analyse.cohorts import per_run
from collector.analyse.frames import Frame
from collector.analyse.numbers import Number, mean_bounds, ratio, rows

TREE = ["project", "environment", "platform_project", "root_task_id"]
"""What trees are told apart by; the platform project is that of the root."""
_DEEPEST = 64


def generations(runs: Frame, attempts: Frame) -> pl.DataFrame:
    """Return `TREE`, depth (0: root), trees, runs, ended, attempts_per_run with low and high, most_attempts, weak.

    Trees of one run are left out. Runs whose parent is not among *runs* start a tree of their own. `weak`: see
    `frames.rank`.
    """
    members = (
        per_run(runs, attempts)
        .filter(pl.col("run_id").is_not_null())
        .select(
            *("project", "environment", "platform_project", "run_id", "parent_run_id", "task_id", "weakness"),
            n=pl.when("has_ended").then(pl.col("attempts").cast(pl.Int64)),
        )
        .collect(engine="streaming")
    )
    same = ["project", "environment"]
    parents = members.select(*same, parent_run_id="run_id")
    roots = members.join(parents, on=[*same, "parent_run_id"], how="anti", nulls_equal=True)
    columns = [*same, "run_id", "n", "weakness"]
    root = ["platform_project", "root_run_id", "root_task_id"]
    layer = roots.select(*columns, "platform_project", root_run_id="run_id", root_task_id="task_id", depth=pl.lit(0))
    layers = [layer]
    children = members.filter(pl.col("parent_run_id").is_not_null()).select(*columns, "parent_run_id")
    for depth in range(1, _DEEPEST):
        above = layer.select(*same, *root, parent_run_id="run_id")
        layer = children.join(above, on=[*same, "parent_run_id"], nulls_equal=True).select(
            *columns, *root, depth=pl.lit(depth)
        )
        if layer.is_empty():
            break
        layers.append(layer)
    every = pl.concat(layers)
    grown = every.filter(pl.col("depth") == 1).select(*same, "root_run_id").unique()
    n = pl.col("n")
    low, high = mean_bounds(pl.col("total"), pl.col("squares"), pl.col("ended"))
    return (
        every.join(grown, on=[*same, "root_run_id"], how="semi", nulls_equal=True)
        .group_by(*TREE, "depth")
        .agg(
            trees=pl.col("root_run_id").n_unique().cast(pl.Int64),
            runs=pl.len().cast(pl.Int64),
            ended=n.count().cast(pl.Int64),
            total=n.sum(),
            squares=(n * n).sum(),
            most_attempts=n.max(),
            weak=pl.col("weakness").filter(n.is_not_null()).max().fill_null(0),
        )
        .select(
            *TREE,
            "depth",
            "trees",
            "runs",
            "ended",
            attempts_per_run=ratio(pl.col("total"), pl.col("ended")),
            low=low.clip(1),
            high=high,
            most_attempts="most_attempts",
            weak="weak",
        )
        .sort(*TREE, "depth", nulls_last=True)
    )


def amplification(generations_: pl.DataFrame) -> pl.DataFrame:
    """Return `TREE`, generations, trees, value with low and high, worst, runs, ended, weak.

    `value`: attempts per run multiplied over the generations; `worst`: the same of the most attempts seen in each. NULL
    when a generation has no run that ended. The interval adds up the relative variances of the factors.
    """
    per_run_, most = pl.col("attempts_per_run"), pl.col("most_attempts")
    value = pl.when(per_run_.is_null().any()).then(None).otherwise(per_run_.product())
    apart = (pl.col("high") - per_run_) / per_run_
    half = pl.when(apart.is_null().any()).then(None).otherwise((apart**2).sum().sqrt())
    return (
        generations_.group_by(TREE)
        .agg(
            generations=pl.len().cast(pl.Int64),
            trees=pl.col("trees").max(),
            value=value,
            low=(value * (1 - half)).clip(1),
            high=value * (1 + half),
            worst=pl.when(most.is_null().any()).then(None).otherwise(most.product()),
            runs=pl.col("runs").sum(),
            ended=pl.col("ended").sum(),
            weak=pl.col("weak").max(),
        )
        .sort(TREE, nulls_last=True)
    )


def report(runs: Frame, attempts: Frame) -> pl.DataFrame:
    """Return numbers by `TREE` (task_id: of the root) and generation, NULL for the tree as a whole."""
    layers = generations(runs, attempts)
    c, by = pl.col, [*TREE, "generation"]

    def numbers(measure: str, value: str, most: str) -> list[Number]:
        coverage = ratio(c("ended"), c("runs"))
        mean = Number(
            measure,
            "mean",
            "attempts",
            c(value),
            n=c("ended"),
            coverage=coverage,
            weakness=c("weak"),
            low=c("low"),
            high=c("high"),
        )
        return [mean, Number(measure, "max", "attempts", c(most), n=c("ended"), coverage=coverage, weakness=c("weak"))]

    whole = amplification(layers).with_columns(generation=pl.lit(None, pl.Int64))
    each = layers.with_columns(generation=c("depth").cast(pl.Int64))
    parts = [
        rows(whole, by, numbers("tree_amplification", "value", "worst")),
        rows(each, by, numbers("attempts_per_run", "attempts_per_run", "most_attempts")),
    ]
    return pl.concat(parts).rename({"root_task_id": "task_id"})
