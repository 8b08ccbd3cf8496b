"""What connections to the read API may do, against a real store process: nobody keeps others out or costs more."""

from __future__ import annotations

import json
import socket
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import psutil
import pytest

from collector.api.routes import HEALTH
from collector.client import Client
from collector.settings import Settings
from tests.otlp.receiver import Answer, Connection, crowd, running
from tests.stack import until

GET = b"GET /api/v1/query HTTP/1.1\r\nHost: localhost\r\n\r\n"
HALF_HEAD = b"GET /healthz HTTP/1.1\r\nHo"
SQL = b"POST /api/v1/sql HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
HALF_BODY = SQL + b"Content-Length: 500\r\n\r\n{"
SLOW = "SELECT count(*) FROM range(1000000000000) r WHERE r.range % 7 = 3"
SLOW_ONES = [
    SLOW,
    "SELECT count(DISTINCT a.range * b.range) FROM range(1000000) a, range(1000000) b",
    "SELECT a.range FROM range(1000000) a, range(1000000) b ORDER BY md5((a.range * b.range)::VARCHAR) LIMIT 1",
    "WITH RECURSIVE t AS (SELECT 1 AS n UNION ALL SELECT n + 1 FROM t) SELECT max(n) FROM t",
]


class Store:
    """A running store process."""

    def __init__(self, pid: int, port: int, log: Path) -> None:
        self.pid, self.port, self._log = pid, port, log

    def connect(self) -> Connection:
        """Return a new connection."""
        return Connection(self.port)

    def ask(self, data: bytes) -> Answer:
        """Return the answer to raw bytes on a connection of their own."""
        connection = self.connect()
        try:
            connection.send(data)
            answer = connection.answer()
            assert answer is not None
            return answer
        finally:
            connection.close()

    def get(self, path: str) -> Answer:
        """Return the answer to a GET."""
        return self.ask(f"GET {path} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode())

    @property
    def log(self) -> str:
        """Return what it logged so far."""
        return self._log.read_text()


@pytest.fixture(scope="module")
def stores(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Store]]:
    """A store with the defaults but for the time of queries, one with more, and a hasty one with few seats."""
    hasty = {"connections": 4, "header_time": "PT1S", "body_time": "PT1S", "idle_time": "PT2S"}
    with ExitStack() as stack:
        stores = {}
        kinds = {"usual": {}, "patient": {"store": {"query_time": "PT60S"}}, "hasty": {"api_limits": hasty}}
        for name, more in kinds.items():
            data = tmp_path_factory.mktemp(name) / "data"
            made = Settings.model_validate({"data": data, "api_port": 0, "store": {"query_time": "PT3S"}, **more})
            # Few files: a flood must leave enough of them for the database.
            process, where = stack.enter_context(running("store", made, files=400 if name == "hasty" else 0))
            stores[name] = Store(process.pid, where["api"]["port"], data.parent / "data.log")
        yield stores


@pytest.fixture
def usual(stores: dict[str, Store]) -> Store:
    """Return the store with the defaults."""
    return stores["usual"]


@pytest.fixture
def patient(stores: dict[str, Store]) -> Store:
    """Return the store in which queries may take a minute."""
    return stores["patient"]


@pytest.fixture
def hasty(stores: dict[str, Store]) -> Store:
    """Return the store that is quick to lose patience."""
    return stores["hasty"]


def sql(text: str, extra: bytes = b"") -> bytes:
    """Return a request that asks *text*."""
    body = json.dumps({"sql": text}).encode()
    return b"%s%sContent-Length: %d\r\n\r\n%s" % (SQL, extra, len(body), body)


def error(answer: Answer | None, status: int) -> str:
    """Return the sentence of a refusal; it is JSON with nothing else."""
    assert answer is not None
    assert (answer.status, answer.headers["content-type"]) == (status, "application/json"), answer.body
    assert (answer.headers["x-content-type-options"], answer.headers["cache-control"]) == ("nosniff", "no-store")
    said: dict[str, Any] = json.loads(answer.body)
    assert list(said) == ["error"]
    return str(said["error"])


def took(store: Store, path: str) -> float:
    """Return how many seconds an answer took."""
    began = time.monotonic()
    assert store.get(path).status == 200
    return time.monotonic() - began


