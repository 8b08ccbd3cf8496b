"""Findings as text, Markdown or JSON."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping
from typing import Any

import polars as pl

from collector.rules import remedies
from collector.rules.rule import Rule

_RANK = {"info": 0, "warning": 1, "error": 2}
_CONTROL = str.maketrans(dict.fromkeys([*range(9), *range(11, 32), *range(127, 160)], "�"))


def reaches(findings: pl.DataFrame, level: str) -> bool:
    """Tell whether a finding is at least as severe as *level*; `never` is never reached."""
    if level == "never":
        return False
    return any(_RANK[s] >= _RANK[level] for s in findings["severity"])


def document(findings: pl.DataFrame, rules: Mapping[str, Rule], not_observable: list[dict[str, object]]) -> str:
    """Return the JSON report: `{"findings": […], "not_observable": […]}`."""
    rows = []
    for f in findings.drop("project").iter_rows(named=True):
        f["samples"] = json.loads(f["samples"])
        f["sentences"] = list(rules[f["code"]].sentences)
        rows.append(f)
    return json.dumps({"findings": rows, "not_observable": not_observable}, ensure_ascii=False, indent=2) + "\n"


def text(findings: pl.DataFrame, looked_at: str) -> str:
    """Return the report for a terminal: a rule a paragraph, a line for each place, then one line that sums up."""
    lines: list[str] = []
    rows = findings.to_dicts()
    # Findings come the most severe first: rules keep the order of their first.
    for code, severity in dict.fromkeys((f["code"], f["severity"]) for f in rows):
        own = [f for f in rows if (f["code"], f["severity"]) == (code, severity)]
        lines.append(f"{severity} {code} {own[0]['slug']}")
        said = dict.fromkeys((f["message"], f["remedy"]) for f in own)
        for message, remedy in said:
            lines += [f"  {message}", f"  fix: {remedy}"]
            for f in (f for f in own if (f["message"], f["remedy"]) == (message, remedy)):
                where = " ".join(part for part in (f["task_id"] or "(no task)", f["operation"]) if part)
                at = f"  {f['task_file']}" if f["task_file"] else ""
                lines.append(f"    {where}  {_extent(f)}{at}")
        lines.append("")
    lines.append(f"{_counted(findings)} in {looked_at}.")
    if rows:
        lines.append("`runwell rules explain CODE` says why and how; --format json holds the records.")
    return "\n".join(lines).translate(_CONTROL) + "\n"


def markdown(findings: pl.DataFrame, looked_at: str) -> str:
    """Return the report as Markdown, with the records as received and a snippet that renames keys."""
    lines = ["# Conventions\n", f"{_counted(findings)} in {looked_at}.\n"]
    if not findings.is_empty():
        lines += ["| severity | rule | task | operation | key | records | runs |", "|---|---|---|---|---|---|---|"]
        for f in findings.iter_rows(named=True):
            cells = (f["severity"], f["code"], f["task_id"], f["operation"], f["key"], f["count"], f["runs"])
            lines.append("| " + " | ".join(_cell(c) for c in cells) + " |")
        lines.append("")
    for f in findings.iter_rows(named=True):
        where = " ".join(f"`{_plain(part)}`" for part in (f["task_id"], f["operation"]) if part)
        lines.append(f"## {f['code']} {f['slug']}: {where}\n")
        lines.append(f"{f['message']} {_extent(f)}\n")
        lines.append(f"**Fix**: {f['remedy']}\n")
        if f["task_file"]:
            lines.append(f"**Source**: `{_plain(f['task_file'])}`\n")
        samples = json.loads(f["samples"])
        if samples:
            shown = json.dumps(samples[0], ensure_ascii=False, indent=2).replace("```", "`\u200b``")
            lines.append(f"```json\n{shown}\n```\n")
    snippet = remedies.transform(findings)
    if snippet:
        lines.append("## Rename on the way in\n")
        lines.append("Until the code is changed, an OpenTelemetry Collector can rename the keys:\n")
        lines.append(f"```yaml\n{snippet}```\n")
    return "\n".join(lines).translate(_CONTROL)


def _extent(f: Mapping[str, Any]) -> str:
    runs = f"{f['runs']} run{'s' if f['runs'] != 1 else ''}" if f["runs"] else ""
    share = f" ({f['share']:.0%} of the task's)" if f["runs"] and f["share"] is not None else ""
    since = f", since version {f['since_version']}" if f["since_version"] else ""
    parts = [f"{f['count']}x", f"{runs}{share}" if runs else ""]
    return "[" + ", ".join(p for p in parts if p) + since + "]"


def _counted(findings: pl.DataFrame) -> str:
    counts = Counter(findings["severity"])
    if not counts:
        return "No findings"
    words = {"error": "errors", "warning": "warnings", "info": "hints"}
    one = {"error": "error", "warning": "warning", "info": "hint"}
    return ", ".join(f"{n} {words[s] if n != 1 else one[s]}" for s in words if (n := counts[s]))


def _plain(text: object) -> str:
    return str(text).replace("`", "'").replace("\n", " ")


def _cell(value: object) -> str:
    return "" if value is None else _plain(value).replace("|", "\\|")
