"""Numbers as people read them, and the one escape for telemetry text in labels."""

from __future__ import annotations

import math
import re
from typing import Any

_MARKDOWN = re.compile(r"([\\`*_{}\[\]()#+\-.!|<>~:$^=&@/])")
_INVISIBLE = re.compile(
    "[\x00-\x1f\x7f-\x9f\xad\u061c\u180e\u200b-\u200f\u2028-\u202e\u2060-\u2069\ufeff\U000e0000-\U000e007f]"
)
# What Streamlit and its markdown parser replace in text that was already unescaped: icons, emoji, addresses, arrows.
_REPLACED = re.compile(r"([:@](?=\S)|www(?=\.)|[-<>~](?=[-=>]))", re.IGNORECASE)
_JOINER = "\u2060"
NONE = "–"  # noqa: RUF001 -- the dash that stands for nothing known


def safe(text: str | None, longest: int = 120) -> str:
    """Return telemetry text for a label: markdown escaped, invisible and direction characters shown as codes.

    An escape alone does not stop `:material_home:`, `:smile:`, `www.…`, `https://…` and `a@b.c`: they are looked for
    in the text after it was unescaped. A word joiner, which shows as nothing, parts them.
    """
    if text is None:
        return NONE
    shown = visible(text).strip()
    shown = shown if len(shown) <= longest else shown[: longest - 1] + "…"
    return _MARKDOWN.sub(r"\\\1", _REPLACED.sub(rf"\1{_JOINER}", shown))


def visible(text: str) -> str:
    """Return *text* on one line, characters that cannot be seen shown as their codes."""
    return _codes(text.replace("\r\n", "\n").replace("\n", " ↵ ").replace("\t", "  "))


def _codes(text: str) -> str:
    return _INVISIBLE.sub(lambda m: f"<U+{ord(m[0]):04X}>", text)


def visible_json(value: Any) -> Any:
    """Return *value* for a JSON viewer, which shows line breaks itself: other invisible characters as codes."""
    if isinstance(value, str):
        return "\n".join("\t".join(_codes(part) for part in line.split("\t")) for line in value.split("\n"))
    if isinstance(value, int) and abs(value) > 2**53:
        return str(value)  # a browser would round it
    if isinstance(value, list):
        return [visible_json(item) for item in value]
    if isinstance(value, dict):
        return {visible(str(key)): visible_json(item) for key, item in value.items()}
    return value


def duration(ns: float | None) -> str:
    """Return nanoseconds as a duration; None is a dash."""
    if ns is None or math.isnan(ns):
        return NONE
    ms = ns / 1e6
    if ms == 0:
        return "0 ms"
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


def compact(n: int) -> str:
    """Return a number in few characters, three digits that count."""
    for scale, unit in ((10**9, "G"), (10**6, "M"), (10**3, "k")):
        if n >= 10_000 and n / scale >= 0.9995:
            return f"{n / scale:.3g}{unit}" if n / scale < 999.5 else f"{n / scale:,.0f}{unit}"
    return f"{n:,}"
