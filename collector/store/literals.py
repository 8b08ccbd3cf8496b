"""Sizes that literals of a statement state: how often to repeat, how wide to pad, how many places a type has."""

from __future__ import annotations

import re
from typing import Any

from collector.store import functions
from collector.store.scope import Node, Size, refused, total

MOST_TOP = 100
"""How many values an aggregate may keep of each group."""
_MOST_PLACES = 200
"""Digits or padding in one field of `format` and `printf`."""
_NUMBER_BYTES = 400
"""The longest text of a number: 1e308 with its digits."""
FIELD = 16
_MOST_ARRAY = 1_000
_TEXT = frozenset({"varchar", "text", "string", "char", "bpchar", "json"})
_NESTED = frozenset({"list", "map", "struct", "row", "array"})
_BYTES = {"blob": 4, "bytea": 4, "varbinary": 4, "bit": 8, "bitstring": 8}
"""How many characters of text a byte of these may become."""


def value(node: Node) -> Any:
    """Return what a CONSTANT states: a text, or another value as DuckDB writes it."""
    literal = node.get("literal") or node.get("value") or {}
    return literal.get("text", literal.get("value"))


def integer(node: Node) -> int | None:
    """Return a literal whole number, None for anything else."""
    if node["class"] == "FUNCTION" and node["function_name"] == "-" and len(node["arguments"]) == 1:
        n = integer(node["arguments"][0]["expression"])
        return None if n is None else -n
    if node["class"] != "CONSTANT" or text(node) is not None:
        return None
    stated = str(value(node))
    return int(stated) if re.fullmatch(r"-?[0-9]{1,18}", stated) else None


def text(node: Node) -> str | None:
    """Return a literal text, None for anything else."""
    is_text = node["class"] == "CONSTANT" and (node.get("literal") or {}).get("kind") == "STRING"
    return str(node["literal"]["text"]) if is_text else None


def result(name: str, given: list[Node], sizes: list[Size], times: int) -> Size:
    """Return the size of what a function of `functions.LITERAL` makes; BadInput where no literal bounds it."""
    whole = total(sizes)
    if name in ("range", "generate_series"):
        ends = [n for node in given if (n := integer(node)) is not None]
        if len(ends) < len(given) or not ends:
            raise refused(f"{name}() makes a list of whole numbers between literals; others: FROM {name}(…)")
        start, stop, step = ([0, ends[0], 1] if len(ends) == 1 else [*ends, 1])[:3]
        n = abs(stop - start) // max(1, abs(step)) + 1
        return Size(8 * n * times, n * times, whole.nodes)
    places = [given[i] if i < len(given) else None for i in functions.LITERAL[name]]
    stated = places[0]
    if stated is None:
        return whole  # DuckDB says what is missing
    if name in ("format", "printf"):
        form = text(stated)
        if form is None:
            raise refused(f"{name}() takes its form as a literal")
        if any(int(digits) > _MOST_PLACES for digits in re.findall(r"\d+", form)) or re.search(r"\*|\{[^}]*\{", form):
            raise refused(f"{name}() fills at most {_MOST_PLACES} places, stated in its form")
        fields = form.count("{" if name == "format" else "%")
        return Size(whole.bytes + fields * (whole.bytes + (_MOST_PLACES + _NUMBER_BYTES) * times), 1, whole.nodes)
    if name in ("replace", "regexp_replace"):
        put = text(stated)
        if put is None:
            raise refused(f"{name}() takes what it puts in as a literal")
        length = len(put.encode())
        # One for each byte that was there; a pattern also matches between them, and may put in what it matched.
        factor = max(1, length) if name == "replace" else 1 + length + put.count("\\")
        if name == "replace" and (gone := text(given[1])):
            factor = max(1, -(-length // len(gone.encode())))
        return Size((sizes[0].bytes + times) * factor, sizes[0].items, whole.nodes)
    n = integer(stated)
    if n is None:
        raise refused(f"{name}() takes how much as a literal number")
    n = max(1, n)
    if name in ("lpad", "rpad", "bar"):
        return Size(4 * n * times, 1, whole.nodes)
    if name == "repeat":
        return Size(sizes[0].bytes * n, sizes[0].items * n, whole.nodes)
    filled = sizes[2].bytes if len(sizes) > 2 else FIELD * times
    return Size(sizes[0].bytes + filled * n, sizes[0].items + n * times, whole.nodes)


def cast(kind: Node, of: Size, times: int) -> Size:
    """Return the size of a value *of* that size once it is of a type; BadInput for a type that is not listed."""
    fields = _fields(kind)
    name = str(kind["type_name"]).lower()
    if name in _TEXT:
        return Size(2 * of.bytes + FIELD * times, of.items, of.nodes)
    if name in _NESTED:
        return Size(FIELD * (of.bytes + fields * times), max(of.bytes, times), of.nodes)
    if name in _BYTES:
        return Size(_BYTES[name] * of.bytes, times, of.nodes)
    return Size(FIELD * times, times, of.nodes)


def is_text(kind: Node) -> bool:
    """Tell whether a type is a text, so that a cast of a text to it is the text itself."""
    return str(kind["type_name"]).lower() in _TEXT


def _fields(kind: Node) -> int:
    """Return how many values there are in one of a type."""
    name = str(kind.get("type_name", "")).lower()
    if name not in functions.TYPES:
        raise refused(f"type {name[:60]!r} is not available here")
    inner = [child for child in kind.get("children") or () if child.get("class") == "TYPE"]
    if any(child.get("class") not in ("TYPE", "CONSTANT") for child in kind.get("children") or ()):
        raise refused(f"type {name[:60]!r} is not available here in this form")
    n = max(1, sum(_fields(child) for child in inner))
    if name == "array":
        length = integer(kind["children"][-1])
        if length is None:
            raise refused("the length of an array is a literal number")
        n *= length
    if n > _MOST_ARRAY:
        raise refused(f"a type of more than {_MOST_ARRAY} values is not available here")
    return n
