"""The fields of a protobuf message as bytes, looked at without parsing what they hold."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from itertools import islice
from typing import Any

from google.protobuf.descriptor import FieldDescriptor

_MOST = 1_000
"""Fields of one message that are looked at."""
_VARINT, _FIXED64, _BYTES, _BEGIN, _END, _FIXED32 = range(6)
_OF_TYPE = {
    **dict.fromkeys(
        (FieldDescriptor.TYPE_DOUBLE, FieldDescriptor.TYPE_FIXED64, FieldDescriptor.TYPE_SFIXED64), _FIXED64
    ),
    **dict.fromkeys(
        (FieldDescriptor.TYPE_FLOAT, FieldDescriptor.TYPE_FIXED32, FieldDescriptor.TYPE_SFIXED32), _FIXED32
    ),
    **dict.fromkeys((FieldDescriptor.TYPE_STRING, FieldDescriptor.TYPE_BYTES, FieldDescriptor.TYPE_MESSAGE), _BYTES),
}
"""Type of a field → how it is written, where it is no varint."""
_SIZES = {_FIXED64: 8, _FIXED32: 4}
_MOST_LOOKED_AT = 20_000
"""Fields of a broken message that are looked at, for its sender to know where it breaks."""


def varint(body: bytes, at: int) -> tuple[int, int]:
    """Return (value, index behind it); raise IndexError where it does not end."""
    value = body[at]
    at += 1
    if value < 128:
        return value, at
    value &= 127
    shift = 7
    while True:
        byte = body[at]
        at += 1
        value |= (byte & 127) << shift
        if byte < 128:
            return value, at
        shift += 7
        if shift > 63:
            raise IndexError


def fields(body: bytes, at: int, end: int) -> Iterator[tuple[int, int, int, int]]:
    """Yield (number, wire type, start, end) of the first fields of the message from *at* to *end*.

    *start* and *end* are those of what a field of bytes holds. A group's fields are passed over with it.
    """
    return islice(_fields(body, at, end), _MOST)


def _fields(body: bytes, at: int, end: int) -> Iterator[tuple[int, int, int, int]]:
    groups = 0
    while at < end:
        tag, at = varint(body, at)
        start = at
        match kind := tag & 7:
            case 0:
                _, at = varint(body, at)
            case 1 | 5:
                at += 8 if kind == _FIXED64 else 4
            case 2:
                size, start = varint(body, at)
                at = start + size
            case 3 | 4:
                groups += 1 if kind == _BEGIN else -1
        if not groups or (groups == 1 and kind == _BEGIN):
            yield tag >> 3, kind, start, at


def mistyped(descriptor: Any, body: bytes, at: int, end: int) -> Any:
    """Return the descriptor of a known field that is written as another type, None if there is none."""
    for number, kind, _, _ in fields(body, at, end):
        field = descriptor.fields_by_number.get(number)
        if field is not None and kind != _END:
            right = _OF_TYPE.get(field.type, _VARINT)
            if kind != right and not (field.is_repeated and kind == _BYTES):
                return field
    return None


class _Broken(Exception):
    """A message that ends within a field, or has what is none."""

    def __init__(self, why: str) -> None:
        self.why = why


def broken(descriptor: Any, body: bytes) -> tuple[str, str]:
    """Return the path of what is wrong in a message that cannot be parsed, and what; neither where it is not among the
    first fields.
    """
    path: list[str] = []
    try:
        _look(descriptor, body, 0, len(body), path, iter(range(_MOST_LOOKED_AT)))
    except _Broken as e:
        return ".".join(path), e.why
    except (StopIteration, RecursionError):
        pass
    return "", ""


def _look(descriptor: Any, body: bytes, at: int, end: int, path: list[str], left: Iterator[int]) -> None:
    """Raise _Broken where a field is none or does not end, with *path* at the culprit."""
    seen: Counter[int] = Counter()
    while at < end:
        next(left)
        began = at
        try:
            tag, at = varint(body, at)
            size, start = varint(body, at) if tag & 7 in (_VARINT, _BYTES) else (0, at)
        except IndexError:
            raise _Broken("it is cut off") from None
        number, kind = tag >> 3, tag & 7
        if kind > _FIXED32 or not number:
            raise _Broken(f"at byte {began} no field begins")
        field = descriptor.fields_by_number.get(number)
        size = size if kind == _BYTES else _SIZES.get(kind, 0)
        is_message = field is not None and field.message_type is not None and kind == _BYTES
        if is_message or size > end - start:
            name = f"field {number}" if field is None else field.json_name
            path.append(f"{name}[{seen[number]}]" if field is not None and field.is_repeated else name)
            if size > end - start:
                raise _Broken(f"it says that it has {size} bytes where {end - start} are left")
            _look(field.message_type, body, start, start + size, path, left)
            path.pop()
        seen[number] += 1
        at = start + size
