"""Labelled worlds of task runs for `bench.anomalies`, of no family that the detectors assume.

Each world has 60 tasks and 10 queues over eight weeks; the last four are judged. Ordinary life has no label:

- `load`: a task runs by the wall clock (two humps a day, weekends, one holiday that a quarter of these tasks ignores),
  in a nightly batch, by cron, at fixed hours of UTC, steadily, in bursts of a parent's children, or drifting. The rate
  is random itself (a Cox process): it wanders for hours, has better and worse days, and busy hours now and then.
- `hits`: a cause of failure takes geometrically many runs along; their chance wanders, follows the day and steps with
  deploys. Attempts repeat in the same way, and some hours are restless.
- `pace`: a quick mode (gamma or Weibull) and, for half of the tasks, a slow one; slower when it is busy, with hours in
  which a neighbour is noisy or away.
- `queues`: work flows in, slots do so much of it, the rest waits. A quarter of the queues drift to their limit and then
  fill daily at much the same hours; that is no incident.

Incidents are planted on top, and the hits that each one adds are counted as they are drawn: an incident's size is
known, not estimated. Their kinds, numbers and sizes, and how hard ordinary life makes it to find them, are those of an
independent simulation of which only the results were known: parameters were set until the detector of November 2026
did as well on their seeds as it had done there (docs/anomalies.md, "The worlds"). `ground` is what the parts share.
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
