"""J1-J13: OTLP/JSON, where it differs from protobuf's own JSON."""

from __future__ import annotations

import base64
import json
import math
import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from collector.model.errors import BadInput
from tests.otlp.generate import requests
from tests.otlp.telemetry import (
    NOW,
    SPAN,
    decoded,
    encode,
    log_request,
    logs,
    one_log,
    otlp_json,
    span_request,
    spans,
)

VECTORS = Path(__file__).parents[1] / "vectors"
TRACE, SPAN_ID = SPAN["traceId"], SPAN["spanId"]


def refused(signal: str, body: bytes | dict[str, Any], encoding: str = "json", **limits: Any) -> BadInput:
    """Return the error that a body is refused with."""
    with pytest.raises(BadInput) as caught:
        decoded(signal, encoding, body, **limits)  # type: ignore[arg-type]
    return caught.value


def test_j1_ids_are_hex_of_any_case() -> None:
    """Upper, lower and mixed case name the same trace."""
    rows, _ = decoded(
        "traces",
        "json",
        span_request(*({**SPAN, "traceId": i, "spanId": SPAN_ID} for i in (TRACE, TRACE.upper(), TRACE.title()))),
    )
    assert {r["trace_id"] for r in rows["spans"]} == {TRACE}


@pytest.mark.parametrize("length", [n for n in range(34) if n != 32])
def test_j1_b7_ids_of_another_length_reject_the_span(length: int) -> None:
    """A trace id has 32 digits, whatever else has the form of one."""
    rows, accepted = decoded("traces", "json", span_request({**SPAN, "traceId": "a" * length}, SPAN))
    assert (accepted.records, accepted.rejected, len(rows["spans"])) == (1, 1, 1)
    assert "trace id of 16 bytes" in accepted.message


@pytest.mark.parametrize("length", [n for n in range(34) if n != 16])
def test_j1_b7_ids_of_another_length_reject_the_span_in_protobuf(length: int) -> None:
    """A trace id has 16 bytes, a span id 8."""
    request = spans(1)
    request.resource_spans[0].scope_spans[0].spans.add(trace_id=b"a" * length, span_id=b"b" * 8)
    _, accepted = decoded("traces", "protobuf", request.SerializeToString())
    assert (accepted.records, accepted.rejected) == (1, 1)


@pytest.mark.parametrize(
    "ident",
    [
        base64.b64encode(bytes.fromhex(TRACE)).decode(),
        "g" * 32,
        "5b8efff7-9803-8103-d269-b633813fc60c",
        "0x" + "a" * 30,
        "é" * 32,
        " " * 32,
        "٣" * 32,
    ],
)
def test_j1_b7_ids_that_are_not_hex_reject_the_span(ident: str) -> None:
    """base64 as protobuf's JSON has it, a UUID, a prefix or digits of another script are no ids."""
    _, accepted = decoded("traces", "json", span_request({**SPAN, "traceId": ident}))
    assert (accepted.records, accepted.rejected) == (0, 1)


@pytest.mark.parametrize("bad", ["0" * 32, "", "abc", None])
def test_j2_log_records_are_kept_without_an_invalid_id(bad: str | None) -> None:
    """A log record with a wrong id is kept as one without; its sender is told, unless it stated none."""
    row, accepted = one_log({"traceId": bad, "spanId": SPAN_ID, "body": {"stringValue": "x"}})
    assert row["trace_id"] is None
    assert ("invalid trace or span id" in accepted.message) == bool(bad)


@pytest.mark.parametrize("field", ["traceId", "spanId"])
def test_j2_zero_and_empty_ids_reject_the_span(field: str) -> None:
    """All zero and empty are not ids."""
    zero = "0" * len(SPAN[field])
    _, accepted = decoded("traces", "json", span_request({**SPAN, field: zero}, {**SPAN, field: ""}, SPAN))
    assert (accepted.records, accepted.rejected) == (1, 2)


