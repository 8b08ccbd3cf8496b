"""The distinct names that rows are grouped by, bounded: beyond the caps a name counts as `__other__`.

What was sent stays in the row: a service name in the resource's attributes, an operation in the body or span name, a
task in the attributes. Only the columns that pages and statistics group by are bounded.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Literal

from collector.settings import Names as Caps

OTHER = "__other__"
LONGEST = 256
"""A longer name is no name; it counts as one too many."""

Kind = Literal["service", "operation", "task", "key"]
KINDS: tuple[Kind, ...] = ("service", "operation", "task", "key")


class Names:
    """The names of one project that are known so far."""

    def __init__(self, caps: Caps, names: Iterable[tuple[str, str, str]] = ()) -> None:
        self._caps: dict[str, int] = {
            "service": caps.services,
            "operation": caps.operations,
            "task": caps.tasks,
            "key": caps.attribute_keys,
        }
        self._names: dict[str, set[tuple[str, str]]] = {kind: set() for kind in KINDS}
        self._keys: set[str] = set()
        self._fresh: list[tuple[str, str, str]] = []
        for kind, service, name in names:
            if kind in self._names:
                self._add(kind, service, name)

    def _add(self, kind: str, service: str, name: str) -> None:
        self._names[kind].add((service, name))
        if kind == "key":
            self._keys.add(name)

    def one(self, kind: Kind, service: str, name: str) -> bool:
        """Tell whether *name* is among those kept apart, taking it up while there is room."""
        names = self._names[kind]
        if (service, name) in names:
            return True
        if len(names) >= self._caps[kind] or len(name) > LONGEST:
            return False
        self._add(kind, service, name)
        self._fresh.append((kind, service, name))
        return True

    def all_keys(self, attributes: Mapping[str, object]) -> bool:
        """Tell whether all attribute keys are among those counted, taking up what there is room for."""
        if self._keys.issuperset(attributes):
            return True
        return not sum(not self.one("key", "", key) for key in attributes)  # none left out, unlike all()

    def fresh(self) -> list[tuple[str, str, str]]:
        """Return the (kind, service, name) taken up since the last call."""
        fresh, self._fresh = self._fresh, []
        return fresh

    def counts(self) -> dict[str, int]:
        """Return how many names of each kind are known."""
        return {kind: len(names) for kind, names in self._names.items()}


class Projects:
    """The names of every project."""

    def __init__(self, caps: Caps, stored: Iterable[tuple[str, str, str, str]] = ()) -> None:
        self._caps = caps
        rows: dict[str, list[tuple[str, str, str]]] = {}
        for project, kind, service, name in stored:
            rows.setdefault(project, []).append((kind, service, name))
        self._names = {project: Names(caps, names) for project, names in rows.items()}

    def of(self, project: str) -> Names:
        """Return the names of *project*."""
        names = self._names.get(project)
        if names is None:
            names = self._names[project] = Names(self._caps)
        return names

    def fresh(self) -> list[tuple[str, str, str, str]]:
        """Return the (project, kind, service, name) taken up since the last call."""
        return [(project, *row) for project, names in self._names.items() for row in names.fresh()]

    def counts(self) -> dict[str, int]:
        """Return how many names of each kind are known, over all projects."""
        return {kind: sum(names.counts()[kind] for names in self._names.values()) for kind in KINDS}
