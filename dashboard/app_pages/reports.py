"""Reports: what changed against what is usual, the evidence for it, and what was checked to be able to say so."""

from __future__ import annotations

import datetime as dt
from functools import partial

import streamlit as st

from collector.client import ApiError
from collector.model import links
from collector.model import verdict as said
from collector.model.report import Anomaly, Report
from dashboard import data, strings
from dashboard.parts import bars, look, report_charts, theme
from dashboard.parts import report_view as view
from dashboard.parts.text import NONE, count, safe, visible

look.plain_header()
with st.container(horizontal=True, vertical_alignment="bottom", horizontal_alignment="distribute", key="page_header"):
    with st.container(gap=None):
        st.title(strings.REPORTS, anchor=False)
        st.caption(strings.REPORTS_SUB)
    with st.popover(strings.REPORT_MAKE, icon=":material/play_arrow:"):
        st.caption(strings.REPORT_MAKE_SUB)
        since = st.selectbox(
            strings.REPORT_MAKE,
            list(strings.REPORT_SPANS),
            format_func=strings.REPORT_SPANS.__getitem__,
            label_visibility="collapsed",
            key="report_since",
        )
        if st.button(strings.REPORT_MAKE_GO, type="primary", key="report_make"):
            with st.spinner(strings.REPORT_MAKING):
                st.query_params["report"] = data.make_report(since).id
            st.rerun()

rows = data.reports()
ids: list[str] = [r["id"] for r in rows]
labels = {r["id"]: view.label(r) for r in rows}
asked = st.query_params.get("report")
if asked and asked not in ids:
    ids.append(asked)  # an older one, by its link


def schedules() -> None:
    """Draw when each schedule comes round next, or how to have one."""
    coming = data.next_reports()
    with look.card(strings.NEXT, strings.NEXT_SUB, key="next"):
        if coming:
            look.table(view.schedules(coming), strings.NEXT, {}, row=30, most=8)
        else:
            st.markdown(strings.NEXT_NONE)
            st.code(strings.NEXT_TOML.format(zone=st.context.timezone or "UTC"), language=None)


if not ids:
    look.notice(f"**{strings.REPORT_NONE_TITLE}.** {strings.REPORT_NONE}", icon="troubleshoot")
    schedules()
    st.stop()


def choose() -> None:
    """Put the report that was chosen into the URL, which says what is shown."""
    st.query_params.from_dict({"report": st.session_state["report_choice"]})


# A widget bound to the URL would write the label there, and a link says the id.
chosen_id: str = asked or ids[0]
st.session_state["report_choice"] = chosen_id
st.selectbox(
    strings.REPORT_CHOOSE,
    ids,
    key="report_choice",
    label_visibility="collapsed",
    on_change=choose,
    width=620,
    format_func=lambda i: visible(labels.get(i) or str(i)),
)


def head(report: Report) -> None:
    """Draw the verdict, what it rests on, and the downloads."""
    st.header(safe(said.verdict(report), longest=300), anchor=False)
    with st.container(horizontal=True, vertical_alignment="center", horizontal_alignment="distribute"):
        st.caption(
            f"{said.stretch(report.period, report.zone, year=True)} · {safe(report.zone)} · {said.checked(report)}"
        )
        with st.container(horizontal=True, gap="small", width="content"):
            for form, name, mime in (
                ("html", "HTML", "text/html"),
                ("md", "Markdown", "text/markdown"),
                ("json", "JSON", "application/json"),
            ):
                st.download_button(
                    name,
                    partial(data.report_text, report.id, form, origin()),
                    f"runwell-{report.id}.{form}",
                    mime,
                    icon=":material/download:",
                    on_click="ignore",
                    key=f"download_{form}",
                )


def origin() -> str | None:
    """Return where this dashboard is for its reader, so that a downloaded report links back."""
    return (st.context.url or "").rsplit("/", 1)[0] or None


def evidence(report: Report, a: Anomaly) -> None:
    """Draw one anomaly: chart, what is different, runs, why it is reported, whether it was expected."""
    with look.card(visible(a.title), said.stretch(a.span, report.zone), key="anomaly"):
        st.text(visible(a.text))
        st.markdown(view.row(links.of(a)))
        st.caption(
            strings.CHART_SUB.format(observed=said.fact(a.observed, a.unit), expected=said.fact(a.expected, a.unit))
            + (f" · {safe(a.chart.label)}" if a.chart else "")
        )
        if a.chart and a.chart.points:
            st.echarts_chart(
                report_charts.observed(a.chart, a.span, report.zone, theme.palette()),
                height=270,
                key=f"chart_{a.key}",
                alt="Observed against expected over time",
            )
        else:
            st.caption(strings.CHART_NONE)
        if a.nearest:
            at = said.moment(a.nearest.at_ns, report.zone)
            st.text(strings.NEAREST.format(label=visible(a.nearest.label), at=at))
        if a.together:
            st.caption(strings.TOGETHER)
            st.text("\n".join(visible(t.title) for t in a.together))
    grid = st.grid(2, min_column_width=380, gap="small")
    with grid.cell(), look.card(strings.DIFFERENT, strings.DIFFERENT_SUB, key="different"):
        if a.differences:
            bars.BARS(data={"rows": view.differences(a)}, key="difference_bars")
        else:
            st.caption(strings.DIFFERENT_NONE)
    with grid.cell(), look.card(strings.EXAMPLES, strings.EXAMPLES_SUB, key="examples"):
        examples(report, a)
    with grid.cell(), look.card(strings.WHY_REPORTED, strings.WHY_REPORTED_SUB, key="why"):
        for reason in view.reasons(a):
            st.text(reason)
    with grid.cell(), look.card(strings.SAY_TITLE, strings.SAY_SUB, key="say"):
        feedback(report, a)


