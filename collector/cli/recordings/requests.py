"""A JSON document as requests: of OTLP/JSON, without what is around it, or recorded with path and headers."""

from __future__ import annotations

import base64
import binascii
import json
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from collector.cli.recordings.documents import MOST, Document
from collector.model.errors import BadInput
from collector.model.signals import BY_NAME, PROFILES, RECEIVED, SIGNALS, Encoding, Signal
from collector.otlp.answers import encoding_of
from collector.otlp.compression import decompress

_ROOTS = {
    "resourceLogs": "logs",
    "resourceSpans": "traces",
    "resourceMetrics": "metrics",
    "resourceProfiles": "profiles",
}
_INNER = {
    "scopeLogs": "resourceLogs",
    "scopeSpans": "resourceSpans",
    "scopeMetrics": "resourceMetrics",
    "scopeProfiles": "resourceProfiles",
    "instrumentationLibraryLogs": "resourceLogs",
    "instrumentationLibrarySpans": "resourceSpans",
    "instrumentationLibraryMetrics": "resourceMetrics",
}
_BY_NAME: dict[str, Signal] = {s.name: s for s in RECEIVED}
_PROFILES = re.compile(rb'"resourceProfiles"\s*:\s*\[\s*[^\]\s]')
"""Where profiles are: a list of none, beside other signals, leaves nothing out."""
_WAYS = {
    "log record": "resourceLogs[].scopeLogs[].logRecords",
    "span": "resourceSpans[].scopeSpans[].spans",
    "metric": "resourceMetrics[].scopeMetrics[].metrics",
}
_KINDS = {"gauge", "sum", "histogram", "exponentialHistogram", "summary"}
NOT_KEPT = "profiles are not kept; left out"


class NotKept(BadInput):
    """A request of a signal that is read and not kept."""


@dataclass(frozen=True, slots=True)
class Recorded:
    """One request as it was recorded: plain body, its signal and encoding."""

    signal: Signal
    encoding: Encoding
    body: bytes
    place: str = field(default="", compare=False)
    """Where it stands: file and line, or file and message."""


def requests(document: Document, name: str) -> Iterator[Recorded]:
    """Yield the requests in a document of file *name*; raise BadInput where there are none or some are left out."""
    place = f"{name}:{document.line}"
    roots = [root for root in _ROOTS if root in document.members]
    if roots:
        # A document of several signals goes to each: a path passes over what is another's.
        kept = [_BY_NAME[_ROOTS[root]] for root in roots]
        yield from (Recorded(signal, "json", document.body, place) for signal in kept if signal is not PROFILES)
        if kept == [PROFILES] or (PROFILES in kept and _PROFILES.search(document.body)):
            raise NotKept(NOT_KEPT)
        return
    for inner, root in _INNER.items():
        if inner in document.members:
            if root == "resourceProfiles":
                raise NotKept(NOT_KEPT)
            body = b'{"%s":[%s]}' % (root.encode(), document.body)
            yield Recorded(_BY_NAME[_ROOTS[root]], "json", body, place)
            return
    if not {"signal", "content_type"} & set(document.members):
        raise BadInput(f"{_instead(document.members)}; left out")
    yield _recorded(document.body, place)


def _instead(members: tuple[str, ...]) -> str:
    """Return what an object with *members* is, and what was expected."""
    has = set(members)
    alone = ""
    if {"name", "spanId"} <= has or "spans" in has:
        alone = "span"
    elif ("name" in has and _KINDS & has) or "metrics" in has:
        alone = "metric"
    elif {"severityNumber", "severityText", "observedTimeUnixNano", "logRecords"} & has or {
        "timeUnixNano",
        "body",
    } <= has:
        alone = "log record"
    if alone:
        what = f"{alone}s" if f"{alone}s".replace("log r", "logR") in has else f"a {alone}"
        return f"{what} without what is around; expected a request of OTLP/JSON, which has {alone}s in {_WAYS[alone]}"
    seen = ", ".join(members[:4])[:80] or "no members"
    return f"a JSON object with {seen}; expected a request of OTLP/JSON or a recorded one"


def _recorded(line: bytes, place: str) -> Recorded:
    try:
        record: dict[str, Any] = json.loads(line)
    except (ValueError, RecursionError):
        raise BadInput("not JSON in UTF-8") from None
    missing = [key for key in ("signal", "content_type", "body") if not isinstance(record.get(key), str)]
    if missing:
        raise BadInput(f"{missing[0]} is missing; expected a recorded request or a line of OTLP/JSON")
    if record["signal"] == PROFILES.name:
        raise NotKept(NOT_KEPT)
    signal = BY_NAME.get(record["signal"])
    if signal is None:
        raise BadInput(f"signal must be one of {', '.join(s.name for s in SIGNALS)}")
    # A gRPC message is the same protobuf that HTTP carries.
    encoding = "protobuf" if record.get("transport") == "grpc" else encoding_of(record["content_type"])
    if encoding is None:
        raise BadInput("content_type must be application/json or application/x-protobuf")
    try:
        body = base64.b64decode(record["body"], validate=True)
    except (binascii.Error, ValueError):
        raise BadInput("body must be base64") from None
    packed = record.get("content_encoding")
    plain = decompress(body, packed if isinstance(packed, str) else "", MOST)
    return Recorded(signal, encoding, bytes(plain), place)
