"""H1-H12: OTLP/HTTP as a client meets it, against a real receive process."""

from __future__ import annotations

import gzip
import json
from pathlib import Path

import httpx
import psutil
import pytest
import zstandard

from tests.otlp.receiver import HEAD, OK, PATHS, Receiver, message_of
from tests.otlp.telemetry import ENCODINGS, MAKE, encode, from_otlp_json, logs, spans

MIB = 2**20


@pytest.mark.parametrize("encoding", ENCODINGS)
@pytest.mark.parametrize("signal", PATHS)
def test_h1_the_default_paths_take_telemetry(receiver: Receiver, signal: str, encoding: str) -> None:
    """Each signal has its path; plain and gzip."""
    for _ in range(2):
        body = encode(MAKE[signal](), encoding)  # type: ignore[arg-type]
        assert receiver.post(PATHS[signal], body, encoding).status_code == 200
    body = encode(MAKE[signal](), encoding)  # type: ignore[arg-type]
    assert receiver.post(PATHS[signal], gzip.compress(body), encoding, content_encoding="gzip").status_code == 200


def test_h1_the_same_bytes_on_two_paths_are_two_requests(receiver: Receiver) -> None:
    """What can be read as logs and as spans is stored as what its path says, once for each path."""
    body = encode(logs(), "json")[:-1] + b"," + encode(spans(), "json")[1:]
    before = receiver.seq
    for path in ("/v1/logs", "/v1/traces", "/v1/logs", "/v1/traces"):
        assert receiver.post(path, body, "json").status_code == 200
    assert [len(receiver.rows(table, before)) for table in ("logs", "spans")] == [1, 1]


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
    assert message_of(receiver.post("/v1development/profiles", b"\xff", "protobuf"), 400)
    assert message_of(receiver.post("/v1/profiles", b"", "protobuf"), 404)


def test_h2_only_loopback_is_bound(receiver: Receiver) -> None:
    """Nobody else can reach the ports unless told otherwise."""
    open_ = [c for p in (receiver.process, receiver.gate) for c in psutil.Process(p.pid).net_connections()]
    listening = [c for c in open_ if c.status == psutil.CONN_LISTEN]
    assert {c.laddr.port for c in listening} == {receiver.http_port, receiver.grpc_port}
    assert {c.laddr.ip for c in listening} <= {"127.0.0.1", "::1", "::ffff:127.0.0.1"}


def test_h3_encodings_alternate_on_one_connection(receiver: Receiver) -> None:
    """A thousand requests, JSON and protobuf in turn, each answered in its own."""
    connection = receiver.connect()
    for i in range(1_000):
        kind, body = (b"application/json", b"{}") if i % 2 else (b"application/x-protobuf", b"")
        connection.send(
            b"POST /v1/logs HTTP/1.1\r\nHost: localhost\r\nContent-Type: %b\r\nContent-Length: %d\r\n\r\n%b"
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
    assert "application/x-protobuf" in message_of(response, 415)
    assert message_of(receiver.ask(OK.replace(b"Content-Type: application/json\r\n", b"")), 415)


@pytest.mark.parametrize("method", ["GET", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE"])
def test_h6_other_methods_are_refused(receiver: Receiver, method: str) -> None:
    """405 with Allow: POST; OPTIONS too while no origin is allowed."""
    response = httpx.request(method, receiver.url + "/v1/logs", trust_env=False)
    assert "POST" in message_of(response, 405)
    assert response.headers["allow"] == "POST"


def test_h6_h18_head_is_refused_without_a_body(receiver: Receiver) -> None:
    """HEAD gets the headers of the answer to GET alone."""
    connection = receiver.connect()
    connection.send(b"HEAD /v1/logs HTTP/1.1\r\nHost: localhost\r\n\r\n")
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
        ("/", "/v1/logs"),
        ("/v1/logs/", "did you mean /v1/logs"),
        ("//v1/logs", "did you mean /v1/logs"),
        ("/v1//traces", "did you mean /v1/traces"),
        ("/V1/LOGS", "did you mean /v1/logs"),
        ("/v1%2Flogs", "OTLP is at"),
        ("/v1/logs;a=b", "did you mean /v1/logs"),
        ("/v1/../v1/logs", "did you mean /v1/logs"),
        ("/v1/profiles", "did you mean /v1development/profiles"),
        ("/v2/logs", "did you mean /v1/logs"),
    ],
)
def test_h7_a_path_has_one_spelling(receiver: Receiver, path: str, hint: str) -> None:
    """Anything else is 404 and says what was probably meant; nothing is redirected."""
    assert hint in message_of(receiver.ask(OK.replace(b"/v1/logs", path.encode(), 1)), 404)


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
        "garbage behind": packed + b"garbage",
        "not gzip": plain,
        "cut off": packed[:-9],
        "flipped": packed[:-5] + bytes([packed[-5] ^ 1]) + packed[-4:],
        "empty": b"",
        "zstd": zstandard.compress(plain),
        "header only": packed[:10],
    }[damage]
    before = receiver.seq
    response = receiver.post("/v1/logs", body, encoding, content_encoding="gzip")
    assert "gzip" in message_of(response, 400)
    assert receiver.seq == before


def test_h9_zstd_is_read_and_others_refused(receiver: Receiver) -> None:
    """zstd as an extension; 415 names what is read."""
    body = encode(logs(), "protobuf")
    assert receiver.post("/v1/logs", zstandard.compress(body), "protobuf", content_encoding="zstd").status_code == 200
    two = zstandard.compress(body) + zstandard.compress(encode(logs(), "protobuf"))
    assert receiver.post("/v1/logs", two, "protobuf", content_encoding="zstd").status_code == 200
    for name in ("deflate", "br", "snappy", "lz4", "gzip, gzip", "zlib"):
        response = receiver.post("/v1/logs", body, "protobuf", content_encoding=name)
        assert message_of(response, 415)
        assert response.headers["accept-encoding"] == "gzip, zstd"
    for broken in (zstandard.compress(body)[:-3], body):
        assert "zstd" in message_of(receiver.post("/v1/logs", broken, "protobuf", content_encoding="zstd"), 400)


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
        assert "1048576 bytes" in message_of(response, 413)


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
