"""The two encodings as one: the same questions asked of a protobuf message and of an OTLP/JSON struct.

Both have the same field names; they differ in how ids, numbers, enums, absence and values are written.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from google.protobuf.internal import api_implementation
from google.protobuf.message import DecodeError
from opentelemetry.proto.logs.v1 import logs_pb2
from opentelemetry.proto.metrics.v1 import metrics_pb2
from opentelemetry.proto.trace.v1 import trace_pb2

from collector.decode import bound, foreign, old, otlpjson, unicode, values
from collector.decode.fields import broken, fields, mistyped
from collector.decode.values import U64_MAX, Caps
from collector.decode.work import Work
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
    "status": trace_pb2.Status.StatusCode,
    "severityNumber": logs_pb2.SeverityNumber,
    "aggregationTemporality": metrics_pb2.AggregationTemporality,
}


_SPOKEN = {
    "VERBOSE": "TRACE",
    "INFORMATION": "INFO",
    "INFORMATIONAL": "INFO",
    "NOTICE": "INFO2",
    "WARNING": "WARN",
    "ERR": "ERROR",
    "CRITICAL": "FATAL",
    "CRIT": "FATAL",
    "ALERT": "FATAL",
    "EMERGENCY": "FATAL",
    "EMERG": "FATAL",
    "PANIC": "FATAL",
}
"""What loggers call a severity → what OTLP does."""


def _names(enum: Any) -> dict[str, int]:
    """Return the numbers of an enum by their names, whole and without what all of them begin with."""
    whole = {str(name): int(number) for name, number in enum.items()}
    # SeverityNumber's begin with SEVERITY_NUMBER_
    prefix = "_".join(next(iter(whole)).split("_")[: sum(map(str.isupper, enum.DESCRIPTOR.name))]) + "_"
    short = {name.removeprefix(prefix): number for name, number in whole.items()}
    return {**whole, **short, **{said: short[meant] for said, meant in _SPOKEN.items() if meant in short}}


_NAMED = {field: _names(enum) for field, enum in _ENUMS.items()}


class BadId(Exception):
    """An id of the wrong length, form or all zero."""


@dataclass(frozen=True, slots=True)
class Wire:
    """How one encoding answers."""

    parse: Callable[[Signal, bytes, int, Work], tuple[Any, Counter[str]]]
    """(signal, body, most parts, work) → request, and what its sender is told of it, by the names of `notes`; raises
    BadInput with the path of what is wrong, TooLarge."""
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
    old_metric: Callable[[Any, Work], tuple[str, Any] | None]
    """(metric without a kind, work) → kind and points of what it was until 0.9; see `old`."""
    more: Callable[[Any], bool]
    """Tell whether one of many messages may have an old field; the next two say what is in it."""
    labels: Callable[[Any, Caps], dict[str, Any]]
    """(point or exemplar without attributes, caps) → the labels it had in their place."""
    old_name: Callable[[Any, Work], str | None]
    """(log record without an event's name, work) → the name that log records had."""
    lost: Callable[[Any, Work], str]
    """(message without what it is for, work) → which of `notes` says what stands there instead, empty for none."""

    def attributes(self, pairs: Any, caps: Caps, at: str = "attributes") -> dict[str, Any]:
        """Return attributes in order; of repeated keys the last value counts. *at* names them when one is wrong."""
        if not pairs:
            return {}
        try:
            return caps.pairs(pairs, self.value)
        except BadInput as e:
            raise e.within(at) from None


_TABLES = {signal.name: bound.table_of(signal.request.DESCRIPTOR) for signal in RECEIVED}
for _table in _TABLES.values():
    _table[1][foreign.LIBRARIES] = _table[1][2]  # what scopes were is counted as scopes are
_metric = _TABLES["metrics"][1][2][2]
_metric.update({number: _metric[number + 1] for number in old.NUMBERED})  # and the kinds that metrics had


def _parse_protobuf(signal: Signal, body: bytes, most_parts: int, work: Work) -> tuple[Any, Counter[str]]:
    bound.check_protobuf(body, _TABLES[signal.name], most_parts)
    request, mended = signal.request(), 0
    try:
        try:
            request.ParseFromString(body)
        except DecodeError as e:
            if "alloc failed" in str(e):  # what upb says where there is no memory
                raise MemoryError from None
            whole, mended = unicode.protobuf(signal.request, body, work)
            request.ParseFromString(whole)
    except DecodeError:
        at, why = broken(signal.request.DESCRIPTOR, body)
        name = signal.request.DESCRIPTOR.name
        raise BadInput(f"expected {name} in protobuf; {why or 'this is not one or is cut off'}", field=at) from None
    _refuse_other_types(signal, request, body)
    old, mended_there = foreign.libraries_in_protobuf(signal.name, request, body, work)
    noted = Counter(text_mended=mended + mended_there, old_otlp=old)
    if not old and not foreign.has_records(signal.name, request):
        noted["nothing_read"] = foreign.unread_in_protobuf(request, body)
    return request, noted


def _refuse_other_types(signal: Signal, request: Any, body: bytes) -> None:
    """Raise when a known field of the request or of its first record has another type: the body is something else.

    protobuf takes such a field for an unknown one, so a request for another path would be an empty success. It tells
    of unknown fields at 1 us each, however many there are, so the first ones are looked at where they stand.
    """
    kind, at, end = signal.request.DESCRIPTOR, 0, len(body)
    for _ in range(2):
        if (field := mistyped(kind, body, at, end)) is not None:
            raise OtherSignal(
                f"field {field.number} of {kind.name} has another type; expected {signal.name}",
                field=field.json_name,
            )
        if body and not request.ListFields():
            raise OtherSignal(f"the body holds nothing of {kind.name}; expected {signal.name}")
        if (found := _first_record(signal, body)) is None:
            return
        kind, at, end = found


def _first_record(signal: Signal, body: bytes) -> tuple[Any, int, int] | None:
    """Return (descriptor, start, end) of the first record of a request of any signal, None when it has none."""
    kind, at, end = signal.request.DESCRIPTOR, 0, len(body)
    for _ in range(3):
        inner = next(d for d in kind.fields if d.is_repeated and d.message_type)
        found = next(((a, e) for number, t, a, e in fields(body, at, end) if number == inner.number and t == 2), None)
        if found is None:
            return None
        kind, (at, end) = inner.message_type, found
    return kind, at, end


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
    old_metric=old.metric_in_protobuf,
    more=old.more_in_protobuf,
    labels=old.labels_in_protobuf,
    old_name=old.name_in_protobuf,
    lost=lambda message, work: "field_foreign" if len(old.unknown(message, work)) else "",
)


