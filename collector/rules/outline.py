"""What a report says of findings, in the order in which it says it: a rule, its words, then the tasks.

What runs do wrong comes before what they say wrong, and that before how they spell it.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import polars as pl

from collector.rules.rule import SEVERITIES

Row = Mapping[str, Any]

_ORDER = (
    "PII",
    "IDM",
    "RTY",
    "SUB",
    "BAT",
    "SCH",
    "CON",
    "HOK",
    "CFG",
    "PAY",
    "META",
    "PHA",
    "TEL",
    "CTX",
    "MSG",
    "KEY",
    "TSK",
)
_OF_RECORDS = ("PII", "PAY", "CTX", "MSG", "KEY")
_MOST_BODIES = 3


@dataclass(frozen=True, slots=True)
class Breach:
    """Where one task breaks a rule: in these operations or messages, so often, in so many of its runs."""

    task: str
    operations: tuple[tuple[str, int], ...]
    count: int
    runs: int
    share: float | None
    """Runs of the operation that has the most, of all runs of the task; None where no run is known."""
    since: str | None
    file: str | None


@dataclass(frozen=True, slots=True)
class Paragraph:
    """One message of a rule and what to do, with the tasks it is said of."""

    message: str
    remedy: str
    breaches: tuple[Breach, ...]
    sample: dict[str, Any] | None
    """The first record that shows it, without personal data."""


@dataclass(frozen=True, slots=True)
class Section:
    """A rule that is broken."""

    severity: str
    code: str
    slug: str
    count: int
    tasks: tuple[str, ...]
    paragraphs: tuple[Paragraph, ...]


def sections(findings: pl.DataFrame) -> list[Section]:
    """Return the rules that *findings* (`findings.SCHEMA`) say are broken, what matters most first."""
    rows = findings.to_dicts()
    groups: dict[tuple[str, str], list[Row]] = {}
    for f in rows:
        groups.setdefault((f["severity"], f["code"]), []).append(f)
    broken = [_section(severity, code, group) for (severity, code), group in groups.items()]
    return sorted(broken, key=lambda s: (SEVERITIES.index(s.severity), matter(s.code), -s.count, s.code))


def matter(code: str) -> int:
    """Return the rank of a rule among those of its severity: 0 matters most."""
    family = code.rstrip("0123456789")
    return _ORDER.index(family) if family in _ORDER else len(_ORDER)


def _section(severity: str, code: str, rows: list[Row]) -> Section:
    groups: dict[tuple[str, str], list[Row]] = {}
    for f in rows:
        groups.setdefault((f["message"], f["remedy"]), []).append(f)
    paragraphs = [Paragraph(*words, tuple(_breaches(group)), _sample(group)) for words, group in groups.items()]
    tasks = dict.fromkeys(f["task_id"] or "(no task)" for f in rows)
    return Section(severity, code, rows[0]["slug"], sum(f["count"] for f in rows), tuple(tasks), tuple(paragraphs))


def _breaches(rows: Iterable[Row]) -> Iterable[Breach]:
    tasks: dict[str, list[Row]] = {}
    for f in rows:
        tasks.setdefault(f["task_id"] or "(no task)", []).append(f)
    for task, group in sorted(tasks.items(), key=lambda pair: -sum(f["count"] for f in pair[1])):
        operations = tuple((_named(f), f["count"]) for f in group if _named(f))
        widest = max(group, key=lambda f: f["runs"] or 0)
        yield Breach(
            task,
            operations,
            sum(f["count"] for f in group),
            widest["runs"] or 0,
            widest["share"] if widest["runs"] else None,
            min((f["since_version"] for f in group if f["since_version"]), default=None),
            next((f["task_file"] for f in group if f["task_file"]), None),
        )


def _named(f: Row) -> str:
    """Return the operation, or the messages of records that have none, or nothing for findings of whole runs."""
    if f["operation"]:
        return str(f["operation"])
    if f["code"].rstrip("0123456789") not in _OF_RECORDS:
        return ""
    bodies = dict.fromkeys(s["body"] for s in json.loads(f["samples"]) if s.get("body"))
    return ", ".join(f'"{body}"' for body in list(bodies)[:_MOST_BODIES])


def _sample(rows: Iterable[Row]) -> dict[str, Any] | None:
    for f in rows:
        for sample in json.loads(f["samples"]):
            return dict(sample)
    return None


def shared(sections: Iterable[Section], name: str) -> str | None:
    """Return the value of *name* (`since`, `file`) when all breaches have the same, and there is more than one."""
    breaches = [breach for s in sections for paragraph in s.paragraphs for breach in paragraph.breaches]
    values = {getattr(breach, name) for breach in breaches}
    return next(iter(values)) if len(values) == 1 and len(breaches) > 1 else None
