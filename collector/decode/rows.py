"""One walk over a request, whichever encoding it came in: records to row tuples in schema order.

Enter: a parsed request. Leave: rows of its raw table (`logs`, `spans`, `metrics` make them), its resources and scopes,
how many records were rejected and what its sender should know. Rows are tuples in the column order of
`model.tables.WIRE`.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import islice
from typing import Any

import pyarrow as pa

from collector.decode import dialects, logs, metrics, spans, times
from collector.decode.dialects import Dialect
from collector.decode.errors import error
from collector.decode.event import Event
from collector.decode.names import OTHER, Kind, Names
from collector.decode.nested import Nested, find
from collector.decode.notes import NOTED, REJECTED
from collector.decode.origin import Origin, sdk
from collector.decode.promoted import AT, LOG, Columns
from collector.decode.times import UNITS
from collector.decode.values import Caps, json_text
from collector.decode.wire import Wire
from collector.decode.work import BLOCK, ELEMENT, POINT, RECORD, SHARED, Work
from collector.model import tables
from collector.model.believable import EARLIEST_NS
from collector.model.errors import BadInput, TooLarge
from collector.model.identity import content_id, run_key
from collector.model.signals import Signal
from collector.settings import Limits

Row = tuple[Any, ...]

Away = Callable[[pa.RecordBatch], None]
Add = Callable[["Walk", Any, "Scope"], None]

_INDICES: dict[str, tuple[int | None, int]] = {
    "logs": (tables.LOGS.get_field_index("dialect"), tables.LOGS.get_field_index("time_unix_nano")),
    "traces": (tables.SPANS.get_field_index("dialect"), tables.SPANS.get_field_index("end_time_unix_nano")),
    "metrics": (None, tables.METRIC_POINTS.get_field_index("time_unix_nano")),
}
"""Signal → indices in a row of the dialect, if it has one, and of the time that is nearest to its sending."""
_CHUNK = 4_096
"""Rows kept as Python objects."""
_UNITS: dict[str, tuple[str, str, str, Add | None, int]] = {
    "logs": ("logs", "log_records", "logRecords", logs.add, RECORD),
    "traces": ("spans", "spans", "spans", spans.add, RECORD),
    "metrics": ("metrics", "metrics", "metrics", metrics.add, POINT),
    "profiles": ("profiles", "profiles", "profiles", None, 0),
}
"""Signal → what its blocks and records are called, in OTLP/JSON too, what adds the rows of one, if any are kept, and
its units of work."""
_DIALECT, _RUN_KEY, _RUN_ID, _TASK = AT["dialect"], AT["run_key"], AT["run_id"], AT["task_id"]
_ENVIRONMENT, _ERROR_TYPE, _ERROR_MESSAGE = AT["environment"], AT["error_type"], AT["error_message"]
_FROM_RESOURCE = tuple((AT[c], c) for c in ("environment", "platform_project", "version", "machine"))


@dataclass(frozen=True, slots=True)
class Scope:
    """What the records of one scope share."""

    resource_id: str
    scope_id: str
    dialect: Dialect | None
    """None where each record has to prove its own."""
    inherited: dict[Dialect, list[tuple[int, Any]]]
    """Dialect that a record may have → (index among the promoted columns, value) that the resource states."""

    @property
    def shared(self) -> int:
        """Return how many characters each record may take from the resource."""
        return max(sum(len(text) for _, text in values) for values in self.inherited.values())


class Walk:
    """One request being walked."""

    def __init__(
        self, wire: Wire, project: str, received_ns: int, limits: Limits, names: Names, work: Work, away: Away
    ) -> None:
        self.wire = wire
        self.project = project
        self.received_ns = received_ns
        self.limits = limits
        self.names = names
        self.work = work
        self._service = ""
        self.records: list[Row] = []
        self._put = away
        self._away = self._before = 0
        self._origins: tuple[str, int, int] | None = None
        """Of the resource that is being walked: its dialect, records, and the latest time they state."""
        self.catalogues: dict[str, dict[tuple[str, str], Row]] = {"resources": {}, "scopes": {}}
        self.rejected = 0
        self.warnings: Counter[str] = Counter()
        self.rejections: Counter[str] = Counter()
        self.origins: list[Origin] = []
        self.doubts = 0
        """How many messages lack what they are for, of which nobody knows yet what they hold instead."""
        more: dict[str, Any] = {"key": limits.key, "nodes": limits.nodes, "enum_names": limits.enum_names}
        self.caps = Caps(limits.value, limits.depth, self.warnings, work, **more)
        self.body_caps = Caps(limits.log_body, limits.depth, self.warnings, work, cut="body_cut", **more)

    def message(self) -> str:
        """Return what the sender should know, empty when there is nothing."""
        parts = [f"{n} rejected: {REJECTED[why]}" for why, n in sorted(self.rejections.items())]
        texts = ((NOTED[what], n) for what, n in sorted(self.warnings.items()))
        parts += [f"{n} {text.format(limits=self.limits)}" for text, n in texts if text]
        return "; ".join(parts)

    def reject(self, why: str, count: int = 1) -> None:
        """Leave records out; *why* is a key of `notes.REJECTED`."""
        self.rejected += count
        self.rejections[why] += count

    def note(self, what: str) -> None:
        """Count something about a record that is kept; *what* is a key of `notes.NOTED`."""
        self.warnings[what] += 1

    def lost(self, message: Any) -> None:
        """Note of a message that lacks what it is for what it holds instead, if that can be told."""
        why = self.wire.lost(message, self.work)
        if why:
            self.note(why)
        else:
            self.doubts += 1

    @property
    def empty(self) -> int:
        """Return how many objects of OTLP/JSON were read as empty, but for those of `doubts`."""
        return self.caps.empty + self.body_caps.empty

    def request(self, signal: Signal, request: Any) -> None:
        """Walk a whole request; raise BadInput with the path of what cannot be read."""
        kind, unit, unit_json, add, units = _UNITS[signal.name]
        blocks = getattr(request, f"resource_{kind}") or ()
        self.room(len(blocks), "resources")
        self.work.spend(BLOCK * len(blocks))
        groups = [getattr(block, f"scope_{kind}") or () for block in blocks]
        scopes = sum(map(len, groups))
        self.room(scopes, "scopes")
        self.work.spend(BLOCK * scopes)
        count = sum(len(getattr(group, unit) or ()) for some in groups for group in some)
        self.room(count, "records")
        self.work.spend(units * count)
        if add is None:
            self.reject("signal_not_stored", count)
            return
        for i, block in enumerate(blocks):
            at = f"resource{kind.capitalize()}[{i}]"
            resource, resource_id = self._resource(block, at)
            self._before = len(self.records)
            if not groups[i]:
                self.lost(block)
            for j, group in enumerate(groups[i]):
                scope_at = f"{at}.scope{kind.capitalize()}[{j}]"
                scope = self._scope(group, resource, resource_id, scope_at)
                items = getattr(group, unit) or ()
                if not items:
                    self.lost(group)
                self.work.spend(scope.shared // SHARED * len(items))
                for k, item in enumerate(_let_go(items)):
                    if len(self.records) >= _CHUNK:
                        self._put_away(signal)
                    try:
                        add(self, item, scope)
                    except BadInput as e:
                        raise e.within(f"{scope_at}.{unit_json}[{k}]") from None
            self._made(signal)
            self._origin(resource)

    def room(self, count: int, what: str) -> None:
        """Raise TooLarge when *count* is more than one request may have."""
        if count > self.limits.records:
            most = self.limits.records
            raise TooLarge(f"more than {most} {what} (limits.records) in one request; send smaller batches")

    @property
    def count(self) -> int:
        """Return how many rows there are of records."""
        return self._away + len(self.records)

    def _put_away(self, signal: Signal) -> None:
        """Make columns of the rows there are: as Python objects they are ten times as large."""
        self._made(signal)
        self._put(columns(tables.WIRE[signal.table], self.records))
        self._away += len(self.records)
        self.records.clear()
        self._before = 0

    def _made(self, signal: Signal) -> None:
        """Note of the newest rows what is told of their resource."""
        dialect_at, time_at = _INDICES[signal.name]
        made = self.records[self._before :]
        if made:
            stated = (row[time_at] for row in made)
            newest = max((ns for ns in stated if UNITS[-1][0] <= ns < 2**63), default=0)
            if self._origins is None:
                self._origins = (made[0][dialect_at] if dialect_at is not None else "", 0, 0)
            dialect, count, before = self._origins
            self._origins = (dialect, count + len(made), max(newest, before))

    def _origin(self, resource: dict[str, Any]) -> None:
        """Note who made the records of a resource: the first one's dialect, the SDK, the latest time they state."""
        if self._origins is not None:
            dialect, count, newest = self._origins
            self.origins.append(Origin(dialect or dialects.of_resource(resource), *sdk(resource), count, newest))
            self._origins = None

    # -- resources and scopes ------------------------------------------------------------------------------

    def _resource(self, block: Any, at: str) -> tuple[dict[str, Any], str]:
        w = self.wire
        if not w.has(block, "resource"):
            attributes, dropped, refs = {}, 0, None
        else:
            try:
                self.caps.empty += block.resource.attributes is None
                attributes = w.attributes(block.resource.attributes, self.caps)
                dropped = w.u32(block.resource.dropped_attributes_count, "droppedAttributesCount")
                told = block.resource.entity_refs or ()
                self.work.spend(ELEMENT * sum(4 + len(r.id_keys or ()) + len(r.description_keys or ()) for r in told))
                refs = [
                    {
                        "schemaUrl": r.schema_url or "",
                        "type": r.type or "",
                        "idKeys": list(r.id_keys or ()),
                        "descriptionKeys": list(r.description_keys or ()),
                    }
                    for r in told
                ]
            except BadInput as e:
                raise e.within(f"{at}.resource") from None
        text, schema_url = json_text(attributes), block.schema_url or None
        refs_text = json_text(refs) if refs else None
        ident = content_id(self.project, text, schema_url, str(dropped), refs_text)
        service = attributes.get("service.name")
        service = service if isinstance(service, str) else None
        service = self.bounded("service", "", service)
        self._service = service or ""
        self._count_keys(attributes)
        environment = attributes.get("deployment.environment.name", attributes.get("ctx.environment.type"))
        self.catalogues["resources"][self.project, ident] = (
            self.project,
            ident,
            service,
            environment if isinstance(environment, str) else None,
            text,
            schema_url,
            dropped,
            refs_text,
        )
        return attributes, ident

    def _scope(self, group: Any, resource: dict[str, Any], resource_id: str, at: str) -> Scope:
        w = self.wire
        name, version, attributes, dropped = "", None, {}, 0
        if w.has(group, "scope"):
            try:
                name, version = group.scope.name or "", group.scope.version or None
                self.caps.empty += group.scope.attributes is None and not name and version is None
                attributes = w.attributes(group.scope.attributes, self.caps)
                dropped = w.u32(group.scope.dropped_attributes_count, "droppedAttributesCount")
            except BadInput as e:
                raise e.within(f"{at}.scope") from None
        text, schema_url = json_text(attributes), group.schema_url or None
        ident = content_id(self.project, name, version, text, schema_url, str(dropped))
        self.catalogues["scopes"][self.project, ident] = (
            self.project,
            ident,
            name or None,
            version,
            text,
            schema_url,
            dropped,
        )
        dialect = dialects.choose(resource, name)
        possible = (dialect,) if dialect else dialects.DIALECTS
        return Scope(resource_id, ident, dialect, {d: _inherit(d, resource) for d in possible})

    # -- what records share --------------------------------------------------------------------------------

    def effective(self, stated: int, observed: int = 0) -> tuple[int, str]:
        """Return (effective time ns, time_source) of a record."""
        return times.effective(stated, observed, self.received_ns, self.note)

    def promoted(
        self, columns: Columns, scope: Scope, attributes: dict[str, Any], ns: int, *, body: Any = None
    ) -> tuple[Dialect, list[Any], Nested | None]:
        """Return the dialect of a record, the promoted *columns* that attributes and resource state, else None, and
        the keys of its run where they stand in the *body* of a log or a map.

        *ns* is the effective time of the record.
        """
        dialect = scope.dialect or dialects.of_record(attributes)
        # A clock that is not set says nothing of when: its record is judged, as its run will be told, by arrival.
        own_ns = ns if ns >= EARLIEST_NS else self.received_ns
        values = dialect.read(columns, attributes, own_ns, self.note)
        nested = None
        if columns is LOG and values[_RUN_ID] is None and dialect is dialects.GENERIC and self.limits.nested_keys:
            nested = find(attributes, body, self.work)
        stated = attributes
        if nested is not None:
            self.note("keys_nested")
            inside = dialect.read(columns, nested.keys, own_ns, self.note)
            values = [a if a is not None else b for a, b in zip(values, inside, strict=True)]
            stated = {**nested.keys, **attributes}
        for index, value in scope.inherited[dialect]:
            if values[index] is None:
                values[index] = value
        if values[_ERROR_TYPE] is None or values[_ERROR_MESSAGE] is None:
            kind, message = error(stated, self.work)
            values[_ERROR_TYPE] = values[_ERROR_TYPE] or kind
            values[_ERROR_MESSAGE] = values[_ERROR_MESSAGE] or message
        values[_DIALECT] = dialect.name
        values[_TASK] = self.bounded("task", "", values[_TASK])
        if run_id := values[_RUN_ID]:
            values[_RUN_KEY] = run_key(self.project, dialect.name, values[_ENVIRONMENT], "", run_id)
        return dialect, values, nested

    def bounded(self, kind: Kind, service: str, name: str | None) -> str | None:
        """Return *name*, or `__other__` when it is one beyond the cap."""
        if not name or self.names.one(kind, service, name):
            return name
        self.note(f"{kind}_overflow")
        return OTHER

    def bounded_event(self, says: Event) -> Event:
        """Return the event, with an operation beyond the cap as `__other__`."""
        return self.bounded("operation", self._service, says[0]), says[1], says[2]

    def _count_keys(self, attributes: dict[str, Any]) -> None:
        if not self.names.all_keys(attributes):
            self.note("key_overflow")

    def attributes_json(self, attributes: dict[str, Any]) -> str:
        """Return attributes as JSON text, cut to the number that is kept."""
        self._count_keys(attributes)
        if len(attributes) > self.limits.attributes:
            self.note("attributes_cut")
            attributes = dict(islice(attributes.items(), self.limits.attributes))
        return json_text(attributes)


def columns(schema: pa.Schema, rows: list[Row]) -> pa.RecordBatch:
    """Return *rows* as columns."""
    values = zip(*rows, strict=True)
    return pa.RecordBatch.from_arrays(
        [pa.array(of, field.type) for field, of in zip(schema, values, strict=True)], schema=schema
    )


def _let_go(items: Any) -> Iterator[Any]:
    """Yield *items*, of those that a list holds none that was there before."""
    if not isinstance(items, list):
        yield from items
        return
    items.reverse()
    while items:
        yield items.pop()


def _inherit(dialect: Dialect, resource: dict[str, Any]) -> list[tuple[int, Any]]:
    """Return what a resource states for its records: (index among the promoted columns, value)."""
    values = ((index, dialect.read_resource(column, resource)) for index, column in _FROM_RESOURCE)
    return [(index, value) for index, value in values if value is not None]
