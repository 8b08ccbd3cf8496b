"""What `runwell doctor` says of requests that were refused: every mistake is made for real, and read in the report."""

from __future__ import annotations

import contextlib
import socket
import ssl
from collections.abc import Callable, Iterator
from dataclasses import asdict, replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import grpc
import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from collector.control.refusals import AGAIN, REASONS, SLOT_NS, UNKEPT, Reason, Refusal, Traffic
from collector.control.senders import Sender
from collector.decode import Accepted
from collector.doctor.found import LATELY_NS
from collector.doctor.refused import GRPC, OVER_HTTP1, QUIET_NS, REMEDIES, Remedy, path_of, refused, remedy_of, strays
from collector.model.units import HOUR_NS
from collector.receive import recognise
from tests.ops import traffic
from tests.ops.doctors import Doctor, checks, posing
from tests.ops.traffic import Scrape, call, post
from tests.otlp.receiver import Receiver, receiving
from tests.stack import until

AGENT = "OTel-OTLP-Exporter-Python/1.45.2"
PROTOBUF = "application/x-protobuf"
DOCS = Path(__file__).parents[2] / "docs/doctor.md"
NOW = 1_795_500_000 * 10**9


@pytest.fixture
def doctor(capsys: pytest.CaptureFixture[str]) -> Doctor:
    """The command."""
    return Doctor(capsys)


@pytest.fixture(scope="module")
def receiver(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Receiver]:
    """A receive process and its gate that take bodies of up to 64 KiB, slowly sent ones for a second."""
    data = tmp_path_factory.mktemp("refused") / "data"
    limits = {"body": 65_536, "body_time": timedelta(seconds=1), "header_size": 4_096}
    with receiving(data, limits=limits) as made:
        where = {"http": made.http_port, "grpc": made.grpc_port}
        addresses = {name: {"host": "127.0.0.1", "port": port} for name, port in where.items()}
        with posing(data, **addresses):
            yield made


def http(path: str, method: str = "POST", content: bytes = b"", **headers: str) -> Callable[[Receiver], object]:
    """Return what sends a request of an exporter, with other headers where given."""
    sent = {"user-agent": AGENT, "content-type": PROTOBUF} | {k.replace("_", "-"): v for k, v in headers.items()}

    def send(to: Receiver) -> object:
        body = None if method == "GET" else content or traffic.logs(1)
        return httpx.request(method, to.url + path, content=body, headers=sent, trust_env=False)

    return send


def raw(data: bytes) -> Callable[[Receiver], object]:
    """Return what sends bytes to the HTTP port and waits for the answer."""

    def send(to: Receiver) -> object:
        with socket.create_connection(("127.0.0.1", to.http_port)) as s:
            s.settimeout(10)
            s.sendall(data)
            return s.recv(4096)

    return send


def tls(to: Receiver) -> None:
    """Begin TLS on the HTTP port, as an endpoint with https:// does."""
    with socket.create_connection(("127.0.0.1", to.http_port)) as s, contextlib.suppress(ssl.SSLError, OSError):
        ssl.create_default_context().wrap_socket(s, server_hostname="localhost")


def rpc(port: str, method: str) -> Callable[[Receiver], object]:
    """Return what makes a gRPC call to a port."""

    def send(to: Receiver) -> object:
        with grpc.insecure_channel(f"127.0.0.1:{getattr(to, port)}") as channel, contextlib.suppress(grpc.RpcError):
            return channel.unary_unary(method)(b"", timeout=3)

    return send


