"""AnyValue, ids and numbers of both encodings as plain Python, and plain Python as JSON text.

Enter: one value of a protobuf message or of an OTLP/JSON struct. Leave: the same Python value from either.
Values that JSON cannot hold keep OTLP/JSON's own form: `{"doubleValue": "NaN"}`, `{"bytesValue": "…"}`.
"""

from __future__ import annotations

import base64
import binascii
import math
from collections import Counter
from collections.abc import Callable
from typing import Any

import msgspec

from collector.decode.otlpjson import given
from collector.decode.work import ELEMENT, Work
from collector.model.errors import BadInput

U64_MAX = 2**64 - 1
I64_MIN, I64_MAX = -(2**63), 2**63 - 1

_encode = msgspec.json.Encoder().encode


def json_text(value: Any) -> str:
    """Return *value* as compact JSON text."""
    return _encode(value).decode()


class Caps:
    """Limits of values, and how often they were hit, by the names of `notes`."""

    __slots__ = ("cut", "depth", "empty", "enum_names", "key", "left", "length", "nodes", "noted", "work")

    def __init__(
        self,
        length: int,
        depth: int,
        noted: Counter[str],
        work: Work,
        *,
        cut: str = "value_cut",
        key: int = 256,
        nodes: int = 1024,
        enum_names: bool = True,
    ) -> None:
        self.length = length
        self.depth = depth
        self.noted = noted
        self.work = work
        self.cut = cut
        self.key = key
        self.nodes = nodes
        self.enum_names = enum_names
        self.left = nodes
        """Elements that the value being read may still have."""
        self.empty = 0
        """Objects of OTLP/JSON that were read as empty, of which something may not have been read."""

    def text(self, value: str) -> str:
        """Return *value*, cut to the longest length kept."""
        if len(value) > self.length:
            self.noted[self.cut] += 1
            return value[: self.length]
        return value

    def name(self, key: str) -> str:
        """Return *key*, cut to the longest length kept."""
        if len(key) > self.key:
            self.noted["key_cut"] += 1
            return key[: self.key]
        return key

    def some(self, items: Any, depth: int) -> Any:
        """Return the first of *items*, as many as the value they are in may still have."""
        if not items:
            return ()
        if depth == 0:
            self.left = self.nodes
        count = len(items)
        if count > self.left:
            self.noted["elements_cut"] += 1
            items = items[: self.left]
        self.left -= len(items)
        self.work.spend(ELEMENT * len(items))
        return items

    def pairs(self, pairs: Any, read: Callable[[Any, Caps, int], Any], depth: int = 0) -> dict[str, Any]:
        """Return key-value pairs in order, their values read at *depth*; of repeated keys the last value counts."""
        self.work.spend(ELEMENT * len(pairs))
        values: dict[str, Any] = {}
        try:
            for kv in pairs:
                key = kv.key or ""
                if len(key) > self.key:
                    key = self.name(key)
                values[key] = read(kv.value, self, depth)
        except BadInput as e:
            culprit = next(i for i, other in enumerate(pairs) if other is kv or other == kv)
            raise e.within(f"[{culprit}].value") from None
        if "" in values:
            self.empty += 1
        if len(values) != len(pairs):
            self.noted["key_repeated"] += len(pairs) - len(values)
        return values


def each(read: Callable[[Any], Any], items: Any, at: str) -> list[Any]:
    """Return what *read* makes of *items*; *at* names them when one is wrong."""
    done: list[Any] = []
    try:
        for item in items or ():
            done.append(read(item))
    except BadInput as e:
        raise e.within(f"{at}[{len(done)}]") from None
    return done


def double(value: float) -> Any:
    """Return a finite double as it is, another in OTLP/JSON's form."""
    if math.isfinite(value):
        return value
    return {"doubleValue": "NaN" if math.isnan(value) else "Infinity" if value > 0 else "-Infinity"}


def octets(value: bytes) -> dict[str, str]:
    """Return bytes in OTLP/JSON's form."""
    return {"bytesValue": base64.b64encode(value).decode("ascii")}


def from_protobuf(v: Any, caps: Caps, depth: int = 0) -> Any:
    """Return the Python value of a protobuf AnyValue; an empty one is None."""
    kind = v.WhichOneof("value")
    if kind == "string_value":
        return caps.text(v.string_value)
    if kind == "int_value":
        return v.int_value
    if kind == "bool_value":
        return v.bool_value
    if kind is None:
        return None
    if kind == "double_value":
        return double(v.double_value)
    if depth >= caps.depth:
        raise BadInput(f"nested deeper than {caps.depth}; flatten the value")
    if kind == "array_value":
        return [from_protobuf(item, caps, depth + 1) for item in caps.some(v.array_value.values, depth)]
    if kind == "kvlist_value":
        pairs = caps.some(v.kvlist_value.values, depth)
        return caps.pairs(pairs, from_protobuf, depth + 1)
    if kind == "bytes_value":
        return octets(v.bytes_value)
    return None  # string_value_strindex belongs to profiles only


