"""The one table from what went wrong to what a client is told, for both wires."""

from __future__ import annotations

import random
from dataclasses import dataclass, field
from typing import NoReturn

import grpc
import grpc.aio
from google.rpc import status_pb2
from google.rpc.error_details_pb2 import RetryInfo

from collector.model.errors import (
    BadInput,
    Crowded,
    HeadTooLarge,
    Misdirected,
    NoKey,
    NotHttp,
    NotNow,
    Refused,
    TooLarge,
    TooSlow,
    Unsupported,
    WrongScope,
)
from collector.otlp import answers
from collector.otlp.compression import ACCEPTED

Headers = list[tuple[bytes, bytes]]
STATUS_DETAILS = "grpc-status-details-bin"
"""Trailing metadata with the google.rpc.Status of a failed call; an answer of ours always has it."""
_CLOSE = (b"connection", b"close")
_REALM = (b"www-authenticate", b'Bearer realm="runwell receive"')
"""What asks for a key: it tells doctor, who has none for strangers, that this is a runwell."""


class SpokeHttp2(NotHttp):
    """HTTP/2 with prior knowledge, as gRPC speaks."""


class SpokeTls(NotHttp):
    """The greeting of TLS on a port that speaks plain HTTP."""


class UnreadType(Unsupported):
    """A Content-Type other than OTLP's."""


class NoSuchPath(BadInput):
    """A path that is not OTLP's."""


class WrongMethod(BadInput):
    """Another method than POST."""


class NotAllowed(BadInput):
    """A browser asks for an origin that is not in `cors.origins`."""


@dataclass(frozen=True, slots=True)
class Failure:
    """What a client is told of an error: HTTP status and headers, gRPC code, and the google.rpc.Status of both."""

    http: int
    grpc: grpc.StatusCode
    status: status_pb2.Status
    headers: Headers = field(default_factory=list)

    @property
    def closes(self) -> bool:
        """Tell whether the connection ends with the answer."""
        return _CLOSE in self.headers

    async def abort(self, context: grpc.aio.ServicerContext[bytes, bytes]) -> NoReturn:
        """End a gRPC call with this; the Python exporter looks for the delay under a name of its own."""
        delays = (d.value for d in self.status.details if d.Is(RetryInfo.DESCRIPTOR))
        await context.abort(
            self.grpc,
            self.status.message[:1024].encode("ascii", "replace").decode(),
            trailing_metadata=(
                (STATUS_DETAILS, self.status.SerializeToString()),
                *(("google.rpc.retryinfo-bin", delay) for delay in delays),
            ),
        )
        raise AssertionError("abort always raises")


def failure_of(error: Exception) -> Failure:
    """Return what to answer to *error*. Only 503 / UNAVAILABLE invites another try; nothing transient is ever a 500."""
    retry_after_s: float | None = None
    headers: Headers = []
    code = grpc.StatusCode
    match error:
        # Not retryable: of 4xx only 429 is (OTLP/HTTP, Retryable Response Codes), of the codes below only
        # RESOURCE_EXHAUSTED, and that with RetryInfo alone (OTLP/gRPC, Failures).
        case TooLarge():
            http, kind = 413, code.RESOURCE_EXHAUSTED
        case HeadTooLarge():
            http, kind, headers = 431, code.RESOURCE_EXHAUSTED, [_CLOSE]
        case Unsupported():
            http, kind, headers = 415, code.UNIMPLEMENTED, [(b"accept-encoding", ACCEPTED.encode())]
        case NoSuchPath():
            http, kind = 404, code.UNIMPLEMENTED
        case WrongMethod():
            http, kind, headers = 405, code.UNIMPLEMENTED, [(b"allow", b"POST")]
        case Misdirected():
            http, kind = 421, code.PERMISSION_DENIED
        case NoKey():
            http, kind, headers = 401, code.UNAUTHENTICATED, [_REALM]
        case NotAllowed() | WrongScope():
            http, kind = 403, code.PERMISSION_DENIED
        case TooSlow():
            http, kind, headers = 408, code.INVALID_ARGUMENT, [_CLOSE]
        case NotHttp():
            http, kind, headers = 400, code.INVALID_ARGUMENT, [_CLOSE]
        case BadInput():
            http, kind = 400, code.INVALID_ARGUMENT
        # Retryable, after the delay of Retry-After and RetryInfo (OTLP/HTTP and OTLP/gRPC Throttling).
        case NotNow() | MemoryError():
            http, kind = 503, code.UNAVAILABLE
            # Jitter, so that refused clients do not come back as one.
            asked = error.retry_after_s if isinstance(error, NotNow) else 1.0
            retry_after_s = min(5.0, max(1.0, asked * random.uniform(1.0, 2.0)))
            headers = [(b"retry-after", str(round(retry_after_s)).encode())]
            if isinstance(error, Crowded):
                headers.append(_CLOSE)
        # Not retryable: a defect of ours, which the same input meets again.
        case _:
            http, kind = 500, code.INTERNAL
    return Failure(http, kind, _status(kind, error, retry_after_s), headers)


def encode_failure(error: Refused, content_type: str) -> tuple[int, Headers, bytes]:
    """Return status, headers and body of *error*, in the encoding that a request states, JSON if it states none."""
    failure = failure_of(error)
    encoding = answers.encoding_of(content_type) or "json"
    stated = (b"content-type", answers.CONTENT_TYPES[encoding].encode())
    return failure.http, [stated, *failure.headers], answers.encode_status(failure.status, encoding)


def _status(kind: grpc.StatusCode, error: Exception, retry_after_s: float | None) -> status_pb2.Status:
    bad = error if isinstance(error, BadInput) and kind is grpc.StatusCode.INVALID_ARGUMENT else None
    return answers.status(
        kind.value[0],
        error.message if isinstance(error, Refused) else "something is wrong in runwell itself; please report it",
        violation=(bad.field, bad.reason) if bad else None,
        retry_after_s=retry_after_s,
    )
