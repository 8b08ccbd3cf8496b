"""Answers in the request's encoding: success, partial success, and google.rpc.Status for every error."""

from __future__ import annotations

import gzip
import re

from google.protobuf import any_pb2, duration_pb2, json_format
from google.rpc import error_details_pb2, status_pb2

from collector.model.signals import Encoding, Signal

CONTENT_TYPES: dict[Encoding, str] = {"protobuf": "application/x-protobuf", "json": "application/json"}
_LONGEST = 8_192
"""Characters of a message: an answer stays far below the 4 MiB that clients read."""
_WORTH_GZIP = 1_024


def encoding_of(content_type: str) -> Encoding | None:
    """Return the encoding that a Content-Type names, None for one we do not read. Parameters are ignored."""
    match content_type.split(";")[0].strip().lower():
        case "application/x-protobuf" | "application/protobuf":
            return "protobuf"
        case "application/json":
            return "json"
    return None


def success(signal: Signal, encoding: Encoding, *, rejected: int = 0, message: str = "") -> bytes:
    """Return the response of an accepted request; `partial_success` is set only if there is something to say."""
    response = signal.response()
    if rejected or message:
        setattr(response.partial_success, signal.rejected_field, rejected)
        response.partial_success.error_message = message[:_LONGEST]
    if encoding == "protobuf":
        return bytes(response.SerializeToString())
    return json_format.MessageToJson(response, indent=None).encode()


def status(
    code: int, message: str, *, violation: tuple[str, str] | None = None, retry_after_s: float | None = None
) -> status_pb2.Status:
    """Return a google.rpc.Status. *code*: gRPC's number; *violation*: (path, what is wrong) as BadRequest detail."""
    s = status_pb2.Status(code=code, message=message[:_LONGEST])
    if violation is not None:
        path, why = violation
        field_violation = error_details_pb2.BadRequest.FieldViolation(field=path[:1024], description=why[:_LONGEST])
        s.details.append(_any(error_details_pb2.BadRequest(field_violations=[field_violation])))
    if retry_after_s is not None:
        delay = duration_pb2.Duration()
        delay.FromMilliseconds(round(retry_after_s * 1000))
        s.details.append(_any(error_details_pb2.RetryInfo(retry_delay=delay)))
    return s


def encode_status(s: status_pb2.Status, encoding: Encoding) -> bytes:
    """Return the body of an error."""
    if encoding == "protobuf":
        return bytes(s.SerializeToString())
    return json_format.MessageToJson(s, indent=None).encode()


def compressed(body: bytes, accept_encoding: str) -> bytes | None:
    """Return *body* as gzip if the client takes it and it is long enough to be worth it, else None."""
    if len(body) <= _WORTH_GZIP:
        return None
    for offer in accept_encoding.lower().split(","):
        name, *parameters = (part.strip() for part in offer.split(";"))
        if name in ("gzip", "x-gzip") and not any(re.fullmatch(r"q=0(\.0*)?", p) for p in parameters):
            return gzip.compress(body, compresslevel=1, mtime=0)
    return None


def _any(detail: object) -> any_pb2.Any:
    packed = any_pb2.Any()
    packed.Pack(detail)  # type: ignore[arg-type]
    return packed
