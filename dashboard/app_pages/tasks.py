"""Tasks: one in detail (durations, retries, errors, steps, versions), and all of them in a table."""

from __future__ import annotations

import polars as pl
import streamlit as st

from collector.model.units import SECOND_NS
from dashboard import data, strings
from dashboard.parts import (
    bars,
    charts,
    columns,
    figures,
    look,
    population,
    run_links,
    task_charts,
    task_tables,
    theme,
    totals,
)
from dashboard.parts.run_filters import BY_START
from dashboard.parts.text import NONE, count, duration, visible

chosen = look.header(strings.TASKS_PAGE, strings.TASKS_PAGE_SUB)
environment = st.session_state.get("environment")
here = {"environment": environment}
judged = {**here, "as_of": data.judged_at()}
start, end = chosen.window()
overall = data.statistic("tasks", by="task_id", from_=start, to=end, **judged)
start, end, hours = overall.from_ns, overall.to_ns, bool(overall.widened)
window = {"from_ns": start, "to_ns": end, **here}
asked = {"from_": start, "to": end, **judged}
population.note((start, end), environment)
colors = theme.palette()

numbers = overall.rows.filter(pl.col("task_id").is_not_null())
by_hour = data.stats("retries", by="task_id,hour_ns", measures="run_retry_rate", **asked)
table = task_tables.all_tasks(numbers, by_hour)
if table.is_empty():
    look.notice(strings.NO_TASKS, icon="inbox")
    st.stop()
names: list[str] = table["task_id"].to_list()


def chosen_in_table() -> None:
    """Take the selected row of the table as the task to show."""
    rows = st.session_state["tasks_table"]["selection"]["rows"]
    if rows and rows[0] < len(names):
        st.session_state["task"] = names[rows[0]]


if st.session_state.get("task") not in (None, *names):
    del st.session_state["task"]  # a task of another range or page
with st.container(horizontal=True, vertical_alignment="center", gap="medium", key="chosen"):
    task = st.selectbox(
        strings.CHOOSE_TASK,
        names,
        key="task",
        label_visibility="collapsed",
        width=340,
        bind="query-params",
        format_func=visible,
    )
    run_links.show(task=task, hours=hours, **BY_START)
of_task = numbers.filter(pl.col("task_id") == task)
percentiles = {"execution": "p95", "queue_wait": "p95", "runs": "count", "wasted_time": "total"}
figures.show(
    [
        figures.figure(label, figures.pick(of_task, measure, percentiles.get(measure, "share")))
        for measure, label in strings.FIGURES.items()
    ]
)

if hours:
    st.caption(strings.WHOLE_HOURS.format(at=charts.minute(start)))
grid = st.grid(3, min_column_width=300, gap="small")
with grid.cell(column_span=2):
    runs = figures.value(figures.pick(of_task, "runs", "count"))
    width_ns = data.width_for(chosen, int(runs or 0)) * SECOND_NS
    subtitle = strings.ATTEMPT_DURATION_ESTIMATED if chosen.tables else strings.ATTEMPT_DURATION_SUB
    sub = subtitle.format(bucket=duration(width_ns))
    with look.card(strings.ATTEMPT_DURATION, sub, key="durations"):
        durations = data.query(f"page_task_durations{chosen.tables}", **window, task=task, bucket_ns=width_ns)
        if durations.is_empty():
            st.caption(strings.ATTEMPT_DURATION_NONE)
        else:
            buckets = charts.every_bucket(durations, (start, end, width_ns))
            versions = data.query("page_task_versions", **window, task=task)
            st.echarts_chart(
                task_charts.percentiles(buckets, versions, colors),
                height=390,
                key="durations_chart",
                alt="Percentiles of attempt duration over time",
            )
with grid.cell(), look.card(strings.FUNNEL, strings.FUNNEL_SUB, key="funnel"):
    rows = bars.funnel(data.stats("funnel", by="task_id", task=task, **asked))
    if rows:
        bars.BARS(data={"rows": rows}, key="funnel_bars")
    else:
        st.caption(strings.FUNNEL_NONE_YET)

with look.card(strings.ERRORS, strings.ERRORS_SUB, key="errors"):
    errors = data.query("page_task_errors", **window, task=task)
    if errors.is_empty():
        st.caption(strings.ERRORS_NONE)
    else:
        look.table(
            columns.select(errors, task_tables.ERRORS),
            strings.ERRORS,
            columns.configuration(task_tables.ERRORS),
            row=30,
            most=8,
        )
with look.card(strings.STEPS, strings.STEPS_SUB, key="steps"):
    steps = task_tables.steps(data.stats("calls", by="task_id", task=task, **asked))
    if steps.is_empty():
        st.caption(strings.STEPS_NONE)
    else:
        look.table(
            columns.select(steps, task_tables.STEPS),
            strings.STEPS,
            columns.configuration(task_tables.STEPS),
            row=30,
            most=8,
        )

estimated = strings.ESTIMATED if totals.estimated(numbers) else ""
tasks = strings.TASK_COUNT_ONE if table.height == 1 else strings.TASK_COUNT.format(n=count(table.height))
with look.card(strings.ALL_TASKS, strings.ALL_TASKS_SUB.format(n=tasks) + estimated, key="all_tasks"):
    st.dataframe(
        columns.select(table, task_tables.TASKS),
        hide_index=True,
        row_height=34,
        height=look.table_height(table.height),
        placeholder=NONE,
        key="tasks_table",
        on_select=chosen_in_table,
        selection_mode="single-row",
        alt=strings.ALL_TASKS,
        column_config=columns.configuration(task_tables.TASKS),
    )
st.caption(strings.PROVENANCE_LEGEND)