@pytest.mark.parametrize("first", [b"", HALF_HEAD, HALF_BODY], ids=["idle", "half a head", "half a body"])
def test_who_asks_is_answered_within_a_second_however_many_wait(usual: Store, first: bytes) -> None:
    """Beside 300 connections that wait for nothing, and 1,000, health, status and queries answer as if alone."""
    before = usual.log
    for n in (300, 1_000):
        with crowd(usual.port, n, first):
            for path in (*HEALTH, "/api/v1/query"):
                connection = Connection(usual.port, timeout_s=10)
                connection.send(f"GET {path} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode())
                answer = connection.answer()
                assert answer is not None
                assert answer.status == 200
                connection.close()
    assert usual.log == before


def test_health_and_pages_answer_beside_60_slow_queries_and_600_who_wait(usual: Store) -> None:
    """Health and status answer within a second, and pages; two queries work, eight wait, others are told at once."""
    asked = [usual.connect() for _ in range(60)]
    for connection, text in zip(asked, SLOW_ONES * 15, strict=True):
        connection.send(sql(text))
    with crowd(usual.port, 300), crowd(usual.port, 300, HALF_HEAD):
        for path in HEALTH:
            assert min(took(usual, path) for _ in range(3)) < 1.0
        for path in ("/api/v1/runs", "/api/v1/stats/retries"):
            assert took(usual, path) < 10.0
    answers = []
    for connection in asked:
        connection.socket.settimeout(30)
        answers.append(connection.answer())
        connection.close()
    late = [answer for answer in answers if answer is not None and answer.status == 400]
    refused = [answer for answer in answers if answer is not None and answer.status == 503]
    assert len(late) >= 2
    assert len(refused) >= 50
    assert len(late) + len(refused) == 60
    assert all("store.query_time" in error(answer, 400) for answer in late)
    assert all("again" in error(answer, 503) and 1 <= int(answer.headers["retry-after"]) <= 5 for answer in refused)


def test_who_hangs_up_is_not_worked_for(patient: Store) -> None:
    """Queries whose askers hung up end and leave the queue: the next one is answered long before their time is over."""
    asked = [patient.connect() for _ in range(10)]
    for connection in asked:
        connection.send(sql(SLOW))
    until(lambda: patient.ask(sql("SELECT 1 AS one")).status == 503, why="every place to be taken")
    for connection in asked:
        connection.close()
    answer = until(lambda: answer if (answer := patient.ask(sql("SELECT 1 AS one"))).status == 200 else None)
    assert json.loads(answer.body) == [{"one": 1}]


def test_when_all_are_answered_others_are_told_to_come_back_but_for_health(hasty: Store) -> None:
    """503 with Retry-After beyond api_limits.connections requests at once; those are left alone by a flood."""
    asked = [hasty.connect() for _ in range(4)]
    for connection in asked:
        connection.send(sql(SLOW))
    refused = until(lambda: answer if (answer := hasty.ask(GET)).status == 503 else None)
    assert "api_limits.connections" in error(refused, 503)
    assert 1 <= int(refused.headers["retry-after"]) <= 5
    with crowd(hasty.port, 500):
        assert [hasty.get(path).status for path in HEALTH] == [200] * len(HEALTH)
    told = [connection.answer() for connection in asked]
    assert sorted(answer.status for answer in told if answer) == [400, 400, 503, 503]
    for connection in asked:
        connection.close()
    assert hasty.ask(GET).status == 200


def test_a_flood_leaves_files_for_the_database(hasty: Store) -> None:
    """With 400 files to open and 2,000 connections, queries and status, which opens the journal, answer."""
    with crowd(hasty.port, 2_000, HALF_BODY):
        assert json.loads(hasty.ask(sql("SELECT 1 AS one")).body) == [{"one": 1}]
        assert json.loads(hasty.get("/api/v1/status").body)["rows"]["runs"] == 0
        assert psutil.Process(hasty.pid).num_fds() < 300


def test_answers_that_nobody_reads_keep_nobody_out(hasty: Store) -> None:
    """Who asks for much and does not read it is not being answered, and is cut off after api_limits.idle_time."""
    unread = []
    for _ in range(5):
        sock = socket.socket()
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4_096)
        sock.connect(("127.0.0.1", hasty.port))
        sock.sendall(sql("SELECT repeat('x', 50000) AS x FROM range(200)"))
        unread.append(sock)
        assert sock.recv(12) == b"HTTP/1.1 200"
    assert hasty.ask(GET).status == 200

    def gone() -> bool:
        return not any(c.status == "ESTABLISHED" for c in psutil.Process(hasty.pid).net_connections())

    until(gone, seconds=20, why="unread answers to be dropped")
    for sock in unread:
        sock.close()


def test_who_is_slow_is_cut_off_or_told(hasty: Store) -> None:
    """Half a head ends after header_time and an idle connection after idle_time; half a body gets 408 in words."""
    idle, head, body, answered = (hasty.connect() for _ in range(4))
    head.send(HALF_HEAD)
    body.send(HALF_BODY)
    answered.send(GET)
    assert answered.answer() is not None
    answered.send(b"\r\n")  # no request begins with it
    assert "api_limits.body_time" in error(body.answer(), 408)
    assert [c.ended() for c in (body, head, idle, answered)] == [True] * 4


