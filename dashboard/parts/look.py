"""What all pages are made of: headings, cards, tables, notices. HTML here holds our own words and numbers only."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from html import escape
from typing import Any

import polars as pl
import streamlit as st
from streamlit.delta_generator import DeltaGenerator

from collector.model import links
from collector.model.report import Span
from collector.model.verdict import stretch
from dashboard import data, strings
from dashboard.parts import provenance
from dashboard.parts.text import NONE, safe
from dashboard.parts.theme import STATUS_COLORS, palette

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


def header(title: str, subtitle: str, *, fixed: bool = True) -> data.Range:
    """Draw a page's heading with the time range at its right, and return the range chosen.

    *fixed*: a link may ask for a stretch of time by `span`; it is shown until it is taken away.
    """
    st.html(_CSS)
    with st.container(
        horizontal=True, vertical_alignment="bottom", horizontal_alignment="distribute", key="page_header"
    ):
        with st.container(gap=None):
            st.title(title, anchor=False)
            st.caption(subtitle)
        if fixed and (span := _span()):
            return data.Range.of(span)
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


def _span() -> Span | None:
    """Draw the stretch of time that a link asked for, where one did, and return it until it is taken away."""
    span = links.read_span(st.query_params.get("span", ""))
    return span if span and linked("span", strings.SPAN, 400, f"{stretch(span, 'UTC', year=True)} UTC") else None


def span_asked() -> dict[str, str]:
    """Return the stretch of time of this page as parameters of another one's URL."""
    return {"span": st.query_params["span"]} if "span" in st.query_params else {}


def linked(key: str, title: str, width: int, words: str) -> str | None:
    """Draw what a link asked for by *key* of the URL, in *words*, and return it until it is taken away."""
    asked, widget = st.query_params.get(key), f"linked_{key}"
    if not asked:
        return None

    def drop() -> None:
        if st.session_state[widget] is None:
            st.query_params.pop(key, None)

    # A widget bound to the URL would look for its words there.
    st.session_state[widget] = asked
    st.selectbox(
        title,
        [asked],
        index=None,
        key=widget,
        placeholder=title,
        label_visibility="collapsed",
        width=width,
        on_change=drop,
        format_func=lambda _: words,
    )
    return asked


def plain_header() -> None:
    """Draw only what pages without a heading of ours need."""
    st.html(_CSS)


def notice(text: str, *, icon: str) -> None:
    """Say calmly that there is nothing to show, and why; our own words."""
    with st.container(border=True, horizontal=True, gap="small", vertical_alignment="center", key=f"notice_{icon}"):
        st.badge(" ", icon=f":material/{icon}:", color="gray")
        st.markdown(text)


def absent(key: str, there: Collection[str]) -> list[str]:
    """Return what the URL names by *key* and is not *there*: a choice like the others, so that none is taken for it."""
    name = st.query_params.get(key)
    return [name] if name and name not in there else []


def stop_absent(name: str) -> None:
    """Say that there is nothing of *name* in the range, and end the page."""
    notice(strings.ABSENT.format(name=safe(name)), icon="search_off")
    st.stop()


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


def pills(label: str, width: int = 110, *, marked: bool = False) -> Any:
    """Return a column configuration that draws a status list as a coloured pill; *marked* ones end in their mark."""
    marks = ["", *(f" {glyph}" for glyph in dict.fromkeys(provenance.GLYPHS.values()))] if marked else [""]
    options = {status + mark: color for status, color in STATUS_COLORS.items() for mark in marks}
    return st.column_config.MultiselectColumn(
        label, options=list(options), color=list(options.values()), width=width, help=strings.PROVENANCE_LEGEND
    )
