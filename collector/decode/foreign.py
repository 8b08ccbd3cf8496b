"""What is almost OTLP: fields it had before 0.19, which are read, and a request of which nothing is.

Until 0.19 a scope was an instrumentation library, in fields of its own. A request that holds something where records
would be, and no record, is told so: its sender would else believe it delivered.
"""

from __future__ import annotations

import re
from codecs import BOM_UTF8
from collections.abc import Iterator
from functools import cache
from itertools import islice
from typing import Any

import msgspec
from google.protobuf.message import DecodeError
from google.protobuf.unknown_fields import UnknownFieldSet

from collector.decode import otlpjson as o
from collector.decode import unicode
from collector.decode.fields import fields
from collector.decode.work import Work
from collector.model.errors import BadInput

_KINDS = {"logs": ("logs", "log_records"), "traces": ("spans", "spans"), "metrics": ("metrics", "metrics")}
LIBRARIES = 1000
"""Number of the field of a resource that held its instrumentation libraries."""
_TAG = b"\xc2\x3e"
"""How that field begins."""
_OTHER_LIST = re.compile(r"at `\$\[[0-9.]+\]`$")
"""How the parser ends what it says of a list of something else."""
_MOST_FIELDS = 2_000
"""Fields of a request without records that are looked at."""
_LOOKED_AT = 2**20
"""Bytes of a body without records, or with empty objects, up to which it is looked at what it holds."""

_UNIT = 20
"""Bytes of JSON a unit of work, where all that it holds is looked at."""
_EMPTY = [
    b'"%s":%s{}' % (name, space)
    for name in (b"value", b"body", b"status", b"resource", b"scope")
    for space in (b"", b" ")
]
_BRACES = (b"{}", b"{ }")
"""What objects look like that are sent empty."""
_ASIDE = ("name", "description", "unit", "metadata")
"""Members of a metric that say nothing without points."""

_SCOPES: dict[str, Any] = {
    "logs": list[o.ScopeLogs],
    "spans": list[o.ScopeSpans],
    "metrics": list[o.ScopeMetrics],
}
_FOREIGN = ("logs", "instrumentation_library", *(f"instrumentation_library_{kind}" for kind in _SCOPES))
"""Members that are known and not OTLP's."""
_INNER: dict[tuple[type[Any], str], type[Any]] = {
    (o.LogsRequest, "resource_logs"): o.ResourceLogs,
    (o.ResourceLogs, "scope_logs"): o.ScopeLogs,
    (o.TracesRequest, "resource_spans"): o.ResourceSpans,
    (o.ResourceSpans, "scope_spans"): o.ScopeSpans,
    (o.MetricsRequest, "resource_metrics"): o.ResourceMetrics,
    (o.ResourceMetrics, "scope_metrics"): o.ScopeMetrics,
}


_OLD: dict[str, type[Any]] = {
    "instrumentationLibraryLogs": o.ScopeLogs,
    "instrumentationLibrarySpans": o.ScopeSpans,
    "instrumentationLibraryMetrics": o.ScopeMetrics,
    "instrumentationLibrary": o.Scope,
    "logs": o.LogRecord,
}
"""Member that is not OTLP's any more → what it holds."""
_VALUES = ("asInt", "asDouble", "Value")
_PURPOSE: dict[type[Any], tuple[str, ...]] = {
    o.ResourceLogs: ("scopeLogs", "instrumentationLibraryLogs"),
    o.ResourceSpans: ("scopeSpans", "instrumentationLibrarySpans"),
    o.ResourceMetrics: ("scopeMetrics", "instrumentationLibraryMetrics"),
    o.ScopeLogs: ("logRecords", "logs"),
    o.ScopeSpans: ("spans",),
    o.ScopeMetrics: ("metrics",),
    o.KeyValue: ("key",),
    o.Metric: tuple(
        f
        for f, of in zip(o.Metric.__struct_encode_fields__, o.Metric.__struct_fields__, strict=True)
        if of not in _ASIDE
    ),
    o.Points: ("dataPoints",),
    o.NumberPoints: ("dataPoints",),
    o.NumberPoint: _VALUES,
    o.Exemplar: _VALUES,
}
"""Kind of object → the members of which it needs one; of the others any will do."""


def libraries_in_json(signal: str, request: Any, body: bytes) -> int:
    """Make scopes of instrumentation libraries where a resource has no scopes; return how many there were.

    Raise BadInput where one cannot be read; members of those names that are no such list are ignored.
    """
    if (b"nstrumentationLibrary" not in body and b'"logs"' not in body) or signal not in _KINDS:
        return 0
    kind, unit = _KINDS[signal]
    count = 0
    for block in getattr(request, f"resource_{kind}") or ():
        name = f"instrumentation_library_{kind}"
        old = _converted(getattr(block, name), _SCOPES[kind], name)
        count += len(old or ())
        if not getattr(block, f"scope_{kind}"):
            setattr(block, f"scope_{kind}", old)
        for group in getattr(block, f"scope_{kind}") or ():
            group.scope = group.scope or _converted(group.instrumentation_library, o.Scope, "instrumentationLibrary")
            if unit == "log_records" and not group.log_records:
                group.log_records = _converted(group.logs, list[o.LogRecord], "logs")
                count += old is None and bool(group.log_records)
    return count


