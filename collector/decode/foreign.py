"""What is almost OTLP: fields it had before 0.19, which are read, and a request of which nothing is.

Until 0.19 a scope was an instrumentation library, in fields of its own. A request that holds something where records
would be, and no record, is told so: its sender would else believe it delivered.
"""

from __future__ import annotations

from codecs import BOM_UTF8
from collections.abc import Iterator
from typing import Any

import msgspec
from google.protobuf.unknown_fields import UnknownFieldSet

from collector.decode import otlpjson as o
from collector.decode import unicode
from collector.decode.fields import fields
from collector.decode.work import Work

_KINDS = {"logs": ("logs", "log_records"), "traces": ("spans", "spans"), "metrics": ("metrics", "metrics")}
_LIBRARIES = 1000
"""Number of the field of a resource that held its instrumentation libraries."""
_TAG = b"\xc2\x3e"
"""How that field begins."""
_LOOKED_AT = 2**20
"""Bytes of a body without records up to which it is looked at what it holds; a larger one holds something."""

_INNER: dict[tuple[type[Any], str], type[Any]] = {
    (o.LogsRequest, "resource_logs"): o.ResourceLogs,
    (o.ResourceLogs, "scope_logs"): o.ScopeLogs,
    (o.TracesRequest, "resource_spans"): o.ResourceSpans,
    (o.ResourceSpans, "scope_spans"): o.ScopeSpans,
    (o.MetricsRequest, "resource_metrics"): o.ResourceMetrics,
    (o.ResourceMetrics, "scope_metrics"): o.ScopeMetrics,
}


def libraries_in_json(signal: str, request: Any, body: bytes) -> int:
    """Make scopes of instrumentation libraries where a resource has no scopes; return how many there were."""
    if b"nstrumentationLibrary" not in body or signal not in _KINDS:
        return 0
    kind, unit = _KINDS[signal]
    count = 0
    for block in getattr(request, f"resource_{kind}") or ():
        old = getattr(block, f"instrumentation_library_{kind}") or []
        count += len(old)
        if not getattr(block, f"scope_{kind}"):
            setattr(block, f"scope_{kind}", old)
        for group in getattr(block, f"scope_{kind}") or ():
            group.scope = group.scope or group.instrumentation_library
            if unit == "log_records":
                group.log_records = group.log_records or group.logs
    return count


def libraries_in_protobuf(signal: str, request: Any, body: bytes, work: Work) -> int:
    """The same for protobuf, which keeps them as fields that it does not know."""
    if _TAG not in body or signal not in _KINDS:
        return 0
    kind, _ = _KINDS[signal]
    work.spend(len(body) // 4)  # each unknown field is told of, however small
    count = 0
    for block in getattr(request, f"resource_{kind}"):
        scopes = getattr(block, f"scope_{kind}")
        had = len(scopes)
        unknown = UnknownFieldSet(block)
        for field in (unknown[i] for i in range(len(unknown))):
            if field.field_number == _LIBRARIES and field.wire_type == 2:
                count += 1
                if not had:
                    scopes.add().MergeFromString(field.data)
    return count


def has_records(signal: str, request: Any) -> bool:
    """Tell whether a request holds a record."""
    if signal not in _KINDS:
        return True
    kind, unit = _KINDS[signal]
    blocks = getattr(request, f"resource_{kind}") or ()
    return any(getattr(group, unit) for block in blocks for group in getattr(block, f"scope_{kind}") or ())


def unread_in_json(request: Any, body: bytes) -> int:
    """Return how many members of a request without records hold something where those would be, and are not OTLP's."""
    if len(body) > _LOOKED_AT:
        return 1
    text = unicode.whole_escapes(unicode.utf8(body.removeprefix(BOM_UTF8))[0])[0]
    return sum(1 for _ in _others(type(request), msgspec.json.decode(text)))


def _others(kind: type[Any], found: Any) -> Iterator[str]:
    names = dict(zip(kind.__struct_encode_fields__, kind.__struct_fields__, strict=True))
    for name, value in found.items() if isinstance(found, dict) else ():
        if name not in names:
            if value not in (None, "", [], {}):
                yield name
        elif isinstance(value, list) and (inner := _INNER.get((kind, names[name]))):
            for item in value:
                yield from _others(inner, item)


def unread_in_protobuf(request: Any, body: bytes) -> int:
    """Return how many fields of such a request are not OTLP's."""
    return sum(1 for _ in _other_fields(request.DESCRIPTOR, body, 0, len(body), 3))


def _other_fields(descriptor: Any, body: bytes, at: int, end: int, levels: int) -> Iterator[int]:
    for number, _, begins, ends in fields(body, at, end):
        field = descriptor.fields_by_number.get(number)
        if field is None:
            yield number
        elif field.is_repeated and field.message_type is not None and levels > 1:
            yield from _other_fields(field.message_type, body, begins, ends, levels - 1)
