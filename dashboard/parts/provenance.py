"""The provenance mark: where a number comes from, by shape and word, never by colour alone."""

from __future__ import annotations

from dashboard import strings

GLYPHS = {"measured": "●", "phase": "◐", "derived": "◐", "inferred": "○", "unknown": "?"}


def _word(source: str | None) -> str:
    """Return *source* if it is one of ours, else unknown."""
    return source if source in GLYPHS else "unknown"


def glyph(source: str | None) -> str:
    """Return the mark as text, for table cells and components."""
    return GLYPHS[_word(source)]


def explain(source: str | None) -> str:
    """Return the sentence behind the mark."""
    return strings.PROVENANCE[_word(source)]


def html(source: str | None) -> str:
    """Return the mark as HTML of our own making: glyph, tooltip and words for screen readers."""
    return (
        f'<span class="rw-mark" role="img" title="{explain(source)}" aria-label="{explain(source)}">'
        f"{glyph(source)}</span>"
    )


def overall(measured: int, n: int) -> str:
    """Return the source of a number computed from *n* values, *measured* of them measured."""
    if n == 0:
        return "unknown"
    return "measured" if measured == n else "derived"
