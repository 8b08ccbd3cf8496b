"""Overview: do the runs run well, what needs attention, which tasks."""

from __future__ import annotations

from typing import Any

import polars as pl
import streamlit as st

from dashboard import data, strings
from dashboard.parts import charts, look, provenance
from dashboard.parts.look import Kpi
from dashboard.parts.statistics import ENOUGH, share, wilson
from dashboard.parts.text import NONE, count, duration, percent, safe

chosen = look.header(strings.OVERVIEW, strings.OVERVIEW_SUB)
start, end = chosen.window()
where = {"from_ns": start, "to_ns": end, "environment": st.session_state.get("environment")}
before = {**where, "from_ns": 2 * start - end, "to_ns": start}
bucket_ns = chosen.bucket_s * data.SECOND
colors = look.palette()


def _every_bucket(frame: pl.DataFrame) -> pl.DataFrame:
    """Add the buckets without runs: a count of nothing is 0, a percentile of nothing is unknown."""
    edges = pl.DataFrame({"bucket_ns": range(start, end, bucket_ns)}, schema={"bucket_ns": pl.Int64})
    filled = edges.join(frame, on="bucket_ns", how="left")
    return filled.with_columns(pl.exclude("bucket_ns", "took_p95_ns", "wait_p95_ns").fill_null(0))


def _change(now: float | None, then: float | None, *, points: bool, up_is: str) -> tuple[str, str]:
    """Return the change against the period before and its tone."""
    if now is None or then is None or (not points and not then):
        return "no period before to compare", "flat"
    difference = now - then if points else now / then - 1
    text = f"{difference * 100:+.1f} {'pp' if points else '%'} against before"
    if up_is == "neutral" or abs(difference) < 0.0005:
        return text, "flat"
    return text, "good" if (difference > 0) == (up_is == "good") else "bad"


