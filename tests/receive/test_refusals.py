"""What receive remembers of what it refused: how it is recognised, counted, bounded and ended."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from collector.control import Control, refusals
from collector.control.refusals import MOST, REASONS, Look, Refusal, Where, read
from collector.model.errors import BadInput, NoKey, NotNow, OtherSignal, TooLarge, Unsupported, WrongScope
from collector.receive import recognise
from collector.receive.books import outcome_of
from collector.receive.errors import NoSuchPath, NotAllowed, NotHttp, TooSlow, WrongMethod
from collector.receive.greeting import other_than_http
from collector.receive.refusals import Refusals
from collector.receive.via import Via, via
from tests.length import examples

MINUTE = 60 * 10**9
NOW = 1_795_500_000 * 10**9
LOGS: tuple[Where, str] = ("otlp", "logs")
PYTHON = Via("http", "python", "1.45")


class Clock:
    """A clock that goes when it is told to."""

    now_ns = NOW

    def __call__(self) -> int:
        """Return its time."""
        return self.now_ns


@pytest.fixture
def clock() -> Clock:
    """A clock."""
    return Clock()


@pytest.fixture
def control(tmp_path: Path) -> Control:
    """A control file."""
    return Control.open(tmp_path)


def only(control: Control) -> Refusal:
    """Return the one kind of refusal that is kept."""
    (refusal,) = control.reading(refusals.load)[0]
    return refusal


def test_refusals_are_bounded_and_visitors_make_room_first(control: Control, tmp_path: Path, clock: Clock) -> None:
    """However many kinds there are, 256 are kept in memory and in the file, and no visitor displaces an exporter."""
    memory = Refusals(control, clock)
    memory.refused(PYTHON, LOGS, "exporter", "bad_input")
    for i in range(MOST + 50):
        clock.now_ns += 1
        memory.refused(Via("http", "curl", f"1.{i}"), ("other", ""), "visitor", "no_such_path")
        if i % 40 == 0:
            memory.save(now=True)
    memory.save(now=True)
    rows = read(tmp_path / "control.sqlite")[0]
    assert len(rows) == MOST
    assert [r.agent_version for r in rows if r.look == "visitor"] == [f"1.{i}" for i in range(MOST + 49, 50, -1)]
    assert [r.agent for r in rows if r.look == "exporter"] == ["python"]


def test_it_ends_when_its_sender_is_taken(control: Control, clock: Clock) -> None:
    """A kind ends with the first request of the same exporter and signal that is taken after it, and no other's."""
    memory = Refusals(control, clock)
    memory.refused(PYTHON, LOGS, "exporter", "bad_input")
    for other, signal in (
        (Via("http", "js", "1.45"), "logs"),
        (Via("http", "python", "1.46"), "logs"),
        (PYTHON, "traces"),
    ):
        memory.taken(other, signal)
    memory.save(now=True)
    assert only(control).taken_ns == 0
    clock.now_ns += MINUTE
    memory.taken(Via("grpc", "python", "1.45"), "logs")
    clock.now_ns += MINUTE
    memory.taken(PYTHON, "logs")
    memory.save(now=True)
    assert (only(control).taken_ns, only(control).mixed) == (NOW + MINUTE, 0)


def test_taken_between_refusals_is_remembered(control: Control, clock: Clock) -> None:
    """Where requests of a kind are refused, taken and refused again it is mixed, until it rests for a quarter."""
    memory = Refusals(control, clock)
    for taken in (True, False):
        memory.refused(PYTHON, LOGS, "exporter", "bad_input")
        clock.now_ns += MINUTE
        if taken:
            memory.taken(PYTHON, "logs")
    memory.save(now=True)
    assert (only(control).mixed, only(control).taken_ns, only(control).count) == (1, 0, 2)
    clock.now_ns += 20 * MINUTE
    memory = Refusals(control, clock)
    memory.refused(PYTHON, LOGS, "exporter", "bad_input")
    memory.save(now=True)
    assert (only(control).mixed, only(control).count, only(control).first_ns) == (0, 3, NOW)


def test_a_nameless_one_ends_with_anybody(control: Control, clock: Clock) -> None:
    """Of bytes that never came to be a request nothing is known, so whoever is taken next ends them."""
    memory = Refusals(control, clock)
    memory.refused(Via("http"), ("none", ""), "exporter", "tls")
    memory.taken(PYTHON, "logs")
    memory.save(now=True)
    assert only(control).taken_ns == NOW


