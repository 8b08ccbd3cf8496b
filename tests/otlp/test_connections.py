"""H13-H20, B9: what connections may do, what pages may, and what is no HTTP, against a real receive process."""

from __future__ import annotations

import contextlib
import json
import socket
import time
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from itertools import pairwise
from pathlib import Path

import httpx
import psutil
import pytest

from tests.otlp.conftest import ORIGIN
from tests.otlp.receiver import HEAD, OK, Receiver, crowd, message_of, receiving
from tests.otlp.telemetry import encode, logs, spans

MIB = 2**20


def test_h13_one_connection_takes_ten_thousand_requests(receiver: Receiver) -> None:
    """Without a file more than before."""
    process = psutil.Process(receiver.process.pid)
    connection = receiver.connect()
    connection.send(OK)
    assert connection.answer() is not None
    before = process.num_fds()
    for _ in range(100):
        connection.send(OK * 100)  # pipelined: each is answered in its turn
        for _ in range(100):
            answer = connection.answer()
            assert answer is not None
            assert (answer.status, answer.body) == (200, b"{}")
    assert process.num_fds() <= before
    connection.close()


def test_h13_idle_connections_are_closed(small: Receiver) -> None:
    """One that never asks and one that has been answered, after limits.idle_time."""
    silent, answered = small.connect(), small.connect()
    answered.send(OK)
    assert answered.answer() is not None
    assert silent.ended()
    assert answered.ended()


def test_h14_concurrent_requests_are_each_counted_once(receiver: Receiver) -> None:
    """256 connections at once: every record is stored once, every answer is its own request's."""
    before = receiver.seq

    def client(_: int) -> list[str]:
        sent = []
        connection = receiver.connect()
        for i in range(4):
            request = logs() if i % 2 else spans(0, bad=1)
            body = encode(request, "protobuf")
            path = b"/v1/logs" if i % 2 else b"/v1/traces"
            head = HEAD.replace(b"/v1/logs", path).replace(b"json", b"x-protobuf")
            connection.send(head + b"Content-Length: %d\r\n\r\n" % len(body) + body)
            answer = connection.answer()
            assert answer is not None
            assert (answer.status, answer.body == b"") == (200, bool(i % 2))
            if i % 2:
                record = request.resource_logs[0].scope_logs[0].log_records[0]  # type: ignore[attr-defined]
                sent.append(record.attributes[0].value.string_value)
        connection.close()
        return sent

    with ThreadPoolExecutor(256) as pool:
        sent = [nonce for some in pool.map(client, range(256)) for nonce in some]
    stored = [json.loads(row["attributes"])["nonce"] for row in receiver.rows("logs", before)]
    assert sorted(stored) == sorted(sent)


def test_h15_http2_is_refused_in_words(receiver: Receiver) -> None:
    """Prior knowledge gets a Status in HTTP/1.1 and the end of the connection."""
    connection = receiver.connect()
    connection.send(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + bytes(9))
    assert "HTTP/1.1" in message_of(connection.answer(), 400)
    assert connection.ended()


def test_h15_an_upgrade_is_not_taken_up_and_nothing_is_lost_by_it(receiver: Receiver) -> None:
    """An offer of HTTP/2 is answered in HTTP/1.1 and its body stored, wherever the request is split, whatever precedes
    or follows it on the connection, and however its length is told.
    """
    before = receiver.seq
    sent: list[str] = []

    def offer(*, chunked: bool = False) -> bytes:
        request = logs()
        sent.append(request.resource_logs[0].scope_logs[0].log_records[0].attributes[0].value.string_value)  # type: ignore[attr-defined]
        body = encode(request, "protobuf")
        head = HEAD.replace(b"json", b"x-protobuf") + b"Connection: Upgrade, HTTP2-Settings\r\nHTTP2-Settings: AA\r\n"
        if chunked:
            parts = b"".join(b"%x\r\n%b\r\n" % (len(part), part) for part in (body[:9], body[9:]))
            return head + b"uPgRaDe:h2c\r\nTransfer-Encoding: chunked\r\n\r\n" + parts + b"0\r\nUpgrade: h2c\r\n\r\n"
        return head + b"Upgrade: h2c\r\nContent-Length: %d\r\n\r\n" % len(body) + body

    connection = receiver.connect()
    connection.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def taken(*parts: bytes, answers: int = 1) -> None:
        for part in parts:
            connection.send(part)
            time.sleep(0.001)
        got = [connection.answer() for _ in range(answers)]
        assert [answer and (answer.status, answer.body) for answer in got] == [(200, b"")] * answers

    for split in range(1, len(offer())):
        data = offer()
        taken(data[:split], data[split:])
    plain = offer().replace(b"Upgrade: h2c\r\n", b"")
    taken(plain + offer() + offer(chunked=True) + offer(), answers=4)
    taken(*(bytes([byte]) for byte in offer(chunked=True)))
    connection.close()
    stored = [json.loads(row["attributes"])["nonce"] for row in receiver.rows("logs", before)]
    assert sorted(stored) == sorted(sent[1:])


