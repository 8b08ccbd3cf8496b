"""Draw how figures grow with history: `python -m bench.growth FILE SVG`, FILE as `bench.measure --json` writes it."""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

import vl_convert

REFRESH, SLOWEST, LIMIT = "#5B57C7", "#C8363D", "#5C606B"
SERIES = {
    "newest minute, median": ("refresh_ms", REFRESH),
    "slowest statistic, p95": ("statistic", SLOWEST),
    "slowest query of a page, p95": ("query", "#B0690F"),
}
LIMITS = {"limit of a refresh": 500, "limit of an answer": 100}


def spec(lines: list[dict[str, Any]]) -> dict[str, Any]:
    """Return a Vega-Lite chart of ms over attempts, both logarithmic, with the stated limits."""
    rows = [
        {"attempts": line["attempts"], "what": name, "ms": line[key] if key in line else line["slowest"][key][1]}
        for line in lines
        for name, (key, _) in SERIES.items()
    ]
    limits = [{"ms": ms, "what": name} for name, ms in LIMITS.items()]
    most, least = (pick(line["attempts"] for line in lines) for pick in (max, min))
    domain = [least * 0.8, most * 1.25]
    x = {
        "field": "attempts",
        "type": "quantitative",
        "title": "attempts in the store",
        "scale": {"type": "log", "domain": domain},
        "axis": {"format": "~s", "tickCount": 5},
    }
    y = {"field": "ms", "type": "quantitative", "title": "ms", "scale": {"type": "log", "domain": [10, 1000]}}
    colours = {"domain": list(SERIES), "range": [colour for _, colour in SERIES.values()]}
    shown = {"field": "what", "type": "nominal", "scale": colours, "legend": {"title": None, "orient": "bottom"}}
    return {
        "$schema": "https://vega.github.io/schema/vega-lite/v6.json",
        "width": 620,
        "height": 280,
        "background": "white",
        "layer": [
            {
                "data": {"values": limits},
                "mark": {"type": "rule", "strokeDash": [4, 3], "color": LIMIT},
                "encoding": {"y": y},
            },
            {
                "data": {"values": limits},
                "encoding": {"y": y, "text": {"field": "what"}},
                "mark": {"type": "text", "x": 4, "align": "left", "dy": -6, "color": LIMIT},
            },
            {
                "data": {"values": rows},
                "mark": {"type": "line", "point": {"size": 40}, "strokeWidth": 2},
                "encoding": {"x": x, "y": y, "color": shown},
            },
        ],
        "config": {"font": "sans-serif", "axis": {"gridColor": "#E4E5EA"}, "view": {"stroke": None}},
    }


def main() -> None:
    """Draw what the command line names."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("file", type=Path)
    parser.add_argument("svg", type=Path)
    args = parser.parse_args()
    lines = [json.loads(line) for line in args.file.read_text("utf-8").splitlines()]
    chart = spec(sorted(lines, key=lambda line: int(line["attempts"])))
    args.svg.write_text(vl_convert.vegalite_to_svg(chart), "utf-8")


if __name__ == "__main__":
    main()