def examples(report: Report, a: Anomaly) -> None:
    """Draw the runs to look at, and which conventions they break."""
    table = view.runs(a, report.zone)
    if table.is_empty():
        st.caption(strings.EXAMPLES_NONE)
    else:
        columns = {**view.RUN_COLUMNS, "Status": look.pills("Status", width=105)}
        row = look.table(table, strings.EXAMPLES, columns, row=30, key=f"examples_{a.key}")
        if row is not None:
            run = view.examples(a)[row]
            st.switch_page("app_pages/run.py", query_params={"run_id": run.run_id, "run_key": run.run_key})
    if a.findings:
        st.caption(strings.BROKEN_HERE)
        st.markdown(view.row([links.rule(code) for code in a.findings]))


def feedback(report: Report, a: Anomaly) -> None:
    """Draw what was said of an anomaly, or the form to say it."""
    said_before = data.feedback().get(a.key)
    if said_before:
        until = (
            ""
            if said_before["until_ns"] is None
            else strings.SAID_UNTIL.format(at=said.moment(said_before["until_ns"], report.zone, year=True))
        )
        st.text(strings.SAID.format(until=until, note=visible(said_before["note"]) or strings.NO_NOTE))
        if st.button(strings.SAY_BACK, key=f"back_{a.key}"):
            data.say_expected(a.key, expected=False)
            st.rerun()
        return
    with st.form(f"say_{a.key}", border=False):
        note = st.text_input(strings.SAY_NOTE, max_chars=500, key=f"note_{a.key}")
        choice = st.selectbox(strings.SAY_UNTIL, list(strings.SAY_UNTILS), key=f"until_{a.key}")
        if st.form_submit_button(strings.SAY_GO, icon=":material/check:"):
            days = strings.SAY_UNTILS[choice]
            until_at = dt.datetime.now(dt.UTC) + dt.timedelta(days=days)
            data.say_expected(a.key, expected=True, note=note, until=until_at.isoformat() if days else None)
            st.rerun()


def basis(report: Report) -> None:
    """Draw what was checked and the period in numbers."""
    grid = st.grid(3, min_column_width=320, gap="small")
    with grid.cell(column_span=2), look.card(strings.CHECKED, strings.CHECKED_SUB, key="checked"):
        if report.checked:
            look.table(view.checked(report), strings.CHECKED, view.checked_columns(), row=30, most=18)
        else:
            st.caption(strings.CHECKED_NONE)
        if report.gaps:
            st.caption(strings.GAPS)
            st.text("\n".join(f"{said.stretch(g.span, report.zone)}: {visible(g.reason)}" for g in report.gaps))
        if report.left_out:
            st.caption(strings.LEFT_OUT)
            st.text("\n".join(visible(f"{left.name}: {left.part} ({left.reason})") for left in report.left_out))
    sub = strings.PERIOD_TOTALS_SUB.format(tasks=count(report.totals.tasks))
    with grid.cell(), look.card(strings.PERIOD_TOTALS, sub, key="totals"):
        look.table(view.totals(report), strings.PERIOD_TOTALS, view.TOTAL_COLUMNS, row=30)


try:
    report = data.report(chosen_id)
except ApiError as e:
    if not e.unknown:
        raise
    look.notice(strings.REPORT_UNKNOWN, icon="search_off")
else:
    head(report)
    anomalies = view.ordered(report)
    if anomalies:
        with look.card(strings.ANOMALIES, strings.ANOMALIES_SUB, key="anomalies"):
            table = view.anomalies(anomalies, report.zone)
            picked = look.table(table, strings.ANOMALIES, view.anomaly_columns(), key=f"anomalies_{report.id}")
            if report.more:
                st.caption(strings.ANOMALY_MORE.format(n=count(report.more)))
        keys = [a.key for a, _ in anomalies]
        if picked is not None and picked < len(keys):
            st.query_params["anomaly"] = keys[picked]
        linked = st.query_params.get("anomaly")
        evidence(report, anomalies[keys.index(linked) if linked in keys else 0][0])
    basis(report)


def chosen_in_table() -> None:
    """Take the selected row of the list as the report to show."""
    selected = st.session_state["reports_table"]["selection"]["rows"]
    if selected and selected[0] < len(rows):
        st.query_params.from_dict({"report": rows[selected[0]]["id"]})


schedules()
if rows:
    with look.card(strings.ALL_REPORTS, strings.ALL_REPORTS_SUB, key="all_reports"):
        st.dataframe(
            view.listed(rows),
            hide_index=True,
            row_height=30,
            height=look.table_height(len(rows), row=30, most=12),
            placeholder=NONE,
            alt=strings.ALL_REPORTS,
            key="reports_table",
            on_select=chosen_in_table,
            selection_mode="single-row",
            column_config=view.LIST_COLUMNS,
        )
