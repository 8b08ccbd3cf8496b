"""Numbers as people read them, and the one escape for telemetry text in labels."""

from __future__ import annotations

import math
import re

_MARKDOWN = re.compile(r"([\\`*_{}\[\]()#+\-.!|<>~:$^=&@/])")
_INVISIBLE = re.compile("[\x00-\x1f\x7f-\x9f\u200b-\u200f\u202a-\u202e\u2060-\u2069\ufeff]")
NONE = "–"  # noqa: RUF001 -- the dash that stands for nothing known


def safe(text: str | None, longest: int = 120) -> str:
    """Return telemetry text for a label: markdown escaped, invisible and direction characters shown as codes."""
    if text is None:
        return NONE
    shown = visible(text)
    shown = shown if len(shown) <= longest else shown[: longest - 1] + "…"
    return _MARKDOWN.sub(r"\\\1", shown)


def visible(text: str) -> str:
    """Return *text* with characters that cannot be seen shown as their codes."""
    return _INVISIBLE.sub(lambda m: f"\\u{ord(m[0]):04x}", text)


def duration(ns: float | None) -> str:
    """Return nanoseconds as a duration; None is a dash."""
    if ns is None or math.isnan(ns):
        return NONE
    ms = ns / 1e6
    if ms < 1:
        return f"{ms:.2f} ms"
    if ms < 1000:
        return f"{ms:.0f} ms"
    if ms < 60_000:
        return f"{ms / 1000:.1f} s"
    if ms < 3_600_000:
        return f"{ms / 60_000:.1f} min"
    return f"{ms / 3_600_000:.1f} h" if ms < 172_800_000 else f"{ms / 86_400_000:.1f} d"


def percent(share: float | None, digits: int = 1) -> str:
    """Return a share as percent; None is a dash."""
    return NONE if share is None else f"{share * 100:.{digits}f} %"


def count(n: int | None) -> str:
    """Return a number with thousands set apart; None is a dash."""
    return NONE if n is None else f"{n:,}"
