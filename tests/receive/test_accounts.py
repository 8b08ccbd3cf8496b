"""The parts of receive that remember: books, senders, resends. Each is bounded, and none loses count."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from collector.control import Control
from collector.control.senders import MOST, load, read
from collector.decode import Accepted
from collector.decode.names import Projects
from collector.decode.origin import Origin, sdk, version
from collector.receive.books import Books, Settled
from collector.receive.resends import Resends
from collector.receive.senders import Senders
from collector.receive.via import FAMILIES, Via, via
from collector.settings import Names
from tests.length import examples

MINUTE = 60 * 10**9
NOW = 1_795_500_000 * 10**9

requests = st.builds(
    lambda signal, transport, records, rejected, duplicate, written: Settled(
        signal,
        Via(transport),
        Accepted(records, rejected, "", {"span_id_invalid": rejected} if rejected else {}, duplicate=duplicate),
        written,
    ),
    st.sampled_from(["logs", "traces", "metrics"]),
    st.sampled_from(["http", "grpc"]),
    st.integers(0, 500),
    st.integers(0, 20),
    st.booleans(),
    st.booleans(),
)
steps = st.lists(st.one_of(st.lists(requests, max_size=5), st.integers(0, 60)), max_size=60)


def value(books: Books, name: str, **labels: str) -> float:
    """Return the sum of a metric's samples with these labels."""
    return total([s for family in books.registry.collect() for s in family.samples], name, **labels)


def total(samples: list[Any], name: str, **labels: str) -> float:
    """Return the sum of the samples of a metric with these labels; there is at least one."""
    values = [s.value for s in samples if s.name == f"runwell_receive_{name}" and labels.items() <= s.labels.items()]
    assert values
    return sum(values)


@settings(deadline=None, max_examples=examples(60))
@given(steps)
def test_books_balance_after_any_history(history: list[Any]) -> None:
    """Whatever is settled and taken up in whatever order, each record is in exactly one place, path by path."""
    books, seq = Books(most_groups=4), 0  # coarse steps come early
    seen: Counter[str] = Counter()
    for step in history:
        if isinstance(step, int):
            books.taken_up(step)
            continue
        journaled = [r for r in step if r.written and not r.said.duplicate and r.said.records]
        seq += bool(journaled)
        books.settled(step, seq if journaled else None)
        seen["stored"] += sum(r.said.records for r in journaled)
        seen["duplicate"] += sum(r.said.total for r in step if r.said.duplicate)
        samples = [
            s
            for metric in (books.records, books.stored, books.rejected, books.duplicates, books.pending)
            for family in metric.collect()
            for s in family.samples
        ]
        for signal in ("logs", "traces", "metrics"):
            for transport in ("http", "grpc"):
                path = {"signal": signal, "transport": transport}
                parts = ("records_stored_total", "records_rejected_total", "records_duplicate_total")
                placed = sum(total(samples, part, **path) for part in parts)
                assert total(samples, "records_total", **path) == placed + total(samples, "records_pending", **path)
    books.taken_up(seq)
    assert value(books, "records_pending") == 0
    assert value(books, "records_stored_total") == seen["stored"]
    assert value(books, "records_duplicate_total") == seen["duplicate"]


@pytest.fixture
def control(tmp_path: Path) -> Control:
    """A control file."""
    return Control.open(tmp_path)


def test_senders_are_bounded(control: Control, tmp_path: Path) -> None:
    """However many kinds of exporters there are, the latest 256 are kept, in memory and in the file."""
    senders = Senders(control, Projects(Names()))
    for i in range(MOST + 50):
        senders.seen(Via("http", "python", f"1.{i}"), "logs", "json", (), NOW + i)
    senders.save(now=True)
    rows = read(tmp_path / "control.sqlite")
    assert [s.agent_version for s in rows] == [f"1.{i}" for i in range(MOST + 49, 49, -1)]


