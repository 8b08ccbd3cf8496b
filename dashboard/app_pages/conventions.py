"""Conventions: which rules live telemetry breaks, the evidence, how to fix it, and what of the guideline is covered."""

from __future__ import annotations

from typing import Any

import polars as pl
import streamlit as st

from dashboard import data, strings
from dashboard.parts import chosen as chosen_
from dashboard.parts import columns, kpis, look
from dashboard.parts import findings as parts
from dashboard.parts.kpis import Kpi
from dashboard.parts.text import count, percent, visible, visible_json

chosen = look.header(strings.CONVENTIONS, strings.CONVENTIONS_SUB, fixed=False)
start, end = chosen.window()
here = chosen_.here()
answer = data.findings(since=start, **here)
findings: list[dict[str, Any]] = answer["findings"]
catalogue = data.rules()
trend = data.query("findings_trend", to_ns=end, **here)
rules = {r["code"]: r for r in catalogue["rules"]}
states = [s["state"] for s in catalogue["guideline"]]

per_day = trend.group_by("day_ns").agg(pl.col("count").sum()).sort("day_ns")["count"].to_list()
broken = {f["code"] for f in findings}
new = sum(f["state"] == "new" for f in findings)
errors = sum(f["severity"] == "error" for f in findings)
runs, clean = answer["runs"], answer["runs_without_errors"]
records = sum(f["count"] for f in findings)


def card(name: str, value: str, raw: int, change: str, against: str, tone: str, series: list[float | None]) -> Kpi:
    """Return a card of this page."""
    label, definition = strings.CONVENTION_KPIS[name]
    return Kpi(name, label, value, raw, definition, "derived", change, against, tone, series)


cards = [
    card(
        "compliance",
        percent(clean / runs if runs else None),
        clean,
        f"{count(runs - clean)} of {count(runs)}",
        strings.BREAK_ONE,
        "bad" if clean < runs else "flat",
        [],
    ),
    card("violations", count(records), records, "", strings.IN_RANGE, "flat", per_day),
    card(
        "findings",
        count(len(findings)),
        len(findings),
        str(errors),
        strings.ARE_ERRORS,
        "bad" if errors else "flat",
        [],
    ),
    card(
        "rules",
        f"{len(broken)} of {sum(r['on'] for r in rules.values())}",
        len(broken),
        f"{new}",
        strings.NEW_FINDINGS,
        "bad" if new else "flat",
        [],
    ),
    card(
        "covered",
        f"{len(states) - states.count('not_observable')} of {len(states)}",
        len(states) - states.count("not_observable"),
        str(states.count("checked")),
        strings.FULLY,
        "flat",
        [],
    ),
]
if answer["judged"]:
    kpis.show(cards, (start, end))

with look.card(strings.RULES, strings.RULES_SUB, key="rules"):
    every = st.toggle(strings.RULES_EVERY, key="every", bind="query-params")
    table = parts.by_rule(catalogue["rules"], findings, trend, end, every=every)
    if table.is_empty():
        st.caption(strings.RULES_NONE if answer["judged"] else strings.NOT_JUDGED)
        row = None
    else:
        row = look.table(table, strings.RULES, parts.RULE_COLUMNS, most=12, key="rules_table")
codes: list[str] = [] if table.is_empty() else table["Rule"].to_list()
wanted = codes[row] if row is not None and row < len(codes) else st.query_params.get("code")
code = wanted if wanted in rules else next(iter(codes), None)  # a link may name one that is not broken any more

if code:
    rule = rules[code]
    of_rule = [f for f in findings if f["code"] == code]
    grid = st.grid(3, min_column_width=320, gap="small")
    picked: dict[str, Any] | None = of_rule[0] if of_rule else None
    transform = str(data.findings(since=start, code=code, **here)["transform"])
    with grid.cell(column_span=2):
        title = f"{code} · {rule['summary']}"
        sub = strings.FINDINGS_SUB.format(records=count(sum(f["count"] for f in of_rule)), findings=count(len(of_rule)))
        with look.card(title, sub, key="findings"):
            if not of_rule:
                st.caption(strings.FINDINGS_NONE)
            else:
                at = look.table(
                    columns.select(parts.of_rule(of_rule), parts.FINDINGS),
                    title,
                    columns.configuration(parts.FINDINGS),
                    row=30,
                    most=8,
                    key=f"findings_{code}",
                )
                picked = of_rule[at] if at is not None and at < len(of_rule) else of_rule[0]
                st.text(visible(picked["message"]))
                st.caption(strings.EVIDENCE.format(n=len(picked["samples"])))
                for i, sample in enumerate(picked["samples"]):
                    st.json(visible_json(sample), expanded=2 if i == 0 else False)
    with grid.cell(), look.card(strings.FIX, rule["slug"], key="fix"):
        st.text(rule["how_to_fix"])
        if picked:
            st.text(visible(picked["remedy"]))
            change = parts.renamed(picked["samples"][0], transform) if picked["samples"] else ""
            if change:
                st.caption(strings.DIFF)
                st.code(change, language=None, wrap_lines=True)
            if picked["task_file"]:
                st.text(strings.TASK_FILE.format(file=visible(picked["task_file"])))
        with st.expander(strings.WHY):
            st.text(rule["why"])
            st.caption(strings.NOT_FLAGGED)
            st.text(rule["not_flagged"])
    if transform:
        with st.expander(strings.TRANSFORM):
            st.code(transform, language=None, wrap_lines=True)

sub = strings.COVERAGE_SUB.format(
    n=len(states),
    checked=states.count("checked"),
    partly=states.count("partly checked"),
    none=states.count("not_observable"),
)
with look.card(strings.COVERAGE, sub, key="coverage"):
    look.table(parts.coverage(catalogue["guideline"]), strings.COVERAGE, parts.COVERAGE_COLUMNS, row=30, most=12)
st.caption(strings.PROVENANCE_LEGEND)
