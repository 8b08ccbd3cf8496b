"""What a schedule did not keep, as both kinds of cadence tell it."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Deviation:
    """A slot that was not kept. *what*: missed, late, double; *came_ns*: when it (or the second one) did come."""

    what: str
    slot_ns: int
    came_ns: int | None