@pytest.mark.parametrize("more", [b"0\r\nX-T: ", b"5;ext=", b"0\r\n"], ids=["one line", "a chunk's size", "many lines"])
def test_h15_what_frames_a_body_is_bounded_as_a_head_is(small: Receiver, more: bytes) -> None:
    """A trailer or an extension without end is refused once it is longer than a head may be."""
    connection = small.connect()
    connection.send(HEAD + b"Transfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n" + more)
    piece = b"X-T: a\r\n" * 8_192 if more == b"0\r\n" else b"a" * 65_536
    for _ in range(64):
        connection.send(piece)
    assert "limited to" in message_of(connection.answer(), 431)
    assert connection.ended()


def test_h15_a_trailer_says_nothing_of_its_request(receiver: Receiver) -> None:
    """Whether it comes with the body or after it: what it says of type, length or encoding is not read."""
    body = HEAD + b"Transfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n"
    for line in (b"Content-Type: text/plain", b"Content-Encoding: br", b"Host: localhost", b"Upgrade: h2c"):
        for parts in ((body + line + b"\r\n\r\n",), (body, line + b"\r\n\r\n")):
            connection = receiver.connect()
            for part in parts:
                connection.send(part)
                time.sleep(0.01)
            answer = connection.answer()
            assert answer is not None
            assert (answer.status, answer.body) == (200, b"{}")
            connection.close()


def test_h19_requests_sent_ahead_keep_nobody_out(small: Receiver) -> None:
    """Beside more connections than there are places, each with many requests sent ahead and no answer read, others
    are answered.
    """
    with crowd(small.http_port, small.settings.limits.connections + 16, OK * 100):
        for _ in range(5):
            assert small.post("/v1/logs", b"{}").status_code == 200


def test_h16_the_wires_have_ports_of_their_own(receiver: Receiver) -> None:
    """4317 and 4318 by default."""
    defaults = type(receiver.settings).model_fields
    assert (defaults["grpc_port"].default, defaults["http_port"].default) == (4317, 4318)
    assert receiver.http_port != receiver.grpc_port


def preflight(receiver: Receiver, origin: str) -> httpx.Response:
    """Return the answer to a browser that asks whether a page may send."""
    return httpx.options(
        receiver.url + "/v1/traces",
        headers={
            "origin": origin,
            "access-control-request-method": "POST",
            "access-control-request-headers": "content-type,traceparent,authorization,x-api-key",
        },
        trust_env=False,
    )


def test_h17_no_origin_is_allowed_by_default(receiver: Receiver) -> None:
    """A preflight is 405, and no answer says that a page may read it."""
    assert message_of(preflight(receiver, ORIGIN), 405)
    response = receiver.post("/v1/logs", b"{}", origin=ORIGIN)
    assert response.status_code == 200
    assert not [name for name in response.headers if name.startswith("access-control")]


def test_h17_listed_origins_may_send(small: Receiver) -> None:
    """The preflight allows what exporters send; the POST's answer can be read, an error's too."""
    asked = preflight(small, ORIGIN)
    assert asked.status_code == 204
    assert asked.headers["access-control-allow-origin"] == ORIGIN
    assert {"traceparent", "authorization", "x-api-key", "content-type", "content-encoding"} <= set(
        asked.headers["access-control-allow-headers"].split(", ")
    )
    assert int(asked.headers["access-control-max-age"]) == 7_200
    for body, code in ((b"{}", 200), (b"{", 400)):
        sent = small.post("/v1/traces", body, origin=ORIGIN)
        assert sent.status_code == code
        assert (sent.headers["access-control-allow-origin"], sent.headers["vary"]) == (ORIGIN, "Origin")
        assert sent.headers["access-control-allow-credentials"] == "true"  # sendBeacon always sends with them


