"""Limits nobody stated, inferred from how the load of a queue behaves.

Enter: intervals of `slots`. Leave: evidence per queue, and rows of `queue_limits` with source `inferred`. The candidate
is the highest level held for more than a second at a stretch. It is taken for a limit when it was reached in three
episodes (low confidence, no more than a lower bound), when ends at that level hand their slot over to the next start
more often than chance has it (medium), and when runs that took over a slot had waited longer than others (high).
"""

from __future__ import annotations

import polars as pl

from collector.analyse.frames import Frame, schema_of, shaped
from collector.analyse.levels import segments
from collector.analyse.numbers import wilson
from collector.analyse.slots import QUEUE

_DWELL_NS = 1_000_000_000
_HANDOVER_NS = 2_000_000_000
_EPISODES = 3
_ABOVE_CHANCE = 2
_WAIT_NS = 100_000_000


def evidence(held: Frame, waiting: Frame, *, from_ns: int, to_ns: int) -> pl.DataFrame:
    """Return by `QUEUE` what speaks for a limit in [*from_ns*, *to_ns*): `level`, the highest held for over a second.

    Further columns: episodes (separate times at that level), ends (at that level), handovers (of those, how many were
    followed by a start within two seconds), chance (that share for ends below that level, or for any moment,
    whichever is more), wait_ns and base_wait_ns (median queue wait of attempts that took over a slot at that level, and
    of the others; NULL if not told).
    """
    steps = segments(held, from_ns=from_ns, to_ns=to_ns)
    dwelt = _dwelt(steps)
    at_top = steps.join(dwelt.rename({"level": "top"}), on=QUEUE, nulls_equal=True).filter(
        pl.col("level") >= pl.col("top")
    )
    episodes = (
        at_top.sort(*QUEUE, "from_ns", nulls_last=True)
        .with_columns(begins=(pl.col("from_ns") - pl.col("to_ns").shift(1).over(QUEUE) > _HANDOVER_NS).fill_null(True))
        .with_columns(episode=pl.col("begins").cast(pl.Int64).cum_sum().over(QUEUE))
        .group_by(*QUEUE, "episode")
        .agg(lasted_ns=(pl.col("to_ns") - pl.col("from_ns")).sum())
        .filter(pl.col("lasted_ns") > _DWELL_NS)
        .group_by(QUEUE)
        .agg(episodes=pl.len().cast(pl.Int64))
    )
    ends = _handed_over(held, steps, dwelt, from_ns, to_ns)
    at = pl.col("is_at_top")
    handed = ends.group_by(QUEUE).agg(
        ends=at.sum().cast(pl.Int64),
        handovers=(at & pl.col("is_followed")).sum().cast(pl.Int64),
        below=pl.col("is_followed").filter(~at).mean(),
    )
    rate = held.lazy().filter(pl.col("from_ns").is_between(from_ns, to_ns, closed="left")).group_by(QUEUE)
    any_moment = rate.agg(
        any_moment=1 - (pl.len().cast(pl.Float64) * (-_HANDOVER_NS / (to_ns - from_ns))).exp()
    ).collect()
    return (
        dwelt.join(episodes, on=QUEUE, how="left", nulls_equal=True)
        .join(handed, on=QUEUE, how="left", nulls_equal=True)
        .join(any_moment, on=QUEUE, how="left", nulls_equal=True)
        .join(_waits(ends, waiting, from_ns, to_ns), on=QUEUE, how="left", nulls_equal=True)
        .with_columns(
            pl.col("episodes", "ends", "handovers").fill_null(0), chance=pl.max_horizontal("below", "any_moment")
        )
        .drop("below", "any_moment")
        .sort(QUEUE, nulls_last=True)
    )


def _dwelt(steps: pl.DataFrame) -> pl.DataFrame:
    """Return by `QUEUE` the highest `level` that was reached for over a second at a stretch; no row where that is 0.

    A stretch that long has a step from which on the level stays as high for a second: of every step the least level
    until a second later, and of those the most. So it costs what the steps are, however many levels there are.
    """
    is_whole = pl.col("from_ns") + _DWELL_NS < pl.col("end_ns")
    return (
        steps.with_columns(end_ns=pl.col("to_ns").max().over(QUEUE))
        .rolling("from_ns", period=f"{_DWELL_NS}i", offset="0i", closed="both", group_by=QUEUE)
        .agg(pl.col("level").min(), pl.col("end_ns").last())
        .filter(is_whole)
        .group_by(QUEUE)
        .agg(pl.col("level").max())
        .filter(pl.col("level") > 0)
    )


