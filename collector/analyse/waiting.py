"""Who waits in a queue for the first slot, in order: also runs of which nobody has heard since they were triggered.

Enter: runs that have not started as far as telemetry tells, and how far each queue is. Leave: those that wait, in the
order in which they will start. The status of a run is what its own records say, so one that only its trigger names is
`unknown` after a while; that its queue still starts in order, and has not come to it, says that it waits.
"""

from __future__ import annotations

import polars as pl

from collector.analyse.frames import Frame
from collector.analyse.links import SURE_NS
from collector.analyse.slots import QUEUE


def ordered(runs: Frame, queues: Frame, *, as_of_ns: int, stale_ns: int) -> pl.DataFrame:
    """Return the *runs* that wait at *as_of_ns*, first come first: their columns, `position` (1 is next) and `is_told`.

    *runs*: `QUEUE`, run_key, queued_ns, status, of runs whose status is `queued`, and of those that are `unknown` and
    that only a trigger names. *queues*: `QUEUE`, reached_ns (of the runs that started, when the last to be queued was),
    longest_ns (the longest wait of any of late); a queue that started nothing has no row.

    Who is `queued` waits. Who is `unknown` does unless its queue passed it over: a run that was queued later started,
    by more than clocks differ. And no longer than *stale_ns* beyond the longest wait that its queue has seen: what is
    older has `is_told` false and no position, for nobody can tell.
    """
    is_queued = pl.col("status") == "queued"
    is_ahead = (pl.col("queued_ns") >= pl.col("reached_ns") - SURE_NS).fill_null(pl.col("queued_ns").is_not_null())
    age = as_of_ns - pl.col("queued_ns")
    is_told = is_queued | (age <= pl.col("longest_ns").fill_null(0) + stale_ns).fill_null(False)
    waiting = runs.lazy().join(queues.lazy(), on=QUEUE, how="left", nulls_equal=True).filter(is_queued | is_ahead)
    return (
        waiting.with_columns(is_told=is_told)
        .sort("queued_ns", "run_key", nulls_last=True)
        .with_columns(position=pl.when("is_told").then(pl.col("is_told").cast(pl.Int64).cum_sum().over(QUEUE)))
        .drop("reached_ns", "longest_ns")
        .collect()
    )
