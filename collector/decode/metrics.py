"""Metric points of all five kinds as rows of `metric_points`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from collector.decode.times import timestamp
from collector.decode.values import double, each, json_text
from collector.decode.wire import BadId, Wire
from collector.decode.work import ELEMENT, ITEM, NUMBERS, POINT, SHARED
from collector.model.errors import BadInput

if TYPE_CHECKING:
    from collector.decode.rows import Row, Scope, Walk

_JSON_NAMES = {"exponential_histogram": "exponentialHistogram"}
_KINDS = ("gauge", "sum", "histogram", "exponential_histogram", "summary")
_NO_VALUE = 1
"""Flag of a point that has none because there was none."""
_TEMPORALITY = {0: "unspecified", 1: "delta", 2: "cumulative"}


def add(walk: Walk, m: Any, scope: Scope) -> None:
    """Add one row per data point of metric *m*; a metric without a kind has none."""
    w = walk.wire
    kinds = [kind for kind in _KINDS if w.has(m, kind)]
    if len(kinds) > 1:
        raise BadInput(f"a metric has one kind of data, got {' and '.join(kinds)}")
    if kinds:
        kind, series = kinds[0], getattr(m, kinds[0])
    elif old := w.old_metric(m, walk.work):
        kind, series = old
        walk.note("old_metric")
    else:
        walk.lost(m)
        return
    temporality = (
        _TEMPORALITY.get(code := w.enum(series.aggregation_temporality, "aggregationTemporality", walk.caps), str(code))
        if kind in ("sum", "histogram", "exponential_histogram")
        else None
    )
    monotonic = bool(series.is_monotonic) if kind == "sum" else None
    head = (m.name or "", m.description or None, m.unit or None, kind)
    metadata = json_text(w.attributes(m.metadata, walk.caps, "metadata")) if m.metadata else None
    points = series.data_points or ()
    if not points:
        walk.lost(series)
    walk.room(walk.count + len(points), "records")
    shared = sum(len(text) for text in (*head, metadata) if text)
    walk.work.spend((POINT + shared // SHARED) * len(points))

    def row(p: Any) -> Row:
        walk.work.spend(_units(p, kind))
        stated = w.u64(p.time_unix_nano, "timeUnixNano")
        ns, source = walk.effective(stated)
        attributes = w.attributes(p.attributes, walk.caps)
        old = not attributes and w.more(p) and w.labels(p, walk.caps)
        if old:
            walk.note("old_labels")
            attributes = old
        value, value_int = _number(w, p) if kind in ("gauge", "sum") else (None, None)
        if value is None and kind in ("gauge", "sum") and not w.u32(p.flags, "flags") & _NO_VALUE:
            value = _missing(walk, p, bool(old))
        shape = None if kind in ("gauge", "sum") else json_text(_SHAPES[kind](w, p))
        exemplars = [] if kind == "summary" else each(lambda e: _exemplar(walk, e), p.exemplars, "exemplars")
        return (
            walk.project,
            walk.received_ns,
            *head,
            stated,
            w.u64(p.start_time_unix_nano, "startTimeUnixNano"),
            timestamp(ns),
            source,
            value,
            value_int,
            shape,
            temporality,
            monotonic,
            w.u32(p.flags, "flags"),
            json_text(exemplars) if exemplars else None,
            metadata,
            scope.resource_id,
            scope.scope_id,
            walk.attributes_json(attributes),
        )

    try:
        walk.records.extend(each(row, points, "dataPoints"))
    except BadInput as e:
        raise e.within(_JSON_NAMES.get(kind, kind)) from None


def _units(p: Any, kind: str) -> int:
    """Return the units of work of what a point of *kind* may have many of."""
    if kind == "summary":
        return ELEMENT * len(p.quantile_values or ())
    units = ITEM * len(p.exemplars or ())
    if kind == "histogram":
        units += (len(p.bucket_counts or ()) + len(p.explicit_bounds or ())) // NUMBERS
    elif kind == "exponential_histogram":
        units += sum(len(b.bucket_counts or ()) for b in (p.positive, p.negative) if b is not None) // NUMBERS
    return units


def _missing(walk: Walk, p: Any, old: bool) -> float | None:
    """Return the value that a point or an exemplar without one has: 0, which was not written, where it is *old*."""
    if old:
        return 0.0
    walk.lost(p)
    return None


def _number(w: Wire, p: Any) -> tuple[float | None, int | None]:
    """Return (value, value_int): integers have both, doubles the first, a point without a value neither."""
    if w.has(p, "as_int"):
        if w.has(p, "as_double"):
            raise BadInput("a point has one value, got asInt and asDouble")
        whole = w.i64(p.as_int, "asInt")
        return float(whole), whole
    return (w.double(p.as_double, "asDouble"), None) if w.has(p, "as_double") else (None, None)


def _optional(w: Wire, p: Any, field: str) -> Any:
    return double(w.double(getattr(p, field), field)) if w.has(p, field) else None


def _histogram(w: Wire, p: Any) -> dict[str, Any]:
    return {
        "count": w.u64(p.count, "count"),
        "sum": _optional(w, p, "sum"),
        "min": _optional(w, p, "min"),
        "max": _optional(w, p, "max"),
        "bucketCounts": [w.u64(n, "bucketCounts") for n in p.bucket_counts or ()],
        "explicitBounds": [double(w.double(b, "explicitBounds")) for b in p.explicit_bounds or ()],
    }


def _buckets(w: Wire, p: Any, field: str) -> dict[str, Any] | None:
    if not w.has(p, field):
        return None
    b = getattr(p, field)
    return {
        "offset": w.i32(b.offset, "offset"),
        "bucketCounts": [w.u64(n, "bucketCounts") for n in b.bucket_counts or ()],
    }


def _exponential(w: Wire, p: Any) -> dict[str, Any]:
    return {
        "count": w.u64(p.count, "count"),
        "sum": _optional(w, p, "sum"),
        "min": _optional(w, p, "min"),
        "max": _optional(w, p, "max"),
        "scale": w.i32(p.scale, "scale"),
        "zeroCount": w.u64(p.zero_count, "zeroCount"),
        "zeroThreshold": double(w.double(p.zero_threshold, "zeroThreshold")),
        "positive": _buckets(w, p, "positive"),
        "negative": _buckets(w, p, "negative"),
    }


def _summary(w: Wire, p: Any) -> dict[str, Any]:
    return {
        "count": w.u64(p.count, "count"),
        "sum": double(w.double(p.sum, "sum")),
        "quantileValues": [
            {
                "quantile": double(w.double(q.quantile, "quantile")),
                "value": double(w.double(q.value, "value")),
            }
            for q in p.quantile_values or ()
        ],
    }


_SHAPES = {"histogram": _histogram, "exponential_histogram": _exponential, "summary": _summary}


def _exemplar(walk: Walk, e: Any) -> dict[str, Any]:
    w = walk.wire
    try:
        trace_id, span_id = w.ident(e.trace_id, 16), w.ident(e.span_id, 8)
    except BadId:
        walk.note("exemplar_id_invalid")
        trace_id = span_id = None
    attributes = w.attributes(e.filtered_attributes, walk.caps, "filteredAttributes")
    old = not attributes and w.more(e) and w.labels(e, walk.caps)
    if old:
        walk.note("old_labels")
        attributes = old
    value, value_int = _number(w, e)
    if value is None:
        value = _missing(walk, e, bool(old))
    return {
        "timeUnixNano": w.u64(e.time_unix_nano, "timeUnixNano"),
        "value": value_int if value_int is not None else None if value is None else double(value),
        "traceId": trace_id,
        "spanId": span_id,
        "filteredAttributes": attributes,
    }
