"""Ways from a task or a queue to its runs: the Runs page with filters, in the same range and environment."""

from __future__ import annotations

from typing import Any

import streamlit as st

from collector.model.words import FAILED, OPEN
from dashboard import data, strings
from dashboard.parts import look
from dashboard.parts.run_filters import FILTERS

LINKS: dict[str, dict[str, Any]] = {
    strings.RUNS_ALL: {},
    strings.RUNS_FAILED: {"status": [*FAILED]},
    strings.RUNS_RETRIED: {"retried": True},
    strings.RUNS_OPEN: {"status": [*OPEN], "at": "active"},
}
"""Runs that are under way are asked for now, whenever they began."""


def show(**of: Any) -> None:
    """Draw a link for each kind of run of *of*: a task or a queue, as the Runs page filters it, and how it counts.

    Where that page has no filter for them it is said.
    """
    if not has(**of):
        st.caption(strings.NO_RUNS_SHOWN, width="content")
        return
    with st.container(horizontal=True, gap="small", vertical_alignment="center", key="run_links", width="content"):
        st.caption(strings.SHOW_RUNS, width="content")
        for i, label in enumerate(LINKS):
            # A parameter that a widget is bound to is set through its state, before that widget is drawn.
            if st.button(
                label,
                key=f"runs_{i}",
                type="tertiary",
                on_click=_ask,
                args=(asked(label, **of),),
            ):
                st.switch_page("app_pages/runs.py", query_params=look.span_asked())


def has(**of: Any) -> bool:
    """Tell whether the Runs page can be asked for the runs of *of*: its filters are names, none is for no name."""
    return data.NONE_STATED not in of.values()


def failed_so(error: str, **of: Any) -> dict[str, Any]:
    """Return what the filters of the Runs page are for the runs of *of* that a row of the errors' table counts."""
    return {**FILTERS, "hours": True, **of, "at": "active", "counted": True, "error_group": error}


def asked(label: str, **of: Any) -> dict[str, Any]:
    """Return what the filters of the Runs page are for that kind of runs of *of*."""
    return {**FILTERS, **of, **LINKS[label]}


def _ask(state: dict[str, Any]) -> None:
    st.session_state.update(state)
