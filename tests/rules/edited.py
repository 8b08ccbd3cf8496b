"""A recorded Trigger.dev set, edited: runs cloned, moved in time and changed where a case needs it.

Everything else, resources, scopes, contexts, flattened attributes, span trees, stays as the worker sent it.
"""

from __future__ import annotations

import copy
import json
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from hashlib import blake2b
from pathlib import Path
from typing import Any

from tests.inprocess import recorded

RUN_ID = "$metadata.ctx.run.id"
_SHAPES = {
    "resourceSpans": ("scopeSpans", "spans"),
    "resourceLogs": ("scopeLogs", "logRecords"),
}
_AGO_S = 30 * 86_400
_TIMES = ("timeUnixNano", "observedTimeUnixNano", "startTimeUnixNano", "endTimeUnixNano")


@dataclass(frozen=True, slots=True)
class Record:
    """One recorded span or log record with the resource and scope it came under."""

    kind: str
    resource: dict[str, Any]
    scope: dict[str, Any]
    body: dict[str, Any]

    @property
    def name(self) -> str:
        """Return the span's name or the message."""
        return str(self.body.get("name") or self.body.get("body", {}).get("stringValue") or "")

    def get(self, key: str) -> Any:
        """Return the value of an attribute, None where it has none."""
        return next((next(iter(a["value"].values())) for a in self.body["attributes"] if a["key"] == key), None)

    def put(self, key: str, value: str | int | bool) -> None:
        """Set an attribute."""
        kept = [a for a in self.body["attributes"] if a["key"] != key]
        kind = "boolValue" if isinstance(value, bool) else "intValue" if isinstance(value, int) else "stringValue"
        self.body["attributes"] = [*kept, {"key": key, "value": {kind: value}}]

    def move(self, seconds: float) -> None:
        """Shift all its times."""
        for part in (self.body, *self.body.get("events", [])):
            for time in _TIMES:
                if int(part.get(time, 0)):
                    part[time] = str(int(part[time]) + round(seconds * 1e9))

    def end(self, seconds: float) -> None:
        """End the span so many seconds after its start."""
        self.body["endTimeUnixNano"] = str(int(self.body["startTimeUnixNano"]) + round(seconds * 1e9))

    def fail(self, kind: str, message: str) -> None:
        """Fail the span with an exception, as the worker writes one."""
        said = {"exception.type": kind, "exception.message": message, "exception.stacktrace": f"{kind}: {message}"}
        event = {
            "name": "exception",
            "timeUnixNano": self.body["endTimeUnixNano"],
            "attributes": [{"key": k, "value": {"stringValue": v}} for k, v in said.items()],
        }
        self.body.update({"status": {"code": 2, "message": message}, "events": [event]})


def records(name: str = "http-json-batch") -> list[Record]:
    """Return a recorded set record by record, as if sent `_AGO_S` earlier: what is later than now would not be kept."""
    sent: list[Record] = []
    for request in recorded(name):
        tree = json.loads(request.body)
        for top, (scopes, leaves) in _SHAPES.items():
            for block in tree.get(top, ()):
                for scope in block[scopes]:
                    head = {k: v for k, v in scope.items() if k != leaves}
                    sent += [Record(top, block["resource"], head, body) for body in scope[leaves]]
    for record in sent:
        record.move(-_AGO_S)
    return sent


def of_run(sent: Iterable[Record], task: str, but: Callable[[list[Record]], bool] = lambda _: True) -> list[Record]:
    """Return the records of the first run of *task* for which *but* holds."""
    runs: dict[str, list[Record]] = {}
    for record in sent:
        if record.get("$metadata.ctx.task.id") == task:
            runs.setdefault(record.get(RUN_ID), []).append(record)
    return next(run for run in runs.values() if but(run))


def cloned(sent: Iterable[Record], number: int, seconds: float = 0.0) -> list[Record]:
    """Return copies as those of other runs, *seconds* later: ids are new, links between them stay."""
    copies = copy.deepcopy(list(sent))
    for record in copies:
        for key in ("traceId", "spanId", "parentSpanId"):
            if record.body.get(key):
                size = len(record.body[key]) // 2
                record.body[key] = blake2b(f"{number}/{record.body[key]}".encode(), digest_size=size).hexdigest()
        for key in (RUN_ID, "runId", "$entity.id"):
            if isinstance(value := record.get(key), str) and value.startswith("run_"):
                record.put(key, f"{value[:-4]}{number:04}")
        record.move(seconds)
    return copies


def write(path: Path, sent: Iterable[Record]) -> str:
    """Write OTLP/JSON lines, a request a record; return the path."""
    lines = []
    for r in sent:
        scopes, leaves = _SHAPES[r.kind]
        lines.append(json.dumps({r.kind: [{"resource": r.resource, scopes: [{**r.scope, leaves: [r.body]}]}]}))
    path.write_text("\n".join(lines) + "\n")
    return str(path)
