"""Bytes of a file as they come, looked at before they are taken.

Enter: pieces, and None where some are missing between two pieces. Leave: as many bytes as are asked for. Holds no more
than what is looked at ahead.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

PIECE = 2**18
"""Bytes that are read at once."""


class Reader:
    """A stretch of bytes without a gap, then the next one."""

    def __init__(self, pieces: Iterable[bytes | None]) -> None:
        self._pieces = iter(pieces)
        self._held = bytearray()
        self._gap = False
        self._over = False
        self.at = 0
        """Bytes taken so far."""

    def peek(self, size: int) -> bytes:
        """Return up to *size* bytes that come next; fewer only at the end of the stretch."""
        while len(self._held) < size and self._more():
            pass
        return bytes(self._held[:size])

    def take(self, size: int) -> bytes:
        """Return what `peek` does, and pass on."""
        taken = self.peek(size)
        del self._held[: len(taken)]
        self.at += len(taken)
        return taken

    def some(self) -> bytes:
        """Return the next bytes, as many as are there, and none at the end of the stretch."""
        return self.take(max(1, len(self._held)))

    def skip(self, size: int) -> int:
        """Pass over *size* bytes; return how many there were."""
        left = size
        while left and (piece := self.take(min(left, PIECE))):
            left -= len(piece)
        return size - left

    def back(self, taken: bytes) -> None:
        """Give back what was taken last."""
        self._held[:0] = taken
        self.at -= len(taken)

    def further(self) -> bool:
        """Pass over what is left up to the gap, and on to what is behind it; return whether there is any."""
        for _ in self:
            pass
        self._gap = False
        return bool(self.peek(1))

    def _more(self) -> bool:
        if self._gap or self._over:
            return False
        try:
            piece = next(self._pieces)
        except StopIteration:
            self._over = True
            return False
        if piece is None:
            self._gap = True
            return False
        self._held += piece
        return True

    def __iter__(self) -> Iterator[bytes]:
        while piece := self.some():
            yield piece
