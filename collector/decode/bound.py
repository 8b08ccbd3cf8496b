"""How many parts a large body has, counted before it is parsed: parsers make 20 to 70 bytes of each byte of nothing.

Parts are messages or objects, and four times as many fields, known or not, or commas.

A small body cannot hold many, so only those beyond `_FREE` bytes are counted.
"""

from __future__ import annotations

from typing import Any

from collector.decode.fields import varint
from collector.model.errors import TooLarge

_FREE = 4 * 2**20
_FIELDS = 4
"""Fields or commas allowed per part: numbers and names are smaller than messages."""

Table = dict[int, Any]
"""Field number → table of the message it holds; other fields are left out."""


def check_json(body: bytes, most: int) -> None:
    """Raise TooLarge when an OTLP/JSON *body* holds more than *most* objects.

    Braces and commas bound the objects and values of any JSON; those inside strings are counted with them.
    """
    if len(body) > _FREE and (body.count(b"{") > most or body.count(b",") > _FIELDS * most):
        raise _too_many(most)


def check_protobuf(body: bytes, table: Table, most: int) -> None:
    """Raise TooLarge when a protobuf *body* holds more than *most* messages, or four fields each.

    A damaged one is left to the parser.
    """
    if len(body) > _FREE:
        try:
            _count(body, table, most)
        except IndexError:
            return


def _count(body: bytes, table: Table, most: int) -> None:
    above: list[tuple[int, Table]] = []
    at, end, parts, fields, most_fields = 0, len(body), 0, 0, _FIELDS * most
    while at < end or above:
        if at >= end:
            end, table = above.pop()
            continue
        fields += 1
        if fields > most_fields:
            raise _too_many(most)
        tag = body[at]
        at += 1
        if tag > 127:
            tag, at = varint(body, at - 1)
        match tag & 7:
            case 0:
                _, at = varint(body, at)
            case 1:
                at += 8
            case 5:
                at += 4
            case 2:
                size = body[at]
                at += 1
                if size > 127:
                    size, at = varint(body, at - 1)
                inner = table.get(tag >> 3)
                if inner is None:
                    at += size
                    continue
                parts += 1
                if parts > most:
                    raise _too_many(most)
                above.append((end, table))
                end, table = at + size, inner
            case 3 | 4:
                pass  # a group: its fields are counted as if they stood here
            case _:
                return


def _too_many(most: int) -> TooLarge:
    return TooLarge(f"more than {most} parts (limits.parts) in one request; send smaller batches")


def table_of(descriptor: Any) -> Table:
    """Return the table of a message type; it refers to itself where the type does."""
    made: dict[str, Table] = {}

    def make(d: Any) -> Table:
        if d.full_name not in made:
            table = made[d.full_name] = {}
            for field in d.fields:
                if field.message_type is not None:
                    table[field.number] = make(field.message_type)
        return made[d.full_name]

    return make(descriptor)
