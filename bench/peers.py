"""The same results from our hourly tables, from plain DuckDB SQL over runs, and from polars in memory, side by side.

All three are asked in one process; a result that differs ends it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import polars as pl
import polars.selectors as cs
from polars.testing import assert_frame_equal

from bench.generate import END_NS, LIMITS, START_NS
from bench.timing import many
from collector.analyse import durations, percentiles
from collector.api import endpoints, queue_stats, stats
from collector.api.question import Basis
from collector.model.units import HOUR_NS
from collector.store import statistics
from collector.store.database import Database
from collector.store.handle import Handle
from collector.store.statistics import Choice

WEEK_NS = 7 * 24 * HOUR_NS
_TIMES = 5

_MONTH = Choice("default", START_NS, END_NS + 24 * HOUR_NS)
_FROM_NS, _TO_NS = END_NS - WEEK_NS, END_NS


@dataclass(frozen=True, slots=True)
class Result:
    """One result three ways. *source*: what polars has in memory; *within*: how far ours may be off, relative."""

    name: str
    ours: Callable[[Handle], pl.DataFrame]
    sql: str
    source: str
    polars: Callable[[pl.DataFrame], pl.DataFrame]
    within: float = 0.0


def _counters(h: Handle) -> pl.DataFrame:
    return h.frame(
        "SELECT hour_ns // 3600000000000 AS hour, task_id, sum(runs)::BIGINT AS runs, "
        "coalesce(sum(runs) FILTER (attempts > 1), 0)::BIGINT AS retried, "
        "coalesce(sum(runs) FILTER (outcome = 'failed'), 0)::BIGINT AS failed "
        "FROM run_cohorts GROUP BY ALL ORDER BY ALL"
    )


def _execution(h: Handle) -> pl.DataFrame:
    rows = statistics.summed(h, "duration_hours", _MONTH, ["task_id", "ix"], ["n"], also="measure = 'execution'")
    half, most = (percentiles.from_buckets(rows, ["task_id"], permille) for permille in (500, 950))
    return (
        half.select("task_id", p50="estimate_ns")
        .join(most.select("task_id", p95="estimate_ns"), on="task_id")
        .sort("task_id")
        .collect()
    )


def _saturation(h: Handle) -> pl.DataFrame:
    parameters = {"from": str(_FROM_NS), "to": str(_TO_NS), "as_of": str(_TO_NS)}
    asked = endpoints.read("GET /api/v1/stats/{name}", parameters, _TO_NS)
    numbers = queue_stats.queue(h, stats.question("queues", asked, "default", Basis(0, HOUR_NS)))
    compared = pl.col("statistic").is_in(["mean", "share"]) & pl.col("measure").is_in(["level", "time_at_limit"])
    wide = numbers.filter(compared).pivot("measure", index="queue", values="value")
    return wide.filter(pl.col("queue").is_in(list(LIMITS.limits))).sort("queue")


_STATED = pl.DataFrame({"queue": list(LIMITS.limits), "limit": list(LIMITS.limits.values())})


def _swept(attempts: pl.DataFrame) -> pl.DataFrame:
    window = attempts.filter((pl.col("started_ns") < _TO_NS) & (pl.col("ended_ns") > _FROM_NS))
    t = pl.col("t")
    return (
        pl.concat(
            [
                window.select("queue", t=pl.col("started_ns").clip(_FROM_NS), d=pl.lit(1)),
                window.select("queue", t=pl.col("ended_ns").clip(upper_bound=_TO_NS), d=pl.lit(-1)),
            ]
        )
        .group_by("queue", "t")
        .agg(pl.col("d").sum())
        .sort("queue", "t")
        .with_columns(level=pl.col("d").cum_sum().over("queue"), ns=t.shift(-1).over("queue").fill_null(_TO_NS) - t)
        .join(_STATED, on="queue")
        .group_by("queue")
        .agg(
            level=(pl.col("level") * pl.col("ns")).sum() / WEEK_NS,
            time_at_limit=pl.col("ns").filter(pl.col("level") >= pl.col("limit")).sum() / WEEK_NS,
        )
        .sort("queue")
    )


RESULTS = (
    Result(
        "runs, retried and failed by task and hour, 30 days",
        _counters,
        "SELECT at_ns // 3600000000000 AS hour, task_id, count(*) AS runs, "
        "count(*) FILTER (attempt_count > 1) AS retried, count(*) FILTER (status = 'failed') AS failed "
        "FROM runs GROUP BY ALL ORDER BY ALL",
        "SELECT at_ns, task_id, attempt_count, status FROM runs",
        lambda runs: (
            runs.group_by(pl.col("at_ns").floordiv(HOUR_NS).alias("hour"), "task_id")
            .agg(
                runs=pl.len().cast(pl.Int64),
                retried=(pl.col("attempt_count") > 1).sum().cast(pl.Int64),
                failed=(pl.col("status") == "failed").sum().cast(pl.Int64),
            )
            .sort("hour", "task_id")
        ),
    ),
    Result(
        "median and 95th percentile of execution by task, 30 days",
        _execution,
        "SELECT task_id, quantile_disc(ended_ns - started_ns, 0.5) AS p50, "
        "quantile_disc(ended_ns - started_ns, 0.95) AS p95 FROM runs GROUP BY task_id ORDER BY task_id",
        "SELECT task_id, ended_ns - started_ns AS ns FROM runs",
        lambda runs: (
            runs.group_by("task_id")
            .agg(p50=pl.col("ns").quantile(0.5, "equiprobable"), p95=pl.col("ns").quantile(0.95, "equiprobable"))
            .sort("task_id")
        ),
        within=durations.RELATIVE_ERROR + 0.002,
    ),
    Result(
        "average level and time at the limit by queue, 7 days",
        _saturation,
        f"""
        WITH points AS (
            SELECT queue, greatest(started_ns, {_FROM_NS}) AS t, 1 AS d FROM attempts
            WHERE started_ns < {_TO_NS} AND ended_ns > {_FROM_NS}
            UNION ALL
            SELECT queue, least(ended_ns, {_TO_NS}), -1 FROM attempts
            WHERE started_ns < {_TO_NS} AND ended_ns > {_FROM_NS}
        ), steps AS (SELECT queue, t, sum(d) AS d FROM points GROUP BY queue, t), levels AS (
            SELECT queue, sum(d) OVER w AS level, lead(t, 1, {_TO_NS}) OVER w - t AS ns FROM steps
            WINDOW w AS (PARTITION BY queue ORDER BY t)
        ), stated AS (SELECT DISTINCT queue, "limit" FROM queue_limits WHERE source = 'settings')
        SELECT queue, sum(level * ns)::DOUBLE / {WEEK_NS} AS level,
               coalesce(sum(ns) FILTER (level >= "limit"), 0)::DOUBLE / {WEEK_NS} AS time_at_limit
        FROM levels JOIN stated USING (queue) GROUP BY queue ORDER BY queue
        """,
        "SELECT queue, started_ns, ended_ns FROM attempts",
        _swept,
        within=1e-9,
    ),
)


def compare(database: Database) -> list[dict[str, float | str]]:
    """Return per result how many ms each way takes (median), and how much memory polars' rows take in MiB."""
    compared: list[dict[str, float | str]] = []
    for r in RESULTS:
        frame = database.reading(lambda h, r=r: h.frame(r.source))  # type: ignore[misc]
        ways: dict[str, Callable[[], pl.DataFrame]] = {
            "ours": lambda r=r: database.reading(r.ours),  # type: ignore[misc]
            "sql": lambda r=r: database.reading(lambda h: h.frame(r.sql)),  # type: ignore[misc]
            "polars": lambda r=r, f=frame: r.polars(f),  # type: ignore[misc]
        }
        frames = {name: way() for name, way in ways.items()}
        for name in ("sql", "polars"):
            other = frames[name].select(frames["ours"].columns)
            # Tolerances hold for floats only.
            both = (frame.with_columns(cs.integer().cast(pl.Float64)) for frame in (frames["ours"], other))
            assert_frame_equal(*both, rel_tol=r.within, abs_tol=1e-12)
        took = {name: many(way, _TIMES)[0] for name, way in ways.items()}
        compared.append({"name": r.name, **took, "mib": frame.estimated_size() / 2**20})
    return compared


def show(compared: list[dict[str, float | str]]) -> None:
    """Print what `compare` returned."""
    print("| result | ours ms | plain DuckDB SQL | ms | polars in memory | ms | its rows MiB |")
    print("|---|---|---|---|---|---|---|")
    for row in compared:
        ours, sql, frames = (float(row[k]) for k in ("ours", "sql", "polars"))
        print(
            f"| {row['name']} | {ours:.0f} | {sql / ours:.1f} | {sql:.0f} | {frames / ours:.1f} | {frames:.0f} "
            f"| {float(row['mib']):.0f} |"
        )