def kpis(now: dict[str, Any], then: dict[str, Any], buckets: pl.DataFrame) -> list[Kpi]:
    """Return the cards; every share says what it is a share of."""
    coarse = buckets.group_by(pl.col("bucket_ns") // (bucket_ns * max(1, buckets.height // 40)), maintain_order=True)
    series = coarse.agg(pl.exclude("bucket_ns", "took_p95_ns", "wait_p95_ns").sum(), pl.col("^.*_p95_ns$").max())

    def shares(hits: str, n: str) -> list[float | None]:
        return [share(h, k) for h, k in series.select(hits, n).rows()]

    series = series.with_columns(
        completed=pl.col("first_try") + pl.col("recovered"),
        ended=pl.col("first_try") + pl.col("recovered") + pl.col("failed"),
    )
    success = share(now["completed"], now["completed"] + now["failed"])
    success_then = share(then["completed"], then["completed"] + then["failed"])
    retried, retried_then = share(now["retried"], now["counted"]), share(then["retried"], then["counted"])
    unclear = share(now["unknown"], now["runs"])
    took = now["took_p95_ns"] if now["took_n"] >= ENOUGH else None
    took_then = then["took_p95_ns"] if then["took_n"] >= ENOUGH else None
    wait = now["wait_p95_ns"] if now["wait_n"] >= ENOUGH else None
    wait_then = then["wait_p95_ns"] if then["wait_n"] >= ENOUGH else None
    few = f"fewer than {ENOUGH} values"
    runs_change = _change(now["runs"], then["runs"] or None, points=False, up_is="neutral")
    return [
        Kpi("runs", "Runs", count(now["runs"]), now["runs"], strings.KPI_RUNS, "measured", *runs_change,
            series["runs"].to_list()),
        Kpi("success", "Success rate", percent(success), success, strings.KPI_SUCCESS,
            "derived" if success is not None else "unknown",
            *_change(success, success_then, points=True, up_is="good"), shares("completed", "ended")),
        Kpi("retry", "Retry rate", percent(retried), retried, strings.KPI_RETRY,
            "derived" if retried is not None else "unknown",
            *_change(retried, retried_then, points=True, up_is="bad"), shares("retried", "counted")),
        Kpi("p95", "p95 duration", duration(took), took, strings.KPI_P95 if took else few,
            provenance.overall(now["took_measured"], now["took_n"]) if took else "unknown",
            *_change(took, took_then, points=False, up_is="bad"), series["took_p95_ns"].to_list()),
        Kpi("wait", "p95 queue wait", duration(wait), wait, strings.KPI_WAIT if wait else few,
            provenance.overall(now["wait_measured"], now["wait_n"]) if wait else "unknown",
            *_change(wait, wait_then, points=False, up_is="bad"), series["wait_p95_ns"].to_list()),
        Kpi("unknown", "Unknown", percent(unclear), unclear, strings.KPI_UNKNOWN, "inferred",
            f"{count(now['unknown'])} of {count(now['runs'])} runs", "flat", shares("unknown", "runs")),
    ]  # fmt: skip


def findings(now: dict[str, Any], tasks: pl.DataFrame) -> list[tuple[str, str, str, str, int]]:
    """Return what needs attention, most first: icon, colour, title (escaped), detail, weight.

    A task counts as failing more only when its interval lies above the rate before, so that chance does not rank.
    """
    found: list[tuple[str, str, str, str, int]] = []
    for t in tasks.iter_rows(named=True):
        ended = t["completed"] + t["failed"]
        low, _ = wilson(t["failed"], ended)
        rate_before = share(t["failed_before"], t["ended_before"])
        if t["failed"] and ended >= 5 and low > max(rate_before or 0.0, 0.02):
            compared = f"{percent(rate_before)} before" if rate_before is not None else "nothing before to compare"
            detail = f"{t['failed']} of {ended} ended runs failed ({percent(t['failed'] / ended)}), {compared}"
            found.append(("error", "red", f"{safe(t['task'])} fails", detail, t["failed"] * 10))
        enough = t["took_n"] >= ENOUGH and t["took_n_before"] >= ENOUGH
        if enough and t["took_p95_ns"] > 1.5 * t["took_p95_before_ns"] and t["took_p95_ns"] > 1e9:
            detail = f"p95 {duration(t['took_p95_before_ns'])} → {duration(t['took_p95_ns'])}"
            found.append(("trending_up", "orange", f"{safe(t['task'])} is slower", detail, t["took_n"]))
    if now["retrying"]:
        found.append(("replay", "orange", "Retrying now", f"{count(now['retrying'])} runs wait for another attempt",
                      now["retrying"] * 5))  # fmt: skip
    if now["unknown"]:
        detail = f"{count(now['unknown'])} runs ended or fell silent without proof of how"
        found.append(("help", "gray", "Unknown outcomes", detail, now["unknown"]))
    return sorted(found, key=lambda f: -f[4])[:5]


def task_table(tasks: pl.DataFrame) -> pl.DataFrame:
    """Return the table of tasks: rates with intervals, percentiles only where there are enough values."""
    rows = []
    for t in tasks.iter_rows(named=True):
        ended = t["completed"] + t["failed"]
        low, high = wilson(t["failed"], ended)
        p95 = t["took_p95_ns"] if t["took_n"] >= ENOUGH else None
        p95_before = t["took_p95_before_ns"] if t["took_n_before"] >= ENOUGH else None
        retried = share(t["retried"], t["counted"])
        rows.append(
            {
                "Task": t["task"] or "unknown",
                "Runs": t["runs"],
                "Runs over time": t["trend"],
                "Failure rate": None if not ended else 100 * t["failed"] / ended,
                "95 % interval": f"{low * 100:.1f} to {high * 100:.1f} %" if ended else NONE,
                "Retry rate": None if retried is None else 100 * retried,
                "Median": duration(t["took_p50_ns"]),
                "p95": duration(p95),
                "p95 before": duration(p95_before),
                "Unknown": t["unknown"],
            }
        )
    return pl.DataFrame(rows, infer_schema_length=None)


now = data.query("page_totals", **where).row(0, named=True)
if not now["runs"]:
    look.kpi_row([], (start, end))
    st.info(f"**{strings.EMPTY_TITLE}.** {strings.EMPTY}", icon=":material/inbox:")
    st.html('<span data-kpi="runs" data-value="0"></span>')
    st.stop()
then = data.query("page_totals", **before).row(0, named=True)
buckets = _every_bucket(data.query("page_outcomes", **where, bucket_ns=bucket_ns))
tasks = data.query("page_tasks", **where, bucket_ns=max(bucket_ns, (end - start) // 48))
look.kpi_row(kpis(now, then, buckets), (start, end))

grid = st.grid(3, min_column_width=300, gap="small")
with grid.cell(column_span=2), look.card(
    strings.OUTCOMES, strings.OUTCOMES_SUB.format(bucket=chosen.bucket), key="outcomes", height=352
):  # fmt: skip
    st.echarts_chart(
        charts.outcomes(buckets, colors), height=262, key="outcomes_chart", alt="Runs over time by outcome, stacked"
    )
with grid.cell(), look.card(strings.ATTENTION, strings.ATTENTION_SUB, key="attention", height=352):
    shown = findings(now, tasks)
    if not shown:
        st.caption(strings.ATTENTION_NONE)
    for icon, color, title, detail, _ in shown:
        with st.container(horizontal=True, gap="small", vertical_alignment="top", wrap=False):
            st.badge(" ", icon=f":material/{icon}:", color=color)  # type: ignore[arg-type]
            with st.container(gap=None):
                st.markdown(f"**{title}**")
                st.caption(detail)

hours = max(3_600, chosen.bucket_s * (6 if chosen.span_s > 86_400 else 1)) * data.SECOND
cells = data.query("page_heatmap", **where, bucket_ns=hours)
with look.card(strings.HEATMAP, strings.HEATMAP_SUB, key="heatmap"):
    if cells.is_empty():
        st.caption(strings.HEATMAP_NONE)
    else:
        height = 70 + 26 * cells["task"].n_unique()
        st.echarts_chart(
            charts.heatmap(cells, colors), height=height, key="heatmap_chart", alt="Bad runs by task and hour"
        )

with look.card(strings.TASKS, strings.TASKS_SUB, key="tasks"):
    number = st.column_config.NumberColumn
    st.dataframe(
        task_table(tasks),
        hide_index=True,
        row_height=34,
        alt="Tasks",
        column_config={
            "Runs": number(format="localized", width=70),
            "Runs over time": st.column_config.AreaChartColumn(width=150),
            "Failure rate": number(format="%.1f %%", width=95),
            "95 % interval": st.column_config.TextColumn(width=120),
            "Retry rate": st.column_config.ProgressColumn(format="%.1f %%", min_value=0, max_value=100, width=140),
            "Unknown": number(format="localized", width=80),
        },
    )
st.caption(strings.PROVENANCE_LEGEND)
