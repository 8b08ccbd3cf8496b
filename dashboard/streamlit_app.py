"""The app: navigation, what all pages share at the side, and a calm word when the store is away."""

from __future__ import annotations

import sys
from pathlib import Path

# Streamlit puts this folder first on the path; the package is beside it.
sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import streamlit as st

from collector.client import ApiError
from dashboard import data, strings
from dashboard.parts import chosen, look
from dashboard.parts.text import compact, count, duration, visible

_STATIC = Path(__file__).parent / "static"

st.set_page_config(page_title=strings.TITLE, page_icon=str(_STATIC / "favicon.png"), layout="wide")
st.logo(str(_STATIC / "logo.svg"), icon_image=str(_STATIC / "favicon.png"), size="medium")


@st.fragment(run_every="5s")
def freshness() -> None:
    """Say how far the pages are behind what was received."""
    try:
        now = data.status()
    except ApiError as e:
        st.badge(strings.AWAY_TITLE, color="red", icon=":material/cloud_off:")
        st.text(visible(e.message))
        return
    if now.get("writer"):
        st.badge(strings.WRITER_FAILS, color="red", icon=":material/edit_off:")
    elif now["lag_s"] > 2:
        st.badge(strings.BEHIND.format(lag=duration(now["lag_s"] * 1e9)), color="orange", icon=":material/schedule:")
    elif now.get("failing_jobs"):
        st.badge(strings.JOBS_FAIL, color="red", icon=":material/sync_problem:")
    elif n := now.get("set_aside_count"):
        st.badge(strings.SET_ASIDE_COUNT.format(n=count(n)), color="orange", icon=":material/rule:")
    else:
        st.badge(strings.FRESH, color="green", icon=":material/check_circle:")
    rows = now["rows"]
    counts = {name: strings.UNKNOWN if (n := rows[name]) is None else compact(n) for name in ("runs", "logs", "spans")}
    look.side_note(strings.COUNTS.format(**counts))


pages = Path(__file__).parent / "app_pages"
page = st.navigation(
    {
        "Monitor": [
            st.Page(pages / "overview.py", title=strings.OVERVIEW, icon=":material/dashboard:", default=True),
            st.Page(pages / "runs.py", title=strings.RUNS, icon=":material/list_alt:"),
            st.Page(pages / "tasks.py", title=strings.TASKS_PAGE, icon=":material/bolt:"),
            st.Page(pages / "queues.py", title=strings.QUEUES, icon=":material/bar_chart:"),
        ],
        "Quality": [
            st.Page(pages / "conventions.py", title=strings.CONVENTIONS, icon=":material/checklist:"),
            st.Page(pages / "reports.py", title=strings.REPORTS, icon=":material/troubleshoot:"),
        ],
        "": [st.Page(pages / "run.py", title=strings.RUN, icon=":material/receipt_long:", visibility="hidden")],
    }
)


def away(error: ApiError) -> None:
    """Say that the store does not answer, what it said, and what to do; the page comes back by itself."""
    look.plain_header()
    st.title(strings.AWAY_TITLE, anchor=False)
    look.notice(strings.AWAY, icon="cloud_off")
    st.text(visible(error.message))
    st.button(strings.AGAIN, icon=":material/refresh:")


try:
    offered = {key: data.choices(key) for key in chosen.KEYS}
except ApiError as e:
    away(e)
    st.stop()
with st.sidebar:
    chosen.show(offered)
    freshness()
try:
    page.run()
except ApiError as e:
    away(e)
