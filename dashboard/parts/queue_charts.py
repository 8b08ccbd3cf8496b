"""Charts of queues: who is full when, slots held against the limit, time at each level, waits. Pure functions."""

from __future__ import annotations

import math
from typing import Any

import polars as pl

from collector.model.statistics import ENOUGH
from dashboard.parts.charts import axis_unit, base, dot, minute
from dashboard.parts.text import visible

MOST_LEVELS = 40


def ribbon(frame: pl.DataFrame, buckets: list[int], p: dict[str, Any]) -> dict[str, Any]:
    """Return queues x time, coloured by the share of the limit that was held.

    *frame*: label, bucket_ns, saturation (0 to 1, NULL where no limit is known), mean, limit. The fullest queue is on
    top.
    """
    ranked = frame.group_by("label").agg(pl.col("saturation").mean()).sort("saturation", "label", nulls_last=False)
    labels = {ns: minute(ns) for ns in buckets}
    cells = [
        [labels[ns], visible(label), round(100 * min(1.0, share), 1), round(mean, 2), slots]
        for label, ns, share, mean, slots in frame.filter(pl.col("saturation").is_not_null())
        .select("label", "bucket_ns", "saturation", "mean", "limit")
        .iter_rows()
    ]
    axis = {"axisTick": {"show": False}, "axisLine": {"show": False}}
    return {
        **base(p),
        "legend": {"show": False},
        "tooltip": {"trigger": "item", "confine": True},
        "grid": {"left": 6, "right": 10, "top": 6, "bottom": 34, "containLabel": True},
        "xAxis": {
            "type": "category",
            "data": list(labels.values()),
            "axisLabel": {
                "color": p["mute"],
                "fontSize": 11,
                "hideOverlap": True,
                "alignMinLabel": "left",
                "alignMaxLabel": "right",
            },
            **axis,
        },
        "yAxis": {
            "type": "category",
            "data": [visible(label) for label in ranked["label"].to_list()],
            "axisLabel": {"color": p["mute"], "fontSize": 11.5, "width": 150, "overflow": "truncate"},
            **axis,
        },
        "visualMap": {
            "type": "continuous",
            "min": 0,
            "max": 100,
            "dimension": 2,
            "orient": "horizontal",
            "right": 8,
            "bottom": 0,
            "itemHeight": 90,
            "itemWidth": 9,
            "text": ["at limit", "idle"],
            "textStyle": {"color": p["mute"], "fontSize": 11},
            "inRange": {"color": p["load"]},
        },
        "dataset": {"source": [["time", "queue", "% of the limit", "slots held", "limit"], *cells]},
        "series": [
            {
                "type": "heatmap",
                "encode": {
                    "x": "time",
                    "y": "queue",
                    "value": "% of the limit",
                    "tooltip": ["% of the limit", "slots held", "limit"],
                },
                "itemStyle": {"borderColor": p["cell"], "borderWidth": 1, "borderRadius": 2},
            }
        ],
    }


def levels(frame: pl.DataFrame, p: dict[str, Any]) -> dict[str, Any]:
    """Return slots held per bucket, average and most, against the limit; bucket_ns, mean, peak, limit."""
    source = frame.select(
        at=pl.col("bucket_ns") // 1_000_000, peak="peak", average=pl.col("mean").round(3), limit="limit"
    )
    line = {"type": "line", "step": "end", "symbol": "none", "emphasis": {"disabled": True}}
    series = [
        {
            **line,
            "name": "peak",
            "encode": {"x": "at", "y": "peak"},
            "lineStyle": {"width": 0},
            "itemStyle": {"color": p["stopped"]},
            "areaStyle": {"opacity": 0.3},
        },
        {
            **line,
            "name": "average",
            "encode": {"x": "at", "y": "average"},
            "lineStyle": {"width": 2},
            "itemStyle": {"color": p["primary"]},
            "areaStyle": {"opacity": 0.15},
        },
    ]
    if frame["limit"].drop_nulls().len():
        series.append(
            {
                **line,
                "name": "limit",
                "encode": {"x": "at", "y": "limit"},
                "itemStyle": {"color": p["failed"]},
                "lineStyle": {"width": 1.5, "type": "dashed"},
            }
        )
    spec = base(p)
    top = max(float(frame[c].max() or 0) for c in ("peak", "limit"))  # type: ignore[arg-type]
    # Room above, so that a line at the limit is no edge of the chart.
    spec["yAxis"] = {**spec["yAxis"], "min": 0, "max": max(top + 1, math.ceil(top * 1.1))}
    return {**spec, "dataset": {"source": source.to_dicts()}, "series": series}


def histogram(frame: pl.DataFrame, limit: int | None, p: dict[str, Any]) -> dict[str, Any]:
    """Return the share of time at each level, 0 included; levels from the limit on are marked; level, ns."""
    total = max(1, int(frame["ns"].sum() or 0))
    rows = frame.sort("level").head(MOST_LEVELS)
    full = limit if limit else None
    bars = [
        {
            "value": round(100 * ns / total, 2),
            "itemStyle": {
                "color": p["recovered"] if full is not None and level >= full else p["primary"],
                "borderRadius": [3, 3, 0, 0],
            },
        }
        for level, ns in rows.select("level", "ns").iter_rows()
    ]
    spec = base(p)
    return {
        **spec,
        "legend": {"show": False},
        "grid": {**spec["grid"], "top": 14, "bottom": 26},
        "tooltip": {"trigger": "item", "confine": True, "valueFormatter": "%.2f %%"},
        "xAxis": {
            "type": "category",
            "data": [str(level) for level in rows["level"].to_list()],
            "name": "busy slots",
            "nameLocation": "middle",
            "nameGap": 26,
            "nameTextStyle": {"color": p["mute"], "fontSize": 11},
            "axisTick": {"show": False},
            "axisLine": {"lineStyle": {"color": p["grid"]}},
            "axisLabel": {"color": p["mute"], "fontSize": 11},
        },
        "yAxis": {
            **spec["yAxis"],
            "minInterval": 0,
            "axisLabel": {**spec["yAxis"]["axisLabel"], "formatter": "{value} %"},
        },
        "series": [{"type": "bar", "name": "share of time", "data": bars, "barCategoryGap": "18%"}],
    }


def waits(frame: pl.DataFrame, p: dict[str, Any]) -> dict[str, Any]:
    """Return p50 and p95 of the queue wait, p95 only where there are enough."""
    enough = frame.select("bucket_ns", "p50_ns", p95_ns=pl.when(pl.col("n") >= ENOUGH).then("p95_ns"))
    size, unit = axis_unit(enough["p50_ns"], enough["p95_ns"])
    source = enough.select(
        at=pl.col("bucket_ns") // 1_000_000,
        p50=(pl.col("p50_ns") / size).round(4),
        p95=(pl.col("p95_ns") / size).round(4),
    )
    series = [
        {
            "type": "line",
            "name": name,
            "symbol": "circle",
            "symbolSize": dot(source[name]),
            "encode": {"x": "at", "y": name},
            "itemStyle": {"color": color},
            "lineStyle": {"width": 2 if name == "p50" else 1.5},
            "emphasis": {"disabled": True},
            "tooltip": {"valueFormatter": f"%.3f {unit}"},
        }
        for name, color in (("p50", p["primary"]), ("p95", p["recovered"]))
    ]
    spec = base(p)
    spec["yAxis"] = {
        **spec["yAxis"],
        "minInterval": 0,
        "axisLabel": {**spec["yAxis"]["axisLabel"], "formatter": f"{{value}} {unit}"},
    }
    return {**spec, "dataset": {"source": source.to_dicts()}, "series": series}
