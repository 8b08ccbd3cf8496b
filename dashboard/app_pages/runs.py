"""Runs: filters in the URL, fifty a page, a click opens one."""

from __future__ import annotations

import zlib

import polars as pl
import streamlit as st

from collector.model.affected import Affected
from collector.model.words import RARE
from dashboard import data, strings
from dashboard.parts import charts, look, provenance
from dashboard.parts import chosen as chosen_
from dashboard.parts.run_filters import asked
from dashboard.parts.text import NONE, count, duration, visible
from dashboard.parts.theme import STATUS_COLORS

chosen = look.header(strings.RUNS, strings.RUNS_SUB)


def choice(title: str, key: str, width: int) -> str | None:
    """Draw the filter by *key*, one of the names there are, and return which was chosen."""
    return st.selectbox(
        title,
        data.choices(key),
        index=None,
        key=key,
        placeholder=title,
        label_visibility="collapsed",
        width=width,
        bind="query-params",
        format_func=visible,
    )


def affected_words(text: str) -> str:
    """Return which runs are affected, in words; what is no such filter as it is: the API says what it expects."""
    try:
        return visible(f"{strings.AFFECTED}: {Affected.read(text).words()}")
    except ValueError:
        return visible(text)


with st.container(horizontal=True, vertical_alignment="center", gap="small", key="filters"):
    search = st.text_input(
        "Search",
        placeholder=strings.SEARCH,
        key="q",
        label_visibility="collapsed",
        icon=":material/search:",
        width=280,
        bind="query-params",
    )
    # What telemetry can say of a run, and what a run has.
    rare = {*RARE, "skipped"} - set(data.choices("status"))
    offered = [status for status in STATUS_COLORS if status not in rare]
    if "status" in st.session_state:
        st.session_state["status"] = [status for status in st.session_state["status"] if status in offered]
    statuses = st.multiselect(
        "Status",
        offered,
        key="status",
        placeholder="Status",
        label_visibility="collapsed",
        width=200,
        bind="query-params",
    )
    task = choice("Task", "task", 190)
    queue = choice("Queue", "queue", 160)
    # Asked for by the table of errors, as `hours` is by pages: there are too many to choose from.
    error = st.session_state.get("error_group") or st.query_params.get("error_group")
    if error:
        error = st.selectbox(
            strings.ERROR_GROUP,
            [error],
            index=None,
            key="error_group",
            placeholder=strings.ERROR_GROUP,
            label_visibility="collapsed",
            width=280,
            bind="query-params",
            format_func=visible,
        )
    version, affected = (
        look.linked(key, title, width, words(st.query_params.get(key, "")))
        for key, title, width, words in (
            ("version", strings.VERSION, 170, visible),
            ("affected", strings.AFFECTED, 380, affected_words),
        )
    )
    at = st.segmented_control(
        "What of a run lies in the range",
        list(strings.RUNS_AT),
        default=next(iter(strings.RUNS_AT)),
        key="at",
        required=True,
        label_visibility="collapsed",
        bind="query-params",
    )
    retried = st.toggle("Retried only", key="retried", bind="query-params")
    counted = st.toggle("Counted only", key="counted", bind="query-params", help=strings.COUNTED_HELP)
    # Asked for by pages that count so: nobody else needs to know.
    is_asked = st.session_state.get("hours") or st.query_params.get("hours")
    hours = bool(is_asked) and st.toggle("Whole hours", key="hours", bind="query-params", help=strings.HOURS_HELP)

window = chosen.hours() if hours else chosen.window()
wanted = {"q": search, "status": statuses, "task": task, "queue": queue, "at": at, "retried": retried}
narrowed = {"counted": counted, "error_group": error, "version": version, "affected": affected}
filters = asked({**wanted, **narrowed}, window, chosen_.here())
signature = str([chosen.label, *sorted((k, v) for k, v in filters.items() if k not in ("from_", "to"))])
# Other filters are another list, which starts at its first page.
page_key = f"runs_page_{zlib.crc32(signature.encode()):x}"
number = int(st.session_state.get(page_key, 1))
page, total = data.runs(**filters, limit=data.PAGE, offset=(number - 1) * data.PAGE)
which = (strings.RUNS_AFFECTED if affected else strings.RUNS_AT[filters["at"]]) + (
    f" · {strings.WHOLE_HOURS.format(at=charts.minute(window[0]))}" if hours else ""
)
st.caption(f"**{count(total)}** {strings.RUN_COUNT if total != 1 else strings.RUN_COUNT_ONE} {which}")


