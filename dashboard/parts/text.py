"""The one escape for telemetry text in labels, and how pages write numbers."""

from __future__ import annotations

import re
from typing import Any

from collector.model.shown import NONE, codes, compact, count, duration, percent, unit_of, visible

__all__ = ["NONE", "compact", "count", "duration", "percent", "safe", "unit_of", "visible", "visible_json"]
_MARKDOWN = re.compile(r"([\\`*_{}\[\]()#+\-.!|<>~:$^=&@/])")
# What Streamlit and its markdown parser replace in text that was already unescaped: icons, emoji, addresses, arrows.
_REPLACED = re.compile(r"([:@](?=\S)|www(?=\.)|[-<>~](?=[-=>]))", re.IGNORECASE)
_JOINER = "\u2060"


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


def visible_json(value: Any) -> Any:
    """Return *value* for a JSON viewer, which shows line breaks itself: other invisible characters as codes."""
    if isinstance(value, str):
        return "\n".join("\t".join(codes(part) for part in line.split("\t")) for line in value.split("\n"))
    if isinstance(value, int) and abs(value) > 2**53:
        return str(value)  # a browser would round it
    if isinstance(value, list):
        return [visible_json(item) for item in value]
    if isinstance(value, dict):
        return {visible(str(key)): visible_json(item) for key, item in value.items()}
    return value