def test_what_has_begun_is_seen_at_once(control: Control, clock: Clock) -> None:
    """A kind that begins, and one that ends, is written when asked to save; a count alone waits."""
    memory = Refusals(control, clock)
    memory.refused(PYTHON, LOGS, "exporter", "bad_input")
    memory.save()
    assert only(control).count == 1
    memory.refused(PYTHON, LOGS, "exporter", "bad_input")
    memory.save()
    assert only(control).count == 1
    memory.taken(PYTHON, "logs")
    memory.save()
    assert (only(control).count, only(control).taken_ns) == (2, NOW)


def test_runwells_own_are_no_refusals(control: Control, clock: Clock) -> None:
    """Telemetry of runwell itself is not told as an exporter's mistake."""
    memory = Refusals(control, clock)
    memory.refused(Via("http", "python", "1.45", from_runwell=True), LOGS, "exporter", "unavailable")
    memory.save(now=True)
    assert control.reading(refusals.load) == ([], [])


LOOKS: tuple[Look, ...] = ("exporter", "sender", "visitor")
step = st.one_of(
    st.tuples(st.just("refused"), st.sampled_from("abc"), st.sampled_from(LOOKS), st.sampled_from(REASONS[:3])),
    st.tuples(st.just("taken"), st.sampled_from("abc")),
    st.tuples(st.just("wait"), st.integers(0, 20 * MINUTE)),
    st.tuples(st.sampled_from(["save", "restart"])),
)


