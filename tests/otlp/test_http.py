"""H1-H20: OTLP/HTTP as a client meets it, against a real receive process."""

from __future__ import annotations

import gzip
import json
import socket
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from itertools import pairwise
from pathlib import Path

import httpx
import psutil
import pytest
import zstandard

from tests.otlp.conftest import ORIGIN
from tests.otlp.receiver import Answer, Receiver, receiving, status_of
from tests.otlp.telemetry import ENCODINGS, MAKE, encode, from_otlp_json, logs, spans

PATHS = {"logs": "/v1/logs", "traces": "/v1/traces", "metrics": "/v1/metrics"}
HEAD = b"POST /v1/logs HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
OK = HEAD + b"Content-Length: 2\r\n\r\n{}"
MIB = 2**20


def told(response: httpx.Response | Answer | None, code: int) -> str:
    """Return the message of an error of status *code*; its body is a Status in the encoding its header states."""
    assert response is not None
    status, body = (
        (response.status, response.body) if isinstance(response, Answer) else (response.status_code, response.content)
    )
    assert status == code, body
    stated = response.headers["content-type"]
    found = status_of(body, "protobuf" if stated == "application/x-protobuf" else "json")
    assert stated in ("application/x-protobuf", "application/json")
    assert found.code
    assert found.message
    return found.message


@pytest.mark.parametrize("encoding", ENCODINGS)
@pytest.mark.parametrize("signal", PATHS)
def test_h1_the_default_paths_take_telemetry(receiver: Receiver, signal: str, encoding: str) -> None:
    """Each signal has its path; plain and gzip."""
    for _ in range(2):
        body = encode(MAKE[signal](), encoding)  # type: ignore[arg-type]
        assert receiver.post(PATHS[signal], body, encoding).status_code == 200
    body = encode(MAKE[signal](), encoding)  # type: ignore[arg-type]
    assert receiver.post(PATHS[signal], gzip.compress(body), encoding, content_encoding="gzip").status_code == 200


@pytest.mark.parametrize("encoding", ENCODINGS)
@pytest.mark.parametrize("name", ["events", "logs", "metrics", "trace"])
def test_h1_official_examples_are_taken(receiver: Receiver, name: str, encoding: str) -> None:
    """The examples of the OTLP repository are taken whole."""
    path = Path(__file__).parents[1] / "vectors" / "opentelemetry-proto" / "examples" / f"{name}.json"
    signal = {"events": "logs", "trace": "traces"}.get(name, name)
    body = path.read_bytes()
    if encoding == "protobuf":
        body = from_otlp_json(signal, body).SerializeToString()
    response = receiver.post(PATHS[signal], body, encoding)
    assert (response.status_code, response.content) == (200, b"" if encoding == "protobuf" else b"{}")


def test_h1_profiles_are_rejected_in_a_partial_success(receiver: Receiver) -> None:
    """They are read and counted; the sender is told once, and not to try again."""
    body = {"resourceProfiles": [{"scopeProfiles": [{"profiles": [{}, {}, {}]}]}]}
    response = receiver.post("/v1development/profiles", json.dumps(body).encode())
    said = response.json()["partialSuccess"]
    assert (response.status_code, said["rejectedProfiles"]) == (200, "3")
    assert "profiles are not stored" in said["errorMessage"]
    assert receiver.post("/v1development/profiles", b"", "protobuf").content == b""
    assert told(receiver.post("/v1development/profiles", b"\xff", "protobuf"), 400)
    assert told(receiver.post("/v1/profiles", b"", "protobuf"), 404)


def test_h2_only_loopback_is_bound(receiver: Receiver) -> None:
    """Nobody else can reach the ports unless told otherwise."""
    listening = [c for c in psutil.Process(receiver.process.pid).net_connections() if c.status == psutil.CONN_LISTEN]
    assert {c.laddr.port for c in listening} == {receiver.http_port, receiver.grpc_port}
    assert {c.laddr.ip for c in listening} <= {"127.0.0.1", "::1", "::ffff:127.0.0.1"}


