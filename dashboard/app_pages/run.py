"""Run detail: facts, waterfall, logs, the records as they were received."""

from __future__ import annotations

import time
from typing import Any

import polars as pl
import streamlit as st

from collector.client import ApiError
from collector.model.shown import MOST_SAME
from dashboard import data, strings
from dashboard.parts import findings, look, records, run_view
from dashboard.parts.text import count, duration, safe, visible, visible_json

look.plain_header()
st.page_link("app_pages/runs.py", label=strings.RUNS, icon=":material/arrow_back:")
run_id = st.query_params.get("run_id")
if not run_id:
    look.notice(strings.CHOOSE_RUN, icon="list_alt")
    st.stop()
try:
    parts = data.run(run_id, st.query_params.get("run_key"))
except ApiError as e:
    if not e.unknown:
        raise
    look.notice(strings.NO_RUN, icon="search_off")
    st.text(visible(run_id))
    st.stop()
run = parts["run"]
run_key = run["run_key"]

if run.get("set_aside"):
    look.notice(strings.RUN_SET_ASIDE.format(reason=safe(run["set_aside"], 500)), icon="rule")
run_view.FACTS(data=run_view.facts(run, parts.get("outlook"), now_ns=time.time_ns()), key="facts")
if run["ambiguous"]:
    look.notice(strings.RUN_LEFT_OPEN, icon="call_split")
if len(same := parts["same_id"]) > 1:
    title = strings.SEVERAL if st.query_params.get("run_key") else strings.SEVERAL_NEWEST
    several = f"At least {count(MOST_SAME)}" if len(same) >= MOST_SAME else count(len(same))
    with st.expander(title.format(n=several), expanded=run["ambiguous"]):
        st.caption(strings.SEVERAL_SUB)
        others = run_view.of_one_id(same, run_key)
        # A key of each run's own: what was selected on the page of another one is not selected here.
        row = look.table(
            others, strings.SAME_ID, {"Status": look.pills("Status")}, row=30, most=6, key=f"same_id_{run_key}"
        )
        if row is not None and same[row]["run_key"] != run_key:
            meant = {"run_id": same[row]["run_id"], "run_key": same[row]["run_key"]}
            st.switch_page("app_pages/run.py", query_params=meant)

bars = run_view.bars(parts)
zero = min((bar["start"] for bar in bars), default=run["first_seen_ns"] or 0)
failure = parts["failure"]
if failure:
    with look.card(strings.FAILURE, records.headline(failure, zero), key="failure_card"):
        st.text(visible(failure.get("body") or failure.get("name") or ""))
        st.caption(safe(records.brief(failure), 400))
with st.container(horizontal=True, gap="small", vertical_alignment="center"):
    mode = st.segmented_control(
        "Time axis",
        [strings.WALL, strings.WORK],
        default=strings.WALL,
        key="axis",
        required=True,
        label_visibility="collapsed",
        bind="query-params",
    )
    parent = parts["parent"]
    if parent and st.button(strings.PARENT, icon=":material/arrow_upward:", key="parent"):
        st.switch_page("app_pages/run.py", query_params={"run_id": parent["run_id"], "run_key": parent["run_key"]})

placed, total_ms = run_view.on_axis(bars, work_only=mode == strings.WORK)
state: Any = st.session_state.get("waterfall")
selected = state.get("selected") if state else None
n = len(parts["attempts"])
attempts = f"{n} attempt{'' if n == 1 else 's'} known"
with look.card(
    strings.WATERFALL,
    strings.WATERFALL_SUB.format(attempts=attempts, total=duration(total_ms * 1e6)),
    key="waterfall_card",
):
    if placed:
        run_view.WATERFALL(
            data={**run_view.drawn(placed, total_ms), "selected": selected},
            key="waterfall",
            default={"selected": None},
            on_selected_change=lambda: None,
        )
    else:
        st.caption(strings.WATERFALL_NONE)

bar = next((b for b in bars if b["id"] == selected), None)


def part(name: str, *, until_ns: int | None = None) -> tuple[dict[str, Any], str]:
    """Return the part of list *name* that was turned to, and where that stands; else the last one, or up to a time."""
    key = f"part_{run_key}_{name}_{until_ns}"
    turn = st.session_state.get(key)
    if turn is None and until_ns is not None and name in parts["truncated"]:
        turn = {"before": f"{name}.{until_ns}"}
    return (data.run(run["run_id"], run_key, **turn) if turn else parts), key


def turn_to(key: str, turn: dict[str, str]) -> None:
    """Show another part of a list from now on."""
    st.session_state[key] = turn


