"""J15: the same data gives the same rows, whichever way it came."""

from __future__ import annotations

import gzip
from typing import Any

import pytest
import zstandard
from google.protobuf.message import Message
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from collector.cli.recordings import Recorded
from collector.model.errors import BadInput
from collector.model.signals import BY_NAME, SIGNALS, Encoding
from collector.otlp.compression import decompress
from tests.decode.messages import decode, requests
from tests.inprocess import SETS, recorded
from tests.length import examples
from tests.reshape import as_json, to_json, to_protobuf

ANY = settings(max_examples=examples(120), suppress_health_check=list(HealthCheck))
COMPRESS = {
    "": lambda body: body,
    "gzip": gzip.compress,
    "zstd": zstandard.ZstdCompressor().compress,
}


def outcome(signal: Any, encoding: Encoding, body: bytes) -> Any:
    """Return rows and counts, or the reason why there are none."""
    try:
        rows, said = decode(signal, encoding, body)
    except BadInput as e:
        return "refused", e.reason
    return rows, said.records, said.rejected, said.message


@ANY
@given(st.sampled_from(SIGNALS).flatmap(lambda s: st.tuples(st.just(s), requests(s))), st.sampled_from(list(COMPRESS)))
def test_protobuf_and_json_plain_or_compressed_give_identical_rows(made: tuple[Any, Message], compression: str) -> None:
    """Any request of any signal gives the same rows, counts and remarks over every encoding and compression.

    gRPC carries the bytes of the protobuf encoding, and both ports hand them to the same decoder.
    """
    signal, message = made
    encodings: dict[Encoding, bytes] = {"protobuf": message.SerializeToString(), "json": as_json(message)}
    outcomes = [
        outcome(signal, encoding, decompress(COMPRESS[compression](body), compression, 2**20))
        for encoding, body in encodings.items()
    ]
    assert outcomes[0] == outcomes[1]


@pytest.mark.parametrize("name", SETS)
def test_recorded_traffic_gives_the_same_rows_in_the_other_encoding(name: str) -> None:
    """Recorded JSON as protobuf, and recorded protobuf as JSON, give equal rows, and no record is rejected."""

    def rows(r: Recorded) -> Any:
        tables, said = decode(r.signal, r.encoding, r.body)
        assert said.rejected == 0
        return tables

    for r in recorded(name):
        assert rows(to_json(r)) == rows(to_protobuf(r))


def test_what_javascript_writes_for_numbers_json_cannot_hold_loses_nothing() -> None:
    """`1e+21` as an integer is the double it stands for, a null double is an empty value, and neighbours stay."""
    body = b"""{"resourceLogs":[{"scopeLogs":[{"logRecords":[{"timeUnixNano":1795441418095619232,"attributes":[
        {"key":"big","value":{"intValue":1e+21}},{"key":"none","value":{"doubleValue":null}},
        {"key":"nan","value":{"doubleValue":"NaN"}},{"key":"text","value":{"stringValue":"kept"}},
        {"key":"digits","value":{"intValue":"-9223372036854775808"}}]}]}]}]}"""
    rows, said = decode(BY_NAME["logs"], "json", body)
    assert said.records == 1
    assert rows["logs"][0]["attributes"] == (
        '{"big":1e21,"none":null,"nan":{"doubleValue":"NaN"},"text":"kept","digits":-9223372036854775808}'
    )


@pytest.mark.parametrize("compression", ["gzip", "zstd"])
@given(body=st.binary(max_size=600), cut=st.integers(1, 600))
def test_compressed_bodies_come_out_whole_or_are_refused(compression: str, body: bytes, cut: int) -> None:
    """Any body, an empty one and one of several members included, comes out whole; one that was cut off never does."""
    packed = COMPRESS[compression](body)
    assert decompress(packed, compression, 1000) == body
    assert decompress(packed + COMPRESS[compression](b"more"), compression, 1000) == body + b"more"
    for short in (packed[: -min(cut, len(packed) - 1)], packed + packed[: -min(cut, len(packed) - 1)]):
        with pytest.raises(BadInput):
            decompress(short, compression, 2000)