@pytest.mark.parametrize("origin", ["https://other.example.com", "null", "https://app.example.com.evil.com", "*"])
def test_h17_other_origins_may_not(small: Receiver, origin: str) -> None:
    """403 with a Status that names the setting, and Vary so that no cache mixes them up."""
    asked = preflight(small, origin)
    assert "cors.origins" in message_of(asked, 403)
    assert "access-control-allow-origin" not in asked.headers
    sent = small.post("/v1/traces", b"{}", origin=origin)
    assert "access-control-allow-origin" not in sent.headers
    assert sent.headers["vary"] == "Origin"


def test_h18_expect_and_chunks_and_any_case(receiver: Receiver) -> None:
    """100 Continue comes before the body, chunks are put together, header names have no case."""
    connection = receiver.connect()
    connection.send(
        b"POST /v1/logs HTTP/1.1\r\nhOST: localhost\r\nCONTENT-TYPE: application/json\r\nexpect: 100-continue\r\n"
    )
    connection.send(b"content-length: 2\r\n\r\n")
    assert connection.socket.recv(64).startswith(b"HTTP/1.1 100")
    connection.send(b"{}")
    answer = connection.answer()
    assert answer is not None
    assert answer.status == 200
    connection.send(HEAD + b"Transfer-Encoding: chunked\r\n\r\n1;ext=1\r\n{\r\n1\r\n}\r\n0\r\nTrailer: x\r\n\r\n")
    answer = connection.answer()
    assert answer is not None
    assert answer.status == 200
    connection.close()


def test_h18_who_asks_first_is_told_before_sending(receiver: Receiver) -> None:
    """A body over the limit is refused without having been sent."""
    connection = receiver.connect()
    connection.send(HEAD + b"Expect: 100-continue\r\nContent-Length: 999999999\r\n\r\n")
    assert message_of(connection.answer(), 413)
    assert connection.ended()


TWO_WAYS = {
    "length and chunks": b"Content-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n",
    "chunks and length": b"Transfer-Encoding: chunked\r\nContent-Length: 2\r\n\r\n2\r\n{}\r\n0\r\n\r\n",
    "two lengths": b"Content-Length: 2\r\nContent-Length: 3\r\n\r\n{}",
    "negative length": b"Content-Length: -2\r\n\r\n{}",
    "length in words": b"Content-Length: two\r\n\r\n{}",
    "length with a plus": b"Content-Length: +2\r\n\r\n{}",
    "huge length": b"Content-Length: 99999999999999999999999999\r\n\r\n{}",
    "chunked, then identity": b"Transfer-Encoding: chunked, identity\r\n\r\n2\r\n{}\r\n0\r\n\r\n",
    "gzip as transfer": b"Transfer-Encoding: gzip\r\n\r\n2\r\n{}\r\n0\r\n\r\n",
    "chunk of no size": b"Transfer-Encoding: chunked\r\n\r\nzz\r\n{}\r\n0\r\n\r\n",
    "chunk without end": b"Transfer-Encoding: chunked\r\n\r\n2\r\n{}0\r\n\r\n",
    "space before colon": b"Content-Length : 2\r\n\r\n{}",
    "folded header": b"X: a\r\n b\r\nContent-Length: 2\r\n\r\n{}",
    "bare line feeds": b"Content-Length: 2\n\n{}",
    "NUL in a header": b"X: a\0b\r\nContent-Length: 2\r\n\r\n{}",
    "two hosts": b"Host: localhost\r\nContent-Length: 2\r\n\r\n{}",
}


@pytest.mark.parametrize("case", TWO_WAYS)
def test_h18_b9_requests_that_can_be_read_in_two_ways_end_the_connection(receiver: Receiver, case: str) -> None:
    """Smuggling: 400 with a Status, and nothing behind it is read."""
    connection = receiver.connect()
    connection.send(HEAD + TWO_WAYS[case] + OK.replace(b"/v1/logs", b"/smuggled"))
    assert message_of(connection.answer(), 400)
    assert connection.ended()
    connection.close()


NOT_HTTP = {
    "TLS": b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(40),
    "nonsense": b"hello\r\n\r\n",
    "no method": b" /v1/logs HTTP/1.1\r\n\r\n",
    "another version": b"POST /v1/logs HTTP/9.9\r\nHost: localhost\r\n\r\n",
    "bytes in the path": b"GET /\xff\xfe HTTP/1.1\r\nHost: localhost\r\n\r\n",
    "CONNECT": b"CONNECT a:1 HTTP/1.1\r\nHost: localhost\r\n\r\n",
    "no host": b"POST /v1/logs HTTP/1.1\r\nContent-Length: 2\r\n\r\n{}",
}


