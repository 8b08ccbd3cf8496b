"""The one table from what went wrong to what a client of the API is told: status, headers, `{"error": "sentence"}`."""

from __future__ import annotations

import random

from collector.api import form
from collector.api.browsers import HEADERS
from collector.model.errors import (
    BadInput,
    Crowded,
    HeadTooLarge,
    Misdirected,
    NoKey,
    NotFound,
    NotHttp,
    NotNow,
    OutOfRange,
    Refused,
    TooLarge,
    TooSlow,
    Unsupported,
    WrongScope,
)
from collector.store.errors import QueryFailed

Headers = list[tuple[bytes, bytes]]

_STATUS: dict[type[Refused], int] = {
    NoKey: 401,
    WrongScope: 403,
    NotFound: 404,
    TooSlow: 408,
    TooLarge: 413,
    Unsupported: 415,
    Misdirected: 421,
    OutOfRange: 422,
    HeadTooLarge: 431,
    QueryFailed: 400,
    BadInput: 400,
}
"""The first that an error is an instance of; every other one is 503."""
_CLOSES = (NotHttp, Misdirected, HeadTooLarge, TooLarge, TooSlow, Crowded, NoKey, WrongScope)


def encode_refusal(error: Refused) -> tuple[int, Headers, bytes]:
    """Return status, headers and body."""
    status = next((status for kind, status in _STATUS.items() if isinstance(error, kind)), 503)
    headers: Headers = [(b"content-type", b"application/json")]
    headers += [(name.encode(), value.encode()) for name, value in HEADERS.items()]
    if isinstance(error, NotNow):
        # Spread, so that refused clients do not come back as one.
        delay_s = min(5.0, max(1.0, error.retry_after_s * random.uniform(1.0, 2.0)))
        headers.append((b"retry-after", str(round(delay_s)).encode()))
    if isinstance(error, NoKey):
        headers.append((b"www-authenticate", b'Bearer realm="runwell store"'))
    if isinstance(error, _CLOSES):
        headers.append((b"connection", b"close"))
    return status, headers, form.json_bytes({"error": error.message})
