"""The chart of an anomaly for ECharts: observed against expected, its span shaded. Telemetry text is only ever data."""

from __future__ import annotations

from typing import Any

from collector.model.report import Chart, Span
from collector.model.verdict import local, scale
from dashboard import strings
from dashboard.parts import charts
from dashboard.parts.text import visible


def observed(chart: Chart, span: Span, zone: str, p: dict[str, Any]) -> dict[str, Any]:
    """Return the specification; *p* are the colours of the theme.

    The axis is one of positions, a bucket each, labelled in *zone*: so no hour of a change of clocks is lost or drawn
    twice, which an axis of local times would do.
    """
    factor, unit = scale(chart)
    first = min(point.at_ns for point in chart.points)
    by_index = {(point.at_ns - first) // chart.bucket_ns: point for point in chart.points}
    indices = range(max(by_index) + 1)

    def index(ns: int) -> int:
        return max(0, min(indices[-1], (ns - first) // chart.bucket_ns))

    def values(name: str) -> list[float | None]:
        points = [getattr(by_index.get(i), name, None) for i in indices]
        return [None if v is None else round(v * factor, 4) for v in points]

    low, high = values("low"), values("high")
    width = [None if a is None or b is None else round(b - a, 4) for a, b in zip(low, high, strict=True)]
    band = {"type": "line", "stack": "band", "symbol": "none", "lineStyle": {"opacity": 0}, "silent": True}
    base = charts.base(p)
    return {
        **base,
        "grid": {**base["grid"], "top": 48},
        "legend": {**base["legend"], "data": [strings.OBSERVED, strings.EXPECTED, strings.BAND]},
        "xAxis": {
            "type": "category",
            "boundaryGap": False,
            "axisTick": {"show": False},
            "data": [f"{(at := local(first + i * chart.bucket_ns, zone)).day} {at:%b %H:%M}" for i in indices],
            "axisLine": base["xAxis"]["axisLine"],
            "axisLabel": {**base["xAxis"]["axisLabel"], "interval": max(0, len(indices) // 8 - 1)},
        },
        "yAxis": {
            **base["yAxis"],
            "minInterval": 0,
            "axisLabel": {**base["yAxis"]["axisLabel"], "formatter": f"{{value}}{unit}"},
        },
        "series": [
            {**band, "name": "low", "data": low, "tooltip": {"show": False}},
            {
                **band,
                "name": strings.BAND,
                "data": width,
                "itemStyle": {"color": p["primary"]},
                "areaStyle": {"color": p["primary"], "opacity": 0.14},
                "tooltip": {"show": False},
            },
            {
                "type": "line",
                "name": strings.EXPECTED,
                "data": values("expected"),
                "symbol": "none",
                "itemStyle": {"color": p["mute"]},
                "lineStyle": {"color": p["mute"], "width": 1.3, "type": "dashed"},
            },
            {
                "type": "line",
                "name": strings.OBSERVED,
                "data": values("observed"),
                "symbolSize": 3,
                "itemStyle": {"color": p["failed"]},
                "lineStyle": {"color": p["failed"], "width": 1.8},
                "markArea": {
                    "silent": True,
                    "itemStyle": {"color": p["failed"], "opacity": 0.1},
                    "data": [[{"xAxis": index(span.from_ns)}, {"xAxis": index(span.to_ns)}]],
                },
                "markLine": {
                    "silent": True,
                    "symbol": "none",
                    "lineStyle": {"color": p["mute"], "type": "dashed"},
                    "label": {"formatter": "{b}", "color": p["mute"], "fontSize": 11, "rotate": 0},
                    "data": [{"name": visible(m.label)[:60], "xAxis": index(m.at_ns)} for m in chart.marks],
                },
            },
        ],
    }
