"""The note under a page's heading that says which runs count."""

from __future__ import annotations

import streamlit as st

from collector.model.shown import populations
from dashboard import data


def note(window: tuple[int, int], here: dict[str, str | None]) -> None:
    """Say which runs count, if not simply live ones, and how many do not; nothing where all do."""
    counts = data.query("populations", from_ns=window[0], to_ns=window[1], **here)
    if sentence := populations(counts.rows(), here["environment"]):
        st.caption(sentence)
