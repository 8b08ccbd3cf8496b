"""S1-S6 and F1-F7: success, partial success and failure, as a client reads them."""

from __future__ import annotations

import asyncio
import json
import signal
import time
from random import Random
from typing import Any

import httpx
import pytest
from google.rpc import error_details_pb2

from collector.model.errors import BadInput, NoKey, NotNow, Refused, TooLarge, Unsupported, WrongScope
from collector.model.signals import BY_NAME, RECEIVED, SIGNALS
from collector.receive.errors import failure_of
from collector.receive.http import HttpPort
from collector.settings import Cors, Limits
from tests.otlp.receiver import HEAD, PATHS, Receiver, receiving, status_of, violation
from tests.otlp.telemetry import ENCODINGS, MAKE, SPAN, encode, ld, log_request, logs, span_request, spans
from tests.stack import until

EMPTY = {
    "protobuf": [b"", ld(1, b""), ld(1, ld(2, b""))],
    "json": [b"{}", b'{"resourceLogs":[]}', b'{"resourceLogs":[{}]}', b'{"resourceLogs":[{"scopeLogs":[{}]}]}'],
}


@pytest.mark.parametrize("encoding", ENCODINGS)
@pytest.mark.parametrize("kind", PATHS)
def test_s1_full_success_leaves_partial_success_unset(receiver: Receiver, kind: str, encoding: str) -> None:
    """Zero bytes in protobuf, `{}` in JSON."""
    body = encode(MAKE[kind](), encoding)  # type: ignore[arg-type]
    response = receiver.post(PATHS[kind], body, encoding)
    assert (response.status_code, response.content) == (200, b"" if encoding == "protobuf" else b"{}")


@pytest.mark.parametrize(("encoding", "body"), [(e, b) for e, some in EMPTY.items() for b in some])
def test_s2_empty_requests_succeed_and_store_nothing(receiver: Receiver, encoding: str, body: bytes) -> None:
    """Whatever level the emptiness begins at; they are counted as empty."""
    before = receiver.seq
    metric = f'runwell_receive_requests_total{{encoding="{encoding}",outcome="empty",signal="logs",transport="http"}} '

    def counted() -> float:
        text = httpx.get(receiver.url + "/metrics", trust_env=False).text
        return float(text.split(metric)[1].split("\n")[0])

    empty = counted()
    response = receiver.post("/v1/logs", body, encoding)
    assert (response.status_code, response.content) == (200, b"" if encoding == "protobuf" else b"{}")
    assert (receiver.seq, counted()) == (before, empty + 1)


@pytest.mark.parametrize("encoding", ENCODINGS)
def test_s3_partial_success_counts_exactly(receiver: Receiver, encoding: str) -> None:
    """Of 512 spans with 7 bad ids 505 are stored and 7 rejected, with the reason in English."""
    before = receiver.seq
    response = receiver.post("/v1/traces", encode(spans(505, bad=7), encoding), encoding)  # type: ignore[arg-type]
    if encoding == "json":
        said = response.json()["partialSuccess"]
        assert said["rejectedSpans"] == "7"
        message = said["errorMessage"]
    else:
        parsed = BY_NAME["traces"].response.FromString(response.content).partial_success
        assert parsed.rejected_spans == 7
        message = parsed.error_message
    assert message == "7 rejected: a span needs a trace id of 16 bytes and a span id of 8, not all zero"
    assert (response.status_code, len(receiver.rows("spans", before))) == (200, 505)


def test_s4_a_warning_rejects_nothing(receiver: Receiver) -> None:
    """What was kept differently is said with a count of 0."""
    record = {"attributes": [{"key": "a", "value": {"stringValue": "x" * 300_000}}], "traceId": "a1b2c3"}
    said = receiver.post("/v1/logs", json.dumps(log_request(record)).encode()).json()["partialSuccess"]
    assert said.get("rejectedLogRecords", "0") == "0"
    assert "1 values cut to 262144 characters" in said["errorMessage"]
    assert "invalid trace or span id" in said["errorMessage"]


def test_s5_overload_never_hides_in_a_success() -> None:
    """Clients do not send a partial success again, so nothing that could be taken later is told that way."""
    for error in (NotNow("full"), MemoryError()):
        assert (failure_of(error).http, failure_of(error).grpc.name) == (503, "UNAVAILABLE")


