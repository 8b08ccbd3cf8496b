"""Who is let in: keys, what they may do, and what is told to those who have none."""

from __future__ import annotations

import json
import sqlite3
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any, get_args

import grpc
import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st
from opentelemetry.exporter.otlp.proto.grpc.trace_exporter import OTLPSpanExporter as GrpcExporter
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter as HttpExporter
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from collector.api.endpoints import ENDPOINTS
from collector.control import FILE, Control, keys
from collector.control.keys import GRANTS, TEXT, Scope
from collector.model.errors import NoKey, NotNow, WrongScope
from collector.receive.keyring import OPEN_PATHS, Keyring, judge, of_api, of_otlp, refused_call
from collector.settings import Settings
from tests.otlp.receiver import HEAD, Connection, Receiver, message_of, receiving, running
from tests.stack import until

SCOPES: tuple[Scope, ...] = get_args(Scope)
NOW_NS = time.time_ns()
WAYS = [
    ("authorization", "Bearer {}"),
    ("Authorization", "bEARER  {}"),
    ("authorization", "{}"),
    ("x-api-key", "{}"),
]


def made(data: Path, scope: Scope = "ingest", expires_ns: int | None = None) -> str:
    """Return the text of a new key, made beside whatever runs on *data*."""
    with closing(Control.open(data)) as control:
        return control.writing(keys.add, scope, "worker", NOW_NS, expires_ns)


def revoke(data: Path, text: str) -> None:
    """Revoke the key of *text*."""
    with closing(Control.open(data)) as control:
        control.writing(keys.revoke, text[5:13], NOW_NS)


@pytest.fixture(scope="module")
def texts(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[Scope, str]]:
    """A data directory with a key of each scope."""
    data = tmp_path_factory.mktemp("ring")
    return data, {scope: made(data, scope) for scope in SCOPES}


@pytest.mark.parametrize(("name", "form"), WAYS)
@pytest.mark.parametrize("wanted", SCOPES)
def test_a_key_does_what_its_scope_grants_however_it_is_sent(
    texts: tuple[Path, dict[Scope, str]], wanted: Scope, name: str, form: str
) -> None:
    """Who sends reads nothing, who reads changes nothing, who changes may read; a proxy's header beside is let be."""
    ring = Keyring(texts[0])
    for scope, text in texts[1].items():
        sent = [(name, form.format(text)), ("authorization", "Basic eDp5"), ("host", "x")]
        if wanted in GRANTS[scope]:
            ring.require(wanted, sent)
        else:
            with pytest.raises(WrongScope, match=f"is of scope {scope}; this needs one of scope {wanted}"):
                ring.require(wanted, sent)


@given(st.data())
def test_no_other_text_is_let_in(texts: tuple[Path, dict[Scope, str]], data: st.DataObject) -> None:
    """A text that differs from a key in one character is none, wherever that is, and no refusal repeats it."""
    text = texts[1]["ingest"]
    at = data.draw(st.integers(0, len(text) - 1))
    other = data.draw(st.characters(exclude_characters=text[at], codec="latin-1"))
    wrong = f"{text[:at]}{other}{text[at + 1 :]}"
    with pytest.raises(NoKey) as told:
        Keyring(texts[0]).require("ingest", [("authorization", f"Bearer {wrong}")])
    assert text[20:] not in told.value.message


def test_what_is_wrong_with_a_key_is_said(tmp_path: Path) -> None:
    """None, two, an unknown one, one that is over and one that is revoked each have a sentence."""
    expired, gone = made(tmp_path, expires_ns=NOW_NS), made(tmp_path)
    revoke(tmp_path, gone)
    ring = Keyring(tmp_path)
    for sent, said in [
        ([], "no key"),
        ([("x-api-key", " ")], "no key"),
        ([("x-api-key", expired), ("authorization", gone)], "two different keys"),
        ([("authorization", "Basic eDp5")], "not one of this runwell"),
        ([("x-api-key", expired)], "is expired"),
        ([("x-api-key", gone)], "is revoked"),
    ]:
        with pytest.raises(NoKey, match=said):
            ring.require("ingest", sent)


