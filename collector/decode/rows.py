"""One walk over a request, whichever encoding it came in: records to row tuples in schema order.

Enter: a parsed request. Leave: rows of its raw table, its resources and scopes, how many records
were rejected and what its sender should know. Rows are tuples in the column order of `model.tables.WIRE`.
"""

from __future__ import annotations

from collections import Counter
from typing import Any

from collector.decode import dialects, metrics, times
from collector.decode.dialects import Dialect
from collector.decode.event import NONE, Event, event
from collector.decode.names import OTHER, Kind, Names
from collector.decode.notes import NOTED, REJECTED
from collector.decode.origin import Origin, sdk
from collector.decode.times import UNITS, timestamp
from collector.decode.values import Caps, each, json_text, type_name
from collector.decode.wire import BadId, Wire
from collector.model import tables
from collector.model.believable import EARLIEST_NS
from collector.model.errors import BadInput, TooLarge
from collector.model.identity import content_id, run_key
from collector.model.signals import Signal
from collector.settings import Limits

Row = tuple[Any, ...]

Inherited = dict[Dialect, list[tuple[int, Any]]]
"""Dialect → (place among the shared columns, value) that the resource states."""

_SHARED = (
    "run_id", "task_id", "task_file", "attempt", "queue", "environment", "version", "machine", "batch_id",
    "idempotency_key", "is_test", "is_replay", "parent_run_id", "correlation_id", "request_id",
    "error_type", "error_message", "http_status",
)  # fmt: skip
_LOG = (*_SHARED, "reported_ms", "queue_wait_ms")
_SPAN = (*_SHARED, "compute_ms", "cost_cents", "dequeued_ns", "start_kind")
_PLACES: dict[str, tuple[int | None, int]] = {
    "logs": (tables.LOGS.get_field_index("dialect"), tables.LOGS.get_field_index("time_unix_nano")),
    "traces": (tables.SPANS.get_field_index("dialect"), tables.SPANS.get_field_index("end_time_unix_nano")),
    "metrics": (None, tables.METRIC_POINTS.get_field_index("time_unix_nano")),
}
"""Signal → places in a row of the dialect, if it has one, and of the time that is nearest to its sending."""
_TASK = _SHARED.index("task_id")
_FROM_RESOURCE = tuple((_SHARED.index(c), c) for c in ("environment", "version", "machine"))


