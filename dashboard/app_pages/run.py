"""Run detail: facts, waterfall, logs, the records as they were received."""

from __future__ import annotations

import json
from typing import Any

import polars as pl
import streamlit as st

from collector.api.client import ApiError
from dashboard import data, strings
from dashboard.parts import look, run_view
from dashboard.parts.text import duration, visible

look.plain_header()
st.page_link("app_pages/runs.py", label=strings.RUNS, icon=":material/arrow_back:")
run_id = st.query_params.get("run_id")
if not run_id:
    st.info(strings.CHOOSE_RUN, icon=":material/list_alt:")
    st.stop()
try:
    found = data.run(run_id, st.query_params.get("run_key"))
except ApiError:
    st.error(strings.NO_RUN, icon=":material/search_off:")
    st.text(run_id)
    st.stop()
run = found["run"]

run_view.FACTS(data=run_view.facts(run), key="facts")
if len(found["same_id"]) > 1 and not st.query_params.get("run_key"):
    st.caption(strings.SEVERAL.format(n=len(found["same_id"])))
if run["parent_run_id"] and st.button(strings.PARENT, icon=":material/arrow_upward:", key="parent"):
    st.switch_page("app_pages/run.py", query_params={"run_id": run["parent_run_id"]})

mode = st.segmented_control(
    "Time axis", [strings.WALL, strings.WORK], default=strings.WALL, key="axis", required=True,
    label_visibility="collapsed", bind="query-params",
)  # fmt: skip
bars = run_view.bars(found)
placed, total_ms = run_view.on_axis(bars, work_only=mode == strings.WORK)
state: Any = st.session_state.get("waterfall")
selected = state.get("selected") if state else None
known = len(found["attempts"])
attempts = f"{known} attempt{'' if known == 1 else 's'} known"
with look.card(
    strings.WATERFALL,
    strings.WATERFALL_SUB.format(attempts=attempts, total=duration(total_ms * 1e6)),
    key="waterfall_card",
):
    if placed:
        run_view.WATERFALL(
            data={"bars": placed, "total": total_ms, "selected": selected},
            key="waterfall",
            default={"selected": None},
            on_selected_change=lambda: None,
        )
    else:
        st.caption(strings.WATERFALL_NONE)

_LEVELS = {
    "TRACE": "gray",
    "DEBUG": "gray",
    "INFO": "blue",
    "WARN": "orange",
    "ERROR": "red",
    "FATAL": "red",
    "?": "gray",
}


