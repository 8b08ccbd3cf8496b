"""What a body that cannot be read looks like, where it is not what its labels say; in the words of its transport."""

from __future__ import annotations

import binascii
import re
import zlib
from collections.abc import Sequence
from typing import Literal

import zstandard

from collector.decode.fields import varint
from collector.model.errors import BadInput, OtherSignal, Unsupported
from collector.model.signals import BY_PATH, LOGS, Encoding, Signal
from collector.otlp.compression import packing_of

Look = Literal[
    "gzip",
    "zstd",
    "deflate",
    "raw deflate",
    "UTF-16",
    "UTF-32",
    "JSON",
    "protobuf",
    "XML",
    "base64",
    "a message in gRPC's frame",
    "protobuf behind its length",
    "",
]

_HEAD = 64
_WINDOW = 2**23
_PACKED_HEAD = 16 * 2**10
"""Of a packed body: gzip tells its beginning early, zstd not before its first block is whole."""
_JSON = re.compile(rb"(?:\xef\xbb\xbf)?[ \t\r\n]*[{\[][\t\r\n\x20-\xff]*\Z")
_PROTOBUF = re.compile(rb"\x0a[\x80-\xff]{0,4}[\x00-\x7f](?:[\x0a\x12\x1a\x00-\x08\x0e-\x1f]|\Z)")
"""A request's first field is 1, a message, whose first field is 1, 2 or 3."""
_WIDE: tuple[tuple[Look, re.Pattern[bytes]], ...] = (
    (
        "UTF-32",
        re.compile(rb"\xff\xfe\0\0|\0\0\xfe\xff|(?:[ \t\r\n]\0{3})*[{\[]\0{3}|(?:\0{3}[ \t\r\n])*\0{3}[{\[]\0{3}"),
    ),
    ("UTF-16", re.compile(rb"\xff\xfe|\xfe\xff|(?:[ \t\r\n]\0)*[{\[]\0|(?:\0[ \t\r\n])*\0[{\[]\0")),
)
_BASE64 = re.compile(rb"\s*\"?([A-Za-z0-9+/_-]{16,})[\s=\"]*\Z")
_PACKED = ("gzip", "zstd", "deflate")
_ALONE: dict[Look, str] = {
    "a message in gRPC's frame": "send the message by itself, or to the port for gRPC",
    "protobuf behind its length": "send each message by itself, as a request of its own",
    "base64": "send the bytes that it stands for",
}
"""What is no request of either wire, whatever the labels say → what to do."""


def head(parts: Sequence[bytes | bytearray], packing: str = "") -> bytes:
    """Return the first bytes of a body, as many as it takes to tell what it looks like, of one with a *packing* too."""
    return bytes(parts[0][: _PACKED_HEAD if packing else _HEAD]) if parts else b""


def look(head: bytes) -> Look:
    """Return what a body with this *head* looks like, empty for nothing in particular."""
    head = head[:_HEAD]
    if seen := _look(head):
        return seen
    if _holds(head, 4, int.from_bytes(head[:4], "big")):
        return "protobuf behind its length"
    if head[:1] in (b"\0", b"\1") and _holds(head, 5, int.from_bytes(head[1:5], "big")):
        return "a message in gRPC's frame"
    size, at = _varint(head, 0)
    if _holds(head, at, size):
        return "protobuf behind its length"
    if (found := _BASE64.match(head)) and _look(_of_base64(found[1])):
        return "base64"
    return "raw deflate" if _look(_unpacked(head, "raw deflate")) in ("JSON", "protobuf") else ""


def _look(head: bytes) -> Look:
    """Return which of what may stand in a body this *head* is."""
    if packed := packing_of(head):
        return packed
    for encoding, begins in _WIDE:
        if begins.match(head):
            return encoding
    if _JSON.match(head):
        return "JSON"
    if _PROTOBUF.match(head):
        return "protobuf"
    return "XML" if head.lstrip()[:1] == b"<" else ""


def _holds(head: bytes, at: int, size: int) -> bool:
    """Tell whether a message of *size* bytes, packed or not, can begin at *at*: its first field ends in it."""
    seen = _look(head[at:])
    if seen != "protobuf":
        return size > 0 and seen in _PACKED
    inner, behind = _varint(head, at + 1)
    return behind - at + inner <= size


