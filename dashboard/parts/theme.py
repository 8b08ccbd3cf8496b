"""Colours: of statuses and outcomes, and of charts in the viewer's theme."""

from __future__ import annotations

from typing import Any

import streamlit as st

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
    "skipped": "gray",
    "expired": "gray",
    "unknown": "yellow",
}


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
            "skipped": "#7FA396",
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
        "skipped": "#8FBFAC",
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
