"""Named queries: one SQL file each in `queries/`, its head says what it returns and which parameters it takes.

`-- :from_ns bigint required` declares a parameter; without `required` it is NULL when absent. Types: bigint,
double, boolean, varchar. `$project` is always given by the server.
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from functools import cache
from importlib import resources
from typing import Any

from collector.model.errors import BadInput

_PARAMETER = re.compile(r"^-- :(?P<name>[a-z_]+) (?P<type>bigint|double|boolean|varchar)(?P<required> required)?\s*$")
_WHOLE = re.compile(r"-?[0-9]{1,20}")
_BOUNDS = {"limit": (0, 1_000), "offset": (0, 10**9), "bucket_ns": (1, 2**63 - 1)}
"""Least and most of parameters that say how much is answered."""
_MOST_BUCKETS = 10_000


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
        found = {p.name: _typed(p, given.get(p.name)) for p in self.parameters}
        bucket_ns, from_ns, to_ns = (found.get(name) for name in ("bucket_ns", "from_ns", "to_ns"))
        if bucket_ns and from_ns is not None and to_ns is not None and (to_ns - from_ns) // bucket_ns > _MOST_BUCKETS:
            raise BadInput(f"expected wider ones: the time range may have {_MOST_BUCKETS} of them", field="bucket_ns")
        return found


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
                return _whole(p, value)
            case "double" if math.isfinite(number := float(value)):
                return number
            case "double":
                raise ValueError
            case "boolean":
                return {"true": True, "1": True, "false": False, "0": False}[value.lower()]
    except (ValueError, KeyError):
        raise BadInput(f"expected {p.type}, got {value[:40]!r}", field=p.name) from None
    return value


def _whole(p: Parameter, value: str) -> int:
    """Return a number that DuckDB takes and that asks for no more than is answered; ValueError when it is none."""
    if not _WHOLE.fullmatch(value):
        raise ValueError
    least, most = _BOUNDS.get(p.name, (-(2**63), 2**63 - 1))
    if not least <= int(value) <= most:
        raise BadInput(f"expected {p.type} from {least} to {most}, got {value[:40]!r}", field=p.name)
    return int(value)
