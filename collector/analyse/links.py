"""Which trigger made a run: a parent's span may only have been handed one that was there already.

Enter: one row a run with its first sign of life and the earliest trigger that names it. Leave: expressions over it.
"""

from __future__ import annotations

import polars as pl

from collector.model.believable import AHEAD_NS

KEYED_NS = 10 * 10**9
"""How far the clocks of a parent and of a run with an idempotency key are believed to differ.

Such a run is handed to whoever triggers it again by its key, so a trigger that begins after the run is likelier that
than a clock: machines that keep their time by NTP are within a second, and ten allow for one that was just started. A
run without a key is handed to nobody: only clocks explain such a trigger, and they may differ by `AHEAD_NS`.
"""


def made() -> pl.Expr:
    """Tell whether the trigger began before the run's first sign of life, but for what clocks may differ.

    Over columns `link_start_ns`, `first_seen_ns` (of the run's own records) and `idempotency_key`. A run without
    records of its own was made, as far as anybody knows.
    """
    most = pl.when(pl.col("idempotency_key").is_not_null()).then(KEYED_NS).otherwise(AHEAD_NS)
    return (pl.col("link_start_ns") - pl.col("first_seen_ns") <= most).fill_null(True)