def _json_ident(value: str | None, size: int) -> str | None:
    if not value:
        return None
    if len(value) != 2 * size or not _HEX.match(value) or not value.strip("0"):
        raise BadId
    return value.lower()


def _parse_json(signal: Signal, body: bytes, most_parts: int, work: Work) -> tuple[Any, Counter[str]]:
    request, mended = otlpjson.parse(signal, body, most_parts, work)
    noted = Counter(text_mended=mended, name_ignored=otlpjson.ignored_names(body))
    noted["old_otlp"] = foreign.libraries_in_json(signal.name, request, body)
    if not foreign.has_records(signal.name, request):
        noted["nothing_read"] = foreign.unread_in_json(request, body)
    return request, noted


def _stated(text: str) -> float | None:
    """Return the number that *text* spells, None where it spells none."""
    try:
        return float(text) if text.strip()[-1:].isdigit() else None
    except ValueError:
        return None


def _json_enum(value: int | float | str | None, field: str, caps: Caps) -> int:
    if isinstance(value, str) and not value.lstrip("-").isdigit():  # a name, or a number in another spelling
        if not caps.enum_names:
            raise BadInput("expected a number, not a name (limits.enum_names)", field=field)
        if (stated := _stated(value)) is not None:
            return values.integer(stated, field, -(2**31), 2**31 - 1)
        name = value.strip().upper()
        number = _NAMED[field].get(name, _NAMED[field].get(name.rpartition(".")[2]))  # SpanKind.SERVER
        caps.noted["enum_name" if number is not None else "enum_unknown"] += 1
        return number or 0
    return values.integer(value, field, -(2**31), 2**31 - 1)


def _lost_in_json(message: Any, work: Work) -> str:
    if isinstance(message, otlpjson.Metric) and old.any_in_json(message):
        return "object_foreign"
    go = getattr(message, "go_value", None)
    return "go_value" if go is not None and otlpjson.given(go) else ""


JSON = Wire(
    parse=_parse_json,
    value=values.from_json,
    ident=_json_ident,
    u64=lambda value, field: values.integer(value, field, 0, U64_MAX),
    i64=values.integer,
    u32=lambda value, field: values.integer(value, field, 0, 2**32 - 1),
    i32=lambda value, field: values.integer(value, field, -(2**31), 2**31 - 1),
    double=lambda value, field: 0.0 if value is None else values.json_double(value, field),
    enum=_json_enum,
    has=lambda message, field: getattr(message, field) is not None,
    old_metric=old.metric_in_json,
    more=lambda message: message.old is not otlpjson.NONE,
    labels=old.labels_in_json,
    old_name=lambda record, work: old.name_in_json(record),
    lost=_lost_in_json,
)

WIRES: dict[Encoding, Wire] = {"protobuf": PROTOBUF, "json": JSON}
