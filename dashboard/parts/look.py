"""Colours, cards, headers and KPI cards. HTML here holds our own words and numbers only."""

from __future__ import annotations

import base64
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from html import escape
from typing import Any

import polars as pl
import streamlit as st
from streamlit.delta_generator import DeltaGenerator

from collector.model.shown import populations
from collector.model.words import RARE
from dashboard import data, strings
from dashboard.parts import provenance
from dashboard.parts.text import NONE

STATUS_COLORS = {
    "completed": "green",
    "failed": "red",
    "crashed": "red",
    "timed_out": "red",
    "retrying": "orange",
    "running": "blue",
    "waiting": "violet",
    "queued": "gray",
    "canceled": "gray",
    "expired": "gray",
    "unknown": "yellow",
}

_CSS = """<style>
[data-testid="stMainBlockContainer"]{max-width:1560px;padding-left:1.9rem!important;padding-right:1.9rem!important}
@media(max-width:900px){[data-testid="stMainBlockContainer"]{padding-left:1rem!important;padding-right:1rem!important}}
.rw-title{font-weight:600;font-size:14px;line-height:1.3;margin:0;padding:0}
.rw-sub{font-size:12.5px;opacity:.75;margin:2px 0 0}
@media(min-width:1250px){.st-key-durations,.st-key-funnel{min-height:484px}.st-key-levels,.st-key-level_time{min-height:384px}}
.rw-mark{font-size:11px;opacity:.8;margin-left:5px;cursor:help;vertical-align:middle}
[class*="st-key-attention_open_"] button{min-height:0;padding:0;text-align:left}
[class*="st-key-attention_open_"] button p{font-weight:600;line-height:1.35}
[data-testid="stJson"] [style*="rgb(38, 139, 210)"]{color:#1B6CA8!important}
[data-testid="stJson"] [style*="rgb(133, 153, 0)"]{color:#5A6700!important}
[data-testid="stJson"] [style*="rgb(42, 161, 152)"]{color:#17706A!important}
[data-testid="stJson"] [style*="rgb(181, 137, 0)"]{color:#7A5C00!important}
</style>"""
"""Streamlit's JSON view has numbers, times and nulls too pale on white; in its dark theme they have other colours."""


def dark() -> bool:
    """Tell whether the viewer's theme is dark."""
    return (st.context.theme.type or "light") == "dark"


def palette() -> dict[str, Any]:
    """Return the chart colours of the viewer's theme."""
    if dark():
        return {
            "first_try": "#3DB884",
            "recovered": "#F2A541",
            "failed": "#FF6369",
            "stopped": "#5E6470",
            "open": "#70A5FF",
            "unknown": "#B9A14A",
            "wait": "#5E6470",
            "primary": "#8187F0",
            "text": "#E8E9ED",
            "mute": "#9BA1AD",
            "grid": "#26282F",
            "good": "#3DD68C",
            "bad": "#FF8589",
            "cell": "#17181D",
            "heat": ["#1B1C22", "#3A2226", "#6B2C33", "#B04249", "#FF6369"],
            "load": ["#1B1C22", "#23264A", "#3D4496", "#8187F0", "#FFB067"],
        }
    return {
        "first_try": "#34A77A",
        "recovered": "#E9A23B",
        "failed": "#D9434A",
        "stopped": "#A6ABB6",
        "open": "#3E6BE0",
        "unknown": "#C9B458",
        "wait": "#A6ABB6",
        "primary": "#4F56C9",
        "text": "#1A1B20",
        "mute": "#5C606B",
        "grid": "#E9E9EE",
        "good": "#187048",
        "bad": "#B4262B",
        "cell": "#FFFFFF",
        "heat": ["#F4F4F7", "#FBE3E1", "#F2AFAE", "#DF6B6E", "#B4262B"],
        "load": ["#F3F3F7", "#D9DBF6", "#A5AAEA", "#5A61D2", "#C25D05"],
    }


def header(title: str, subtitle: str) -> data.Range:
    """Draw a page's heading with the time range at its right, and return the range chosen."""
    st.html(_CSS)
    with st.container(
        horizontal=True, vertical_alignment="bottom", horizontal_alignment="distribute", key="page_header"
    ):
        with st.container(gap=None):
            st.title(title, anchor=False)
            st.caption(subtitle)
        chosen = st.segmented_control(
            "Time range",
            list(data.RANGES),
            default="24h",
            key="range",
            required=True,
            label_visibility="collapsed",
            bind="query-params",
            persist_state="session",
        )
    return data.RANGES[chosen or "24h"]


