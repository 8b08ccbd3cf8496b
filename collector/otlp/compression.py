"""Bodies opened under a cap: none, gzip (any number of members up to a bound) and zstd.

What a body costs is bounded by its bytes: no more than 1,000 members or frames, no more than it is worth in headers and
empty blocks, and never more than a piece of it at once, in which the interpreter is let go.
"""

from __future__ import annotations

from typing import Literal, cast

import zstandard
from isal import igzip_lib

from collector.model.errors import BadInput, TooLarge, Unsupported

ACCEPTED = "gzip, zstd"
GRPC_DEFLATE = "deflate of gRPC"
"""What gRPC calls deflate; no Content-Encoding of HTTP, where it means two things."""
ZSTD, SKIPPABLE = b"\x28\xb5\x2f\xfd", b"\x2a\x4d\x18"
"""How a frame of zstd begins; and, behind a byte from 0x50 to 0x5f, one that is to be skipped."""
_ZLIB = (b"\x78\x01", b"\x78\x5e", b"\x78\x9c", b"\x78\xda")
"""How what zlib packs begins, by its four levels."""
MOST_MEMBERS = 1_000
"""Members of a gzip body or frames of a zstd one, those that hold nothing included."""
_CHUNK = 2**20
_GZIP_INPUT = 4_096
_ZSTD_INPUT = 256
"""Bytes given to zstd at once, which expand to 8 MiB at most: four bytes may stand for 128 KiB."""
_ZSTD_WINDOW = 2**26
_RATIO = 200
_RATIO_FROM = 8 * 2**20
"""Up to here a body may expand as it likes; beyond, no telemetry is as repetitive as `_RATIO` to 1."""
_IDLE, _BLOCK = 16 * 2**10, 256 * 2**10
"""Bytes that a packed body may be larger than twice what it holds: blocks of nothing take 0.7 us a byte. In zstd
less, and a block says nothing before all of it is there."""
_MEMBER = 64
"""Bytes more for each member, whose header and trailer are about 20."""


def decompress(body: bytes, encoding: str, cap: int) -> bytes:
    """Return the plain body, or raise: TooLarge beyond *cap* bytes, BadInput when damaged, Unsupported.

    Memory stays below *cap* plus 8 MiB, and for zstd a window of as much, however much the body claims to hold.
    """
    match encoding.strip().lower():
        case "" | "identity":
            if len(body) > cap:
                raise too_large(cap)
            return body
        case "gzip" | "x-gzip":
            return _gunzip(body, cap)
        case _ if encoding == GRPC_DEFLATE:
            return _gunzip(body, cap, igzip_lib.DECOMP_ZLIB)
        case "zstd":
            return _unzstd(body, cap)
        case other:
            raise Unsupported(f"Content-Encoding {other[:40]!r} is not supported; use {ACCEPTED} or none")


def packing_of(head: bytes) -> Literal["gzip", "zstd", "deflate", ""]:
    """Return how what begins with *head*, four bytes or more, is packed; no OTLP request begins like any of it."""
    if head[:2] == b"\x1f\x8b":
        return "gzip"
    if head[:4] == ZSTD or (head[1:4] == SKIPPABLE and head[0] & 0xF0 == 0x50):
        return "zstd"
    return "deflate" if head[:2] in _ZLIB else ""


def too_large(cap: int) -> TooLarge:
    """Return the error of a body beyond *cap* bytes."""
    return TooLarge(f"larger than {cap} bytes (limits.body, counted after decompression); send smaller batches")


class _Opened:
    """What a packed body of *packed* bytes holds, as far as it was opened."""

    def __init__(self, packed: int, cap: int, idle: int) -> None:
        self._idle = idle
        self._packed = packed
        self._cap = cap
        self._plain = bytearray()
        self._members = 0

    @property
    def size(self) -> int:
        """Return the bytes opened so far."""
        return len(self._plain)

    def begin(self, kind: str) -> None:
        """Count a member."""
        self._members += 1
        if self._members > MOST_MEMBERS:
            raise TooLarge(f"more than {MOST_MEMBERS} {kind} in one body; compress it as one")

    def add(self, part: bytes, read: int) -> None:
        """Keep *part*, for which so many bytes of the packed body were *read*."""
        self._plain += part
        if self.size > self._cap:
            raise too_large(self._cap)
        if self.size > _RATIO_FROM and self.size > _RATIO * self._packed:
            raise TooLarge(f"expands more than {_RATIO} times beyond {_RATIO_FROM} bytes; is this telemetry?")
        if read > 2 * self.size + self._idle + _MEMBER * self._members:
            raise BadInput("the packed body is mostly headers and empty blocks; compress it as one")

    def whole(self) -> bytes:
        """Return the plain body."""
        return cast("bytes", self._plain)  # only read from here on, so not copied


def _gunzip(body: bytes, cap: int, form: int = igzip_lib.DECOMP_GZIP) -> bytes:
    opened = _Opened(len(body), cap, _IDLE)
    packed = memoryview(body)
    at = 0
    while True:
        opened.begin("gzip members")
        member = igzip_lib.IgzipDecompressor(flag=form)
        try:
            while not member.eof:
                piece = packed[at : at + _GZIP_INPUT] if member.needs_input else b""
                if member.needs_input and not piece:
                    raise BadInput("gzip body ends in the middle; was it cut off?")
                at += len(piece)
                opened.add(member.decompress(piece, min(_CHUNK, cap + 1 - opened.size)), at)
        except igzip_lib.error:  # type: ignore[misc]
            where = "gzip body has something else behind it or is damaged" if opened.size else "gzip body is damaged"
            raise BadInput(where) from None
        at -= len(member.unused_data)
        if at == len(body):
            return opened.whole()


def _unzstd(body: bytes, cap: int) -> bytes:
    opened = _Opened(len(body), cap, _BLOCK)
    packed = memoryview(body)
    opener = zstandard.ZstdDecompressor(max_window_size=_ZSTD_WINDOW)
    at = 0
    frame = None
    try:
        while at < len(body):
            if frame is None:
                opened.begin("zstd frames")
                frame = opener.decompressobj()
            piece = packed[at : at + _ZSTD_INPUT]
            part = frame.decompress(piece)
            at += len(piece)
            opened.add(part, at)
            if frame.eof:
                at -= len(frame.unused_data)
                frame = None
    except zstandard.ZstdError as e:
        if "too much memory" in str(e):
            raise TooLarge(f"a zstd window is larger than {_ZSTD_WINDOW} bytes; RFC 9659 allows 8 MiB") from None
        raise BadInput("zstd body is damaged") from None
    if frame is not None:
        raise BadInput("zstd body ends in the middle; was it cut off?")
    return opened.whole()
