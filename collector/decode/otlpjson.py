"""OTLP/JSON as typed structs. It is not protobuf's own JSON: ids are hex, unknown fields are ignored.

Field names are protobuf's, so that one walker reads both; every field may be null, which means absent.
"""

from __future__ import annotations

import codecs
import re
from typing import Any

import msgspec

from collector.decode import bound, unicode
from collector.decode.work import Work
from collector.model.errors import BadInput, OtherSignal
from collector.model.signals import RECEIVED, Signal

Number = int | float | str | None
Ident = str | None
NONE = msgspec.Raw()
"""A member that is not OTLP's own, and not there: what it holds may be anything."""


def given(member: msgspec.Raw) -> bool:
    """Tell whether a member that is not OTLP's own is there."""
    return member is not NONE and bytes(member) != b"null"


class _Wire(msgspec.Struct, rename="camel", gc=False):
    """Unknown members are ignored; the last of repeated ones counts."""


class AnyValue(_Wire):
    string_value: str | None = None
    int_value: Number = None
    bool_value: bool | None = None
    double_value: Number = None
    array_value: ArrayValue | None = None
    kvlist_value: KeyValueList | None = None
    bytes_value: str | None = None
    go_value: msgspec.Raw = msgspec.field(name="Value", default=NONE)
    """What Go's own JSON makes of a value: it is not read, and told."""

    @property
    def others(self) -> int:
        """Return 0 when nothing but the string is set."""
        return (
            (self.int_value is not None)
            + (self.bool_value is not None)
            + (self.double_value is not None)
            + (self.array_value is not None)
            + (self.kvlist_value is not None)
            + (self.bytes_value is not None)
        )


class ArrayValue(_Wire):
    values: list[AnyValue | None] | None = None


class KeyValue(_Wire):
    key: str | None = None
    value: AnyValue | None = None


class KeyValueList(_Wire):
    values: list[KeyValue] | None = None


class EntityRef(_Wire):
    schema_url: str | None = None
    type: str | None = None
    id_keys: list[str] | None = None
    description_keys: list[str] | None = None


class Resource(_Wire):
    attributes: list[KeyValue] | None = None
    dropped_attributes_count: Number = None
    entity_refs: list[EntityRef] | None = None


class Scope(_Wire):
    name: str | None = None
    version: str | None = None
    attributes: list[KeyValue] | None = None
    dropped_attributes_count: Number = None


class LogRecord(_Wire):
    time_unix_nano: Number = None
    observed_time_unix_nano: Number = None
    severity_number: Number = None
    severity_text: str | None = None
    body: AnyValue | None = None
    attributes: list[KeyValue] | None = None
    dropped_attributes_count: Number = None
    flags: Number = None
    trace_id: Ident = None
    span_id: Ident = None
    event_name: str | None = None
    old: msgspec.Raw = msgspec.field(name="name", default=NONE)


class ScopeLogs(_Wire):
    scope: Scope | None = None
    log_records: list[LogRecord] | None = None
    schema_url: str | None = None
    instrumentation_library: msgspec.Raw = NONE
    logs: msgspec.Raw = NONE


class ResourceLogs(_Wire):
    resource: Resource | None = None
    scope_logs: list[ScopeLogs] | None = None
    schema_url: str | None = None
    instrumentation_library_logs: msgspec.Raw = NONE


class LogsRequest(_Wire):
    resource_logs: list[ResourceLogs] | None = None


class Event(_Wire):
    time_unix_nano: Number = None
    name: str | None = None
    attributes: list[KeyValue] | None = None
    dropped_attributes_count: Number = None


class Link(_Wire):
    trace_id: Ident = None
    span_id: Ident = None
    trace_state: str | None = None
    attributes: list[KeyValue] | None = None
    dropped_attributes_count: Number = None
    flags: Number = None


class Status(_Wire):
    message: str | None = None
    code: Number = None


StatusOrCode = Status | int | float | str | None
"""Some senders write the code alone."""