def test_h3_encodings_alternate_on_one_connection(receiver: Receiver) -> None:
    """A thousand requests, JSON and protobuf in turn, each answered in its own."""
    connection = receiver.connect()
    for i in range(1_000):
        kind, body = (b"application/json", b"{}") if i % 2 else (b"application/x-protobuf", b"")
        connection.send(
            b"POST /v1/logs HTTP/1.1\r\nHost: x\r\nContent-Type: %b\r\nContent-Length: %d\r\n\r\n%b"
            % (kind, len(body), body)
        )
        answer = connection.answer()
        assert answer is not None
        assert (answer.status, answer.headers["content-type"].encode(), answer.body) == (200, kind, body)
    connection.close()


@pytest.mark.parametrize("encoding", ENCODINGS)
def test_h4_f2_answers_have_the_type_of_the_request(small: Receiver, encoding: str) -> None:
    """Success and errors alike."""
    kind = {"protobuf": "application/x-protobuf", "json": "application/json"}[encoding]
    empty = b"" if encoding == "protobuf" else b"{}"
    for path, body, code, more in [
        ("/v1/logs", empty, 200, {}),
        ("/v1/logs", b"\xff\xff", 400, {}),
        ("/v1/log", empty, 404, {}),
        ("/v1/logs", bytes(MIB + 1), 413, {}),
        ("/v1/logs", b"x", 415, {"content_encoding": "br"}),
    ]:
        response = small.post(path, body, encoding, **more)
        assert (response.status_code, response.headers["content-type"]) == (code, kind)
    response = httpx.put(small.url + "/v1/logs", content=empty, headers={"content-type": kind}, trust_env=False)
    assert (response.status_code, response.headers["content-type"]) == (405, kind)


@pytest.mark.parametrize("stated", ["application/json; charset=utf-8", "APPLICATION/JSON", " application/json ;x=y"])
def test_h4_content_types_have_parameters_and_any_case(receiver: Receiver, stated: str) -> None:
    """They mean the same."""
    assert receiver.ask(OK.replace(b"application/json", stated.encode())) is not None
    assert receiver.post("/v1/logs", b"{}", stated.strip()).status_code == 200


@pytest.mark.parametrize("stated", ["", "text/plain", "application/jsonx", "application/grpc", "multipart/form-data"])
def test_h5_other_content_types_are_refused(receiver: Receiver, stated: str) -> None:
    """415 with a Status, in JSON, and what would be taken."""
    response = receiver.post("/v1/logs", b"{}", stated)
    assert "application/x-protobuf" in told(response, 415)
    assert told(receiver.ask(OK.replace(b"Content-Type: application/json\r\n", b"")), 415)