@pytest.mark.parametrize("case", NOT_HTTP)
def test_f2_b9_what_is_no_http_gets_a_status_too(receiver: Receiver, case: str) -> None:
    """The web server's own refusals have the same form."""
    connection = receiver.connect()
    connection.send(NOT_HTTP[case])
    assert message_of(connection.answer(), 400)
    assert connection.ended()


def test_b9_an_absolute_uri_is_served_by_its_path(receiver: Receiver) -> None:
    """As RFC 9112 asks; the host in it decides nothing."""
    answer = receiver.ask(OK.replace(b"/v1/logs", b"http://elsewhere/v1/logs", 1))
    assert answer is not None
    assert answer.status == 200


def test_b9_a_short_body_is_never_taken_for_whole(receiver: Receiver) -> None:
    """A sender that hangs up before Content-Length bytes came leaves nothing behind."""
    before = receiver.seq
    body = encode(logs(), "json")
    connection = receiver.connect()
    connection.send(HEAD + b"Content-Length: %d\r\n\r\n" % (len(body) + 1) + body)
    connection.close()
    assert receiver.post("/v1/logs", encode(logs(), "json")).status_code == 200
    assert receiver.seq == before + 1


def test_b5_f2_heads_have_a_size(receiver: Receiver) -> None:
    """32 KiB and 100 lines and no more; 10,000 headers and one of a MiB are 431 with a Status, and cost no memory."""
    before = receiver.memory
    for extra in (
        b"".join(b"h%d: x\r\n" % i for i in range(98)),
        b"".join(b"h%d: x\r\n" % i for i in range(10_000)),
        b"h: " + b"x" * 32_768 + b"\r\n",
        b"h: " + b"x" * MIB + b"\r\n",
    ):
        connection = receiver.connect()
        connection.send(HEAD + extra + b"Content-Length: 2\r\n\r\n{}")
        assert "limits.header_size" in message_of(connection.answer(), 431)
        connection.close()
    assert message_of(receiver.ask(b"POST /" + b"x" * 40_000 + b" HTTP/1.1\r\nHost: localhost\r\n\r\n"), 431)
    fits = HEAD + b"".join(b"h%d: x\r\n" % i for i in range(97)) + b"Content-Length: 2\r\n\r\n{}"
    rest = len("/v1/logs") + len(HEAD.partition(b"\r\n")[2]) + len(b"Content-Length: 2\r\n")
    long = [b"h: " + b"x" * (32_768 + over - rest - len(b"h: \r\n")) + b"\r\n" for over in (0, 1)]
    answers = [receiver.ask(fits), *(receiver.ask(HEAD + h + b"Content-Length: 2\r\n\r\n{}") for h in long)]
    assert [answer and answer.status for answer in answers] == [200, 200, 431]
    assert receiver.memory - before < 32 * MIB


def test_h19_slow_heads_are_cut_and_slow_bodies_told(small: Receiver) -> None:
    """A head that trickles ends the connection after limits.header_time; a body gets 408 after limits.body_time."""
    head, body = small.connect(), small.connect()
    head.send(HEAD[:20])
    body.send(HEAD + b"Content-Length: 500\r\n\r\n{")
    assert head.ended()
    assert "limits.body_time" in message_of(body.answer(), 408)
    assert body.ended()


def test_h19_slow_connections_do_not_delay_others(small: Receiver) -> None:
    """With 500 of them open, requests are answered as before, and all are gone after their deadline."""
    slow = []
    for i in range(500):
        connection = socket.create_connection(("127.0.0.1", small.http_port))
        connection.sendall(HEAD[:30] if i % 2 else HEAD + b"Content-Length: 500\r\n\r\n{")
        slow.append(connection)
    with httpx.Client(base_url=small.url, trust_env=False, timeout=10) as http:
        for _ in range(50):
            assert http.post("/v1/logs", content=b"{}", headers={"content-type": "application/json"}).status_code == 200
    for connection in slow:
        connection.settimeout(30)
        while connection.recv(4_096):
            pass
        connection.close()


BODY = HEAD + b"Content-Length: 500\r\n\r\n{"


