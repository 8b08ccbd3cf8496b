"""What a look at something gives: one finding, in a sentence, with the facts behind it."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from typing import Any, Literal

from collector.model.units import HOUR_NS

State = Literal["ok", "note", "problem"]
LATELY_NS = 24 * HOUR_NS


@dataclass(frozen=True, slots=True)
class Check:
    """One finding: *name* of what was looked at, *message* in a sentence, *facts* behind it."""

    name: str
    state: State
    message: str
    facts: dict[str, Any] = field(default_factory=dict)


def moment(ns: int) -> str:
    """Return a time in UTC, to the second."""
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(ns // 10**9))
