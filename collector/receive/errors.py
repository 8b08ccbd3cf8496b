"""The one table from what went wrong to what a client is told, for both wires."""

from __future__ import annotations

import random
from dataclasses import dataclass

import grpc

from collector.model.errors import BadInput, NotNow, Refused, TooLarge, Unsupported


@dataclass(frozen=True, slots=True)
class Outcome:
    """How an error is told."""

    http: int
    grpc: grpc.StatusCode
    retry_after_s: float | None = None


def outcome(error: Refused) -> Outcome:
    """Return the codes for *error*. Only 503 / UNAVAILABLE invites another try; nothing transient is ever a 500."""
    match error:
        case TooLarge():
            return Outcome(413, grpc.StatusCode.RESOURCE_EXHAUSTED)  # without RetryInfo: not retryable
        case Unsupported():
            return Outcome(415, grpc.StatusCode.UNIMPLEMENTED)
        case BadInput():
            return Outcome(400, grpc.StatusCode.INVALID_ARGUMENT)
        case NotNow():
            # Jitter, so that refused clients do not come back as one.
            delay = min(5.0, max(1.0, error.retry_after_s * random.uniform(1.0, 2.0)))
            return Outcome(503, grpc.StatusCode.UNAVAILABLE, delay)
    return Outcome(500, grpc.StatusCode.INTERNAL)
