"""The distinct names that rows are grouped by, bounded: beyond the caps a name counts as `__other__`.

What was sent stays in the row: a service name in the resource's attributes, an operation in the body or span name, a
task in the attributes. Only the columns that pages and statistics group by are bounded.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial
from typing import Literal

from collector.settings import Names as Caps

OTHER = "__other__"
LONGEST = 256
"""A longer name is no name; it counts as one too many."""

Kind = Literal["service", "operation", "task", "key"]
Name = tuple[str, str, str, str]
"""(project, kind, service, name)."""
KINDS: tuple[Kind, ...] = ("service", "operation", "task", "key")


class Names:
    """The names of one project that are known so far; *taken* is told of each that is taken up."""

    def __init__(self, caps: Caps, taken: Callable[[Kind, str, str], None]) -> None:
        self._caps: dict[str, int] = {
            "service": caps.services,
            "operation": caps.operations,
            "task": caps.tasks,
            "key": caps.attribute_keys,
        }
        self._names: dict[str, set[tuple[str, str]]] = {kind: set() for kind in KINDS}
        self._keys: set[str] = set()
        self._taken = taken

    def add(self, kind: str, service: str, name: str) -> None:
        """Know a name that was taken up before, whatever the caps are now."""
        if kind in self._names:
            self._names[kind].add((service, name))
            if kind == "key":
                self._keys.add(name)

    def knows(self, kind: str, service: str, name: str) -> bool:
        """Tell whether a name is known."""
        return (service, name) in self._names[kind]

    def room(self, kind: str) -> int:
        """Return how many names of *kind* may still be taken up."""
        return self._caps[kind] - len(self._names[kind])

    def one(self, kind: Kind, service: str, name: str) -> bool:
        """Tell whether *name* is among those kept apart, taking it up while there is room."""
        names = self._names[kind]
        if (service, name) in names:
            return True
        if len(names) >= self._caps[kind] or len(name) > LONGEST:
            return False
        self.add(kind, service, name)
        self._taken(kind, service, name)
        return True

    def all_keys(self, attributes: Mapping[str, object]) -> bool:
        """Tell whether all attribute keys are among those counted, taking up what there is room for."""
        if self._keys.issuperset(attributes):
            return True
        return not sum(not self.one("key", "", key) for key in attributes)  # none left out, unlike all()

    def counts(self) -> dict[str, int]:
        """Return how many names of each kind are known."""
        return {kind: len(names) for kind, names in self._names.items()}


class Projects:
    """The names of every project, in the order in which they were taken up."""

    def __init__(self, caps: Caps, stored: Iterable[Name] = ()) -> None:
        self._caps = caps
        self._names: dict[str, Names] = {}
        self._taken: list[Name] = []
        self.learn(stored)
        self._told = len(self._taken)

    def of(self, project: str) -> Names:
        """Return the names of *project*."""
        names = self._names.get(project)
        if names is None:
            names = self._names[project] = Names(self._caps, partial(self._take, project))
        return names

    def _take(self, project: str, kind: Kind, service: str, name: str) -> None:
        self._taken.append((project, kind, service, name))

    def fresh(self) -> list[Name]:
        """Return the names taken up since the last call."""
        fresh = self.since(self._told)
        self._told += len(fresh)
        return fresh

    def since(self, count: int) -> list[Name]:
        """Return all names but the first *count*; may be called from any thread."""
        return self._taken[count:]

    def learn(self, names: Iterable[Name]) -> None:
        """Know *names* that were taken up elsewhere, whatever the caps are."""
        for name in names:
            self.of(name[0]).add(*name[1:])
            self._taken.append(name)

    def adopt(self, names: Sequence[Name]) -> bool:
        """Take up *names* that were taken up elsewhere, each once; where there is no room any more for all of them,
        tell so and take up none.
        """
        new = [name for name in dict.fromkeys(names) if not self.of(name[0]).knows(*name[1:])]
        wanted = Counter(name[:2] for name in new)
        if any(count > self.of(project).room(kind) for (project, kind), count in wanted.items()):
            return False
        self.learn(new)
        return True

    def counts(self) -> dict[str, int]:
        """Return how many names of each kind are known, over all projects."""
        return {kind: sum(names.counts()[kind] for names in self._names.values()) for kind in KINDS}