def test_j3_enums_are_numbers_and_names_are_taken_with_a_warning() -> None:
    """A number of any size is kept, its digits too; a name counts as its number and its sender is told."""
    body = span_request(*({**SPAN, "kind": kind} for kind in (2, "2", 77, -1, "SPAN_KIND_SERVER")))
    rows, accepted = decoded("traces", "json", body)
    assert [r["kind"] for r in rows["spans"]] == [2, 2, 77, -1, 2]
    assert accepted.warnings == {"time_missing": 5, "enum_name": 1}
    assert "enum names" in accepted.message


def test_j3_enum_names_can_be_refused() -> None:
    """Without limits.enum_names a name is refused, with the path of the field."""
    error = refused("traces", span_request(SPAN, {**SPAN, "kind": "SPAN_KIND_SERVER"}), enum_names=False)
    assert error.field == "resourceSpans[0].scopeSpans[0].spans[1].kind"
    refused("logs", log_request({"severityNumber": "SEVERITY_NUMBER_INFO"}), enum_names=False)


@pytest.mark.parametrize("spelled", [str.lower, str.upper, str.title])
def test_j3_short_enum_names_are_taken_as_whole_ones_are(spelled: Callable[[str], str]) -> None:
    """Without what all names of the enum begin with, in any case, and a logger's words for severities; told."""
    for kind, code, number in (("SERVER", "ERROR", 2), ("INTERNAL", "OK", 1)):
        rows, accepted = decoded(
            "traces", "json", span_request({**SPAN, "kind": spelled(kind), "status": {"code": spelled(code)}})
        )
        assert (rows["spans"][0]["kind"], rows["spans"][0]["status_code"]) == (number, number)
        assert accepted.warnings["enum_name"] == 2
    for word, severity in (("WARN", 13), ("warning", 13), ("error3", 19), ("critical", 21)):
        assert one_log({"severityNumber": spelled(word)})[0]["severity_number"] == severity


@pytest.mark.parametrize(
    ("word", "severity"),
    [("Verbose", 1), ("Information", 9), ("notice", 10), ("SeverityNumber.WARN", 13), ("alert", 21), ("Panic", 21)],
)
def test_j3_words_of_loggers_are_severities(word: str, severity: int) -> None:
    """Of .NET, syslog and Go too, told as the names of the enum are."""
    row, accepted = one_log({"severityNumber": word})
    assert (row["severity_number"], accepted.warnings["enum_name"]) == (severity, 1)


def test_j3_enum_names_may_stand_behind_their_enums() -> None:
    """As Python shows a member of one."""
    span = {**SPAN, "kind": "SpanKind.CONSUMER", "status": {"code": "StatusCode.ERROR"}}
    (row,) = decoded("traces", "json", span_request(span))[0]["spans"]
    assert (row["kind"], row["status_code"]) == (5, 2)


@pytest.mark.parametrize(("status", "code"), [("ERROR", 2), (2, 2), ("Ok", 1), ("2", 2), (2.0, 2), ("lost", 0)])
def test_j3_a_status_may_be_its_code_alone(status: Any, code: int) -> None:
    """Read and told; no batch is lost for it."""
    rows, accepted = decoded("traces", "json", span_request({**SPAN, "status": status}, SPAN))
    assert [(r["status_code"], r["status_message"]) for r in rows["spans"]] == [(code, None), (0, None)]
    assert (accepted.rejected, accepted.warnings["status_bare"]) == (0, 1)
    assert '{"code": 2}' in accepted.message
    assert refused("traces", span_request({**SPAN, "status": []})).field.endswith("status")


def test_j3_a_name_that_is_none_is_told_and_loses_nothing() -> None:
    """It stands for no number; a batch is not lost for one word."""
    rows, accepted = decoded("traces", "json", span_request({**SPAN, "kind": "SERVERS"}, SPAN))
    assert [row["kind"] for row in rows["spans"]] == [0, 0]
    assert (accepted.rejected, accepted.warnings["enum_unknown"]) == (0, 1)
    assert "none of their enum" in accepted.message


