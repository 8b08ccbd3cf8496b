"""What a body that cannot be read looks like, where it is not what its labels say; in the words of its transport."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Literal

from collector.model.errors import BadInput
from collector.model.signals import BY_PATH, Encoding
from collector.otlp.compression import packing_of

Look = Literal["gzip", "zstd", "deflate", "UTF-16", "JSON", "protobuf", "XML", ""]

_HEAD = 64
_JSON = re.compile(rb"(?:\xef\xbb\xbf)?[ \t\r\n]*[{\[][\t\r\n\x20-\xff]*\Z")
_PROTOBUF = re.compile(rb"\x0a[\x80-\xff]{0,4}[\x00-\x7f](?:[\x0a\x12\x1a\x00-\x08\x0e-\x1f]|\Z)")
"""A request's first field is 1, a message, whose first field is 1, 2 or 3."""
_PACKED = ("gzip", "zstd", "deflate")


def head(parts: Sequence[bytes | bytearray]) -> bytes:
    """Return the first bytes of a body, as many as it takes to tell what it looks like."""
    return bytes(parts[0][:_HEAD]) if parts else b""


def look(head: bytes) -> Look:
    """Return what a body with this *head* looks like, empty for nothing in particular."""
    if packed := packing_of(head):
        return packed
    if head[:2] in (b"\xff\xfe", b"\xfe\xff") or (head[:1] in (b"{", b"[") and head[1:2] == b"\0"):
        return "UTF-16"
    if _JSON.match(head):
        return "JSON"
    if _PROTOBUF.match(head):
        return "protobuf"
    return "XML" if head.lstrip()[:1] == b"<" else ""


def over_http(error: BadInput, head: bytes, encoding: Encoding, packing: str) -> BadInput:
    """Return *error* with what is probably meant, where labels and body differ."""
    seen, packing = look(head), packing.strip().lower()
    packed = packing not in ("", "identity")
    if seen == "deflate" and not packed:
        hint = "it looks like deflate, which is not read; use gzip"
    elif seen in _PACKED and not packed:
        hint = f"it looks like {seen}; is Content-Encoding missing?"
    elif seen and packed and seen not in packing:
        hint = f"it looks like {seen}; is Content-Encoding right?"
    elif seen == "UTF-16":
        hint = "it looks like UTF-16; JSON is UTF-8"
    elif seen and not packed and seen.lower() != encoding:
        hint = f"it looks like {seen}; is Content-Type right?"
    else:
        return error
    return type(error)(f"{error.reason}; {hint}", field=error.field)


def over_grpc(error: BadInput, head: bytes) -> BadInput:
    """The same for a message of gRPC, which is protobuf whatever is said."""
    seen = look(head)
    if seen in ("", "protobuf"):
        return error
    return type(error)(f"{error.reason}; it looks like {seen}, and gRPC carries protobuf", field=error.field)


def path(asked: str) -> str:
    """Return that a path is not OTLP's, and which one is probably meant."""
    parts = [part for part in asked.lower().split("/") if part]
    whole = "/".join(parts)
    if "opentelemetry.proto.collector." in whole:
        return "no such path; this is a method of gRPC, which has a port of its own"
    last = max(BY_PATH, key=lambda known: whole.rfind(known[1:]))
    if last[1:] in whole:
        return f"no such path; did you mean {last}? Most exporters add it to their endpoint by themselves"
    for meant, signal in BY_PATH.items():
        if parts and parts[-1].rstrip("s") == signal.name.rstrip("s"):
            return f"no such path; did you mean {meant}?"
    return f"no such path; OTLP is at {', '.join(BY_PATH)}"
