"""B1, B5, B10: JSON that is none, bombs, and floods: refused or taken, in bounded memory, by a live process."""

from __future__ import annotations

import gzip
import json
import threading
from collections.abc import Callable
from typing import Any

import psutil
import pytest
import zstandard

from collector.model.errors import BadInput, TooLarge
from tests.otlp.json_cases import ACCEPTED, EITHER, REFUSED
from tests.otlp.receiver import HEAD, PATHS, Receiver, status_of
from tests.otlp.telemetry import decoded, encode, ld, log_request, logs, one_log, varint

MIB = 2**20
BOUND = 512 * MIB
"""What one request may add to the process, as docs/otlp.md states it."""


@pytest.mark.parametrize("signal", PATHS)
def test_b1_json_that_is_none_is_refused(flooded: Receiver, signal: str) -> None:
    """Each case is 400 with a Status, on every path; the process lives on."""
    wrong = {}
    for name, body in REFUSED.items():
        response = flooded.post(PATHS[signal], body)
        if response.status_code != 400 or status_of(response.content, "json").code != 3:
            wrong[name] = (response.status_code, response.text[:80])
    assert not wrong
    assert flooded.alive()


@pytest.mark.parametrize("signal", PATHS)
def test_b1_json_that_is_odd_but_valid_is_taken(flooded: Receiver, signal: str) -> None:
    """Unknown members of any form are ignored."""
    wrong = {
        name: response.text[:80]
        for name, body in ACCEPTED.items()
        if (response := flooded.post(PATHS[signal], body)).status_code != 200
    }
    assert not wrong


def test_b1_json_that_parsers_disagree_on_is_never_a_server_error(flooded: Receiver) -> None:
    """200 or 400."""
    assert {flooded.post("/v1/logs", body).status_code for body in EITHER.values()} <= {200, 400}


def test_b1_there_are_as_many_cases_as_stated() -> None:
    """At least 150, all different."""
    bodies = [*REFUSED.values(), *ACCEPTED.values(), *EITHER.values()]
    assert len(set(bodies)) == len(bodies) >= 150


def nested_gzip() -> bytes:
    """Return gzip inside gzip: the inner one is no telemetry."""
    return gzip.compress(gzip.compress(bytes(100 * MIB)))


def deep_json(depth: int) -> bytes:
    """Return a body nested *depth* deep."""
    value = b'{"arrayValue":{"values":[' * depth + b"{}" + b"]}}" * depth
    return b'{"resourceLogs":[{"scopeLogs":[{"logRecords":[{"body":' + value + b"}]}]}]}"


def deep_protobuf(depth: int) -> bytes:
    """Return a body whose AnyValue is nested *depth* deep."""
    # Built from the outside: the length of each level is known from the levels below it.
    sizes, size = [], 0
    for _ in range(depth):
        sizes.append(size)
        size += 1 + len(varint(size))  # values = 1
        sizes.append(size)
        size += 1 + len(varint(size))  # array_value = 5
    out = bytearray()
    for i, inner in enumerate(reversed(sizes)):
        out += (b"\x0a" if i % 2 else b"\x2a") + varint(inner)
    return ld(1, ld(2, ld(2, ld(5, bytes(out)))))


def in_record(values: bytes) -> bytes:
    """Return an OTLP/JSON body with *values* as the elements of a log's body."""
    return b'{"resourceLogs":[{"scopeLogs":[{"logRecords":[{"body":{"arrayValue":{"values":[' + values + b"]}}}]}]}]}"


def of_values(values: bytes) -> bytes:
    """Return a protobuf body with *values* as the elements of a log's body."""
    return ld(1, ld(2, ld(2, ld(5, ld(5, values)))))


def of_attributes(count: int) -> bytes:
    """Return a protobuf body of one log record with *count* attributes."""
    return ld(1, ld(2, ld(2, b"".join(ld(6, ld(1, b"%d" % i)) for i in range(count)))))


def repeated(item: bytes, count: int) -> bytes:
    """Return *item* as often as asked, between commas."""
    return b",".join([item] * count)


