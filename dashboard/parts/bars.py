"""Bars with words: a funnel, shares of a whole. One component; names are telemetry and go through textContent."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import polars as pl
import streamlit as st

from dashboard import strings
from dashboard.parts.text import count, percent, visible

_HERE = Path(__file__).parent
BARS = st.components.v2.component(
    "bars",
    html='<div class="bars">\n</div>',
    css=(_HERE / "bars.css").read_text("utf-8"),
    js=(_HERE / "bars.js").read_text("utf-8"),
)


def funnel(rows: pl.DataFrame) -> list[dict[str, Any]]:
    """Return what came of attempt 1, 2, …: *rows* of the statistic `funnel` of one task, in order."""
    bars: list[dict[str, Any]] = []
    first = max([1, *rows["reached"].to_list()])
    for r in rows.sort("attempt").iter_rows(named=True):
        ended = r["yield"] is not None
        note = (
            strings.FUNNEL_YIELD.format(
                n=count(r["succeeded"]),
                rate=percent(r["yield"], 0),
                low=f"{100 * r['low']:.0f}",
                high=f"{100 * r['high']:.0f}",
            )
            if ended
            else strings.FUNNEL_NONE
        )
        bars.append(
            {
                "label": strings.ATTEMPT.format(number=r["attempt"]),
                "value": count(r["reached"]),
                "more": percent(r["reached"] / first),
                "parts": [
                    {"share": r["succeeded"] / first, "tone": "good"},
                    {"share": r["retried"] / first, "tone": "again"},
                    {"share": r["failed"] / first, "tone": "bad"},
                ],
                "note": note,
            }
        )
    if bars:
        lost = int(rows["failed"].sum())
        bars.append({"label": strings.GAVE_UP, "value": count(lost), "more": percent(lost / first), "total": True})
    return bars


def shares(rows: list[tuple[str, float, str]]) -> list[dict[str, Any]]:
    """Return one bar a name: (name, share of the whole, what else to say)."""
    return [
        {"label": visible(name), "value": percent(share), "more": more, "parts": [{"share": share, "tone": "main"}]}
        for name, share, more in rows
    ]
