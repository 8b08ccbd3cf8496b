"""Text that is not Unicode is kept, with U+FFFD where it is none, in every field and encoding; its sender is told."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest
from google.protobuf.descriptor import FieldDescriptor
from hypothesis import given
from hypothesis import strategies as st

from collector.decode import Accepted
from collector.decode.unicode import utf8, whole_escapes
from collector.model.errors import BadInput
from collector.model.signals import LOGS, SIGNALS, TRACES, Signal
from tests.decode.messages import Leaf, decode, leaves, requests, texts
from tests.otlp.telemetry import encode

TEXTS = [
    (signal, leaf)
    for signal in SIGNALS
    for leaf in leaves(signal.request.DESCRIPTOR)
    if leaf.field.type == FieldDescriptor.TYPE_STRING
]
HALVES = st.sampled_from([b"\\ud83d", b"\\uD83D", b"\\udce9", b"\\uDE00"])
BYTES = st.sampled_from([b"\xe9", b"\xff", b"\x80", b"\xc3", b"\xed\xa0\xbd", b"\xf0\x9f\x98"])


def told(said: Accepted) -> int:
    """Return how often its sender is told of text, and assert that it is."""
    assert (said.rejected, "U+FFFD" in said.message) == (0, True)
    return said.warnings["text_mended"]


@pytest.mark.parametrize(("signal", "leaf"), TEXTS, ids=[f"{s.name}:{leaf.name}" for s, leaf in TEXTS])
def test_no_text_loses_a_request(signal: Signal, leaf: Leaf) -> None:
    """In whatever field or key it stands: the same rows as of a request that has U+FFFD there."""
    right = texts(decode(signal, "protobuf", leaf.request(signal, "a\ufffdbc").SerializeToString())[0])
    marked = leaf.request(signal, "a~bc")
    for encoding, bads in (("protobuf", (b"\xe9",)), ("json", (b"\xe9", b"\\ud83d"))):
        for bad in bads:
            rows, said = decode(signal, encoding, encode(marked, encoding).replace(b"a~bc", b"a" + bad + b"bc"))
            assert (texts(rows), told(said)) == (right, 1)


@given(st.data())
def test_what_is_beside_bad_text_is_kept(data: st.DataObject) -> None:
    """Any request, any bad bytes in one of its texts: all records are kept, as they are without it."""
    signal = data.draw(st.sampled_from(SIGNALS))
    request: Any = data.draw(requests(signal))
    block = getattr(request, next(f.name for f in request.DESCRIPTOR.fields)).add()
    block.schema_url = "~" * len(bad := data.draw(BYTES))
    _, without = decode(signal, "protobuf", request.SerializeToString())
    body = request.SerializeToString()
    at = body.rindex(b"~" * len(bad))
    _, said = decode(signal, "protobuf", body[:at] + bad + body[at + len(bad) :])
    assert (said.records, said.rejected) == (without.records, without.rejected)
    assert said.warnings["text_mended"] == without.warnings.get("text_mended", 0) + 1


@given(st.lists(st.text(st.characters(exclude_categories=["Cs"])) | HALVES | st.just("\\") | st.just('"')))
def test_half_pairs_in_json_are_replaced_and_nothing_else(parts: list[str | bytes]) -> None:
    """Python's own parser reads the same text of what is left, whatever escapes stand around them."""
    escaped = b'"' + b"".join(p if isinstance(p, bytes) else json.dumps(p).encode()[1:-1] for p in parts) + b'"'
    whole, replaced = whole_escapes(escaped)
    expected = re.sub("[\ud800-\udfff]", "\ufffd", json.loads(escaped))
    assert json.loads(whole) == expected
    assert replaced == len(re.findall("[\ud800-\udfff]", json.loads(escaped)))


@given(st.binary(max_size=40), st.integers(0, 3))
def test_bytes_become_what_python_replaces_them_by(body: bytes, twice: int) -> None:
    """However long the text is, and wherever it is cut into pieces; of what is UTF-8 nothing is copied."""
    long = b"x" * (2**20 * bool(twice) - twice) + body
    whole, replaced = utf8(long)
    assert whole == long.decode("utf-8", "replace").encode()
    assert (replaced == 0) is (whole is long)


def test_many_bad_texts_are_all_mended_and_a_byte_order_mark_is_none() -> None:
    """Of a batch in Latin-1 every record is kept; the mark before a body is not told of."""
    request: Any = LOGS.request()
    records = request.resource_logs.add().scope_logs.add().log_records
    for n in range(300):
        record = records.add()
        record.body.string_value = f"caf~{n}"
        record.attributes.add(key="caf~").value.string_value = "th~"
    rows, said = decode(LOGS, "protobuf", request.SerializeToString().replace(b"~", b"\xe9"))
    assert (told(said), {row["attributes"] for row in rows["logs"]}) == (900, {'{"caf\ufffd":"th\ufffd"}'})
    _, said = decode(LOGS, "json", b"\xef\xbb\xbf" + encode(request, "json"))
    assert (said.records, said.message) == (300, "")


@pytest.mark.parametrize(
    ("body", "field", "why"),
    [
        (b"\x0a\x05\x12\x09", "resourceLogs[0]", "says that it has 5 bytes where 2 are left"),
        (b"\x0a\x04\x12\x09\x0a\x00", "resourceLogs[0].scopeLogs[0]", "says that it has 9 bytes where 2 are left"),
        (b"\x0a\x02\x12\x00\x0f\x00", "", "at byte 4 no field begins"),
        (b"\x0a", "", "cut off"),
    ],
)
def test_a_request_that_breaks_off_says_where(body: bytes, field: str, why: str) -> None:
    """By the path of the field, and in words that hold on either wire."""
    with pytest.raises(BadInput, match=why) as e:
        decode(LOGS, "protobuf", body)
    assert (e.value.field, "Content-Type" in e.value.message) == (field, False)


@given(st.binary(min_size=1, max_size=60))
def test_any_bytes_are_read_or_refused(body: bytes) -> None:
    """As protobuf or as JSON, never with another error than that the input is bad."""
    for signal in (LOGS, TRACES):
        for encoding in ("protobuf", "json"):
            try:
                decode(signal, encoding, body)
            except BadInput as e:
                assert e.reason
