"""Vendor keys become columns: the tables of both dialects, entry by entry, through the decoder."""

from __future__ import annotations

import json
from typing import Any

import pytest

from collector.decode.dialects import generic, trigger_dev
from collector.decode.dialects.base import CONVERT, boolean, integer, moment, number, unix_ms
from collector.model import ids
from collector.model.signals import BY_NAME
from tests.decode.messages import NOW, decode

TRIGGER = {"$trigger": True}
DIALECTS = {"trigger_dev": (trigger_dev.DIALECT, TRIGGER), "generic": (generic.DIALECT, {"service.name": "w"})}
_ONLY_LOGS = {"reported_ms", "queue_wait_ms", "delay_ms", "due_at_ns", "max_attempts", "priority"}
_ONLY_SPANS = {"compute_ms", "cost_cents", "dequeued_ns", "start_kind"}
VALUES: dict[Any, tuple[Any, Any]] = {
    integer: ({"intValue": 2}, 2),
    number: ({"doubleValue": 2.5}, 2.5),
    boolean: ({"boolValue": True}, True),
    moment: ({"stringValue": "2026-11-23T13:43:38.5+01:00"}, 1_795_437_818_500_000_000),
    unix_ms: ({"doubleValue": 1795441418095.5}, 1_795_441_418_095_500_000),
    ids.stated: ({"stringValue": "two"}, "two"),
    None: ({"stringValue": "two"}, "two"),
}


def _value(value: Any) -> dict[str, Any]:
    match value:
        case bool():
            return {"boolValue": value}
        case int():
            return {"intValue": value}
        case list():
            return {"arrayValue": {"values": [_value(v) for v in value]}}
        case dict() if len(value) == 1 and next(iter(value)).endswith("Value"):
            return value
    return {"stringValue": value}


def _attributes(values: dict[str, Any]) -> list[dict[str, Any]]:
    return [{"key": key, "value": _value(value)} for key, value in values.items()]


def log(attributes: dict[str, Any], resource: dict[str, Any], **more: Any) -> dict[str, Any]:
    """Return the row of a log record with these attributes."""
    record = {"timeUnixNano": str(NOW), "attributes": _attributes(attributes), **more}
    block = {"resource": {"attributes": _attributes(resource)}, "scopeLogs": [{"logRecords": [record]}]}
    rows, _ = decode(BY_NAME["logs"], "json", json.dumps({"resourceLogs": [block]}).encode())
    return rows["logs"][0]


def span(attributes: dict[str, Any], resource: dict[str, Any], **more: Any) -> dict[str, Any]:
    """Return the row of a span with these attributes."""
    record = {
        "traceId": "a" * 32,
        "spanId": "b" * 16,
        "name": "work",
        "kind": 1,
        "startTimeUnixNano": str(NOW),
        "endTimeUnixNano": str(NOW + 5),
        "attributes": _attributes(attributes),
        **more,
    }
    block = {"resource": {"attributes": _attributes(resource)}, "scopeSpans": [{"spans": [record]}]}
    rows, _ = decode(BY_NAME["traces"], "json", json.dumps({"resourceSpans": [block]}).encode())
    return rows["spans"][0]


ENTRIES = [
    (name, column, key) for name, (d, _) in DIALECTS.items() for column, keys in d.record.items() for key in keys
]


@pytest.mark.parametrize(("dialect", "column", "key"), ENTRIES)
def test_every_key_of_a_dialect_fills_its_column(dialect: str, column: str, key: str) -> None:
    """A record that has a key of the table has its value in the column, and keeps the attribute as well."""
    _, resource = DIALECTS[dialect]
    sent, expected = VALUES[CONVERT.get(column)]
    for make in (log, span):
        if column in (_ONLY_SPANS if make is log else _ONLY_LOGS):
            continue
        row = make({key: sent}, resource)
        assert row["dialect"] == dialect
        assert row[column] == expected
        assert key in json.loads(row["attributes"])


RESOURCES = [
    (name, column, key) for name, (d, _) in DIALECTS.items() for column, keys in d.resource.items() for key in keys
]


@pytest.mark.parametrize(("dialect", "column", "key"), RESOURCES)
def test_a_resource_speaks_where_the_record_is_silent(dialect: str, column: str, key: str) -> None:
    """Environment, version and machine come from the resource, unless the record states its own."""
    d, resource = DIALECTS[dialect]
    resource = {**resource, key: "of-resource"}
    attributes = {d.record[column][0]: "of-record"}
    for make in (log, span):
        assert make({}, resource)[column] == "of-resource"
        assert make(attributes, resource)[column] == "of-record"


def test_user_properties_of_trigger_dev_are_never_the_runs() -> None:
    """People log a `run_id`, `attempt` or `queue` of their own; the context under `$metadata.` alone is the run's."""
    user = {"run_id": "mine", "attempt": 9, "task": "mine", "task_id": "mine", "queue": "mine", "batch_id": "mine"}
    context = {"$metadata.ctx.run.id": "run_1", "$metadata.ctx.attempt.number": 2, "ctx.run.id": "someone's"}
    row = log({**user, **context}, TRIGGER)
    assert (row["run_id"], row["attempt"], row["task_id"], row["queue"], row["batch_id"]) == (
        "run_1",
        2,
        None,
        None,
        None,
    )
    assert log(user, TRIGGER)["run_key"] is None


