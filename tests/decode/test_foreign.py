"""Old OTLP is read and told; what is none and stands where records would be is told."""

from __future__ import annotations

import json
import re
from contextlib import suppress
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from collector.model.errors import BadInput, TooLarge
from collector.model.signals import LOGS, METRICS, TRACES, Signal
from tests.decode.messages import decode, requests
from tests.otlp.telemetry import encode, ld, varint

BLOCKS = {"logs": "resource_logs", "traces": "resource_spans", "metrics": "resource_metrics"}
ONE = {"logs": "logRecords", "traces": "spans", "metrics": "metrics"}


def old_json(body: bytes) -> bytes:
    """Return an OTLP/JSON body as it was written until 0.19; some called log records logs."""
    text = re.sub(rb'"scope(Logs|Spans|Metrics)":', rb'"instrumentationLibrary\1":', body)
    return text.replace(b'"scope":', b'"instrumentationLibrary":')


def scopes_of(signal: Signal, block: Any) -> Any:
    """Return the scopes of a resource."""
    return getattr(block, BLOCKS[signal.name].replace("resource", "scope"))


def old_protobuf(signal: Signal, message: Any) -> bytes:
    """Return a request whose resources have their scopes in field 1000."""
    body = b""
    for block in getattr(message, BLOCKS[signal.name]):
        scopes = [scope.SerializeToString() for scope in scopes_of(signal, block)]
        del scopes_of(signal, block)[:]
        old = b"".join(varint(1000 << 3 | 2) + varint(len(scope)) + scope for scope in scopes)
        body += ld(1, block.SerializeToString() + old)
    return body


@given(st.data())
def test_instrumentation_libraries_are_scopes(data: st.DataObject) -> None:
    """Of any request in the old form, in either encoding, the rows are those of the new one, and the sender is told."""
    signal = data.draw(st.sampled_from([LOGS, TRACES, METRICS]))
    message: Any = data.draw(requests(signal))
    scopes = sum(len(scopes_of(signal, block)) for block in getattr(message, BLOCKS[signal.name]))
    rows, said = decode(signal, "protobuf", message.SerializeToString())
    json_body = old_json(encode(message, "json"))
    for encoding, body in (("json", json_body), ("protobuf", old_protobuf(signal, message))):
        got, told = decode(signal, encoding, body)
        assert (got, told.records, told.rejected) == (rows, said.records, said.rejected)
        assert told.warnings.get("old_otlp", 0) == scopes
        assert ("instrumentation library" in told.message) is bool(scopes)


def test_log_records_were_called_logs() -> None:
    """In JSON, before 0.15."""
    old = {"instrumentationLibrary": {"name": "l"}, "logs": [{"body": {"stringValue": "work_started"}}]}
    rows, said = decode(LOGS, "json", json.dumps({"resourceLogs": [{"instrumentationLibraryLogs": [old]}]}).encode())
    assert (rows["logs"][0]["body"], rows["scopes"][0]["name"], said.records) == ("work_started", "l", 1)


@pytest.mark.parametrize("signal", [LOGS, TRACES, METRICS], ids=lambda s: s.name)
def test_scopes_count_where_there_are_both(signal: Signal) -> None:
    """A sender that sends each record in both forms has it stored once."""
    group = {"scope": {"name": "s"}, ONE[signal.name]: []}
    scope = BLOCKS[signal.name].replace("resource_", "").capitalize()
    both = {f"scope{scope}": [group], f"instrumentationLibrary{scope}": [group, group]}
    _, said = decode(signal, "json", json.dumps({f"resource{scope}": [both]}).encode())
    assert (said.records, said.warnings["old_otlp"]) == (0, 2)


SILENT = [
    "{}",
    '{"resourceLogs":[]}',
    '{"resourceLogs":[{"resource":{"attributes":[]},"scopeLogs":[{"scope":{}}]}]}',
    '{"x":null,"y":[]}',
]
LOST = [
    '{"resourceLog":[{"scopeLogs":[{"logRecords":[{}]}]}]}',
    '{"resourceLogs":[{"scope":[{"logRecords":[{}]}]}]}',
    '{"resourceLogs":[{"scopeLogs":[{"records":[{"body":{"stringValue":"x"}}]}]}]}',
    '{"logs":[{"message":"x"}]}',
    '{"message":"\\\\ud83d"}',
]