CANARY = "canary7f3a"
LOGS = "/opentelemetry.proto.collector.logs.v1.LogsService/Export"
HEAD = f"POST /v1/logs HTTP/1.1\r\nHost: localhost\r\nUser-Agent: {AGENT}\r\nContent-Type: {PROTOBUF}\r\n".encode()
MISTAKES: list[tuple[Reason, Callable[[Receiver], object]]] = [
    ("no_such_path", http("/otlp/v1/logs")),
    ("no_such_path", http("/v1/traces/v1/logs")),
    ("no_such_path", http(f"/{CANARY}/v1/logs", user_agent=CANARY, x_other=CANARY)),
    ("no_such_path", http("/")),
    ("no_such_path", http(LOGS, content_type="application/grpc-web+proto", user_agent="grpc-web-javascript/0.1")),
    ("wrong_method", http("/v1/logs", method="GET")),
    ("preflight", http("/v1/logs", method="OPTIONS", origin="https://a.b", access_control_request_method="POST")),
    ("bad_input", lambda to: post(to.url, "logs", b"\xff", user_agent=AGENT)),
    ("other_signal", lambda to: post(to.url, "traces", traffic.logs(1), user_agent=AGENT)),
    ("other_signal", http("/v1/traces", content=b'{"resourceLogs": [{}]}', content_type="application/json")),
    ("bad_input", lambda to: call(f"127.0.0.1:{to.grpc_port}", "traces", b"\xff")),
    ("other_signal", lambda to: call(f"127.0.0.1:{to.grpc_port}", "traces", traffic.logs(1))),
    (
        "nothing_read",
        http("/v1/logs", content=b'{"resourceLogs": [{"streams": [1]}]}', content_type="application/json"),
    ),
    ("nothing_read", lambda to: call(f"127.0.0.1:{to.grpc_port}", "logs", b"\x0a\x03\x2a\x01x")),
    ("all_rejected", lambda to: post(to.url, "traces", traffic.spans(0, bad=2), user_agent=AGENT)),
    ("wrong_host", raw(HEAD.replace(b"localhost", b"a.example") + b"Content-Length: 0\r\n\r\n")),
    ("not_http", raw(HEAD.replace(b"Host", b"Guest") + b"Content-Length: 0\r\n\r\n")),
    ("http2", rpc("http_port", LOGS)),
    ("tls", tls),
    ("unsupported_type", http("/v1/logs", content_type="text/plain")),
    ("unsupported_encoding", http("/v1/logs", content_encoding="br")),
    ("too_large", lambda to: post(to.url, "logs", bytes(70_000), user_agent=AGENT)),
    ("head_too_large", http("/v1/logs", x_long="x" * 5_000)),
    ("too_slow", raw(HEAD + b"Content-Length: 9\r\n\r\n{")),
    ("no_such_grpc_method", rpc("grpc_port", "/opentelemetry.proto.experimental.arrow.v1.ArrowLogsService/ArrowLogs")),
]
VISITS = [
    http("/", method="GET", user_agent="Mozilla/5.0 (X11)"),
    http("/v1/logs", method="GET", user_agent="Mozilla/5.0 (X11)"),
    http("/v1/logs", method="GET", user_agent="", content_type=""),
    rpc("grpc_port", "/grpc.health.v1.Health/Check"),
    raw(b"HELLO\r\n\r\n"),
]


@pytest.mark.e2e
def test_every_mistake_of_an_exporter_is_found(doctor: Doctor, receiver: Receiver) -> None:
    """Each way in which an exporter is refused is a problem that says what is lost and what to do, and is over once it
    is taken; a visitor's is a note; all of them are in /metrics, and nothing of what was sent is kept."""
    before = Scrape(receiver.url).value("runwell_receive_requests_total")
    for _, send in MISTAKES:
        send(receiver)
    for visit in VISITS:
        visit(receiver)

    def seen() -> dict[str, Any] | None:
        _, report = doctor.json("--data", str(receiver.data))
        reasons = [c["facts"]["reason"] for c in report["checks"] if c["name"] == "refused"]
        return report if {reason for reason, _ in MISTAKES} <= set(reasons) else None

    report = until(seen, seconds=15, why="every mistake in the report")
    rows = [c for c in report["checks"] if c["name"] == "refused"]
    problems = [c for c in rows if c["state"] == "problem"]
    assert sum(c["facts"]["count"] for c in problems) >= len(MISTAKES) - 1  # gRPC may knock more than once
    assert {c["facts"]["reason"] for c in problems} == {r for r, _ in MISTAKES}
    assert sum(c["facts"]["count"] for c in rows if c["facts"]["look"] == "visitor") == len(VISITS)
    for c in problems:
        assert "what it had to send is lost" in c["message"]
        over_http1 = c["facts"]["reason"] == "no_such_path" and c["facts"]["where"] == "grpc"
        remedy = OVER_HTTP1 if over_http1 else remedy_of(c["facts"]["reason"], c["facts"]["transport"])
        signal = c["facts"]["signal"] or "logs"
        helps = remedy.helps.format(
            http=receiver.url, grpc=f"http://127.0.0.1:{receiver.grpc_port}", signal=signal, path=path_of(signal)
        )
        assert c["message"].endswith(f"To do: {helps}")
    counted = Scrape(receiver.url).value("runwell_receive_requests_total") - before
    assert counted >= len(MISTAKES) + len(VISITS)

    for signal, body in (("logs", traffic.logs(1)), ("traces", traffic.spans(1))):
        assert post(receiver.url, signal, body, user_agent=AGENT).status_code == 200

    def over() -> list[str] | None:
        _, report = doctor.json("--data", str(receiver.data))
        ended = [m for m in checks(report, "refused", "note") if m.startswith("python-1.45.2")]
        return ended if not [m for m in checks(report, "refused", "problem") if m.startswith("python")] else None

    ended = until(over, seconds=15, why="the exporter's refusals to be over")
    assert ended
    assert not [p.name for p in receiver.data.glob("control*") if CANARY.encode() in p.read_bytes()]
    assert all("it is over: taken since" in said for said in ended)