def statuses() -> list[str]:
    """Return what the status filter offers: what telemetry can say of a run, and what a run has."""
    rare = set(RARE) - set(data.choices("status"))
    return [status for status in STATUS_COLORS if status not in rare]


def apart(window: tuple[int, int], environment: str | None) -> None:
    """Say which runs count, if not simply live ones, and how many do not; nothing where all do."""
    counts = data.query("populations", from_ns=window[0], to_ns=window[1], environment=environment)
    if sentence := populations(counts.rows(), environment):
        st.caption(sentence)


def plain_header() -> None:
    """Draw only what pages without a heading of ours need."""
    st.html(_CSS)


def notice(text: str, *, icon: str) -> None:
    """Say calmly that there is nothing to show, and why; our own words."""
    with st.container(border=True, horizontal=True, gap="small", vertical_alignment="center", key=f"notice_{icon}"):
        st.badge(" ", icon=f":material/{icon}:", color="gray")
        st.markdown(text)


def side_note(text: str) -> None:
    """Write small words of our own at the side; a caption has too little contrast there."""
    st.html(f'<p style="font-size:12.5px;margin:0;color:{palette()["mute"]}">{escape(text)}</p>')


def table_height(rows: int, *, row: int = 34, most: int = 16) -> int:
    """Return the height in px at which a table ends with a whole row; *most* rows, then it scrolls."""
    return 2 + row * (1 + max(1, min(rows, most)))


def table(
    rows: pl.DataFrame, alt: str, columns: Mapping[str, Any], *, row: int = 34, most: int = 16, key: str | None = None
) -> int | None:
    """Draw a table that ends with a whole row; with a *key* a row can be selected, and its number is returned."""
    shared: dict[str, Any] = {
        "hide_index": True,
        "row_height": row,
        "height": table_height(rows.height, row=row, most=most),
        "placeholder": NONE,
        "alt": alt,
        "column_config": dict(columns),
    }
    if key is None:
        st.dataframe(rows, **shared)
        return None
    event: Any = st.dataframe(rows, **shared, key=key, on_select="rerun", selection_mode="single-row")
    chosen = event.selection.rows
    return int(chosen[0]) if chosen else None


def card(title: str, subtitle: str = "", *, key: str, height: int | str = "content") -> DeltaGenerator:
    """Return a bordered container with a title and one line that defines what it shows; both our own words."""
    box = st.container(border=True, key=key, gap="small", height=height)  # type: ignore[arg-type]
    sub = f'<p class="rw-sub">{escape(subtitle)}</p>' if subtitle else ""
    box.html(f'<h2 class="rw-title">{escape(title)}</h2>{sub}')
    return box


@dataclass(frozen=True)
class Kpi:
    """One number: *tone* good, bad or flat colours *change* and trend; *against* says what changed against what;
    *raw* is the value for machines."""

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


def kpi_row(kpis: Sequence[Kpi], window: tuple[int, int]) -> None:
    """Draw KPI cards that wrap; *window* (from, to) in ns is told to machines beside their values."""
    p = palette()
    tones = {"good": p["good"], "bad": p["bad"], "flat": p["mute"]}
    lines = {"good": p["first_try"], "bad": p["failed"], "flat": p["primary"]}
    cards = "".join(
        f'<div class="rw-kpi" role="listitem" data-kpi="{k.name}" data-value="{"" if k.raw is None else k.raw}">'
        f'<div class="l">{escape(k.label)}{provenance.html(k.source)}</div><div class="v">{escape(k.value)}</div>'
        f'<div class="d"><span style="color:{tones[k.tone]}">{escape(k.change)}</span> {escape(k.against)}</div>'
        f"{_spark(k.series, lines[k.tone])}"
        f'<div class="def">{escape(k.definition)}</div></div>'
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


def pills(label: str, width: int = 110, *, marked: bool = False) -> Any:
    """Return a column configuration that draws a status list as a coloured pill; *marked* ones end in their mark."""
    marks = ["", *(f" {glyph}" for glyph in dict.fromkeys(provenance.GLYPHS.values()))] if marked else [""]
    options = {status + mark: color for status, color in STATUS_COLORS.items() for mark in marks}
    return st.column_config.MultiselectColumn(
        label, options=list(options), color=list(options.values()), width=width, help=strings.PROVENANCE_LEGEND
    )