BOMBS: dict[str, tuple[str, str, Callable[[], bytes], set[int]]] = {
    "gzip 1000:1": ("json", "gzip", lambda: gzip.compress(bytes(256 * MIB), 9), {413}),
    "gzip of spaces below the limit": ("json", "gzip", lambda: gzip.compress(b" " * (60 * MIB), 9), {413}),
    "gzip in gzip": ("json", "gzip", nested_gzip, {400}),
    "zstd 10000:1": ("json", "zstd", lambda: zstandard.compress(bytes(256 * MIB)), {413}),
    "zstd frames without end": ("json", "zstd", lambda: zstandard.compress(bytes(2**17)) * 20_000, {413}),
    "gzip members without end": ("json", "gzip", lambda: gzip.compress(b"") * 50_000, {413}),
    "2M empty resources": ("protobuf", "", lambda: b"\x0a\x00" * (2 * MIB - 1), {413}),
    "2M empty records": ("protobuf", "", lambda: ld(1, ld(2, b"\x12\x00" * (2 * MIB - 9))), {413}),
    "32M empty records": ("protobuf", "", lambda: ld(1, ld(2, b"\x12\x00" * (32 * MIB - 99))), {413}),
    "32M empty values": ("protobuf", "", lambda: of_values(b"\x0a\x00" * (32 * MIB - 99)), {413}),
    "1M records in JSON": ("json", "", lambda: in_scope(repeated(b"{}", MIB)), {413}),
    "20M values in JSON": ("json", "", lambda: in_record(repeated(b"{}", 20 * MIB)), {413}),
    "20M numbers in JSON": ("json", "", lambda: in_record(repeated(b"1", 20 * MIB)), {400, 413}),
    "array of 1M": ("json", "", lambda: in_record(repeated(b"{}", MIB)), {200}),
    "1M attributes": ("protobuf", "", lambda: of_attributes(MIB), {200}),
    "key of 64 KiB": ("json", "", lambda: as_json({"attributes": [{"key": "k" * 65_536}]}), {200}),
    "value of 16 MiB": ("json", "", lambda: as_json({"body": {"stringValue": "v" * (16 * MIB)}}), {200}),
    "10 deep": ("json", "", lambda: deep_json(10), {200}),
    "33 deep": ("json", "", lambda: deep_json(33), {400}),
    "1,000 deep": ("json", "", lambda: deep_json(1_000), {400}),
    "100,000 deep": ("json", "", lambda: deep_json(100_000), {400}),
    "10 deep in protobuf": ("protobuf", "", lambda: deep_protobuf(10), {200}),
    "40 deep in protobuf": ("protobuf", "", lambda: deep_protobuf(40), {400}),
    "100,000 deep in protobuf": ("protobuf", "", lambda: deep_protobuf(100_000), {400}),
    "100,000 deep, unknown": ("json", "", lambda: b'{"x":' + b"[" * 100_000 + b"]" * 100_000 + b"}", {400}),
    "a long varint": ("protobuf", "", lambda: b"\x08" + b"\xff" * (5 * MIB), {400}),
    "lengths that lie": ("protobuf", "", lambda: b"\x0a\xff\xff\xff\xff\x0f" * 1_000, {400}),
}


def in_scope(records: bytes) -> bytes:
    """Return an OTLP/JSON body with *records*."""
    return b'{"resourceLogs":[{"scopeLogs":[{"logRecords":[' + records + b"]}]}]}"


def as_json(record: dict[str, Any]) -> bytes:
    """Return an OTLP/JSON body of one log record."""
    return json.dumps(log_request(record)).encode()


class Peak:
    """The most memory that a process had while the block ran."""

    def __init__(self, pid: int) -> None:
        self._process = psutil.Process(pid)
        self._stop = threading.Event()
        self.before = self.most = self._process.memory_info().rss
        self._watcher = threading.Thread(target=self._watch)

    def _watch(self) -> None:
        while not self._stop.wait(0.005):
            self.most = max(self.most, self._process.memory_info().rss)

    def __enter__(self) -> Peak:
        self._watcher.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._watcher.join()


@pytest.mark.parametrize("name", BOMBS)
def test_b5_bombs_are_answered_in_bounded_memory(flooded: Receiver, name: str) -> None:
    """Refused with 400 or 413, or cut and taken: the process lives and its memory stays within the stated bound."""
    encoding, packing, make, expected = BOMBS[name]
    body = make()
    with Peak(flooded.process.pid) as peak:
        response = flooded.post("/v1/logs", body, encoding, content_encoding=packing or "identity")
    assert response.status_code in expected, response.content[:200]
    if response.status_code != 200:
        assert status_of(response.content, encoding).message  # type: ignore[arg-type]
    assert peak.most - peak.before < BOUND
    assert flooded.alive()


