"""The registry: every rule once, by code. Tests, docs, `explain`, API and pages derive from it."""

from __future__ import annotations

from collector.rules.families import (
    batches,
    concurrency,
    configuration,
    context,
    ends,
    hooks,
    idempotency,
    keys,
    messages,
    metadata,
    numbering,
    numbers,
    outcomes,
    pace,
    payloads,
    personal_data,
    phases,
    retries,
    schedules,
    shared_ids,
    steps,
    subtasks,
    tasks,
    telemetry,
    unwritten,
)
from collector.rules.guideline import BY_NUMBER, SENTENCES, UNOBSERVABLE, Sentence
from collector.rules.rule import Rule

FAMILIES = (
    messages,
    keys,
    unwritten,
    numbers,
    context,
    shared_ids,
    phases,
    ends,
    steps,
    outcomes,
    personal_data,
    idempotency,
    retries,
    pace,
    concurrency,
    schedules,
    batches,
    subtasks,
    payloads,
    metadata,
    tasks,
    hooks,
    configuration,
    telemetry,
    numbering,
)
RETIRED: frozenset[str] = frozenset()
"""Codes that meant something once; never given out again."""


def _register() -> dict[str, Rule]:
    rules: dict[str, Rule] = {}
    slugs: set[str] = set()
    for rule in (rule for family in FAMILIES for rule in family.RULES):
        taken = rule.code in rules or rule.code in RETIRED or rule.slug in slugs
        if taken or any(u.code == rule.code for u in UNOBSERVABLE):
            raise ValueError(f"{rule.code} {rule.slug}: code or slug is taken")
        for number in rule.sentences:
            if number not in BY_NUMBER:
                raise ValueError(f"{rule.code}: the guideline has no sentence {number}")
        slugs.add(rule.slug)
        rules[rule.code] = rule
    families = list(dict.fromkeys(rule.family for rule in rules.values()))
    return dict(sorted(rules.items(), key=lambda pair: (families.index(pair[1].family), pair[0])))


RULES: dict[str, Rule] = _register()
"""All rules, by code."""


def of_sentence(sentence: Sentence) -> list[str]:
    """Return the codes of the rules that look at *sentence*."""
    return [r.code for r in RULES.values() if sentence.number in r.sentences]


def state(sentence: Sentence) -> str:
    """Return what telemetry says of *sentence*: checked, partly checked, or not_observable."""
    if sentence.observable == "none" or not of_sentence(sentence):
        return "not_observable"
    return "checked" if sentence.observable == "full" else "partly checked"


def not_observable() -> list[dict[str, object]]:
    """Return what no rule can say from telemetry alone, and what would make it observable."""
    sentences: list[dict[str, object]] = [
        {
            "sentence": s.number,
            "text": s.text,
            "rules": of_sentence(s),
            "state": "not_observable" if state(s) == "not_observable" else "partly",
            "wanting": s.wanting,
        }
        for s in SENTENCES
        if s.wanting
    ]
    rules: list[dict[str, object]] = [
        {
            "code": u.code,
            "slug": u.slug,
            "sentences": list(u.sentences),
            "state": "not_observable",
            "wanting": u.wanting,
        }
        for u in UNOBSERVABLE
    ]
    return sentences + rules