@pytest.mark.parametrize("method", ["GET", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE"])
def test_h6_other_methods_are_refused(receiver: Receiver, method: str) -> None:
    """405 with Allow: POST; OPTIONS too while no origin is allowed."""
    response = httpx.request(method, receiver.url + "/v1/logs", trust_env=False)
    assert "POST" in told(response, 405)
    assert response.headers["allow"] == "POST"


def test_h6_h18_head_is_refused_without_a_body(receiver: Receiver) -> None:
    """HEAD gets the headers of the answer to GET alone."""
    connection = receiver.connect()
    connection.send(b"HEAD /v1/logs HTTP/1.1\r\nHost: x\r\n\r\n")
    answer = connection.answer(head_only=True)
    assert answer is not None
    assert (answer.status, answer.headers["allow"]) == (405, "POST")
    connection.send(OK)
    after = connection.answer()
    assert after is not None
    assert after.status == 200
    connection.close()


@pytest.mark.parametrize(
    ("path", "hint"),
    [
        ("/", "/v1/logs"), ("/v1/logs/", "did you mean /v1/logs"), ("//v1/logs", "did you mean /v1/logs"),
        ("/v1//traces", "did you mean /v1/traces"), ("/V1/LOGS", "OTLP is at"), ("/v1%2Flogs", "OTLP is at"),
        ("/v1/logs;a=b", "OTLP is at"), ("/v1/../v1/logs", "OTLP is at"), ("/v1/profiles", "OTLP is at"),
        ("/v2/logs", "OTLP is at"),
    ],
)  # fmt: skip
def test_h7_a_path_has_one_spelling(receiver: Receiver, path: str, hint: str) -> None:
    """Anything else is 404 and says what was probably meant; nothing is redirected."""
    assert hint in told(receiver.ask(OK.replace(b"/v1/logs", path.encode(), 1)), 404)


def test_h7_a_query_string_is_ignored(receiver: Receiver) -> None:
    """Some proxies add one."""
    answer = receiver.ask(OK.replace(b"/v1/logs", b"/v1/logs?x=1", 1))
    assert answer is not None
    assert answer.status == 200


@pytest.mark.parametrize("encoding", ENCODINGS)
def test_h8_gzip_bodies_are_read(receiver: Receiver, encoding: str) -> None:
    """One member or several, by any spelling of the name; identity is none."""
    for name in ("gzip", "GZIP", "x-gzip", " gzip "):
        body = encode(logs(), encoding)  # type: ignore[arg-type]
        members = gzip.compress(body[:10]) + gzip.compress(body[10:])
        for packed in (gzip.compress(body), members):
            assert receiver.post("/v1/logs", packed, encoding, content_encoding=name.strip()).status_code == 200
    assert receiver.post("/v1/logs", encode(logs(), encoding), encoding, content_encoding="identity").status_code == 200  # type: ignore[arg-type]


@pytest.mark.parametrize("encoding", ENCODINGS)
@pytest.mark.parametrize("damage", ["garbage behind", "not gzip", "cut off", "flipped", "empty", "zstd", "header only"])
def test_h8_b9_damaged_gzip_is_refused(receiver: Receiver, encoding: str, damage: str) -> None:
    """400 InvalidArgument, never stored in part."""
    plain = encode(logs(), encoding)  # type: ignore[arg-type]
    packed = gzip.compress(plain)
    body = {
        "garbage behind": packed + b"garbage", "not gzip": plain, "cut off": packed[:-9],
        "flipped": packed[:-5] + bytes([packed[-5] ^ 1]) + packed[-4:], "empty": b"",
        "zstd": zstandard.compress(plain), "header only": packed[:10],
    }[damage]  # fmt: skip
    before = receiver.seq
    response = receiver.post("/v1/logs", body, encoding, content_encoding="gzip")
    assert "gzip" in told(response, 400)
    assert receiver.seq == before


def test_h9_zstd_is_read_and_others_refused(receiver: Receiver) -> None:
    """zstd as an extension; 415 names what is read."""
    body = encode(logs(), "protobuf")
    assert receiver.post("/v1/logs", zstandard.compress(body), "protobuf", content_encoding="zstd").status_code == 200
    two = zstandard.compress(body) + zstandard.compress(encode(logs(), "protobuf"))
    assert receiver.post("/v1/logs", two, "protobuf", content_encoding="zstd").status_code == 200
    for name in ("deflate", "br", "snappy", "lz4", "gzip, gzip", "zlib"):
        response = receiver.post("/v1/logs", body, "protobuf", content_encoding=name)
        assert told(response, 415)
        assert response.headers["accept-encoding"] == "gzip, zstd"
    for broken in (zstandard.compress(body)[:-3], body):
        assert "zstd" in told(receiver.post("/v1/logs", broken, "protobuf", content_encoding="zstd"), 400)


def padded(size: int) -> bytes:
    """Return an OTLP/JSON request of exactly *size* bytes that no other equals."""
    body = encode(logs(), "json")
    return body + b" " * (size - len(body))


@pytest.mark.parametrize("packing", ["", "gzip", "zstd"])
@pytest.mark.parametrize(("over", "code"), [(-1, 200), (0, 200), (1, 413)])
def test_h10_the_limit_counts_plain_bytes(small: Receiver, packing: str, over: int, code: int) -> None:
    """One byte below and at limits.body is taken, one above is 413, compressed or not."""
    body = padded(MIB + over)
    packed = {"": body, "gzip": gzip.compress(body), "zstd": zstandard.compress(body)}[packing]
    response = small.post("/v1/logs", packed, "json", content_encoding=packing or "identity")
    assert response.status_code == code
    if code == 413:
        assert "1048576 bytes" in told(response, 413)


def test_h10_a_chunked_body_without_length_has_the_same_limit(small: Receiver) -> None:
    """The connection stays usable when its sender comes to an end."""
    for size, code in ((MIB, 200), (MIB + 1, 413)):
        body = padded(size)
        connection = small.connect()
        connection.send(HEAD + b"Transfer-Encoding: chunked\r\n\r\n")
        for start in range(0, len(body), 100_000):
            part = body[start : start + 100_000]
            connection.send(b"%x\r\n%b\r\n" % (len(part), part))
        connection.send(b"0\r\n\r\n")
        answer = connection.answer()
        assert answer is not None
        assert answer.status == code
        connection.send(OK)
        again = connection.answer()
        assert again is not None
        assert again.status == 200
        connection.close()


def test_h11_h12_long_answers_are_capped_and_compressed(receiver: Receiver) -> None:
    """20,000 rejected spans are one short message, uncompressed even for those who take gzip."""
    body = encode(spans(0, bad=20_000, unique=False), "protobuf")
    response = receiver.post("/v1/traces", body, "protobuf", accept_encoding="gzip")
    assert (response.status_code, "content-encoding" in response.headers) == (200, False)
    assert 0 < len(response.content) < 1_024


@pytest.mark.parametrize(
    ("accept", "packed"),
    [
        ("gzip", True),
        ("gzip;q=0.5, br", True),
        ("deflate, GZIP", True),
        ("gzip;q=0", False),
        ("br", False),
        ("", False),
    ],
)
def test_h12_gzip_answers_only_when_asked_for(accept: str, packed: bool) -> None:
    """Accept-Encoding decides, its q=0 too; short bodies stay as they are."""
    from collector.otlp.answers import compressed

    long = b"a" * 2_000
    answer = compressed(long, accept)
    assert (answer is not None) == packed
    assert answer is None or gzip.decompress(answer) == long
    assert compressed(b"a" * 1_024, accept) is None


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
    kept = [json.loads(row["attributes"])["nonce"] for row in receiver.rows("logs", before)]
    assert sorted(kept) == sorted(sent)


def test_h15_http2_is_refused_in_words(receiver: Receiver) -> None:
    """Prior knowledge gets a Status in HTTP/1.1 and the end of the connection; an upgrade is not taken up."""
    connection = receiver.connect()
    connection.send(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + bytes(9))
    assert "HTTP/1.1" in told(connection.answer(), 400)
    assert connection.ended()
    upgrade = receiver.ask(
        HEAD
        + b"Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AA\r\nContent-Length: 2\r\n\r\n{}"
    )
    assert upgrade is not None
    assert upgrade.status == 200


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
    assert told(preflight(receiver, ORIGIN), 405)
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
    assert "cors.origins" in told(asked, 403)
    assert "access-control-allow-origin" not in asked.headers
    sent = small.post("/v1/traces", b"{}", origin=origin)
    assert "access-control-allow-origin" not in sent.headers
    assert sent.headers["vary"] == "Origin"


def test_h18_expect_and_chunks_and_any_case(receiver: Receiver) -> None:
    """100 Continue comes before the body, chunks are put together, header names have no case."""
    connection = receiver.connect()
    connection.send(b"POST /v1/logs HTTP/1.1\r\nhOST: x\r\nCONTENT-TYPE: application/json\r\nexpect: 100-continue\r\n")
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
    assert told(connection.answer(), 413)
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
    "two hosts": b"Host: y\r\nContent-Length: 2\r\n\r\n{}",
}


@pytest.mark.parametrize("case", TWO_WAYS)
def test_h18_b9_requests_that_can_be_read_in_two_ways_end_the_connection(receiver: Receiver, case: str) -> None:
    """Smuggling: 400 with a Status, and nothing behind it is read."""
    connection = receiver.connect()
    connection.send(HEAD + TWO_WAYS[case] + OK.replace(b"/v1/logs", b"/smuggled"))
    assert told(connection.answer(), 400)
    assert connection.ended()
    connection.close()


NOT_HTTP = {
    "TLS": b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(40),
    "nonsense": b"hello\r\n\r\n",
    "no method": b" /v1/logs HTTP/1.1\r\n\r\n",
    "another version": b"POST /v1/logs HTTP/9.9\r\nHost: x\r\n\r\n",
    "bytes in the path": b"GET /\xff\xfe HTTP/1.1\r\nHost: x\r\n\r\n",
    "CONNECT": b"CONNECT a:1 HTTP/1.1\r\nHost: x\r\n\r\n",
    "no host": b"POST /v1/logs HTTP/1.1\r\nContent-Length: 2\r\n\r\n{}",
}


@pytest.mark.parametrize("case", NOT_HTTP)
def test_f2_b9_what_is_no_http_gets_a_status_too(receiver: Receiver, case: str) -> None:
    """The web server's own refusals have the same form."""
    connection = receiver.connect()
    connection.send(NOT_HTTP[case])
    assert told(connection.answer(), 400)
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
    """32 KiB and 100 lines; 10,000 headers and one of a MiB are 431 with a Status, and cost no memory."""
    before = receiver.memory
    for extra in (
        b"".join(b"h%d: x\r\n" % i for i in range(98)),
        b"".join(b"h%d: x\r\n" % i for i in range(10_000)),
        b"h: " + b"x" * 32_768 + b"\r\n",
        b"h: " + b"x" * MIB + b"\r\n",
    ):
        connection = receiver.connect()
        connection.send(HEAD + extra + b"Content-Length: 2\r\n\r\n{}")
        assert "limits.header_size" in told(connection.answer(), 431)
        connection.close()
    assert told(receiver.ask(b"POST /" + b"x" * 40_000 + b" HTTP/1.1\r\nHost: x\r\n\r\n"), 431)
    fits = HEAD + b"".join(b"h%d: x\r\n" % i for i in range(97)) + b"Content-Length: 2\r\n\r\n{}"
    answer = receiver.ask(fits)
    assert answer is not None
    assert answer.status == 200
    assert receiver.memory - before < 32 * MIB


def test_h19_slow_heads_are_cut_and_slow_bodies_told(small: Receiver) -> None:
    """A head that trickles ends the connection after limits.header_time; a body gets 408 after limits.body_time."""
    head, body = small.connect(), small.connect()
    head.send(HEAD[:20])
    body.send(HEAD + b"Content-Length: 500\r\n\r\n{")
    assert head.ended()
    assert "limits.body_time" in told(body.answer(), 408)
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


def test_f3_connections_beyond_the_limit_are_told_to_come_back(tmp_path: Path) -> None:
    """503 with Retry-After and a Status; the others are served on."""
    with receiving(tmp_path / "data", limits={"connections": 3, "idle_time": timedelta(seconds=30)}) as few:
        held = [few.connect() for _ in range(3)]
        for connection in held:
            connection.send(OK)
            assert connection.answer() is not None
        answer = few.ask(OK)
        assert "limits.connections" in told(answer, 503)
        assert answer is not None
        assert 1 <= int(answer.headers["retry-after"]) <= 5
        held[0].send(OK)
        again = held[0].answer()
        assert again is not None
        assert again.status == 200


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
        b"GET /nowhere HTTP/1.1\r\nHost: x\r\n\r\n",
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
    from collector.receive.errors import told as outcome

    delays = [d.status.details[0].value for d in (outcome(NotNow("x")) for _ in range(20))]
    assert any(a != b for a, b in pairwise(delays))