def _handed_over(held: Frame, steps: pl.DataFrame, dwelt: pl.DataFrame, from_ns: int, to_ns: int) -> pl.DataFrame:
    """Return ends of slots: `QUEUE`, end_ns, start_ns (the next, if soon), is_at_top (before the end), is_followed."""
    slots = held.lazy().select(*QUEUE, "from_ns", "to_ns", "is_open").collect(engine="streaming")
    ends = slots.filter(~pl.col("is_open") & pl.col("to_ns").is_between(from_ns, to_ns, closed="left")).select(
        *QUEUE, end_ns="to_ns"
    )
    starts = slots.select(*QUEUE, start_ns="from_ns").sort("start_ns")
    before = steps.select(*QUEUE, "level", end_ns="to_ns").sort("end_ns")
    ends, starts, before, top = _joinable(ends, starts, before, dwelt.rename({"level": "top"}))
    soon = starts.select("key", "start_ns")
    # A slot that ends as another starts leaves no step in the level: its level is the one that goes on.
    level = before.select("key", "end_ns", "level")
    followed = (
        ends.sort("end_ns")
        .join_asof(
            soon,
            left_on="end_ns",
            right_on="start_ns",
            by="key",
            strategy="forward",
            tolerance=_HANDOVER_NS,
            check_sortedness=False,
        )
        .join_asof(level, on="end_ns", by="key", strategy="forward", check_sortedness=False)
        .join(top.select("key", "top"), on="key")
    )
    return followed.select(
        *QUEUE,
        "end_ns",
        "start_ns",
        is_at_top=(pl.col("level") >= pl.col("top")).fill_null(False),
        is_followed=pl.col("start_ns").is_not_null(),
    )


def _joinable(*frames: pl.DataFrame) -> list[pl.DataFrame]:
    """Add `key`, one text per queue, because as-of joins match no NULLs."""
    return [f.with_columns(key=pl.concat_str(pl.col(QUEUE).fill_null(""), separator="\x1f")) for f in frames]


def _waits(ends: pl.DataFrame, waiting: Frame, from_ns: int, to_ns: int) -> pl.DataFrame:
    """Return the median wait of attempts that took over a slot at the top, and of others, where it is proved."""
    waits = (
        waiting.lazy()
        .filter(
            pl.col("is_sure")
            & pl.col("from_ns").is_not_null()
            & pl.col("to_ns").is_between(from_ns, to_ns, closed="left")
        )
        .select(*QUEUE, start_ns="to_ns", lasted_ns=pl.col("to_ns") - pl.col("from_ns"))
        .collect(engine="streaming")
    )
    took_over = ends.filter(pl.col("is_at_top") & pl.col("is_followed")).select(*QUEUE, "start_ns").unique()
    return (
        waits.join(took_over.with_columns(over=pl.lit(True)), on=[*QUEUE, "start_ns"], how="left", nulls_equal=True)
        .with_columns(pl.col("over").fill_null(False))
        .group_by(QUEUE)
        .agg(
            wait_ns=pl.col("lasted_ns").filter("over").median(),
            base_wait_ns=pl.col("lasted_ns").filter(~pl.col("over")).median(),
        )
    )


def infer(held: Frame, waiting: Frame, *, from_ns: int, to_ns: int) -> pl.DataFrame:
    """Return rows of `queue_limits` for queues whose load shows a limit in [*from_ns*, *to_ns*); see the module."""
    by_queue = evidence(held, waiting, from_ns=from_ns, to_ns=to_ns)
    low, _ = wilson(pl.col("handovers"), pl.col("ends"))
    hands_over = (pl.col("handovers") >= _EPISODES) & (low >= _ABOVE_CHANCE * pl.col("chance")).fill_null(False)
    waits_rise = (
        pl.col("wait_ns") >= pl.max_horizontal(2 * pl.col("base_wait_ns"), pl.col("base_wait_ns") + _WAIT_NS)
    ).fill_null(False)
    limits = by_queue.filter(pl.col("episodes") >= _EPISODES).with_columns(
        concurrency_key=pl.lit(None, pl.String),
        from_ns=pl.lit(from_ns),
        limit="level",
        source=pl.lit("inferred"),
        confidence=pl.when(hands_over & waits_rise)
        .then(pl.lit("high"))
        .when(hands_over)
        .then(pl.lit("medium"))
        .otherwise(pl.lit("low")),
    )
    return shaped(limits.select(schema_of("queue_limits").names()), "queue_limits", by=QUEUE)