def test_requests_ask_no_file_and_changes_are_seen_in_time(tmp_path: Path) -> None:
    """The table is read at most every two seconds, and a revoked key is refused once it was."""
    clock = [0.0]
    text = made(tmp_path)
    ring = Keyring(tmp_path, lambda: clock[0])
    ring.require("ingest", [("x-api-key", text)])
    until(lambda: keys.read(tmp_path / FILE)[0].used_day)
    revoke(tmp_path, text)
    clock[0] = 1.9
    ring.require("ingest", [("x-api-key", text)])
    clock[0] = 2.1
    with pytest.raises(NoKey):
        ring.require("ingest", [("x-api-key", text)])


def test_nobody_is_let_in_while_keys_cannot_be_read(tmp_path: Path) -> None:
    """Who was let in before may be revoked by now; the same request may be sent again."""
    text = made(tmp_path)
    (tmp_path / FILE).write_bytes(b"no database" * 1000)
    with pytest.raises(NotNow):
        Keyring(tmp_path).require("ingest", [("x-api-key", text)])


def test_the_text_of_a_key_is_kept_nowhere(tmp_path: Path) -> None:
    """It has the form that scanners look for, and none of its secret is in the files."""
    text = made(tmp_path)
    assert TEXT.fullmatch(text)
    assert not [f.name for f in tmp_path.iterdir() if text[14:].encode() in f.read_bytes()]
    with sqlite3.connect(tmp_path / FILE) as db:
        assert db.execute("SELECT project FROM access_key").fetchall() == [("default",)]


def test_what_needs_no_key_is_this() -> None:
    """Health, readiness, a browser's question, and health over gRPC; without `keys = "required"` everything."""
    asks = [(b"access-control-request-method", b"POST")]
    ring = Keyring(Path("nowhere"))
    for wanted in (of_otlp, of_api):
        require = judge(ring, wanted)
        assert {"/healthz", "/readyz"} == OPEN_PATHS
        for path in OPEN_PATHS:
            require("GET", path, [])
        require("OPTIONS", "/v1/logs", asks)
        for method, path, headers in [
            ("OPTIONS", "/v1/logs", []),
            ("POST", "/v1/logs", asks),
            ("GET", "/metrics", []),
            ("GET", "/healthz/", []),
            ("GET", "/%68ealthz", []),
        ]:
            with pytest.raises(NoKey):
                require(method, path, headers)
        judge(None, wanted)("POST", "/v1/logs", [])
    assert refused_call(ring, "/grpc.health.v1.Health/Check", []) is None
    assert isinstance(refused_call(ring, "/grpc.reflection.v1.ServerReflection/x", []), NoKey)
    assert refused_call(None, "/x/Export", []) is None


TEXTS: dict[Scope, str] = {}


@pytest.fixture(scope="module")
def guarded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Receiver]:
    """A receive process and its gate that need keys."""
    data = tmp_path_factory.mktemp("guarded") / "data"
    data.mkdir()
    for scope in SCOPES:  # known from the first request on
        TEXTS[scope] = made(data, scope)
    with receiving(data, keys="required") as receiver:
        yield receiver


def a_span() -> ReadableSpan:
    """Return one finished span."""
    memory = InMemorySpanExporter()
    provider = TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(memory))
    provider.get_tracer("x").start_span("work").end()
    return memory.get_finished_spans()[0]


def test_official_exporters_deliver_with_a_key_and_not_without(guarded: Receiver) -> None:
    """Over HTTP and gRPC, in the header that OTEL_EXPORTER_OTLP_HEADERS sets; what was refused is in no file."""
    span = a_span()
    before = guarded.seq
    for text, result in [(None, "FAILURE"), (TEXTS["read"], "FAILURE"), (TEXTS["ingest"], "SUCCESS")]:
        sent = {"authorization": f"Bearer {text}"} if text else {}
        over_http = HttpExporter(f"{guarded.url}/v1/traces", headers=sent)
        over_grpc = GrpcExporter(f"127.0.0.1:{guarded.grpc_port}", insecure=True, headers=tuple(sent.items()))
        assert [e.export([span]).name for e in (over_http, over_grpc)] == [result, result]
        over_http.shutdown()
        over_grpc.shutdown()
        assert (guarded.seq > before) == (result == "SUCCESS")


