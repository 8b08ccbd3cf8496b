"""A span as a row of `spans`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from collector.decode import times
from collector.decode.dialects.base import SpanFacts
from collector.decode.event import event
from collector.decode.promoted import AT, SPAN, between
from collector.decode.times import timestamp
from collector.decode.values import each, json_text
from collector.decode.wire import BadId
from collector.decode.work import ITEM

if TYPE_CHECKING:
    from collector.decode.rows import Scope, Walk

_EVENT = between("operation", "called_service")
_FACTS = between("span_type", "tags")
_CHILD_TASK = AT["child_task_id"]
_ERROR_TYPE, _ERROR_MESSAGE, _ERROR_STACK = AT["error_type"], AT["error_message"], AT["error_stack"]
assert SPAN[_FACTS] == SpanFacts._fields


def add(walk: Walk, r: Any, scope: Scope) -> None:
    """Add the row of span *r*, or reject it."""
    w = walk.wire
    try:
        trace_id, span_id = w.ident(r.trace_id, 16), w.ident(r.span_id, 8)
    except BadId:
        trace_id = span_id = None
    if trace_id is None or span_id is None:
        walk.reject("span_id_invalid")
        return
    try:
        parent = w.ident(r.parent_span_id, 8)
    except BadId:
        parent = None
        walk.note("parent_id_invalid")
    start = w.u64(r.start_time_unix_nano, "startTimeUnixNano")
    end = w.u64(r.end_time_unix_nano, "endTimeUnixNano")
    ns, source = walk.effective(start)
    duration = times.duration(start, end, walk.received_ns, walk.note)
    attributes = w.attributes(r.attributes, walk.caps)
    kind = w.enum(r.kind, "kind", walk.caps)
    name = r.name or ""
    dialect, promoted, _ = walk.promoted(SPAN, scope, attributes, ns)
    promoted[_FACTS] = dialect.span_facts(name, kind, attributes)
    promoted[_CHILD_TASK] = walk.bounded("task", "", promoted[_CHILD_TASK])
    walk.work.spend(ITEM * (len(r.events or ()) + len(r.links or ())))
    events = each(lambda e: _event(walk, e), r.events, "events")
    links = each(lambda link: _link(walk, link), r.links, "links")
    code, status_message = 0, None
    if w.has(r, "status"):
        status = r.status
        if isinstance(status, (str, int, float)):
            walk.note("status_bare")
            code = w.enum(status, "status", walk.caps)
        else:
            code, status_message = w.enum(status.code, "code", walk.caps), status.message or None
            walk.caps.empty += status.code is None and status_message is None
    for e in reversed(events):
        if e["name"] == "exception":
            _blame(promoted, e["attributes"])
            break
    promoted[_EVENT] = walk.bounded_event(event(name))
    walk.records.append(
        (
            walk.project,
            walk.received_ns,
            trace_id,
            span_id,
            parent,
            r.trace_state or None,
            w.u32(r.flags, "flags"),
            name,
            kind,
            start,
            end,
            timestamp(ns),
            source,
            duration,
            code,
            status_message,
            json_text(events),
            json_text(links),
            w.u32(r.dropped_attributes_count, "droppedAttributesCount"),
            w.u32(r.dropped_events_count, "droppedEventsCount"),
            w.u32(r.dropped_links_count, "droppedLinksCount"),
            scope.resource_id,
            scope.scope_id,
            walk.attributes_json(attributes),
            *promoted,
        )
    )


def _blame(promoted: list[Any], exception: dict[str, Any]) -> None:
    """Take the error of a span from the attributes of its last *exception* event, where they say more."""
    promoted[_ERROR_TYPE] = _text(exception.get("exception.type")) or promoted[_ERROR_TYPE]
    promoted[_ERROR_MESSAGE] = _text(exception.get("exception.message")) or promoted[_ERROR_MESSAGE]
    promoted[_ERROR_STACK] = _text(exception.get("exception.stacktrace"))


def _event(walk: Walk, e: Any) -> dict[str, Any]:
    w = walk.wire
    return {
        "timeUnixNano": w.u64(e.time_unix_nano, "timeUnixNano"),
        "name": e.name or "",
        "attributes": w.attributes(e.attributes, walk.caps),
        "droppedAttributesCount": w.u32(e.dropped_attributes_count, "droppedAttributesCount"),
    }


def _link(walk: Walk, link: Any) -> dict[str, Any]:
    w = walk.wire
    try:
        trace_id, span_id = w.ident(link.trace_id, 16), w.ident(link.span_id, 8)
    except BadId:
        trace_id = span_id = None
        walk.note("link_id_invalid")
    return {
        "traceId": trace_id,
        "spanId": span_id,
        "traceState": link.trace_state or "",
        "attributes": w.attributes(link.attributes, walk.caps),
        "droppedAttributesCount": w.u32(link.dropped_attributes_count, "droppedAttributesCount"),
        "flags": w.u32(link.flags, "flags"),
    }


def _text(value: Any) -> str | None:
    return value if isinstance(value, str) and value else None