UNKNOWN = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=6,
)


@given(requests(), UNKNOWN, st.integers())
def test_j4_unknown_fields_are_ignored_at_every_level(made: tuple[str, Any], junk: Any, seed: int) -> None:
    """Members that OTLP does not have change no row, whatever they hold."""
    signal, request = made
    plain = otlp_json(request)
    rng = random.Random(seed)

    def inject(node: Any) -> Any:
        if isinstance(node, dict):
            mixed = [(k, inject(v)) for k, v in node.items()]
            mixed.insert(rng.randint(0, len(mixed)), (rng.choice(["xUnknown", "x", "", "futureField"]), junk))
            return dict(mixed)
        return [inject(item) for item in node] if isinstance(node, list) else node

    assert repr(decoded(signal, "json", inject(plain))[0]) == repr(decoded(signal, "json", plain)[0])


def test_j4_unknown_protobuf_fields_are_ignored() -> None:
    """Fields of a later version change no row."""
    plain = logs(1, unique=False)
    later = logs(1, unique=False)
    group = later.resource_logs[0].scope_logs[0]
    group.MergeFromString(b"\xba\x3e\x03abc")  # field 999
    group.log_records[0].MergeFromString(b"\xb8\x3e\x07")
    later.MergeFromString(b"\xbd\x3e\x01\x02\x03\x04")
    assert later.SerializeToString() != plain.SerializeToString()
    assert (
        decoded("logs", "protobuf", later.SerializeToString())[0]
        == decoded("logs", "protobuf", plain.SerializeToString())[0]
    )


def test_j5_snake_case_names_are_not_honoured() -> None:
    """`time_unix_nano` is a field that OTLP/JSON does not have: ignored, and its sender is told."""
    row, accepted = one_log({"time_unix_nano": str(NOW), "severity_number": 9, "body": {"stringValue": "x"}})
    assert (row["time_unix_nano"], row["severity_number"], row["time_source"]) == (0, 0, "received")
    assert accepted.warnings["name_ignored"] == 2
    assert "snake_case" in accepted.message


def test_j5_a_request_all_in_snake_case_is_no_silent_success() -> None:
    """Nothing is stored of it, and the partial success says why."""
    rows, accepted = decoded("logs", "json", b'{"resource_logs":[{"scope_logs":[{"log_records":[{}]}]}]}')
    assert rows == {}
    assert "snake_case" in accepted.message


def test_j5_attribute_keys_may_be_in_snake_case() -> None:
    """Keys are values, not names of fields; nor is text that looks like JSON."""
    _, accepted = one_log(
        {
            "timeUnixNano": str(NOW),
            "body": {"stringValue": json.dumps({"trace_id": 1})},
            "attributes": [{"key": "trace_id", "value": {"stringValue": "time_unix_nano"}}],
        }
    )
    assert accepted.message == ""


@pytest.mark.parametrize(("sent", "stored"), [("1", 1), (1, 1), (str(NOW), NOW), (NOW, NOW), (10**18, 10**18)])
def test_j6_64_bit_integers_come_as_text_or_number(sent: Any, stored: int) -> None:
    """Both are exact, beyond 2^53 too."""
    assert one_log({"timeUnixNano": sent})[0]["time_unix_nano"] == stored


def test_j6_integral_floats_are_integers() -> None:
    """`1e18` is a whole number."""
    rows, _ = decoded("logs", "json", b'{"resourceLogs":[{"scopeLogs":[{"logRecords":[{"timeUnixNano":1e18}]}]}]}')
    assert rows["logs"][0]["time_unix_nano"] == 10**18


@pytest.mark.parametrize("sent", ["-1", -1, str(2**64), 2**64, "1.5", 1.5, "", "abc", "1_0", " 1", "0x1", True, [], {}])
def test_j6_other_integers_are_refused(sent: Any) -> None:
    """Out of range, fractions and other text are refused with the path of the field."""
    error = refused("logs", log_request({"body": {"stringValue": "x"}}, {"timeUnixNano": sent}))
    assert error.field == "resourceLogs[0].scopeLogs[0].logRecords[1].timeUnixNano"


