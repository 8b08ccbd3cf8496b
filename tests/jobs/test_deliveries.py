"""Deliveries: at least once with the same key, through kills and outages, and no channel waits for another."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any

import pytest

from collector.control import Control, firings
from collector.control import reports as control_reports
from collector.jobs.deliveries import Deliveries, Send
from collector.report.notify import NotSent
from collector.report.notify.message import Message
from collector.settings.reports import Channel, Reports
from tests.report import a_report
from tests.report.notify import endpoints
from tests.report.notify.endpoints import Endpoint

S = 10**9
HOUR = 3_600 * S
NOW = 1_795_500_000 * S


class Killed(BaseException):
    """The process ended here."""


class Clock:
    """A clock that stands until it is set."""

    now = NOW

    def __call__(self) -> int:
        return self.now


def settings(*urls: str, **more: Any) -> Reports:
    """Return settings with a webhook for each URL, called a, b, …."""
    hooks = [{"name": n, "type": "webhook", "url": u, "secret": "s" * 20} for n, u in zip("abc", urls, strict=False)]
    return Reports.model_validate({"channels": hooks, "internal_hosts": ["127.0.0.1"], **more})


@pytest.fixture
def control(tmp_path: Path) -> Iterator[Control]:
    """Open a control file with a report that is owed to a and b."""
    opened = Control.open(tmp_path)
    opened.writing(firings.hand_over, a_report.night(), ["a", "b"], NOW)
    yield opened
    opened.close()


@pytest.fixture
def clock() -> Clock:
    """Return a clock."""
    return Clock()


@pytest.fixture
def endpoint() -> Iterator[Endpoint]:
    """Serve HTTP on loopback."""
    with endpoints.http() as server:
        yield server


def turn(control: Control, reports: Reports, clock: Clock, send: Send | None = None, channel: str = "a") -> None:
    """Let a process that has just started look once after *channel*."""
    Deliveries(control, reports, send, clock).postmen[channel].turn()


def states(control: Control) -> dict[str, tuple[str, int]]:
    """Return state and attempts by channel."""
    return {d.channel: (d.state, d.attempts) for d in control.reading(firings.deliveries)}


def failing(reason: str = "no", after_s: float | None = None) -> Send:
    """Return a channel that takes nothing."""

    def send(channel: Channel, message: Message) -> str:
        raise NotSent(reason, retry_after_s=after_s)

    return send


def test_what_is_owed_is_sent_once_and_crossed_out(control: Control, clock: Clock, endpoint: Endpoint) -> None:
    """The ledger says so; nothing is sent a second time by anybody."""
    reports = settings(f"http://127.0.0.1:{endpoint.port}/", "https://b.example/")
    for _ in range(3):
        turn(control, reports, clock)
    assert states(control) == {"a": ("sent", 1), "b": ("waiting", 0)}
    (got,) = endpoint.arrived
    assert json.loads(got.body)["data"]["report"]["id"] == a_report.night().id


def test_a_kill_between_sending_and_noting_sends_again_with_the_same_key(
    control: Control, clock: Clock, endpoint: Endpoint, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The receiver gets the same body under the same key twice: at least once, and it can tell."""
    reports = settings(f"http://127.0.0.1:{endpoint.port}/")
    with monkeypatch.context() as m:
        m.setattr(firings, "update", lambda db, d: (_ for _ in ()).throw(Killed))
        with pytest.raises(Killed):
            turn(control, reports, clock)
    turn(control, reports, clock)
    first, second = endpoint.arrived
    assert first.headers["idempotency-key"] == second.headers["idempotency-key"]
    assert first.body == second.body
    assert states(control)["a"] == ("sent", 1)


