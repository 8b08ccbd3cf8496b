"""Recorded telemetry as requests, in whatever form a file has it; see docs/files.md.

Enter: a file, or stdin, of any size. Leave: requests ready to post, one after the other, and word of what was left out.
`reader` holds bytes, `packed` opens them, `wide` makes them UTF-8, `text` takes off what stands before documents,
`documents` finds these, `requests` makes requests of them; `binary` does so for protobuf, whose signal `messages`
tells; `times` moves times.
"""

from __future__ import annotations

import codecs
import os
import re
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import IO

from collector.cli.recordings.binary import CONTROLS, Binary, form
from collector.cli.recordings.packed import packing, unpacked
from collector.cli.recordings.reader import PIECE, Reader
from collector.cli.recordings.requests import NotKept, Recorded, requests
from collector.cli.recordings.text import Text
from collector.cli.recordings.times import newest_ns, shift
from collector.cli.recordings.told import Tell, Told, Trouble, sentence
from collector.cli.recordings.wide import Narrowed
from collector.model.errors import BadInput, UsageError

__all__ = ["Recorded", "Trouble", "newest_ns", "opened", "read", "readable", "sentence", "shift"]

_ENCODINGS = (
    (codecs.BOM_UTF32_LE, "UTF-32", "utf-32"),
    (codecs.BOM_UTF32_BE, "UTF-32", "utf-32"),
    (codecs.BOM_UTF16_LE, "UTF-16", "utf-16-le"),
    (codecs.BOM_UTF16_BE, "UTF-16", "utf-16-be"),
    (b"{\0", "UTF-16", "utf-16-le"),
    (b"\0{", "UTF-16", "utf-16-be"),
    (b"[\0", "UTF-16", "utf-16-le"),
    (b"\0[", "UTF-16", "utf-16-be"),
)
_OTHERS = (
    (b"BZh", "packed by bzip2; unpack it first"),
    (b"\xfd7zXZ\0", "packed by xz; unpack it first"),
    (b"\x04\x22\x4d\x18", "packed by LZ4; unpack it first"),
    (b"\xff\x06\0\0sNaPpY", "packed by Snappy; unpack it first"),
    (b"PK\x03\x04", "a zip archive; unpack it first"),
    (b"PAR1", "a Parquet file"),
    (b"SQLite format 3\0", "an SQLite database"),
)
_OBJECT = re.compile(rb'\{\s*"')
_WANTED = (
    "expected OTLP/JSON, OTLP in protobuf (one message, or messages behind their length) or recorded requests, plain "
    "or packed by gzip, zlib or zstd"
)


def readable(path: str) -> None:
    """Raise UsageError, naming *path*, if it cannot be read at all."""
    if path == "-":
        return
    file = Path(path)
    try:
        file.stat()
        why = "it is a directory" if file.is_dir() else "" if os.access(file, os.R_OK) else "Permission denied"
    except (OSError, ValueError) as e:
        why = getattr(e, "strerror", None) or str(e)
    if why:
        raise UsageError(f"{path}: cannot be read ({why}); give a file that was recorded, or - for stdin.")


def read(
    path: str,
    tell: Tell | None = None,
    *,
    raw: IO[bytes] | None = None,
    progress: Callable[[int], None] = lambda size: None,
) -> Iterator[Recorded]:
    """Yield the requests of a file (`-` is stdin), packed or not.

    *tell* hears of what is left out; without it the first such thing raises UsageError. *raw*: the file, if it is open.
    *progress* hears how many bytes were read since it heard last. Memory does not depend on the file's size.
    """
    name = "stdin" if path == "-" else path
    told = Told(name, tell or _raise)
    any_at_all = False
    with opened(path) if raw is None else raw as file:
        reader = Reader(unpacked(Reader(_pieces(file, told, progress)), told))
        text = Text(told)
        more = True
        while more:
            for request in _stretch(reader, name, text, told):
                any_at_all = True
                yield request
            more = reader.further()
    told.flush()
    if not (any_at_all or told.told):
        told.file("no requests in it; give a recording")


def _raise(trouble: Trouble) -> None:
    if trouble.kind != "note":
        raise UsageError(sentence(str(trouble)))


def opened(path: str) -> IO[bytes]:
    """Return a file (`-` is stdin) opened; raise UsageError naming it."""
    if path == "-":
        return os.fdopen(os.dup(sys.stdin.fileno()), "rb", buffering=0) if _has_descriptor() else sys.stdin.buffer
    readable(path)
    try:
        return Path(path).open("rb", buffering=0)
    except OSError as e:
        raise UsageError(
            f"{path}: cannot be read ({e.strerror}); give a file that was recorded, or - for stdin."
        ) from None


def _has_descriptor() -> bool:
    try:
        return sys.stdin.fileno() >= 0
    except (OSError, ValueError):
        return False


def _pieces(file: IO[bytes], told: Told, progress: Callable[[int], None]) -> Iterator[bytes]:
    try:
        while piece := file.read(PIECE):
            progress(len(piece))
            yield piece
    except OSError as e:
        told.file(f"cannot be read to its end ({e.strerror})")


def _stretch(reader: Reader, name: str, text: Text, told: Told) -> Iterator[Recorded]:
    """Yield the requests up to a gap or the end."""
    if binary := form(reader):
        yield from Binary(reader, name, told).requests(binary)
        return
    head = reader.peek(4096)
    if why := _no_text(head):
        told.file(why)
        return
    if found := next(((said, codec) for magic, said, codec in _ENCODINGS if head.startswith(magic)), None):
        said, codec = found
        told.file(f"is in {said}, read as such; OTLP/JSON is UTF-8", "note")
        if said == "UTF-32":
            reader = Reader(part.encode() for part in codecs.iterdecode(reader, codec, "replace"))
        else:
            mark = reader.peek(2)
            reader.take(len(mark) if mark in (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE) else 0)
            reader = Reader(Narrowed(reader, told, codec[-2:]))
    else:
        reader = Reader(Narrowed(reader, told))
    for document in text.documents(reader):
        try:
            yield from requests(document, name)
        except NotKept as e:
            told.line(document.line, e.message, "not kept")
        except BadInput as e:
            told.line(document.line, e.message)


def _no_text(head: bytes) -> str:
    """Return why a file that begins with *head* is of no use, nothing if it may be text."""
    if any(head.startswith(magic) for magic, *_ in _ENCODINGS):
        return ""
    for magic, what in _OTHERS:
        if head.startswith(magic):
            return f"is {what}; {_WANTED}"
    if form := packing(head):
        return f"is packed twice, the second time by {form.name}; unpack it first"
    if CONTROLS & set(head) and not _OBJECT.search(head):
        return f"is binary and begins with bytes {head[:8].hex(' ')}; {_WANTED}"
    return ""
