"""G1-G10: OTLP/gRPC, with grpcio as the client."""

from __future__ import annotations

import asyncio
import contextlib
import gzip
import signal
import socket
import struct
import time
import zlib
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor, wait
from typing import Any

import grpc
import grpc.aio
import httpx
import psutil
import pytest
from google.rpc import error_details_pb2, status_pb2

from collector.model.errors import BadInput, NotNow, TooLarge, Unsupported
from collector.model.signals import BY_NAME, RECEIVED, Signal
from collector.receive import gate as gates
from collector.receive.errors import HeadTooLarge, NoSuchPath, TooSlow, WrongMethod, failure_of
from collector.settings import Settings
from tests.otlp.receiver import Receiver, receiving, running
from tests.otlp.telemetry import MAKE, encode, logs, points, spans
from tests.otlp.test_answers import UNDECODABLE
from tests.stack import until

MIB = 2**20
CLOSED_SET = {
    "OK",
    "INVALID_ARGUMENT",
    "UNAUTHENTICATED",
    "PERMISSION_DENIED",
    "RESOURCE_EXHAUSTED",
    "UNAVAILABLE",
    "UNIMPLEMENTED",
}


def channel(receiver: Receiver, **options: int) -> grpc.Channel:
    """Return a channel that limits nothing itself."""
    arguments = {"grpc.max_receive_message_length": -1, "grpc.max_send_message_length": -1, **options}
    return grpc.insecure_channel(f"127.0.0.1:{receiver.grpc_port}", options=list(arguments.items()))


@pytest.fixture
def open_channel(receiver: Receiver) -> Iterator[grpc.Channel]:
    """Return a channel to the default receiver."""
    with channel(receiver) as made:
        yield made


def export(open_channel: grpc.Channel, signal: Signal | str, body: bytes, **options: Any) -> Any:
    """Return the response message to raw bytes."""
    kind = BY_NAME[signal] if isinstance(signal, str) else signal
    call = open_channel.unary_unary(f"/{kind.grpc_service}/Export")
    return kind.response.FromString(call(body, **{"timeout": 60, "wait_for_ready": True, **options}))


def failure(
    open_channel: grpc.Channel, signal: str, body: bytes, **options: Any
) -> tuple[str, status_pb2.Status | None]:
    """Return the code of a refused export and its details."""
    with pytest.raises(grpc.RpcError) as caught:
        export(open_channel, signal, body, **options)
    error: Any = caught.value
    details = dict(error.trailing_metadata() or ()).get("grpc-status-details-bin")
    return error.code().name, None if details is None else status_pb2.Status.FromString(details)


@pytest.mark.parametrize("signal", MAKE)
def test_g1_g7_exports_answer_as_http_does(open_channel: grpc.Channel, receiver: Receiver, signal: str) -> None:
    """Each signal has its service; the response is empty, the rows are those of HTTP."""
    before = receiver.seq
    request = MAKE[signal](3, unique=False)
    response = export(open_channel, signal, request.SerializeToString())
    assert not response.HasField("partial_success")
    table = BY_NAME[signal].table
    over_grpc = receiver.rows(table, before)
    middle = receiver.seq
    assert receiver.post(BY_NAME[signal].path, encode(request, "json")).status_code == 200
    over_http = receiver.rows(table, middle)
    for row in (*over_grpc, *over_http):
        del row["received_ns"]
    assert over_grpc == over_http
    assert len(over_grpc) == 3


def test_g1_profiles_are_rejected_in_a_partial_success(open_channel: grpc.Channel) -> None:
    """As over HTTP."""
    kind = next(s for s in RECEIVED if s.name == "profiles")
    request = kind.request()
    request.resource_profiles.add().scope_profiles.add().profiles.add()
    assert export(open_channel, kind, request.SerializeToString()).partial_success.rejected_profiles == 1


def test_g2_messages_have_a_size(tmp_path: Any) -> None:
    """Up to limits.body is taken, packed or not; beyond is RESOURCE_EXHAUSTED without RetryInfo, gRPC's own or ours."""
    with receiving(tmp_path / "data", limits={"body": MIB}) as small, channel(small) as made:
        fits = logs(1, body="x" * (MIB - 400)).SerializeToString()
        assert MIB - 500 < len(fits) <= MIB
        export(made, "logs", fits)
        over = logs(1, body="x" * MIB).SerializeToString()
        for packing in (grpc.Compression.NoCompression, grpc.Compression.Gzip):
            code, details = failure(made, "logs", over, compression=packing)
            assert code == "RESOURCE_EXHAUSTED"
            assert details is None or not details.details
        export(made, "logs", logs().SerializeToString())


