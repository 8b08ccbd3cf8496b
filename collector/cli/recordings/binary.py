"""Binary files as requests: messages behind their length, or one message.

The Collector's file exporter writes four bytes of length, big endian, before each message (`format: proto`), and before
each zstd frame (`compression: zstd`, of either format); others write a varint, as protobuf's own tools do. A file of
one message is read as its resources, one after the other, so that it may be of any size or end in the middle.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Literal

from collector.cli.recordings.documents import MOST, Documents
from collector.cli.recordings.messages import doubts, signal_of
from collector.cli.recordings.packed import packing
from collector.cli.recordings.reader import Reader
from collector.cli.recordings.requests import NOT_KEPT, NotKept, Recorded, requests
from collector.cli.recordings.told import Told
from collector.decode.fields import varint
from collector.model.errors import BadInput
from collector.model.signals import PROFILES
from collector.otlp.compression import decompress

Form = Literal["length", "varint", "message"]
_TOGETHER = 4 * 2**20
"""Bytes of resources that are sent as one request, if there are several."""
_FIELD = b"\x0a"
"""How field 1, a list of messages, begins: what each OTLP request begins with."""
_LONGEST = 10
CONTROLS = frozenset(range(32)) - frozenset(b"\0\t\n\v\f\r\x1b\x1e")
"""Bytes that no text has."""


def form(reader: Reader) -> Form | None:
    """Return how a file is written, None if it is not binary."""
    head = reader.peek(64)
    size = int.from_bytes(head[:4], "big")
    if 0 < size <= MOST and head[0] <= MOST >> 24 and _begins(head[4:]):
        return "length"
    if not CONTROLS & set(reader.peek(2**12)):  # text; each message with a record has field 2, a byte 18
        return None
    if head[:1] == _FIELD and (found := _size(head[1:])):
        size, used = found
        first = reader.peek(1 + used + size) if size <= MOST else b""
        # Cut within its first resource, or too large: what is there has to do.
        if doubts(first) or (len(first) < 1 + used + size and _resource(head[1 + used :])):
            return "message"
    if (found := _size(head)) and 0 < found[0] <= MOST and head[found[1] : found[1] + 1] == _FIELD:
        size, used = found
        first = reader.peek(used + size)[used:]
        if len(first) == size and doubts(first):
            return "varint"
    return None


def _begins(payload: bytes) -> bool:
    """Tell whether a message, a packed one or a document begins here."""
    return payload[:1] in (_FIELD, b"\x12", b"{", b"[") or packing(payload) is not None


def _resource(head: bytes) -> bool:
    """Tell whether a resource's first field, with its own first field, begins here."""
    found = _size(head[1:])
    return head[:1] == _FIELD and found is not None and (not found[0] or head[1 + found[1] :][:1] in (_FIELD, b"\x10"))


def _size(head: bytes) -> tuple[int, int] | None:
    """Return (value, bytes) of the varint that begins here."""
    try:
        return varint(head[:_LONGEST], 0)
    except IndexError:
        return None


class Binary:
    """The requests of a binary file."""

    def __init__(self, reader: Reader, name: str, told: Told) -> None:
        self._reader = reader
        self._name = name
        self._told = told
        self._number = 0

    def requests(self, form: Form) -> Iterator[Recorded]:
        """Yield the requests of a file of *form* up to a gap or the end."""
        if form == "message":
            yield from self._resources()
            return
        while self._reader.peek(1):
            at = self._reader.at
            if self._zeros(4 if form == "length" else 1):
                continue
            self._number += 1
            size = self._length() if form == "varint" else int.from_bytes(self._reader.take(4), "big")
            if size is None:
                self._told.message(self._number, at, "no length of a message; what follows cannot be read")
                return
            if size > MOST:
                there = self._reader.skip(size)
                cut = "" if there == size else f", of which {there} are there; was the file cut off?"
                self._told.message(
                    self._number, at, f"{size} bytes, more than {MOST}, which is the limit; left out{cut}"
                )
                continue
            payload = self._reader.take(size)
            if len(payload) < size:
                self._told.message(self._number, at, f"cut off: {len(payload)} of {size} bytes are there; left out")
                return
            yield from self._payload(payload, at)

    def _length(self) -> int | None:
        found = _size(self._reader.peek(_LONGEST))
        if found is None:
            return None
        self._reader.take(found[1])
        return found[0]

    def _zeros(self, step: int) -> int:
        """Pass over zero bytes where a length or field should be, *step* at a time; return how many there were."""
        at, piece = self._reader.at, self._reader.peek(2**12)
        count = len(piece) - len(piece.lstrip(b"\0"))
        if count < len(piece):
            count -= count % step
        if count:
            self._told.zeros(f": byte {at}", len(self._reader.take(count)))
        return count

    def _payload(self, payload: bytes, at: int) -> Iterator[Recorded]:
        where = (self._number, at)
        try:
            if form := packing(payload):
                payload = bytes(decompress(payload, form.name, MOST))
            if payload.lstrip()[:1] in (b"{", b"[") and payload[:1] != _FIELD:
                yield from self._json(payload, at)
            else:
                yield self._message(payload, at)
        except NotKept as e:
            self._told.message(*where, e.message, "not kept")
        except BadInput as e:
            self._told.message(*where, f"left out: {e.message}")

    def _message(self, body: bytes, at: int) -> Recorded:
        signal = signal_of(body, self._name)
        if signal is None:
            raise BadInput("no request of OTLP in protobuf, or it cannot be told of which signal: name the file so")
        if signal is PROFILES:
            raise NotKept(NOT_KEPT)
        return Recorded(signal, "protobuf", body, f"{self._name}: message {self._number} (byte {at})")

    def _json(self, payload: bytes, at: int) -> Iterator[Recorded]:
        documents = Documents(self._told)
        for each in (documents.push(1, payload), documents.end()):
            for document in each:
                for request in requests(document, self._name):
                    yield Recorded(
                        request.signal, "json", request.body, f"{self._name}: message {self._number} (byte {at})"
                    )

    def _resources(self) -> Iterator[Recorded]:
        """Yield the one message of a file, in parts if it is large."""
        self._number = 1
        at = self._reader.at
        held = bytearray()
        while head := self._reader.peek(1 + _LONGEST):
            here = self._reader.at
            found = _size(head[1:])
            if head[:1] not in (_FIELD, b"\x12") or found is None:
                if self._zeros(1):
                    continue
                self._told.file(f"byte {here} is no field of a request; what follows cannot be read")
                break
            size, used = found
            if size > MOST:
                there = self._reader.skip(1 + used + size)
                self._told.file(
                    f"the resource at byte {here} states {size} bytes, more than {MOST}, which is the limit"
                )
                if there < 1 + used + size:
                    break
                continue
            field = self._reader.take(1 + used + size)
            if len(field) < 1 + used + size:
                self._told.file(
                    f"cut off in the resource at byte {here}: {len(field)} of {1 + used + size} bytes; left out"
                )
                break
            if held and len(held) + len(field) > _TOGETHER:
                yield from self._payload(bytes(held), at)
                held.clear()
                at = here
            held += field
        if held:
            yield from self._payload(bytes(held), at)
