"""Overview: do the runs run well, what needs attention, which tasks."""

from __future__ import annotations

import time
from typing import Any

import polars as pl
import streamlit as st

from collector.client import ApiError
from collector.model.units import SECOND_NS
from dashboard import data, strings
from dashboard.parts import attention, charts, columns, kpis, look, population, task_tables, theme, totals, trouble
from dashboard.parts import chosen as chosen_
from dashboard.parts.text import duration

chosen = look.header(strings.OVERVIEW, strings.OVERVIEW_SUB)
here = chosen_.here()
asked = {**here, "as_of": data.judged_at()}
measures = "runs,run_success_rate,run_failure_rate,run_retry_rate,execution"
start, end = chosen.window()
of_tasks: dict[str, Any] = {"by": "task_id,platform_project", "total": True, "measures": measures}
overall = data.statistic("tasks", **of_tasks, from_=start, to=end, **asked)
# What is not counted exactly is counted in whole hours, and so is then all of the page.
start, end, hours = overall.from_ns, overall.to_ns, bool(overall.widened)
where = {"from_ns": start, "to_ns": end, **here}
window, before = {"from_": start, "to": end, **asked}, {"from_": 2 * start - end, "to": start, **asked}
population.note((start, end), here)
bucket_ns = chosen.bucket_s * SECOND_NS
colors = theme.palette()

try:
    troubles = trouble.items(data.status())
except ApiError as e:
    troubles = trouble.unknown(e.message)
now = data.query(f"page_totals{chosen.tables}", **where).row(0, named=True)
if not now["runs"]:
    st.html(
        f'<span class="rw-kpis" data-from="{start}" data-to="{end}"></span><span data-kpi="runs" data-value="0"></span>'
    )
    if troubles:  # the likeliest reason why there is no run
        with look.card(strings.ATTENTION, strings.ATTENTION_STORE, key="attention"):
            attention.show(attention.some_of_each(troubles))
    look.notice(f"**{strings.EMPTY_TITLE}.** {strings.EMPTY}", icon="inbox")
    st.stop()
buckets = charts.every_bucket(
    data.query(f"page_outcomes{chosen.tables}", **where, bucket_ns=bucket_ns), (start, end, bucket_ns)
)
tasks_before = data.stats("tasks", **of_tasks, **before)
tasks = task_tables.overview(
    data.query(f"page_tasks{chosen.tables}", **where, bucket_ns=max(bucket_ns, (end - start) // 48)),
    overall.rows.filter(~pl.col("is_total")),
    tasks_before.filter(~pl.col("is_total")),
)
tasks = task_tables.labelled(tasks, "task")
labels = tasks.select("called", "platform_project", label="task")
wide = max(300, chosen.span_s // 48 // 300 * 300) * SECOND_NS
levels = data.query("page_queue_levels", **where, bucket_ns=wide)
of_queues: dict[str, Any] = {"total": True, "measures": "time_at_limit,throttled,limit"}
queues, queues_before = data.stats("queues", **of_queues, **window), data.stats("queues", **of_queues, **before)
rules = data.findings(since=start, **here)
findings = rules["findings"]
per_day = (
    data.query("findings_trend", to_ns=end, **here)
    .group_by("day_ns")
    .agg(pl.col("count").sum())
    .sort("day_ns")["count"]
)
records = sum(f["count"] for f in findings) if rules["judged"] else None
broken = totals.Broken(records, sum(f["state"] == "new" for f in findings), per_day.to_list())
cards = totals.kpis(
    totals.together(overall.rows, queues),
    totals.together(tasks_before, queues_before),
    buckets,
    totals.at_limit(levels, (start, end, wide), time.time_ns()),
    broken,
    chosen.label,
)
kpis.show(cards, (start, end))
if hours:
    st.caption(strings.WHOLE_HOURS.format(at=charts.minute(start)))

grid = st.grid(3, min_column_width=300, gap="small")
with (
    grid.cell(column_span=2),
    look.card(strings.OUTCOMES, strings.OUTCOMES_SUB.format(bucket=chosen.bucket), key="outcomes", height=376),
):
    st.echarts_chart(
        charts.outcomes(buckets, colors), height=286, key="outcomes_chart", alt="Runs over time by outcome, stacked"
    )
with grid.cell(), look.card(strings.ATTENTION, strings.ATTENTION_SUB, key="attention", height=376):
    # Reports are of all environments and projects; where one is chosen they are left to their page.
    made = [] if any(here.values()) else [r for r in data.reports() if start <= r["as_of_ns"] < end]
    attention.show(
        attention.items(now, tasks, queues.filter(~pl.col("is_total")), findings, made, troubles, hours=hours)
    )

cell_ns = max(3_600, chosen.bucket_s * (6 if chosen.span_s > 86_400 else 1)) * SECOND_NS
cells = data.query(f"page_heatmap{chosen.tables}", **where, bucket_ns=cell_ns)
cells = cells.rename({"task": "called"}).join(labels, on=["called", "platform_project"], nulls_equal=True)
with look.card(strings.HEATMAP, strings.HEATMAP_SUB.format(cell=duration(cell_ns)), key="heatmap"):
    if cells.is_empty():
        st.caption(strings.HEATMAP_NONE)
    else:
        height = 60 + 25 * cells["label"].n_unique()
        st.echarts_chart(
            charts.heatmap(cells, colors), height=height, key="heatmap_chart", alt="Bad runs by task and hour"
        )

estimated = strings.ESTIMATED if totals.estimated(overall.rows) else ""
with look.card(strings.TASKS, strings.TASKS_SUB + estimated, key="tasks"):
    shown = columns.select(tasks, task_tables.OVERVIEW)
    look.table(shown, strings.TASKS, columns.configuration(task_tables.OVERVIEW))
st.caption(strings.PROVENANCE_LEGEND)
