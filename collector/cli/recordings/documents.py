"""Text as JSON documents, whatever stands between them: line ends, nothing, commas and brackets of an array.

Enter: lines, or pieces of long ones. Leave: documents that are whole, as their bytes, with their members' names. What
is no document is told with its line, and reading goes on where the next one can begin. Holds one document, of `MOST`
bytes at most.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

import msgspec

from collector.cli.recordings.told import Told

MOST = 128 * 2**20
"""Bytes of one document, or of one message: twice what a collector takes, for base64 and white space."""
_MEMBERS = msgspec.json.Decoder(dict[str, msgspec.Raw])
_REQUEST = rb'\{\s*"resource(?:Logs|Spans|Metrics|Profiles)"\s*:'
_FIRST = (
    rb"(?:resource\w*|scope\w+|instrumentationLibrary\w+|schemaUrl|signal|transport|content_type|content_encoding|body"
    rb"|received\w*|log|stream|time)"
)
_REQUESTS = tuple(b'"resource' + name + b'"' for name in (b"Logs", b"Spans", b"Metrics", b"Profiles"))
_OPENING = re.compile(rb"\{\s*\Z")
_LINE = re.compile(rb'\n(?=\{\s*"' + _FIRST + rb'"\s*:)')
_GLUED = re.compile(rb"\{[ \t\r]*\n")
_WITHIN = re.compile(_REQUEST + rb'|\{\s*"' + _FIRST + rb'"\s*:')
"""Where a document begins behind a prefix."""
_KEY = re.compile(rb'\{\s*"(\w+)"')
_BETWEEN = re.compile(rb"(?:[\s,\[\]\x1e]|\xef\xbb\xbf)*")
"""What may stand between documents: also the separator of RFC 7464, and byte order marks of files put together."""
_SURROGATE = re.compile(rb"\\u[dD][89a-fA-F][0-9a-fA-F]{2}")
_PLACE = re.compile(r" ?\(byte (\d+)\)$")
_HEADER = re.compile(r"\w+\.? \d{1,2}, \d{4},? \d{1,2}:\d\d:\d\d\s\S.*")
"""The first of two lines that java.util.logging writes."""
_EAGER = 4
"""How often, at most, a byte is looked at before its document is whole, beside once for each doubling."""


@dataclass(frozen=True, slots=True)
class Document:
    """A JSON object of a file."""

    line: int
    body: bytes
    members: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class _Broken:
    at: int
    why: str


def _look(seen: memoryview) -> tuple[str, ...] | int | _Broken | None:
    """Return the members of the one object in *seen*, its size where more follows, None where it is not whole."""
    try:
        return tuple(_MEMBERS.decode(seen))
    except RecursionError:
        return _Broken(0, "nested too deeply to read")
    except UnicodeDecodeError:
        return _Broken(0, "the name of a member is not UTF-8")
    except msgspec.DecodeError as e:
        why = str(e)
        place = _PLACE.search(why)
        if "truncated" in why or place is None:
            return None
        if "trailing characters" in why:
            return int(place[1]) - 1
        return _Broken(int(place[1]), why[: place.start()].removeprefix("JSON is malformed: "))


def _too_large() -> str:
    return f"a document of more than {MOST} bytes, which is the limit; left out"


class Documents:
    """The documents of one stream of text."""

    def __init__(self, told: Told) -> None:
        self._told = told
        self._held = bytearray()
        """A document that has begun."""
        self._line = 0
        """The line of its first byte."""
        self._due = 0
        """Its size when it is looked at again."""
        self._spent = 0
        self._key = b""
        self._lost = False
        """Whether what comes belongs to a document that is broken, until the next one."""
        self._open = 0
        self._opened = 0
        """Arrays that are open, and the line of the first."""

    def push(self, line: int, text: bytes) -> Iterator[Document]:
        """Yield what is whole with *text*, which is a line or goes on with one, its end included."""
        if not self._held:
            self._line = line
            self._spent = 0
            yield from self._all(text, over=False)
            return
        before = len(self._held)
        self._held += text
        if self._worth_a_look(before, text):
            self._spent += len(self._held)
            yield from self._all(self._taken(), over=False)

    def end(self) -> Iterator[Document]:
        """Yield what is whole where the text is over, and tell what is not."""
        yield from self._all(self._taken(), over=True)
        if self._open > 0:
            self._told.line(self._opened, "the array that begins here is not closed; was the file cut off?")
        self._open = 0
        self._lost = False

    def _taken(self) -> bytes:
        data = bytes(self._held)
        self._held.clear()
        return data

    def _worth_a_look(self, before: int, text: bytes) -> bool:
        held = self._held
        if len(held) >= self._due or (text[-1:] == b"\n" and held.find(b"\n") >= before):
            return True
        named = b'"resource' in text or (self._key and self._key in text)
        if named and self._begins_anew(held, max(1, before - 64)):
            return True
        return text[:1] in (b"}", b"]") and self._spent + len(held) <= _EAGER * len(held)

    def _begins_anew(self, data: bytes | bytearray, at: int) -> int | None:
        """Return where the document that is held must be over, since one of its kind begins."""
        begins = []
        for name in _REQUESTS:
            place = at
            while (place := data.find(name, place)) >= 0:
                if found := _OPENING.search(data[max(at, place - 64) : place]):
                    begins.append(max(at, place - 64) + found.start())
                    break
                place += 1
        if self._key and (
            found := re.search(rb'\n[ \t]*(?=\{\s*"' + self._key + rb'")', data[at - 1 :] if at else data)
        ):
            begins.append(max(0, at - 1) + found.end())
        return min(begins, default=None)

    def _next(self, data: bytes, at: int) -> int | None:
        """Return where reading can go on behind a document that is broken: not within it."""
        line = _LINE.search(b"\n" + data if not at else data, at)
        begin = self._begins_anew(data, at)
        return min((b for b in (begin, line.end() - (not at) if line else None) if b is not None), default=None)

    def _all(self, data: bytes, *, over: bool) -> Iterator[Document]:
        at = marked = 0
        line = self._line
        # A lone surrogate is for the collector to mend; here it is looked past, at the same length.
        seen = memoryview(_SURROGATE.sub(rb"\\uFFFD", data) if b"\\ud" in data or b"\\uD" in data else data)
        if self._lost and data:
            begin = self._next(data, 0)
            if begin is None:
                return
            at, self._lost = begin, False
        while True:
            at = self._between(data, at, line)
            line += data.count(b"\n", marked, at)
            marked = at
            if at == len(data):
                return
            if data[at] != ord("{"):
                at = self._passed(data, at, line)
                continue
            key = _KEY.match(data, at)
            self._key = key[1] if key else b""
            match _look(seen[at:]):
                case tuple(members):
                    yield from self._whole(line, data[at:].rstrip(), members)
                    return
                case int(size):
                    first = _look(seen[at : at + size])
                    assert isinstance(first, tuple)
                    yield from self._whole(line, data[at : at + size].rstrip(), first)
                    at += size
                    continue
                case _Broken(where, why) if over or at + where < len(data) - 8 or data[-1:] == b"\n":
                    where += at
                    column = where - data.rfind(b"\n", 0, where)
                    if data[where : where + 1] in (b"\r", b"\n"):
                        why = f"cut off after {where - at} bytes"
                    else:
                        why = f"not JSON at column {column} ({why})"
                    self._told.line(line + data.count(b"\n", at, where), f"{why}; left out")
                    self._lost = b"\n" in data[at:where]
                    if _GLUED.match(data, where):
                        at = where
                        continue
                case _:
                    anew = self._begins_anew(data, at + 1)
                    if anew is None and not over and len(data) - at <= MOST:
                        self._line = line
                        self._held += data[at:]
                        self._due = max(2 * len(self._held), 2**16)
                        return
                    if anew is None and not over:
                        self._told.line(line, _too_large())
                        self._lost = True
                        return
                    end = len(data.rstrip()) if anew is None else anew
                    self._told.line(line, f"cut off after {end - at} bytes; left out")
                    self._lost = b"\n" in data[at:end]
            begin = self._next(data, at + 1)
            if begin is not None:
                at, self._lost = begin, False
            elif self._lost:
                return
            else:
                newline = data.find(b"\n", at)
                at = len(data) if newline < 0 else newline

    def _whole(self, line: int, body: bytes, members: tuple[str, ...]) -> Iterator[Document]:
        if len(body) > MOST:
            self._told.line(line, _too_large())
        else:
            yield Document(line, body, members)

    def _between(self, data: bytes, at: int, line: int) -> int:
        found = _BETWEEN.match(data, at)
        assert found is not None
        between = found[0]
        opened = between.count(b"[")
        if opened and not self._open:
            self._opened = line + data.count(b"\n", at, data.index(b"[", at))
        self._open = max(0, self._open + opened - between.count(b"]"))
        return found.end()

    def _passed(self, data: bytes, at: int, line: int) -> int:
        """Return where a document begins in this line, else its end; tell what stands before it if it is no prefix."""
        end = data.find(b"\n", at)
        end = len(data) if end < 0 else end
        found = _WITHIN.search(data, at, end)
        begin = found.start() if found else end
        before = data[at:begin]
        if (
            b"{" in before or b"}" in before
            if found
            else not _HEADER.fullmatch(before.decode("utf-8", "replace").strip())
        ):
            self._told.alike(line, "no JSON object" if not found else "something else stands before the JSON")
        return begin
