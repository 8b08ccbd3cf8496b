"""What is read as empty because its members are not OTLP/JSON's is told, whatever stands beside it."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from collector.decode import Accepted, otlpjson
from collector.model.signals import LOGS, METRICS, TRACES, Signal
from tests.decode.messages import decode, requests
from tests.otlp.telemetry import SPAN, encode, ld

GOOD = {"body": {"stringValue": "good"}, "attributes": [{"key": "a", "value": {"intValue": 1}}]}
POINT = {"asInt": 5, "timeUnixNano": "1795500000000000000"}


def sent(signal: Signal, *groups: Any) -> Accepted:
    """Return what is told of a request with these scopes."""
    kind = {"logs": "Logs", "traces": "Spans", "metrics": "Metrics"}[signal.name]
    return decode(signal, "json", json.dumps({f"resource{kind}": [{f"scope{kind}": list(groups)}]}).encode())[1]


def log(**record: Any) -> Accepted:
    """Return what is told of a record beside a good one."""
    return sent(LOGS, {"logRecords": [GOOD, record]})


def metric(**of: Any) -> Accepted:
    """Return what is told of a metric beside a good one."""
    return sent(METRICS, {"metrics": [{"name": "good", "gauge": {"dataPoints": [POINT]}}, {"name": "m", **of}]})


def points(*of: Any, kind: str = "gauge", **more: Any) -> Accepted:
    """Return what is told of points beside a good one."""
    return metric(**{kind: {"dataPoints": [POINT, *of], **more}})


def value(of: Any) -> Accepted:
    """Return what is told of a value of an attribute."""
    return log(attributes=[{"key": "a", "value": of}])


GO = {
    "metric": lambda: metric(Data={"Gauge": {"dataPoints": [POINT]}}),
    "metric, all in Go's words": lambda: metric(Data={"Sum": {"data_points": [{"time_unix_nano": 1}]}}),
    "point": lambda: points({"Value": {"AsInt": 5}}),
    "point of a sum": lambda: points({"Value": {"AsDouble": 5.5}}, kind="sum"),
    "exemplar": lambda: points({**POINT, "exemplars": [{"Value": {"AsInt": 5}}]}),
    "value": lambda: value({"Value": {"StringValue": "x"}}),
    "value in a list": lambda: value({"arrayValue": {"values": [{"Value": {"IntValue": 1}}, {"intValue": 1}]}}),
}
FOREIGN = {
    "value in capitals": lambda: value({"StringValue": "x"}),
    "value misspelt": lambda: value({"stringVal": "x"}),
    "value in a value": lambda: value({"value": {"stringValue": "x"}}),
    "value by type": lambda: value({"type": "string", "value": "x"}),
    "value that is a pair": lambda: value({"key": "x", "value": {"stringValue": "x"}}),
    "value of false": lambda: value({"bool": False}),
    "value in a list": lambda: value({"arrayValue": {"values": [{"string": "x"}, {}]}}),
    "value in a map": lambda: value({"kvlistValue": {"values": [{"key": "a", "value": {"string": "x"}}]}}),
    "body": lambda: log(body={"text": "x"}),
    "pair": lambda: log(attributes=[{"run_id": "x"}]),
    "pair by name": lambda: log(attributes=[{"name": "run_id", "value": {"stringValue": "x"}}]),
    "pair in a map": lambda: value({"kvlistValue": {"values": [{"run_id": "x"}]}}),
    "record": lambda: log(Body={"stringValue": "x"}, TimeUnixNano=5),
    "records in capitals": lambda: sent(LOGS, {"logRecords": [GOOD]}, {"LogRecords": [GOOD]}),
    "records misspelt": lambda: sent(LOGS, {"logRecords": [GOOD]}, {"scope": {"name": "x"}, "records": [GOOD]}),
    "spans": lambda: sent(TRACES, {"spans": [SPAN]}, {"Spans": [SPAN]}),
    "metrics": lambda: sent(METRICS, {"metrics": [{"name": "a", "sum": {"dataPoints": [POINT]}}]}, {"metric": [{}]}),
    "attribute of a span": lambda: sent(TRACES, {"spans": [{**SPAN, "attributes": [{"key": "a", "value": {"s": 1}}]}]}),
    "status": lambda: sent(TRACES, {"spans": [{**SPAN, "status": {"Code": 2}}]}),
    "scope": lambda: sent(LOGS, {"scope": {"Name": "x"}, "logRecords": [GOOD]}),
    "attribute of an event": lambda: sent(
        TRACES, {"spans": [{**SPAN, "events": [{"name": "e", "attributes": [{"key": "a", "value": {"s": 1}}]}]}]}
    ),
    "metric": lambda: metric(counter={"dataPoints": [POINT]}),
    "points": lambda: metric(gauge={"points": [POINT]}),
    "point": lambda: points({"value": 5}),
    "exemplar": lambda: points({**POINT, "exemplars": [{"value": 5}]}),
    "attribute of a point": lambda: points({**POINT, "attributes": [{"key": "a", "value": {"s": 1}}]}),
}
EMPTY = {
    "values": lambda: log(body={}, attributes=[{"key": "a", "value": {}}, {"key": "b", "value": None}, {"key": "c"}]),
    "values of null": lambda: value({"stringValue": None, "x": None}),
    "values in lists": lambda: value({"arrayValue": {"values": [{}, None, {"stringValue": ""}]}}),
    "maps and lists": lambda: log(body={"kvlistValue": {}}, attributes=[{"key": "", "value": {"arrayValue": {}}}]),
    "beside a value": lambda: value({"stringValue": "x", "type": "string"}),
    "beside a key": lambda: log(attributes=[{"key": "a", "value": {"intValue": 1}, "x": 1}]),
    "records": lambda: log(),
    "scopes": lambda: sent(LOGS, {"logRecords": [GOOD]}, {"scope": {"name": "x"}}, {"logRecords": [], "x": []}),
    "parts": lambda: sent(TRACES, {"scope": {}, "spans": [{**SPAN, "status": {}}, {**SPAN, "status": {"code": 0}}]}),
    "metrics": lambda: metric(description="x", unit="s", gauge=None),
    "points": lambda: metric(gauge={}),
    "a point of nothing": lambda: points({"timeUnixNano": "1795500000000000000", "flags": 1}),
    "exemplars": lambda: points({**POINT, "exemplars": [{"timeUnixNano": "1"}]}),
}


@pytest.mark.parametrize("name", GO)
def test_gos_own_json_is_told_wherever_it_stands(name: str) -> None:
    """It is read as empty, nothing else is lost, nothing is rejected."""
    said = GO[name]()
    assert (said.records >= 1, said.rejected, said.warnings["go_value"]) == (True, 0, 1)
    assert '{"Value": ...}' in said.message and "object_foreign" not in said.warnings


@pytest.mark.parametrize("name", FOREIGN)
def test_objects_of_other_members_are_told(name: str) -> None:
    """Once each, with what OTLP/JSON has there; what stands beside them is kept."""
    said = FOREIGN[name]()
    assert (said.records >= 1, said.rejected) == (True, 0)
    assert said.warnings["object_foreign"] == 1
    assert "stringValue" in said.message


@pytest.mark.parametrize("name", EMPTY)
def test_what_is_empty_is_not_told(name: str) -> None:
    """Nor members beside those that count: OTLP has them ignored."""
    assert EMPTY[name]().message == ""


@given(st.data())
def test_nothing_is_told_of_what_is_otlp(data: st.DataObject) -> None:
    """Of any request of its own, however empty its parts are."""
    signal = data.draw(st.sampled_from([LOGS, TRACES, METRICS]))
    message: Any = data.draw(requests(signal))
    for encoding in ("json", "protobuf"):
        _, said = decode(signal, encoding, encode(message, encoding))  # type: ignore[arg-type]
        assert not {"object_foreign", "field_foreign", "go_value", "name_ignored", "nothing_read"} & {*said.warnings}


@pytest.mark.parametrize("size", [2**20 - 10_000, 2**20 + 10_000])
def test_long_bodies_are_told_of_too(size: int) -> None:
    """Of a body beyond a megabyte as many values as are not sent empty."""
    filler = {"body": {"stringValue": "x" * (size // 2)}, "attributes": [{"key": "a", "value": {}}]}
    assert sent(LOGS, {"logRecords": [filler] * 2}).message == ""
    lost = {"attributes": [{"key": "a", "value": {"StringValue": "x"}}, {"key": "b", "value": {}}]}
    assert sent(LOGS, {"logRecords": [filler, filler, lost, lost]}).warnings["object_foreign"] == 2


@pytest.mark.parametrize(
    "resource", [{}, {"attributes": []}, None, {"Attributes": [{"key": "a"}]}, {"service.name": "x"}]
)
def test_a_resource_of_other_members_is_told(resource: Any) -> None:
    """As other objects are; its records are kept."""
    body = {"resourceLogs": [{"resource": resource, "scopeLogs": [{"logRecords": [GOOD]}]}]}
    _, said = decode(LOGS, "json", json.dumps(body).encode())
    assert (said.records, "object_foreign" in said.warnings) == (1, bool(resource) and "attributes" not in resource)


def test_unknown_fields_in_place_of_records_are_told_in_protobuf() -> None:
    """Of scopes, metrics and their points, beside good ones; other unknown fields are ignored."""
    record, good = ld(2, ld(5, ld(1, b"x"))), ld(2, ld(1, b"m") + ld(5, ld(1, b"\x31" + bytes(8))))
    for signal, body, count in (
        (LOGS, ld(1, ld(2, record) + ld(2, ld(9, b"x"))), 1),
        (LOGS, ld(1, ld(2, record)) + ld(1, ld(9, b"x")), 1),
        (LOGS, ld(1, ld(2, record + ld(2, ld(4, b"") + ld(99, b"x")))), 1),
        (LOGS, ld(1, ld(2, record + ld(9, b"x")) + ld(9, b"x")), 0),
        (METRICS, ld(1, ld(2, good + ld(2, ld(1, b"n") + ld(13, b"x")))), 1),
        (METRICS, ld(1, ld(2, good + ld(2, ld(1, b"n") + ld(5, ld(9, b"x"))))), 1),
        (METRICS, ld(1, ld(2, good + ld(2, ld(1, b"n") + ld(5, ld(1, ld(13, b"x")))))), 1),
        (METRICS, ld(1, ld(2, good + ld(2, ld(1, b"n")))), 0),
    ):
        _, said = decode(signal, "protobuf", body)
        assert (said.rejected, said.warnings.get("field_foreign", 0)) == (0, count)
        assert ("unknown fields" in said.message) is bool(count)


@pytest.mark.parametrize("name", sorted(otlpjson.SNAKE))
def test_every_name_in_snake_case_is_told(name: str) -> None:
    """Of all that OTLP has, wherever it stands; as a key or in a text it is no name of a field."""
    assert log(**{name: None}).warnings["name_ignored"] == 1
    assert log(body={"stringValue": json.dumps({name: 1})}, attributes=[{"key": name, "value": {}}]).message == ""


def test_names_in_snake_case_are_those_of_otlp() -> None:
    """Those that lose records, times, ids, severities and values among them."""
    some = "as_int as_double exponential_histogram bucket_counts is_monotonic aggregation_temporality bytes_value"
    some += " resource_logs scope_spans log_records data_points trace_id severity_number string_value kvlist_value"
    assert set(some.split()) <= otlpjson.SNAKE and "key" not in otlpjson.SNAKE
