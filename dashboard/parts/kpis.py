"""KPI cards: a number, what it is of, how it changed, and its line over time. HTML of our own words and numbers."""

from __future__ import annotations

import base64
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape

import streamlit as st

from dashboard.parts import provenance
from dashboard.parts.theme import palette


@dataclass(frozen=True)
class Kpi:
    """One number: *tone* good, bad or flat colours *change* and trend; *against* says what changed against what;
    *raw* is the value for machines; *mark* says why it is not exact or of another range (`figures.mark`)."""

    name: str
    label: str
    value: str
    raw: float | int | None
    definition: str
    source: str
    change: str
    against: str
    tone: str
    series: Sequence[float | None]
    mark: str = ""


def show(kpis: Sequence[Kpi], window: tuple[int, int]) -> None:
    """Draw KPI cards that wrap; *window* (from, to) in ns is told to machines beside their values."""
    p = palette()
    tones = {"good": p["good"], "bad": p["bad"], "flat": p["mute"]}
    lines = {"good": p["first_try"], "bad": p["failed"], "flat": p["primary"]}
    cards = "".join(
        f'<div class="rw-kpi" role="listitem" data-kpi="{k.name}" '
        f'data-value="{"" if k.raw is None else f"{k.raw:.17g}"}" '
        f'data-mark="{escape(k.mark)}">'
        f'<div class="l">{escape(k.label)}{provenance.html(k.source)}</div><div class="v">{escape(k.value)}</div>'
        f'<div class="d"><span style="color:{tones[k.tone]}">{escape(k.change)}</span> {escape(k.against)}</div>'
        f"{_spark(k.series, lines[k.tone])}"
        f'<div class="def">{escape("; ".join(filter(None, (k.definition, k.mark))))}</div></div>'
        for k in kpis
    )
    st.html(
        "<style>"
        ".rw-kpis{display:grid;grid-template-columns:repeat(auto-fit,minmax(148px,1fr));gap:.9rem}"
        f".rw-kpi{{border:1px solid {p['grid']};border-radius:8px;padding:.8rem .95rem .7rem;min-width:0}}"
        ".rw-kpi .l{font-size:12.5px;opacity:.85}"
        ".rw-kpi .v{font-size:25px;font-weight:600;letter-spacing:-.02em;line-height:1.3;"
        "font-variant-numeric:tabular-nums}"
        f".rw-kpi .d{{font-size:12px;font-variant-numeric:tabular-nums;min-height:18px;margin-bottom:4px;"
        f"color:{p['mute']}}}"
        f".rw-kpi .def{{font-size:11px;color:{p['mute']};margin-top:5px;line-height:1.3}}"
        f'</style><div class="rw-kpis" role="list" data-from="{window[0]}" data-to="{window[1]}">{cards}</div>'
    )


def _spark(series: Sequence[float | None], color: str, width: int = 160, height: int = 30) -> str:
    """Return a sparkline with the area below it as an image; gaps where nothing is known."""
    if not series:
        return ""
    values = [v for v in series if v is not None]
    if len(values) < 2:
        return f'<div style="height:{height}px"></div>'
    low, high = min(values), max(values)
    span = (high - low) or 1.0
    low -= 0.0 if high > low else 0.5  # a constant lies in the middle, not at the bottom
    step = width / max(1, len(series) - 1)
    pieces: list[list[str]] = [[]]
    for i, v in enumerate(series):
        if v is None:
            pieces.append([])
        else:
            pieces[-1].append(f"{i * step:.1f},{height - 3 - (v - low) / span * (height - 7):.1f}")
    lines = "".join(
        f'<polygon points="{points[0].split(",")[0]},{height} {" ".join(points)} {points[-1].split(",")[0]},{height}" '
        f'fill="{color}" opacity=".12"/>'
        f'<polyline points="{" ".join(points)}" fill="none" stroke="{color}" stroke-width="1.6" '
        'vector-effect="non-scaling-stroke" stroke-linejoin="round"/>'
        for points in pieces
        if len(points) > 1
    )
    svg = (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" preserveAspectRatio="none" '
        f'width="{width}" height="{height}">{lines}</svg>'
    )
    encoded = base64.b64encode(svg.encode()).decode()
    return f'<img alt="" style="display:block;width:100%;height:{height}px" src="data:image/svg+xml;base64,{encoded}">'