class Walk:
    """One request being walked."""

    def __init__(self, wire: Wire, project: str, received_ns: int, limits: Limits, names: Names) -> None:
        self.wire = wire
        self.project = project
        self.received_ns = received_ns
        self.limits = limits
        self.names = names
        self._service = ""
        self.records: list[Row] = []
        self.catalogues: dict[str, dict[tuple[str, str], Row]] = {"resources": {}, "scopes": {}}
        self.rejected = 0
        self.warnings: Counter[str] = Counter()
        self.rejections: Counter[str] = Counter()
        self.origins: list[Origin] = []
        more: dict[str, Any] = {"key": limits.key, "nodes": limits.nodes, "enum_names": limits.enum_names}
        self.caps = Caps(limits.value, limits.depth, self.warnings, **more)
        self.body_caps = Caps(limits.log_body, limits.depth, self.warnings, cut="body_cut", **more)

    def message(self) -> str:
        """Return what the sender should know, empty when there is nothing."""
        parts = [f"{n} rejected: {REJECTED[why]}" for why, n in sorted(self.rejections.items())]
        told = ((NOTED[what], n) for what, n in sorted(self.warnings.items()))
        parts += [f"{n} {text.format(limits=self.limits)}" for text, n in told if text]
        return "; ".join(parts)

    def reject(self, why: str, count: int = 1) -> None:
        """Leave records out; *why* is a key of `notes.REJECTED`."""
        self.rejected += count
        self.rejections[why] += count

    def note(self, what: str) -> None:
        """Count something about a record that is kept; *what* is a key of `notes.NOTED`."""
        self.warnings[what] += 1

    def request(self, signal: Signal, request: Any) -> None:
        """Walk a whole request; raise BadInput with the path of what cannot be read."""
        kind, unit, record = {
            "logs": ("logs", "log_records", self._log),
            "traces": ("spans", "spans", self._span),
            "metrics": ("metrics", "metrics", self._metric),
            "profiles": ("profiles", "profiles", None),
        }[signal.name]
        blocks = getattr(request, f"resource_{kind}") or ()
        self.room(len(blocks), "resources")
        groups = [getattr(block, f"scope_{kind}") or () for block in blocks]
        self.room(sum(map(len, groups)), "scopes")
        count = sum(len(getattr(group, unit) or ()) for some in groups for group in some)
        self.room(count, "records")
        if record is None:
            self.reject("signal_not_stored", count)
            return
        for i, block in enumerate(blocks):
            at = f"resource{kind.capitalize()}[{i}]"
            resource, resource_id = self._resource(block, at)
            before = len(self.records)
            for j, group in enumerate(groups[i]):
                scope_at = f"{at}.scope{kind.capitalize()}[{j}]"
                scope_name, scope_id = self._scope(group, scope_at)
                dialect = dialects.choose(resource, scope_name)
                inherited = {d: _inherit(d, resource) for d in ((dialect,) if dialect else ())}
                for k, item in enumerate(getattr(group, unit) or ()):
                    try:
                        record(item, resource, resource_id, scope_id, dialect, inherited)
                    except BadInput as e:
                        unit_json = "logRecords" if unit == "log_records" else unit
                        raise e.within(f"{scope_at}.{unit_json}[{k}]") from None
            self._origin(signal, resource, self.records[before:])

    def room(self, count: int, what: str) -> None:
        """Raise TooLarge when *count* is more than one request may have."""
        if count > self.limits.records:
            most = self.limits.records
            raise TooLarge(f"more than {most} {what} (limits.records) in one request; send smaller batches")

    def _origin(self, signal: Signal, resource: dict[str, Any], made: list[Row]) -> None:
        """Note who made the records of a resource: the first one's dialect, the SDK, the latest time they state."""
        if made:
            dialect_at, time_at = _PLACES[signal.name]
            stated = (row[time_at] for row in made)
            newest = max((ns for ns in stated if UNITS[-1][0] <= ns < 2**63), default=0)
            dialect = made[0][dialect_at] if dialect_at is not None else dialects.of_resource(resource)
            self.origins.append(Origin(dialect, *sdk(resource), len(made), newest))

    # -- resources and scopes ------------------------------------------------------------------------------

    def _resource(self, block: Any, at: str) -> tuple[dict[str, Any], str]:
        w = self.wire
        if not w.has(block, "resource"):
            attributes, dropped, refs = {}, 0, None
        else:
            try:
                attributes = w.attributes(block.resource.attributes, self.caps)
                dropped = w.u32(block.resource.dropped_attributes_count, "droppedAttributesCount")
                refs = [
                    {
                        "schemaUrl": r.schema_url or "",
                        "type": r.type or "",
                        "idKeys": list(r.id_keys or ()),
                        "descriptionKeys": list(r.description_keys or ()),
                    }
                    for r in block.resource.entity_refs or ()
                ]
            except BadInput as e:
                raise e.within(f"{at}.resource") from None
        text, schema_url = json_text(attributes), block.schema_url or None
        refs_text = json_text(refs) if refs else None
        ident = content_id(self.project, text, schema_url, str(dropped), refs_text)
        service = attributes.get("service.name")
        service = service if isinstance(service, str) else None
        service = self._bounded("service", "", service)
        self._service = service or ""
        self._count_keys(attributes)
        environment = attributes.get("deployment.environment.name", attributes.get("ctx.environment.type"))
        self.catalogues["resources"][self.project, ident] = (
            self.project, ident,
            service,
            environment if isinstance(environment, str) else None,
            text, schema_url, dropped, refs_text,
        )  # fmt: skip
        return attributes, ident

    def _scope(self, group: Any, at: str) -> tuple[str, str]:
        w = self.wire
        name, version, attributes, dropped = "", None, {}, 0
        if w.has(group, "scope"):
            try:
                name, version = group.scope.name or "", group.scope.version or None
                attributes = w.attributes(group.scope.attributes, self.caps)
                dropped = w.u32(group.scope.dropped_attributes_count, "droppedAttributesCount")
            except BadInput as e:
                raise e.within(f"{at}.scope") from None
        text, schema_url = json_text(attributes), group.schema_url or None
        ident = content_id(self.project, name, version, text, schema_url, str(dropped))
        self.catalogues["scopes"][self.project, ident] = (
            self.project, ident, name or None, version, text, schema_url, dropped,
        )  # fmt: skip
        return name, ident

    # -- what records share --------------------------------------------------------------------------------

    def effective(self, stated: int, observed: int = 0) -> tuple[int, str]:
        """Return (effective time ns, time_source) of a record."""
        return times.effective(stated, observed, self.received_ns, self.note)

    def _context(
        self,
        dialect: Dialect | None,
        inherited: Inherited,
        columns: tuple[str, ...],
        attributes: dict[str, Any],
        resource: dict[str, Any],
        ns: int,
    ) -> tuple[Dialect, list[Any], str | None]:
        own = dialect or dialects.of_record(attributes)
        # A clock that is not set says nothing of when: its record is judged, as its run will be told, by arrival.
        values = own.read(columns, attributes, ns if ns >= EARLIEST_NS else self.received_ns, self.note)
        from_resource = inherited.get(own)
        if from_resource is None:
            from_resource = inherited[own] = _inherit(own, resource)
        for place, value in from_resource:
            if values[place] is None:
                values[place] = value
        values[_TASK] = self._bounded("task", "", values[_TASK])
        run_id = values[0]
        key = run_key(self.project, own.name, values[5], "", run_id) if run_id else None
        return own, values, key

    def _bounded(self, kind: Kind, service: str, name: str | None) -> str | None:
        """Return *name*, or `__other__` when it is one beyond the cap."""
        if not name or self.names.one(kind, service, name):
            return name
        self.note(f"{kind}_overflow")
        return OTHER

    def _count_keys(self, attributes: dict[str, Any]) -> None:
        if not self.names.all_keys(attributes):
            self.note("key_overflow")

    def _says(self, says: Event) -> Event:
        """Return the event, with an operation beyond the cap as `__other__`."""
        return self._bounded("operation", self._service, says[0]), says[1], says[2]

    def kept(self, attributes: dict[str, Any]) -> str:
        """Return attributes as JSON text, cut to the number that is kept."""
        self._count_keys(attributes)
        if len(attributes) > self.limits.attributes:
            self.note("attributes_cut")
            attributes = dict(list(attributes.items())[: self.limits.attributes])
        return json_text(attributes)

    # -- logs ----------------------------------------------------------------------------------------------

    def _log(
        self,
        r: Any,
        resource: dict[str, Any],
        resource_id: str,
        scope_id: str,
        dialect: Dialect | None,
        inherited: Inherited,
    ) -> None:
        w = self.wire
        stated = w.u64(r.time_unix_nano, "timeUnixNano")
        observed = w.u64(r.observed_time_unix_nano, "observedTimeUnixNano")
        ns, source = self.effective(stated, observed)
        attributes = w.attributes(r.attributes, self.caps)
        body, body_type = self._body(r)
        try:
            trace_id, span_id = w.ident(r.trace_id, 16), w.ident(r.span_id, 8)
        except BadId:
            self.note("log_id_invalid")
            trace_id = span_id = None
        own, c, key = self._context(dialect, inherited, _LOG, attributes, resource, ns)
        named = r.event_name or None
        says = event(body) if body_type == "string" and body else NONE
        if says is NONE and named:
            says = event(named)
        says = self._says(says)
        severity_text = r.severity_text or None
        self.records.append((
            self.project, self.received_ns, stated, observed, timestamp(ns), source,
            w.enum(r.severity_number, "severityNumber", self.caps), severity_text, body, body_type, named,
            trace_id, span_id,
            w.u32(r.flags, "flags"), w.u32(r.dropped_attributes_count, "droppedAttributesCount"),
            resource_id, scope_id, self.kept(attributes),
            own.name, key, *c[:15], *says, own.log_source(severity_text or "", body), *c[15:],
        ))  # fmt: skip

    def _body(self, r: Any) -> tuple[str | None, str]:
        if not self.wire.has(r, "body"):
            return None, "empty"
        try:
            value = self.wire.value(r.body, self.body_caps)
        except BadInput as e:
            raise e.within("body") from None
        if isinstance(value, str):
            return value, "string"
        if value is None:
            return None, "empty"
        return json_text(value), type_name(value)

    # -- spans ---------------------------------------------------------------------------------------------

    def _span(
        self,
        r: Any,
        resource: dict[str, Any],
        resource_id: str,
        scope_id: str,
        dialect: Dialect | None,
        inherited: Inherited,
    ) -> None:
        w = self.wire
        try:
            trace_id, span_id = w.ident(r.trace_id, 16), w.ident(r.span_id, 8)
        except BadId:
            trace_id = span_id = None
        if trace_id is None or span_id is None:
            self.reject("span_id_invalid")
            return
        try:
            parent = w.ident(r.parent_span_id, 8)
        except BadId:
            parent = None
            self.note("parent_id_invalid")
        start = w.u64(r.start_time_unix_nano, "startTimeUnixNano")
        end = w.u64(r.end_time_unix_nano, "endTimeUnixNano")
        ns, source = self.effective(start)
        duration = times.duration(start, end, self.received_ns, self.note)
        attributes = w.attributes(r.attributes, self.caps)
        kind = w.enum(r.kind, "kind", self.caps)
        name = r.name or ""
        own, c, key = self._context(dialect, inherited, _SPAN, attributes, resource, ns)
        facts = own.span_facts(name, kind, attributes)
        events = each(self._event, r.events, "events")
        links = each(self._link, r.links, "links")
        code, status_message = 0, None
        if w.has(r, "status"):
            code, status_message = w.enum(r.status.code, "code", self.caps), r.status.message or None
        error_stack = None
        for e in reversed(events):
            if e["name"] == "exception":
                a = e["attributes"]
                c[15] = _text(a.get("exception.type")) or c[15]
                c[16] = _text(a.get("exception.message")) or c[16]
                error_stack = _text(a.get("exception.stacktrace"))
                break
        says = self._says(event(name))
        self.records.append((
            self.project, self.received_ns, trace_id, span_id, parent, r.trace_state or None,
            w.u32(r.flags, "flags"), name, kind, start, end, timestamp(ns), source, duration,
            code, status_message, json_text(events), json_text(links),
            w.u32(r.dropped_attributes_count, "droppedAttributesCount"),
            w.u32(r.dropped_events_count, "droppedEventsCount"),
            w.u32(r.dropped_links_count, "droppedLinksCount"),
            resource_id, scope_id, self.kept(attributes),
            own.name, key, *c[:15], *says, None, *c[15:18],
            facts.span_type, facts.wait_kind, facts.child_run_id,
            self._bounded("task", "", facts.child_task_id), facts.child_batch_id,
            facts.is_partial, facts.real_span_id, facts.tags,
            *c[18:22], error_stack,
        ))  # fmt: skip

    def _event(self, e: Any) -> dict[str, Any]:
        w = self.wire
        return {
            "timeUnixNano": w.u64(e.time_unix_nano, "timeUnixNano"),
            "name": e.name or "",
            "attributes": w.attributes(e.attributes, self.caps),
            "droppedAttributesCount": w.u32(e.dropped_attributes_count, "droppedAttributesCount"),
        }

    def _link(self, link: Any) -> dict[str, Any]:
        w = self.wire
        try:
            trace_id, span_id = w.ident(link.trace_id, 16), w.ident(link.span_id, 8)
        except BadId:
            trace_id = span_id = None
            self.note("link_id_invalid")
        return {
            "traceId": trace_id,
            "spanId": span_id,
            "traceState": link.trace_state or "",
            "attributes": w.attributes(link.attributes, self.caps),
            "droppedAttributesCount": w.u32(link.dropped_attributes_count, "droppedAttributesCount"),
            "flags": w.u32(link.flags, "flags"),
        }

    # -- metrics -------------------------------------------------------------------------------------------

    def _metric(
        self,
        m: Any,
        resource: dict[str, Any],
        resource_id: str,
        scope_id: str,
        dialect: Dialect | None,
        inherited: Inherited,
    ) -> None:
        self.records.extend(metrics.points(self, m, resource_id, scope_id))


def _inherit(dialect: Dialect, resource: dict[str, Any]) -> list[tuple[int, Any]]:
    """Return what a resource states for its records: (place among the shared columns, value)."""
    found = ((place, dialect.read_resource(column, resource)) for place, column in _FROM_RESOURCE)
    return [(place, value) for place, value in found if value is not None]


def _text(value: Any) -> str | None:
    return value if isinstance(value, str) and value else None
