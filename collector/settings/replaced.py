"""Settings that were given another name: the old one is still read, and whoever gives it is told the line to write.

An old name counts below every new one, wherever either is given. Enters: what the command line, the environment and the
file say, as nested tables. Leaves: the same without old names, and what was moved.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

REPLACED: dict[str, str] = {}
"""Old name → new name, both with their sections: `store.memory`. Rows stay for good; none may replace a new name."""
PREFIX = "RUNWELL_"


@dataclass(frozen=True, slots=True)
class Moved:
    """An old name that was given: where, and with which value."""

    old: str
    source: str
    """`--option`, a variable, or the file's path."""
    value: Any

    @property
    def new(self) -> str:
        """Return the name to use instead."""
        return REPLACED[self.old]

    def said(self, *, used: bool, shown: bool) -> str:
        """Return the line to tell; *used*: no new name is given, *shown*: the value is no secret."""
        spellings = (option(self.old), variable(self.old))
        here = self.source if self.source.upper() in map(str.upper, spellings) else f"{self.source}: {self.old}"
        if not used:
            return f"{here} is not read, since {self.new}, which replaces it, is given too; take it out."
        section, _, name = self.new.rpartition(".")
        text = self.value if isinstance(self.value, str) else json.dumps(self.value)
        if self.source.startswith("--"):
            line = f"{option(self.new)} {text if shown else '…'}"
        elif self.source.upper().startswith(PREFIX):
            line = f"{variable(self.new)}={text if shown else '…'}"
        else:
            where = f"in [{section}]" if section else "before the first section"
            line = f"{name} = {_toml(self.value) if shown else '…'} {where}"
        return f"{here} is read as {self.new}; write instead: {line}"


def option(name: str) -> str:
    """Return the command line's word for a setting."""
    return "--" + name.replace("_", "-")


def variable(name: str) -> str:
    """Return the environment's word for a setting."""
    return PREFIX + name.upper().replace(".", "__")


def take(tables: dict[str, Any], source: str) -> tuple[dict[str, Any], list[Moved]]:
    """Return *tables*, nested tables, without old names, and those that were in it."""
    moved: list[Moved] = []
    for old in REPLACED:
        *sections, name = old.split(".")
        inside: Any = tables
        for section in sections:
            inside = inside.get(section) if isinstance(inside, dict) else None
        if isinstance(inside, dict) and name in inside:
            moved.append(Moved(old, source, inside[name]))
            tables = _without(tables, old.split("."))
    return tables, moved


def options(arguments: list[str]) -> tuple[list[str], list[Moved]]:
    """Return *arguments* without old options of the command line, and those that were among them."""
    words = {option(old): old for old in REPLACED if "." not in old}
    others: list[str] = []
    moved: list[Moved] = []
    rest = iter(arguments)
    for argument in rest:
        word, joined, value = argument.partition("=")
        if word not in words:
            others.append(argument)
            continue
        moved.append(Moved(words[word], word, value if joined else next(rest, "")))
    return others, moved


def variables() -> list[Moved]:
    """Return the old names that variables of the environment give, by themselves or inside a section's JSON."""
    moved: list[Moved] = []
    for name, text in os.environ.items():
        for old in REPLACED:
            if name.upper() == variable(old):
                moved.append(Moved(old, name, _parsed(text)))
            elif variable(old).startswith(f"{name.upper()}__") and isinstance(value := _parsed(text), dict):
                table = {old.split(".")[0]: value}
                moved += [m for m in take(table, name)[1] if m.old == old]
    return moved


def rename(moved: Iterable[Moved], explicit: dict[str, Any]) -> tuple[dict[str, Any], list[tuple[Moved, bool]]]:
    """Return nested tables of the new names, and whether each of *moved* counts: the first of a name that is not
    among those *explicit*."""
    renamed: dict[str, Any] = {}
    counted: list[tuple[Moved, bool]] = []
    for m in moved:
        *sections, name = m.new.split(".")
        inside, there = renamed, explicit
        for section in sections:
            inside, there = inside.setdefault(section, {}), there.get(section, {}) if isinstance(there, dict) else {}
        used = name not in inside and not (isinstance(there, dict) and name in there)
        if used:
            inside[name] = m.value
        counted.append((m, used))
    return renamed, counted


def _without(table: dict[str, Any], path: list[str]) -> dict[str, Any]:
    first, rest = path[0], path[1:]
    if not rest:
        return {name: value for name, value in table.items() if name != first}
    inside = _without(table[first], rest)
    return {name: inside if name == first else value for name, value in table.items() if name != first or inside}


def _parsed(text: str) -> Any:
    """Return the value of a variable: lists and tables are JSON there."""
    try:
        return json.loads(text) if text[:1] in ("[", "{") else text
    except ValueError:
        return text


def _toml(value: Any) -> str:
    if isinstance(value, dict):
        return "{ " + ", ".join(f"{json.dumps(name)} = {_toml(v)}" for name, v in value.items()) + " }"
    if isinstance(value, list):
        return "[" + ", ".join(map(_toml, value)) + "]"
    return json.dumps(value, default=str, ensure_ascii=False)
