"""Chart specifications for ECharts: pure functions of frames and colours. Telemetry text is only ever data."""

from __future__ import annotations

from typing import Any

import polars as pl

from dashboard import strings
from dashboard.parts.text import unit_of, visible

OUTCOMES = {
    "first_try": "completed",
    "recovered": "recovered",
    "failed": "failed",
    "skipped": "skipped",
    "stopped": "canceled",
    "open": "open",
    "unknown": "unknown",
}


def every_bucket(frame: pl.DataFrame, window: tuple[int, int, int]) -> pl.DataFrame:
    """Add the buckets without runs to *frame*; *window* is from, to, width in ns.

    A count of nothing is 0, a percentile of nothing is unknown.
    """
    edges = pl.DataFrame({"bucket_ns": range(*window)}, schema={"bucket_ns": pl.Int64})
    filled = edges.join(frame, on="bucket_ns", how="left")
    return filled.with_columns(pl.exclude("bucket_ns", "^(.*_)?p[0-9]+_ns$").fill_null(0))


def minute(ns: int) -> str:
    """Return a time to the minute, UTC."""
    return str(pl.Series([ns], dtype=pl.Int64).cast(pl.Datetime("ns")).dt.strftime("%d %b %H:%M").item())


def dot(values: pl.Series) -> int:
    """Return the size of a line's dots: large enough to be seen where there are too few for a line."""
    return 3 if values.count() > 3 else 7


def axis_unit(*durations: pl.Series) -> tuple[float, str]:
    """Return the unit, in ns and by name, in which the longest of *durations* (ns) is written."""
    return unit_of(max((float(d.max() or 0) for d in durations), default=0.0))  # type: ignore[arg-type]


def base(p: dict[str, Any]) -> dict[str, Any]:
    """Return what all our charts share."""
    return {
        "animation": False,
        "textStyle": {"fontFamily": "Inter"},
        "grid": {"left": 8, "right": 14, "top": 34, "bottom": 4, "containLabel": True},
        "legend": {
            "top": 0,
            "right": 0,
            "icon": "roundRect",
            "itemWidth": 9,
            "itemHeight": 9,
            "itemGap": 14,
            "textStyle": {"color": p["mute"], "fontSize": 12},
        },
        "tooltip": {
            "trigger": "axis",
            "confine": True,
            "axisPointer": {"type": "line", "lineStyle": {"color": p["mute"], "width": 1, "type": "dashed"}},
        },
        "xAxis": {
            "type": "time",
            "axisLine": {"lineStyle": {"color": p["grid"]}},
            "axisTick": {"show": False},
            "axisLabel": {"color": p["mute"], "fontSize": 11, "hideOverlap": True},
            "splitLine": {"show": False},
        },
        "yAxis": {
            "type": "value",
            "minInterval": 1,
            "splitNumber": 4,
            "axisLabel": {"color": p["mute"], "fontSize": 11},
            "splitLine": {"lineStyle": {"color": p["grid"]}},
        },
        "useUTC": True,
    }


def outcomes(frame: pl.DataFrame, p: dict[str, Any]) -> dict[str, Any]:
    """Return stacked bars of runs per bucket by outcome; outcomes that never occur are left out.

    Bars, because a stack of stepped areas draws slanted edges where a thin outcome begins or ends.
    """
    shown = [name for name in OUTCOMES if int(frame[name].sum() or 0)]
    source = frame.select(at=pl.col("bucket_ns") // 1_000_000, **{OUTCOMES[name]: pl.col(name) for name in shown})
    series = [
        {
            "type": "bar",
            "name": OUTCOMES[name],
            "stack": "runs",
            "barCategoryGap": "8%",
            "itemStyle": {"color": p[name], "opacity": 0.7 if name == "first_try" else 0.95},
            "encode": {"x": "at", "y": OUTCOMES[name]},
            "emphasis": {"disabled": True},
        }
        for name in shown
    ]
    return {**base(p), "dataset": {"source": source.to_dicts()}, "series": series}


def _label(text: str) -> str:
    return visible(text or strings.UNKNOWN)


def heatmap(frame: pl.DataFrame, p: dict[str, Any]) -> dict[str, Any]:
    """Return tasks, by `label`, x hours, coloured by the share of runs that failed or were retried."""
    frame = frame.with_columns(task=pl.col("label").map_elements(_label, return_dtype=pl.String))
    ranked = frame.group_by("task").agg(pl.col("bad").sum()).sort("bad", "task")["task"].to_list()
    hours = frame["bucket_ns"].unique().sort().to_list()
    labels = {
        ns: pl.Series([ns], dtype=pl.Int64).cast(pl.Datetime("ns")).dt.strftime("%d %b %H:00").item() for ns in hours
    }
    cells = [
        [labels[ns], task, round(100 * bad / runs, 1), runs]
        for task, ns, runs, bad in frame.select("task", "bucket_ns", "runs", "bad").rows()
    ]
    axis = {"axisTick": {"show": False}, "axisLine": {"show": False}}
    return {
        **base(p),
        "legend": {"show": False},
        "tooltip": {"trigger": "item", "confine": True},
        "grid": {"left": 6, "right": 10, "top": 6, "bottom": 34, "containLabel": True},
        "xAxis": {
            "type": "category",
            "data": [labels[ns] for ns in hours],
            "axisLabel": {"color": p["mute"], "fontSize": 11, "hideOverlap": True},
            **axis,
        },
        "yAxis": {
            "type": "category",
            "data": ranked,
            "axisLabel": {"color": p["mute"], "fontSize": 11.5, "width": 150, "overflow": "truncate"},
            **axis,
        },
        "visualMap": {
            "type": "continuous",
            "min": 0,
            "max": 25,
            "dimension": 2,
            "orient": "horizontal",
            "right": 8,
            "bottom": 0,
            "itemHeight": 90,
            "itemWidth": 9,
            "text": ["25 % and more", "0 %"],
            "textStyle": {"color": p["mute"], "fontSize": 11},
            "inRange": {"color": p["heat"]},
        },
        "dataset": {"source": [["hour", "task", "% failed or retried", "runs"], *cells]},
        "series": [
            {
                "type": "heatmap",
                "encode": {"x": "hour", "y": "task", "value": "% failed or retried"},
                "itemStyle": {"borderColor": p["cell"], "borderWidth": 2, "borderRadius": 3},
            }
        ],
    }
