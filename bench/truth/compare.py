"""Truth beside product: is each figure what it is, as near as it has to be, and marked where nobody can know.

Enter: facts, rows of the API. Leave: verdicts.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from bench.truth.fact import Fact

ESTIMATE, LEVEL, SHARE = 0.022, 0.01, 0.01
"""How far estimates from histograms (docs/api.md) and levels may be off, of their value; shares, of the time."""
EQUAL, WITHIN, MARKED, WRONG = "equal", "within", "marked", "WRONG"
_MARKS = ("inferred", "unknown")

Key = tuple[object, ...]


@dataclass(frozen=True)
class Verdict:
    """A figure, what it is and what the product says, and which of the four it is."""

    statistic: str
    key: Key
    fact: Fact | None
    row: Mapping[str, Any] | None
    kind: str
    why: str = ""

    def line(self) -> str:
        """Return it as a line."""
        said = "no row" if self.row is None else f"{shown(self.row['value'])} ({self.row.get('provenance') or 'bare'})"
        true = "nothing" if self.fact is None else shown(self.fact.value)
        proved = "" if self.fact is None or self.fact.proved else " not provable"
        name = " ".join(str(part) for part in self.key if part is not None)
        return (
            f"{self.kind:6} {self.statistic}: {name}: truth {true}{proved}, product {said}{self.why and ': '}{self.why}"
        )


def shown(value: object) -> str:
    """Return a value as text, whole where it is."""
    if isinstance(value, float):
        return f"{value:.0f}" if value.is_integer() else f"{value:.12g}"
    return "unknown" if value is None else str(value)


def compare(statistic: str, facts: Mapping[Key, Fact], rows: Iterable[tuple[Key, Mapping[str, Any]]]) -> list[Verdict]:
    """Return the verdict of each fact, of each row that says something of what is not, and of each that is told twice.

    A row has `value`, and `provenance`, `n` and `coverage` where the product tells them.
    """
    told: dict[Key, Mapping[str, Any]] = {}
    verdicts: list[Verdict] = []
    for key, row in rows:
        if key in told:
            verdicts.append(Verdict(statistic, key, facts.get(key), row, WRONG, "told twice"))
        told[key] = row
    verdicts += [_judge(statistic, key, fact, told.get(key)) for key, fact in facts.items()]
    for key, row in told.items():
        if key not in facts and row["value"] is not None:
            verdicts.append(Verdict(statistic, key, None, row, WRONG, "there is no such figure"))
    return verdicts


def _judge(statistic: str, key: Key, fact: Fact, row: Mapping[str, Any] | None) -> Verdict:
    def verdict(kind: str, why: str = "") -> Verdict:
        return Verdict(statistic, key, fact, row, kind, why)

    value = None if row is None else row["value"]
    marked = row is None or row.get("provenance") in _MARKS or row.get("is_assumed") is True
    if value is None and fact.value is None:
        return verdict(EQUAL)
    near = _near(value, fact.value, fact.how, str(row and row.get("note")))
    off = [] if near else ["value"]
    if row is not None:
        off += [f"n {row['n']} not {fact.n}"] if fact.n is not None and row.get("n", fact.n) != fact.n else []
        said = row.get("coverage")
        known = fact.coverage is not None and said is not None
        off += [f"coverage {said:.6f} not {fact.coverage:.6f}"] if known and not _same(said, fact.coverage) else []
    if not off:
        return verdict(near)
    if not fact.proved and marked:
        return verdict(MARKED)
    why = "unknown although provable" if value is None else ", ".join(off)
    return verdict(WRONG, why if fact.proved else f"{why}, and not marked")


def _near(said: Any, true: Any, how: str, note: str) -> str:
    """Return how near *said* is, empty when it is not near enough."""
    if said is None or true is None:
        return ""
    if isinstance(true, str):
        return EQUAL if said == true else ""
    if _same(said, true):
        return EQUAL
    if how == "share":
        return WITHIN if abs(said - true) <= SHARE else ""
    noted = re.search(r"within ([\d.]+)%", note)
    within = float(noted[1]) / 100 if noted else 0.0
    most = {"estimate": ESTIMATE, "level": LEVEL, "noted": within}.get(how, 0.0)
    return WITHIN if abs(said - true) <= most * abs(true) else ""


def _same(a: float | None, b: float | None) -> bool:
    return a is not None and b is not None and math.isclose(a, b, rel_tol=1e-12, abs_tol=1e-12)
