"""A log record as a row of `logs`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from collector.decode.event import NONE, event
from collector.decode.promoted import AT, LOG, between
from collector.decode.times import timestamp
from collector.decode.values import json_text, type_name
from collector.decode.wire import BadId
from collector.model.errors import BadInput

if TYPE_CHECKING:
    from collector.decode.rows import Scope, Walk

_SOURCE, _KEYS_FROM = AT["source"], LOG.index("keys_from")
_EVENT = between("operation", "called_service")


def add(walk: Walk, r: Any, scope: Scope) -> None:
    """Add the row of log record *r*."""
    w = walk.wire
    stated = w.u64(r.time_unix_nano, "timeUnixNano")
    observed = w.u64(r.observed_time_unix_nano, "observedTimeUnixNano")
    ns, source = walk.effective(stated, observed)
    attributes = w.attributes(r.attributes, walk.caps)
    value = _body(walk, r)
    body, body_type = (value, "string") if isinstance(value, str) else _as_json(value)
    try:
        trace_id, span_id = w.ident(r.trace_id, 16), w.ident(r.span_id, 8)
    except BadId:
        walk.note("log_id_invalid")
        trace_id = span_id = None
    named = r.event_name or None
    severity_text = r.severity_text or None
    dialect, promoted, nested = walk.promoted(LOG, scope, attributes, ns, body=value)
    said = (nested and nested.said) or _said(value)
    says = event(said) if said else NONE
    if named is None and says is NONE and w.more(r) and (named := w.old_name(r, walk.work)):
        walk.note("old_name")
    for name in (named, attributes.get("event.name")):
        if says is NONE and isinstance(name, str):
            says = event(name)
    if value is None and not attributes and named is None:
        walk.lost(r)
    promoted[_EVENT] = walk.bounded_event(says)
    promoted[_KEYS_FROM] = nested and nested.place
    promoted[_SOURCE] = dialect.log_source(severity_text or "", body)
    walk.records.append(
        (
            walk.project,
            walk.received_ns,
            stated,
            observed,
            timestamp(ns),
            source,
            w.enum(r.severity_number, "severityNumber", walk.caps),
            severity_text,
            body,
            body_type,
            named,
            trace_id,
            span_id,
            w.u32(r.flags, "flags"),
            w.u32(r.dropped_attributes_count, "droppedAttributesCount"),
            scope.resource_id,
            scope.scope_id,
            walk.attributes_json(attributes),
            *promoted,
        )
    )


def _body(walk: Walk, r: Any) -> Any:
    if not walk.wire.has(r, "body"):
        return None
    try:
        return walk.wire.value(r.body, walk.body_caps)
    except BadInput as e:
        raise e.within("body") from None


def _as_json(value: Any) -> tuple[str | None, str]:
    """Return what is kept of a body that is no text, and its type."""
    return (None, "empty") if value is None else (json_text(value), type_name(value))


def _said(value: Any) -> str | None:
    """Return what of a body is a message: the text, or of a list of values the first."""
    first = value[0] if isinstance(value, list) and value else value
    return first if isinstance(first, str) else None
