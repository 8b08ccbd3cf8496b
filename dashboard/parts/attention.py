"""What needs attention, ranked by how many runs it touched; each one leads to those runs."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

import polars as pl
import streamlit as st

from collector.model.statistics import ENOUGH, share, wilson
from dashboard import strings
from dashboard.parts.text import count, duration, percent, safe

MOST = 5
SLOWER = 1.5
"""A p95 this many times the one before is worth a look."""
FAILED = ["failed", "crashed", "timed_out"]
FILTERS: dict[str, Any] = {"q": "", "status": [], "task": None, "queue": None, "retried": False}
"""The filters of the Runs page, and what they are when nothing is asked for."""
Color = Literal["red", "orange", "violet", "gray"]


@dataclass(frozen=True)
class Item:
    """One thing to look at: *title* may hold telemetry and is escaped, *weight* is the number of runs it touched,
    *leads_to* are the filters of the Runs page that show them."""

    icon: str
    color: Color
    title: str
    detail: str
    weight: int
    leads_to: dict[str, Any]


def items(now: dict[str, Any], tasks: pl.DataFrame) -> list[Item]:
    """Return what stands out, most runs first.

    A task counts as failing more only when its interval lies above the rate before, so that chance does not rank.
    """
    found: list[Item] = []
    for t in tasks.iter_rows(named=True):
        name, here = safe(t["task"] or strings.UNKNOWN), {"task": t["task"]} if t["task"] else {}
        ended = t["completed"] + t["failed"]
        low, _ = wilson(t["failed"], ended)
        rate_before = share(t["failed_before"], t["ended_before"])
        if t["failed"] and ended >= 5 and low > max(rate_before or 0.0, 0.02):
            before = strings.RATE_BEFORE.format(rate=percent(rate_before)) if rate_before is not None else ""
            detail = strings.FAILS.format(
                n=count(t["failed"]), ended=count(ended), rate=percent(t["failed"] / ended), before=before
            )
            title = strings.TASK_FAILS.format(task=name)
            found.append(Item("error", "red", title, detail, t["failed"], {**here, "status": FAILED}))
        enough = t["took_n"] >= ENOUGH and t["took_n_before"] >= ENOUGH
        if enough and t["took_p95_ns"] > SLOWER * t["took_p95_before_ns"] and t["took_p95_ns"] > 1e9:
            detail = strings.SLOWER.format(
                before=duration(t["took_p95_before_ns"]), now=duration(t["took_p95_ns"]), n=count(t["took_n"])
            )
            # p95 grew: a twentieth of the runs took at least that long.
            title = strings.TASK_SLOWER.format(task=name)
            found.append(Item("trending_up", "orange", title, detail, t["took_n"] // 20, here))
    if now["retrying"]:
        detail = strings.RETRYING.format(n=count(now["retrying"]))
        found.append(Item("replay", "orange", strings.RETRYING_NOW, detail, now["retrying"], {"status": ["retrying"]}))
    if now["unknown"]:
        detail = strings.UNKNOWNS.format(n=count(now["unknown"]))
        found.append(Item("help", "gray", strings.UNKNOWN_OUTCOMES, detail, now["unknown"], {"status": ["unknown"]}))
    return sorted(found, key=lambda i: -i.weight)[:MOST]


def show(found: list[Item]) -> None:
    """Draw the list; a title opens the runs it speaks of."""
    if not found:
        st.caption(strings.ATTENTION_NONE)
    for i, item in enumerate(found):
        with st.container(horizontal=True, gap="small", vertical_alignment="top", wrap=False):
            st.badge(" ", icon=f":material/{item.icon}:", color=item.color)
            with st.container(gap=None, key=f"attention_{i}"):
                if st.button(item.title, key=f"attention_open_{i}", type="tertiary"):
                    # A parameter that a widget is bound to is set through its state; the URL may only be emptied.
                    st.session_state.update({**FILTERS, **item.leads_to})
                    st.switch_page("app_pages/runs.py", query_params={})
                st.caption(item.detail)
