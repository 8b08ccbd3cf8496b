"""A body is decoded in receive or apart from it: what is said, what is kept and what is known then are the same."""

from __future__ import annotations

import queue
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from collector.decode.names import Projects
from collector.journal.entries import unpack
from collector.model.errors import BadInput, TooLarge
from collector.model.signals import LOGS, METRICS, TRACES, Encoding, Signal
from collector.receive import group
from collector.receive.apart import Apart
from collector.receive.group import Decoded, Decoder, Group, Request
from collector.receive.resends import Resends
from collector.receive.turns import Who
from collector.receive.via import Via
from collector.settings import Limits, Names, Settings
from tests.decode.messages import NOW, requests
from tests.inprocess import SETS, recorded
from tests.length import examples
from tests.reshape import as_json

CAPS = Names(services=3, operations=5, tasks=3, attribute_keys=9)
HOUR = 3_600 * 10**9


@dataclass
class Roads:
    """Both roads, each with names and resends of its own, that meet the same requests in the same order."""

    decoder: Decoder
    other: Decoder
    apart: Apart
    names: tuple[Projects, Projects]
    resends: tuple[Resends, Resends]
    decoded: queue.Queue[Decoded]
    waiting: list[Request] = field(default_factory=list)

    def next(self) -> Request | None:
        """Return the request that is to be decoded in receive."""
        return self.waiting.pop() if self.waiting else None

    def charge(self, request: Request, cost: float) -> None:
        """Count nothing."""

    def both(self, signal: Signal, encoding: Encoding, body: bytes) -> tuple[Group, Group]:
        """Return the group of a request, decoded in receive and apart."""
        request = Request("p", signal, encoding, "", [body], NOW, Via("http"), lambda said: None)
        self.waiting.append(request)
        here = self.decoder.group(self)
        self.apart.put(request)
        there = self.other.apart(self.decoded.get(timeout=60))
        for made, resends in zip((here, there), self.resends, strict=True):
            for digest, fresh in made.fresh.items():
                resends.add(digest, fresh.received_ns, fresh.said)
        return here, there


@pytest.fixture(scope="module")
def roads(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Roads]:
    """Both roads, the one in receive without a bound."""
    configured = Settings(data=tmp_path_factory.mktemp("roads"), names=CAPS)
    names, resends = (Projects(CAPS), Projects(CAPS)), (Resends(HOUR), Resends(HOUR))
    decoded: queue.Queue[Decoded] = queue.Queue()
    apart = Apart(configured, names[1], resends[1], decoded.put, lambda: None)
    apart.start()
    with pytest.MonkeyPatch.context() as m:
        m.setattr(group, "_MOST_WORK", None)
        m.setattr(group, "_MOST_BYTES", {"protobuf": 2**30, "json": 2**30})
        decoders = [Decoder(configured.limits, n, r) for n, r in zip(names, resends, strict=True)]
        yield Roads(decoders[0], decoders[1], apart, names, resends, decoded)
    apart.close()


def same(roads: Roads, signal: Signal, encoding: Encoding, body: bytes) -> None:
    """Assert that both roads lead to the same."""
    here, there = roads.both(signal, encoding, body)
    (a,), (b,) = here.decided, there.decided
    if isinstance(a.said, BadInput):
        assert isinstance(b.said, BadInput)
        assert (type(a.said), a.said.message, a.said.field) == (type(b.said), b.said.message, b.said.field)
    else:
        assert a.said == b.said
    assert (a.needs_rows, here.fresh) == (b.needs_rows, there.fresh)
    assert here.rows.tables() == (unpack(bytes(there.packed)) if there.fresh else {})
    assert roads.names[0].counts() == roads.names[1].counts()
    assert sorted(roads.names[0].since(0)) == sorted(roads.names[1].since(0))


@settings(max_examples=examples(60), suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(requests(LOGS) | requests(TRACES) | requests(METRICS), st.sampled_from(["protobuf", "json", "broken"]))
def test_any_request_leads_to_the_same_on_both_roads(roads: Roads, message: object, form: str) -> None:
    """Rows in order, partial successes, refusals with their path, and names up to their caps, whatever came before."""
    signal = next(s for s in (LOGS, TRACES, METRICS) if isinstance(message, type(s.request())))
    body = as_json(message) if form == "json" else message.SerializeToString()  # type: ignore[attr-defined]
    same(roads, signal, "json" if form == "json" else "protobuf", body[:-1] if form == "broken" else body)


@pytest.mark.parametrize("name", SETS[:3])
def test_recorded_requests_lead_to_the_same_on_both_roads(roads: Roads, name: str) -> None:
    """Real ones, and each sent again is known."""
    for r in recorded(name)[:40]:
        same(roads, r.signal, r.encoding, r.body)
        same(roads, r.signal, r.encoding, r.body)


def test_who_has_had_time_waits_for_others_though_nothing_came_of_it(tmp_path: Path) -> None:
    """A body that ends at `limits.cpu_time` is its sender's: the next one of it comes after another sender's."""
    slow = (
        b'{"resourceMetrics":[{"scopeMetrics":[{"metrics":[{"histogram":{"dataPoints":[{"bucketCounts":[%s1]}]}}]}]}]}'
    )
    limited = Settings(data=tmp_path, limits=Limits(cpu_time=timedelta(seconds=1)))
    decoded: queue.Queue[Decoded] = queue.Queue()
    apart = Apart(limited, Projects(CAPS), Resends(HOUR), decoded.put, lambda: None)
    asked = [
        Request("p", METRICS, "json", "", [body], NOW, Via("http"), lambda said: None, Who("a", connection))
        for connection, body in (("1", slow % (b"1e-320," * 500_000)), ("1", b"{}"), ("1", b"{}"), ("2", b"{}"))
    ]
    for request in asked:
        apart.put(request)
    apart.start()
    try:
        came = [decoded.get(timeout=60) for _ in asked]
    finally:
        apart.close()
    assert isinstance(came[0].said, TooLarge)
    assert [one.request.who.connection for one in came] == ["1", "2", "1", "1"]


def test_names_that_find_no_room_any_more_are_decoded_again() -> None:
    """Where those of another request took it meanwhile, none of them is taken up, so that caps hold exactly."""
    names = Projects(Names(tasks=2))
    assert names.adopt([("p", "task", "", "a"), ("p", "task", "", "a")])
    assert not names.adopt([("p", "task", "", "b"), ("p", "task", "", "c"), ("p", "service", "", "s")])
    assert names.counts() == {"service": 0, "operation": 0, "task": 1, "key": 0}
    assert names.adopt([("p", "task", "", "b"), ("p", "task", "", "a")])
    assert [name[3] for name in names.since(0)] == ["a", "b"]
    assert not names.adopt([("p", "task", "", "c")])
