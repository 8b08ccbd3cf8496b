"""What a report says of findings, in the order in which it says it: a rule, its words, then the places.

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
class Place:
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
class Saying:
    """One message of a rule and what to do, with the places it is said of."""

    message: str
    remedy: str
    places: tuple[Place, ...]
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
    sayings: tuple[Saying, ...]


def sections(findings: pl.DataFrame) -> list[Section]:
    """Return the rules that *findings* (`findings.SCHEMA`) say are broken, what matters most first."""
    rows = findings.to_dicts()
    groups: dict[tuple[str, str], list[Row]] = {}
    for f in rows:
        groups.setdefault((f["severity"], f["code"]), []).append(f)
    found = [_section(severity, code, own) for (severity, code), own in groups.items()]
    return sorted(found, key=lambda s: (SEVERITIES.index(s.severity), matter(s.code), -s.count, s.code))


def matter(code: str) -> int:
    """Return the place of a rule among those of its severity: 0 matters most."""
    family = code.rstrip("0123456789")
    return _ORDER.index(family) if family in _ORDER else len(_ORDER)


def _section(severity: str, code: str, rows: list[Row]) -> Section:
    said: dict[tuple[str, str], list[Row]] = {}
    for f in rows:
        said.setdefault((f["message"], f["remedy"]), []).append(f)
    sayings = [Saying(message, remedy, tuple(_places(own)), _sample(own)) for (message, remedy), own in said.items()]
    tasks = dict.fromkeys(f["task_id"] or "(no task)" for f in rows)
    return Section(severity, code, rows[0]["slug"], sum(f["count"] for f in rows), tuple(tasks), tuple(sayings))


def _places(rows: Iterable[Row]) -> Iterable[Place]:
    tasks: dict[str, list[Row]] = {}
    for f in rows:
        tasks.setdefault(f["task_id"] or "(no task)", []).append(f)
    for task, own in sorted(tasks.items(), key=lambda pair: -sum(f["count"] for f in pair[1])):
        operations = tuple((_named(f), f["count"]) for f in own if _named(f))
        widest = max(own, key=lambda f: f["runs"] or 0)
        yield Place(
            task,
            operations,
            sum(f["count"] for f in own),
            widest["runs"] or 0,
            widest["share"] if widest["runs"] else None,
            min((f["since_version"] for f in own if f["since_version"]), default=None),
            next((f["task_file"] for f in own if f["task_file"]), None),
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
            found: dict[str, Any] = sample
            return found
    return None


def shared(found: Iterable[Section], name: str) -> str | None:
    """Return the value of *name* (`since`, `file`) when all places have the same, and there is more than one."""
    places = [place for s in found for saying in s.sayings for place in saying.places]
    values = {getattr(place, name) for place in places}
    return next(iter(values)) if len(values) == 1 and len(places) > 1 else None