def test_j6_an_int_value_beyond_64_bits_is_a_double() -> None:
    """Real senders write `{"intValue":1e+21}`; it costs them precision, not the batch."""
    body = b'{"resourceLogs":[{"scopeLogs":[{"logRecords":[{"body":{"intValue":1e+21}}]}]}]}'
    assert json.loads(decoded("logs", "json", body)[0]["logs"][0]["body"]) == 1e21


def double(value: Any) -> Any:
    """Return what is kept of a double."""
    body = json.loads(one_log({"body": {"arrayValue": {"values": [{"doubleValue": value}]}}})[0]["body"])
    return body[0]


def test_j7_doubles_have_names_for_what_json_has_not() -> None:
    """NaN and the infinities come as text and are kept in OTLP/JSON's own form."""
    assert [double(v) for v in (1, 1.5, "2.5", -0.0)] == [1.0, 1.5, 2.5, -0.0]
    assert [double(v) for v in ("NaN", "Infinity", "-Infinity")] == [
        {"doubleValue": v} for v in ("NaN", "Infinity", "-Infinity")
    ]
    rows, _ = decoded(
        "metrics",
        "json",
        {"resourceMetrics": [{"scopeMetrics": [{"metrics": [{"gauge": {"dataPoints": [{"asDouble": "NaN"}]}}]}]}]},
    )
    assert math.isnan(rows["metric_points"][0]["value"])


@pytest.mark.parametrize("literal", [b"NaN", b"Infinity", b"-Infinity", b"nan", b'"nan()"', b'"1_0"', b'"0x1p3"'])
def test_j7_other_spellings_of_doubles_are_refused(literal: bytes) -> None:
    """A bare NaN is not JSON."""
    refused(
        "logs",
        b'{"resourceLogs":[{"scopeLogs":[{"logRecords":[{"body":{"doubleValue":' + literal + b"}}]}]}]}",
    )


@given(st.binary(max_size=40))
def test_j8_bytes_are_base64_of_either_alphabet(value: bytes) -> None:
    """Standard and URL-safe, padded or not, are the same bytes."""
    stored = {"bytesValue": base64.b64encode(value).decode()}
    for text in (base64.b64encode(value).decode(), base64.urlsafe_b64encode(value).decode()):
        for sent in (text, text.rstrip("=")):
            assert json.loads(one_log({"body": {"bytesValue": sent}})[0]["body"]) == stored


@pytest.mark.parametrize("sent", ["a", "ab!d", "====a", "é", "a b="])
def test_j8_what_is_not_base64_is_refused(sent: str) -> None:
    """The error names the field."""
    assert refused("logs", log_request({"body": {"bytesValue": sent}})).field.endswith("body.bytesValue")


def test_j9_null_is_absent() -> None:
    """A field that is null and one that is not there give the same row."""
    full = {
        "timeUnixNano": None,
        "observedTimeUnixNano": None,
        "severityNumber": None,
        "severityText": None,
        "body": None,
        "attributes": None,
        "droppedAttributesCount": None,
        "flags": None,
        "traceId": None,
        "spanId": None,
        "eventName": None,
    }
    assert one_log(full)[0] == one_log({})[0]
    empty = {
        "resourceLogs": [{"resource": None, "scopeLogs": [{"scope": None, "schemaUrl": None, "logRecords": [{}]}]}]
    }
    assert decoded("logs", "json", empty)[0]["logs"] == [one_log({})[0]]
    for nothing in ({"resourceLogs": None}, {"resourceLogs": [{"scopeLogs": None}]}):
        assert decoded("logs", "json", nothing)[1].records == 0
    span = dict.fromkeys(("parentSpanId", "traceState", "status", "events", "links", "attributes", "kind"))
    assert decoded("traces", "json", span_request({**SPAN, **span})) == decoded("traces", "json", span_request(SPAN))


