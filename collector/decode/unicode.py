"""Text that is not Unicode: each of its bytes, or half of a pair, becomes U+FFFD, and all else is kept.

Senders cut text in the middle of a character, or send a file name as they found it; a batch is not lost for it. Bodies
that are all Unicode are never copied.
"""

from __future__ import annotations

import codecs
import re
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from typing import Any

from google.protobuf.descriptor import FieldDescriptor
from google.protobuf.descriptor_pb2 import FileDescriptorProto
from google.protobuf.descriptor_pool import DescriptorPool
from google.protobuf.message import DecodeError
from google.protobuf.message_factory import GetMessageClass

from collector.decode.work import ELEMENT, ITEM, Work

_UTF8 = codecs.getincrementaldecoder("utf-8")
_PIECE = 2**20
"""Bytes that are looked at at once: one rare character makes text four times as large."""
_BAD = "\ufffd".encode()
_SURROGATE = re.compile(rb"\\u[dD][89a-fA-F]")
_LONE = re.compile(
    rb"(?<!\\)(?P<before>(?:\\\\)*)"
    rb"(?:(?P<pair>\\u[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2})|\\u[dD][89a-fA-F][0-9a-fA-F]{2})"
)


def utf8(body: bytes) -> tuple[bytes, int]:
    """Return *body* as UTF-8, and how many characters of it are replaced."""
    decoder = _UTF8()
    try:
        if len(body) <= _PIECE:
            body.decode()
            return body, 0
        for at in range(0, len(body), _PIECE):
            decoder.decode(body[at : at + _PIECE], final=at + _PIECE >= len(body))
        return body, 0
    except UnicodeDecodeError:
        decoder = _UTF8("replace")
    made = bytearray()
    for at in range(0, len(body), _PIECE):
        made += decoder.decode(body[at : at + _PIECE], final=at + _PIECE >= len(body)).encode()
    return bytes(made), made.count(_BAD) - body.count(_BAD)


def whole_escapes(body: bytes) -> tuple[bytes, int]:
    r"""Return JSON without halves of pairs, such as `\ud83d` alone, and how many of them are replaced."""
    if _SURROGATE.search(body) is None:
        return body, 0
    lone = 0

    def whole(found: re.Match[bytes]) -> bytes:
        nonlocal lone
        if found["pair"]:
            return found[0]
        lone += 1
        return found["before"] + rb"\ufffd"

    return _LONE.sub(whole, body), lone


@dataclass(slots=True)
class _Kind:
    """A message type: as it is read, and its fields that hold text, alone and repeated, or messages."""

    read: Callable[[bytes], Any]
    one: list[str]
    many: list[str]
    inner: list[tuple[str, str, bool]]
    """Name, its message type, whether it is repeated."""


def protobuf(message: type[Any], body: bytes, work: Work) -> tuple[bytes, int]:
    """Return a *message* as bytes with all its text in UTF-8, and how many texts are mended; raise DecodeError where
    *body* is none whatever its text.
    """
    raw, kinds = _raw(message.DESCRIPTOR)
    read = raw()
    read.ParseFromString(body)
    mended = _mend(read, message.DESCRIPTOR.full_name, kinds, work)
    made: bytes = read.SerializeToString()
    return made, mended


def _mend(message: Any, name: str, kinds: dict[str, _Kind], work: Work) -> int:
    """Mend the texts of *message*, where its own parser does not read it as it is."""
    kind, body = kinds[name], message.SerializeToString()
    work.spend(ELEMENT * (6 + len(body) // 100))
    try:
        kind.read(body)
        return 0
    except DecodeError:
        del body
    mended = 0
    for field in kind.one:
        text = getattr(message, field)
        if not text.isascii() and (whole := utf8(text)[0]) is not text:
            setattr(message, field, whole)
            mended += 1
    for field in kind.many:
        work.spend(ITEM * len(getattr(message, field)))
        for at, text in enumerate(found := getattr(message, field)):
            if not text.isascii() and (whole := utf8(text)[0]) is not text:
                found[at] = whole
                mended += 1
    for field, inner, repeated in kind.inner:
        if repeated:
            for item in getattr(message, field):
                mended += _mend(item, inner, kinds, work)
        elif message.HasField(field):
            mended += _mend(getattr(message, field), inner, kinds, work)
    return mended


@cache
def _raw(descriptor: Any) -> tuple[type[Any], dict[str, _Kind]]:
    """Return *descriptor*'s message type with bytes for text, which nobody looks into, and all the types it needs."""
    pool = DescriptorPool()
    kinds: dict[str, _Kind] = {}

    def add(file: Any) -> None:
        for needed in file.dependencies:
            add(needed)
        made = FileDescriptorProto.FromString(file.serialized_pb)
        for kind in made.message_type:
            _as_bytes(kind, file.message_types_by_name[kind.name], kinds)
        pool.Add(made)

    add(descriptor.file)
    return GetMessageClass(pool.FindMessageTypeByName(descriptor.full_name)), kinds


def _as_bytes(made: Any, descriptor: Any, kinds: dict[str, _Kind]) -> None:
    """Turn the text of a message type, as it is *made*, into bytes, and keep what it is."""
    kinds[descriptor.full_name] = kind = _Kind(GetMessageClass(descriptor).FromString, [], [], [])
    for field in made.field:
        repeated = field.label == FieldDescriptor.LABEL_REPEATED
        if field.type == FieldDescriptor.TYPE_STRING:
            field.type = FieldDescriptor.TYPE_BYTES
            (kind.many if repeated else kind.one).append(field.name)
        elif field.type == FieldDescriptor.TYPE_MESSAGE:
            kind.inner.append((field.name, field.type_name.removeprefix("."), repeated))
    for nested in made.nested_type:
        _as_bytes(nested, descriptor.nested_types_by_name[nested.name], kinds)