def _converted(found: msgspec.Raw, kind: Any, name: str) -> Any:
    """Return a member as *kind* has it, None where it is something else altogether."""
    if bytes(memoryview(found)[:1]) != (b"{" if kind is o.Scope else b"["):
        return None
    try:
        return msgspec.json.decode(found, type=kind)
    except msgspec.DecodeError as e:
        if _OTHER_LIST.search(str(e)):
            return None
        raise BadInput(str(e)[:200], field=name) from None


def libraries_in_protobuf(signal: str, request: Any, body: bytes, work: Work) -> tuple[int, int]:
    """The same for protobuf, which keeps them as unknown fields; return also how many of their texts are mended."""
    if _TAG not in body or signal not in _KINDS:
        return 0, 0
    kind, _ = _KINDS[signal]
    work.spend(len(body) // 4)  # each unknown field is told of, however small
    count = mended = 0
    for block in getattr(request, f"resource_{kind}"):
        scopes = getattr(block, f"scope_{kind}")
        had = len(scopes)
        unknown = UnknownFieldSet(block)
        for field in (unknown[i] for i in range(len(unknown))):
            if field.field_number == LIBRARIES and field.wire_type == 2:
                count += 1
                if not had:
                    mended += _merge(scopes.add(), field.data, work)
    return count, mended


def _merge(scope: Any, data: bytes, work: Work) -> int:
    """Read *data* into *scope*; return how many of its texts are mended."""
    try:
        scope.MergeFromString(data)
        return 0
    except DecodeError:
        scope.Clear()
    try:
        whole, mended = unicode.protobuf(type(scope), data, work)
        scope.MergeFromString(whole)
    except DecodeError:
        raise BadInput("an instrumentation library is none or is cut off", field=f"field {LIBRARIES}") from None
    return mended


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
    try:
        return sum(1 for _ in _others(type(request), msgspec.json.decode(text)))
    except (msgspec.DecodeError, RecursionError):  # a number beyond all measure in a member that nobody reads
        return 1


def _others(kind: type[Any], found: Any) -> Iterator[str]:
    names = dict(zip(kind.__struct_encode_fields__, kind.__struct_fields__, strict=True))
    for name, value in found.items() if isinstance(found, dict) else ():
        if name not in names or names[name] in _FOREIGN:
            if value not in (None, "", [], {}):
                yield name
        elif isinstance(value, list) and (inner := _INNER.get((kind, names[name]))):
            for item in value:
                yield from _others(inner, item)


class Again:
    """A body of OTLP/JSON that is looked at once more where something of it was read as empty."""

    __slots__ = ("_body", "_sent")

    def __init__(self, body: bytes) -> None:
        short = len(body) <= _LOOKED_AT
        self._body = body if short else None
        self._sent = 0 if short else sum(map(body.count, _BRACES))
        """How many objects of a long body are empty."""

    def empty(self, request: Any, doubts: int, found: int, work: Work) -> int:
        """Return how many objects in it hold something, and nothing of what they are for: of *found* that were read as
        empty, and *doubts* that others raise, of a long body at least so many.
        """
        if (body := self._body) is None:
            return max(0, found - self._sent)
        if not doubts and found <= sum(map(body.count, _EMPTY)):
            return 0
        work.spend(len(body) // _UNIT)
        text = unicode.whole_escapes(unicode.utf8(body.removeprefix(BOM_UTF8))[0])[0]
        try:
            return sum(1 for _ in _empty(type(request), msgspec.json.decode(text)))
        except (msgspec.DecodeError, RecursionError):
            return 1


def _empty(kind: Any, found: dict[str, Any]) -> Iterator[str]:
    members = _members(kind)
    purpose = _PURPOSE.get(kind, members)
    if not any(found.get(name) is not None for name in purpose):
        others = (name for name, value in found.items() if value not in (None, "", [], {}))
        yield from islice((name for name in others if name not in members and name not in o.SNAKE), 1)
    for name, value in found.items():
        if (inner := members.get(name)) is not None:
            for item in value if isinstance(value, list) else (value,):
                if isinstance(item, dict):
                    yield from _empty(inner, item)


@cache
def _members(kind: Any) -> dict[str, type[Any] | None]:
    """Return the members of a struct as JSON has them, with the structs that they hold."""
    info = msgspec.inspect.type_info(kind)
    assert isinstance(info, msgspec.inspect.StructType)
    return {field.encode_name: _OLD.get(field.encode_name) or _struct(field.type) for field in info.fields}


def _struct(of: Any) -> type[Any] | None:
    if isinstance(of, msgspec.inspect.UnionType):
        return next((inner for one in of.types if (inner := _struct(one))), None)
    if isinstance(of, msgspec.inspect.ListType):
        return _struct(of.item_type)
    return of.cls if isinstance(of, msgspec.inspect.StructType) else None


def unread_in_protobuf(request: Any, body: bytes) -> int:
    """Return how many fields of such a request are not OTLP's, of those that are looked at."""
    return sum(_other_fields(request.DESCRIPTOR, body, 0, len(body), iter(range(_MOST_FIELDS)), 3))


def _other_fields(descriptor: Any, body: bytes, at: int, end: int, left: Iterator[int], levels: int) -> Iterator[int]:
    for number, kind, begins, ends in fields(body, at, end):
        if next(left, None) is None:
            return
        field = descriptor.fields_by_number.get(number)
        if field is None:
            yield 1
        elif field.is_repeated and field.message_type is not None and kind == 2 and levels > 1:
            yield from _other_fields(field.message_type, body, begins, ends, left, levels - 1)
