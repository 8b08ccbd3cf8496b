"""A report as rows for tables and bars: pure functions of the report's own numbers."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import polars as pl
import streamlit as st

from collector.model import verdict as said
from collector.model.links import Link
from collector.model.report import Anomaly, Report, RunRef, Span
from dashboard import strings
from dashboard.parts.text import count, percent, safe, visible

STATES = {"new": "red", "ongoing": "orange", "resolved": "green", "expected": "gray"}


def state_column() -> Any:
    """Return the column configuration that draws an anomaly's state as a pill."""
    return st.column_config.MultiselectColumn("State", options=list(STATES), color=list(STATES.values()), width=85)


def anomaly_columns() -> dict[str, Any]:
    """Return the column configuration of the table of anomalies."""
    text = st.column_config.TextColumn
    return {
        "State": state_column(),
        "What": text(width=325),
        "Check of": text(width=135),
        "When": text(width=245),
        "Observed": text(width=80, alignment="right"),
        "Expected": text(width=80, alignment="right"),
        "Beyond": text(width=75, alignment="right", help=strings.BEYOND),
    }


def anomalies(listed: Sequence[tuple[Anomaly, str]], zone: str) -> pl.DataFrame:
    """Return one row an anomaly, beside its state."""
    return pl.DataFrame(
        {
            "State": [[state] for _, state in listed],
            "What": [visible(a.title) for a, _ in listed],
            "Check of": [a.kind.label for a, _ in listed],
            "When": [said.stretch(a.span, zone) for a, _ in listed],
            "Observed": [said.value(a.observed.value, a.unit) for a, _ in listed],
            "Expected": [said.value(a.expected.value, a.unit) for a, _ in listed],
            "Beyond": [said.value(a.excess, "count") for a, _ in listed],
        },
        schema_overrides={"State": pl.List(pl.String)},
    )


def ordered(report: Report) -> list[tuple[Anomaly, str]]:
    """Return all anomalies with their state, as they are read: new, going on, called expected, resolved."""
    new, ongoing = said.split(report)
    return [
        *((a, "new") for a in new),
        *((a, "ongoing") for a in ongoing),
        *((a, "expected") for a in report.expected),
        *((a, "resolved") for a in report.resolved),
    ]


def differences(a: Anomaly) -> list[dict[str, Any]]:
    """Return bars of what is different: the affected runs' share above that of the others."""
    rows: list[dict[str, Any]] = []
    for d in a.differences:
        rows.append(
            {
                "label": visible(f"{d.dimension} = {d.value}"),
                "value": percent(d.affected.value, 0),
                "more": strings.DIFFERENT_MORE.format(others=percent(d.others.value, 0)),
                "parts": [{"share": d.affected.value or 0, "tone": "bad"}],
                "second": [{"share": d.others.value or 0, "tone": "rest"}],
                "note": strings.DIFFERENT_NOTE.format(
                    hits=said.counts(d.affected), others=said.counts(d.others), share=percent(d.excess_share, 0)
                ),
            }
        )
    return rows


RUN_COLUMNS: dict[str, Any] = {
    "Run": st.column_config.TextColumn(width=165),
    "As": st.column_config.TextColumn(width=75),
    "When": st.column_config.TextColumn(width=120),
    "Task": st.column_config.TextColumn(width=120),
}


def examples(a: Anomaly) -> list[RunRef]:
    """Return the runs to look at, a healthy one last."""
    return [*a.affected_runs, *([a.healthy_run] if a.healthy_run else [])]


def runs(a: Anomaly, zone: str) -> pl.DataFrame:
    """Return one row a run to look at."""
    shown = examples(a)
    healthy = [r is a.healthy_run for r in shown]
    table = pl.DataFrame(
        {
            "Run": [visible(r.run_id) for r in shown],
            "As": [strings.EXAMPLE_HEALTHY if h else strings.EXAMPLE_AFFECTED for h in healthy],
            "Status": [[r.status] for r in shown],
            "When": [said.moment(r.at_ns, zone) for r in shown],
            "Task": [visible(r.task_id) if r.task_id else strings.UNKNOWN for r in shown],
        },
        schema_overrides={"Status": pl.List(pl.String)},
    )
    return table.drop("Task") if a.subject.type == "task" else table


def row(to: Iterable[Link]) -> str:
    """Return links as one line of Markdown; each opens a tab of its own, beside the report."""
    return " · ".join(f"[{safe(link.label)}]({link.url('.')})" for link in to)


