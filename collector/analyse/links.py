"""Which trigger made a run: a parent's span may only have been handed one that was there already.

Enter: one row a run with its first sign of life and the earliest trigger that names it. Leave: expressions over it.
"""

from __future__ import annotations

import polars as pl

from collector.model.believable import AHEAD_NS

SURE_NS = 10 * 10**9
"""How far the clocks of parent and run are believed to differ where a trigger is likelier to have been handed the run.

Machines that keep their time by NTP are within a second; ten allow for one that was just started.
"""


def made() -> pl.Expr:
    """Tell whether the trigger began before the run's first sign of life, but for what clocks may differ.

    Those may differ by `AHEAD_NS`, as everywhere. But a run with an idempotency key is handed to whoever triggers it
    again by that key, and a trigger that waited for less time than the run took did not see all of it: after such a run
    by more than `SURE_NS` it did not make it. A run without records of its own was made, as far as anybody knows.

    Over columns `link_start_ns`, `link_end_ns`, `link_waits`, `idempotency_key`, and `first_seen_ns`, `last_seen_ns` of
    the run's own records.
    """
    waited, took = pl.col("link_end_ns") - pl.col("link_start_ns"), pl.col("last_seen_ns") - pl.col("first_seen_ns")
    saw_less = (pl.col("link_waits") & (waited + SURE_NS < took)).fill_null(False)
    most = pl.when(pl.col("idempotency_key").is_not_null() | saw_less).then(SURE_NS).otherwise(AHEAD_NS)
    return (pl.col("link_start_ns") - pl.col("first_seen_ns") <= most).fill_null(True)
