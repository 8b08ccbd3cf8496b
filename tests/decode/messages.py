"""OTLP requests made from their own descriptors: any message, and one with a single field set."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from google.protobuf.descriptor import Descriptor, FieldDescriptor
from google.protobuf.message import Message
from hypothesis import strategies as st

from collector.decode import Accepted, Batch
from collector.model.signals import Encoding, Signal
from collector.model.tables import CATALOGUES
from collector.settings import Limits

NOW = 1_795_500_000 * 10**9
_FOREIGN = frozenset({"key_strindex", "string_value_strindex"})
"""Fields of shared messages that belong to profiles alone."""
_IDS = {"trace_id": 16, "span_id": 8, "parent_span_id": 8}
_F = FieldDescriptor


def decode(
    signal: Signal, encoding: Encoding, body: bytes, limits: Limits | None = None
) -> tuple[dict[str, list[dict[str, Any]]], Accepted]:
    """Return the rows by table, and what became of the request."""
    batch = Batch(limits or Limits())
    said = batch.add(signal, encoding, body, project="p", received_ns=NOW)
    return {name: table.to_pylist() for name, table in batch.tables().items()}, said


# -- any message -----------------------------------------------------------------------------------------------

_TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=6)
_WORDS = st.sampled_from(
    [
        "$metadata.ctx.run.id",
        "ctx.attempt.number",
        "run_id",
        "attempt",
        "task_id",
        "$trigger",
        "$span.attempt",
        "$span.partial",
        "queue",
        "duration_ms",
        "order_charge_started",
        "exception",
        "exception.type",
        "wait.for()",
    ]
)
_SCALARS: dict[int, st.SearchStrategy[Any]] = {
    _F.TYPE_STRING: _TEXT | _WORDS,
    _F.TYPE_BOOL: st.booleans(),
    _F.TYPE_DOUBLE: st.floats(),
    _F.TYPE_BYTES: st.binary(max_size=4),
    _F.TYPE_UINT32: st.integers(0, 2**32 - 1),
    _F.TYPE_FIXED32: st.integers(0, 2**32 - 1),
    _F.TYPE_SINT32: st.integers(-(2**31), 2**31 - 1),
    _F.TYPE_INT32: st.integers(-(2**31), 2**31 - 1),
    _F.TYPE_INT64: st.integers(-(2**63), 2**63 - 1),
    _F.TYPE_SFIXED64: st.integers(-(2**63), 2**63 - 1),
    _F.TYPE_UINT64: st.integers(0, 2**64 - 1),
    _F.TYPE_FIXED64: st.integers(0, 2**64 - 1) | st.just(NOW),
    _F.TYPE_ENUM: st.integers(0, 24),
}


@st.composite
def _fill(draw: st.DrawFn, message: Message, depth: int) -> None:
    descriptor = message.DESCRIPTOR
    chosen = {o.name: draw(st.sampled_from([*o.fields, None])) for o in descriptor.oneofs}
    for field in descriptor.fields:
        if field.name in _FOREIGN or (field.containing_oneof and chosen[field.containing_oneof.name] is not field):
            continue
        if field.message_type is not None:
            if depth > 9 or (not field.containing_oneof and not field.is_repeated and draw(st.integers(0, 3)) == 0):
                continue
            if field.is_repeated:
                for _ in range(draw(st.integers(0, 2))):
                    draw(_fill(getattr(message, field.name).add(), depth + 1))
            else:
                getattr(message, field.name).SetInParent()
                draw(_fill(getattr(message, field.name), depth + 1))
        elif field.is_repeated:
            getattr(message, field.name).extend(draw(st.lists(_SCALARS[field.type], max_size=3)))
        else:
            value = _SCALARS[field.type]
            if field.name in _IDS:
                size = _IDS[field.name]
                value = st.binary(min_size=size, max_size=size) | st.sampled_from([b"", bytes(size), b"short"])
            if draw(st.booleans()):
                setattr(message, field.name, draw(value))


@st.composite
def requests(draw: st.DrawFn, signal: Signal) -> Message:
    """Return any request of a signal, to every field and every kind of value."""
    message: Message = signal.request()
    draw(_fill(message, 0))
    return message


# -- one field -------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Leaf:
    """A field that holds a value, and the fields that lead to it from the request."""

    path: tuple[FieldDescriptor, ...]

    @property
    def name(self) -> str:
        """Return the path, dotted."""
        return ".".join(f.name for f in self.path)

    @property
    def field(self) -> FieldDescriptor:
        """Return the last field."""
        return self.path[-1]

    def values(self) -> tuple[Any, Any]:
        """Return two values of the field that nothing else in a request has."""
        match self.field.type:
            case _F.TYPE_STRING:
                return "quokka", "numbat"
            case _F.TYPE_BOOL:
                return False, True
            case _F.TYPE_DOUBLE:
                return 8191.25, 127.5
            case _F.TYPE_BYTES:
                size = _IDS.get(self.field.name, 5)
                return b"\xa7" * size, b"\x5c" * size
            case _F.TYPE_ENUM:
                return 1, 2
        if "time" in self.field.name:
            return NOW - 424_242, NOW - 171_717
        return 424_242, 171_717

    def request(self, signal: Signal, value: Any) -> Message:
        """Return a request with one record, valid, and *value* in this field."""
        message: Message = signal.request()
        if signal.name == "traces":
            message.resource_spans.add().scope_spans.add().spans.add(trace_id=b"t" * 16, span_id=b"s" * 8)  # type: ignore[attr-defined]
        at: Any = message
        for field in self.path[:-1]:
            child = getattr(at, field.name)
            if field.is_repeated:
                at = child[0] if len(child) else child.add()
            else:
                child.SetInParent()
                at = child
            if at.DESCRIPTOR.name == "KeyValue":
                at.key = "k"
        if self.field.is_repeated:
            getattr(at, self.field.name).append(value)
        else:
            setattr(at, self.field.name, value)
        return message


def leaves(descriptor: Descriptor, path: tuple[FieldDescriptor, ...] = ()) -> Iterator[Leaf]:
    """Yield every field that holds a value; a value inside a value is followed once."""
    for field in descriptor.fields:
        if field.name in _FOREIGN:
            continue
        if field.message_type is None:
            yield Leaf((*path, field))
        elif sum(f.message_type == field.message_type for f in path) < 2:
            yield from leaves(field.message_type, (*path, field))


def texts(rows: dict[str, list[dict[str, Any]]]) -> str:
    """Return every cell of every row as text, hashes and arrival left out."""
    derived = {"resource_id", "scope_id", "received_ns", "project", "time"}
    ordered = sorted(rows, key=lambda name: name in CATALOGUES)
    return "\n".join(
        f"{name}.{column}: {value!r}"
        for name in ordered
        for row in rows[name]
        for column, value in row.items()
        if column not in derived and value is not None
    )
