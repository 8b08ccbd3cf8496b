"""Answers in the request's encoding: success, partial success, and google.rpc.Status for every error."""

from __future__ import annotations

from google.protobuf import any_pb2, duration_pb2, json_format
from google.rpc import error_details_pb2, status_pb2

from collector.model.signals import Encoding, Signal

CONTENT_TYPES: dict[Encoding, str] = {"protobuf": "application/x-protobuf", "json": "application/json"}
_LONGEST = 8_192


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


def status(code: int, message: str, *, field: str = "", retry_after_s: float | None = None) -> status_pb2.Status:
    """Return a google.rpc.Status. *code*: gRPC's number; *field*: path of the culprit, as BadRequest detail."""
    s = status_pb2.Status(code=code, message=message[:_LONGEST])
    if field:
        violation = error_details_pb2.BadRequest.FieldViolation(field=field[:1024], description=message[:_LONGEST])
        s.details.append(_any(error_details_pb2.BadRequest(field_violations=[violation])))
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


def _any(detail: object) -> any_pb2.Any:
    packed = any_pb2.Any()
    packed.Pack(detail)  # type: ignore[arg-type]
    return packed
