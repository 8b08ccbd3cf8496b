"""What needs attention: trouble of the store, failures, full queues, slow tasks, conventions, and where it is seen."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

import polars as pl
import streamlit as st

from collector.model.report import Span
from collector.model.verdict import stretch
from collector.model.words import FAILED
from dashboard import strings
from dashboard.parts import figures, look, queue_frames
from dashboard.parts.run_filters import BY_START, FILTERS
from dashboard.parts.text import count, duration, percent, safe

MOST = 5
SLOWER = 1.5
"""A p95 this many times the one before is worth a look."""
FULL = 0.05
"""A queue at its limit for this share of the time, with runs waiting, is worth a look."""
Color = Literal["red", "orange", "violet", "gray"]


@dataclass(frozen=True)
class Item:
    """One thing to look at: *title* and *detail* hold escaped telemetry, *rank* is the kind's place and how much of
    it, most negative first; *page* and *state* are where it leads, nowhere without a page, and what is chosen there."""

    icon: str
    color: Color
    title: str
    detail: str
    rank: tuple[int, float]
    page: str
    state: dict[str, Any]
    params: dict[str, str] = field(default_factory=dict)
    """What the URL says there, where no widget is bound to it."""
    runs: int | None = None
    """How many runs the Runs page lists there."""


def items(
    now: dict[str, Any],
    tasks: pl.DataFrame,
    queues: pl.DataFrame,
    findings: list[dict[str, Any]],
    reports: list[dict[str, Any]],
    trouble: Sequence[Item] = (),
    *,
    hours: bool = False,
) -> list[Item]:
    """Return what stands out, one of each kind before a second of any.

    *now*: the row of page_totals; *tasks*: `task_tables.overview`, `labelled`; *queues*: rows of the statistic
    `queues`; *findings*: of the conventions; *reports*: those made in the range, the newest first; *trouble*: of the
    store; *hours*: the range was widened to whole hours.

    A task counts as failing more only when its interval lies above the rate before, so that chance does not rank.
    """
    made: list[Item] = []
    by_start = {**BY_START, "hours": hours}
    for t in tasks.iter_rows(named=True):
        name, here = safe(t["task"] or strings.UNKNOWN), {"task": t["task"]} if t["called"] else {}
        of = {"task": t["called"]}
        if t["called"] != t["task"]:  # several projects have a task of that name
            of["platform_project"] = t["platform_project"]
        rate_before = t["failure_before"]
        if t["failed"] and (t["ended"] or 0) >= 5 and t["low"] > max(rate_before or 0.0, 0.02):
            before = strings.RATE_BEFORE.format(rate=percent(rate_before)) if rate_before is not None else ""
            detail = strings.FAILS.format(
                n=count(t["failed"]), ended=count(t["ended"]), rate=percent(t["failure"]), before=before
            )
            title = strings.TASK_FAILS.format(task=name)
            rank = (0, -t["failed"])
            page = "runs" if all(of.values()) else ""  # no filter asks for runs without a task, or without a project
            state = {**by_start, **of, "status": [*FAILED]}
            made.append(Item("error", "red", title, detail, rank, page, state, runs=t["failed"]))
        p95, p95_before = t["p95"], t["p95_before"]
        if p95 and p95_before and p95 > SLOWER * p95_before and p95 > 1e9:
            detail = strings.SLOWER.format(before=duration(p95_before), now=duration(p95), n=count(t["took"]))
            title = strings.TASK_SLOWER.format(task=name)
            made.append(Item("trending_up", "orange", title, detail, (3, -t["took"]), "tasks", here))
    if now["retrying"]:
        detail = strings.RETRYING.format(n=count(now["retrying"]))
        state = {**by_start, "status": ["retrying"]}
        made.append(Item("replay", "orange", strings.RETRYING_NOW, detail, (1, 0), "runs", state, runs=now["retrying"]))
    if now["unknown"]:
        detail = strings.UNKNOWNS.format(n=count(now["unknown"]))
        state = {**by_start, "status": ["unknown"]}
        made.append(Item("help", "gray", strings.UNKNOWN_OUTCOMES, detail, (5, 0), "runs", state, runs=now["unknown"]))
    return some_of_each([*trouble, *made, *_full(queues), *_new(findings), *_reported(reports)])


def _full(queues: pl.DataFrame) -> list[Item]:
    """Return the queues that were at their limit for a good part of the time, while runs waited."""
    full = []
    for (queue,), rows in queue_frames.labelled(queues).group_by("label", maintain_order=True):
        at_limit, throttled, limit = (
            figures.value(figures.pick(rows, *number))
            for number in (("time_at_limit", "share"), ("throttled", "share"), ("limit", "max"))
        )
        if at_limit is None or at_limit < FULL or not throttled:
            continue
        detail = strings.QUEUE_FULL_DETAIL.format(limit=f"{limit:,.0f}", share=percent(at_limit, 0))
        title = strings.QUEUE_FULL.format(queue=safe(str(queue)))
        full.append(Item("hourglass_top", "orange", title, detail, (2, -at_limit), "queues", {"queue": queue}))
    return full


def _new(findings: list[dict[str, Any]]) -> list[Item]:
    """Return the findings that are new, as one item that names the worst."""
    new = [f for f in findings if f["state"] == "new"]
    if not new:
        return []
    detail = strings.NEW_VIOLATIONS_DETAIL.format(code=new[0]["code"], summary=new[0]["slug"].replace("-", " "))
    title = strings.NEW_VIOLATIONS.format(n=count(len(new)))
    return [Item("checklist", "violet", title, detail, (4, 0), "conventions", {})]


def _reported(reports: list[dict[str, Any]]) -> list[Item]:
    """Return the latest report as an item, when it has something new."""
    latest = next(iter(reports), None)
    if latest is None or not latest["new"]:
        return []
    period = stretch(Span(from_ns=latest["from_ns"], to_ns=latest["to_ns"]), latest["zone"])
    detail = strings.NEW_ANOMALIES_DETAIL.format(schedule=safe(latest["schedule"]), period=period)
    several = strings.NEW_ANOMALIES.format(n=count(latest["new"]))
    title = strings.NEW_ANOMALY if latest["new"] == 1 else several
    return [Item("troubleshoot", "red", title, detail, (-1, 0), "reports", {}, {"report": latest["id"]})]


def some_of_each(items: list[Item]) -> list[Item]:
    """Return the first of each kind, then more of the kinds as there is room, in order."""
    ranked = sorted(items, key=lambda i: i.rank)
    seen: dict[int, int] = {}
    order = []
    for item in ranked:
        seen[item.rank[0]] = seen.get(item.rank[0], 0) + 1
        order.append((seen[item.rank[0]] > 1, item.rank, item))
    return sorted((i for *_, i in sorted(order, key=lambda o: o[:2])[:MOST]), key=lambda i: i.rank)


def show(items: list[Item]) -> None:
    """Draw the list; a title opens the page that shows it."""
    if not items:
        st.caption(strings.ATTENTION_NONE)
    for i, item in enumerate(items):
        with st.container(horizontal=True, gap="small", vertical_alignment="top", wrap=False):
            st.badge(" ", icon=f":material/{item.icon}:", color=item.color)
            with st.container(gap=None, key=f"attention_{i}"):
                # A parameter that a widget is bound to is set through its state, before that widget is drawn; the URL
                # may only be emptied.
                state = {**(FILTERS if item.page == "runs" else {}), **item.state}
                if not item.page:
                    st.markdown(f":small[**{item.title}**]")
                elif st.button(
                    item.title,
                    key=f"attention_open_{i}",
                    type="tertiary",
                    on_click=st.session_state.update,
                    args=(state,),
                ):
                    st.switch_page(f"app_pages/{item.page}.py", query_params={**item.params, **look.span_asked()})
                st.caption(item.detail)