@pytest.mark.parametrize("where", ["resource", "scope", "record"])
def test_trigger_dev_is_known_by_resource_scope_or_record(where: str) -> None:
    """Each of the three proves the dialect alone."""
    resource = TRIGGER if where == "resource" else {}
    attributes = {"$metadata.ctx.run.id": "run_1"} if where == "record" else {}
    scope = {"name": "trigger-dev-worker"} if where == "scope" else {"name": "x"}
    record = {"timeUnixNano": str(NOW), "attributes": _attributes(attributes)}
    block = {
        "resource": {"attributes": _attributes(resource)},
        "scopeLogs": [{"scope": scope, "logRecords": [record]}],
    }
    rows, _ = decode(BY_NAME["logs"], "json", json.dumps({"resourceLogs": [block]}).encode())
    assert rows["logs"][0]["dialect"] == "trigger_dev"


def test_a_run_is_told_apart_by_environment_and_dialect() -> None:
    """The same run id in another environment or dialect is another run; without a run id there is no key."""
    context = {"$metadata.ctx.run.id": "r"}
    keys = {
        log(context, TRIGGER)["run_key"],
        log(context, {**TRIGGER, "ctx.environment.type": "PRODUCTION"})["run_key"],
        log({"run_id": "r"}, {})["run_key"],
    }
    assert len(keys) == 3
    assert span(context, TRIGGER)["run_key"] in keys
    assert log({}, TRIGGER)["run_key"] is None


@pytest.mark.parametrize(
    ("name", "attributes", "span_type", "wait_kind"),
    [
        ("Attempt 1", {"$span.attempt": True, "$style.icon": "attempt"}, "attempt", None),
        ("anything", {"$span.attempt": True}, "attempt", None),
        ("Attempt 1", {}, "user", None),
        ("run()", {"$style.icon": "task-fn-run"}, "run", None),
        ("onStart()", {"$style.icon": "task-hook-onStart"}, "hook", None),
        ("middleware()", {"$style.icon": "task-middleware"}, "hook", None),
        ("wait.for()", {"$style.icon": "wait"}, "wait", "for"),
        ("wait.until()", {"$style.icon": "wait"}, "wait", "until"),
        ("wait.forToken()", {"$style.icon": "wait"}, "wait", "token"),
        ("triggerAndWait()", {"$style.icon": "trigger"}, "trigger", "child"),
        ("batchTriggerAndWait()", {"$style.icon": "trigger"}, "trigger", "batch"),
        ("trigger()", {"$style.icon": "trigger"}, "trigger", None),
        ("retry.onThrow()", {}, "retry", None),
        ("work", {}, "user", None),
    ],
)
def test_spans_of_trigger_dev_have_their_types(
    name: str, attributes: dict[str, Any], span_type: str, wait_kind: str | None
) -> None:
    """What a span means follows from its marks, not from what it is called."""
    row = span(attributes, TRIGGER, name=name)
    assert (row["span_type"], row["wait_kind"]) == (span_type, wait_kind)


@pytest.mark.parametrize(
    ("said", "means"), [("true", True), ("True", True), (" TRUE\n", True), ("false", False), ("1", False)]
)
def test_marks_of_trigger_dev_may_be_text(said: str, means: bool) -> None:
    """As exporters send booleans that have none: of a resource, an attempt and a partial span."""
    row = span({"$span.attempt": said, "$span.partial": said, "$span.span_id": "c" * 16}, TRIGGER)
    assert (row["span_type"] == "attempt", row["is_partial"]) == (means, means)
    assert row["real_span_id"] == ("c" * 16 if means else None)
    assert (log({}, {"$trigger": said})["dialect"] == "trigger_dev") is means


def test_a_trigger_span_names_its_child_and_others_do_not() -> None:
    """`runId` and `batchId` are links on trigger spans; on other spans they are somebody's attributes."""
    attributes = {"runId": "run_2", "batchId": "batch_1", "$style.accessory.items.[0].text": "extract-text"}
    row = span({**attributes, "$style.icon": "trigger"}, TRIGGER)
    assert (row["child_run_id"], row["child_batch_id"], row["child_task_id"]) == ("run_2", "batch_1", "extract-text")
    row = span(attributes, TRIGGER)
    assert (row["child_run_id"], row["child_batch_id"], row["child_task_id"]) == (None, None, None)


def test_a_partial_span_announces_its_real_one() -> None:
    """The platform's own exporter sends a span as it opens; it says which span it stands for."""
    row = span({"$span.partial": True, "$span.span_id": "c" * 16}, TRIGGER)
    assert (row["is_partial"], row["real_span_id"]) == (True, "c" * 16)
    assert span({}, TRIGGER)["is_partial"] is False


@pytest.mark.parametrize(
    ("severity", "body", "source"),
    [
        ("info", "hello", "logger"),
        ("Info", "hello", "console"),
        ("Log", "[2026-11-23T13:47:26.347Z] resolveWaitpoint [ { id: 'waitpoint_1' } ]", "platform"),
        ("Warn", "Waits of 5s or less count towards compute usage.", "platform"),
        ("Log", "Called cancel hooks in 37.3ms", "platform"),
        ("Log", "[2026-11-23] hello", "console"),
        ("", "hello", None),
    ],
)
def test_logs_of_trigger_dev_tell_logger_console_and_platform_apart(
    severity: str, body: str, source: str | None
) -> None:
    """Lower-case severity is the logger's, capitalised the console's, and the SDK's own messages are the platform's."""
    assert log({}, TRIGGER, severityText=severity, body={"stringValue": body})["source"] == source


def test_the_last_exception_is_the_spans_error() -> None:
    """Type, message and stack come from the last `exception` event."""
    events = [
        {"name": "exception", "attributes": _attributes({"exception.type": "A", "exception.message": "first"})},
        {"name": "exception", "attributes": _attributes({"exception.message": "last", "exception.stacktrace": "at x"})},
        {"name": "other", "attributes": []},
    ]
    row = span({"error_type": "Own"}, TRIGGER, events=events, status={"code": 2})
    assert (row["error_type"], row["error_message"], row["error_stack"]) == ("Own", "last", "at x")