def reasons(a: Anomaly) -> list[str]:
    """Return why it is reported: threshold with q, what is usual, the back-test."""
    threshold = ", ".join(part for part in (a.threshold, said.q_value(a.q)) if part)
    return [visible(part) for part in (threshold, a.baseline, said.backtest(a.backtest)) if part]


def checked_columns() -> dict[str, Any]:
    """Return the column configuration of the table of checks."""
    number = st.column_config.NumberColumn(format="localized", width=75)
    text = st.column_config.TextColumn
    return {
        "Check of": text(width=190),
        **dict.fromkeys(("Series", "Assessed", "Too little", "Tests"), number),
        "Not assessed": text(width=190),
    }


def checked(report: Report) -> pl.DataFrame:
    """Return one row a kind of check."""
    return pl.DataFrame(
        {
            "Check of": [c.kind.label for c in report.checked],
            "Series": [c.series for c in report.checked],
            "Assessed": [c.assessed for c in report.checked],
            "Too little": [c.too_little for c in report.checked],
            "Tests": [c.tests for c in report.checked],
            "Not assessed": [visible(c.not_assessed) or None for c in report.checked],
        },
        schema_overrides={"Not assessed": pl.String},
    )


TOTAL_COLUMNS: dict[str, Any] = {
    "Runs": st.column_config.TextColumn(width=80),
    **{name: st.column_config.TextColumn(width=75, alignment="right") for name in ("This period", "Before", "Change")},
}


def totals(report: Report) -> pl.DataFrame:
    """Return the period's totals beside those of the stretch before."""
    rows = [
        (label, getattr(report.totals, name), getattr(report.totals, f"before_{name}"))
        for name, label in strings.TOTAL_NAMES.items()
    ]
    return pl.DataFrame(
        {
            "Runs": [label for label, _, _ in rows],
            "This period": [count(now) for _, now, _ in rows],
            "Before": [count(before) for _, _, before in rows],
            "Change": [said.changed(now, before) for _, now, before in rows],
        }
    )


def found_in_words(row: dict[str, Any]) -> str:
    """Return the counts of a report in words."""
    parts = [f"{row[name]} {name}" for name in ("new", "ongoing", "resolved") if row[name]]
    return ", ".join(parts) or "nothing"


def label(row: dict[str, Any]) -> str:
    """Return what a report is called in the list to choose from."""
    period = said.stretch(Span(from_ns=row["from_ns"], to_ns=row["to_ns"]), row["zone"])
    return strings.REPORT_LABEL.format(schedule=row["schedule"], period=period, found=found_in_words(row))


LIST_COLUMNS: dict[str, Any] = {
    "Schedule": st.column_config.TextColumn(width=180),
    "Period": st.column_config.TextColumn(width=300),
    "Zone": st.column_config.TextColumn(width=120),
}


def listed(rows: Sequence[dict[str, Any]]) -> pl.DataFrame:
    """Return one row a report."""
    return pl.DataFrame(
        {
            "Schedule": [visible(r["schedule"]) for r in rows],
            "Period": [said.stretch(Span(from_ns=r["from_ns"], to_ns=r["to_ns"]), r["zone"], year=True) for r in rows],
            "Zone": [r["zone"] for r in rows],
            "Made": [said.moment(r["as_of_ns"], r["zone"]) for r in rows],
            "New": [r["new"] for r in rows],
            "Ongoing": [r["ongoing"] for r in rows],
            "Resolved": [r["resolved"] for r in rows],
        }
    )


def schedules(rows: Sequence[dict[str, Any]]) -> pl.DataFrame:
    """Return one row a schedule with its next firing."""
    return pl.DataFrame(
        {
            "Schedule": [visible(r["schedule"]) for r in rows],
            "Cron": [r["cron"] for r in rows],
            "Zone": [r["zone"] for r in rows],
            "Next": [said.moment(f[0]["fire_ns"], r["zone"]) if (f := r["firings"]) else None for r in rows],
            "Covers": [
                said.stretch(Span(from_ns=f[0]["from_ns"], to_ns=f[0]["to_ns"]), r["zone"])
                if (f := r["firings"])
                else None
                for r in rows
            ],
            "Goes to": [", ".join(r["deliver"]) or None for r in rows],
        },
        schema_overrides={"Next": pl.String, "Covers": pl.String, "Goes to": pl.String},
    )