_ONEOF = (
    "string_value",
    "int_value",
    "bool_value",
    "double_value",
    "array_value",
    "kvlist_value",
    "bytes_value",
)


def from_json(v: Any, caps: Caps, depth: int = 0) -> Any:
    """Return the Python value of an OTLP/JSON AnyValue; an empty one is None.

    An integer too large for 64 bits (real senders write `1e+21`) becomes the double it stands for.
    """
    if v is None:
        return None
    text = v.string_value
    if text is not None and v.others == 0:
        return caps.text(text)
    members = [name for name in _ONEOF if getattr(v, name) is not None]
    if len(members) > 1:
        raise BadInput(f"a value has one member, got {' and '.join(_camel(n) for n in members)}")
    if not members:
        if given(v.go_value):
            caps.noted["go_value"] += 1
        else:
            caps.empty += 1
        return None
    member = getattr(v, members[0])
    match members[0]:
        case "string_value":
            return caps.text(member)
        case "bool_value":
            return member
        case "int_value":
            return _json_int(member)
        case "double_value":
            return double(json_double(member, "doubleValue"))
        case "bytes_value":
            return octets(json_bytes(member))
    if depth >= caps.depth:
        raise BadInput(f"nested deeper than {caps.depth}; flatten the value")
    items = caps.some(member.values, depth)
    try:
        if members[0] == "array_value":
            return each(lambda item: from_json(item, caps, depth + 1), items, "")
        return caps.pairs(items, from_json, depth + 1)
    except BadInput as e:
        raise e.within(f"{_camel(members[0])}.values") from None


_BEYOND = 10**40
"""More than the digits that `integer` reads can say."""


def _json_int(value: int | float | str) -> int | float:
    if isinstance(value, float) and not value.is_integer():
        raise BadInput("expected an integer", field="intValue")
    number = integer(value, "intValue", -_BEYOND, _BEYOND) if isinstance(value, str) else value
    if isinstance(number, float):
        number = int(number)
    return number if I64_MIN <= number <= I64_MAX else float(number)


def json_double(value: int | float | str, field: str) -> float:
    """Return an OTLP/JSON double: a number, or "NaN", "Infinity", "-Infinity", or digits in a string."""
    if isinstance(value, str):
        named = {"NaN": math.nan, "Infinity": math.inf, "-Infinity": -math.inf}
        if value in named:
            return named[value]
        try:
            if value.strip() != value or "_" in value:
                raise ValueError
            return float(value)
        except ValueError:
            raise BadInput(f"expected a number, got {value[:40]!r}", field=field) from None
    try:
        return float(value)
    except OverflowError:
        return math.inf if value > 0 else -math.inf


def json_bytes(value: str) -> bytes:
    """Return the bytes of a base64 string, standard or URL-safe, padded or not."""
    text = value.replace("-", "+").replace("_", "/").rstrip("=")
    try:
        return base64.b64decode(text + "=" * (-len(text) % 4), validate=True)
    except (binascii.Error, ValueError):
        raise BadInput("expected base64", field="bytesValue") from None


def integer(value: int | float | str | None, field: str, low: int = I64_MIN, high: int = I64_MAX) -> int:
    """Return a 64-bit integer that OTLP/JSON gives as a number or decimal string; None is 0."""
    if value is None:
        return 0
    if isinstance(value, str):
        digits = value[1:] if value[:1] in "+-" else value
        if not (digits.isascii() and digits.isdigit() and len(digits) <= 40):
            raise BadInput(f"expected an integer, got {value[:40]!r}", field=field)
        value = int(value)
    elif isinstance(value, float):
        if not value.is_integer():
            raise BadInput(f"expected an integer, got {value!r}", field=field)
        value = int(value)
    if not low <= value <= high:
        raise BadInput(f"expected an integer from {low} to {high}, got {value}"[:200], field=field)
    return value


def _camel(name: str) -> str:
    head, *rest = name.split("_")
    return head + "".join(part.capitalize() for part in rest)


def type_name(value: Any) -> str:
    """Return the OTLP name of a value's type."""
    if isinstance(value, bool):
        return "bool"
    if isinstance(value, int):
        return "int"
    if isinstance(value, float):
        return "double"
    if isinstance(value, list):
        return "array"
    if isinstance(value, dict) and len(value) == 1:
        if "bytesValue" in value:
            return "bytes"
        if value.get("doubleValue") in ("NaN", "Infinity", "-Infinity"):
            return "double"
    return "kvlist"
