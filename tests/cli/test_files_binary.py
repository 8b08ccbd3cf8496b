"""Recorded files that are packed or protobuf: members, frames, lengths, signals, cuts and damage."""

from __future__ import annotations

import gzip
import itertools
import zlib
from pathlib import Path

import pytest
import zstandard
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest

from collector.cli import recordings
from collector.cli.recordings.messages import signal_of
from collector.model.signals import METRICS
from tests.cli.files import read, request, texts
from tests.cli.test_files_text import dump
from tests.inprocess import SETS, TRIGGER_DEV

brief = settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
TEXTS = st.lists(st.text(max_size=200), min_size=1, max_size=5)
ZSTD = zstandard.ZstdCompressor()
SKIPPABLE = b"\x5a\x2a\x4d\x18\x03\0\0\0abc"
PACKERS = {"gzip": gzip.compress, "zlib": zlib.compress, "zstd": ZSTD.compress}


def message(text: str, key: str = "k") -> bytes:
    """Return a request in protobuf of one record, whose text is *text*."""
    made = ExportLogsServiceRequest()
    resource = made.resource_logs.add()
    resource.resource.attributes.add(key=key).value.string_value = "v"
    record = resource.scope_logs.add().log_records.add(time_unix_nano=1795600000000000000, severity_number=9)
    record.body.string_value = text
    return made.SerializeToString()