@pytest.mark.parametrize("remedy", [*REMEDIES.values(), *GRPC.values()], ids=[*REMEDIES, *(f"grpc-{r}" for r in GRPC)])
def test_every_reason_has_a_remedy_that_is_documented(remedy: Remedy) -> None:
    """Each reason says what it means and what helps, and docs/doctor.md has both, word for word."""
    helps = remedy.helps.format(http="`http://HOST:4318`", grpc="`http://HOST:4317`", signal="logs", path="/v1/logs")
    codes = " / ".join(filter(None, (remedy.code, remedy.grpc_code)))
    assert f"| {codes} | {remedy.means} | {helps} |" in DOCS.read_text()


def test_the_read_api_is_no_place_for_exporters() -> None:
    """What came to its port is a problem that names the right one, until the same exporter is taken there."""
    at = NOW - 60 * 10**9
    row = {**asdict(kind("no_such_path", first_ns=at)), "transport": "api"}
    for last_ns, state in ((0, "problem"), (at - 1, "problem"), (at + 1, "note")):
        sender = Sender("http", "logs", "json", "python", "1.45", "", "", "", first_ns=last_ns, last_ns=last_ns)
        (check,) = refused(strays([row], [sender] if last_ns else []), [], NOW, "http://otlp", "http://grpc")
        assert check.state == state
        assert "python-1.45 at the read API was refused 3 times (404, logs), from" in check.message
        assert ("To do: point it at http://otlp, or over gRPC at http://grpc" in check.message) == (state == "problem")


def kind(reason: Reason = "bad_input", look: str = "exporter", **rest: Any) -> Refusal:
    """Return a kind of refusal, last seen a minute ago."""
    at = NOW - 60 * 10**9
    usual = {"agent": "python", "agent_version": "1.45", "where": "otlp", "count": 3, "first_ns": at, "last_ns": at}
    return Refusal(transport="http", signal="logs", look=look, reason=reason, **(usual | rest))  # type: ignore[arg-type]


def state(r: Refusal, traffic: Traffic | None = None, later_ns: int = 0) -> str | None:
    """Return how a kind is told *later_ns* after now; None where it is not told any more."""
    (check,) = refused([r], [traffic] if traffic else [], NOW + later_ns)
    return None if check.facts.get("reason") is None else check.state


def test_a_refusal_is_not_cried_for_ever() -> None:
    """It is a note once the same exporter is taken, and gone after a day; until then it stays a problem."""
    taken = kind(taken_ns=NOW)
    assert [state(kind()), state(kind(), later_ns=12 * HOUR_NS), state(kind(), later_ns=LATELY_NS)] == [
        "problem",
        "problem",
        None,
    ]
    assert (state(taken), state(taken, later_ns=LATELY_NS)) == ("note", None)


def test_what_is_taken_in_between_does_not_hide_it() -> None:
    """Where some requests of a kind are taken and others refused, and where nothing is known of the sender, it is over
    only after a quarter of an hour without a refusal."""
    for r in (kind(mixed=1, taken_ns=NOW), kind("tls", where="none", agent="none", taken_ns=NOW)):
        assert (state(r), state(r, later_ns=QUIET_NS)) == ("problem", "note")


