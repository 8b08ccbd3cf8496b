"""A text as it reads once what URLs and JSON escape in it is undone, and where each of its characters stood."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

Span = tuple[int, int]
"""Where something stands in a text: first character, and the one after the last."""

_ESCAPED = re.compile(r"%(?:25){0,3}([2-7][0-9A-Fa-f]|0[9ADad])|\\{1,4}(?:u00([2-7][0-9A-Fa-f])|([nrt/]))")
"""An ASCII character, percent-encoded up to four times over, or as JSON may write it."""
_SHORT = {"n": "\n", "r": "\r", "t": "\t", "/": "/"}


@dataclass(frozen=True, slots=True)
class Plain:
    """A text without escapes."""

    raw: str
    text: str
    starts: tuple[int, ...] | None = None
    """Where each character of `text` begins in `raw`, and the end; None where nothing was escaped."""

    def place(self, spans: Iterable[Span]) -> Iterator[Span]:
        """Yield where *spans* of `text` stand in `raw`."""
        if self.starts is None:
            yield from spans
            return
        for start, end in spans:
            yield self.starts[start], self.starts[end]

    def is_escaped(self, at: int) -> bool:
        """Tell whether the character at *at* of `text` was escaped."""
        return self.starts is not None and self.starts[at + 1] - self.starts[at] > 1


def unescape(raw: str) -> Plain:
    """Return *raw* as it reads."""
    if not ("%" in raw or "\\" in raw) or not _ESCAPED.search(raw):
        return Plain(raw, raw)
    pieces: list[str] = []
    starts: list[int] = []
    last = 0
    for match in _ESCAPED.finditer(raw):
        code = match[1] or match[2]
        pieces += raw[last : match.start()], chr(int(code, 16)) if code else _SHORT[match[3]]
        starts.extend(range(last, match.start() + 1))
        last = match.end()
    pieces.append(raw[last:])
    starts.extend(range(last, len(raw) + 1))
    return Plain(raw, "".join(pieces), tuple(starts))
