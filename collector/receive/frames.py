"""Messages between receive and its decode process, over a pair of sockets: what each says, and as bytes with a length.

Setup, then for each body: Ask, the body →  ← digest, if the body can be unpacked
                           b"1" to go on, b"" to leave it →  ← Told, rows as the journal packs them
"""

from __future__ import annotations

import socket
import struct

import msgspec

from collector.decode import Accepted
from collector.decode.names import Name
from collector.model import errors
from collector.model.signals import Encoding

_AT_ONCE = 2**16
_LENGTH = struct.Struct("<Q")
GO, LEAVE = b"1", b""
OUT_OF_MEMORY = 75
"""Exit code of a decode process that has too little memory for a body."""


class Setup(msgspec.Struct, frozen=True):
    """What the process is told once: settings as JSON, and what a body may take beyond the loaded program."""

    limits: str
    names: str
    memory: int
    """Bytes."""
    rows: int
    """Bytes of all rows of a body, before they are packed: as many as the store takes up at one time."""


class Ask(msgspec.Struct, frozen=True):
    """A body that is to be decoded, and the names taken up since the last one."""

    project: str
    signal: str
    encoding: Encoding
    compression: str
    received_ns: int
    fresh: list[Name]


class Failed(msgspec.Struct, frozen=True):
    """A refusal: the name of its class, empty for a defect of ours, and what it says."""

    kind: str
    reason: str
    field: str = ""

    @classmethod
    def of(cls, error: errors.BadInput) -> Failed:
        """Return *error* as it is told."""
        return cls(type(error).__name__, error.reason, error.field)

    def error(self) -> errors.BadInput:
        """Return the error that is told of."""
        kind: type[errors.BadInput] = getattr(errors, self.kind)
        return kind(self.reason, field=self.field)


class Told(msgspec.Struct, frozen=True):
    """What became of a body: accepted or failed, the names that it is the first to use, and its cost."""

    said: Accepted | None
    failed: Failed | None
    names: list[Name]
    cpu_us: int


def write(to: socket.socket, *parts: bytes | bytearray) -> None:
    """Send *parts* as one message; none of them is copied but small ones, for others wait while this process copies."""
    small = bytearray(_LENGTH.pack(sum(map(len, parts))))
    for part in parts:
        if len(small) + len(part) < _AT_ONCE:
            small += part
            continue
        to.sendall(small)
        small = bytearray()
        to.sendall(part)
    to.sendall(small)


def say(to: socket.socket, message: msgspec.Struct) -> None:
    """Send a struct."""
    write(to, msgspec.msgpack.encode(message))


def read(source: socket.socket) -> bytearray:
    """Return the next message; raise EOFError where the other side has ended, TimeoutError where it takes too long."""
    length = bytearray(_LENGTH.size)
    _fill(source, length)
    message = bytearray(_LENGTH.unpack(length)[0])
    _fill(source, message)
    return message


def _fill(source: socket.socket, into: bytearray) -> None:
    view = memoryview(into)
    while view:
        count = source.recv_into(view)
        if not count:
            raise EOFError
        view = view[count:]
