"""H8, H9, B5: what a packed body may cost, whatever it is made of."""

from __future__ import annotations

import gzip
import os
import struct
import time
import zlib

import pytest
import zstandard
from hypothesis import given, settings
from hypothesis import strategies as st

from collector.model.errors import BadInput, TooLarge
from collector.otlp.compression import MOST_MEMBERS, decompress

MIB = 2**20
CAP = 64 * MIB
GZIP_HEAD = b"\x1f\x8b\x08\0\0\0\0\0\0\x03"
GZIP_TAIL = struct.pack("<II", 0, 0)


def skippable(size: int) -> bytes:
    """Return a zstd frame that says nothing in *size* bytes."""
    return struct.pack("<II", 0x184D2A50, size) + bytes(size)


def empty_fixed_blocks(size: int) -> bytes:
    """Return gzip of nothing whose blocks of ten bits are *size* bytes."""
    return GZIP_HEAD + bytes([0x02, 0x08, 0x20, 0x80, 0x00]) * (size // 5) + b"\x03\x00" + GZIP_TAIL


NOTHING = {
    "members": (gzip.compress(b"") * 200_000, "gzip"),
    "members of a byte": (gzip.compress(b"a") * 80_000, "gzip"),
    "stored blocks": (GZIP_HEAD + b"\x00\x00\x00\xff\xff" * 800_000 + b"\x03\x00" + GZIP_TAIL, "gzip"),
    "fixed blocks": (empty_fixed_blocks(8 * MIB), "gzip"),
    "a name": (GZIP_HEAD[:3] + b"\x08" + GZIP_HEAD[4:] + b"x" * 32 * MIB, "gzip"),
    "extra fields": ((GZIP_HEAD[:3] + b"\x04" + GZIP_HEAD[4:] + b"\xff\xff" + bytes(65_535)) * 200, "gzip"),
    "frames": (zstandard.compress(b"") * 80_000, "zstd"),
    "skippable frames": (skippable(0) * 80_000, "zstd"),
    "one skippable frame": (skippable(32 * MIB), "zstd"),
    "raw blocks": (zstandard.compress(b"")[:5] + bytes(3) * 4_000_000, "zstd"),
    "repeated bytes": (b"\x28\xb5\x2f\xfd\x00\x58" + b"\x0a\x00\x00a" * 4_000_000, "zstd"),
}


@pytest.mark.parametrize("name", NOTHING)
def test_what_holds_next_to_nothing_costs_next_to_nothing(name: str) -> None:
    """Members, frames, blocks and headers without content are refused in words before their bytes were looked at."""
    body, encoding = NOTHING[name]
    began = time.process_time()
    with pytest.raises(BadInput, match=r"compress it as one|damaged"):
        decompress(body, encoding, CAP)
    assert time.process_time() - began < 0.5  # 0.01 s; in proportion to the bytes it would be seconds


@pytest.mark.parametrize(
    ("one", "encoding"),
    [(gzip.compress(b""), "gzip"), (gzip.compress(b"ab"), "gzip"), (zstandard.compress(b""), "zstd")],
    ids=["empty gzip", "gzip", "zstd"],
)
def test_a_thousand_members_are_one_body_and_one_more_is_too_many(one: bytes, encoding: str) -> None:
    """Frames and members count alike, however little each holds."""
    whole = decompress(one * MOST_MEMBERS, encoding, CAP)
    assert whole == decompress(one, encoding, CAP) * MOST_MEMBERS
    with pytest.raises(TooLarge, match="more than 1000"):
        decompress(one * (MOST_MEMBERS + 1), encoding, CAP)


@settings(max_examples=60)
@given(st.lists(st.binary(max_size=3_000), min_size=1, max_size=20), st.integers(0, 9), st.booleans())
def test_what_was_packed_comes_back(parts: list[bytes], level: int, flushed: bool) -> None:
    """In one member or many, flushed in between or not, as zstd or gzip, beside frames to skip."""
    whole = b"".join(parts)
    assert decompress(b"".join(gzip.compress(part, level) for part in parts), "gzip", CAP) == whole
    packer = zlib.compressobj(level, wbits=31)
    packed = b"".join(packer.compress(part) + (packer.flush(zlib.Z_SYNC_FLUSH) if flushed else b"") for part in parts)
    assert decompress(packed + packer.flush(), "gzip", CAP) == whole
    frames = b"".join(skippable(len(part) % 7) + zstandard.compress(part, level + 1) for part in parts)
    assert decompress(frames, "zstd", CAP) == whole


def test_large_bodies_come_back_whole() -> None:
    """What cannot be packed at all is no larger than it may be, in a window of its own size too."""
    body = os.urandom(12 * MIB)
    assert decompress(gzip.compress(body, 1), "gzip", CAP) == body
    assert decompress(zstandard.compress(body), "zstd", CAP) == body
    text = body.hex().encode()  # half as large, in blocks that say nothing before they are whole
    for level in (1, 9):
        assert decompress(gzip.compress(text[:MIB], level), "gzip", CAP) == text[:MIB]
        assert decompress(zstandard.compress(text, level), "zstd", CAP) == text


def test_a_window_has_a_size() -> None:
    """One of 128 MiB is refused in words, as RFC 9659 has it."""
    parameters = zstandard.ZstdCompressionParameters(window_log=27)
    packer = zstandard.ZstdCompressor(compression_params=parameters).compressobj()
    with pytest.raises(TooLarge, match="window"):
        decompress(packer.compress(b"a" * 100) + packer.flush(), "zstd", CAP)
