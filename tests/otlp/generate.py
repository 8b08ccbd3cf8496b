"""OTLP requests of every shape, generated: the extremes of each field are as likely as the usual."""

from __future__ import annotations

from typing import Any

from hypothesis import strategies as st
from opentelemetry.proto.common.v1 import common_pb2

from collector.model.signals import BY_NAME
from tests.otlp.telemetry import NOW

U32, U64, I64 = 2**32 - 1, 2**64 - 1, 2**63 - 1
TEXT = st.sampled_from(
    ["", "a", "order_charge_started", "é", "\0", "\U0001f980", "a_calling_b", "x" * 40, "run_1"]
) | st.text(max_size=6)
KEYS = st.sampled_from(["", "a", "b", "run_id", "task.slug", "service.name", "exception.type", "correlation_id"])
TIMES = st.sampled_from([0, 1, 10**11, NOW, NOW + 10**15, 2**63 - 1, 2**63, U64]) | st.integers(0, U64)
UINT32 = st.sampled_from([0, 1, 256, U32])
UINT64 = st.sampled_from([0, 1, 2**53 + 1, U64])
INT64 = st.sampled_from([0, 1, -1, 2**53 + 1, I64, -(2**63)])
DOUBLES = st.sampled_from([0.0, -0.0, 1.5, 1e308, float("inf"), float("-inf"), float("nan")]) | st.floats()
ENUMS = st.integers(0, 6) | st.sampled_from([-1, 99])
TRACE_IDS = st.sampled_from([b"", b"t" * 16, bytes(16), b"short", b"u" * 17])
SPAN_IDS = st.sampled_from([b"", b"s" * 8, bytes(8), b"short", b"v" * 9])


@st.composite
def values(draw: st.DrawFn, depth: int = 0) -> common_pb2.AnyValue:
    """Return an AnyValue."""
    kind = draw(st.integers(0, 8 if depth < 3 else 5))
    v = common_pb2.AnyValue()
    if kind <= 1:
        v.string_value = draw(TEXT)
    elif kind == 2:
        v.int_value = draw(INT64)
    elif kind == 3:
        v.bool_value = draw(st.booleans())
    elif kind == 4:
        v.double_value = draw(DOUBLES)
    elif kind == 5:
        v.bytes_value = draw(st.binary(max_size=4))
    elif kind == 6:
        v.array_value.values.extend(draw(st.lists(values(depth + 1), max_size=3)))
    elif kind == 7:
        v.kvlist_value.values.extend(draw(st.lists(pairs(depth + 1), max_size=3)))
        v.kvlist_value.SetInParent()
    return v


@st.composite
def pairs(draw: st.DrawFn, depth: int = 0) -> common_pb2.KeyValue:
    """Return a KeyValue."""
    pair = common_pb2.KeyValue(key=draw(KEYS))
    if draw(st.booleans()):
        pair.value.CopyFrom(draw(values(depth)))
    return pair


def _attributes(draw: st.DrawFn) -> list[common_pb2.KeyValue]:
    return draw(st.lists(pairs(), max_size=3))


def _log(draw: st.DrawFn, group: Any) -> None:
    r = group.log_records.add(
        time_unix_nano=draw(TIMES),
        observed_time_unix_nano=draw(TIMES),
        severity_number=draw(ENUMS),
        severity_text=draw(TEXT),
        attributes=_attributes(draw),
        dropped_attributes_count=draw(UINT32),
        flags=draw(UINT32),
        trace_id=draw(TRACE_IDS),
        span_id=draw(SPAN_IDS),
        event_name=draw(TEXT),
    )
    if draw(st.booleans()):
        r.body.CopyFrom(draw(values()))


