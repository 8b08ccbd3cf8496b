"""How a text that was cut says how long it was."""

from __future__ import annotations

MARK = r"… \(([0-9,]+) characters\)"
"""Pattern of the mark, with the number in it."""


def mark(characters: int) -> str:
    """Return what stands at the end of a text that had so many *characters*."""
    return f"… ({characters:,} characters)"