@pytest.mark.parametrize("encoding", ENCODINGS)
def test_s6_a_request_of_bad_records_is_a_success_that_rejects_all(receiver: Receiver, encoding: str) -> None:
    """It could be read: 200 with every record rejected, and nothing stored."""
    before = receiver.seq
    response = receiver.post("/v1/traces", encode(spans(0, bad=3), encoding), encoding)  # type: ignore[arg-type]
    parsed = (
        response.json()["partialSuccess"]["rejectedSpans"]
        if encoding == "json"
        else BY_NAME["traces"].response.FromString(response.content).partial_success.rejected_spans
    )
    assert (response.status_code, int(parsed), receiver.seq) == (200, 3, before)


UNDECODABLE = {
    "protobuf": [
        b"\xff",
        b"\x0a",
        b"\x0a\x05ab",
        ld(1, ld(2, ld(2, b"\x0a\x01"))),
        b"\x08\x01",
        ld(1, b"\x10\x01") + b"\x07",
        b'{"resourceLogs":[]}',
        Random(64).randbytes(64) + b"\xff",
        ld(1, ld(1, ld(1, ld(1, b"\xff\xfe")))) + b"\x0a",
        b"\x15\x01\x02\x03\x04",
    ],
    "json": [
        b"",
        b"{",
        b"[]",
        b"null",
        b"1",
        b'"x"',
        b'{"resourceLogs":{}}',
        b'{"resourceLogs":[1]}',
        b"\x0a\x00",
        b"{}{}",
        b'{"resourceLogs":[{"scopeLogs":[{"logRecords":[{"attributes":{"a":1}}]}]}]}',
    ],
}


@pytest.mark.parametrize(("encoding", "body"), [(e, b) for e, some in UNDECODABLE.items() for b in some])
def test_f1_what_cannot_be_decoded_is_400_with_the_reason(receiver: Receiver, encoding: str, body: bytes) -> None:
    """INVALID_ARGUMENT with a BadRequest detail, and nothing stored."""
    before = receiver.seq
    response = receiver.post("/v1/logs", body, encoding)
    status = status_of(response.content, encoding)  # type: ignore[arg-type]
    detail = violation(status)
    assert (response.status_code, status.code, receiver.seq) == (400, 3, before)
    assert detail is not None
    assert detail.description


BAD = {"intValue": ""}
WRONG = [
    (log_request({}, {"timeUnixNano": "x"}), "resourceLogs[0].scopeLogs[0].logRecords[1].timeUnixNano"),
    (log_request({"body": {"boolValue": 1}}), "resourceLogs[0].scopeLogs[0].logRecords[0].body.boolValue"),
    (
        log_request({"attributes": [{"key": "a"}, {"key": "b", "value": {"intValue": "x"}}]}),
        "resourceLogs[0].scopeLogs[0].logRecords[0].attributes[1].value.intValue",
    ),
    (
        log_request({"body": {"arrayValue": {"values": [{}, {"kvlistValue": {"values": [{"value": BAD}]}}]}}}),
        "resourceLogs[0].scopeLogs[0].logRecords[0].body.arrayValue.values[1].kvlistValue.values[0].value.intValue",
    ),
    (
        {"resourceLogs": [{}, {"resource": {"attributes": [{"value": {"bytesValue": "!"}}]}}]},
        "resourceLogs[1].resource.attributes[0].value.bytesValue",
    ),
    (
        {"resourceLogs": [{"scopeLogs": [{"scope": {"droppedAttributesCount": -1}, "logRecords": [{}]}]}]},
        "resourceLogs[0].scopeLogs[0].scope.droppedAttributesCount",
    ),
    (
        span_request({**SPAN, "events": [{}, {"attributes": [{"value": {"intValue": "x"}}]}]}),
        "resourceSpans[0].scopeSpans[0].spans[0].events[1].attributes[0].value.intValue",
    ),
    (span_request({**SPAN, "links": [{"flags": -1}]}), "resourceSpans[0].scopeSpans[0].spans[0].links[0].flags"),
    (
        {"resourceMetrics": [{"scopeMetrics": [{"metrics": [{"sum": {"dataPoints": [{"asInt": "x"}]}}]}]}]},
        "resourceMetrics[0].scopeMetrics[0].metrics[0].sum.dataPoints[0].asInt",
    ),
]