def test_what_may_be_sent_again_is_told_apart() -> None:
    """A 503 loses nothing of a client that sends again, and is over in an hour; anything else loses what was sent."""
    for reason in REASONS:
        (check,) = refused([kind(reason)], [], NOW)
        assert ("what it had to send is lost" in check.message) == (reason not in AGAIN)
        assert ("loses nothing" in check.message) == (reason in AGAIN)
        a_note = reason in AGAIN or reason == "not_stored"
        assert state(kind(reason), later_ns=2 * HOUR_NS) == ("note" if a_note else "problem")


def test_what_is_told_is_of_its_transport_and_signal() -> None:
    """Nothing of HTTP is said over gRPC, and the path that is to be added is that of the signal, such as it is."""
    for reason in GRPC:
        (check,) = refused([replace(kind(reason), transport="grpc")], [], NOW, "http://otlp", "http://grpc")
        assert not [
            word for word in ("Content-Type", "path", "/v1/", "http/protobuf", "otlp:") if word in check.message
        ]
        assert "http://grpc" in check.message
    (check,) = refused([replace(kind("no_such_path", where="like_otlp"), signal="profiles")], [], NOW, "http://otlp")
    assert "let the exporter add /v1development/profiles;" in check.message
    assert "/v1/profiles" not in check.message


@pytest.mark.parametrize("reason", sorted(UNKEPT))
def test_of_whom_nothing_is_kept_is_told(reason: Reason) -> None:
    """A success with nothing kept is told with who sends, how often, and what is wrong; over once a record is kept."""
    (check,) = refused([kind(reason)], [], NOW)
    assert check.message.startswith("python-1.45 over http was answered 3 times with nothing kept (200, logs), from")
    assert "what it had to send is lost. To do: " in check.message
    assert state(kind(reason, taken_ns=NOW)) == "note"


@given(st.integers(0, 2), st.integers(0, 2), st.booleans(), st.booleans())
def test_what_is_kept_of_a_request_says_whether_it_is_well(
    records: int, rejected: int, unread: bool, duplicate: bool
) -> None:
    """A request with a record that is kept is well, one that held nothing too, and one that came again."""
    noted = {"nothing_read": 1} if unread else {}
    said = Accepted(records, rejected, "", {"span_id_invalid": rejected}, noted, duplicate=duplicate)
    assert (recognise.unkept(said) is None) == bool(records or duplicate or not (rejected or unread))
    assert recognise.unkept(Accepted(0, 1, "", {"signal_not_stored": 1})) == "not_stored"


@pytest.mark.parametrize(
    ("look", "answered", "refusals", "expected"),
    [
        ("sender", 100, 1, "note"),
        ("sender", 100, 2, "problem"),
        ("sender", 1, 1, "problem"),
        ("visitor", 1, 1, "note"),
        ("visitor", 900, 9, "note"),
        ("visitor", 900, 10, "problem"),
        ("visitor", 1000, 10, "note"),
        ("exporter", 10**6, 1, "problem"),
    ],
)
def test_others_are_a_problem_above_one_percent(look: str, answered: int, refusals: int, expected: str) -> None:
    """What is no exporter is a problem above 1 % of the last hour's requests, and a visitor not before the tenth; what
    was refused in earlier hours is not."""
    slot = NOW // SLOT_NS * SLOT_NS
    hour = Traffic(slot, answered, **{look: refusals})  # type: ignore[arg-type]
    assert state(kind(look=look), hour) == expected
    old = kind(look=look, last_ns=NOW - 2 * HOUR_NS)
    assert state(old, hour) == ("problem" if look == "exporter" else "note")
    assert state(kind(look=look), Traffic(slot - 2 * HOUR_NS, 1, **{look: 20})) == (  # type: ignore[arg-type]
        "problem" if look == "exporter" else "note"
    )


def test_many_kinds_are_summed_up() -> None:
    """Of very many kinds the worst are told one by one and the rest in one line, which is a problem if one of it is."""
    checks_ = refused([kind(agent_version=f"1.{i}") for i in range(99)] + [kind(look="visitor", agent="none")], [], NOW)
    assert [c.state for c in checks_] == ["problem"] * 41
    assert "180 requests of 60 further kinds" in checks_[-1].message