def _varint(head: bytes, at: int) -> tuple[int, int]:
    """Return the varint at *at* and where it ends, one that no message is as long as where there is none."""
    try:
        return varint(head, at)
    except IndexError:
        return 2**63, len(head)


def _of_base64(text: bytes) -> bytes:
    return binascii.a2b_base64(text[: len(text) // 4 * 4].replace(b"-", b"+").replace(b"_", b"/"))


def _unpacked(head: bytes, packing: Look) -> bytes:
    """Return the first bytes of what begins with *head*, as far as they can be had."""
    try:
        if packing == "zstd":
            with zstandard.ZstdDecompressor(max_window_size=_WINDOW).stream_reader(head) as reader:
                return reader.read(_HEAD)
        bits = -zlib.MAX_WBITS if packing == "raw deflate" else zlib.MAX_WBITS | 32
        return zlib.decompressobj(bits).decompress(head, _HEAD)
    except (zlib.error, zstandard.ZstdError):
        return b""


def over_http(error: BadInput, head: bytes, encoding: Encoding, packing: str, signal: Signal = LOGS) -> BadInput:
    """Return *error* with what is probably meant, where labels and body differ; *signal* is that of the path."""
    if isinstance(error, OtherSignal) and encoding == "protobuf":
        return _hinted(error, f"{signal.path} takes {signal.name}")
    seen, packing = look(head), packing.strip().lower()
    packed = packing not in ("", "identity")
    if packed and seen in _PACKED and seen in packing and not isinstance(error, Unsupported):
        inner = look(_unpacked(head, seen))
        if inner in (*_PACKED, "raw deflate"):
            return _hinted(error, f"behind {seen} it looks like {inner}; pack it once")
        hint = _of_plain(inner, encoding)
    elif seen in _ALONE:
        hint = _of_plain(seen, encoding)
    elif seen in ("deflate", "raw deflate") and not packed:
        hint = f"it looks like {seen}, which is not read; use gzip"
    elif seen in _PACKED and not packed:
        hint = f"it looks like {seen}; is Content-Encoding missing?"
    elif seen and packed and seen not in packing and not seen.endswith(packing):
        hint = f"it looks like {seen}; is Content-Encoding right?"
    elif packed:
        hint = "" if seen or isinstance(error, Unsupported) else f"expected {packing}, as Content-Encoding says"
    else:
        hint = _of_plain(seen, encoding)
    return _hinted(error, hint) if hint else error


def _of_plain(seen: Look, encoding: Encoding) -> str:
    """Return what is wrong with a body that looks like *seen* and is not packed any more, empty for nothing."""
    if seen in _ALONE:
        return f"it looks like {seen}; {_ALONE[seen]}"
    if seen in ("UTF-16", "UTF-32"):
        return f"it looks like {seen}; JSON is UTF-8"
    return f"it looks like {seen}; is Content-Type right?" if seen and seen.lower() != encoding else ""


def over_grpc(error: BadInput, head: bytes, packing: str = "", signal: Signal = LOGS) -> BadInput:
    """The same for a message of gRPC, which is protobuf whatever is said; *packing*: how it was packed, if it was."""
    if isinstance(error, OtherSignal):
        return _hinted(error, f"{signal.grpc_service}/Export takes {signal.name}, and each signal has its own service")
    seen = look(head)
    if packing and seen in _PACKED:
        packed, seen = seen, look(_unpacked(head, seen))
        if seen in (*_PACKED, "raw deflate"):
            return _hinted(error, f"behind {packed} it looks like {seen}; pack it once")
    if seen in ("", "protobuf"):
        return error
    return _hinted(error, f"it looks like {seen}, and gRPC carries protobuf")


def _hinted(error: BadInput, hint: str) -> BadInput:
    asked = error.reason.endswith("?")
    joined = f"{error.reason} {hint[0].upper()}{hint[1:]}" if asked else f"{error.reason}; {hint}"
    return type(error)(joined, field=error.field)


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
