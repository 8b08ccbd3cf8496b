"""Findings and rules as tables: pure functions of what the API says of the conventions."""

from __future__ import annotations

import difflib
import json
from typing import Any

import polars as pl
from streamlit import column_config as column

from collector.model.units import DAY_NS
from dashboard import strings
from dashboard.parts.columns import Column, Columns, moment, text
from dashboard.parts.text import visible, visible_json

Finding = dict[str, Any]

SEVERITIES = {"error": "red", "warning": "orange", "info": "blue", "–": "gray"}  # noqa: RUF001 -- the dash of nothing
STATES = {"new": "red", "ongoing": "orange", "resolved": "green"}
COVERED = {"checked": "green", "partly checked": "orange", "not_observable": "gray"}
DAYS = 10


def _pill(colors: dict[str, str], width: int) -> Any:
    return column.MultiselectColumn(options=list(colors), color=list(colors.values()), width=width)


RULE_COLUMNS = {
    "Rule": column.TextColumn(width=80, pinned=True),
    "Requirement": column.TextColumn(width=470),
    "Severity": _pill(SEVERITIES, 85),
    "Records": column.NumberColumn(format="localized", width=80),
    "Runs": column.NumberColumn(format="localized", width=70),
    "Tasks": column.NumberColumn(width=60),
    "New": column.NumberColumn(width=55, help="Findings first seen within the last day."),
    "10 days": column.BarChartColumn(width=150, color="orange"),
}
FINDINGS: Columns = {
    "Task": Column(text("task_id").replace("", None).fill_null(strings.UNKNOWN), column.TextColumn(width=130)),
    "State": Column(pl.concat_list("state"), _pill(STATES, 80)),
    "Operation": Column(text("operation"), column.TextColumn(width=130)),
    "Key": Column(text("key"), column.TextColumn(width=120)),
    "Records": Column(pl.col("count"), column.NumberColumn(format="localized", width=70)),
    "Runs affected": Column(100 * pl.col("share"), column.NumberColumn(format="%.1f %%", width=90)),
    "First seen": Column(moment("first_seen_ns"), column.DatetimeColumn(format="MMM DD HH:mm:ss", width=120)),
    "Last seen": Column(moment("last_seen_ns"), column.DatetimeColumn(format="MMM DD HH:mm:ss", width=120)),
    "Since version": Column(text("since_version"), column.TextColumn(width=95)),
}
"""Of `of_rule`."""
RUN_COLUMNS = {
    "Severity": _pill(SEVERITIES, 80),
    "Rule": column.TextColumn(width=75),
    "Records": column.NumberColumn(width=65),
    "What": column.TextColumn(width=420),
}
COVERAGE_COLUMNS = {
    "#": column.TextColumn(width=45),
    "Guideline": column.TextColumn(width=330),
    "State": _pill(COVERED, 115),
    "Rules": column.TextColumn(width=190),
    "Would need": column.TextColumn(width=330),
}


def by_rule(
    rules: list[dict[str, Any]], findings: list[Finding], trend: pl.DataFrame, now_ns: int, *, every: bool
) -> pl.DataFrame:
    """Return one row a rule, the worst first, as a report of `runwell check`; *every* adds those that nothing violates.

    *trend*: code, day_ns, count of the last `DAYS` days, days without any left out.
    """
    today = now_ns // DAY_NS * DAY_NS
    days = [today - i * DAY_NS for i in reversed(range(DAYS))]
    per_day = {
        (code, day): int(n) for code, day, n in trend.group_by("code", "day_ns").agg(pl.col("count").sum()).rows()
    }
    rows = []
    for rule in rules:
        of_rule = [f for f in findings if f["code"] == rule["code"]]
        if not of_rule and not (every and rule["on"]):
            continue
        severity = min((f["severity"] for f in of_rule), key=list(SEVERITIES).index, default=rule["severity"])
        rows.append(
            {
                "Rule": rule["code"],
                "Requirement": rule["summary"],
                "Severity": [severity],
                "Records": sum(f["count"] for f in of_rule),
                "Runs": max((f["runs"] for f in of_rule), default=0),
                "Tasks": len({f["task_id"] for f in of_rule}),
                "New": sum(f["state"] == "new" for f in of_rule),
                "10 days": [per_day.get((rule["code"], day), 0) for day in days],
                "rank": (
                    not of_rule,
                    list(SEVERITIES).index(severity),
                    rule["matter"],
                    -sum(f["count"] for f in of_rule),
                    rule["code"],
                ),
            }
        )
    rows.sort(key=lambda r: r["rank"])
    return pl.DataFrame([{k: v for k, v in r.items() if k != "rank"} for r in rows], infer_schema_length=None)


_FIELDS = {
    "task_id": pl.String,
    "state": pl.String,
    "operation": pl.String,
    "key": pl.String,
    "count": pl.Int64,
    "share": pl.Float64,
    "first_seen_ns": pl.Int64,
    "last_seen_ns": pl.Int64,
    "since_version": pl.String,
}


def of_rule(findings: list[Finding]) -> pl.DataFrame:
    """Return one row a finding of one rule, as the API names its fields."""
    return pl.DataFrame([{name: f[name] for name in _FIELDS} for f in findings], schema=_FIELDS)


def of_run(findings: list[Finding]) -> pl.DataFrame:
    """Return one row a finding of one run."""
    return pl.DataFrame(
        {
            "Severity": [[f["severity"]] for f in findings],
            "Rule": [f["code"] for f in findings],
            "Records": [f["count"] for f in findings],
            "What": [visible(f["message"]) for f in findings],
        }
    )


def coverage(sentences: list[dict[str, Any]]) -> pl.DataFrame:
    """Return one row a sentence of the guideline, with what telemetry can say of it."""
    return pl.DataFrame(
        {
            "#": [s["number"] for s in sentences],
            "Guideline": [s["text"] for s in sentences],
            "State": [[s["state"]] for s in sentences],
            "Rules": [", ".join(s["rules"]) for s in sentences],
            "Would need": [s["wanting"] for s in sentences],
        }
    )


def renamed(sample: dict[str, Any], transform: str) -> str:
    """Return a sample's attributes before and after *transform* as a unified diff, empty when it changes nothing.

    *transform* is the Collector's configuration for the finding; its `set` statements name old and new keys.
    """
    attributes = sample.get("attributes")
    before = json.loads(attributes) if isinstance(attributes, str) else dict(attributes or {})
    after = dict(before)
    for wrong, right in _renames(transform):
        if wrong in after and right not in after:
            after = {(right if key == wrong else key): value for key, value in after.items()}
    if after == before:
        return ""
    old, new = (json.dumps(visible_json(a), indent=1, ensure_ascii=False).splitlines() for a in (before, after))
    diff = difflib.unified_diff(old, new, lineterm="", n=2)
    return "\n".join(line for line in diff if not line.startswith(("---", "+++", "@@")))


def _renames(transform: str) -> list[tuple[str, str]]:
    """Return (old, new) of every `set(log.attributes["new"], log.attributes["old"])`."""
    renames = []
    for line in transform.splitlines():
        parts = line.split('log.attributes["')
        if "set(" in line and len(parts) > 2:
            new, old = (
                p.split('"]')[0].replace('\\"', '"').replace("\\\\", "\\").replace("''", "'") for p in parts[1:3]
            )
            renames.append((old, new))
    return renames
