"""Packed files opened as they are read: gzip, zlib and zstd, of any number of members, skippable frames anywhere.

Enter: bytes of a file. Leave: what is packed in them, in pieces of 32 MiB at most, None where a member is damaged: what
comes behind it is another member, found by how one begins.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import zstandard

from collector.cli.recordings.reader import Reader
from collector.cli.recordings.told import Told
from collector.otlp.compression import ZSTD, packing_of

_WINDOW = 2**27
_STEP = 32
_LITTLE = 2**20
_CHECKSUM = 4


class _Damaged(Exception):
    """*before* is what could be opened of the piece."""

    def __init__(self, before: bytes, why: str) -> None:
        super().__init__(why)
        self.before = before


class _Unproven(_Damaged):
    """All of a member could be opened, but it is not what its checksum says; behind it stands *rest* of the piece, or
    so many bytes are *missing* of its end."""

    def __init__(self, before: bytes, piece: bytes, end: int) -> None:
        super().__init__(before, "")
        self.rest = piece[end:]
        self.missing = max(0, end - len(piece))


class _Member:
    """One member being opened by *opener*, its library's."""

    def __init__(self, opener: Any) -> None:
        self._opener = opener

    @property
    def eof(self) -> bool:
        return bool(self._opener.eof)

    @property
    def unused_data(self) -> bytes:
        return bytes(self._opener.unused_data)


class _Inflate(_Member):
    def __init__(self, behind: int) -> None:
        """*behind*: bytes between the checksum and the end."""
        super().__init__(zlib.decompressobj(zlib.MAX_WBITS | 32))  # gzip or zlib, as its header says
        self._behind = behind

    def decompress(self, piece: bytes) -> bytes:
        before = self._opener.copy()
        try:
            return bytes(self._opener.decompress(piece))
        except zlib.error as e:
            opened, at = _as_far_as_possible(before, piece)
            if "incorrect data check" in str(e):
                raise _Unproven(opened, piece, at + 1 + self._behind) from None
            if "incorrect length check" in str(e):
                raise _Unproven(opened, piece, at + 1) from None
            raise _Damaged(opened, str(e)) from None


def _as_far_as_possible(opener: Any, piece: bytes) -> tuple[bytes, int]:
    """Return what can be opened of *piece*, and which byte of it is too much."""
    opened, at = [], 0
    for step in (_STEP, 1):
        before = opener
        try:
            while at < len(piece):
                before = opener.copy()
                opened.append(opener.decompress(piece[at : at + step]))
                at += step
        except zlib.error:
            opener = before
    return b"".join(opened), at


class _Unzstd(_Member):
    def __init__(self) -> None:
        super().__init__(_unzstd())
        self._fed = bytearray()
        """What was opened, as long as it is little: an error gives nothing of its piece, or all of a small frame."""
        self._given = 0

    def decompress(self, piece: bytes) -> bytes:
        before = len(self._fed)
        if before <= _LITTLE:
            self._fed += piece
        try:
            opened = bytes(self._opener.decompress(piece))
        except zstandard.ZstdError as e:
            if "checksum" in str(e) and before <= _LITTLE and self._fed[:4] == ZSTD:
                raise self._unproven(piece) from None
            why = f"needs a window beyond {_WINDOW} bytes" if "too much memory" in str(e) else str(e)
            raise _Damaged(b"", why) from None
        self._given += len(opened)
        return opened

    def _unproven(self, piece: bytes) -> _Unproven:
        """Return the frame as it is without its checksum, which a bit of its fifth byte says is there."""
        self._fed[4] &= ~4
        opener = _unzstd()
        opened = opener.decompress(bytes(self._fed))
        return _Unproven(opened[self._given :], piece, len(piece) - len(opener.unused_data) + _CHECKSUM)


def _unzstd() -> Any:
    return zstandard.ZstdDecompressor(max_window_size=_WINDOW).decompressobj()


@dataclass(frozen=True, slots=True)
class Packing:
    """One way of packing."""

    name: str
    begins: Callable[[bytes], bool]
    """Whether a member begins with these four bytes."""
    magic: bytes
    opener: Callable[[], Any]
    piece: int
    """Bytes that are opened at once: zlib makes 1,032 of one, zstd 128 KiB of four."""


PACKINGS = (
    Packing("gzip", lambda head: packing_of(head) == "gzip", b"\x1f\x8b\x08", lambda: _Inflate(4), 2**14),
    Packing("zlib", lambda head: packing_of(head) == "deflate", b"", lambda: _Inflate(0), 2**14),
    Packing("zstd", lambda head: packing_of(head) == "zstd", ZSTD, _Unzstd, 2**10),
)


def packing(head: bytes) -> Packing | None:
    """Return how what begins with *head* is packed, None if it is not."""
    return next((p for p in PACKINGS if p.begins(head)), None)


def unpacked(raw: Reader, told: Told) -> Iterator[bytes | None]:
    """Yield what *raw* holds, opened if it is packed."""
    form = packing(raw.peek(4))
    if form is None:
        yield from raw
        return
    while raw.peek(1):
        began = raw.at
        if not form.begins(raw.peek(4)):
            if _only_zeros(raw):  # what tapes and block devices fill up with
                return
            told.file(f"something else stands behind the {form.name} member that ends at byte {began}")
        else:
            member = form.opener()
            try:
                yield from _opened(member, raw, form, told)
                continue
            except _Damaged as e:
                yield e.before
                told.file(f"the {form.name} member at byte {began} is damaged near byte {raw.at} ({e})")
                yield None
                raw.take(raw.at == began)  # not the same member again
        if not _find(raw, form.magic):
            return


def _opened(member: Any, raw: Reader, form: Packing, told: Told) -> Iterator[bytes]:
    while not member.eof:
        piece = raw.take(form.piece)
        if not piece:
            told.file(f"the {form.name} data ends in the middle, at byte {raw.at}; was the file cut off?")
            return
        try:
            yield member.decompress(piece)
        except _Unproven as e:
            raw.back(e.rest)
            raw.take(e.missing)
            yield e.before
            told.file(
                f"the {form.name} member that ends at byte {raw.at} is not what its checksum says: it is read as it "
                "is, and may be damaged"
            )
            return
        except _Damaged:
            raw.back(piece)  # another member may begin in it
            raise
    raw.back(member.unused_data)


def _only_zeros(raw: Reader) -> bool:
    while piece := raw.peek(2**12):
        if piece.strip(b"\0"):
            return False
        raw.take(len(piece))
    return True


def _find(raw: Reader, magic: bytes) -> bool:
    """Pass on to where a member may begin."""
    while magic and (piece := raw.take(2**12 + len(magic))):
        at = piece.find(magic)
        if at >= 0:
            raw.back(piece[at:])
            return True
        if len(piece) > 2**12:
            raw.back(piece[-len(magic) + 1 :])
    return False
