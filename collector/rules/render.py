"""Findings as text, Markdown or JSON."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

import polars as pl

from collector.model.shown import codes, counted, json_text, visible
from collector.rules import outline, remedies
from collector.rules.checked import Checked
from collector.rules.outline import Breach, Section
from collector.rules.rule import SEVERITIES, Rule

_RANK = {"info": 0, "warning": 1, "error": 2}


def looked_at(checked: Checked, runs: int, newest: int) -> str:
    """Return what was judged, in words; *newest*: runs that were looked at for what only many show."""
    all_of = f"{counted(checked.logs, 'log record')} and {counted(checked.spans, 'span')} of {counted(runs, 'run')}"
    return all_of if newest == runs else f"{all_of}, what only many runs show in the newest {newest:,}"


def reaches(findings: pl.DataFrame, level: str) -> bool:
    """Tell whether a finding is at least as severe as *level*; `never` is never reached."""
    if level == "never":
        return False
    return any(_RANK[s] >= _RANK[level] for s in findings["severity"])


def document(
    findings: pl.DataFrame,
    rules: Mapping[str, Rule],
    not_observable: list[dict[str, object]],
    checked: Mapping[str, object],
) -> str:
    """Return the JSON report: `{"checked": {…}, "findings": […], "not_observable": […]}`."""
    rows = []
    for f in findings.drop("project").iter_rows(named=True):
        f["samples"] = json.loads(f["samples"])
        f["sentences"] = list(rules[f["code"]].sentences)
        rows.append(f)
    told = {"checked": checked, "findings": rows, "not_observable": not_observable}
    return json_text(json.dumps(told, ensure_ascii=False, indent=2)) + "\n"


def text(findings: pl.DataFrame, looked_at: str) -> str:
    """Return the report for a terminal: a line a rule first, then a paragraph each; what matters most comes first."""
    sections = outline.sections(findings)
    lines = [_summed(sections, looked_at)]
    if not sections:
        return visible(lines[0]) + "\n"
    lines += [*_everywhere(sections), ""]
    widths = [max(len(row[i]) for row in _overview(sections)) for i in range(4)]
    for *row, tasks in _overview(sections):
        padded = [cell.ljust(width) for cell, width in zip(row[:3], widths[:3], strict=True)]
        lines.append("  ".join(["", *padded, row[3].rjust(widths[3]), tasks]))
    for section in sections:
        lines += ["", f"{section.severity} {section.code} {section.slug}"]
        one_fix = len({paragraph.remedy for paragraph in section.paragraphs}) == 1 < len(section.paragraphs)
        for paragraph in section.paragraphs:
            lines.append(f"  {paragraph.message}")
            if not one_fix:
                lines.append(f"  fix: {paragraph.remedy}")
            lines += [f"    {_line(breach, sections)}" for breach in paragraph.breaches]
            if section.severity != "info" and paragraph.sample is not None:
                lines.append(f"    e.g. {_sample_line(paragraph.sample)}")
        if one_fix:
            lines.append(f"  fix: {section.paragraphs[0].remedy}")
    lines += ["", "`runwell rules explain CODE` says why and how; --format json and markdown show the records."]
    return "\n".join(visible(line) for line in lines) + "\n"


def markdown(findings: pl.DataFrame, looked_at: str) -> str:
    """Return the report as Markdown: a table of the rules, then each with its tasks and one record that shows it."""
    sections = outline.sections(findings)
    lines = ["# Conventions\n", _summed(sections, looked_at) + "\n", *(line + "\n" for line in _everywhere(sections))]
    if sections:
        lines += ["| severity | rule | | times | tasks |", "|---|---|---|---|---|"]
        for *row, tasks in _overview(sections):
            lines.append("| " + " | ".join(_cell(c) for c in (*row, tasks)) + " |")
        lines.append("")
    for severity in SEVERITIES:
        of_severity = [s for s in sections if s.severity == severity]
        if of_severity:
            lines.append(f"## {_TITLES[severity]}\n")
        for section in of_severity:
            lines.append(f"### {section.code} {section.slug}\n")
            for paragraph in section.paragraphs:
                lines += [f"{prose(paragraph.message)}  ", f"**Fix**: {paragraph.remedy}\n"]
                lines += ["| task | where | times | runs |", "|---|---|---|---|"]
                for breach in paragraph.breaches:
                    where = ", ".join(f"{name} ({n})" for name, n in breach.operations)
                    cells = (breach.task + _apart(breach, sections), where, breach.count, _runs(breach))
                    lines.append("| " + " | ".join(_cell(c) for c in cells) + " |")
                lines.append("")
            samples = [paragraph.sample for paragraph in section.paragraphs if paragraph.sample is not None]
            if samples and severity != "info":
                shown = json.dumps(_cut(samples[0]), ensure_ascii=False, indent=2).replace("```", "`\u200b``")
                lines.append(f"A record that shows it:\n\n```json\n{_lines(shown)}\n```\n")
    snippet = remedies.transform(findings)
    if snippet:
        lines.append("## Rename on the way in\n")
        lines.append("Until the code is changed, an OpenTelemetry Collector can rename the keys:\n")
        lines.append(f"```yaml\n{_lines(snippet)}```\n")
    if sections:
        lines.append("`runwell rules explain CODE` says why a rule is there and what it does not flag.\n")
    return "\n".join(lines)


_TITLES = {"error": "Errors", "warning": "Warnings", "info": "Hints"}
_MOST_KEYS, _MOST_TEXT, _MOST_TASKS = 20, 160, 3


def _summed(sections: list[Section], looked_at: str) -> str:
    """Return one line that says how many rules are broken, and what was looked at."""
    counts = Counter(s.severity for s in sections)
    if not counts:
        return f"No findings in {looked_at}."
    words = {"error": "error", "warning": "warning", "info": "hint"}
    said = [counted(n, word) for severity, word in words.items() if (n := counts[severity])]
    return f"{', '.join(said)} in {looked_at}; a rule counts once."


def _everywhere(sections: list[Section]) -> list[str]:
    """Return what is the same everywhere, so that it is said once."""
    file, since = outline.shared(sections, "file"), outline.shared(sections, "since")
    said = [f"source {file}" if file else "", f"since version {since}" if since else ""]
    together = ", ".join(part for part in said if part)
    return [f"Everywhere: {together}."] if together else []


def _overview(sections: list[Section]) -> list[tuple[str, str, str, str, str]]:
    rows = []
    for s in sections:
        more = f" and {len(s.tasks) - _MOST_TASKS} more" if len(s.tasks) > _MOST_TASKS else ""
        rows.append((s.severity, s.code, s.slug, f"{s.count:,}", ", ".join(s.tasks[:_MOST_TASKS]) + more))
    return rows


def _line(breach: Breach, sections: list[Section]) -> str:
    """Return a breach in a line: task, operations with their counts, runs."""
    several = len(breach.operations) > 1
    names = ", ".join(f"{name} {n}x" if several else name for name, n in breach.operations)
    runs = _runs(breach)
    extent = f"{breach.count}x" + (f" in {'up to ' if several else ''}{runs}" if runs else "")
    return (
        f"{breach.task}  "
        + (f"{extent}: {names}" if several else f"{names}  {extent}".lstrip())
        + _apart(breach, sections)
    )


def _runs(breach: Breach) -> str:
    """Return how many runs it was, of how many of the task; nothing where no run is known."""
    if not breach.runs:
        return ""
    of = f"{round(breach.runs / breach.share)} " if breach.share else ""
    return f"{breach.runs} of {of}runs" if of else counted(breach.runs, "run")


def _apart(breach: Breach, sections: list[Section]) -> str:
    """Return file and version of a breach where they are not the same everywhere."""
    file = breach.file if outline.shared(sections, "file") is None else None
    since = breach.since if outline.shared(sections, "since") is None else None
    return (f" in {file}" if file else "") + (f" since version {since}" if since else "")


def _sample_line(sample: Mapping[str, Any]) -> str:
    """Return a record in a line: run, attempt, time, what it says and under which keys."""
    time = datetime.fromtimestamp(sample["time_ns"] // 10**9, UTC).strftime("%Y-%m-%d %H:%M:%S UTC")
    run = f"{sample['run_id']} " if sample.get("run_id") else ""
    attempt = f"attempt {sample['attempt']} " if sample.get("attempt") else ""
    said = sample.get("body") or sample.get("name") or ""
    keys = [k for k in sample["attributes"] if not k.startswith("$")] if isinstance(sample["attributes"], dict) else []
    has = f" {{{', '.join([*keys[:8], *(['…'] if len(keys) > 8 else [])])}}}" if keys else ""
    return f"{run}{attempt}at {time}: {str(said)[:_MOST_TEXT]}{has}"


def _cut(sample: Mapping[str, Any]) -> dict[str, Any]:
    """Return a record short enough to read: the first keys, long texts cut."""
    attributes = sample["attributes"]
    if isinstance(attributes, dict):
        kept = dict(list(attributes.items())[:_MOST_KEYS])
        if len(attributes) > _MOST_KEYS:
            kept["…"] = f"{len(attributes) - _MOST_KEYS} more keys"
        attributes = {
            k: f"{v[:_MOST_TEXT]}…" if isinstance(v, str) and len(v) > _MOST_TEXT else v for k, v in kept.items()
        }
    return {**sample, "attributes": attributes}


def _lines(shown: str) -> str:
    """Return *shown* with what cannot be seen as codes, its lines kept."""
    return "\n".join(codes(line) for line in shown.split("\n"))


def prose(text: str) -> str:
    """Return *text* as a paragraph of Markdown."""
    return visible(text).replace("|", "\\|").replace("<", "\\<")


def _plain(text: object) -> str:
    return visible(str(text)).replace("`", "'").replace("<", "\\<")


def _cell(value: object) -> str:
    return "" if value is None else _plain(value).replace("|", "\\|")
