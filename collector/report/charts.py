"""Charts of a report as pictures: a Vega-Lite specification, drawn by vl-convert without browser or network.

The axis is real time, so that no hour of a day on which the clocks change is lost; its labels are written here, in the
report's zone. Colours are those of light paper; `templates/report.css` turns them for dark screens.
"""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Iterator
from typing import Any
from zoneinfo import ZoneInfo

from collector.model.report import Chart, Point, Span
from collector.model.shown import visible
from collector.model.units import HOUR_NS
from collector.model.verdict import scale as scale_of

WIDTH = 680
HEIGHT = 190
OBSERVED, EXPECTED, BAND, SPAN, TEXT, GRID = "#C8363D", "#4F5563", "#DADDF5", "#FBE4E4", "#5C606B", "#E4E5EA"
"""Colours, each used for one thing: the stylesheet finds them by their value."""
_VALUES = ("observed", "expected", "low", "high")
_STEPS = (1, 2, 3, 6, 12)
_MOST_TICKS = 9


def spec(
    chart: Chart, span: Span, zone: str, *, title: str = "", size: tuple[int, int] = (WIDTH, HEIGHT)
) -> dict[str, Any]:
    """Return *chart* as Vega-Lite: observed against expected with its band, *span* shaded, moments marked.

    Telemetry text enters as data or title only, never as an expression.
    """
    scale, unit = scale_of(chart)
    rows = [
        {"at": p.at_ns // 10**6, **{name: _scaled(getattr(p, name), scale) for name in _VALUES}}
        for p in _every_bucket(chart)
    ]
    first, last = _extent(chart)
    labels = dict(_ticks(first * 10**6, last * 10**6, zone))
    shaded = {"from": max(first, span.from_ns // 10**6), "to": min(last, span.to_ns // 10**6)}
    x = {
        "field": "at",
        "type": "quantitative",
        "title": None,
        "scale": {"domain": [first, last], "nice": False, "zero": False},
        "axis": {"values": list(labels), "labelExpr": f"({json.dumps(labels)})[datum.value]"},
    }
    whole = "datum.value % 1 ? '' :" if chart.unit == "count" else ""
    y = {
        "type": "quantitative",
        "title": None,
        "scale": {"zero": True, "nice": True},
        "axis": {"tickCount": 4, "labelExpr": f"{whole} format(datum.value, '~r') + {json.dumps(unit)}"},
    }

    def line(name: str, mark: dict[str, Any]) -> dict[str, Any]:
        colour = {"datum": name, "type": "nominal"}
        return {"mark": {"type": "line", **mark}, "encoding": {"x": x, "y": {**y, "field": name}, "color": colour}}

    layers = [
        {
            "data": {"values": [shaded]},
            "mark": {"type": "rect", "color": SPAN},
            "encoding": {"x": {**x, "field": "from"}, "x2": {"field": "to"}},
        },
        {
            "mark": {"type": "area", "color": BAND},
            "encoding": {"x": x, "y": {**y, "field": "low"}, "y2": {"field": "high"}},
        },
        line("expected", {"strokeDash": [4, 3], "strokeWidth": 1.4}),
        line("observed", {"strokeWidth": 1.8, "point": {"size": 9, "filled": True}}),
        *_marks(chart, x, first, last),
    ]
    return {
        "$schema": "https://vega.github.io/schema/vega-lite/v6.json",
        "width": size[0],
        "height": size[1],
        **({"title": {"text": visible(title), "anchor": "start"}} if title else {}),
        "data": {"values": rows},
        "layer": layers,
        "config": _config(),
    }


def svg(chart: Chart, span: Span, zone: str) -> str:
    """Return *chart* as SVG, the same bytes for the same chart."""
    import vl_convert

    drawn: str = vl_convert.vegalite_to_svg(spec(chart, span, zone), allowed_base_urls=[])
    return drawn


def png(chart: Chart, span: Span, zone: str, title: str, *, scale: float = 2) -> bytes:
    """Return *chart* as PNG on white with *title* above, for mail and chat."""
    import vl_convert

    drawn = spec(chart, span, zone, title=title[:110])
    return bytes(vl_convert.vegalite_to_png(drawn, scale=scale, allowed_base_urls=[]))


def _config() -> dict[str, Any]:
    """Return the one configuration: a second one for a part would replace, not extend it."""
    return {
        "background": "transparent",
        "padding": 2,
        "font": "Liberation Sans",
        "view": {"stroke": None},
        "axis": {
            "labelColor": TEXT,
            "labelFontSize": 11,
            "labelPadding": 6,
            "domain": False,
            "ticks": False,
            "gridColor": GRID,
        },
        "axisX": {"grid": False, "labelOverlap": "greedy", "labelFlush": True},
        "axisY": {"minExtent": 44, "maxExtent": 44},
        "range": {"category": [EXPECTED, OBSERVED]},
        "legend": {
            "orient": "top",
            "direction": "horizontal",
            "title": None,
            "symbolType": "stroke",
            "symbolStrokeWidth": 2,
            "labelColor": TEXT,
            "labelFontSize": 11,
            "offset": 6,
        },
        "title": {"color": TEXT, "fontSize": 13, "fontWeight": 600, "offset": 10},
        "line": {"interpolate": "linear", "strokeJoin": "round"},
    }


def _every_bucket(chart: Chart) -> Iterator[Point]:
    """Yield the points; where a bucket is missing, nothing is known, and the line must not go on as if it were."""
    before: int | None = None
    for point in sorted(chart.points, key=lambda p: p.at_ns):
        if before is not None and point.at_ns - before > chart.bucket_ns:
            yield Point(at_ns=before + chart.bucket_ns, observed=None)
        before = point.at_ns
        yield point


def _extent(chart: Chart) -> tuple[int, int]:
    """Return the first and the last moment of the axis, ms."""
    at = [p.at_ns for p in chart.points]
    return min(at) // 10**6, (max(at) + chart.bucket_ns) // 10**6


def _scaled(value: float | None, scale: float) -> float | None:
    return None if value is None else value * scale


def _ticks(from_ns: int, to_ns: int, zone: str) -> Iterator[tuple[int, str]]:
    """Yield (ms, label) at round hours of *zone*; midnight is labelled with its day."""
    hours = (to_ns - from_ns) / HOUR_NS
    step = next((s for s in _STEPS if hours / s <= _MOST_TICKS), 24 * max(1, round(hours / 24 / _MOST_TICKS)))
    days = step // 24
    quarter = 900 * 10**9  # zones differ from UTC by quarters of an hour
    for ns in range(-(-from_ns // quarter) * quarter, to_ns + 1, quarter):
        local = dt.datetime.fromtimestamp(ns // 10**9, ZoneInfo(zone))
        if local.minute:
            continue
        if local.hour == 0 and (not days or local.toordinal() % days == 0):
            yield ns // 10**6, f"{local.day} {local:%b}"
        elif not days and local.hour % step == 0 and local.hour:
            yield ns // 10**6, f"{local:%H:%M}"


def _marks(chart: Chart, x: dict[str, Any], first: int, last: int) -> list[dict[str, Any]]:
    """Return a line and its label for each moment within the chart."""
    rows = [
        {"at": m.at_ns // 10**6, "label": _short(m.label), "end": m.at_ns // 10**6 > first + (last - first) / 4}
        for m in chart.marks
        if first <= m.at_ns // 10**6 <= last
    ]
    if not rows:
        return []
    text = {"type": "text", "baseline": "top", "color": TEXT, "fontSize": 10.5, "y": 0}
    return [
        {"data": {"values": rows}, "mark": {"type": "rule", "color": TEXT, "strokeDash": [2, 3]}, "encoding": {"x": x}},
        *(
            {
                "data": {"values": [r for r in rows if r["end"] is end]},
                "mark": {**text, "align": align, "dx": dx},
                "encoding": {"x": x, "text": {"field": "label", "type": "nominal"}},
            }
            for end, align, dx in ((False, "left", 4), (True, "right", -4))
            if any(r["end"] is end for r in rows)
        ),
    ]


def _short(text: str, longest: int = 28) -> str:
    shown = visible(text)
    return shown if len(shown) <= longest else shown[: longest - 1] + "…"