@pytest.mark.parametrize(("body", "path"), WRONG)
def test_f1_errors_say_which_field(receiver: Receiver, body: dict[str, Any], path: str) -> None:
    """The path of the culprit stands in the message and in the BadRequest detail."""
    kind = {"resourceLogs": "logs", "resourceSpans": "traces", "resourceMetrics": "metrics"}[next(iter(body))]
    response = receiver.post(PATHS[kind], json.dumps(body).encode())
    status = status_of(response.content, "json")
    detail = violation(status)
    assert detail is not None
    assert (response.status_code, detail.field) == (400, path)
    assert status.message.startswith(f"{path}: ")


LONG = "SECRET" * 200


@pytest.mark.parametrize(
    "body",
    [
        log_request({"timeUnixNano": LONG}),
        log_request({"severityNumber": LONG}),
        log_request({"flags": LONG}),
        log_request({"body": {"doubleValue": LONG}}),
        log_request({"body": {"bytesValue": "!" + LONG}}),
        log_request({LONG: 1, "timeUnixNano": [LONG]}),
        {LONG: [], "resourceLogs": LONG},
        LONG,
        log_request({"attributes": [{"key": LONG, "value": {"intValue": LONG}}]}),
    ],
)
def test_f1_errors_never_quote_more_than_200_characters(receiver: Receiver, body: Any) -> None:
    """Input may hold what its sender would not want in a log."""
    content = receiver.post("/v1/logs", json.dumps(body).encode()).text
    assert content.count("SECRET") * len("SECRET") <= 200
    assert len(content) < 2_000


def test_f2_a_defect_of_ours_is_a_status_too() -> None:
    """500 in the request's encoding, without a word of what went wrong inside."""

    class Broken:
        ready = ""

        class books:
            @staticmethod
            def answered(*_: object) -> None:
                """Count nothing."""

        class refusals:
            @staticmethod
            def refused(*_: object) -> None:
                """Remember nothing."""

        def hold(self) -> Any:
            raise ZeroDivisionError("inner details")

    sent: list[Any] = []

    async def receive() -> dict[str, Any]:
        return {"type": "http.request", "body": b"", "more_body": False}

    async def send(message: Any) -> None:
        sent.append(message)

    port = HttpPort(Broken(), Limits(), Cors())  # type: ignore[arg-type]
    headers = [(b"content-type", b"application/x-protobuf")]
    scope = {"type": "http", "raw_path": b"/v1/logs", "method": "POST", "headers": headers, "state": {}}
    asyncio.run(port(scope, receive, send))
    assert sent[0]["status"] == 500
    status = status_of(sent[1]["body"], "protobuf")
    assert status.code == 13
    assert "inner" not in status.message


def test_f3_f4_only_503_invites_another_try() -> None:
    """It says after how many seconds, in the header and in RetryInfo; no other error does, and none is a 500."""
    errors = [BadInput("x"), TooLarge("x"), Unsupported("x"), NotNow("x"), NotNow("x", retry_after_s=60)]
    for error in errors:
        answer = failure_of(error)
        later = dict(answer.headers).get(b"retry-after")
        retry_info = [d for d in answer.status.details if d.type_url.endswith("RetryInfo")]
        assert (answer.http == 503) == (later is not None) == (len(retry_info) == 1)
        for d in retry_info:  # to the millisecond, where the header has whole seconds
            delay_ms = error_details_pb2.RetryInfo.FromString(d.value).retry_delay.ToMilliseconds()
            assert later is not None and abs(delay_ms - 1_000 * int(later)) <= 501
        assert answer.http != 500
        assert later is None or 1 <= int(later) <= 5


def test_f3_f4_a_full_disk_is_503(tmp_path: Any) -> None:
    """Too little free space is no fault of the request."""
    with receiving(tmp_path / "data", journal={"free_disk": 2**62}) as full:
        response = full.post("/v1/logs", encode(logs(), "protobuf"), "protobuf")
        assert response.status_code == 503
        assert 1 <= int(response.headers["retry-after"]) <= 5
        status = status_of(response.content, "protobuf")
        assert (status.code, "disk" in status.message) == (14, True)
        assert httpx.get(full.url + "/readyz", trust_env=False).status_code == 503
        assert httpx.get(full.url + "/healthz", trust_env=False).status_code == 200


