"""Outlook: when a run that has not ended is likely to start and to end, and how many wait before it.

Enter: rows of live runs, of the runs that wait, starts of queues, histograms of a week. Leave: one row a live run. All
of it is inferred, from runs of its task and starts of its queue; where those are few it is unknown, and a note says so.
Times come with the range in which 8 of 10 such runs start or end.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import polars as pl

from collector.analyse.durations import bucket, bucket_ns
from collector.analyse.frames import Frame
from collector.analyse.retries import HORIZON
from collector.analyse.slots import QUEUE
from collector.model.statistics import AT_LEAST, ENOUGH

LOW, HIGH = 0.1, 0.9
"""Shares of runs that are done before the begin and the end of a range."""
ENOUGH_STARTS = 5
"""Fewest starts that tell how soon the next ones follow."""
_PERMILLES = {"low": 100, "mid": 500, "high": 900}


def since(waiting: Frame) -> pl.DataFrame:
    """Return by `QUEUE` since when somebody waits, `since_ns`, by runs that do (*waiting*: `QUEUE`, queued_ns).

    How many started from then on is what the queue can do, not what it was asked for.
    """
    return waiting.lazy().group_by(QUEUE).agg(since_ns=pl.col("queued_ns").min()).collect()


def starting(waiting: Frame, paces: Frame, *, as_of_ns: int) -> pl.DataFrame:
    """Return *waiting* with how many wait in its queue, `waiting`, and when each is likely to start.

    *waiting*: `QUEUE`, run_key, position (1 starts next; `waiting.ordered`). *paces*: `since` with how many runs
    `started` from then on. `starts_ns`, `starts_low_ns`, `starts_high_ns`: when it is likely to start; NULL where the
    queue has started fewer than `ENOUGH_STARTS` since somebody waits. How long k starts take, over k times what each of
    n took, is F with 2k and 2n degrees of freedom where starts follow each other at random; more regular ones stay
    within that range.
    """
    rows = (
        waiting.lazy()
        .with_columns(waiting=pl.col("position").max().over(QUEUE))
        .join(paces.lazy(), on=QUEUE, how="left", nulls_equal=True)
        .collect()
    )
    from scipy import special  # a quarter of a second at every start, for what is asked seldom

    known = (pl.col("started") >= ENOUGH_STARTS) & (pl.col("since_ns") < as_of_ns)
    k, n = (rows[c].fill_null(1).clip(1).to_numpy() for c in ("position", "started"))
    per_start = (as_of_ns - pl.col("since_ns")) / pl.col("started").clip(1) * pl.col("position")
    factors = {
        "starts_low_ns": special.fdtri(2 * k, 2 * n, LOW),
        "starts_ns": np.ones(rows.height),
        "starts_high_ns": special.fdtri(2 * k, 2 * n, HIGH),
    }
    return rows.with_columns(
        pl.when(known).then(as_of_ns + (per_start * pl.Series(factor)).round().cast(pl.Int64)).alias(name)
        for name, factor in factors.items()
    )


def lasting(live: Frame, usual: Frame, by: Sequence[str] = HORIZON) -> pl.DataFrame:
    """Return *live* with `lasts_low_ns`, `lasts_ns`, `lasts_high_ns` (how long it is likely to take in all) and `n`.

    *live*: *by*, elapsed_ns (0 before the start). *usual*: *by*, ix, n: the histogram of how long runs took that
    completed or failed. Only those count that took longer than this one has taken so far; NULL where they are fewer
    than `ENOUGH`.
    """
    rows = live.lazy().with_row_index("which").with_columns(reached=bucket("elapsed_ns"))
    reached = pl.col("n").cum_sum().over("which", order_by="ix")
    longer = (
        rows.select("which", *by, "reached")
        .join(usual.lazy().select(*by, "ix", "n"), on=list(by), how="inner", nulls_equal=True)
        .filter(pl.col("ix") > pl.col("reached"))
        .group_by("which", "ix")
        .agg(pl.col("n").sum())
        .with_columns(upto=reached, n=pl.col("n").sum().over("which"))
        .group_by("which")
        .agg(
            pl.col("n").first(),
            **{
                name: pl.col("ix").filter(pl.col("upto") * 1000 >= pl.col("n") * permille).min()
                for name, permille in _PERMILLES.items()
            },
        )
    )
    enough = pl.col("n") >= ENOUGH
    return (
        rows.join(longer, on="which", how="left")
        .with_columns(pl.col("n").fill_null(0))
        .with_columns(
            pl.when(enough).then(bucket_ns(name)).alias(f"lasts{'' if name == 'mid' else '_' + name}_ns")
            for name in _PERMILLES
        )
        .sort("which")
        .drop("which", "reached", *_PERMILLES)
        .collect()
    )


def told(live: Frame, waiting: Frame, paces: Frame, usual: Frame, *, as_of_ns: int) -> pl.DataFrame:
    """Return one row for each of *live*, those that end first before others, with what is likely of it.

    *live*: `QUEUE`, `HORIZON`, run_key, run_id, status, started_ns (NULL before the start), delayed_until_ns (NULL
    unless it starts no sooner). *waiting*, *paces*: of their queues, as `starting` has them, and of how many more of
    each queue nobody can tell whether they wait, `untold` (`waiting.ordered`). *usual*: as `lasting` has it. Columns
    beside: position, waiting, `starts_…ns` of those that wait, `ends_…ns`, n (runs that tell how long it takes),
    started (starts that tell how soon it starts), provenance (inferred; unknown where neither is told), note.
    """
    moments = [f"starts{part}_ns" for part in ("_low", "", "_high")]
    queued = starting(waiting, paces, as_of_ns=as_of_ns)
    started = pl.col("started_ns").is_not_null()
    rows = lasting(
        live.lazy().with_columns(elapsed_ns=(as_of_ns - pl.col("started_ns")).clip(0).fill_null(0)), usual
    ).join(
        queued.select("project", "run_key", "position", "waiting", "untold", "started", *moments),
        on=["project", "run_key"],
        how="left",
    )
    rows = rows.with_columns(
        pl.when(~started).then(name).alias(name) for name in ("position", "waiting", "started", *moments)
    ).with_columns(
        pl.when(pl.col(name).is_not_null()).then(pl.max_horizontal(name, "delayed_until_ns")).alias(name)
        for name in moments
    )
    rows = rows.with_columns(
        (pl.coalesce("started_ns", f"starts{part}_ns") + pl.col(f"lasts{part}_ns"))
        .clip(as_of_ns)
        .alias(f"ends{part}_ns")
        for part in ("_low", "", "_high")
    )
    at_least = pl.when(~started & (pl.col("untold") > 0)).then(
        pl.format(
            f"{AT_LEAST}: up to {{}} more may be before it, triggered too long ago to tell whether they wait",
            "untold",
        )
    )
    no_start = ~started & pl.col("starts_ns").is_null()
    return (
        rows.with_columns(
            provenance=pl.when(pl.coalesce("starts_ns", "ends_ns").is_not_null())
            .then(pl.lit("inferred"))
            .otherwise(pl.lit("unknown")),
            why=pl.when(no_start & pl.col("position").is_null())
            .then(pl.lit("its place in the queue is not known"))
            .when(no_start)
            .then(pl.format("fewer than {} runs of its queue started since one waits", ENOUGH_STARTS))
            .when(pl.col("lasts_ns").is_null() & started)
            .then(pl.format("fewer than {} runs of its task took longer than this one has", ENOUGH))
            .when(pl.col("lasts_ns").is_null())
            .then(pl.format("fewer than {} runs of its task ended in the week before", ENOUGH)),
        )
        .with_columns(note=pl.concat_str(at_least, "why", separator="; ", ignore_nulls=True).replace("", None))
        .drop("elapsed_ns", "untold", "why", "^lasts.*_ns$")
        .sort("ends_ns", "starts_ns", "position", "run_key", nulls_last=True)
    )
