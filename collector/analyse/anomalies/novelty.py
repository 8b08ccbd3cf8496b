"""What was never seen before: a test for things that come up in a period and not in the history before it.

If something had always been as common as it is now, all of its k occurrences would fall into the period with a
probability of at most (n / (n + N))^k, where n and N are how often it could have come up in the period and before.
"""

from __future__ import annotations

import polars as pl

LEAST = 3
"""Fewest occurrences in the period."""
LEAST_BEFORE = 50
"""Fewest chances in the history for it to say anything."""
LARGEST_P = 1e-3


def unseen(seen: pl.DataFrame, chances: pl.DataFrame, by: list[str]) -> pl.DataFrame:
    """Return the rows of *seen* that are new, with n_now, n_before and p; and those with too little history, p NULL.

    *seen*: *by*, before, now (occurrences, in runs); *chances*: *by*, n_before, n_now (runs). New: none before, at
    least 3 now, and p of at most 1 in 1,000.
    """
    now, before = pl.col("n_now").cast(pl.Float64), pl.col("n_before").cast(pl.Float64)
    return (
        seen.filter((pl.col("before") == 0) & (pl.col("now") >= LEAST))
        .join(chances, on=by, how="left", nulls_equal=True)
        .with_columns(pl.col("n_before", "n_now").fill_null(0))
        .with_columns(p=pl.when(pl.col("n_before") >= LEAST_BEFORE).then((now / (now + before)) ** pl.col("now")))
        .filter(pl.col("p").is_null() | (pl.col("p") <= LARGEST_P))
    )
