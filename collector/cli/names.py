"""Names on a command line that only telemetry can know: an unknown one ends the verb, which says what there is."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from collector.model.errors import NotFound
from collector.model.scope import unknown
from collector.model.shown import visible

if TYPE_CHECKING:
    from collector.client import Client


def look_up(client: Client, asked: Mapping[str, str | None]) -> None:
    """Raise NotFound where telemetry never had a name; *asked*: by kind (`known_names`), an empty one is no name."""
    for kind, name in asked.items():
        if not name:
            continue
        if said := unknown(kind, name, client.query("known_names", kind=kind)["value"].to_list()):
            raise NotFound(str(said))


def look_up_schedule(client: Client, name: str | None) -> None:
    """Raise NotFound where no schedule *name* is configured, nor ever made a report."""
    if name is None or client.reports(name, 1):
        return
    known = [s["schedule"] for s in client.next_reports(1)]
    if name not in known:
        there = ", ".join(map(visible, known)) or "none"
        raise NotFound(f"no schedule {visible(name)!r}; there are {there}")


def listed(options: tuple[str, ...]) -> tuple[str, ...]:
    """Return the names that an option was given, with commas or again and again, each once."""
    return tuple(dict.fromkeys(name.strip() for part in options for name in part.split(",") if name.strip()))