def table(runs: pl.DataFrame) -> pl.DataFrame:
    """Return what the page shows of *runs*: values that are not measured carry their mark, unknown ones say so."""
    marks = {name: "" if name == "measured" else f" {glyph}" for name, glyph in provenance.GLYPHS.items()}

    def marked(value: pl.Expr, source: str) -> pl.Expr:
        sign = pl.col(source).replace_strict(marks, default=" ?")
        return pl.when(value.is_null()).then(pl.lit("?")).otherwise(value.cast(pl.String) + sign)

    def shown(column: str) -> pl.Expr:
        return pl.col(column).map_elements(visible, return_dtype=pl.String)

    at = pl.coalesce("started_ns", "queued_ns", "first_seen_ns")
    wait = pl.col("queue_wait_ns").map_elements(duration, return_dtype=pl.String)
    open_ = pl.when(pl.col("ambiguous")).then(pl.lit(f" · {strings.LEFT_OPEN}")).otherwise(pl.lit(""))
    # Where all runs are of one environment or project it tells none apart.
    whose = {"Environment": "environment", "Project": "platform_project"}
    several = {title: shown(name) for title, name in whose.items() if runs[name].n_unique() > 1}
    return runs.select(
        Run=shown("run_id") + open_,
        Status=pl.concat_list(marked(pl.coalesce("outcome", "status"), "status_source")),
        Task=shown("task_id").fill_null(strings.UNKNOWN),
        **several,
        Queue=shown("queue"),
        Attempts=marked(pl.col("attempt_count"), "attempt_count_source"),
        Started=(at // 1_000_000).cast(pl.Datetime("ms")),
        Wait=marked(wait, "queue_wait_source"),
        Duration=pl.when((pl.col("ended_ns") >= pl.col("started_ns")) & (pl.col("started_source") != "unknown")).then(
            pl.col("ended_ns") - pl.col("started_ns")
        )
        / 1e9,
        Error=pl.coalesce("error_group", "error_type").map_elements(visible, return_dtype=pl.String),
        Version=shown("version"),
    )


if page.is_empty():
    look.notice(strings.NO_MATCH, icon="search_off")
else:
    rows = table(page)
    column = st.column_config
    longest = float(rows["Duration"].drop_nulls().max() or 1.0)  # type: ignore[arg-type]
    event = st.dataframe(
        rows,
        hide_index=True,
        height=look.table_height(rows.height, most=18),
        row_height=34,
        placeholder=NONE,
        key="runs_table",
        on_select="rerun",
        selection_mode="single-row",
        alt=strings.RUNS,
        column_config={
            "Run": column.TextColumn(width=220, pinned=True),
            "Status": look.pills("Status", width=115, marked=True),
            "Task": column.TextColumn(width=140),
            "Environment": column.TextColumn(width=110),
            "Queue": column.TextColumn(width=125),
            "Attempts": column.TextColumn(width=70, alignment="right", help=strings.PROVENANCE_LEGEND),
            "Started": column.DatetimeColumn(format="MMM DD HH:mm:ss", width=125),
            "Wait": column.TextColumn("Queue wait", width=85, alignment="right", help=strings.PROVENANCE_LEGEND),
            "Duration": column.ProgressColumn(format="%.2f s", min_value=0, max_value=longest, width=140),
            "Error": column.TextColumn(width=150),
            "Version": column.TextColumn(width=100),
        },
    )
    with st.container(horizontal=True, horizontal_alignment="distribute", vertical_alignment="center"):
        left_open = f" · {strings.LEFT_OPEN_LEGEND}" if page["ambiguous"].any() else ""
        st.caption(f"{strings.SELECT_HINT} · {strings.PROVENANCE_LEGEND}{left_open}")
        st.pagination(max(1, -(-total // data.PAGE)), key=page_key, persist_state="session")
    selected = event.selection.rows
    if selected:
        row = page.row(selected[0], named=True)
        st.switch_page("app_pages/run.py", query_params={"run_id": row["run_id"], "run_key": row["run_key"]})