class Span(_Wire):
    trace_id: Ident = None
    span_id: Ident = None
    trace_state: str | None = None
    parent_span_id: Ident = None
    flags: Number = None
    name: str | None = None
    kind: Number = None
    start_time_unix_nano: Number = None
    end_time_unix_nano: Number = None
    attributes: list[KeyValue] | None = None
    dropped_attributes_count: Number = None
    events: list[Event] | None = None
    dropped_events_count: Number = None
    links: list[Link] | None = None
    dropped_links_count: Number = None
    status: StatusOrCode = None


class ScopeSpans(_Wire):
    scope: Scope | None = None
    spans: list[Span] | None = None
    schema_url: str | None = None
    instrumentation_library: msgspec.Raw = NONE


class ResourceSpans(_Wire):
    resource: Resource | None = None
    scope_spans: list[ScopeSpans] | None = None
    schema_url: str | None = None
    instrumentation_library_spans: msgspec.Raw = NONE


class TracesRequest(_Wire):
    resource_spans: list[ResourceSpans] | None = None


class Exemplar(_Wire):
    filtered_attributes: list[KeyValue] | None = None
    time_unix_nano: Number = None
    as_double: Number = None
    as_int: Number = None
    span_id: Ident = None
    trace_id: Ident = None
    old: msgspec.Raw = msgspec.field(name="filteredLabels", default=NONE)
    go_value: msgspec.Raw = msgspec.field(name="Value", default=NONE)


class Buckets(_Wire):
    offset: Number = None
    bucket_counts: list[Number] | None = None


class ValueAtQuantile(_Wire):
    quantile: Number = None
    value: Number = None


class DataPoint(_Wire):
    """Any of the five kinds of point: what a kind does not have stays absent."""

    attributes: list[KeyValue] | None = None
    start_time_unix_nano: Number = None
    time_unix_nano: Number = None
    as_double: Number = None
    as_int: Number = None
    exemplars: list[Exemplar] | None = None
    flags: Number = None
    count: Number = None
    sum: Number = None
    bucket_counts: list[Number] | None = None
    explicit_bounds: list[Number] | None = None
    min: Number = None
    max: Number = None
    scale: Number = None
    zero_count: Number = None
    zero_threshold: Number = None
    positive: Buckets | None = None
    negative: Buckets | None = None
    quantile_values: list[ValueAtQuantile] | None = None
    old: msgspec.Raw = msgspec.field(name="labels", default=NONE)
    go_value: msgspec.Raw = msgspec.field(name="Value", default=NONE)


class NumberPoint(DataPoint):
    """A point that has one value."""


class Points(_Wire):
    data_points: list[DataPoint] | None = None
    aggregation_temporality: Number = None
    is_monotonic: bool | None = None


class NumberPoints(Points):
    data_points: list[NumberPoint] | None = None  # type: ignore[assignment]


class Metric(_Wire):
    name: str | None = None
    description: str | None = None
    unit: str | None = None
    gauge: NumberPoints | None = None
    sum: NumberPoints | None = None
    histogram: Points | None = None
    exponential_histogram: Points | None = None
    summary: Points | None = None
    metadata: list[KeyValue] | None = None
    int_gauge: msgspec.Raw = NONE
    double_gauge: msgspec.Raw = NONE
    int_sum: msgspec.Raw = NONE
    double_sum: msgspec.Raw = NONE
    int_histogram: msgspec.Raw = NONE
    double_histogram: msgspec.Raw = NONE
    double_summary: msgspec.Raw = NONE
    go_value: msgspec.Raw = msgspec.field(name="Data", default=NONE)


class ScopeMetrics(_Wire):
    scope: Scope | None = None
    metrics: list[Metric] | None = None
    schema_url: str | None = None
    instrumentation_library: msgspec.Raw = NONE


class ResourceMetrics(_Wire):
    resource: Resource | None = None
    scope_metrics: list[ScopeMetrics] | None = None
    schema_url: str | None = None
    instrumentation_library_metrics: msgspec.Raw = NONE


class MetricsRequest(_Wire):
    resource_metrics: list[ResourceMetrics] | None = None


class ScopeProfiles(_Wire):
    """Profiles are counted, not read."""

    profiles: list[dict[str, Any]] | None = None


