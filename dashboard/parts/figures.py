"""Figures of one task or queue: a value, what it is based on, how it is known. From rows of a statistic."""

from __future__ import annotations

import re
from dataclasses import dataclass
from html import escape
from typing import Any

import polars as pl
import streamlit as st

from dashboard import strings
from dashboard.parts import provenance, theme
from dashboard.parts.text import NONE, count, duration, percent

Row = dict[str, Any]


@dataclass(frozen=True)
class Figure:
    """One value in words of our own: *detail* says n and interval, or why there is none."""

    label: str
    value: str
    detail: str
    source: str


def pick(rows: pl.DataFrame, measure: str, statistic: str) -> Row | None:
    """Return the row of one number over all outcomes, None when it was not computed."""
    matching = rows.filter(
        (pl.col("measure") == measure) & (pl.col("statistic") == statistic) & pl.col("outcome").is_null()
    )
    return matching.row(0, named=True) if matching.height else None


def value(row: Row | None) -> float | None:
    """Return the value of *row*, None when it is unknown."""
    return None if row is None else row["value"]


def mark(row: Row | None) -> str:
    """Return how a number differs from one that is exact and of the range asked for: estimated, in whole hours, ….

    A range that the note names is left out: the page says it once.
    """
    return re.sub(r": \d{4}-\S+ to \S+", "", (row or {}).get("note") or "")


def _marked(detail: str, row: Row) -> str:
    return f"{detail}; {mark(row)}" if mark(row) else detail


def figure(label: str, row: Row | None) -> Figure:
    """Return *row* in words."""
    if row is None and label == strings.QUEUE_FIGURES["backlog"]:
        return Figure(label, NONE, strings.NONE_WAITS, "unknown")
    if row is None or row["value"] is None:
        return Figure(label, NONE, mark(row) or strings.UNKNOWN, "unknown")
    unit, n = row["unit"], strings.OF.format(n=count(row["n"]))
    match unit:
        case "share":
            detail = (
                strings.BY_TIME
                if row["low"] is None
                else strings.CI.format(low=f"{100 * row['low']:.1f}", high=percent(row["high"]), n=count(row["n"]))
            )
            return Figure(label, percent(row["value"]), _marked(detail, row), row["provenance"])
        case "ns":
            detail = (
                n
                if row["low"] is None or row["high"] is None
                else strings.CI.format(low=duration(row["low"]), high=duration(row["high"]), n=count(row["n"]))
            )
            return Figure(label, duration(row["value"]), _marked(detail, row), row["provenance"])
        case _:
            return Figure(label, f"{row['value']:,.0f}", mark(row) or unit.replace("_", " "), row["provenance"])


def show(figures: list[Figure]) -> None:
    """Draw figures in a row that wraps."""
    mute = theme.palette()["mute"]
    cells = "".join(
        f'<div role="listitem"><div class="l">{escape(f.label)}{provenance.html(f.source)}</div>'
        f'<div class="v">{escape(f.value)}</div><div class="d">{escape(f.detail)}</div></div>'
        for f in figures
    )
    st.html(
        "<style>.rw-figures{display:grid;grid-template-columns:repeat(auto-fill,minmax(142px,1fr));gap:.7rem 1.2rem}"
        ".rw-figures .l{font-size:12.5px;opacity:.85}"
        ".rw-figures .v{font-size:19px;font-weight:600;letter-spacing:-.01em;font-variant-numeric:tabular-nums}"
        f".rw-figures .d{{font-size:11.5px;line-height:1.35;color:{mute}}}</style>"
        f'<div class="rw-figures" role="list">{cells}</div>'
    )