def test_senders_go_on_after_a_restart(control: Control) -> None:
    """Counts of a sender begin where they ended, and its first time stays."""
    origin = (Origin("generic", "python", "1.45", 3, NOW),)
    for at in (NOW, NOW + MINUTE):
        senders = Senders(control, Projects(Names()))
        senders.seen(Via("grpc"), "logs", "protobuf", origin, at)
        senders.save(now=True)
    (sender,) = control.reading(load)
    assert (sender.requests, sender.records, sender.first_ns, sender.last_ns) == (2, 6, NOW, NOW + MINUTE)


def test_a_corrected_clock_is_forgiven(control: Control) -> None:
    """How far a clock is off is the least delay of the last five to ten minutes, not of all time."""
    senders = Senders(control, Projects(Names()))

    def send(at: int, ahead: int) -> int | None:
        senders.seen(Via("http"), "logs", "json", (Origin("generic", "", "", 1, at + ahead),), at)
        senders.save(now=True)
        return control.reading(load)[0].behind_ns

    assert send(NOW, 7 * 10**9) == -7 * 10**9
    assert send(NOW + MINUTE, -(10**9)) == -7 * 10**9
    assert send(NOW + 20 * MINUTE, -(10**9)) == 10**9


@pytest.mark.parametrize(
    ("header", "family", "number"),
    [
        ("OTel-OTLP-Exporter-JavaScript/0.219.0", "js", "0.219.0"),
        ("OTel-OTLP-Exporter-JavaScript/0.219.0 grpc-node-js/1.14.7", "js", "0.219.0"),
        ("OTel-OTLP-Exporter-Python/1.45.2", "python", "1.45.2"),
        ("OTel OTLP Exporter Go/1.30.0", "go", "1.30.0"),
        ("OpenTelemetry Collector Contrib/0.130.0 (linux/amd64)", "collector", "0.130.0"),
        ("grpc-python/1.85.1 grpc-c/51.0.0 (linux; chttp2)", "grpc", "1.85.1"),
        ("curl/8.5.0", "curl", "8.5.0"),
        ("Mozilla/5.0 (X11)", "other", ""),
        ("", "none", ""),
    ],
)
def test_families_of_exporters(header: str, family: str, number: str) -> None:
    """A User-Agent is known by its family and version number."""
    assert via("http", header) == Via("http", family, number)


@given(st.text())
def test_no_header_text_is_kept(header: str) -> None:
    """Of any User-Agent only a word of a closed set and digits with dots remain."""
    came = via("http", header)
    assert came.agent in FAMILIES
    assert set(came.agent_version) <= set("0123456789.")


@given(st.one_of(st.text(), st.integers(), st.none()))
def test_versions_are_numbers(text: Any) -> None:
    """A version is at most four numbers with dots, or nothing."""
    assert set(version(text)) <= set("0123456789.")
    assert len(version(text)) <= 27


@given(st.dictionaries(st.sampled_from(["telemetry.sdk.language", "telemetry.sdk.version"]), st.text()))
def test_sdk_languages_are_a_closed_set(resource: dict[str, Any]) -> None:
    """An SDK's language that no convention names is `other`."""
    language, _ = sdk(resource)
    assert language in ("", "other") or language.isalpha()


def test_resends_are_told_what_was_told() -> None:
    """A request that comes again is told the same, marked as duplicate, until the window has passed."""
    resends = Resends(60 * MINUTE)
    resends.add(b"plain", NOW, Accepted(7, 0, ""))
    resends.add(b"partly", NOW, Accepted(3, 2, "2 rejected: why", {"span_id_invalid": 2}))
    resends.load([(b"before", NOW)])
    again = {name: resends.find(name, NOW + 59 * MINUTE) for name in (b"plain", b"partly", b"before")}
    assert [(a.total, a.rejected, a.message, a.duplicate) for a in again.values() if a] == [
        (7, 0, "", True),
        (5, 2, "2 rejected: why", True),
        (-1, 0, "", True),
    ]
    resends.learn(b"before", Accepted(4, 0, ""))
    learned = resends.find(b"before", NOW + 59 * MINUTE)
    assert learned is not None
    assert learned.records == 4
    assert resends.find(b"plain", NOW + 60 * MINUTE) is None
    resends.trim(NOW + 61 * MINUTE)
    assert resends.find(b"plain", NOW) is None