def test_otlp_is_refused_as_a_status_in_its_encoding_before_its_body_came(guarded: Receiver) -> None:
    """401 with WWW-Authenticate for any path and method, 403 for another scope, for a body that has not come yet."""
    for path in ("/v1/logs", "/nothing", "/metrics"):
        for encoding in ("json", "protobuf"):
            answer = guarded.post(path, b"{}", encoding)
            assert "no key" in message_of(answer, 401)
            assert answer.headers["www-authenticate"] == 'Bearer realm="runwell receive"'
    assert "scope" in message_of(guarded.post("/v1/logs", b"{}", x_api_key=TEXTS["read"]), 403)
    assert guarded.post("/metrics", b"", x_api_key=TEXTS["read"]).status_code == 200
    connection = guarded.connect()
    connection.send(HEAD + b"Expect: 100-continue\r\nContent-Length: 900\r\n\r\n")
    assert "no key" in message_of(connection.answer(), 401)
    connection.close()
    assert guarded.alive()


def called(channel: grpc.Channel, text: str, service: str = "opentelemetry.proto.collector.logs.v1.LogsService") -> str:
    """Return the code of a call."""
    call = channel.unary_unary(f"/{service}/Export")
    try:
        call(b"", metadata=(("x-api-key", text),) if text else (), timeout=10)
    except grpc.RpcError as e:
        return str(e.code().name)
    return "OK"


def test_a_revoked_key_stops_within_five_seconds_on_open_connections(guarded: Receiver) -> None:
    """Over HTTP and gRPC alike, though the connection was made while it was good."""
    text = TEXTS["ingest"]
    connection = guarded.connect()
    request = HEAD + f"x-api-key: {text}\r\nContent-Length: 2\r\n\r\n{{}}".encode()

    def status(connection: Connection) -> int:
        connection.send(request)
        answer = connection.answer()
        assert answer is not None
        return answer.status

    with grpc.insecure_channel(f"127.0.0.1:{guarded.grpc_port}") as channel:
        assert called(channel, "") == "UNAUTHENTICATED"
        assert called(channel, text[:-1]) == "UNAUTHENTICATED"
        assert called(channel, TEXTS["admin"]) == "PERMISSION_DENIED"
        assert called(channel, "", "nothing") == "UNAUTHENTICATED"
        assert (status(connection), called(channel, text)) == (200, "OK")
        revoke(guarded.data, text)
        until(lambda: (status(connection), called(channel, text)) == (401, "UNAUTHENTICATED"), seconds=5)
    connection.close()


def test_every_endpoint_of_the_api_needs_a_key_but_those_listed(tmp_path: Path) -> None:
    """All routes, other methods and unknown paths: 401 without, 403 for a change with a key that reads."""
    data = tmp_path / "data"
    data.mkdir()
    reader, admin, sender = (made(data, scope) for scope in ("read", "admin", "ingest"))
    with running("store", Settings(data=data, api_port=0, keys="required")) as (_, where):
        url = f"http://127.0.0.1:{where['api']['port']}"
        with httpx.Client(base_url=url, trust_env=False) as http:

            def ask(method: str, path: str, text: str = "") -> tuple[int, Any]:
                answer = http.request(method, path, headers={"x-api-key": text} if text else {})
                is_json = answer.headers["content-type"] == "application/json"
                return answer.status_code, json.loads(answer.content) if is_json else None

            routes = [str(endpoint).split(" ", 1) for endpoint in ENDPOINTS]
            assert len(routes) > 20
            for method, path in [*routes, ("GET", "/nothing"), ("PUT", "/api/v1/runs"), ("DELETE", "/")]:
                status, said = ask(method, path)
                assert (status == 401) == (path not in OPEN_PATHS), path
                assert status != 401 or list(said) == ["error"]
            assert ask("GET", "/api/v1/runs?from=0", reader)[0] == 200
            assert ask("GET", "/nothing", reader)[0] == 404
            assert ask("GET", "/api/v1/runs", sender)[0] == 403
            for text, status in ((reader, 403), (admin, 415)):
                assert ask("POST", "/api/v1/reports/feedback", text)[0] == status
            assert ask("POST", "/api/v1/sql", reader)[0] == 415
