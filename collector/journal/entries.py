"""One journal group as bytes: an Arrow IPC stream per table, a checksum, digests."""

from __future__ import annotations

import zlib
from dataclasses import dataclass

import pyarrow as pa

DIGEST_BYTES = 16
_NAME = b"runwell.table"


@dataclass(frozen=True, slots=True)
class Entry:
    """A group as it was acknowledged. *tables*: wire table name → rows; none where nothing of it can be had."""

    seq: int
    received_ns: int
    tables: dict[str, pa.Table]
    damaged: bool = False
    """Whether it is there and cannot be read."""
    lost: int = 0
    """How many groups up to this number, and after the one before, were acknowledged and are not there any more."""


_LZ4 = pa.ipc.IpcWriteOptions(compression="lz4")
_LZ4_ALONE = pa.ipc.IpcWriteOptions(compression="lz4", use_threads=False)


class Packer:
    """Packs tables as their rows come, into Arrow IPC streams (lz4), each named in its schema's metadata."""

    def __init__(self) -> None:
        self._streams: dict[str, tuple[_Pieces, pa.RecordBatchStreamWriter]] = {}

    def add(self, name: str, rows: pa.RecordBatch | pa.Table) -> None:
        """Pack *rows* of the table *name* behind those it has."""
        named = rows.replace_schema_metadata({_NAME: name.encode()})
        if name not in self._streams:
            pieces = _Pieces()
            self._streams[name] = pieces, pa.ipc.new_stream(pieces, named.schema, options=_LZ4_ALONE)
        self._streams[name][1].write(named)

    def end(self) -> list[bytes]:
        """Return what was packed, in pieces."""
        for _, writer in self._streams.values():
            writer.close()
        return [piece for pieces, _ in self._streams.values() for piece in pieces.all]


class _Pieces:
    """A file that keeps what is written as it is: a buffer that grows holds it twice."""

    closed = False

    def __init__(self) -> None:
        self.all: list[bytes] = []

    def write(self, piece: bytes) -> int:
        self.all.append(bytes(piece))
        return len(piece)

    def flush(self) -> None:
        pass


def pack(tables: dict[str, pa.Table]) -> bytes:
    """Return *tables* as concatenated Arrow IPC streams (lz4), each named in its schema's metadata."""
    sink = pa.BufferOutputStream()
    for name, table in tables.items():
        named = table.replace_schema_metadata({_NAME: name.encode()})
        with pa.ipc.new_stream(sink, named.schema, options=_LZ4) as writer:
            writer.write_table(named)
    return bytes(sink.getvalue())


def unpack(body: bytes) -> dict[str, pa.Table]:
    """Return the tables that `pack` wrote."""
    source = pa.BufferReader(body)
    tables: dict[str, pa.Table] = {}
    while source.tell() < len(body):
        with pa.ipc.open_stream(source) as stream:
            table = stream.read_all()
        tables[table.schema.metadata[_NAME].decode()] = table.replace_schema_metadata(None)
    return tables


def checksum(seq: int, body: bytes | bytearray) -> int:
    """Return the checksum of a row: its number and its bytes."""
    return zlib.crc32(body, zlib.crc32(seq.to_bytes(8, "little")))