def _level(number: int | None) -> str:
    if not number:
        return "?"
    return ("TRACE", "DEBUG", "INFO", "WARN", "ERROR", "FATAL")[min(5, (number - 1) // 4)]


def _at(record: dict[str, Any]) -> int:
    raw = record.get("time_unix_nano") or record.get("start_time_unix_nano") or record.get("observed_time_unix_nano")
    return int(raw or record["received_ns"])


def _brief(record: dict[str, Any]) -> str:
    """Return a record's own attributes on one line, the platform's left out."""
    own = {k: v for k, v in json.loads(record["attributes"] or "{}").items() if not k.startswith("$")}
    return visible(" ".join(f"{k}={v if isinstance(v, str) else json.dumps(v)}" for k, v in own.items()))[:400]


zero = min((bar["start"] for bar in bars), default=run["first_seen_ns"] or 0)
bar = next((b for b in bars if b["id"] == selected), None)
logs = found["logs"]
if bar:
    logs = [r for r in logs if bar["start"] - 1_000_000 <= _at(r) <= bar["end"] + 1_000_000]

grid = st.grid(3, min_column_width=320, gap="small")
picked: dict[str, Any] | None = None
with (
    grid.cell(column_span=2),
    look.card(
        strings.LOGS,
        strings.LOGS_SUB.format(
            n=len(logs), within=f" within the selected bar, of {len(found['logs'])}" if bar else ""
        ),
        key="logs_card",
    ),
):
    if not found["logs"]:
        st.caption(strings.LOGS_NONE)
    else:
        rows = pl.DataFrame(
            {
                "Offset": [(_at(r) - zero) / 1e9 for r in logs],
                "Level": [[_level(r["severity_number"])] for r in logs],
                "Attempt": [r["attempt"] for r in logs],
                "Message": [visible(r["body"] or "") for r in logs],
                "Attributes": [_brief(r) for r in logs],
            },
            schema={
                "Offset": pl.Float64, "Level": pl.List(pl.String), "Attempt": pl.Int64, "Message": pl.String,
                "Attributes": pl.String,
            },
        )  # fmt: skip
        event = st.dataframe(
            rows,
            hide_index=True,
            row_height=30,
            height=min(460, 40 + 30 * max(1, len(logs))),
            key=f"logs_{selected}",
            on_select="rerun",
            selection_mode="single-row",
            alt="Logs",
            column_config={
                "Offset": st.column_config.NumberColumn(format="+%.3f s", width=95),
                "Level": st.column_config.MultiselectColumn(
                    options=list(_LEVELS), color=list(_LEVELS.values()), width=80
                ),
                "Attempt": st.column_config.NumberColumn(width=65),
                "Message": st.column_config.TextColumn(width=270),
                "Attributes": st.column_config.TextColumn(width=420),
            },
        )
        if event.selection.rows:
            picked = logs[event.selection.rows[0]]
    if found["spans"]:
        st.html(f'<h2 class="rw-title" style="margin-top:8px">{strings.SPANS}</h2>')
        spans = pl.DataFrame(
            {
                "Offset": [(_at(r) - zero) / 1e9 for r in found["spans"]],
                "Type": [r["span_type"] for r in found["spans"]],
                "Attempt": [r["attempt"] for r in found["spans"]],
                "Name": [visible(r["name"]) for r in found["spans"]],
                "Duration": [duration(r["duration_ns"]) for r in found["spans"]],
                "Status": [{0: "unset", 1: "ok", 2: "error"}.get(r["status_code"], "?") for r in found["spans"]],
            },
            schema_overrides={"Attempt": pl.Int64, "Offset": pl.Float64},
        )
        event = st.dataframe(
            spans,
            hide_index=True,
            row_height=30,
            height=min(340, 40 + 30 * spans.height),
            key="spans_table",
            on_select="rerun",
            selection_mode="single-row",
            alt="Spans",
            column_config={
                "Offset": st.column_config.NumberColumn(format="+%.3f s", width=95),
                "Attempt": st.column_config.NumberColumn(width=65),
            },
        )
        if picked is None and event.selection.rows:
            picked = found["spans"][event.selection.rows[0]]
    for what in found["truncated"]:
        st.caption(strings.TRUNCATED.format(most=f"{len(found[what]):,}", what=what))

with grid.cell():
    with look.card(strings.RECORD, key="record_card"):
        if picked is None:
            st.caption(strings.RECORD_NONE)
        else:
            parsed = {k: json.loads(picked[k]) for k in ("attributes", "events", "links") if picked.get(k)}
            st.json(parsed.pop("attributes", {}), expanded=True)
            with st.expander("Record"):
                plain = {k: v for k, v in picked.items() if v is not None and k not in parsed and k != "attributes"}
                plain.pop("resource_attributes", None)
                st.json({**plain, **parsed}, expanded=1)
            with st.expander("Resource"):
                st.json(json.loads(picked.get("resource_attributes") or "{}"), expanded=True)
    if found["children"]:
        with look.card(strings.CHILDREN, strings.CHILDREN_SUB, key="children_card"):
            children = found["children"]
            event = st.dataframe(
                pl.DataFrame(
                    {
                        "Task": [visible(c["task_id"] or "unknown") for c in children],
                        "Status": [[c["status"]] for c in children],
                        "Attempts": [c["attempt_count"] for c in children],
                        "Run": [visible(c["run_id"]) for c in children],
                    },
                    schema_overrides={"Attempts": pl.Int64},
                ),
                hide_index=True,
                row_height=30,
                key="children_table",
                on_select="rerun",
                selection_mode="single-row",
                alt="Runs it triggered",
                column_config={"Status": look.pills("Status"), "Attempts": st.column_config.NumberColumn(width=70)},
            )
            if event.selection.rows:
                child = children[event.selection.rows[0]]
                st.switch_page(
                    "app_pages/run.py", query_params={"run_id": child["run_id"], "run_key": child["run_key"]}
                )
st.caption(strings.PROVENANCE_LEGEND)
