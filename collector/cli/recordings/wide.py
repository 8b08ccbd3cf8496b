"""Text in UTF-8 with stretches of UTF-16 in it, as files are that two programs wrote: made UTF-8 throughout.

Enter: bytes. Leave: the same as UTF-8; UTF-16 is read as such, from where it begins to where a line of UTF-8 does.
PowerShell's `>>` writes UTF-16 behind whatever is there.
"""

from __future__ import annotations

import codecs
import re
from collections.abc import Iterator

from collector.cli.recordings.reader import Reader
from collector.cli.recordings.told import Told

_KEPT = 16
"""Bytes that are looked at again with those that follow."""
_BEGINS = re.compile(
    rb"(?P<le>\xff\xfe(?=[\t\r\n -~]\0)|(?=[{\[]\0(?:[\t\r\n -~]\0){3})|(?<=\n)(?=(?:[\t\r\n -~]\0){4}))"
    rb"|(?P<be>\xfe\xff(?=\0[\t\r\n -~])|(?=\0[{\[](?:\0[\t\r\n -~]){3})|(?<=\n)(?=(?:\0[\t\r\n -~]){4}))"
)
"""A mark, a document, or four characters at the beginning of a line."""
_ENDS = {"le": re.compile(rb"\n\0(?=[^\0]{4})"), "be": re.compile(rb"\0\n(?=[^\0]{4})")}
"""The end of a line, with one behind it that has a byte a character."""


class Narrowed:
    """The bytes of *reader* in UTF-8; *wide*: how it begins, where that is UTF-16."""

    def __init__(self, reader: Reader, told: Told, wide: str = "") -> None:
        self._reader = reader
        self._told = told
        self._wide = wide
        self._decoder = codecs.getincrementaldecoder(f"utf-16-{wide}")("replace") if wide else None

    def __iter__(self) -> Iterator[bytes]:
        data, more = b"", True
        while more:
            piece = self._reader.some()
            more = bool(piece)
            data += piece
            used, before = 0, None
            while used < len(data) - (_KEPT if more else 0) and before != (used, self._decoder):
                before = used, self._decoder
                part, used = self._next(data, used, more)
                yield part
            data = data[used:]
        if self._decoder:
            yield self._decoder.decode(b"", final=True).encode()

    def _next(self, data: bytes, at: int, more: bool) -> tuple[bytes, int]:
        """Return the next part of *data* in UTF-8, and where it ends: before the last bytes, if there is *more*."""
        last = len(data) - (_KEPT if more else 0)
        if self._decoder is None:
            found = _BEGINS.search(data, at) if b"\0" in data else None
            if found is None or found.start() >= last:
                return data[at:last], last
            self._begin(found, len(data) - found.start())
            return data[at : found.start()], found.end()
        last -= (last - at) % 2 if more else 0
        for found in _ENDS[self._wide].finditer(data, at, last + 6):
            if (found.start() - at) % 2 == 0 and found.end() <= last:
                text = self._decoder.decode(data[at : found.end()])
                self._decoder = None
                return text.encode(), found.end()
        return self._decoder.decode(data[at:last]).encode("utf-8", "replace"), last

    def _begin(self, found: re.Match[bytes], behind: int) -> None:
        self._wide = str(found.lastgroup)
        self._decoder = codecs.getincrementaldecoder(f"utf-16-{self._wide}")("replace")
        self._told.once(
            f"goes on in UTF-16 at byte {self._reader.at - behind}, read as such; OTLP/JSON is UTF-8. "
            "Did two programs write it?",
            "note",
        )
