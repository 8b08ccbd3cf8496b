"""What strangers do to a server: each deed is one act of one of them, at random, and bounded by itself.

Nothing here is acknowledged to anybody who counts it: it may be taken, refused or cut off, as long as others notice
nothing.
"""

from __future__ import annotations

import contextlib
import gzip
import json
import socket
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from functools import cache
from random import Random

import grpc
import httpx
import zstandard
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest

from tests import extremes

MIB = 2**20
PATIENCE_S = 15.0
Where = Callable[[str], str]
TYPES = {"json": "application/json", "protobuf": "application/x-protobuf"}
PATHS = ("/v1/logs", "/v1/traces", "/v1/metrics")


def _varint(n: int) -> bytes:
    out = bytearray()
    while n > 127:
        out.append(n & 127 | 128)
        n >>= 7
    return bytes([*out, n])


def _field(number: int, inside: bytes) -> bytes:
    return _varint(number << 3 | 2) + _varint(len(inside)) + inside


def _records(inside: bytes) -> bytes:
    return _field(1, _field(2, inside))


def _record(inside: bytes) -> bytes:
    return _records(_field(2, inside))


def _json(records: bytes) -> bytes:
    return b'{"resourceLogs":[{"scopeLogs":[{"logRecords":[' + records + b"]}]}]}"


def _many(r: Random, least: int, most: int) -> int:
    """Return a number, small ones as often as large ones."""
    return int(least * (most / least) ** r.random())


# Bodies: (encoding, content-encoding, bytes).
Body = tuple[str, str, bytes]


@cache
def _odd() -> list[tuple[str, str, bytes]]:
    """Return requests with a value at some edge in each place that is read: (path, encoding, body)."""
    return [(r.signal.path, r.encoding, r.body) for r in extremes.requests()]