def test_g2_the_default_limit_is_64_mib(receiver: Receiver) -> None:
    """gRPC's own default would be 4 MiB; a bomb behind gzip is refused by its plain size."""
    assert int(receiver.settings.limits.body) == 64 * MIB
    with channel(receiver) as made:
        export(made, "logs", logs(1, body="x" * (5 * MIB)).SerializeToString())
        before = receiver.memory
        bomb = logs(1, body="x" * (200 * MIB)).SerializeToString()
        assert failure(made, "logs", bomb, compression=grpc.Compression.Gzip)[0] == "RESOURCE_EXHAUSTED"
        assert receiver.memory - before < 160 * MIB


def test_g2_too_many_records_are_resource_exhausted_without_retry(open_channel: grpc.Channel) -> None:
    """65,537 records are over a limit of ours; the details carry no RetryInfo."""
    body = MAKE["logs"](1).SerializeToString() * 65_537
    code, details = failure(open_channel, "logs", body)
    assert code == "RESOURCE_EXHAUSTED"
    assert details is not None
    assert not details.details


def test_g3_gzip_is_read_and_unknown_packings_are_refused(open_channel: grpc.Channel, receiver: Receiver) -> None:
    """gzip and deflate are known by how they begin; gRPC refuses others before they reach us."""
    for packing in (grpc.Compression.Gzip, grpc.Compression.Deflate, grpc.Compression.NoCompression):
        export(open_channel, "logs", logs(50).SerializeToString(), compression=packing)
    before = receiver.seq
    assert raw_call(receiver, b"zstd", framed(b"abcd", packed=True)) in ("UNIMPLEMENTED", "INTERNAL")
    assert receiver.seq == before
    assert raw_call(receiver, b"gzip", framed(gzip.compress(logs().SerializeToString()), packed=True)) == "OK"


def framed(body: bytes, *, packed: bool = False) -> bytes:
    """Return a gRPC message."""
    return bytes([packed]) + struct.pack(">I", len(body)) + body


def frame(kind: int, flags: int, stream: int, payload: bytes) -> bytes:
    """Return an HTTP/2 frame."""
    return struct.pack(">I", len(payload))[1:] + bytes([kind, flags]) + struct.pack(">I", stream) + payload


HEADERS, DATA, SETTINGS, PING, GOAWAY = 1, 0, 4, 6, 7
PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + frame(SETTINGS, 0, 0, b"")


def head(packing: bytes = b"identity") -> bytes:
    """Return the header block of an export of logs that states *packing*."""

    def literal(name: bytes, value: bytes) -> bytes:
        return b"\x00" + bytes([len(name)]) + name + bytes([len(value)]) + value

    path = b"/" + BY_NAME["logs"].grpc_service.encode() + b"/Export"
    fields = {
        b":method": b"POST",
        b":scheme": b"http",
        b":path": path,
        b":authority": b"x",
        b"content-type": b"application/grpc",
        b"te": b"trailers",
        b"grpc-encoding": packing,
    }
    return b"".join(literal(name, value) for name, value in fields.items())


def raw_call(receiver: Receiver, packing: bytes, *parts: bytes) -> str:
    """Return the status of a call that states *packing* and has *parts* as data, over HTTP/2 frames of our own."""
    data = b"".join(frame(DATA, at == len(parts), 1, part) for at, part in enumerate(parts, 1))
    with socket.create_connection(("127.0.0.1", receiver.grpc_port)) as raw:
        raw.settimeout(30)
        raw.sendall(PREFACE + frame(HEADERS, 4 if parts else 5, 1, head(packing)) + data)
        seen = b""
        while b"grpc-status" not in seen:
            part = raw.recv(65_536)
            assert part, "the server hung up"
            seen += part
    at = seen.index(b"grpc-status") + len(b"grpc-status")
    code = int(seen[at + 1 : at + 1 + seen[at]])
    return next(c.name for c in grpc.StatusCode if c.value[0] == code)


