"""A group of requests as a value: each is decided by itself, and what is said depends on rows only where it should."""

from __future__ import annotations

import gzip
import json
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from collector.decode import Accepted
from collector.decode.names import Projects
from collector.model.errors import BadInput, TooLarge
from collector.model.signals import LOGS, TRACES, Signal
from collector.receive import group
from collector.receive import plain as plain_of
from collector.receive.group import Decided, Decoder, Group, Request
from collector.receive.plain import unpack
from collector.receive.resends import Resends
from collector.receive.via import Via
from collector.settings import Limits, Names

NOW = 1_795_500_000 * 10**9
HOUR = 3_600 * 10**9


def request(
    body: bytes, *, compression: str = "", project: str = "p", signal: Signal = LOGS, from_runwell: bool = False
) -> Request:
    """Return a request in OTLP/JSON whose answer nobody hears."""
    return Request(
        project, signal, "json", compression, [body], NOW, Via("http", from_runwell=from_runwell), lambda said: None
    )


def logs(*messages: str) -> bytes:
    """Return a body with a record for each of *messages*."""
    records = [{"body": {"stringValue": message}} for message in messages]
    return json.dumps({"resourceLogs": [{"scopeLogs": [{"logRecords": records}]}]}).encode()


class Line:
    """Requests that wait, the first one first."""

    def __init__(self, *requests: Request) -> None:
        self.waiting = list(requests)
        self.costs: list[float] = []

    def next(self) -> Request | None:
        """Return the first, None when none waits."""
        return self.waiting.pop(0) if self.waiting else None

    def charge(self, request: Request, cost: float) -> None:
        """Keep what each cost."""
        self.costs.append(cost)


def decided(*requests: Request, resends: Resends | None = None) -> Group:
    """Return the group of *requests*."""
    return Decoder(Limits(), Projects(Names()), resends or Resends(HOUR)).group(Line(*requests))


def digest(r: Request) -> bytes:
    """Return the digest of a request."""
    return unpack(r.project, r.signal.name, r.encoding, r.compression, b"".join(r.parts), 2**20).digest


def bodies(made: Group) -> list[Any]:
    """Return the message of every row."""
    tables = made.rows.tables()
    return tables["logs"].column("body").to_pylist() if tables else []


def test_what_is_wrong_with_one_request_concerns_only_that_one() -> None:
    """The others are decoded as if it had not come, in the order they came."""
    made = decided(request(logs("a")), request(b"{"), request(b"no gzip", compression="gzip"), request(logs("b", "c")))
    assert bodies(made) == ["a", "b", "c"]
    assert [d.said.records if isinstance(d.said, Accepted) else type(d.said) for d in made.decided] == [
        1,
        BadInput,
        BadInput,
        2,
    ]
    assert [d.needs_rows for d in made.decided] == [True, False, False, True]


def test_a_copy_in_the_same_group_has_no_rows_and_needs_those_of_the_first() -> None:
    """It is told that it is one; however it was compressed, and only within its project."""
    first = logs("a")
    made = decided(request(first), request(gzip.compress(first), compression="gzip"), request(first, project="another"))
    assert bodies(made) == ["a", "a"]
    assert [(_said(d).duplicate, d.needs_rows) for d in made.decided] == [(False, True), (True, True), (False, True)]
    assert len(made.fresh) == 2


def test_the_same_bytes_are_another_request_of_another_signal() -> None:
    """What can be read as logs and as spans is both, in a group and of one taken before."""
    span = {"traceId": "01" * 16, "spanId": "02" * 8, "name": "n"}
    both = json.dumps(json.loads(logs("a")) | {"resourceSpans": [{"scopeSpans": [{"spans": [span]}]}]}).encode()
    made = decided(request(both), request(both, signal=TRACES))
    assert {name: table.num_rows for name, table in made.rows.tables().items() if name in ("logs", "spans")} == {
        "logs": 1,
        "spans": 1,
    }
    assert [_said(d).duplicate for d in made.decided] == [False, False]
    resends = Resends(HOUR)
    resends.add(digest(request(both)), NOW - 1, Accepted(1, 0, ""))
    assert [_said(d).duplicate for d in decided(request(both, signal=TRACES), resends=resends).decided] == [False]


