"""Sizes of values, and what names in a statement mean: columns of relations, parameters of lambdas."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any

from collector.model.errors import BadInput

Node = dict[str, Any]
"""A node of DuckDB's syntax tree."""
SMALL_BYTES = 16
"""A number, a time, an entry of a list."""
_COLUMN_BYTES = 256
_ITEMS = 16


def refused(text: str) -> BadInput:
    """Return what the sender is told."""
    return BadInput(text, field="sql")


def arguments(call: Node) -> list[Node]:
    """Return the arguments of a function call."""
    return [argument["expression"] for argument in call.get("arguments") or ()]


def nearest(items: list[Any]) -> Iterator[Node]:
    """Yield the nearest nodes that stand in *items*."""
    stack = list(items)
    while stack:
        item = stack.pop()
        if isinstance(item, list):
            stack.extend(item)
        elif isinstance(item, dict):
            if "class" in item or "type" in item:
                yield item
            else:
                stack.extend(item.values())


@dataclass(frozen=True, slots=True)
class Size:
    """What one value may take: *bytes*, in so many *items* if it is a list; *nodes* expressions stand for it.

    *large*: it is a text that may have more than *bytes*, so it is looked at where something is made of it (`texts`).
    """

    bytes: int = SMALL_BYTES
    items: int = 1
    nodes: int = 1
    large: bool = False

    def times(self, n: int) -> Size:
        """Return the size of so many of it."""
        return Size(self.bytes * n, self.items * n, self.nodes, self.large)


def total(sizes: Iterable[Size]) -> Size:
    """Return the size of all of them in one value."""
    known = list(sizes)
    items, nodes = max(1, sum(s.items for s in known)), 1 + sum(s.nodes for s in known)
    return Size(sum(s.bytes for s in known), items, nodes, any(s.large for s in known))


def largest(sizes: Iterable[Size]) -> Size:
    """Return the size of whichever of them is the largest."""
    known = list(sizes) or [Size()]
    items, nodes = max(s.items for s in known), max(s.nodes for s in known)
    return Size(max(s.bytes for s in known), items, nodes, any(s.large for s in known))


STORED = Size(_COLUMN_BYTES, _ITEMS)
"""What a column counts as of which nothing more is known."""


@dataclass(frozen=True, slots=True)
class Relation:
    """What rows have: *columns* by lower-case name, else *rest*; *width* of them; *tables* are read for it."""

    columns: dict[str, Size] = field(default_factory=dict)
    rest: Size = STORED
    width: int = 0
    tables: int = 0

    def joined(self, other: Relation) -> Relation:
        """Return what rows of both have."""
        columns = self.columns | other.columns
        for name in self.columns.keys() & other.columns.keys():
            columns[name] = largest([self.columns[name], other.columns[name]])
        rest = largest([self.rest, other.rest])
        return Relation(columns, rest, self.width + other.width, self.tables + other.tables)

    def largest(self) -> Size:
        """Return the size of any of its values."""
        return largest([self.rest, *self.columns.values()])

    def named(self, aliases: Iterable[str]) -> Relation:
        """Return the same with other names for its first columns; the old ones lead nowhere else."""
        known = list(self.columns.values())
        columns = {str(a).lower(): known[i] if i < len(known) else self.rest for i, a in enumerate(aliases)}
        if not columns:
            return self
        return Relation({**self.columns, **columns}, self.largest(), self.width, self.tables)


NOTHING = Relation(rest=Size())


@dataclass(slots=True)
class Scope:
    """What names mean: *names* of lambdas and of the same SELECT, columns of *rows* (none in a lambda), else *around*.

    *times*: how often a value is made for one row; for each element of a list, in a lambda. *ctes*: WITH by name.
    """

    ctes: dict[str, Relation]
    rows: Relation | None
    around: Scope | None = None
    names: dict[str, Size] = field(default_factory=dict)
    times: int = 1

    def has(self, path: list[str]) -> bool:
        """Tell whether a name is known to be that of a column or a lambda's parameter, not of a row."""
        around: Scope | None = self
        last = path[-1].lower()
        while around is not None:
            if last in around.names or (around.rows and last in around.rows.columns):
                return True
            around = around.around
        return False

    def find(self, path: list[str]) -> Size:
        """Return the size of a column."""
        words = [word.lower() for word in path]
        around: Scope | None = self
        rest: Size | None = None
        while around is not None:
            columns = around.rows.columns if around.rows else {}
            found = [known[word] for word in words for known in (around.names, columns) if word in known]
            if found:
                return largest(found).times(self.times // around.times)
            if rest is None and around.rows is not None:
                rest = around.rows.largest().times(self.times // around.times)
            around = around.around
        return rest or Size()
