"""What OTLP had and has no more, below scopes: kinds of metric and labels until 0.9, names of log records.

Enter: a metric without a kind, a point or an exemplar without attributes, a log record without an event's name. Leave:
what they say in old fields, as today's. In protobuf those are unknown fields; in OTLP/JSON members of other names, that
may hold anything and are ignored where it is something else.
"""

from __future__ import annotations

import struct
from typing import Any

import msgspec
from google.protobuf.message import DecodeError
from google.protobuf.unknown_fields import UnknownFieldSet

from collector.decode import otlpjson as o
from collector.decode import unicode
from collector.decode.fields import fields
from collector.decode.values import Caps
from collector.decode.work import ELEMENT, ITEM, Work

Labels = dict[str, Any]
_NAMED = {
    "int_gauge": "gauge",
    "double_gauge": "gauge",
    "int_sum": "sum",
    "double_sum": "sum",
    "int_histogram": "histogram",
    "double_histogram": "histogram",
    "double_summary": "summary",
}
NUMBERED = {4: "gauge", 6: "sum", 8: "histogram"}
"""Field of a metric → what it was of integers; those of doubles are today's fields."""
_LABELS, _NAME = 1, 4
_MOST = 4_096
"""Bytes of a record or point with unknown fields that are looked at: each of those costs, however small."""
_UNIT = 8
"""Bytes of a message with unknown fields a unit of work."""


class OldExemplar(o.Exemplar):
    value: o.Number = None


class OldPoint(o.DataPoint):
    value: o.Number = None
    exemplars: list[OldExemplar] | None = None  # type: ignore[assignment]


class OldPoints(o.Points):
    data_points: list[OldPoint] | None = None  # type: ignore[assignment]


class Label(msgspec.Struct):
    """A key and a value, both text."""

    key: str = ""
    value: str = ""


# -- OTLP/JSON -------------------------------------------------------------------------------------------------


def metric_in_json(metric: Any, work: Work) -> tuple[str, Any] | None:
    """Return today's kind and the points of a metric of an old one."""
    for name, kind in _NAMED.items():
        found = getattr(metric, name)
        if o.given(found):
            points = _read(found, OldPoints)
            if points is not None:
                for point in points.data_points or ():
                    _state(point, name.startswith("int"), kind in ("gauge", "sum"))
                return kind, points
    return None


def _state(point: OldPoint, whole: bool, has_value: bool) -> None:
    """Put the values of a point and its exemplars where they are today; one that is not there was 0."""
    field = "as_int" if whole else "as_double"
    if has_value and point.as_int is None and point.as_double is None:
        setattr(point, field, 0 if point.value is None else point.value)
    for exemplar in point.exemplars or ():
        if exemplar.as_int is None and exemplar.as_double is None:
            setattr(exemplar, field, 0 if exemplar.value is None else exemplar.value)


def any_in_json(metric: Any) -> bool:
    """Tell whether a metric has a member of an old kind."""
    return any(o.given(getattr(metric, name)) for name in _NAMED)


def labels_in_json(point: Any, caps: Caps) -> Labels:
    """Return the labels of a point or an exemplar."""
    found = _read(point.old, list[Label]) if o.given(point.old) else None
    caps.work.spend(ELEMENT * len(found or ()))
    return {caps.name(label.key): caps.text(label.value) for label in found or ()}


def name_in_json(record: Any) -> str | None:
    """Return the name of a log record."""
    found = record.old
    return (_read(found, str) or None) if o.given(found) else None


def _read(found: msgspec.Raw, kind: Any) -> Any:
    try:
        return msgspec.json.decode(found, type=kind)
    except (msgspec.DecodeError, RecursionError):
        return None


# -- protobuf --------------------------------------------------------------------------------------------------


def unknown(message: Any, work: Work) -> Any:
    """Return the unknown fields of a message, whatever their number."""
    work.spend(message.ByteSize() // _UNIT)
    return UnknownFieldSet(message)


def more_in_protobuf(message: Any) -> bool:
    """Tell whether one of many messages has unknown fields, if it is none that is long."""
    return message.ByteSize() <= _MOST and len(UnknownFieldSet(message)) > 0


def metric_in_protobuf(metric: Any, work: Work) -> tuple[str, Any] | None:
    """Return today's kind and the points of a metric of an old one."""
    found = unknown(metric, work)
    for field in (found[i] for i in range(len(found))):
        kind = NUMBERED.get(field.field_number)
        if kind is None or field.wire_type != 2:
            continue
        series = getattr(metric, kind)
        try:
            series.MergeFromString(field.data)
        except DecodeError:
            metric.ClearField(kind)
            continue
        work.spend(ELEMENT * len(series.data_points))
        for point in series.data_points:
            if kind == "histogram":
                point.sum = float(_whole(point.sum))
            else:
                point.as_int = _whole(point.as_double)
            for exemplar in point.exemplars:
                exemplar.as_int = _whole(exemplar.as_double)
        return kind, series
    return None


def _whole(double: float) -> int:
    """Return the integer that was written where doubles are today."""
    return int(struct.unpack("<q", struct.pack("<d", double))[0])


def labels_in_protobuf(point: Any, caps: Caps) -> Labels:
    """Return the labels of a point or an exemplar."""
    found = unknown(point, caps.work)
    caps.work.spend(ITEM * len(found))
    labels: Labels = {}
    for field in (found[i] for i in range(len(found))):
        if field.field_number == _LABELS and field.wire_type == 2:
            pair = {1: "", 2: ""}
            try:
                for number, kind, at, end in fields(field.data, 0, len(field.data)):
                    if number in pair and kind == 2:
                        whole, mended = unicode.utf8(field.data[at:end])
                        pair[number] = whole.decode()
                        caps.noted["text_mended"] += mended
            except IndexError:
                continue
            labels[caps.name(pair[1])] = caps.text(pair[2])
    return labels


def name_in_protobuf(record: Any, work: Work) -> str | None:
    """Return the name of a log record."""
    found = unknown(record, work)
    for field in (found[i] for i in range(len(found))):
        if field.field_number == _NAME and field.wire_type == 2:
            return unicode.utf8(field.data)[0].decode() or None
    return None