def _bomb(r: Random) -> Body:
    """Return a body that is small, or legal, and heavy."""
    shape = r.randrange(14)
    if shape == 0:
        return "protobuf", "gzip", gzip.compress(b"") * _many(r, 10, 200_000)
    if shape == 1:
        return "json", "gzip", gzip.compress(r.choice((b" ", b"\0", b"[")) * _many(r, MIB, 128 * MIB), 6)
    if shape == 2:
        return "json", "zstd", zstandard.compress(bytes(_many(r, MIB, 256 * MIB))) * r.choice((1, 1, 500))
    if shape == 3:
        return "json", "zstd", zstandard.compress(b"") * _many(r, 10, 100_000)
    if shape == 4:  # records of nothing
        return "protobuf", r.choice(("", "gzip")), _records(b"\x12\x00" * _many(r, 1_000, 200_000))
    if shape == 5:  # fields nobody knows, of every wire type
        unknown = r.choice((b"\x98\x06\x01", b"\xa2\x06\x00", b"\x99\x06" + bytes(8), b"\x9d\x06" + bytes(4)))
        inside = unknown * _many(r, 1_000, 16 * MIB // len(unknown))
        return "protobuf", "", r.choice((bytes, _records, _record))(inside)
    if shape == 6:  # values of nothing
        values = _field(5, b"\x0a\x00" * _many(r, 1_000, 8 * MIB))
        return "protobuf", "", _record(_field(5, values))
    if shape == 7:
        keys = b"".join(_field(6, _field(1, b"%d" % i)) for i in range(_many(r, 100, 100_000)))
        return "protobuf", "", _record(keys)
    if shape == 8:
        depth = _many(r, 10, 100_000)
        return "json", "", _json(b'{"body":' + b'{"arrayValue":{"values":[' * depth + b"{}" + b"]}}" * depth + b"}")
    if shape == 9:  # ordinary records, very many of them at once
        one = json.dumps({"timeUnixNano": "1790000000000000000", "body": {"stringValue": "x" * r.randrange(300)}})
        return "json", r.choice(("", "gzip")), _json(b",".join([one.encode()] * _many(r, 100, 60_000)))
    if shape == 10:
        return "json", "", _json(b'{"body":{"stringValue":"' + b"v" * _many(r, MIB, 48 * MIB) + b'"}}')
    if shape == 11:  # numbers that are long to read
        return "json", "", _json(b'{"timeUnixNano":' + b"9" * _many(r, 10, MIB) + b"}")
    if shape == 12:
        some = r.choice((b"{}", b"1", b"[]", b'""', b"null", b"1e999"))
        return "json", "", _json(b",".join([some] * _many(r, 1_000, 8 * MIB)))
    return "protobuf", "", b"\x08" + b"\xff" * _many(r, 10, 8 * MIB)


def _broken(r: Random) -> tuple[str, Body]:
    """Return (path, body): what some sender sends, with something wrong about it."""
    path, encoding, body = r.choice(_odd())
    body = body[: _many(r, 200, 200_000)] if r.random() < 0.5 else bytes(body)
    spoiled = bytearray(body or b"x")
    for _ in range(r.randrange(8)):
        spoiled[r.randrange(len(spoiled))] = r.randrange(256)
    if r.random() < 0.2:
        encoding = r.choice(("json", "protobuf"))
    if r.random() < 0.2:
        path = r.choice(PATHS)
    return path, (encoding, r.choice(("", "", "", "gzip", "zstd", "br")), bytes(spoiled))


# Statements: what may be asked, what must be refused, and what takes all it can get.
_GROWS = ("repeat('a', {n})", "lpad('a', {n}, 'b')", "range({n})", "list_resize([1], {n})", "bar(1, 0, 1, {n})")
_CROSS = "select count(*), max(a.i * b.i) from range({n}) a(i), range({n}) b(i)"
_FAIR = (
    "select status, count(*) from runs group by all",
    "select * from logs order by time_unix_nano desc limit 500",
    "select task_id, quantile_cont(ended_ns - started_ns, 0.95) from runs group by all",
    "select body, count(*) from logs group by all order by 2 desc limit 20",
)


_PIECES = (
    *("case when 1 then ", "not ", "- ", "+ ", "exists (select ", "1 between 1 and ", "a.", "x->", "x::int::", "a, "),
    *("lambda x: ", "f(", "x[1:", "(select * from ", "1 in (", "'a' ", "1 or ", "a.b(", "interval ", "cast(", "@", "["),
    *("{'a':", "-(", "1=", "row(", "map{", "join a ", "/**/- ", '"a".', "union select 1 "),
)
"""What a parser may read again and again."""


def _statement(r: Random) -> str:
    n = _many(r, 10, 4 * 10**9)
    shape = r.randrange(10)
    if shape == 0:
        return f"select length({r.choice(_GROWS).format(n=n)})"
    if shape == 1:
        return _CROSS.format(n=min(n, 10**7))
    if shape == 2:
        hint = r.choice(("", "materialized", "not materialized"))
        count = r.randrange(2, 60)
        parts = [f"c{i} as {hint} (select a.i from c{i - 1} a, c{i - 1} b)" for i in range(1, count)]
        return f"with c0 as (select 1 as i), {', '.join(parts)} select count(*) from c{count - 1}"
    if shape == 3:
        parts = [f"c{i} as (select x || x as x from c{i - 1})" for i in range(1, r.randrange(2, 40))]
        return f"with c0 as (select body as x from logs), {', '.join(parts)} select length(x) from c{len(parts)}"
    if shape == 4:
        return (
            "with recursive t(x, n) as (select 'a', 1 union all select x || x, n + 1 from t "
            f"where n < {r.randrange(90)}) select max(length(x)) from t"
        )
    if shape == 5:
        return f"select string_agg(l.body) from logs l, range({min(n, 10**6)})"
    if shape == 6:
        opens, closes = r.choice((("(", ")"), ("[", "]"), ("{'a': ", "}"), ("(runs join ", " on true)")))
        deep, begun = _many(r, 1, 30_000), r.choice(("select ", "select * from ", "from ", "with c as ", ""))
        return (
            f"{begun}{opens * deep}{r.choice(('1', 'runs', 'select 1', ''))}{closes * r.choice((deep, deep // 2, 0))}"
        )
    if shape == 8:
        return f"select * from runs where {r.choice(_PIECES) * _many(r, 1, 20_000)}"[:65_000]
    if shape == 7:
        return r.choice(
            (
                "select * from duckdb_settings()",
                "copy runs to '/tmp/x'",
                "select getenv('HOME')",
                "attach ':memory:' as x",
                "select stats(run_id) from runs",
                "install httpfs",
                "select * from read_text('/etc/passwd')",
            )
        )
    return r.choice(_FAIR)


class Stranger(threading.Thread):
    """Does one kind of deed after another until it is told to stop; *done* counts them by what came of them."""

    def __init__(self, kind: str, where: Where, seed: int, done: Counter[str]) -> None:
        super().__init__(name=f"stranger-{kind}", daemon=True)
        self._deed = DEEDS[kind]
        self.kind = kind
        self._where = where
        self._random = Random(f"{seed}/{kind}")
        self._done = done
        self.stopped = threading.Event()
        self.failure: BaseException | None = None

    def run(self) -> None:
        """Go on; that nobody answers is one of the things that may happen."""
        while not self.stopped.is_set():
            try:
                outcome = self._deed(self._random, self._where)
            except (OSError, httpx.HTTPError):
                outcome = "cut off"
            except BaseException as e:
                self.failure = e
                return
            self._done[outcome] += 1
            self.stopped.wait(self._random.uniform(0, 0.3))


def _post(where: Where, path: str, body: Body) -> str:
    encoding, packing, content = body
    headers = {"content-type": TYPES[encoding], **({"content-encoding": packing} if packing else {})}
    answer = httpx.post(where("http") + path, content=content, headers=headers, timeout=PATIENCE_S, trust_env=False)
    return str(answer.status_code)


def bombs(r: Random, where: Where) -> str:
    """Send a body that is small or legal, and heavy."""
    encoding, packing, content = _bomb(r)
    if packing == "gzip" and not content.startswith(b"\x1f\x8b"):
        content = gzip.compress(content, 1)
    return _post(where, r.choice(PATHS) if r.random() < 0.1 else "/v1/logs", (encoding, packing, content))


def broken(r: Random, where: Where) -> str:
    """Send what cannot be read, or not as it says."""
    return _post(where, *_broken(r))


def odd(r: Random, where: Where) -> str:
    """Send values at the edges of their kinds."""
    path, encoding, body = r.choice(_odd())
    return _post(where, path, (encoding, "", body))


def calls(r: Random, where: Where) -> str:
    """Call over gRPC: what cannot be read, what is large, what is given up in the middle."""
    with grpc.insecure_channel(
        where("grpc").removeprefix("http://"),
        options=[("grpc.use_local_subchannel_pool", 1), ("grpc.max_send_message_length", -1)],
    ) as channel:
        shape = r.randrange(4)
        service = "opentelemetry.proto.collector.logs.v1.LogsService/Export"
        method = channel.unary_unary(f"/{service}" if r.random() < 0.9 else "/no/such")
        if shape == 0:
            body = r.randbytes(_many(r, 1, MIB))
        elif shape == 1:
            body = _record(_field(5, _field(1, b"v" * _many(r, MIB, 60 * MIB))))
        elif shape == 2:
            body = _bomb(r)[2]
        else:
            body = ExportLogsServiceRequest().SerializeToString()
        packed = grpc.Compression.Gzip if r.random() < 0.3 else grpc.Compression.NoCompression
        call = method.future(body, timeout=PATIENCE_S, compression=packed)
        if r.random() < 0.3:
            time.sleep(r.uniform(0, 0.2))
            call.cancel()
            return "given up"
        try:
            call.result()
        except grpc.RpcError as e:
            return str(e.code().name)  # type: ignore[attr-defined]
        except grpc.FutureCancelledError:
            return "given up"
        return "OK"


def _pieces(r: Random) -> Iterator[bytes]:
    """Yield what a connection is fed: requests that are none, or never end."""
    shape = r.randrange(6)
    head = b"POST /v1/logs HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\n"
    if shape == 0:
        yield from (bytes([b]) for b in head[: r.randrange(len(head))])
    elif shape == 1:
        yield head + b"transfer-encoding: chunked\r\n\r\n"
        yield from (b"1\r\n \r\n" * _many(r, 1, 10_000) for _ in range(r.randrange(50)))
    elif shape == 2:
        yield head + b"content-length: %d\r\n\r\n" % _many(r, 1, 64 * MIB)
        yield from (b" " * _many(r, 1, 100_000) for _ in range(r.randrange(20)))
    elif shape == 3:
        yield b"GET /api/v1/health HTTP/1.1\r\nhost: x\r\n\r\n" * _many(r, 1, 20_000)
    elif shape == 4:
        yield r.choice((b"\x16\x03\x01", b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", b"\0" * 100, b"GET / HTTP/9.9\r\n\r\n"))
        yield r.randbytes(_many(r, 1, 100_000))
    else:
        yield b"GET / HTTP/1.1\r\n" + b"x: y\r\n" * _many(r, 1, 100_000)


def connections(r: Random, where: Where) -> str:
    """Open connections that say too little, too much or nonsense, to any port, and read no answer."""
    port = int(where(r.choice(("http", "api", "grpc"))).rpartition(":")[2])
    with contextlib.ExitStack() as stack:
        opened = [stack.enter_context(socket.create_connection(("127.0.0.1", port), 5)) for _ in range(_many(r, 1, 60))]
        for one in opened:
            one.settimeout(0.5)
            with contextlib.suppress(OSError):
                for piece in _pieces(r):
                    one.sendall(piece)
        time.sleep(r.uniform(0, 3))
    return "opened"


def readers(r: Random, where: Where) -> str:
    """Ask for much and read little of it."""
    port = int(where("api").rpartition(":")[2])
    targets = (
        "/api/v1/query/runs?limit=500",
        "/api/v1/query/logs?limit=500",
        "/api/v1/findings",
        "/metrics",
        "/api/v1/status",
    )
    with contextlib.ExitStack() as stack:
        for _ in range(r.randrange(1, 12)):
            one = stack.enter_context(socket.socket())
            one.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            one.settimeout(2)
            one.connect(("127.0.0.1", port))
            request = f"GET {r.choice(targets)} HTTP/1.1\r\nhost: 127.0.0.1\r\n\r\n".encode()
            with contextlib.suppress(OSError):
                one.sendall(request * r.randrange(1, 50))
                one.recv(r.randrange(1, 200))
        time.sleep(r.uniform(0, 4))
    return "asked"


def statements(r: Random, where: Where) -> str:
    """Run SQL: fair, refused, and such as takes what it can get; sometimes nobody waits for it."""
    patience = r.choice((0.2, 2, PATIENCE_S))
    try:
        answer = httpx.post(
            f"{where('api')}/api/v1/sql", json={"sql": _statement(r)}, timeout=patience, trust_env=False
        )
    except httpx.TimeoutException:
        return "given up"
    return str(answer.status_code)


DEEDS: dict[str, Callable[[Random, Where], str]] = {
    f.__name__: f for f in (bombs, broken, odd, calls, connections, readers, statements)
}
