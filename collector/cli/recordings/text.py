"""Lines of a text file as documents: what container runtimes and loggers put before each is taken off.

Enter: bytes. Leave: documents, those inside Docker's own JSON included. Lines with a prefix are put together by whose
they are, so that what a runtime cut in parts or two writers mixed is whole again.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator

from collector.cli.recordings.documents import Document, Documents
from collector.cli.recordings.reader import Reader
from collector.cli.recordings.told import Told

_PART = 4 * 2**20
"""A longer line comes in parts."""
_STREAMS = 64
"""Whose lines are put together at once."""
_ANSI = re.compile(rb"\x1b\[[0-9;]*m")
_PREFIX = re.compile(
    # Kubernetes' runtimes: time, stream, whether the line is whole.
    rb"(?P<cri>\d{4}-\d\d-\d\dT\S+ (?:stdout|stderr)) (?P<tag>[FP])(?::\S*)? "
    # kubectl logs --prefix, docker compose, and the times both can add.
    rb"|(?P<pod>\[pod/[^\]\s]+\]) |(?P<service>[\w./-]+\s*\|) ?|\d{4}-\d\d-\d\dT[\d:.]+(?:Z|[+-]\d\d:\d\d) "
)


class Text:
    """The documents of a text file."""

    def __init__(self, told: Told) -> None:
        self._told = told
        self._streams: dict[str, Documents] = {}
        self._line = 1

    def documents(self, reader: Reader) -> Iterator[Document]:
        """Yield the documents up to a gap or the end; lines are counted on behind a gap."""
        whose, begins = "", True
        for part in _parts(reader):
            zeros = part.count(0)
            if zeros:
                self._told.zeros(f":{self._line}", zeros)
            # No JSON has a zero byte: what stands on both sides of some are different documents.
            for place, between in enumerate(re.split(rb"\0+", part) if zeros else (part,)):
                if place:
                    yield from self._end()
                whose, text = _whose(between) if begins or place else (whose, between)
                if text:
                    yield from self._push(whose, text)
            begins = part[-1:] == b"\n"
            self._line += begins
        yield from self._end()

    def _push(self, whose: str, text: bytes) -> Iterator[Document]:
        stream = self._streams.get(whose)
        if stream is None:
            if len(self._streams) >= _STREAMS:
                yield from self._streams.pop(next(iter(self._streams))).end()
            stream = self._streams[whose] = Documents(self._told)
        for document in stream.push(self._line, text):
            yield from self._inner(document)

    def _inner(self, document: Document) -> Iterator[Document]:
        """Yield a document, or what Docker keeps in it: a text, which it cuts in parts without a line end."""
        if not {"log", "stream"} <= set(document.members):
            yield document
            return
        entry = json.loads(document.body.decode("utf-8", "replace"))
        log, stream = entry["log"], entry["stream"]
        if isinstance(log, str) and isinstance(stream, str):
            yield from self._push(f"docker {stream}", log.encode("utf-8", "replace"))
        else:
            self._told.line(document.line, "its log is no text; left out")

    def _end(self) -> Iterator[Document]:
        while self._streams:
            yield from self._streams.pop(next(iter(self._streams))).end()


def _parts(reader: Reader) -> Iterator[bytes]:
    """Yield lines with their ends, and parts of long ones."""
    held: list[bytes] = []
    size = 0
    while piece := reader.some():
        *lines, rest = piece.split(b"\n")
        for line in lines:
            yield b"".join((*held, line, b"\n"))
            held, size = [], 0
        held.append(rest)
        size += len(rest)
        if size > _PART:
            yield b"".join(held)
            held, size = [], 0
    if size:
        yield b"".join(held)


def _whose(line: bytes) -> tuple[str, bytes]:
    """Return who wrote a line, and the line without what says so."""
    if line[:1] in (b"{", b" ", b'"', b"}", b"]", b"\n"):
        return "", line
    if b"\x1b" in line:
        line = _ANSI.sub(b"", line)
    whose = ""
    while found := _PREFIX.match(line):
        line = line[found.end() :]
        if found["tag"]:
            whose += found["cri"].decode("utf-8", "replace").split()[-1]
            if found["tag"] == b"P":
                line = line.removesuffix(b"\n").removesuffix(b"\r")
        else:
            whose += (found["pod"] or found["service"] or b"").decode("utf-8", "replace")
    return whose, line
