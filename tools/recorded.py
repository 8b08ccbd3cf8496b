"""Write what `runwell check` finds on the recorded sets, finding by finding, each with the record that proves it.

The facts of a reason come from the finding and its first record; what they prove is said here, once a rule.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from functools import cache
from pathlib import Path
from typing import Any

import polars as pl

from collector.cli import check
from collector.model.shown import codes
from collector.rules import catalogue, render
from collector.rules.profiles import choose
from collector.settings import Settings

SETS = sorted((Path(__file__).parents[1] / "sample_data" / "trigger-dev-4.8.3").glob("*.jsonl.gz"))
EXAMPLE = "http-json-batch"
_SHOWN, _MOST = 6, 48
Reason = Callable[[Mapping[str, Any], Mapping[str, Any]], str]


@cache
def check_recording(path: Path) -> tuple[pl.DataFrame, str]:
    """Return the findings on a recording, and what was looked at."""
    settings = Settings()
    return check.findings((str(path),), settings, choose(catalogue.RULES, settings.rules))


def _keys(sample: Mapping[str, Any]) -> str:
    keys = [f"`{key}`" for key in sample["attributes"] if not key.startswith("$")]
    return ", ".join(keys[:_SHOWN]) + (" and more" if len(keys) > _SHOWN else "") if keys else "no keys"


def _value(sample: Mapping[str, Any], key: str) -> str:
    attributes = sample["attributes"]
    at = next((k for k in attributes if k == key or k.startswith((f"{key}.", f"{key}["))), None)
    return f"`{codes(json.dumps(attributes[at], ensure_ascii=False))[:_MOST]}`" if at is not None else "a value"


def _other_name(sample: Mapping[str, Any]) -> str:
    there = [k for k in sample["attributes"] if k in ("duration_ms", "error.name", "error.message")]
    return " and ".join(f"`{k}`" for k in there)


WHY: dict[tuple[str, str], Reason] = {
    ("CTX001", "error"): lambda f, s: f"has {_keys(s)} and no correlation id; no other record of the run has one",
    ("CTX002", "warning"): lambda f, s: (
        f"has {_keys(s)} and no request id; no other record of the run has one, and the run is neither a test, a "
        "replay nor scheduled"
    ),
    ("CTX003", "info"): lambda f, s: f"has {_keys(s)}; only the platform's context names the run",
    ("KEY001", "error"): lambda f, s: f"has `{f['key']}`: {_value(s, f['key'])}, a key of the task's own",
    ("KEY007", "warning"): lambda f, s: f"has `{f['key']}`: {_value(s, f['key'])}, all that is left of the value",
    ("MSG001", "error"): lambda f, s: "is a message of `logger`, not of `console`, and no `{operation}_{phase}`",
    ("MSG003", "warning"): lambda f, s: f"ends in `_{s['body'].rsplit('_', 1)[-1]}`, none of the five phases",
    ("PHA001", "error"): lambda f, s: (
        f"is the last that this attempt says of `{f['operation']}`; its span ended with an exception"
    ),
    ("PHA002", "warning"): lambda f, s: f"has no `{f['operation']}_started` before it in this attempt",
    ("PHA004", "error"): lambda f, s: f"and `{f['operation']}_completed` both stand in this attempt",
    ("PHA006", "warning"): lambda f, s: f"has {_keys(s)}: no duration under any name",
    ("PHA006", "info"): lambda f, s: f"says how long it took as {_other_name(s)}",
    ("PHA008", "error"): lambda f, s: f"has {_keys(s)}, neither `{f['key']}` nor an error under another name",
    ("PHA008", "info"): lambda f, s: f"gives it as {_other_name(s)}: the SDK wrote the whole error out",
    ("IDM001", "info"): lambda f, s: "shows the run: no idempotency key, and neither a test, a replay nor scheduled",
    ("IDM003", "error"): lambda f, s: f"triggers `{f['key']}` once more, although that of an earlier attempt completed",
    ("BAT002", "warning"): lambda f, s: "shows the run: its context names a batch and no idempotency key",
    ("TSK001", "warning"): lambda f, s: f"shows the run: its task is `{f['task_id']}`",
}
"""What the first record of a finding shows, by rule and severity; follows on the record's name."""


def reason(f: Mapping[str, Any]) -> str:
    """Return why a finding is right, from the first record that shows it."""
    sample = json.loads(f["samples"])[0]
    attempt = f", attempt {sample['attempt']}" if sample.get("attempt") else ""
    said = sample.get("body") or sample.get("name")
    where = f"`{said}` of run …{sample['run_id'][-6:]}{attempt}"
    why = WHY.get((f["code"], f["severity"]))
    if why is None:
        raise SystemExit(f"tools/recorded.WHY: say what shows {f['code']} ({f['severity']}); look at {where}")
    return f"{where} {why(f, sample)}"


def page() -> str:
    """Return tests/rules/recorded-sets.md."""
    parts = [
        "# Findings on the recorded sets\n",
        "What `runwell check --input sample_data/trigger-dev-4.8.3/SET.jsonl.gz` finds, and for each finding what the "
        "first record that shows it says. The tasks were written to break some rules and keep others. "
        "[One of the reports](../../docs/rules/example-report.md) is shown in full.\n",
    ]
    for path in SETS:
        findings, looked_at = check_recording(path)
        parts.append(f"## {path.name.removesuffix('.jsonl.gz')}\n")
        parts.append(f"{findings.height} findings in {looked_at}.\n")
        for code, severity in dict.fromkeys(findings.select("code", "severity").iter_rows()):
            rule = catalogue.RULES[code]
            parts.append(f"### {code} {rule.slug} ({severity})\n")
            parts.append("| task | operation | key | times | runs | what shows it |\n|---|---|---|---|---|---|")
            same = findings.filter((pl.col("code") == code) & (pl.col("severity") == severity))
            for f in same.iter_rows(named=True):
                cells = (f["task_id"], f["operation"], f["key"], f["count"], f["runs"], reason(f))
                parts.append("| " + " | ".join("" if c is None else str(c).replace("|", "\\|") for c in cells) + " |")
            parts.append("")
    return "\n".join(parts)


def example() -> str:
    """Return docs/rules/example-report.md."""
    path = next(path for path in SETS if path.name.startswith(EXAMPLE))
    return (
        "# An example report\n\n"
        f"`runwell check --input sample_data/trigger-dev-4.8.3/{path.name}` prints this. `--format markdown` says the "
        "same with tables, records and a snippet that renames keys on the way in, `--format json` for programs.\n\n"
        f"```text\n{render.text(*check_recording(path))}```\n"
    )
