"""What is written about rules: their pages in docs/rules/, `explain`, the list, the guideline's coverage."""

from __future__ import annotations

import json
import textwrap
from typing import Any

from collector.model.cut import mark
from collector.rules import catalogue
from collector.rules.guideline import BY_NUMBER, SENTENCES, UNOBSERVABLE
from collector.rules.rule import HEADINGS, Case, Rule

_WIDTH = 100
_LONGEST, _CUT = 200, 40
"""A longer text in a case's attributes is shown by its beginning."""


def _option(value: Any) -> str:
    return json.dumps(list(value) if isinstance(value, tuple) else value, ensure_ascii=False)


def list_text() -> str:
    """Return one line a rule."""
    lines = [
        f"{r.code:<8}{r.severity:<9}{r.slug:<32}{r.summary}{'' if r.on else ' (off by default)'}"
        for r in catalogue.RULES.values()
    ]
    return "\n".join(lines) + "\n"


def coverage_text() -> str:
    """Return every sentence of the guideline with its state, its rules and what is wanting."""
    lines = []
    for s in SENTENCES:
        codes = " ".join(catalogue.of_sentence(s)) or "-"
        lines.append(f"{s.number:<6} {catalogue.state(s):<15} {s.text}")
        lines.append(f"{'':<22} {codes}" + (f"; the rest needs {s.wanting}" if s.wanting else ""))
    counts = [sum(catalogue.state(s) == state for s in SENTENCES) for state in _STATES]
    lines.append(", ".join(f"{n} {state.replace('_', ' ')}" for n, state in zip(counts, _STATES, strict=True)) + ".")
    return "\n".join(lines) + "\n"


_STATES = ("checked", "partly checked", "not_observable")


def explain_text(rule: Rule) -> str:
    """Return a rule's explanation for a terminal."""
    parts = [f"{rule.code} {rule.slug} ({rule.severity}{'' if rule.on else ', off by default'})", rule.summary, ""]
    for heading in HEADINGS:
        parts.append(textwrap.fill(f"{heading}: {rule.section(heading)}", _WIDTH))
    if rule.options:
        parts.append("Options: " + ", ".join(f"{k} = {_option(v)}" for k, v in rule.options.items()))
    for number in rule.sentences:
        parts.append(f"Guideline {number}: {BY_NUMBER[number].text}.")
    for word, cases in (("Flagged", rule.bad), ("Not flagged", rule.good)):
        for case in cases[:2]:
            parts += ["", f"{word}{': ' + case.say if case.say else ''}:", textwrap.indent(case_text(case), "  ")]
    return "\n".join(parts) + "\n"


def page(family: str) -> str:
    """Return docs/rules/{family}.md: the rules of a family."""
    rules = [r for r in catalogue.RULES.values() if r.family == family]
    module = next(f for f in catalogue.FAMILIES if f.RULES[0].family == family)
    title = (module.__doc__ or family).split("\n", 1)[0]
    parts = [f"# {title}\n"]
    for rule in rules:
        off = "" if rule.on else ", off by default"
        parts.append(f"## {rule.code} {rule.slug}\n")
        parts.append(f"{rule.summary} *{rule.severity}{off}; looks at {rule.grain}s*\n")
        parts += [f"**{heading}**: {rule.section(heading)}\n" for heading in HEADINGS]
        if rule.options:
            parts.append("| option | default |\n|---|---|")
            parts += [f"| `{k}` | `{_option(v)}` |" for k, v in rule.options.items()]
            parts.append("")
        if rule.sentences:
            said = "; ".join(f"{n} ({BY_NUMBER[n].text})" for n in rule.sentences)
            parts.append(f"Guideline sentence{'s' if len(rule.sentences) > 1 else ''} {said}.\n")
        for word, cases in (("Flagged", rule.bad), ("Not flagged", rule.good)):
            if cases:
                parts.append(f"{word}:\n")
                parts.append("```\n" + "\n\n".join(case_text(case) for case in cases) + "\n```\n")
    return "\n".join(parts)


def index() -> str:
    """Return docs/rules/README.md: all rules, the coverage of the guideline, and what is not observable."""
    parts = [
        "# Rules\n",
        "What `runwell check` applies. `runwell rules explain CODE` shows a rule in the terminal. "
        "[A report](example-report.md), [every finding on the recorded sets](../../tests/rules/recorded-sets.md) with "
        "what shows it, and [how well personal data is found](privacy.md).\n",
        "| code | name | severity | finds |\n|---|---|---|---|",
    ]
    for r in catalogue.RULES.values():
        off = "" if r.on else " (off by default)"
        parts.append(f"| [{r.code}]({r.family}.md) | {r.slug} | {r.severity}{off} | {r.summary} |")
    parts += [
        "\n## The guideline, sentence by sentence\n",
        "| sentence | says | state | rules | not observable without |\n|---|---|---|---|---|",
    ]
    for s in SENTENCES:
        codes = " ".join(catalogue.of_sentence(s))
        parts.append(f"| {s.number} | {s.text} | {catalogue.state(s).replace('_', ' ')} | {codes} | {s.wanting} |")
    if UNOBSERVABLE:
        parts += ["\n## Not observable from telemetry\n", "| code | name | needs |\n|---|---|---|"]
        parts += [f"| {u.code} | {u.slug} | {u.wanting} |" for u in UNOBSERVABLE]
    return "\n".join([*parts, ""])


def _shown(value: Any) -> Any:
    """Return *value* with its long texts cut, and how long they are."""
    if isinstance(value, dict):
        return {k: _shown(v) for k, v in value.items()}
    if isinstance(value, str) and len(value) > _LONGEST:
        return value[:_CUT] + mark(len(value))
    return value


def case_text(case: Case) -> str:
    """Return a case as lines: time, level, message, attributes."""
    lines = []
    if case.options:
        lines.append("# with " + ", ".join(f"{k} = {_option(v)}" for k, v in case.options.items()))
    if case.say:
        lines.append(f"# {case.say}")
    shown = [*case.logs, *case.spans]
    few = shown if len(shown) <= 4 else [*shown[:2], None, shown[-1]]
    for r in few:
        if r is None:
            lines.append(f"… {len(shown) - 3} more")
        elif "body" in r:
            data = json.dumps(_shown(r["attributes"]), ensure_ascii=False)
            lines.append(f"{r['at']:>6g} s {r['level']:<5} {r['body']} {data}")
        else:
            data = json.dumps(_shown(r["attributes"]), ensure_ascii=False)
            state = "failed" if r["failed"] else "ok"
            lines.append(f"{r['start']:>6g} s span  {r['name']} until {r['end']:g} s, {state} {data}")
    return "\n".join(lines)
