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
from dashboard.parts import chosen as chosen_
from dashboard.parts.run_filters import BY_START
from dashboard.parts.text import NONE, count, duration, visible

chosen = look.header(strings.TASKS_PAGE, strings.TASKS_PAGE_SUB)
here = chosen_.here()
judged = {**here, "as_of": data.judged_at()}
start, end = chosen.window()
keys = ["task_id", "platform_project"]
overall = data.statistic("tasks", by=",".join(keys), from_=start, to=end, **judged)
start, end, hours = overall.from_ns, overall.to_ns, bool(overall.widened)
window = {"from_ns": start, "to_ns": end, **here}
asked = {"from_": start, "to": end, **judged}
population.note((start, end), here)
colors = theme.palette()

numbers = task_tables.labelled(overall.rows.filter(pl.col("task_id").is_not_null()), "task_id")
apart = numbers.select("called", *keys).unique()
hourly = data.stats("retries", by=f"{','.join(keys)},hour_ns", measures="run_retry_rate", **asked)
hourly = hourly.rename({"task_id": "called"}).join(apart, on=["called", "platform_project"], nulls_equal=True)
table = task_tables.all_tasks(numbers, hourly)
if table.is_empty():
    look.notice(strings.NO_TASKS, icon="inbox")
    st.stop()
names: list[str] = table["task_id"].to_list()


def chosen_in_table() -> None:
    """Take the selected row of the table as the task to show."""
    rows = st.session_state["tasks_table"]["selection"]["rows"]
    if rows and rows[0] < len(names):
        st.session_state["task"] = names[rows[0]]


def chosen_error() -> None:
    """Have the Runs page show the runs of the selected error: filters are set before their widgets are drawn."""
    rows = st.session_state["errors_table"]["selection"]["rows"]
    group = errors["error_group"][rows[0]] if rows and rows[0] < errors.height else None
    if group is not None:
        st.session_state.update(run_links.failed_so(group, **of, hours=hours), errors_open=True)


gone = look.absent("task", [*names, *apart["called"]])
asked_for = apart.filter(pl.col("called") == st.session_state.get("task")).sort("task_id")["task_id"]
if asked_for.len() and asked_for[0] != st.session_state["task"]:
    st.session_state["task"] = asked_for[0]  # several projects have a task of that name
elif st.session_state.get("task") not in (None, *names, *gone):
    del st.session_state["task"]  # a task of another range or page
with st.container(horizontal=True, vertical_alignment="center", gap="medium", key="chosen"):
    label = st.selectbox(
        strings.CHOOSE_TASK,
        [*names, *gone],
        key="task",
        label_visibility="collapsed",
        width=340,
        bind="query-params",
        format_func=visible,
    )
    if label in gone:
        look.stop_absent(label)
    task, _, project = apart.filter(pl.col("task_id") == label).row(0)
    of = {"task": task}
    if label != task:
        of["platform_project"] = project or data.NONE_STATED
        window, asked = ({**some, "platform_project": of["platform_project"]} for some in (window, asked))
    run_links.show(**of, hours=hours, **BY_START)
of_task = numbers.filter(pl.col("task_id") == label)
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

are_listed = run_links.has(**of)
errors_sub = strings.ERRORS_SUB + (strings.ERRORS_SELECT if are_listed else "")
with look.card(strings.ERRORS, errors_sub, key="errors"):
    errors = data.query("page_task_errors", **window, task=task)
    if errors.is_empty():
        st.caption(strings.ERRORS_NONE)
    else:
        st.dataframe(
            columns.select(errors, task_tables.ERRORS),
            hide_index=True,
            row_height=30,
            height=look.table_height(errors.height, row=30, most=8),
            placeholder=NONE,
            key="errors_table",
            on_select=chosen_error if are_listed else "ignore",
            selection_mode="single-row",
            alt=strings.ERRORS,
            column_config=columns.configuration(task_tables.ERRORS),
        )
        if st.session_state.pop("errors_open", False):
            st.switch_page("app_pages/runs.py", query_params=look.span_asked())
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
