"""The three ids that every record carries: what else they are called, and what stands where there is none.

Decode reads them by this table and rules judge by it, so that what is told of a key is what was read from it.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from functools import lru_cache
from typing import Any

from collector.model.spelling import words

NAMES: dict[str, tuple[str, ...]] = {
    "correlation_id": ("correlation_id", "corr_id", "x_correlation_id"),
    "request_id": ("request_id", "req_id", "x_request_id"),
    "run_id": ("run_id", "task_run_id"),
}
"""Id → its name, then what else it is called, the first that a record has counts. Each is read however it is spelled:
in any case, its words joined by anything or by nothing (`requestID`, `request.id`, `X-Request-ID`, `requestid`)."""

ENDS = "dD"
"""Last letters of such a key; most others end otherwise."""
_SPELLED = {spelled: id_ for id_, names in NAMES.items() for name in names for spelled in (name, name.replace("_", ""))}
_LONGEST = 2 * max(map(len, _SPELLED))
"""A longer key is none of them, and not worth remembering."""


def of_key(key: str) -> str | None:
    """Return which of the ids *key* is, None for any other."""
    return _of_key(key) if len(key) <= _LONGEST else None


@lru_cache(maxsize=8_192)
def _of_key(key: str) -> str | None:
    return _SPELLED.get("_".join(words(key)))


def spelled(keys: Iterable[str], id_: str) -> list[str]:
    """Return those of *keys* that are *id_*, the one that counts first."""
    found = [key for key in keys if key[-1:] in ENDS and of_key(key) == id_]
    if len(found) < 2:
        return found
    names = NAMES[id_]
    return sorted(found, key=lambda key: (names.index(key) if key in names else len(names), key))


_NOTHING = (
    r"undefined|undef|null|nil|none|nan|n/a|n\.a\.|na|unknown|unset|missing|empty|not[ _-]?(?:set|available|found)"
    r"|tbd|todo|fixme|placeholder|change[ _-]?me|true|false"
)
_NO_UUID = "0{8}-0{4}-0{4}-0{4}-0{12}"
_NO_ID = re.compile(
    rf"(?i:[<(\[{{]?(?:{_NOTHING})[>)\]}}]?)"
    r"|[\s\-_.?*#/0]*"  # blanks, signs and zeros
    r"|[xX]{2,}(?:-[xX]+)*"
    r"|[A-Za-z]{1,16}[-_:/.]"  # `order-`
    rf"|(?:.*[-_:./])?(?:(?i:undefined|null|nan|<nil>|{_NO_UUID})|None)"  # `order-undefined`
    r"|.*(?:%[sdvr]|%\(\w+\)s)|.*(?:\$\{|\{\{|\{\w*\}|%!\w\(|\[object \w+\]).*",  # `order-${id}`
    re.DOTALL,
)
"""A whole id that is none: a word for nothing, signs or zeros alone, a name whose value is missing, and what was to be
filled in."""
_LONG = 128
"""Characters of an id that nobody takes for a placeholder."""


def stated(value: Any) -> str | None:
    """Return an id as text, a number as its digits; None for what is none (`N/A`, `order-undefined`, zeros)."""
    if isinstance(value, str):
        return value if len(value) > _LONG or not _is_none(value) else None
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return None
    return stated(str(value))


@lru_cache(maxsize=16_384)
def _is_none(value: str) -> bool:
    return _NO_ID.fullmatch(value.strip()) is not None