def test_what_was_taken_before_is_said_again_and_needs_no_rows() -> None:
    """Its digest is known; where what was said is not known any more, it is read again, once, and its rows are left
    out.
    """
    body = logs("a", "b")
    known = digest(request(body))
    for said in (Accepted(2, 0, ""), None):
        resends = Resends(HOUR)
        if said:
            resends.add(known, NOW - 1, said)
        else:
            resends.load([(known, NOW - 1)])
        made = decided(request(body), resends=resends)
        assert (bodies(made), made.fresh) == ([], {})
        (only,) = made.decided
        assert (_said(only).records, _said(only).duplicate, only.needs_rows) == (2, True, False)
        assert resends.find(known, NOW) == Accepted(2, 0, "", duplicate=True)


def test_a_request_without_records_needs_nothing() -> None:
    """It is accepted whatever becomes of the journal."""
    made = decided(request(b"{}"), request(b'{"resourceLogs":[]}'))
    assert [(_said(d).total, d.needs_rows) for d in made.decided] == [(0, False), (0, False)]
    assert made.rows.tables() == {}


def test_without_its_rows_a_group_settles_as_lost_what_needed_them() -> None:
    """A copy is lost with the first; what was kept before is not; what could not be decoded is in no books."""
    body = logs("a")
    before = logs("known")
    resends = Resends(HOUR)
    resends.add(digest(request(before)), NOW - 1, Accepted(1, 0, ""))
    made = decided(request(body), request(body), request(before), request(b"{"), resends=resends)
    settled = [(s.said.duplicate, s.written) for s in made.settled(written=True)]
    assert settled == [(False, True), (True, True), (True, True)]
    settled = [(s.said.duplicate, s.written) for s in made.settled(written=False)]
    assert settled == [(False, False), (False, False), (True, True)]


def test_a_group_ends_where_it_would_cost_too_much(monkeypatch: pytest.MonkeyPatch) -> None:
    """Those beyond it wait on; one alone always is decided, and what each cost is counted for its sender."""
    monkeypatch.setattr(group, "_GROUP_WORK", 100)
    line = Line(*(request(logs("a" * 200, str(n), "b")) for n in range(3)))
    decoder = Decoder(Limits(), Projects(Names()), Resends(HOUR))
    assert len(decoder.group(line).decided) == 1
    assert len(line.waiting) == 2
    assert line.costs[0] > 100


def test_what_is_too_much_is_left_to_be_decoded_apart() -> None:
    """By its size once it was unpacked or by what it holds; the others of the group are as if it had not come."""
    wide = gzip.compress(logs("a" * 2**17))
    many = gzip.compress(logs(*[""] * 3_000))
    made = decided(request(logs("a")), request(wide, compression="gzip"), request(many, compression="gzip"))
    assert bodies(made) == ["a"]
    assert [len(made.decided), len(made.apart), len(made.fresh)] == [1, 2, 1]
    assert request(b" " * 70_000).is_large
    assert not request(wide, compression="gzip").is_large


def test_a_defect_concerns_only_the_request_that_meets_it(monkeypatch: pytest.MonkeyPatch) -> None:
    """What we fail at without knowing why is refused as bad input, and the others are kept."""
    with _failing_at(monkeypatch, b"two"):
        made = decided(request(logs("one")), request(logs("two")), request(logs("three")))
    assert bodies(made) == ["one", "three"]
    assert isinstance(made.decided[1].said, BadInput)


def test_a_plain_body_has_a_size() -> None:
    """Beyond it nothing is unpacked, and the digest is that of the plain body."""
    body = logs("a")
    packed = gzip.compress(body)
    as_sent = unpack("p", "logs", "json", "", body, len(body))
    assert as_sent == unpack("p", "logs", "json", "gzip", packed, len(body))
    with pytest.raises(TooLarge):
        unpack("p", "logs", "json", "gzip", packed, len(body) - 1)


def test_a_group_is_its_own_only_when_all_of_it_is() -> None:
    """Only then does writing it make no telemetry in turn."""
    assert decided(request(logs("a"), from_runwell=True)).from_runwell
    assert not decided(request(logs("a"), from_runwell=True), request(logs("b"))).from_runwell


def _said(d: Decided) -> Accepted:
    assert isinstance(d.said, Accepted)
    return d.said


@contextmanager
def _failing_at(monkeypatch: pytest.MonkeyPatch, words: bytes) -> Iterator[None]:
    """Let what decompresses fail for bodies with *words* in them."""

    def fail(body: bytes, encoding: str, cap: int) -> bytes:
        if words in body:
            raise ZeroDivisionError
        return body

    with monkeypatch.context() as m:
        m.setattr(plain_of, "decompress", fail)
        yield
