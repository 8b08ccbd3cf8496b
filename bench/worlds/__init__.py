"""Labelled worlds of task runs for `bench.anomalies`, of no family that the detectors assume.

Each world has 60 tasks and 10 queues over eight weeks; the last four are judged. `load` makes arrivals, `hits` failures
and retries, `pace` durations, `queues` saturation; `ground` is what they share. Incidents are planted on top of ordinary
life, and the hits that each one adds are counted as they are drawn: an incident's size is known, not estimated.
"""

from __future__ import annotations

import numpy as np
import polars as pl

from bench.worlds import hits, load, pace, queues
from bench.worlds.ground import FIRST, HOURS, QUEUES, SERIES, START_NS, ZONE, Floats, Incident, Planter, World
from collector.model.units import HOUR_NS

__all__ = ["FIRST", "HOURS", "QUEUES", "SERIES", "START_NS", "ZONE", "Incident", "World", "frames", "world"]


def world(seed: int) -> World:
    """Return the world of *seed*, the same each time."""
    of_load, of_failures, of_retries, of_pace, of_queues = (Planter(seed, part) for part in range(5))
    loads, usual_runs, runs = load.arrivals(of_load)
    usual_failed, failed = hits.failures(of_failures, runs)
    usual_again, again = hits.retries(of_retries, runs)
    histogram, p95, timed = pace.durations(of_pace, runs)
    return World(
        seed=seed,
        loads=loads.kinds,
        runs=runs,
        failed=failed,
        attempts=runs + again,
        retried=again,
        timed=timed,
        histogram=histogram,
        p95=p95,
        saturation=queues.saturations(of_queues),
        ordinary={"volume": usual_runs, "failures": usual_failed, "retries": usual_again},
        incidents=[i for part in (of_load, of_failures, of_retries, of_pace, of_queues) for i in part.incidents],
    )


def frames(made: World) -> dict[str, pl.DataFrame]:
    """Return what the detectors of the product read: counts, histograms and gauges, with series as text."""

    def rows(n: Floats, x: Floats, metric: str) -> pl.DataFrame:
        s, h = np.nonzero(n)
        return pl.DataFrame(
            {
                "series": np.char.mod("s%03d", s),
                "metric": np.full(s.size, metric),
                "hour_ns": START_NS + h * HOUR_NS,
                "n": n[s, h].astype(np.int64),
                "x": x[s, h].astype(np.int64),
            }
        )

    q, h = np.nonzero(np.isfinite(made.saturation))
    return {
        "counts": pl.concat(
            [
                rows(made.runs, made.failed, "failures"),
                rows(made.attempts, made.retried, "retries"),
                rows(made.runs, made.runs, "volume"),
            ]
        ),
        "histograms": made.histogram.select(
            series=pl.format("s{}", pl.col("series").cast(pl.String).str.zfill(3)),
            hour_ns=START_NS + pl.col("hour") * HOUR_NS,
            ix=pl.col("ix").cast(pl.Int32),
            n=pl.col("n").cast(pl.Int64),
        ),
        "gauges": pl.DataFrame(
            {
                "series": np.char.mod("s%03d", q),
                "metric": np.full(q.size, "saturation"),
                "hour_ns": START_NS + h * HOUR_NS,
                "value": made.saturation[q, h],
            }
        ),
    }