def test_f3_bytes_in_flight_are_bounded(tmp_path: Any) -> None:
    """Bodies that are being read count; beyond limits.in_flight others are told to come back."""
    with receiving(tmp_path / "data", limits={"in_flight": 100_000}) as tight:
        holding = tight.connect()
        holding.send(HEAD + b"Content-Length: 90000\r\n\r\n" + b" " * 80_000)
        body = encode(logs(), "json") + b" " * 30_000
        metrics = f"{tight.url}/metrics"
        until(lambda: "in_flight_bytes 80000.0" in httpx.get(metrics, trust_env=False).text, why="it to be read")
        response = tight.post("/v1/logs", body)
        assert (response.status_code, "limits.in_flight" in response.text) == (503, True)
        holding.send(b" " * 10_000)
        assert holding.answer() is not None
        assert tight.post("/v1/logs", body).status_code == 200


def test_f5_there_are_no_keys_yet(receiver: Receiver) -> None:
    """A key that a sender brings is no reason to refuse it."""
    sent = receiver.post("/v1/logs", encode(logs(), "json"), authorization="Bearer x", x_api_key="y")
    assert sent.status_code == 200


def test_f6_acknowledged_means_on_disk(tmp_path: Any) -> None:
    """A kill right after the answer loses nothing."""
    with receiving(tmp_path / "data") as first:
        for _ in range(5):
            assert first.post("/v1/logs", encode(logs(2), "json")).status_code == 200
        first.process.kill()
        first.process.wait(10)
    assert len(first.rows("logs")) == 10


def test_f7_a_stopping_server_finishes_and_refuses(tmp_path: Any) -> None:
    """A request under way is answered with 503 and Retry-After; the process ends by itself, with success."""
    with receiving(tmp_path / "data") as stopping:
        assert stopping.post("/v1/logs", encode(logs(), "json")).status_code == 200
        waiting = stopping.connect()
        body = encode(logs(), "json")
        waiting.send(HEAD + b"Content-Length: %d\r\n\r\n" % len(body))
        stopping.process.send_signal(signal.SIGTERM)
        deadline = time.monotonic() + 20
        while not waiting_is_refused(stopping) and time.monotonic() < deadline:
            pass
        waiting.send(body)
        answer = waiting.answer()
        assert answer is not None
        assert answer.status in (200, 503)
        assert answer.status == 200 or int(answer.headers["retry-after"]) >= 1
        assert stopping.process.wait(20) == 0


def waiting_is_refused(stopping: Receiver) -> bool:
    """Tell whether the server has begun to stop."""
    try:
        return httpx.get(stopping.url + "/readyz", trust_env=False, timeout=2).status_code == 503
    except httpx.TransportError:
        return True


PAIRS = [(sent, path) for sent in PATHS for path in (s.name for s in RECEIVED) if sent != path]


@pytest.mark.parametrize("encoding", ENCODINGS)
@pytest.mark.parametrize(("sent", "path"), PAIRS)
def test_b6_another_signal_on_a_path_is_never_a_silent_success(
    receiver: Receiver, sent: str, path: str, encoding: str
) -> None:
    """400, or a partial success that rejects everything; nothing is stored."""
    before = receiver.seq
    target = next(s for s in RECEIVED if s.name == path)
    response = receiver.post(target.path, encode(MAKE[sent](3), encoding), encoding)  # type: ignore[arg-type]
    assert receiver.seq == before
    if response.status_code == 200:
        parsed = target.response()
        if encoding == "json":
            rejected = int(next(v for k, v in response.json()["partialSuccess"].items() if k.startswith("rejected")))
        else:
            parsed.ParseFromString(response.content)
            rejected = getattr(parsed.partial_success, target.rejected_field)
        assert rejected > 0
    else:
        assert response.status_code == 400
        if encoding == "json":
            assert next(s.path for s in SIGNALS if s.name == sent) in response.text


def test_every_error_class_has_an_answer() -> None:
    """The table of errors names a status for each of them."""

    def classes(kind: type[Refused]) -> list[type[Refused]]:
        return [kind, *(c for sub in kind.__subclasses__() for c in classes(sub))]

    made = [c("x") for c in classes(BadInput)] + [NotNow("x"), NoKey("x"), WrongScope("x")]
    assert {failure_of(error).http for error in made} == {400, 401, 403, 404, 405, 408, 413, 415, 421, 431, 503}