def test_a_channel_that_is_down_is_tried_again_until_it_is_up(
    control: Control, clock: Clock, endpoint: Endpoint
) -> None:
    """Pauses double from ten seconds to half an hour, restarts keep them, and what waited arrives with its key."""
    reports = settings(f"http://127.0.0.1:{endpoint.port}/")
    endpoint.status = 503
    pauses = []
    for _ in range(11):
        turn(control, reports, clock)
        (d,) = [d for d in control.reading(firings.waiting) if d.channel == "a"]
        assert d.note == "it answered 503"
        pauses.append((d.due_ns - clock.now) // S)
        clock.now = d.due_ns - 1
        turn(control, reports, clock)
        clock.now = d.due_ns
    assert pauses == [10, 20, 40, 80, 160, 320, 640, 1280, 1800, 1800, 1800]
    assert len(endpoint.arrived) == 11
    endpoint.status = 200
    turn(control, reports, clock)
    assert states(control)["a"] == ("sent", 12)
    assert len({got.headers["idempotency-key"] for got in endpoint.arrived}) == 1


def test_a_channel_that_is_down_for_long_is_given_up_and_says_so(control: Control, clock: Clock) -> None:
    """After `reports.give_up` the ledger keeps the reason; a clock that jumps alone gives nothing up."""
    reports = settings("https://a.example/", give_up=3600)
    clock.now += 10 * HOUR
    for attempt in range(1, 6):
        turn(control, reports, clock, failing("nothing answers there"))
        assert states(control)["a"] == ("waiting" if attempt < 5 else "given_up", attempt)
        clock.now += HOUR
    turn(control, reports, clock, failing())
    (d,) = [d for d in control.reading(firings.deliveries) if d.channel == "a"]
    assert (d.attempts, d.note) == (5, "nothing answers there")
    assert d.ended_ns is not None


@pytest.mark.parametrize(("asked_s", "pause_s"), [(120.0, 120), (1.0, 10)])
def test_an_answer_may_ask_for_a_longer_pause(control: Control, clock: Clock, asked_s: float, pause_s: int) -> None:
    """It is kept where it is longer than the usual one."""
    turn(control, settings("https://a.example/"), clock, failing(after_s=asked_s))
    assert control.reading(firings.waiting)[-1].due_ns == NOW + pause_s * S


def test_a_clock_that_went_back_puts_nothing_off(control: Control, clock: Clock) -> None:
    """A pause that is longer than any is over."""
    reports = settings("https://a.example/")
    turn(control, reports, clock, failing())
    clock.now -= 24 * HOUR
    turn(control, reports, clock, failing())
    assert states(control)["a"] == ("waiting", 2)


def test_a_defect_of_a_sender_counts_as_a_failure(control: Control, clock: Clock) -> None:
    """It is named by its type, tried again, and what it says is not repeated."""

    def send(channel: Channel, message: Message) -> str:
        raise ValueError("secret")

    turn(control, settings("https://a.example/"), clock, send)
    (d,) = [d for d in control.reading(firings.deliveries) if d.channel == "a"]
    assert (d.state, d.note) == ("waiting", "ValueError; the store's log says more")


def test_a_report_that_is_not_kept_any_more_is_given_up(control: Control, clock: Clock) -> None:
    """There is nothing to send."""
    control.writing(firings.owe, "0" * 16, ["c"], NOW)
    turn(control, settings(*["https://a.example/"] * 3), clock, failing(), channel="c")
    (d,) = control.reading(firings.deliveries, "0" * 16)
    assert (d.state, d.attempts) == ("given_up", 0)


@pytest.fixture
def run() -> Iterator[Callable[[Deliveries], None]]:
    """Return how deliveries are started; they end with the test."""
    begun: list[Deliveries] = []

    def start(deliveries: Deliveries) -> None:
        begun.append(deliveries)
        deliveries.start()

    yield start
    assert all(deliveries.stop(20.0) for deliveries in begun)


def test_a_slow_channel_holds_up_no_other(
    control: Control, endpoint: Endpoint, run: Callable[[Deliveries], None]
) -> None:
    """While one does not answer, the other has the report; both have it in the end."""
    over = threading.Event()
    with endpoints.http() as slow:

        def act(handler: BaseHTTPRequestHandler) -> None:
            over.wait(20)
            handler.send_response(200)
            handler.end_headers()

        slow.act = act
        reports = settings(f"http://127.0.0.1:{slow.port}/", f"http://127.0.0.1:{endpoint.port}/")
        run(Deliveries(control, reports))
        endpoints.until(lambda: states(control)["b"] == ("sent", 1))
        assert states(control)["a"] == ("waiting", 0)
        over.set()
        endpoints.until(lambda: states(control)["a"] == ("sent", 1))


def test_mail_and_webhooks_go_out_from_threads(
    control: Control, endpoint: Endpoint, run: Callable[[Deliveries], None]
) -> None:
    """What is owed is delivered without being asked for, and what is owed later when it is said."""
    with endpoints.smtp() as (mailbox, port):
        channels = [
            {"name": "a", "type": "apprise", "url": f"mailto://127.0.0.1:{port}?from=r@example.org&to=a@example.com"},
            {"name": "b", "type": "webhook", "url": f"http://127.0.0.1:{endpoint.port}/", "secret": "s" * 20},
        ]
        deliveries = Deliveries(
            control, Reports.model_validate({"channels": channels, "internal_hosts": ["127.0.0.1"]})
        )
        run(deliveries)
        endpoints.until(lambda: states(control) == {"a": ("sent", 1), "b": ("sent", 1)})
        other = a_report.nothing().model_copy(update={"id": "0" * 16})
        control.writing(control_reports.save, other)
        control.writing(firings.owe, other.id, ["a"], NOW)
        deliveries.wake()
        endpoints.until(lambda: len(mailbox.mails) == 2)
        assert len({str(mail["Message-ID"]) for mail in mailbox.mails}) == 2


def test_what_is_owed_to_a_channel_that_is_no_more_is_given_up(
    control: Control, clock: Clock, run: Callable[[Deliveries], None]
) -> None:
    """It says so, and nothing waits for ever."""
    run(Deliveries(control, settings("https://a.example/"), lambda c, m: "", clock))
    assert states(control)["b"] == ("given_up", 0)
    endpoints.until(lambda: states(control)["a"][0] == "sent")