def test_g3_a_call_carries_one_message(receiver: Receiver) -> None:
    """Without one, or with one that is cut off, it is INVALID_ARGUMENT and stores nothing; of two the first counts."""
    before = receiver.seq
    message = framed(logs(2).SerializeToString())
    for parts in ((), (b"",), (message[:3],), (message[:-1],)):
        assert raw_call(receiver, b"identity", *parts) == "INVALID_ARGUMENT"
    assert receiver.seq == before
    assert raw_call(receiver, b"identity", message[:7], message[7:]) == "OK"
    assert raw_call(receiver, b"identity", framed(logs(1).SerializeToString()), message) == "OK"
    assert len(receiver.rows("logs", before)) == 3


def test_g3_packed_messages_are_unpacked_as_over_http(open_channel: grpc.Channel, receiver: Receiver) -> None:
    """Those that are cut off or damaged are INVALID_ARGUMENT; nothing of them is stored."""
    before = receiver.seq
    packed = {b"gzip": gzip.compress(logs().SerializeToString()), b"deflate": zlib.compress(logs().SerializeToString())}
    for packing, message in packed.items():
        for broken in (message[:-3], message[:9] + b"\xff\xff" + message[11:]):
            assert raw_call(receiver, packing, framed(broken, packed=True)) == "INVALID_ARGUMENT"
    assert receiver.seq == before


def test_g2_messages_wait_until_there_is_room(tmp_path: Any) -> None:
    """Far more at once than limits.in_flight are answered one after the other, and the gate never holds them all."""
    with receiving(tmp_path / "data", limits={"body": 8 * MIB, "in_flight": 24 * MIB}) as tight:
        body = logs(8, body="x" * (MIB - 400)).SerializeToString()
        gate = psutil.Process(tight.gate.pid)
        before = most = gate.memory_info().rss
        with channel(tight) as one, channel(tight, **{"grpc.use_local_subchannel_pool": 1}) as other:
            export(one, "logs", body)
            export(other, "logs", body)
            calls = [
                made.unary_unary(f"/{BY_NAME['logs'].grpc_service}/Export").future(body, timeout=60)
                for made in (one, other)
                for _ in range(8)
            ]
            while not all(call.done() for call in calls):
                most = max(most, gate.memory_info().rss)
                time.sleep(0.005)
            assert [call.code().name for call in calls] == ["OK"] * 16
    assert most - before < 80 * MIB


def test_g5_what_receive_says_is_heard_while_a_message_is_sent_to_it(tmp_path: Any) -> None:
    """A large message it has no room for is refused in its own words, and the gate lets go of it."""
    with receiving(tmp_path / "data", limits={"body": 8 * MIB, "in_flight": 24 * MIB}) as receiver:
        begun = (
            b"POST /v1/logs HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n"
        )
        held = [receiver.connect() for _ in range(3)]
        for connection in held:
            connection.send(begun % (7 * MIB) + b" " * (6 * MIB))
        until(lambda: "in_flight_bytes 1.8874368e+07" in httpx.get(f"{receiver.url}/metrics", trust_env=False).text)
        gate = psutil.Process(receiver.gate.pid)
        before = gate.memory_info().rss
        with channel(receiver) as one:
            for _ in range(20):
                with pytest.raises(grpc.RpcError) as refused:
                    export(one, "logs", logs(7, body="x" * (MIB - 400)).SerializeToString())
                assert refused.value.code() is grpc.StatusCode.UNAVAILABLE
                assert "limits.in_flight allows" in refused.value.details()
        assert gate.memory_info().rss - before < 64 * MIB
        for connection in held:
            connection.close()


def test_g2_slow_messages_keep_no_small_one_waiting(tmp_path: Any) -> None:
    """However many begin a large message and send no more, whether a sender of small ones is known or new."""
    with receiving(tmp_path / "data") as receiver, contextlib.ExitStack() as stack, channel(receiver) as known:
        export(known, "logs", logs().SerializeToString())
        for _ in range(20):
            raw = stack.enter_context(socket.create_connection(("127.0.0.1", receiver.grpc_port)))
            begun = b"\0" + struct.pack(">I", 48 * MIB) + b"x"
            streams = range(1, 9, 2)
            raw.sendall(PREFACE + b"".join(frame(HEADERS, 4, s, head()) + frame(DATA, 0, s, begun) for s in streams))
        for _ in range(10):
            export(known, "logs", logs().SerializeToString())
        with channel(receiver, **{"grpc.use_local_subchannel_pool": 1}) as new:
            export(new, "logs", logs().SerializeToString())