@pytest.mark.parametrize(("body", "told"), [*((b, False) for b in SILENT), *((b, True) for b in LOST)])
def test_a_request_of_which_nothing_is_read_is_no_silent_success(body: str, told: bool) -> None:
    """Where it holds something; one that is empty, or has a resource alone, is answered as before."""
    _, said = decode(LOGS, "json", body.encode())
    assert (said.records, said.rejected, "no record was found" in said.message) == (0, 0, told)


def test_unknown_fields_where_records_would_be_are_told_in_protobuf() -> None:
    """At each level; fields beside records are ignored, as OTLP asks."""
    record = ld(2, ld(5, ld(1, b"x")))
    for body, told in (
        (ld(1, ld(2, ld(9, b"x"))), True),
        (ld(1, ld(9, b"x")), True),
        (ld(1, ld(2, b"")), False),
        (ld(1, ld(2, record + ld(9, b"x"))), False),
    ):
        _, said = decode(LOGS, "protobuf", body)
        assert ("no record was found" in said.message) is told


def test_values_in_gos_own_json_are_told() -> None:
    """They come out empty, and their sender hears of it."""
    record = {"attributes": [{"key": "run_id", "value": {"Value": {"StringValue": "r"}}}]}
    rows, said = decode(
        LOGS, "json", json.dumps({"resourceLogs": [{"scopeLogs": [{"logRecords": [record]}]}]}).encode()
    )
    assert (rows["logs"][0]["attributes"], said.warnings["go_value"]) == ('{"run_id":null}', 1)
    assert '{"Value": ...}' in said.message


def tag(number: int, content: bytes) -> bytes:
    """Return a field of bytes with any number."""
    return varint(number << 3 | 2) + varint(len(content)) + content


def test_bad_text_in_an_instrumentation_library_is_mended_and_told() -> None:
    """One that is cut off is refused with its place."""
    old = tag(1000, ld(2, ld(5, ld(1, b"\xff_started"))))
    rows, said = decode(LOGS, "protobuf", ld(1, old))
    assert (rows["logs"][0]["body"], said.warnings["text_mended"]) == ("\ufffd_started", 1)
    with pytest.raises(BadInput, match="cut off"):
        decode(LOGS, "protobuf", ld(1, tag(1000, ld(2, b"")[:-1] + b"\x09")))


def test_instrumentation_libraries_are_counted_before_they_are_read() -> None:
    """As scopes are."""
    with pytest.raises(TooLarge, match=r"limits\.parts"):
        decode(LOGS, "protobuf", ld(1, tag(1000, b"\x12\x00" * 2_500_000)))


@pytest.mark.parametrize(
    "body",
    [
        '{"resourceLogs":[{"scopeLogs":[{"logRecords":[{"body":{"stringValue":"x","Value":%s}}]}]}]}',
        '{"resourceLogs":[{"instrumentationLibraryLogs":%s,"scopeLogs":[{"logRecords":[{}]}]}]}',
        '{"resourceLogs":[{"scopeLogs":[{"logs":%s,"instrumentationLibrary":%s,"logRecords":[{}]}]}]}',
    ],
)
@pytest.mark.parametrize("odd", ["5", "null", "[]", '"a"', "[5]", '[{"x":1}]', '{"name":"a"}', "1e999"])
def test_members_of_those_names_may_be_anything(body: str, odd: str) -> None:
    """They are ignored where they are not what old senders sent, and a record beside them is kept."""
    _, said = decode(LOGS, "json", body.replace("%s", odd).encode())
    assert (said.records, said.rejected) == (1, 0)


@pytest.mark.parametrize("signal", [LOGS, TRACES, METRICS], ids=lambda s: s.name)
def test_what_is_looked_at_for_nothing_is_odd_too(signal: Signal) -> None:
    """Fields of other types, numbers beyond all measure, and a million of nothing are no defect of ours."""
    for body in (b"\x0a\x03\x10\x80\x01", ld(1, ld(2, b"")) * 60_000, ld(1, ld(9, b"") * 3_000)):
        with suppress(BadInput):
            assert decode(signal, "protobuf", body)[1].records == 0
    for odd in (b'{"x":1e999}', b'{"x":' + b"9" * 5_000 + b"}"):
        assert "no record was found" in decode(signal, "json", odd)[1].message


def test_records_under_logs_are_read_without_the_old_name_beside_them() -> None:
    """And told, as the rest of old OTLP is."""
    _, said = decode(LOGS, "json", b'{"resourceLogs":[{"scopeLogs":[{"logs":[{},{}]}]}]}')
    assert (said.records, said.warnings["old_otlp"]) == (2, 1)
