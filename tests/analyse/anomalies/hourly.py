"""Hourly counts for the tests of detection: four weeks of history and a day to judge."""

from __future__ import annotations

import numpy as np
import polars as pl

from collector.analyse.anomalies import told
from collector.model.units import HOUR_NS

HISTORY = 28 * 24
START_NS = 1_772_409_600_000_000_000
"""2026-03-02 00:00 UTC, a Monday."""
FROM_NS = START_NS + HISTORY * HOUR_NS
TO_NS = FROM_NS + 24 * HOUR_NS
HOURS = HISTORY + 24
NOTHING = told.TOLD.to_frame()
"""What was told before, where that is nothing: it is not worked out then."""


def rows(series: str, metric: str, n: object, x: object, start_ns: int = START_NS) -> pl.DataFrame:
    """Return counts of one series from arrays (or single numbers) by hour."""
    trials, hits = (np.broadcast_to(np.asarray(v, np.int64), HOURS if np.ndim(v) == 0 else len(v)) for v in (n, x))  # type: ignore[arg-type]
    hours = start_ns + np.arange(max(trials.size, hits.size)) * HOUR_NS
    return pl.DataFrame({"series": series, "metric": metric, "hour_ns": hours, "n": trials, "x": hits}).filter(
        pl.col("n") > 0
    )


def noisy(seed: int, n: int = 40, share: float = 0.05, hours: int = HOURS) -> tuple[np.ndarray, np.ndarray]:
    """Return (n, x) of a series with some noise, the same each time."""
    rng = np.random.default_rng(seed)
    trials = rng.poisson(n, hours)
    return trials, rng.binomial(trials, rng.beta(share * 60, (1 - share) * 60, hours))
