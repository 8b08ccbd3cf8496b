"""The two encodings as one: the same questions asked of a protobuf message and of an OTLP/JSON struct.

Both have the same field names; they differ in how ids, numbers, enums, absence and values are written.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from google.protobuf.internal import api_implementation
from google.protobuf.message import DecodeError
from google.protobuf.unknown_fields import UnknownFieldSet
from opentelemetry.proto.logs.v1 import logs_pb2
from opentelemetry.proto.metrics.v1 import metrics_pb2
from opentelemetry.proto.trace.v1 import trace_pb2

from collector.decode import bound, otlpjson, values
from collector.decode.values import U64_MAX, Caps
from collector.model.errors import BadInput, OtherSignal
from collector.model.signals import RECEIVED, Encoding, Signal

if api_implementation.Type() != "upb":
    raise ImportError(
        f"protobuf runs on its {api_implementation.Type()} backend; install a wheel with upb, "
        "the others are slow and unsafe on deeply nested input"
    )

_HEX = re.compile(r"^[0-9a-fA-F]*$")
_ENUMS = {
    "kind": trace_pb2.Span.SpanKind,
    "code": trace_pb2.Status.StatusCode,
    "severityNumber": logs_pb2.SeverityNumber,
    "aggregationTemporality": metrics_pb2.AggregationTemporality,
}


class BadId(Exception):
    """An id of the wrong length, form or all zero."""


@dataclass(frozen=True, slots=True)
class Wire:
    """How one encoding answers."""

    parse: Callable[[Signal, bytes, int], Any]
    """(signal, body, most parts) → request; raises BadInput with the path of what is wrong, TooLarge."""
    value: Callable[..., Any]
    """(AnyValue, caps, depth = 0) → Python value; raises BadInput."""
    ident: Callable[[Any, int], str | None]
    """(field, bytes it must have) → lower-case hex, None when absent; raises BadId."""
    u64: Callable[[Any, str], int]
    i64: Callable[[Any, str], int]
    u32: Callable[[Any, str], int]
    i32: Callable[[Any, str], int]
    double: Callable[[Any, str], float]
    enum: Callable[[Any, str, Caps], int]
    has: Callable[[Any, str], bool]
    """Tell whether a field with presence is set."""

    def attributes(self, pairs: Any, caps: Caps, at: str = "attributes") -> dict[str, Any]:
        """Return attributes in order; of repeated keys the last value counts. *at* names them when one is wrong."""
        if not pairs:
            return {}
        try:
            return caps.pairs(pairs, self.value)
        except BadInput as e:
            raise e.within(at) from None


_TABLES = {signal.name: bound.table_of(signal.request.DESCRIPTOR) for signal in RECEIVED}


def _parse_protobuf(signal: Signal, body: bytes, most_parts: int) -> Any:
    bound.check_protobuf(body, _TABLES[signal.name], most_parts)
    request = signal.request()
    name = signal.request.DESCRIPTOR.name
    try:
        request.ParseFromString(body)
    except DecodeError:
        hint = "; it looks like JSON, is Content-Type right?" if body.lstrip()[:1] in (b"{", b"[") else ""
        raise BadInput(
            f"expected {name} in protobuf, as Content-Type says; this is not one or is cut off{hint}"
        ) from None
    _refuse_other_types(signal, request)
    return request


def _refuse_other_types(signal: Signal, request: Any) -> None:
    """Raise when a known field of the request or of its first record has another type: the body is something else.

    protobuf takes such a field for an unknown one, so a request for another path would be an empty success.
    """
    for message in (request, _first_record(request)):
        if message is None:
            return
        kind = message.DESCRIPTOR
        for unknown in UnknownFieldSet(message):  # type: ignore[attr-defined]
            if unknown.field_number in kind.fields_by_number:
                field = kind.fields_by_number[unknown.field_number].json_name
                raise OtherSignal(
                    f"field {unknown.field_number} of {kind.name} has another type; {signal.path} takes {signal.name}",
                    field=field,
                )
            if not request.ListFields():
                raise OtherSignal(f"the body holds nothing of {kind.name}; {signal.path} takes {signal.name}")


def _first_record(request: Any) -> Any:
    """Return the first record of a request of any signal, None when it has none."""
    for _ in range(3):
        items = request.ListFields()
        _, blocks = next(((d, v) for d, v in items if d.is_repeated and d.message_type), (None, None))
        if not blocks:
            return None
        request = blocks[0]
    return request


def _protobuf_ident(value: bytes, size: int) -> str | None:
    if not value:
        return None
    if len(value) != size or not any(value):
        raise BadId
    return value.hex()


def _same(value: Any, field: str) -> Any:
    return value


PROTOBUF = Wire(
    parse=_parse_protobuf,
    value=values.from_protobuf,
    ident=_protobuf_ident,
    u64=_same,
    i64=_same,
    u32=_same,
    i32=_same,
    double=_same,
    enum=lambda value, field, caps: value,
    has=lambda message, field: message.HasField(field),
)


def _json_ident(value: str | None, size: int) -> str | None:
    if not value:
        return None
    if len(value) != 2 * size or not _HEX.match(value) or not value.strip("0"):
        raise BadId
    return value.lower()


def _json_enum(value: int | float | str | None, field: str, caps: Caps) -> int:
    if isinstance(value, str) and not value.lstrip("-").isdigit():
        if not caps.enum_names:
            raise BadInput("expected a number, not a name (limits.enum_names)", field=field)
        try:
            number = int(_ENUMS[field].Value(value))
        except ValueError:
            names = ", ".join(_ENUMS[field].keys())
            raise BadInput(f"expected a number or one of {names}"[:200], field=field) from None
        caps.noted["enum_name"] += 1
        return number
    return values.integer(value, field, -(2**31), 2**31 - 1)


JSON = Wire(
    parse=otlpjson.parse,
    value=values.from_json,
    ident=_json_ident,
    u64=lambda value, field: values.integer(value, field, 0, U64_MAX),
    i64=values.integer,
    u32=lambda value, field: values.integer(value, field, 0, 2**32 - 1),
    i32=lambda value, field: values.integer(value, field, -(2**31), 2**31 - 1),
    double=lambda value, field: 0.0 if value is None else values.json_double(value, field),
    enum=_json_enum,
    has=lambda message, field: getattr(message, field) is not None,
)

WIRES: dict[Encoding, Wire] = {"protobuf": PROTOBUF, "json": JSON}
