"""Named queries: one SQL file each in `queries/`, its head says what it returns and which parameters it takes.

`-- :from_ns bigint required` declares a parameter; without `required` it is NULL when absent. Types: bigint,
double, boolean, varchar. `$project` is always given by the server.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cache
from importlib import resources
from typing import Any

from collector.model.errors import BadInput

_PARAMETER = re.compile(r"^-- :(?P<name>[a-z_]+) (?P<type>bigint|double|boolean|varchar)(?P<required> required)?\s*$")


@dataclass(frozen=True, slots=True)
class Parameter:
    """One parameter of a query."""

    name: str
    type: str
    required: bool


@dataclass(frozen=True, slots=True)
class Query:
    """A query that may be asked by name."""

    name: str
    description: str
    parameters: tuple[Parameter, ...]
    sql: str

    def bind(self, given: dict[str, str]) -> dict[str, Any]:
        """Return typed parameter values from text; raise BadInput naming the parameter that is wrong."""
        unknown = sorted(set(given) - {p.name for p in self.parameters})
        if unknown:
            known = ", ".join(p.name for p in self.parameters) or "none"
            raise BadInput(f"no such parameter of {self.name}; it takes {known}", field=unknown[0])
        return {p.name: _typed(p, given.get(p.name)) for p in self.parameters}


@cache
def queries() -> dict[str, Query]:
    """Return every named query."""
    files = (f for f in resources.files("collector.store.queries").iterdir() if f.name.endswith(".sql"))
    found = (_read(f.name.removesuffix(".sql"), f.read_text("utf-8")) for f in files)
    return {q.name: q for q in sorted(found, key=lambda q: q.name)}


def _read(name: str, text: str) -> Query:
    parameters: list[Parameter] = []
    words: list[str] = []
    for line in text.splitlines():
        if not line.startswith("--"):
            break
        if found := _PARAMETER.match(line):
            parameters.append(Parameter(found["name"], found["type"], bool(found["required"])))
        else:
            words.append(line.removeprefix("--").strip())
    return Query(name, " ".join(words), tuple(parameters), text)


def _typed(p: Parameter, value: str | None) -> Any:
    if value is None or value == "":
        if p.required:
            raise BadInput(f"required, of type {p.type}", field=p.name)
        return None
    try:
        match p.type:
            case "bigint":
                return int(value)
            case "double":
                return float(value)
            case "boolean":
                return {"true": True, "1": True, "false": False, "0": False}[value.lower()]
    except (ValueError, KeyError):
        raise BadInput(f"expected {p.type}, got {value[:40]!r}", field=p.name) from None
    return value
