"""Named queries: one SQL file each in `queries/`, its head says what it returns and which parameters it takes.

`-- :from_ns bigint required` declares a parameter; without `required` it is NULL when absent. Types: bigint, boolean,
varchar. `$project` is always given by the server.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cache
from importlib import resources

_PARAMETER = re.compile(r"^-- :(?P<name>[a-z_]+) (?P<type>bigint|boolean|varchar)(?P<required> required)?\s*$")


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


@cache
def queries() -> dict[str, Query]:
    """Return every named query."""
    files = (f for f in resources.files("collector.store.queries").iterdir() if f.name.endswith(".sql"))
    parsed = (_read(f.name.removesuffix(".sql"), f.read_text("utf-8")) for f in files)
    return {q.name: q for q in sorted(parsed, key=lambda q: q.name)}


def _read(name: str, text: str) -> Query:
    parameters: list[Parameter] = []
    words: list[str] = []
    for line in text.splitlines():
        if not line.startswith("--"):
            break
        if match := _PARAMETER.match(line):
            parameters.append(Parameter(match["name"], match["type"], bool(match["required"])))
        else:
            words.append(line.removeprefix("--").strip())
    return Query(name, " ".join(words), tuple(parameters), text)
