"""Runs: filters in the URL, fifty a page, a click opens one."""

from __future__ import annotations

import polars as pl
import streamlit as st

from dashboard import data, strings
from dashboard.parts import look, provenance
from dashboard.parts.look import STATUS_COLORS
from dashboard.parts.text import count, safe, visible

chosen = look.header(strings.RUNS, strings.RUNS_SUB)
start, end = chosen.window()

with st.container(horizontal=True, vertical_alignment="bottom", gap="small", key="filters"):
    search = st.text_input(
        "Search", placeholder=strings.SEARCH, key="q", label_visibility="collapsed", icon=":material/search:",
        width=290, bind="query-params",
    )  # fmt: skip
    statuses = st.multiselect(
        "Status", list(STATUS_COLORS), key="status", placeholder="Status", label_visibility="collapsed", width=210,
        bind="query-params",
    )  # fmt: skip
    task = st.selectbox(
        "Task", data.choices("task"), index=None, key="task", placeholder="Task", label_visibility="collapsed",
        width=220, bind="query-params", format_func=safe,
    )  # fmt: skip
    queue = st.selectbox(
        "Queue", data.choices("queue"), index=None, key="queue", placeholder="Queue", label_visibility="collapsed",
        width=180, bind="query-params", format_func=safe,
    )  # fmt: skip
    retried = st.toggle("Retried only", key="retried", bind="query-params")

filters = {
    "from_": start,
    "to": end,
    "q": search or None,
    "status": ",".join(statuses) or None,
    "task": task,
    "queue": queue,
    "environment": st.session_state.get("environment"),
    "retried": True if retried else None,
}
signature = str([chosen.label, *sorted((k, v) for k, v in filters.items() if k not in ("from_", "to"))])
if st.session_state.get("runs_filters") != signature:
    st.session_state["runs_filters"] = signature
    st.session_state["runs_page"] = 1
number = int(st.session_state.get("runs_page", 1))
found, total = data.runs(**filters, limit=data.PAGE, offset=(number - 1) * data.PAGE)
st.caption(f"**{count(total)}** runs")


def table(runs: pl.DataFrame) -> pl.DataFrame:
    """Return what the page shows of *runs*; values that are not measured carry their mark."""

    def marked(value: str, source: str) -> pl.Expr:
        marks = {name: "" if name == "measured" else f" {glyph}" for name, glyph in provenance.GLYPHS.items()}
        sign = pl.col(source).replace_strict(marks, default=" ?")
        return pl.when(pl.col(value).is_null()).then(pl.lit("?")).otherwise(pl.col(value).cast(pl.String) + sign)

    took = (pl.col("ended_ns") - pl.col("started_ns")) / 1e9
    at = pl.coalesce("started_ns", "queued_ns", "first_seen_ns")

    def shown(column: str) -> pl.Expr:
        return pl.col(column).map_elements(visible, return_dtype=pl.String).alias(column)

    return runs.select(
        shown("run_id").alias("Run"),
        pl.concat_list("status").alias("Status"),
        pl.col("status_source").replace_strict(provenance.GLYPHS, default="?").alias("Source"),
        shown("task_id").alias("Task"),
        shown("queue").alias("Queue"),
        marked("attempt_count", "attempt_count_source").alias("Attempts"),
        (at // 1_000_000).cast(pl.Datetime("ms")).alias("Started"),
        (pl.col("queue_wait_ns") / 1e9).alias("Queue wait"),
        took.alias("Duration"),
        shown("version").alias("Version"),
        shown("error_type").alias("Error"),
    )


if found.is_empty():
    st.info(strings.NO_MATCH, icon=":material/search_off:")
else:
    rows = table(found)
    column = st.column_config
    longest = float(rows["Duration"].drop_nulls().max() or 1.0)  # type: ignore[arg-type]
    event = st.dataframe(
        rows,
        hide_index=True,
        height=600,
        row_height=34,
        key="runs_table",
        on_select="rerun",
        selection_mode="single-row",
        alt="Runs",
        column_config={
            "Run": column.TextColumn(width=190, pinned=True),
            "Status": look.pills("Status"),
            "Source": column.TextColumn(width=60, help=strings.PROVENANCE_LEGEND),
            "Task": column.TextColumn(width=160),
            "Queue": column.TextColumn(width=120),
            "Attempts": column.TextColumn(width=80, help=strings.PROVENANCE_LEGEND),
            "Started": column.DatetimeColumn(format="MMM DD HH:mm:ss", width=130),
            "Queue wait": column.NumberColumn(format="%.2f s", width=90),
            "Duration": column.ProgressColumn(format="%.2f s", min_value=0, max_value=longest, width=150),
            "Version": column.TextColumn(width=100),
            "Error": column.TextColumn(width=160),
        },
    )
    with st.container(horizontal=True, horizontal_alignment="distribute", vertical_alignment="center"):
        st.caption(f"{strings.SELECT_HINT} · {strings.PROVENANCE_LEGEND}")
        st.pagination(max(1, -(-total // data.PAGE)), key="runs_page")
    selected = event.selection.rows
    if selected:
        row = found.row(selected[0], named=True)
        st.switch_page("app_pages/run.py", query_params={"run_id": row["run_id"], "run_key": row["run_key"]})