def test_g9_what_the_gate_tells_receive_cannot_be_said_by_a_caller(tmp_path: Any) -> None:
    """Size of the message, address and User-Agent are the gate's own words; other metadata is passed on."""

    async def main() -> dict[str, list[str]]:
        told: dict[str, list[str]] = {}

        async def export(context: gates.Context) -> bytes:
            for key, value in context.invocation_metadata() or ():
                told.setdefault(str(key), []).append(str(value))
            return await gates.one_message(context)

        async def refuse(method: str, context: gates.Context) -> bytes:
            raise AssertionError(method)

        limits = Settings().limits
        inside = f"unix:{tmp_path}/inside"
        behind = gates.server(lambda signal: export, refuse, limits, largest=MIB, streams=9)
        behind.add_insecure_port(inside)
        await behind.start()
        gate = gates.Gate(inside, limits, 256 * MIB, 256 * MIB)
        front = gate.server(10)
        port = front.add_insecure_port("127.0.0.1:0")
        await front.start()
        forged = [(key, "9" * 12) for key in (gates.SIZE, gates.PEER, gates.AGENT, gates.METHOD, "x-kept")]
        async with grpc.aio.insecure_channel(f"127.0.0.1:{port}") as caller:
            call = caller.unary_unary(f"/{BY_NAME['logs'].grpc_service}/Export")
            assert await call(b"four", metadata=forged) == b"four"
        for each in (front, behind):
            await each.stop(None)
        await gate.close()
        return told

    told = asyncio.run(main())
    assert told[gates.SIZE] == ["4"]
    assert len(told[gates.PEER]) == 1
    assert told[gates.PEER][0].startswith("ipv4:127.0.0.1:")
    assert len(told[gates.AGENT]) == 1
    assert "grpc" in told[gates.AGENT][0]
    assert gates.METHOD not in told
    assert told["x-kept"] == ["9" * 12]


@pytest.mark.parametrize("body", UNDECODABLE["protobuf"])
def test_g4_bad_bytes_are_invalid_argument(open_channel: grpc.Channel, body: bytes) -> None:
    """With a BadRequest that says what was expected."""
    code, details = failure(open_channel, "logs", body)
    assert code == "INVALID_ARGUMENT"
    assert details is not None
    bad = error_details_pb2.BadRequest()
    assert details.details[0].Unpack(bad)
    assert bad.field_violations[0].description


def test_g4_g5_a_full_disk_is_unavailable_with_retry_info(tmp_path: Any) -> None:
    """The delay is between 1 and 5 seconds."""
    with receiving(tmp_path / "data", journal={"free_disk": 2**62}) as full, channel(full) as made:
        code, details = failure(made, "logs", logs().SerializeToString())
    assert code == "UNAVAILABLE"
    assert details is not None
    retry = error_details_pb2.RetryInfo()
    assert details.details[0].Unpack(retry)
    assert 1 <= retry.retry_delay.seconds <= 5


def test_g6_codes_are_a_closed_set() -> None:
    """Every error has a code of the set; only UNAVAILABLE is one that clients try again."""
    errors: list[Exception] = [
        BadInput("x"),
        TooLarge("x"),
        Unsupported("x"),
        NotNow("x"),
        MemoryError(),
        NoSuchPath("x"),
        WrongMethod("x"),
        TooSlow("x"),
        HeadTooLarge("x"),
    ]
    assert {failure_of(e).grpc.name for e in errors} <= CLOSED_SET
    assert {failure_of(e).grpc.name for e in errors if failure_of(e).http == 503} == {"UNAVAILABLE"}


@pytest.mark.parametrize(
    "method",
    [
        "/opentelemetry.proto.collector.logs.v1.LogsService/Import",
        "/unknown.Service/Export",
        "/grpc.reflection.v1.ServerReflection/ServerReflectionInfo",
        "/opentelemetry.proto.collector.logs.v1/Export",
    ],
)
def test_g6_unknown_methods_are_unimplemented(open_channel: grpc.Channel, method: str) -> None:
    """Reflection is off, so it is one of them."""
    with pytest.raises(grpc.RpcError) as caught:
        open_channel.unary_unary(method)(b"", timeout=30)
    error: Any = caught.value
    assert error.code().name == "UNIMPLEMENTED"


def test_g7_partial_success_counts_as_http_does(open_channel: grpc.Channel) -> None:
    """7 of 512."""
    said = export(open_channel, "traces", spans(505, bad=7).SerializeToString()).partial_success
    assert said.rejected_spans == 7
    assert "span id" in said.error_message
    assert not export(open_channel, "metrics", points(2).SerializeToString()).HasField("partial_success")


