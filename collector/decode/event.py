"""The guideline's message format: `{operation}_{phase}` read from a body."""

from __future__ import annotations

import re
from functools import lru_cache

_PLAIN = re.compile(r"^([a-z0-9]+(?:_[a-z0-9]+)*)_(started|validating|completed|failed)\Z")
_WORDS = re.compile(r"[a-z0-9]+(?:_[a-z0-9]+)*")

_COLOUR = re.compile(r"(?:\x1b\[|\x9b)[0-?]*[ -/]*[@-~]")
"""What makes a terminal write in another colour or style."""
_UNSEEN = "".join(
    chr(code)
    for first, last in (
        # Control characters and blanks, then characters without a width and marks of direction.
        *((0x00, 0x20), (0x7F, 0xA0), (0x1680, 0x1680), (0x2000, 0x200A), (0x2028, 0x2029), (0x202F, 0x202F)),
        *((0x205F, 0x205F), (0x3000, 0x3000)),
        *((0xAD, 0xAD), (0x61C, 0x61C), (0x180E, 0x180E), (0x200B, 0x200F), (0x202A, 0x202E), (0x2060, 0x206F)),
        *((0xFE00, 0xFE0F), (0xFEFF, 0xFEFF), (0xFFF9, 0xFFFB)),
    )
    for code in range(first, last + 1)
)
"""What a logger, a terminal or a collector of lines leaves around a message, and nobody sees."""
_SHORT = 256
"""Characters of a message that is remembered; 16,384 of a megabyte each would be memory that no limit knows of."""

Event = tuple[str | None, str | None, str | None]
NONE: Event = (None, None, None)


def event(body: str) -> Event:
    """Return (operation, phase, called service) of a message, Nones when it is not in the format.

    Colours, and what nobody sees around it, are left out. `_calling_{service}` splits at its first occurrence: services
    may be called anything.
    """
    body = body.strip()
    return _remembered(body) if len(body) <= _SHORT else _read(body)


def _read(body: str) -> Event:
    says = _told(body)
    if says is NONE:
        bare = _COLOUR.sub("", body) if "\x1b" in body or "\x9b" in body else body
        bare = bare.strip(_UNSEEN)
        says = says if bare == body else _told(bare)
    return says


def _told(body: str) -> Event:
    if match := _PLAIN.match(body):
        return match[1], match[2], None
    operation, found, service = body.partition("_calling_")
    if found and _WORDS.fullmatch(operation) and _WORDS.fullmatch(service):
        return operation, "calling", service
    return NONE


_remembered = lru_cache(maxsize=16_384)(_read)