def test_b5_endless_chunks_are_refused(small: Receiver) -> None:
    """A sender that never ends is told 413 once it has sent too much, and is not listened to for ever."""
    connection = small.connect()
    connection.send(HEAD + b"Transfer-Encoding: chunked\r\n\r\n")
    chunk = b"10000\r\n" + b" " * 65_536 + b"\r\n"
    for _ in range(64):
        connection.send(chunk)
    answer = connection.answer()
    assert answer is not None
    assert answer.status == 413
    assert connection.ended()


def test_b5_what_is_long_is_cut_and_said() -> None:
    """Keys, values, bodies, arrays and the number of attributes; the sender is told how many of each."""
    row, accepted = one_log(
        {
            "timeUnixNano": 1_760_000_000_000_000_000,
            "body": {"stringValue": "b" * 2_000_000},
            "attributes": [
                {"key": "k" * 300, "value": {"stringValue": "v" * 300_000}},
                {"key": "wide", "value": {"arrayValue": {"values": [{"arrayValue": {"values": [{}] * 600}}] * 3}}},
                {"key": "wider", "value": {"kvlistValue": {"values": [{"key": str(i)} for i in range(2_000)]}}},
                *({"key": f"a{i}"} for i in range(3_000)),
            ],
        }
    )
    attributes = json.loads(row["attributes"])
    assert len(row["body"]) == MIB
    assert len(attributes) == 2_048
    assert attributes["k" * 256] == "v" * 262_144
    assert [len(inner) for inner in attributes["wide"]] == [600, 421, 0]
    assert len(attributes["wider"]) == 1_024
    cuts = {"body_cut": 1, "key_cut": 1, "value_cut": 1, "elements_cut": 3, "attributes_cut": 1}
    assert cuts.items() <= accepted.warnings.items()
    assert all(what in accepted.message for what in ("log bodies cut", "keys cut", "values cut", "2048 attributes"))


@pytest.mark.parametrize("encoding", ["json", "protobuf"])
def test_b5_values_may_be_nested_as_deep_as_stated(encoding: str) -> None:
    """limits.depth levels are kept, one more is refused with a sentence."""
    make = deep_json if encoding == "json" else deep_protobuf
    assert decoded("logs", encoding, make(32))[1].records == 1  # type: ignore[arg-type]
    with pytest.raises(BadInput, match="nested deeper than 32"):
        decoded("logs", encoding, make(33))  # type: ignore[arg-type]


def test_b5_records_resources_and_scopes_are_counted_before_they_are_read() -> None:
    """One more than limits.records of any is TooLarge."""
    for over in (log_request(*[{}] * 6), {"resourceLogs": [{}] * 6}, {"resourceLogs": [{"scopeLogs": [{}] * 6}]}):
        with pytest.raises(TooLarge, match=r"more than 5 .* \(limits.records\)"):
            decoded("logs", "json", over, records=5)
    metric = {"gauge": {"dataPoints": [{}] * 3}}
    with pytest.raises(TooLarge):
        decoded("metrics", "json", {"resourceMetrics": [{"scopeMetrics": [{"metrics": [metric] * 2}]}]}, records=5)
    assert decoded("logs", "json", log_request(*[{}] * 5), records=5)[1].records == 5


def test_b10_many_different_keys_are_all_the_same() -> None:
    """Keys of a record and records of a request are found by hash with a secret seed; only the first ones are kept."""
    many = {"attributes": [{"key": f"k{i}", "value": {"intValue": i}} for i in range(100_000)]}
    row, accepted = one_log(many)
    assert len(json.loads(row["attributes"])) == 2_048
    assert accepted.warnings["attributes_cut"] == 1
    same = {"attributes": [{"key": "k", "value": {"intValue": i}} for i in range(100_000)]}
    assert one_log(same)[1].warnings["key_repeated"] == 99_999


def test_b10_hashes_are_seeded(flooded: Receiver) -> None:
    """The receive process runs without a fixed hash seed, so nobody can choose colliding keys."""
    assert psutil.Process(flooded.process.pid).environ().get("PYTHONHASHSEED", "random") == "random"


def test_a_bad_request_in_a_group_concerns_only_itself(flooded: Receiver) -> None:
    """Requests that are written together are answered each for itself."""
    from concurrent.futures import ThreadPoolExecutor

    before = flooded.seq
    good = [encode(logs(), "json") for _ in range(40)]
    bodies = [body for one in good for body in (one, b"{", b"\xff", b'{"resourceLogs":1}')]
    with ThreadPoolExecutor(32) as pool:
        codes = list(pool.map(lambda body: flooded.post("/v1/logs", body).status_code, bodies))
    assert codes == [200, 400, 400, 400] * 40
    assert len(flooded.rows("logs", before)) == 40