def test_j10_of_repeated_members_the_last_counts() -> None:
    """As in most parsers; a request is not refused for it."""
    body = b'{"resourceLogs":[{"scopeLogs":[{"logRecords":[{"severityText":"a","severityText":"b"}]}]}]}'
    assert decoded("logs", "json", body)[0]["logs"][0]["severity_text"] == "b"


@pytest.mark.parametrize("first", ["stringValue", "intValue", "boolValue", "doubleValue", "bytesValue", "arrayValue"])
def test_j11_a_value_with_two_members_is_refused(first: str) -> None:
    """oneof means one; the error says which two, and where."""
    member = {
        "stringValue": "",
        "intValue": 1,
        "boolValue": False,
        "doubleValue": 1.5,
        "bytesValue": "",
        "arrayValue": {},
    }
    value = {first: member[first], "kvlistValue": {}}
    error = refused("logs", log_request({"attributes": [{"key": "a", "value": value}]}))
    assert error.field == "resourceLogs[0].scopeLogs[0].logRecords[0].attributes[0].value"
    assert first in error.message and "kvlistValue" in error.message


def test_j11_a_point_with_two_values_is_refused() -> None:
    """A point is an integer or a double; a metric has one kind."""
    both = {"gauge": {"dataPoints": [{}, {"asInt": "1", "asDouble": 1.0}]}}
    request = {"resourceMetrics": [{"scopeMetrics": [{"metrics": [both]}]}]}
    assert refused("metrics", request).field.endswith("metrics[0].gauge.dataPoints[1]")
    request["resourceMetrics"][0]["scopeMetrics"][0]["metrics"][0] = {"gauge": {}, "sum": {}}  # type: ignore[dict-item]
    assert refused("metrics", request).field.endswith("metrics[0]")


def test_j12_attributes_may_be_empty_bytes_arrays_and_maps() -> None:
    """All of them are kept, in both encodings; an index into a string table belongs to profiles and is empty here."""
    request = logs(1, unique=False)
    record = request.resource_logs[0].scope_logs[0].log_records[0]
    record.attributes.add(key="empty").value.SetInParent()
    record.attributes.add(key="bytes").value.bytes_value = b"\x00\xff"
    record.attributes.add(key="array").value.array_value.values.add().int_value = -3
    inner = record.attributes.add(key="map").value.kvlist_value.values.add(key="k")
    inner.value.array_value.SetInParent()
    record.attributes.add(key="")
    for encoding in ("protobuf", "json"):
        rows, _ = decoded("logs", encoding, encode(request, encoding))  # type: ignore[arg-type]
        assert json.loads(rows["logs"][0]["attributes"]) == {
            "nonce": "0",
            "empty": None,
            "bytes": {"bytesValue": "AP8="},
            "array": [-3],
            "map": {"k": []},
            "": None,
        }
    record.attributes.add(key="index").value.string_value_strindex = 7
    rows, _ = decoded("logs", "protobuf", request.SerializeToString())
    assert json.loads(rows["logs"][0]["attributes"])["index"] is None


def test_j13_of_repeated_keys_the_last_counts_and_the_sender_is_told() -> None:
    """Each repetition is counted, in attributes and in maps inside them."""
    pair = [{"key": "a", "value": {"intValue": n}} for n in (1, 2, 3)]
    row, accepted = one_log({"attributes": pair, "body": {"kvlistValue": {"values": pair[:2]}}})
    assert (json.loads(row["attributes"]), json.loads(row["body"])) == ({"a": 3}, {"a": 2})
    assert accepted.warnings["key_repeated"] == 3
    assert "3 attribute keys repeated" in accepted.message
    request = logs(1)
    request.resource_logs[0].resource.attributes.add(key="service.name").value.string_value = "last"
    assert decoded("logs", "protobuf", request.SerializeToString())[0]["resources"][0]["service_name"] == "last"