@settings(max_examples=examples(30), deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(step, max_size=30))
def test_counts_add_up_through_restarts(tmp_path_factory: pytest.TempPathFactory, steps: list[tuple[str, ...]]) -> None:
    """After any history, restarts included, the file counts each refusal under its kind and each answer in its slot."""
    control, clock = Control.open(tmp_path_factory.mktemp("refusals")), Clock()
    memory = Refusals(control, clock)
    kinds: Counter[tuple[str, ...]] = Counter()
    slots: Counter[int] = Counter()
    for what, *rest in steps:
        slot = clock.now_ns // (5 * MINUTE)
        match what:
            case "refused":
                agent, look, reason = rest
                memory.refused(Via("http", agent), LOGS, look, reason)  # type: ignore[arg-type]
                kinds[agent, look, reason] += 1
                slots[slot] += 1
            case "taken":
                memory.taken(Via("http", rest[0]), "logs")
                slots[slot] += 1
            case "wait":
                clock.now_ns += int(rest[0])
            case "save":
                memory.save()
            case "restart":
                memory.save(now=True)
                memory = Refusals(control, clock)
    memory.save(now=True)
    rows, traffic = control.reading(refusals.load)
    control.close()
    assert {(r.agent, r.look, r.reason): r.count for r in rows} == kinds
    assert {t.slot_ns // (5 * MINUTE): t.answered for t in traffic} == slots
    assert sum(t.exporter + t.sender + t.visitor for t in traffic) == kinds.total()


@pytest.mark.parametrize(
    ("path", "kind"),
    [
        ("/v1/logs", ("otlp", "logs")),
        ("/v1development/profiles", ("otlp", "profiles")),
        ("/v1/logs/", ("like_otlp", "logs")),
        ("/V1/Traces", ("like_otlp", "traces")),
        ("/otlp/v1/metrics", ("like_otlp", "metrics")),
        ("/v1/traces/v1/traces", ("like_otlp", "traces")),
        ("/api/default/otlp", ("like_otlp", "")),
        ("/", ("other", "")),
        ("/.env", ("other", "")),
        ("/opentelemetry.proto.collector.logs.v1.LogsService/Export", ("grpc", "logs")),
        ("/opentelemetry.proto.experimental.arrow.v1.ArrowTracesService/ArrowTraces", ("grpc", "traces")),
        ("/grpc.health.v1.Health/Check", ("other", "")),
    ],
)
def test_paths_are_known_by_kind(path: str, kind: tuple[str, str]) -> None:
    """A path is OTLP's, like OTLP's, a gRPC method of OpenTelemetry, or another; never more of it is kept."""
    assert recognise.where(path) == kind


BODY = {"content-length": "9"}
PROTOBUF = {"content-type": "application/x-protobuf", **BODY}
BROWSER = {"user-agent": "Mozilla/5.0 (X11)"}


@pytest.mark.parametrize(
    ("path", "agent", "method", "headers", "look"),
    [
        ("/", "OTel-OTLP-Exporter-Python/1.45.2", "POST", {}, "exporter"),
        ("/", "OTel-OTLP-Exporter-Python/1.45.2", "GET", {}, "exporter"),
        ("/ingest", "Go-http-client/1.1", "POST", PROTOBUF, "exporter"),
        (
            "/ingest",
            "",
            "POST",
            {"content-type": "application/json; charset=utf-8", "transfer-encoding": "chunked"},
            "exporter",
        ),
        ("/ingest", "", "POST", {"content-type": "application/grpc-web+proto", **BODY}, "exporter"),
        ("/otlp/v1/logs", "", "POST", BODY, "exporter"),
        ("/v1/logs", "curl/8.5.0", "POST", BODY, "exporter"),
        ("/v1/logs", "", "PUT", BODY, "exporter"),
        ("/v1/logs", "", "GET", {}, "visitor"),
        ("/v1/logs", "", "POST", {**PROTOBUF, "content-length": "0"}, "visitor"),
        ("/v1/logs", "Mozilla/5.0", "OPTIONS", {**BROWSER, "access-control-request-method": "POST"}, "exporter"),
        ("/v1/logs", "Mozilla/5.0", "GET", BROWSER, "visitor"),
        ("/v1/logs", "curl/8.5.0", "GET", {}, "visitor"),
        ("/", "Mozilla/5.0", "GET", BROWSER, "visitor"),
        ("/.env", "scanner/1", "GET", {}, "visitor"),
        ("/submit", "", "POST", {"content-type": "text/plain", **BODY}, "sender"),
    ],
)
def test_an_exporter_is_known_by_agent_content_or_path(
    path: str, agent: str, method: str, headers: dict[str, str], look: str
) -> None:
    """Any of the three makes an exporter of it; who sends no body is a visitor, and whatever else has one a sender."""
    assert recognise.look(recognise.where(path)[0], via("http", agent), method, headers) == look


def test_calls_are_known_by_their_method() -> None:
    """A gRPC library's name alone makes no exporter; OpenTelemetry's methods and exporters do, probes are visits."""
    library = via("grpc", "grpc-go/1.60.0")
    looks = [
        recognise.look_of_call(method, library)
        for method in ("/opentelemetry.proto.x/Y", "/grpc.health.v1.Health/Check", "/jaeger.api_v2.Collector/Post")
    ]
    assert looks == ["exporter", "visitor", "sender"]
    assert recognise.look_of_call("/jaeger.api_v2.Collector/Post", Via("grpc", "collector")) == "exporter"


def test_every_error_has_a_reason() -> None:
    """Errors of each kind have a word of the closed set; what is no refusal is a defect."""
    greeting = (
        other_than_http(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", "another port"),
        other_than_http(b"\x16\x03\x01\x02\x00", "another port"),
    )
    errors = [
        NoSuchPath("x"),
        WrongMethod("x"),
        NotAllowed("x"),
        BadInput("x"),
        OtherSignal("x"),
        NotHttp("x"),
        *greeting,
        Unsupported("x"),
        TooLarge("x"),
        TooSlow("x"),
        NoKey("x"),
        WrongScope("x"),
        NotNow("x"),
        MemoryError(),
        ZeroDivisionError(),
    ]
    assert [recognise.reason(e) for e in errors if e is not None] == [
        "no_such_path",
        "wrong_method",
        "preflight",
        "bad_input",
        "other_signal",
        "not_http",
        "http2",
        "tls",
        "unsupported_encoding",
        "too_large",
        "too_slow",
        "no_key",
        "wrong_scope",
        "unavailable",
        "unavailable",
        "defect",
    ]
    assert recognise.reason(WrongMethod("x"), asks=True) == "preflight"


@pytest.mark.parametrize(
    ("begins", "reason"),
    [
        (b"PRI", "http2"),
        (b"PRI * HTTP/2.0\r\n\r\n", "http2"),
        (b"\x16", "tls"),
        (b"\x16\x03\x01\x02", "tls"),
        (b"\x16\x00", None),
        (b"P", None),
        (b"PROPFIND / HTTP/1.1\r\n", None),
        (b"POST /v1/logs HTTP/1.1\r\n", None),
    ],
)
def test_a_greeting_is_known_by_how_it_begins(begins: bytes, reason: str | None) -> None:
    """A greeting of HTTP/2 or TLS is known where no more than its first bytes have come; what may be HTTP is not."""
    error = other_than_http(begins, "another port")
    assert (recognise.reason(error) if error else None) == reason


def test_what_is_refused_is_counted_as_no_defect() -> None:
    """Whatever is recognised as a reason to refuse has a word in the books too, and is no defect of runwell."""
    assert "defect" not in {outcome_of(kind("why")) for kind, _ in recognise._REASONS}
