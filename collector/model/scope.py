"""Which tasks, services and environments somebody asks for, and what is said of a name that nobody ever sent."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from difflib import get_close_matches

from collector.model.shown import visible

_MOST = 5
"""Names that are told of those there are."""
_COMPARED = 3_000


@dataclass(frozen=True, slots=True)
class Scope:
    """Only runs and records of these; an empty one is all."""

    task: tuple[str, ...] = ()
    service: tuple[str, ...] = ()
    environment: tuple[str, ...] = ()

    def __bool__(self) -> bool:
        """Tell whether it leaves anything out."""
        return bool(self.task or self.service or self.environment)

    def kinds(self) -> list[tuple[str, tuple[str, ...]]]:
        """Return what is asked for: kind of name, and names."""
        named = [("task", self.task), ("service", self.service), ("environment", self.environment)]
        return [(kind, names) for kind, names in named if names]

    def __str__(self) -> str:
        """Return it in words, such as ` of task a or b, environment dev`; nothing where it leaves nothing out."""
        said = ", ".join(f"{kind} {' or '.join(map(visible, names))}" for kind, names in self.kinds())
        return f" of {said}" if said else ""


ALL = Scope()
"""Everything."""


@dataclass(frozen=True, slots=True)
class Unknown:
    """A name that telemetry has never had, and those it has that are nearest, else the most frequent."""

    kind: str
    name: str
    nearest: tuple[str, ...]
    known: int
    """How many names of that kind there are."""

    def __str__(self) -> str:
        """Return a sentence that names the option."""
        known = f"telemetry has no {self.kind.replace('_', ' ')} of that name"
        option = f"--{self.kind.replace('_', '-')}"
        if not self.nearest:
            return f"{option} {visible(self.name)}: {known}, and none at all yet."
        there = ", ".join(map(visible, self.nearest))
        more = self.known - len(self.nearest)
        return f"{option} {visible(self.name)}: {known}; there are {there}{f' and {more} more' if more else ''}."


def unknown(kind: str, name: str, known: Sequence[str]) -> Unknown | None:
    """Return what is said of *name* where *known* (names of that kind, the most frequent first) has it not."""
    if name in known:
        return None
    folded: dict[str, str] = {}
    for other in known[:_COMPARED]:
        folded.setdefault(other.casefold(), other)
    close = [folded[other] for other in get_close_matches(name.casefold(), folded, _MOST)]
    rest = [other for other in known[:_MOST] if other not in close]
    return Unknown(kind, name, tuple([*close, *rest][:_MOST]), len(known))
