"""Overview: do the runs run well, what needs attention, which tasks."""

from __future__ import annotations

import time

import polars as pl
import streamlit as st

from collector.client import ApiError
from collector.model.units import SECOND_NS
from dashboard import data, strings
from dashboard.parts import attention, charts, columns, kpis, look, population, task_tables, theme, totals, trouble
from dashboard.parts import chosen as chosen_
from dashboard.parts.text import duration

chosen = look.header(strings.OVERVIEW, strings.OVERVIEW_SUB)
start, end = chosen.window()
here = chosen_.here()
where = {"from_ns": start, "to_ns": end, **here}
before = {**where, "from_ns": 2 * start - end, "to_ns": start}
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
then = data.query(f"page_totals{chosen.tables}", **before).row(0, named=True)
buckets = charts.every_bucket(
    data.query(f"page_outcomes{chosen.tables}", **where, bucket_ns=bucket_ns), (start, end, bucket_ns)
)
tasks = data.query(f"page_tasks{chosen.tables}", **where, bucket_ns=max(bucket_ns, (end - start) // 48))
tasks = task_tables.labelled(tasks, "task")
wide = max(300, chosen.span_s // 48 // 300 * 300) * SECOND_NS
levels = data.query("page_queue_levels", **where, bucket_ns=wide)
levels_before = data.query("page_queue_levels", **before, bucket_ns=wide)
full = (
    totals.at_limit(levels, (start, end, wide), time.time_ns()),
    totals.at_limit(levels_before, (2 * start - end, start, wide), start),
)
findings = data.findings(since=start, **here)["findings"]
per_day = (
    data.query("findings_trend", to_ns=end, **here)
    .group_by("day_ns")
    .agg(pl.col("count").sum())
    .sort("day_ns")["count"]
)
broken = totals.Broken(sum(f["count"] for f in findings), sum(f["state"] == "new" for f in findings), per_day.to_list())
kpis.show(totals.kpis(now, then, buckets, full, broken, chosen.label), (start, end))

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
    since = max(start, levels["since_ns"][0]) if levels.height else start
    over_ns = min(end, time.time_ns()) - since
    attention.show(attention.items(now, tasks, levels, findings, over_ns, made, troubles))

hours = max(3_600, chosen.bucket_s * (6 if chosen.span_s > 86_400 else 1)) * SECOND_NS
cells = data.query(f"page_heatmap{chosen.tables}", **where, bucket_ns=hours)
with look.card(strings.HEATMAP, strings.HEATMAP_SUB.format(cell=duration(hours)), key="heatmap"):
    if cells.is_empty():
        st.caption(strings.HEATMAP_NONE)
    else:
        height = 60 + 25 * cells["task"].n_unique()
        st.echarts_chart(
            charts.heatmap(cells, colors), height=height, key="heatmap_chart", alt="Bad runs by task and hour"
        )

with look.card(strings.TASKS, strings.ESTIMATED if chosen.tables else strings.TASKS_SUB, key="tasks"):
    ended = tasks.with_columns(ended=pl.col("completed") + pl.col("failed"))
    shown = columns.select(ended, task_tables.OVERVIEW)
    look.table(shown, strings.TASKS, columns.configuration(task_tables.OVERVIEW))
st.caption(strings.PROVENANCE_LEGEND)