def test_g8_a_lost_answer_and_a_resend_store_once(open_channel: grpc.Channel, receiver: Receiver) -> None:
    """A call that gave up at its deadline may have been kept; the same again is not stored again."""
    before = receiver.seq
    body = logs(3).SerializeToString()
    call = open_channel.unary_unary(f"/{BY_NAME['logs'].grpc_service}/Export")
    for deadline in (0.000_001, 0.001, 30):
        try:
            call(body, timeout=deadline)
        except grpc.RpcError as e:
            error: Any = e
            assert error.code().name == "DEADLINE_EXCEEDED"
    export(open_channel, "logs", body)
    assert len(receiver.rows("logs", before)) == 3


def test_g8_a_call_outlives_the_process_that_was_to_answer_it(tmp_path: Any) -> None:
    """Killed in the middle of a call, receive is followed by one that answers it; what it carried is stored once."""
    with receiving(tmp_path / "data") as receiver, channel(receiver) as made, ThreadPoolExecutor() as pool:
        export(made, "logs", logs().SerializeToString())
        receiver.process.send_signal(signal.SIGSTOP)
        call = pool.submit(export, made, "logs", logs(3).SerializeToString())
        wait([call], timeout=0.5)
        assert not call.done()
        receiver.process.kill()
        receiver.process.wait()
        with running("receive", receiver.settings):
            assert not call.result().HasField("partial_success")
            assert len(receiver.rows("logs")) == 4


def test_g9_many_streams_on_many_channels_are_all_answered(receiver: Receiver) -> None:
    """50 channels with 20 calls at once, more than limits.grpc_streams: each is kept once."""
    before = receiver.seq

    async def all_of_them() -> None:
        async def one() -> None:
            address = f"127.0.0.1:{receiver.grpc_port}"
            async with grpc.aio.insecure_channel(address, [("grpc.use_local_subchannel_pool", 1)]) as made:
                call = made.unary_unary(f"/{BY_NAME['logs'].grpc_service}/Export")
                await asyncio.gather(*(call(logs().SerializeToString(), timeout=60) for _ in range(20)))

        await asyncio.gather(*(one() for _ in range(50)))

    asyncio.run(all_of_them())
    assert len(receiver.rows("logs", before)) == 1_000


def test_g9_pings_are_answered_and_floods_of_them_are_not(receiver: Receiver) -> None:
    """A keepalive ping without a call is fine; many at once end that connection and no other."""

    def kinds(pings: int, until: int) -> set[tuple[int, int]]:
        seen = set()
        with socket.create_connection(("127.0.0.1", receiver.grpc_port)) as raw:
            raw.settimeout(30)
            raw.sendall(PREFACE + b"".join(frame(PING, 0, 0, struct.pack(">Q", i)) for i in range(pings)))
            stream = raw.makefile("rb")
            while until not in {kind for kind, _ in seen} and (head := stream.read(9)):
                stream.read(int.from_bytes(head[:3], "big"))
                seen.add((head[3], head[4]))
        return seen

    assert (PING, 1) in kinds(1, PING)
    assert GOAWAY in {kind for kind, _ in kinds(20, GOAWAY)}
    with channel(receiver) as made:
        export(made, "logs", logs().SerializeToString())


def test_g9_a_port_is_not_shared(receiver: Receiver, tmp_path: Any) -> None:
    """A second instance cannot take half of the connections."""
    with pytest.raises(KeyError), receiving(tmp_path / "data", grpc_port=receiver.grpc_port):
        pass


@pytest.mark.parametrize(
    ("error", "http", "code"),
    [
        (BadInput("x"), 400, "INVALID_ARGUMENT"),
        (TooLarge("x"), 413, "RESOURCE_EXHAUSTED"),
        (Unsupported("x"), 415, "UNIMPLEMENTED"),
        (NotNow("x"), 503, "UNAVAILABLE"),
        (NoSuchPath("x"), 404, "UNIMPLEMENTED"),
        (ZeroDivisionError(), 500, "INTERNAL"),
    ],
)
def test_g10_both_wires_read_one_table(error: Exception, http: int, code: str) -> None:
    """HTTP status and gRPC code of an error belong together."""
    assert (failure_of(error).http, failure_of(error).grpc.name, failure_of(error).status.code) == (
        http,
        code,
        failure_of(error).grpc.value[0],
    )