REFUSED = {
    "a head of 40 kB": (
        b"GET /healthz HTTP/1.1\r\nHost: localhost\r\nX: " + b"x" * 40_000 + b"\r\n\r\n",
        431,
        "header_size",
    ),
    "40 kB without an end": (
        b"GET /healthz HTTP/1.1\r\nHost: localhost\r\nX: " + b"x" * 40_000,
        431,
        "api_limits.header_size",
    ),
    "a long path": (b"GET /" + b"x" * 40_000 + b" HTTP/1.1\r\nHost: localhost\r\n\r\n", 431, "api_limits.header_size"),
    "10,000 headers": (
        b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n" + b"".join(b"h%d: x\r\n" % i for i in range(10_000)) + b"\r\n",
        431,
        "api_limits.headers",
    ),
    "no host": (b"GET /healthz HTTP/1.1\r\n\r\n", 400, "Host"),
    "two hosts": (b"GET /healthz HTTP/1.1\r\nHost: localhost\r\nHost: localhost\r\n\r\n", 400, "Host"),
    "an empty host": (b"GET /healthz HTTP/1.1\r\nHost: \r\n\r\n", 400, "Host"),
    "no host in HTTP/1.0": (b"GET /healthz HTTP/1.0\r\n\r\n", 400, "Host"),
    "another's host": (b"GET /healthz HTTP/1.1\r\nHost: a.example:80\r\n\r\n", 421, 'hosts = ["a.example"]'),
    "two lengths": (
        b"POST /api/v1/sql HTTP/1.1\r\nHost: localhost\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\n{}",
        400,
        "lengths",
    ),
    "length and chunks": (
        SQL + b"Content-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        400,
        "lengths",
    ),
    "HTTP/2": (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + bytes(9), 400, "HTTP/1.1"),
    "TLS": (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(40), 400, "TLS"),
    "a body announced too large": (
        b"POST /api/v1/sql HTTP/1.1\r\nHost: localhost\r\nExpect: 100-continue\r\nContent-Length: 999999999\r\n\r\n",
        413,
        "api_limits.body",
    ),
    "a body too large in chunks": (
        SQL + b"Transfer-Encoding: chunked\r\n\r\n" + (b"10000\r\n" + b" " * 2**16 + b"\r\n") * 9,
        413,
        "api_limits.body",
    ),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_is_no_request_is_refused_in_one_sentence(usual: Store, case: str) -> None:
    """JSON with the setting or the reason, the end of the connection, and nothing behind it is read; 431, 400, 413."""
    sent, status, names = REFUSED[case]
    connection = usual.connect()
    connection.send(sent + GET)
    assert names in error(connection.answer(), status)
    assert connection.ended()
    connection.close()
    assert '"level": "error"' not in usual.log


@pytest.mark.parametrize("is_chunked", [False, True])
@pytest.mark.parametrize(("over", "status"), [(0, 400), (1, 413)])
def test_a_body_may_be_as_long_as_the_settings_say(usual: Store, over: int, status: int, is_chunked: bool) -> None:
    """128 KiB are read, and refused for what they ask alone; a byte more is 413, whether announced or in chunks."""
    body = b'{"sql": "SELECT 1"}'.ljust(128 * 2**10 + over)
    framed = (
        b"Transfer-Encoding: chunked\r\n\r\n%x\r\n%b\r\n0\r\n\r\n" if is_chunked else b"Content-Length: %d\r\n\r\n%b"
    )
    answer = usual.ask(SQL + framed % (len(body), body))
    assert answer.status == status


def test_a_client_never_sees_that_an_idle_connection_was_closed(hasty: Store) -> None:
    """However often the store makes room with its connection, the next question is answered."""
    client = Client(f"http://127.0.0.1:{hasty.port}")
    for _ in range(3):
        assert client.status()["rows"]
        with crowd(hasty.port, 200):
            assert client.sql("SELECT 1 AS one").table.num_rows == 1
    client.close()


def test_unread_answers_take_bounded_memory(patient: Store) -> None:
    """However many ask for much and read nothing, the store keeps so many bytes of answers and tells others to wait."""
    unread = []
    before = psutil.Process(patient.pid).memory_info().rss
    statuses = set()
    for _ in range(14):
        sock = socket.socket()
        sock.settimeout(30)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4_096)
        sock.connect(("127.0.0.1", patient.port))
        sock.sendall(sql("SELECT repeat('x', 60000) AS x FROM range(900)"))
        unread.append(sock)
        statuses.add(sock.recv(12))
    assert statuses == {b"HTTP/1.1 200", b"HTTP/1.1 503"}
    assert psutil.Process(patient.pid).memory_info().rss - before < 900 * 2**20
    assert patient.get("/api/v1/status").status == 200
    for sock in unread:
        sock.close()
    until(lambda: patient.ask(sql("SELECT 1 AS one")).status == 200, why="answers that nobody reads to be dropped")
