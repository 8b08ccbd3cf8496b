"""The first bytes of a connection that does not speak HTTP/1.1: which mistake they are."""

from __future__ import annotations

from collector.model.errors import NotHttp
from collector.receive.errors import SpokeHttp2, SpokeTls

_HTTP2 = b"PRI"
"""The method that HTTP/2 keeps for its greeting (RFC 9113); no other begins so."""
_TLS_RECORD = b"\x16\x03"
"""A handshake record of any version from SSL 3 to TLS 1.3."""


def other_than_http(data: bytes, instead: str) -> NotHttp | None:
    """Return what to say to a connection that begins with *data*, however little; None where it may be HTTP/1.1.

    *instead*: what speakers of HTTP/2 are told to use.
    """
    if data.startswith(_HTTP2):
        return SpokeHttp2(f"HTTP/2 is not spoken here; use {instead}")
    if data[:2] in (_TLS_RECORD, _TLS_RECORD[:1]):
        return SpokeTls("TLS is not spoken here; use http:// in the endpoint")
    return None
