"""Queues: who is full when; one in detail: slots against the limit, time at each level, waits, shares, holders."""

from __future__ import annotations

import time
from typing import Any

import polars as pl
import streamlit as st

from collector.model.units import SECOND_NS
from dashboard import data, strings
from dashboard.parts import bars, charts, figures, look, queue_charts, queue_frames, run_links, theme
from dashboard.parts import chosen as chosen_
from dashboard.parts.text import NONE, count, duration, percent, safe, visible

chosen = look.header(strings.QUEUES, strings.QUEUES_SUB)
start, end = chosen.window()
bucket_ns = max(300, chosen.span_s // 96 // 300 * 300) * SECOND_NS
window = {"from_ns": start, "to_ns": end}
colors = theme.palette()
now_ns = min(end, time.time_ns())

levels = data.query("page_queue_levels", **window, **chosen_.here(), bucket_ns=bucket_ns)
if levels.is_empty():
    look.notice(strings.NO_QUEUES, icon="inbox")
    st.stop()
frame = queue_frames.filled(queue_frames.labelled(levels), (start, end, bucket_ns), now_ns)
limited = frame.filter(pl.col("limit").is_not_null())
without = sorted(set(frame["label"]) - set(limited["label"]))
with look.card(strings.SATURATION, strings.SATURATION_SUB, key="saturation"):
    if limited.is_empty():
        st.caption(strings.SATURATION_NONE)
    else:
        spec = queue_charts.ribbon(limited, list(range(start, now_ns, bucket_ns)), colors)
        height = 70 + 24 * limited["label"].n_unique()
        st.echarts_chart(spec, height=height, key="saturation_chart", alt="Share of the limit held, queue by time")
    if without:
        st.caption(strings.LIMIT_UNKNOWN.format(queues=", ".join(map(safe, without))))

names = queue_frames.busiest(frame)
gone = look.absent("queue", [*names, *frame["queue"]])
of_name = frame.filter(pl.col("queue") == st.session_state.get("queue", ""))["label"]
if of_name.len() and st.session_state["queue"] not in names:
    st.session_state["queue"] = of_name[0]  # several environments or projects have a queue of that name
elif st.session_state.get("queue") not in (None, *names, *gone):
    del st.session_state["queue"]  # a queue of another range or page
with st.container(horizontal=True, vertical_alignment="center", gap="medium", key="chosen"):
    label = st.selectbox(
        strings.CHOOSE_QUEUE,
        [*names, *gone],
        key="queue",
        label_visibility="collapsed",
        width=340,
        bind="query-params",
        format_func=visible,
    )
    if label in gone:
        look.stop_absent(label)
    one = frame.filter(pl.col("label") == label)
    about = one.row(0, named=True)
    queue, where = about["queue"], {name: about[name] or data.NONE_STATED for name in queue_frames.WHOSE}
    # Whoever held a slot in the range counts here, of any population.
    run_links.show(queue=queue, **{name: where[name] for name in queue_frames.told_apart(frame, queue)})
asked: dict[str, Any] = {"from_": start, "to": end, "queue": queue, **where}
of_queue = {**window, "queue": queue, **where}
numbers = data.stats("queues", **asked)
limit = queue_frames.latest_limit(one)


def statistic(measure: str, name: str) -> float | None:
    """Return one number of the queue."""
    return figures.value(figures.pick(numbers, measure, name))


def slots(level: float | None, digits: int = 0) -> str:
    """Return a level in words."""
    return NONE if level is None else f"{level:,.{digits}f}"


little = data.stats("little", **asked)
figures.show(
    [
        figures.figure(title, figures.pick(pl.concat([numbers, little.select(numbers.columns)]), measure, name))
        for measure, title in strings.QUEUE_FIGURES.items()
        for name in (queue_frames.STATISTIC[measure],)
    ]
)
grid = st.grid(3, min_column_width=300, gap="small")
sub = strings.LEVELS_SUB.format(
    mean=slots(statistic("level", "mean"), 2),
    p95=slots(statistic("level", "p95")),
    peak=slots(statistic("level", "peak")),
    limit=strings.LIMIT_NONE
    if limit is None
    else strings.LIMIT_SLOTS.format(
        n=limit[0], source=(figures.pick(numbers, "limit", "max") or {}).get("note") or strings.LIMIT_SOURCES[limit[1]]
    ),
    at_limit=percent(statistic("time_at_limit", "share")),
)
with grid.cell(column_span=2), look.card(strings.LEVELS, sub, key="levels"):
    st.echarts_chart(
        queue_charts.levels(one, colors), height=290, key="levels_chart", alt="Slots held over time against the limit"
    )
with grid.cell(), look.card(strings.LEVEL_TIME, strings.LEVEL_TIME_SUB, key="level_time"):
    spent = queue_frames.with_idle(data.query("page_queue_histogram", **of_queue), start, now_ns)
    st.echarts_chart(
        queue_charts.histogram(spent, limit[0] if limit else None, colors),
        height=290,
        key="level_time_chart",
        alt="Share of time at each level",
    )

waits = data.query("page_queue_waits", **of_queue, bucket_ns=chosen.bucket_s * SECOND_NS)
wide_s = min(data.width_for(chosen, int(waits["n"].sum() or 0)), chosen.span_s // 6)
if wide_s != chosen.bucket_s and waits.height:
    waits = data.query("page_queue_waits", **of_queue, bucket_ns=wide_s * SECOND_NS)
waits_sub = strings.QUEUE_WAITS_SUB.format(bucket=duration(wide_s * SECOND_NS))
inferred_n, all_n = (int(waits[name].sum() or 0) for name in ("inferred_n", "n"))
if inferred_n:
    waits_sub += strings.QUEUE_WAITS_INFERRED.format(n=count(inferred_n), all=count(all_n))
with look.card(strings.QUEUE_WAITS, waits_sub, key="waits"):
    if waits.is_empty():
        st.caption(strings.QUEUE_WAITS_NONE)
    else:
        waits = charts.every_bucket(waits, (start, end, wide_s * SECOND_NS))
        st.echarts_chart(queue_charts.waits(waits, colors), height=210, key="waits_chart", alt="Queue wait over time")

grid = st.grid(3, min_column_width=300, gap="small")
with grid.cell(), look.card(strings.SLOT_SHARE, strings.SLOT_SHARE_SUB, key="slot_share"):
    shares = queue_frames.shares(data.stats("slots", **asked))
    if shares:
        rows = [(task, share, strings.SLOT_RUNS.format(time=duration(ns))) for task, share, ns in shares]
        bars.BARS(data={"rows": bars.shares(rows)}, key="slot_share_bars")
    else:
        st.caption(strings.SLOT_SHARE_NONE)
with grid.cell(column_span=2), look.card(strings.HOLDERS, strings.HOLDERS_SUB, key="holders"):
    holders = data.stats("holders", queue=queue, **where)
    if holders.is_empty():
        st.caption(strings.HOLDERS_NONE)
    else:
        ids = data.query("run_ids", keys=",".join(holders["run_key"].head(200).to_list()))
        holding = holders.head(200).join(ids, on="run_key", how="left", maintain_order="left")
        row = look.table(
            queue_frames.holders(holding),
            strings.HOLDERS,
            queue_frames.HOLDER_COLUMNS,
            row=30,
            most=8,
            key="holders_table",
        )
        if row is not None and holding["run_id"][row] is not None:
            st.switch_page(
                "app_pages/run.py", query_params={"run_id": holding["run_id"][row], "run_key": holding["run_key"][row]}
            )
st.caption(strings.PROVENANCE_LEGEND)
