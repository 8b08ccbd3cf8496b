"""The body of a request as it was before it was compressed, and the digest by which it is known again."""

from __future__ import annotations

from dataclasses import dataclass
from hashlib import blake2b

from collector.model.signals import Encoding
from collector.otlp.compression import decompress


@dataclass(frozen=True, slots=True)
class Plain:
    """A plain body and its digest."""

    body: bytes
    digest: bytes

    def is_empty(self, encoding: Encoding) -> bool:
        """Tell whether it is the shortest request without records."""
        return self.body == (b"{}" if encoding == "json" else b"")


def unpack(project: str, signal: str, encoding: Encoding, compression: str, body: bytes, most_bytes: int) -> Plain:
    """Return the plain form of *body*, of at most *most_bytes*; raise Refused when it cannot be had."""
    plain = decompress(body, compression, most_bytes)
    h = blake2b(digest_size=16)
    h.update(f"{project}\0{signal}\0{encoding}\0".encode())
    h.update(plain)
    return Plain(plain, h.digest())