class ResourceProfiles(_Wire):
    scope_profiles: list[ScopeProfiles] | None = None


class ProfilesRequest(_Wire):
    resource_profiles: list[ResourceProfiles] | None = None


_DECODERS: dict[str, msgspec.json.Decoder[Any]] = {
    "logs": msgspec.json.Decoder(LogsRequest),
    "traces": msgspec.json.Decoder(TracesRequest),
    "metrics": msgspec.json.Decoder(MetricsRequest),
    "profiles": msgspec.json.Decoder(ProfilesRequest),
}
_ROOTS = {
    "logs": "resourceLogs",
    "traces": "resourceSpans",
    "metrics": "resourceMetrics",
    "profiles": "resourceProfiles",
}
_AT = re.compile(r"^(?P<what>.*?) - at `\$\.?(?P<path>[^`]*)`$", re.S)


def parse(signal: Signal, body: bytes, most_parts: int, work: Work) -> tuple[Any, int]:
    """Return the request struct of *body*, and how often its text is none and was mended; raise BadInput with the path
    of the field that is wrong.
    """
    bound.check_json(body, most_parts)
    body, mended = unicode.utf8(body.removeprefix(codecs.BOM_UTF8))
    try:
        request, lone = _decoded(signal, body, work)
    except msgspec.ValidationError as e:
        match = _AT.match(str(e))
        what, path = (match["what"], match["path"]) if match else (str(e), "")
        raise BadInput(_lower(what)[:200], field=path[:200]) from None
    except msgspec.DecodeError as e:
        if not body.strip():
            raise BadInput("the body is empty; expected OTLP/JSON, such as {}") from None
        raise BadInput(f"expected OTLP/JSON: {_lower(str(e))}"[:200]) from None
    except RecursionError:
        raise BadInput("nested too deeply to read; flatten the values") from None
    if not getattr(request, f"resource_{_ROOTS[signal.name][8:].lower()}"):
        _refuse_other_signal(signal, body)
    return request, mended + lone


def _decoded(signal: Signal, body: bytes, work: Work) -> tuple[Any, int]:
    decode = _DECODERS[signal.name].decode
    try:
        return decode(body), 0
    except msgspec.DecodeError:
        work.spend(len(body) // 100)
        whole, lone = unicode.whole_escapes(body)
        if not lone:
            raise
        return decode(whole), lone


def _refuse_other_signal(signal: Signal, body: bytes) -> None:
    """Raise when a body without records of this signal has those of another."""
    for other in RECEIVED:
        root = _ROOTS[other.name]
        if other is not signal and re.search(rb'"%s"\s*:\s*\[\s*\{' % root.encode(), body):
            raise OtherSignal(f"this endpoint takes {signal.name}; send {other.name} to {other.path}", field=root)


def _snake_names() -> frozenset[str]:
    """Return the names of all of OTLP's fields that OTLP/JSON spells otherwise."""
    names: set[str] = set()
    seen: set[str] = set()

    def look(message: Any) -> None:
        seen.add(message.full_name)
        for field in message.fields:
            if field.name != field.json_name:
                names.add(field.name)
            if field.message_type is not None and field.message_type.full_name not in seen:
                look(field.message_type)

    for signal in RECEIVED:
        if signal.name != "profiles":
            look(signal.request.DESCRIPTOR)
    return frozenset(names)


SNAKE = _snake_names()
_ANY_SNAKE = re.compile(rb'_[a-z]+"\s*:')
_AS_KEYS = [(f'"{name}"'.encode(), re.compile(rf'"{name}"\s*:'.encode())) for name in sorted(SNAKE)]


def ignored_names(body: bytes) -> int:
    """Return how many kinds of field an OTLP/JSON body spells in protobuf's snake_case, which is not OTLP's."""
    if b"_" not in body or _ANY_SNAKE.search(body) is None:
        return 0
    return sum(quoted in body and key.search(body) is not None for quoted, key in _AS_KEYS)


def _lower(text: str) -> str:
    return text if text[1:2].isupper() else text[:1].lower() + text[1:]