def varint(size: int) -> bytes:
    """Return *size* as a varint."""
    return bytes(
        [
            *((size >> at) & 127 | 128 for at in range(0, max(0, size.bit_length() - 7), 7)),
            size >> max(0, (size.bit_length() - 1) // 7 * 7),
        ]
    )


def behind_length(payload: bytes) -> bytes:
    """Return *payload* as the Collector's file exporter writes it."""
    return len(payload).to_bytes(4, "big") + payload


WRITTEN = {
    "length": behind_length,
    "varint": lambda body: varint(len(body)) + body,
    "length, zstd": lambda body: behind_length(ZSTD.compress(body)),
    "length, zstd, skippable": lambda body: behind_length(SKIPPABLE + ZSTD.compress(body) + SKIPPABLE),
    "message": lambda body: body,
}


@brief
@given(TEXTS, st.sampled_from(sorted(PACKERS)), st.data())
def test_packed_files_may_have_any_number_of_members(
    tmp_path: Path, said: list[str], by: str, data: st.DataObject
) -> None:
    """Members and frames end anywhere, empty and skippable ones among them, zero bytes behind the last."""
    content = b"\n".join(dump(request(text)) for text in said)
    cuts = sorted(data.draw(st.lists(st.integers(0, len(content)), max_size=4)))
    packed = b"".join(
        (SKIPPABLE if by == "zstd" and data.draw(st.booleans()) else b"") + PACKERS[by](content[a:b])
        for a, b in itertools.pairwise([0, *cuts, len(content)])
    )
    found, told = read(tmp_path / "a", packed + bytes(data.draw(st.sampled_from((0, 512)))))
    assert (texts(found), told) == (said, [])


@brief
@given(
    st.lists(st.binary(min_size=300, max_size=300).map(bytes.hex), min_size=2, max_size=5),
    st.sampled_from(("gzip", "zstd")),
    st.data(),
)
def test_a_damaged_member_is_named_and_the_others_are_read(
    tmp_path: Path, said: list[str], by: str, data: st.DataObject
) -> None:
    """Of a member with damaged bytes is read what can be unpacked, then the next one."""
    members = [PACKERS[by](dump(request(text)) + b"\n") for text in said]
    hit = data.draw(st.integers(0, len(said) - 1))
    member = bytearray(members[hit])
    at = data.draw(st.integers(len(member) // 2, len(member) - 40))
    member[at : at + 16] = bytes(255 - b for b in member[at : at + 16])
    found, told = read(tmp_path / "a", b"".join([*members[:hit], bytes(member), *members[hit + 1 :]]))
    assert set(texts(found)) >= {*said[:hit], *said[hit + 1 :]}
    assert any(f"the {by}" in t.why for t in told) or by == "zstd"  # its frames have no checksum here


CHECKED = {
    "gzip": (gzip.compress, 8),
    "zlib": (zlib.compress, 4),
    "zstd": (zstandard.ZstdCompressor(write_checksum=True).compress, 4),
}


@brief
@given(TEXTS, st.sampled_from(sorted(CHECKED)), st.data())
def test_a_member_with_a_wrong_checksum_is_read(tmp_path: Path, said: list[str], by: str, data: st.DataObject) -> None:
    """Of a member whose checksum alone is wrong nothing is lost, nor of the others; documents may go on in the next."""
    pack, trailer = CHECKED[by]
    content = b"\n".join(dump(request(text)) for text in said)
    cuts = sorted(data.draw(st.lists(st.integers(1, len(content) - 1), max_size=4, unique=True)))
    members = [bytearray(pack(content[a:b])) for a, b in itertools.pairwise([0, *cuts, len(content)])]
    hit = data.draw(st.integers(0, len(members) - 1))
    members[hit][-data.draw(st.integers(1, trailer))] ^= data.draw(st.integers(1, 255))
    found, told = read(tmp_path / "a", b"".join(members))
    assert texts(found) == said
    ends = sum(map(len, members[: hit + 1]))
    assert [t.why.split(":")[0] for t in told] == [
        f"the {by} member that ends at byte {ends} is not what its checksum says"
    ]


@brief
@given(TEXTS, st.sampled_from(sorted(PACKERS)), st.data())
def test_a_packed_file_that_is_cut_gives_what_could_be_unpacked(
    tmp_path: Path, said: list[str], by: str, data: st.DataObject
) -> None:
    """The cut is told with its place, and what stands before it is read."""
    packed = b"".join(PACKERS[by](dump(request(text)) + b"\n") for text in said)
    cut = (
        data.draw(st.integers(len(PACKERS[by](dump(request(said[0])) + b"\n")), len(packed) - 1))
        if len(said) > 1
        else 30
    )
    found, told = read(tmp_path / "a", packed[:cut])
    assert texts(found) == said[: len(texts(found))]
    ends = itertools.accumulate(len(PACKERS[by](dump(request(text)) + b"\n")) for text in said)
    behind = min(cut - end for end in (0, *ends) if end <= cut)
    # Up to three bytes are no member yet.
    assert told if behind >= 4 else True
    assert not told or any(str(cut) in t.why or "stands behind" in t.why for t in told)


@brief
@given(TEXTS, st.sampled_from(sorted(WRITTEN)))
def test_messages_are_read_however_they_are_framed(tmp_path: Path, said: list[str], how: str) -> None:
    """Messages behind a length, packed or not, behind a varint, or one message: all have the same records."""
    found, told = read(tmp_path / "a.bin", b"".join(WRITTEN[how](message(text)) for text in said))
    assert (texts(found), told) == (said, [])
    assert len(found) == (1 if how == "message" else len(said))


@brief
@given(TEXTS, st.sampled_from(sorted(WRITTEN)), st.data())
def test_a_cut_binary_file_gives_its_whole_messages(
    tmp_path: Path, said: list[str], how: str, data: st.DataObject
) -> None:
    """What was cut is named with its place; zero bytes that stand there instead are named too."""
    parts = [WRITTEN[how](message(text)) for text in [*said, "cut"]]
    cut = data.draw(st.integers(1, len(parts[-1]) - 1))
    found, told = read(tmp_path / "a.bin", b"".join(parts[:-1]) + parts[-1][:cut])
    assert texts(found) == said
    assert len(told) == 1 and "byte" in str(told[0])
    found, told = read(tmp_path / "a.bin", b"".join(parts[:-1]) + bytes(5000))
    assert (texts(found), [t.why.split(";")[0] for t in told]) == (said, ["5000 zero bytes"])


@brief
@given(TEXTS, st.sampled_from([how for how in sorted(WRITTEN) if how != "message"]), st.data())
def test_a_message_that_is_none_is_named_and_the_others_are_read(
    tmp_path: Path, said: list[str], how: str, data: st.DataObject
) -> None:
    """A message of other bytes is left out with its number and place."""
    at = data.draw(st.integers(1, len(said)))
    bodies = [message(text) for text in said]
    bodies.insert(at, b"\x0a\xff\xff" + bytes(20))
    found, told = read(tmp_path / "a.bin", b"".join(map(WRITTEN[how], bodies)))
    assert texts(found) == said
    assert [f"message {at + 1} (byte " in t.where for t in told] == [True]


@pytest.mark.parametrize("name", SETS)
def test_the_signal_of_a_message_is_told_by_its_bytes(name: str) -> None:
    """Every request that was recorded in protobuf is taken for what it was sent as."""
    for r in recordings.read(str(TRIGGER_DEV / f"{name}.jsonl.gz")):
        if r.encoding == "protobuf":
            assert signal_of(r.body, "any") is r.signal


@pytest.mark.parametrize("kind", ["gauge", "sum", "histogram", "exponential_histogram", "summary"])
def test_metrics_are_told_by_their_bytes(kind: str) -> None:
    """A metric of every kind is no span and no log record."""
    made = METRICS.request()
    metric = made.resource_metrics.add().scope_metrics.add().metrics.add(name="sixteen.letters.", unit="ms")
    getattr(metric, kind).data_points.add(time_unix_nano=1)
    assert signal_of(made.SerializeToString(), "any") is METRICS


def test_where_bytes_do_not_tell_the_signal_the_name_does(tmp_path: Path) -> None:
    """A message without records is of the signal its file is named after, and else is said to be of none."""
    made = ExportLogsServiceRequest()
    made.resource_logs.add().resource.attributes.add(key="k").value.string_value = "\x12"
    found, _ = read(tmp_path / "my-traces.binpb", made.SerializeToString())
    assert [r.signal.name for r in found] == ["traces"]
    found, (told,) = read(tmp_path / "my.binpb", made.SerializeToString())
    assert not found and "signal" in told.why


NO_USE = {
    "bzip2": b"BZh91AY",
    "binary": b"\x89PNG\r\n\x1a\n",
    "twice": gzip.compress(gzip.compress(b"{}")),
    "no requests": b"",
    "zip": b"PK\x03\x04",
}


@pytest.mark.parametrize(("says", "content"), NO_USE.items(), ids=NO_USE.keys())
def test_files_of_no_use_are_told_apart(tmp_path: Path, says: str, content: bytes) -> None:
    """What cannot be used is told in one sentence that says what it is."""
    found, told = read(tmp_path / "a", content)
    assert not found and len(told) == 1 and says in told[0].why
