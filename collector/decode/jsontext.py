"""An object in a text of JSON, as Python's and JavaScript's loggers write one into a body or an attribute."""

from __future__ import annotations

import json
from typing import Any

from collector.decode.unicode import whole_escapes
from collector.decode.work import Work

_LONGEST = 64 * 1024
"""Characters of JSON that a logger writes of one record, and more."""
_SPACE = " \t\r\n\ufeff"
_UNIT = 50
"""Characters of JSON a unit of work."""


def may_be_one(text: str) -> bool:
    """Tell whether *text* begins as an object or a list does, and is no longer than one that is read."""
    return len(text) <= _LONGEST and text.lstrip(_SPACE)[:1] in ("{", "[")


def read(text: str, work: Work) -> Any:
    """Return what all of a *text* of JSON is, its numbers as text, None where it is none."""
    work.spend(len(text) // _UNIT)
    whole, _ = whole_escapes(text.strip(_SPACE).encode())
    try:
        # Numbers stay text, which every key may have: of most nobody asks, and some are slow to convert.
        return json.loads(whole, parse_int=str, parse_float=str, parse_constant=str)
    except (ValueError, RecursionError):
        return None
