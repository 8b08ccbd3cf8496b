"""What the sidebar narrows every page down to: an environment, a project of the platform."""

from __future__ import annotations

from collections.abc import Mapping

import streamlit as st

from dashboard import strings
from dashboard.parts.text import safe

KEYS = {
    "environment": (strings.ENVIRONMENT, strings.ALL_ENVIRONMENTS),
    "platform_project": (strings.PLATFORM_PROJECT, strings.ALL_PLATFORM_PROJECTS),
}
"""Of a parameter and its widget: label, and what it says where nothing is chosen."""


def show(offered: Mapping[str, list[str]]) -> None:
    """Draw the selectors of what is *offered*; of platform projects only where there are several, or one is chosen."""
    for key, (label, every) in KEYS.items():
        options = offered[key]
        is_chosen = key in st.query_params or st.session_state.get(key)
        if key == "platform_project" and len(options) < 2 and not is_chosen:
            continue
        st.selectbox(
            label,
            options,
            index=None,
            placeholder=every,
            format_func=safe,
            key=key,
            bind="query-params",
            persist_state="session",
        )


def here() -> dict[str, str | None]:
    """Return what is chosen, as parameters of queries and statistics; None: all."""
    return {key: st.session_state.get(key) for key in KEYS}