def pager(name: str, answer: dict[str, Any], key: str, total: int | None) -> None:
    """Say how much of list *name* is shown, and draw what leads to its other parts; nothing where it is whole."""
    if name not in parts["truncated"]:
        return
    n = len(answer[name])
    text = strings.PART_SOME if total is None or total < n else strings.PART
    earlier, later = (answer[way].get(name) for way in ("earlier", "later"))
    ways: dict[str, tuple[bool, dict[str, str]]] = {
        "first": (bool(earlier), {"after": name}),
        "earlier": (bool(earlier), {"before": earlier or ""}),
        "later": (bool(later), {"after": later or ""}),
        "last": (bool(later), {"before": name}),
    }
    with st.container(horizontal=True, gap="small", vertical_alignment="center", key=f"pager_{name}"):
        st.caption(text.format(n=count(n), total=count(total or 0), what=name), width="stretch")
        for way, (is_there, turn) in ways.items():
            st.button(
                strings.PARTS[way],
                key=f"{way}_{name}",
                type="tertiary",
                disabled=not is_there,
                on_click=turn_to,
                args=(key, turn),
            )


log_part, log_key = part("logs", until_ns=bar["end"] + records.SLACK_NS if bar else None)
span_part, span_key = part("spans")
child_part, child_key = part("children")
logs = records.within(log_part["logs"], bar["start"], bar["end"]) if bar else log_part["logs"]


def pick(rows: pl.DataFrame, source: list[dict[str, Any]], key: str, alt: str, columns: dict[str, Any]) -> Any:
    """Draw a table of records; return the record of the selected row."""
    event = st.dataframe(
        rows,
        hide_index=True,
        row_height=30,
        height=look.table_height(rows.height, row=30, most=14),
        placeholder=strings.UNKNOWN,
        key=key,
        on_select="rerun",
        selection_mode="single-row",
        alt=alt,
        column_config=columns,
    )
    return source[event.selection.rows[0]] if event.selection.rows else None


grid = st.grid(3, min_column_width=320, gap="small")
number = st.column_config.NumberColumn
offset = {"Offset": number(format="+%.3f s", width=95), "Attempt": number(width=80)}
picked: dict[str, Any] | None = None
with grid.cell(column_span=2):
    within = strings.LOGS_WITHIN.format(n=count(len(log_part["logs"]))) if bar else ""
    with look.card(strings.LOGS, strings.LOGS_SUB.format(n=count(len(logs)), within=within), key="logs_card"):
        if not parts["logs"]:
            st.caption(strings.LOGS_NONE)
        elif not logs:
            st.caption(strings.LOGS_NONE_WITHIN)
        else:
            columns = {
                **offset,
                "Level": records.level_column(),
                "Message": st.column_config.TextColumn(width=270),
                "Attributes": st.column_config.TextColumn(width=420),
            }
            picked = pick(records.log_rows(logs, zero), logs, f"logs_{selected}", strings.LOGS, columns)
        pager("logs", log_part, log_key, run["log_count"])
    spans = span_part["spans"]
    if parts["spans"]:
        with look.card(strings.SPANS, strings.SPANS_SUB.format(n=count(len(spans))), key="spans_card"):
            columns = {
                **offset,
                "Duration": number(format="%,.1f ms", width=100),
                "Status": records.span_status_column(),
                "Name": st.column_config.TextColumn(width=240),
            }
            picked = pick(records.span_rows(spans, zero), spans, "spans_table", strings.SPANS, columns) or picked
            pager("spans", span_part, span_key, run["span_count"])
    broken = data.findings(run_key=run["run_key"])["findings"]
    sub = strings.RUN_FINDINGS_SUB.format(n=len(broken), rules=len({f["code"] for f in broken})) if broken else ""
    with look.card(strings.RUN_FINDINGS, sub, key="run_findings"):
        if broken:
            look.table(findings.of_run(broken), strings.RUN_FINDINGS, findings.RUN_COLUMNS, row=30, most=8)
        else:
            st.caption(strings.RUN_FINDINGS_NONE)

with grid.cell():
    shown, why = (picked, strings.RECORD_PICKED) if picked else records.telling(logs or spans, None if bar else failure)
    with look.card(strings.RECORD, why, key="record_card"):
        if shown is None:
            st.caption(strings.RECORD_NONE)
        else:
            attributes, record, resource = records.as_received(shown)
            st.text(visible(shown.get("body") or shown.get("name") or ""))
            st.json(visible_json(attributes), expanded=True)
            with st.expander(strings.RECORD_REST):
                st.json(visible_json(record), expanded=1)
            with st.expander(strings.RECORD_RESOURCE):
                st.json(visible_json(resource), expanded=True)
    if parts["children"]:
        with look.card(strings.CHILDREN, strings.CHILDREN_SUB, key="children_card"):
            children = child_part["children"]
            rows = pl.DataFrame(
                {
                    "Task": [visible(c["task_id"] or strings.UNKNOWN) for c in children],
                    "Status": [[c["outcome"] or c["status"]] for c in children],
                    "Attempts": [c["attempt_count"] for c in children],
                    "Run": [visible(c["run_id"]) for c in children],
                },
                schema_overrides={"Attempts": pl.Int64},
            )
            columns = {"Status": look.pills("Status"), "Attempts": number(width=70)}
            child = pick(rows, children, "children_table", strings.CHILDREN, columns)
            pager("children", child_part, child_key, None)
            if child:
                st.switch_page(
                    "app_pages/run.py", query_params={"run_id": child["run_id"], "run_key": child["run_key"]}
                )
st.caption(strings.PROVENANCE_LEGEND)
