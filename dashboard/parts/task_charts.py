"""Charts of a task: how long its attempts take, over time. Pure functions of frames and colours."""

from __future__ import annotations

from typing import Any

import polars as pl

from collector.model.statistics import ENOUGH, ENOUGH_P99
from dashboard.parts.charts import axis_unit, base, dot
from dashboard.parts.text import visible

MOST_VERSIONS = 6
"""Most versions marked; more could not be read."""


def percentiles(frame: pl.DataFrame, versions: pl.DataFrame, p: dict[str, Any]) -> dict[str, Any]:
    """Return p50, p95 and p99 with the bands between them, and a line where a version is first seen.

    *frame*: bucket_ns, n, p50_ns, p95_ns, p99_ns, every bucket of the range. A percentile is left out of buckets
    with too few values for it.
    """
    enough, many = pl.col("n") >= ENOUGH, pl.col("n") >= ENOUGH_P99
    frame = frame.with_columns(p95_ns=pl.when(enough).then("p95_ns"), p99_ns=pl.when(many).then("p99_ns"))
    size, unit = axis_unit(*(frame[f"p{q}_ns"] for q in (50, 95, 99)))
    p50, p95, p99 = (pl.col(f"p{q}_ns") / size for q in (50, 95, 99))
    source = frame.select(
        at=pl.col("bucket_ns") // 1_000_000,
        p50=p50.round(4),
        p95=p95.round(4),
        p99=p99.round(4),
        attempts="n",
        floor=pl.when(enough).then(p50),
        to_p95=pl.when(enough).then(p95 - p50),
        to_p99=pl.when(many).then(p99 - p95),
    )
    colors = {"p50": p["primary"], "p95": p["recovered"], "p99": p["failed"]}
    lines: list[dict[str, Any]] = [
        {
            "type": "line",
            "name": name,
            "symbol": "circle",
            "symbolSize": dot(source[name]),
            "showSymbol": True,
            "z": 3,
            "encode": {"x": "at", "y": name},
            "itemStyle": {"color": color},
            "tooltip": {"valueFormatter": f"%.3f {unit}"},
            "lineStyle": {"width": 2 if name == "p50" else 1.5, "type": "dashed" if name == "p99" else "solid"},
            "emphasis": {"disabled": True},
        }
        for name, color in colors.items()
    ]
    lines[0]["markLine"] = _markers(versions, p)
    bands = [
        {
            "type": "line",
            "name": name,
            "stack": "band",
            "symbol": "none",
            "silent": True,
            "z": 1,
            "encode": {"x": "at", "y": name, "tooltip": []},
            "lineStyle": {"width": 0},
            "itemStyle": {"color": p["primary"]},
            "areaStyle": {"opacity": opacity},
            "emphasis": {"disabled": True},
            "tooltip": {"show": False},
        }
        for name, opacity in (("floor", 0.0), ("to_p95", 0.13), ("to_p99", 0.06))
    ]
    spec = base(p)
    spec["legend"] = {**spec["legend"], "data": [name for name in colors if source[name].count()]}
    spec["yAxis"] = {
        **spec["yAxis"],
        "minInterval": 0,
        "min": 0,
        "axisLabel": {**spec["yAxis"]["axisLabel"], "formatter": f"{{value}} {unit}"},
    }
    return {**spec, "dataset": {"source": source.to_dicts()}, "series": [*lines, *bands]}


def _markers(versions: pl.DataFrame, p: dict[str, Any]) -> dict[str, Any]:
    """Return vertical lines where a version is first seen; its name is data, never part of a template."""
    new = versions.filter(~pl.col("is_older")).head(MOST_VERSIONS)
    return {
        "silent": True,
        "symbol": "none",
        "animation": False,
        "lineStyle": {"color": p["mute"], "type": "dashed", "width": 1},
        "label": {"formatter": "{b}", "color": p["mute"], "fontSize": 11, "position": "end"},
        "data": [
            {"name": visible(row["version"])[:24], "xAxis": row["first_ns"] // 1_000_000}
            for row in new.iter_rows(named=True)
        ],
    }