def test_f3_who_asks_is_served_however_many_wait(tmp_path: Path) -> None:
    """Beyond limits.connections those that wait longest make room, whether idle, in half a head or in half a body."""
    with receiving(tmp_path / "data", limits={"connections": 3, "idle_time": timedelta(seconds=30)}) as few:
        first = few.connect()
        first.send(OK)
        assert first.answer() is not None
        for sent in (b"", HEAD[:30], BODY):
            with crowd(few.http_port, 200, sent):
                answer = few.ask(OK)
                assert answer is not None
                assert (answer.status, answer.body) == (200, b"{}")
        assert first.ended()


def test_f3_a_flood_takes_no_files(receiver: Receiver) -> None:
    """3,000 connections: who asks is answered, no more files are open than there are places, and nothing is logged."""
    log = receiver.data.parent / f"{receiver.data.name}.log"
    before = log.stat().st_size
    for sent in (b"", BODY):
        with crowd(receiver.http_port, 3_000, sent):
            answer = receiver.ask(OK)
            assert answer is not None
            assert answer.status == 200
            assert psutil.Process(receiver.process.pid).num_fds() < 2 * receiver.settings.limits.connections
    assert log.stat().st_size == before


def test_h20_a_lost_answer_and_a_resend_store_once(receiver: Receiver) -> None:
    """The client hangs up before it reads; the same request again is acknowledged, not stored again."""
    before = receiver.seq
    body = encode(logs(3), "json")
    connection = receiver.connect()
    connection.send(HEAD + b"Content-Length: %d\r\n\r\n" % len(body) + body)
    connection.close()
    for _ in range(3):
        assert receiver.post("/v1/logs", body).status_code == 200
    assert len(receiver.rows("logs", before)) == 3


def test_b9_pipelined_answers_come_in_order(receiver: Receiver) -> None:
    """Each request of a pipeline has its own answer, in its own encoding, an error too."""
    requests = [
        OK,
        OK.replace(b"logs", b"traces").replace(b"json", b"x-protobuf").replace(b"{}", b"\xff\xff"),
        b"GET /nowhere HTTP/1.1\r\nHost: localhost\r\n\r\n",
        OK,
    ]
    connection = receiver.connect()
    connection.send(b"".join(requests))
    answers = [connection.answer() for _ in requests]
    assert [a and a.status for a in answers] == [200, 400, 404, 200]
    assert [a and a.encoding for a in answers] == ["json", "protobuf", "json", "json"]
    connection.close()


def test_f3_retry_after_is_spread() -> None:
    """Clients that are refused together do not come back together."""
    from collector.model.errors import NotNow
    from collector.receive.errors import failure_of

    delays = [d.status.details[0].value for d in (failure_of(NotNow("x")) for _ in range(20))]
    assert any(a != b for a, b in pairwise(delays))


def test_h15_chunks_may_be_small_but_not_mostly_frame(receiver: Receiver) -> None:
    """A body in chunks of 16 bytes is taken, however long it is; one in chunks of a byte is refused in words."""
    body = b'{"resourceLogs": []}'.ljust(200_000)
    chunks = b"".join(b"10\r\n%b\r\n" % body[i : i + 16] for i in range(0, len(body), 16))
    connection = receiver.connect()
    connection.send(HEAD + b"Transfer-Encoding: chunked\r\n\r\n" + chunks + b"0\r\n\r\n")
    answer = connection.answer()
    assert answer and answer.status == 200
    connection.send(HEAD + b"Transfer-Encoding: chunked\r\n\r\n" + b"1\r\n \r\n" * 50_000)
    assert "send larger chunks" in message_of(connection.answer(), 431)


@pytest.mark.parametrize("what", ["requests", "chunks"])
def test_h19_no_more_is_read_than_is_looked_at(small: Receiver, what: str) -> None:
    """Of what a client sends ahead and reads no answers to, a part of a megabyte is held and the rest not read."""
    connection = small.connect()
    connection.socket.settimeout(1)
    piece = b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n" * 4_000
    if what == "chunks":
        connection.send(HEAD + b"Transfer-Encoding: chunked\r\n\r\n")
        piece = (b"40\r\n" + b" " * 64 + b"\r\n") * 2_000
    sent = 0
    with contextlib.suppress(OSError):
        while sent < 64 * MIB:
            sent += connection.socket.send(piece)
    assert sent < 16 * MIB
