"""What browsers ask before they send: answers for the origins of `cors.origins`, none for others."""

from __future__ import annotations

from collector.receive.errors import Headers, NotAllowed
from collector.settings import Cors

_HEADERS = (
    "content-type, content-encoding, authorization, x-api-key, traceparent, tracestate, baggage, x-requested-with"
)


def headers(cors: Cors, origin: str) -> Headers:
    """Return what an answer to *origin* carries; a page sees no answer without it.

    Credentials are allowed because `sendBeacon` always sends with them; so the origin is named, never `*`.
    """
    if not cors.origins:
        return []
    vary = [(b"vary", b"Origin")]
    if origin not in cors.origins:
        return vary
    return [
        (b"access-control-allow-origin", origin.encode("latin-1")),
        (b"access-control-allow-credentials", b"true"),
        *vary,
    ]


def preflight(cors: Cors, origin: str) -> Headers:
    """Return the headers of an answer to OPTIONS, or raise NotAllowed."""
    if origin not in cors.origins:
        raise NotAllowed(
            f"origin {origin[:100]!r} is not in cors.origins; add it there if its pages may send telemetry"
        )
    return [
        *headers(cors, origin),
        (b"access-control-allow-methods", b"POST"),
        (b"access-control-allow-headers", _HEADERS.encode()),
        (b"access-control-max-age", str(int(cors.max_age.total_seconds())).encode()),
    ]
