"""The guideline's message format: `{operation}_{phase}` read from a body."""

from __future__ import annotations

import re
from functools import lru_cache

_PLAIN = re.compile(r"^([a-z0-9]+(?:_[a-z0-9]+)*)_(started|validating|completed|failed)\Z")
_WORDS = re.compile(r"[a-z0-9]+(?:_[a-z0-9]+)*")

_SPACE = " \t\r\n\v\f"
"""What a logger or a collector of lines leaves around a message."""
_SHORT = 256
"""Characters of a message that is remembered; 16,384 of a megabyte each would be memory that no limit knows of."""

Event = tuple[str | None, str | None, str | None]
NONE: Event = (None, None, None)


def event(body: str) -> Event:
    """Return (operation, phase, called service) of a message, Nones when it is not in the format.

    `_calling_{service}` splits at its first occurrence: services may be called anything.
    """
    body = body.strip(_SPACE)
    return _remembered(body) if len(body) <= _SHORT else _read(body)


def _read(body: str) -> Event:
    if match := _PLAIN.match(body):
        return match[1], match[2], None
    operation, found, service = body.partition("_calling_")
    if found and _WORDS.fullmatch(operation) and _WORDS.fullmatch(service):
        return operation, "calling", service
    return NONE


_remembered = lru_cache(maxsize=16_384)(_read)
