"""Bodies opened under a cap: none, gzip (any number of members) and zstd."""

from __future__ import annotations

import zstandard
from isal import isal_zlib

from collector.model.errors import BadInput, TooLarge, Unsupported

ACCEPTED = "gzip, zstd"
GRPC_DEFLATE = "deflate of gRPC"
"""What gRPC calls deflate; no Content-Encoding of HTTP, where it means two things."""
_GZIP = 31  # zlib's window bits that mean: gzip header and trailer, checked
_ZLIB = 15
_CHUNK = 2**20
_ZSTD_INPUT = 256
"""Bytes given to zstd at once, which expand to 8 MiB at most: four bytes may stand for 128 KiB."""
_RATIO = 200
_RATIO_FROM = 8 * 2**20
"""Up to here a body may expand as it likes; beyond, no telemetry is as repetitive as `_RATIO` to 1."""


def decompress(body: bytes, encoding: str, cap: int) -> bytes:
    """Return the plain body, or raise: TooLarge beyond *cap* bytes, BadInput when damaged, Unsupported.

    Memory stays below *cap* plus 8 MiB, however much the body claims to hold.
    """
    match encoding.strip().lower():
        case "" | "identity":
            if len(body) > cap:
                raise too_large(cap)
            return body
        case "gzip" | "x-gzip":
            return _gunzip(body, cap)
        case _ if encoding == GRPC_DEFLATE:
            return _gunzip(body, cap, _ZLIB)
        case "zstd":
            return _unzstd(body, cap)
        case other:
            raise Unsupported(f"Content-Encoding {other[:40]!r} is not supported; use {ACCEPTED} or none")


def too_large(cap: int) -> TooLarge:
    """Return the error of a body beyond *cap* bytes."""
    return TooLarge(f"larger than {cap} bytes (limits.body, counted after decompression); send smaller batches")


def _check(size: int, compressed: int, cap: int) -> None:
    if size > cap:
        raise too_large(cap)
    if size > _RATIO_FROM and size > _RATIO * compressed:
        raise TooLarge(f"expands more than {_RATIO} times beyond {_RATIO_FROM} bytes; is this telemetry?")


def _gunzip(body: bytes, cap: int, wbits: int = _GZIP) -> bytes:
    parts: list[bytes] = []
    size = 0
    rest = body
    while True:
        member = isal_zlib.decompressobj(wbits=wbits)
        pending = rest
        try:
            while not member.eof:
                part = member.decompress(pending, min(_CHUNK, cap + 1 - size))
                pending = member.unconsumed_tail
                if not part and not pending and not member.eof:
                    raise BadInput("gzip body ends in the middle; was it cut off?")
                parts.append(part)
                size += len(part)
                _check(size, len(body), cap)
        except isal_zlib.error:  # type: ignore[misc]
            where = "gzip body is damaged" if not parts else "gzip body has something else behind it or is damaged"
            raise BadInput(f"{where}; expected gzip, as Content-Encoding says") from None
        rest = member.unused_data
        if not rest:
            return b"".join(parts)


def _unzstd(body: bytes, cap: int) -> bytes:
    parts: list[bytes] = []
    size = at = 0
    frame = None
    try:
        while at < len(body):
            if frame is None:
                frame = zstandard.ZstdDecompressor(max_window_size=2**27).decompressobj()
            piece = body[at : at + _ZSTD_INPUT]
            parts.append(frame.decompress(piece))
            size += len(parts[-1])
            _check(size, len(body), cap)
            at += len(piece)
            if frame.eof:
                at -= len(frame.unused_data)
                frame = None
    except zstandard.ZstdError:
        raise BadInput("zstd body is damaged; expected zstd, as Content-Encoding says") from None
    if frame is not None:
        raise BadInput("zstd body ends in the middle; was it cut off?")
    return b"".join(parts)