def _span(draw: st.DrawFn, group: Any) -> None:
    s = group.spans.add(
        trace_id=draw(st.just(b"t" * 16) | TRACE_IDS),
        span_id=draw(st.just(b"s" * 8) | SPAN_IDS),
        parent_span_id=draw(SPAN_IDS),
        trace_state=draw(TEXT),
        flags=draw(UINT32),
        name=draw(TEXT),
        kind=draw(ENUMS),
        start_time_unix_nano=draw(TIMES),
        end_time_unix_nano=draw(TIMES),
        attributes=_attributes(draw),
        dropped_attributes_count=draw(UINT32),
        dropped_events_count=draw(UINT32),
        dropped_links_count=draw(UINT32),
    )
    if draw(st.booleans()):
        s.status.message, s.status.code = draw(TEXT), draw(ENUMS)
    if draw(st.booleans()):
        s.events.add(time_unix_nano=draw(TIMES), name=draw(st.just("exception") | TEXT), attributes=_attributes(draw))
    if draw(st.booleans()):
        s.links.add(trace_id=draw(TRACE_IDS), span_id=draw(SPAN_IDS), trace_state=draw(TEXT), flags=draw(UINT32))


def _metric(draw: st.DrawFn, group: Any) -> None:
    m = group.metrics.add(name=draw(TEXT), description=draw(TEXT), unit=draw(TEXT), metadata=_attributes(draw))
    kind = draw(st.sampled_from(["", "gauge", "sum", "histogram", "exponential_histogram", "summary"]))
    if not kind:
        return
    series = getattr(m, kind)
    series.SetInParent()
    if kind not in ("gauge", "summary"):
        series.aggregation_temporality = draw(ENUMS)
    if kind == "sum":
        series.is_monotonic = draw(st.booleans())
    for _ in range(draw(st.integers(0, 2))):
        p = series.data_points.add(
            attributes=_attributes(draw),
            start_time_unix_nano=draw(TIMES),
            time_unix_nano=draw(TIMES),
            flags=draw(UINT32),
        )
        _shape(draw, kind, p)


def _number(draw: st.DrawFn, p: Any) -> None:
    match draw(st.integers(0, 2)):
        case 1:
            p.as_int = draw(INT64)
        case 2:
            p.as_double = draw(DOUBLES)


def _shape(draw: st.DrawFn, kind: str, p: Any) -> None:
    counts, doubles = st.lists(UINT64, max_size=3), st.lists(DOUBLES, max_size=3)
    if kind in ("gauge", "sum"):
        _number(draw, p)
    else:
        p.count = draw(UINT64)
    if kind == "summary":
        p.sum = draw(DOUBLES)
        p.quantile_values.add(quantile=draw(DOUBLES), value=draw(DOUBLES))
        return
    if kind == "histogram":
        p.bucket_counts.extend(draw(counts))
        p.explicit_bounds.extend(draw(doubles))
    if kind == "exponential_histogram":
        p.scale, p.zero_count, p.zero_threshold = draw(st.integers(-10, 20)), draw(UINT64), draw(DOUBLES)
        p.positive.offset = draw(st.integers(-(2**31), 2**31 - 1))
        p.positive.bucket_counts.extend(draw(counts))
    if kind != "gauge" and kind != "sum" and draw(st.booleans()):
        p.sum, p.min, p.max = draw(DOUBLES), draw(DOUBLES), draw(DOUBLES)
    if draw(st.booleans()):
        e = p.exemplars.add(time_unix_nano=draw(TIMES), span_id=draw(SPAN_IDS), trace_id=draw(TRACE_IDS))
        _number(draw, e)
        e.filtered_attributes.extend(_attributes(draw))


_RECORD = {"logs": ("logs", _log), "traces": ("spans", _span), "metrics": ("metrics", _metric)}


@st.composite
def requests(draw: st.DrawFn) -> tuple[str, Any]:
    """Return a signal's name and a request of it."""
    name = draw(st.sampled_from(sorted(_RECORD)))
    kind, record = _RECORD[name]
    request = BY_NAME[name].request()
    for _ in range(draw(st.integers(0, 2))):
        block = getattr(request, f"resource_{kind}").add(schema_url=draw(TEXT))
        if draw(st.booleans()):
            block.resource.attributes.extend(_attributes(draw))
            block.resource.dropped_attributes_count = draw(UINT32)
        for _ in range(draw(st.integers(0, 2))):
            group = getattr(block, f"scope_{kind}").add(schema_url=draw(TEXT))
            if draw(st.booleans()):
                group.scope.name, group.scope.version = draw(TEXT), draw(TEXT)
                group.scope.attributes.extend(_attributes(draw))
            for _ in range(draw(st.integers(0, 2))):
                record(draw, group)
    return name, request
