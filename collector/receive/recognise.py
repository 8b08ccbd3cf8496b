"""What a refused request looks like, in words of closed sets: by its path, method, content type and User-Agent."""

from __future__ import annotations

from collections.abc import Mapping

from collector.control.refusals import Look, Reason, Where
from collector.decode import Accepted
from collector.model.errors import (
    HeadTooLarge,
    Misdirected,
    NoKey,
    NotHttp,
    NotNow,
    OtherSignal,
    Refused,
    TooLarge,
    TooSlow,
    Unsupported,
    WrongScope,
)
from collector.model.signals import BY_PATH, RECEIVED
from collector.otlp import answers
from collector.receive.errors import (
    NoSuchPath,
    NotAllowed,
    SpokeHttp2,
    SpokeTls,
    UnreadType,
    WrongMethod,
)
from collector.receive.via import EXPORTERS, Via

_PROBES = ("/grpc.health.", "/grpc.reflection.")
_REASONS: tuple[tuple[type[Exception], Reason], ...] = (
    (SpokeHttp2, "http2"),
    (SpokeTls, "tls"),
    (NotHttp, "not_http"),
    (Misdirected, "wrong_host"),
    (NoSuchPath, "no_such_path"),
    (WrongMethod, "wrong_method"),
    (NotAllowed, "preflight"),
    (NoKey, "no_key"),
    (WrongScope, "wrong_scope"),
    (TooSlow, "too_slow"),
    (HeadTooLarge, "head_too_large"),
    (TooLarge, "too_large"),
    (OtherSignal, "other_signal"),
    (UnreadType, "unsupported_type"),
    (Unsupported, "unsupported_encoding"),
    (NotNow, "unavailable"),
    (MemoryError, "unavailable"),
)


def reason(error: Exception, *, asks: bool = False) -> Reason:
    """Return the word for why a request was refused with *error*; *asks*: it was a browser's question."""
    if asks and isinstance(error, (NotAllowed, WrongMethod)):
        return "preflight"
    for kind, word in _REASONS:
        if isinstance(error, kind):
            return word
    return "bad_input" if isinstance(error, Refused) else "defect"


def unkept(said: Accepted) -> Reason | None:
    """Return why nothing was kept of a request that was taken and held something; None where it is not so."""
    if said.records or said.duplicate:
        return None
    if said.rejected:
        return "not_stored" if "signal_not_stored" in said.rejections else "all_rejected"
    return "nothing_read" if said.warnings.get("nothing_read") else None


def where(path: str) -> tuple[Where, str]:
    """Return which kind of path *path* is (HTTP's or a gRPC method), and the signal it names, empty for none."""
    if signal := BY_PATH.get(path):
        return "otlp", signal.name
    low = path.lower()
    if "opentelemetry.proto." in low:
        return "grpc", next((s.name for s in RECEIVED if s.name.removesuffix("s") in low.rpartition("proto.")[2]), "")
    for signal in RECEIVED:
        if signal.path in low:
            return "like_otlp", signal.name
    if "otlp" in low.split("/"):
        return "like_otlp", ""
    return "other", ""


def preflight(method: str, headers: Mapping[str, str]) -> bool:
    """Tell whether a browser asks if it may send."""
    return method == "OPTIONS" and "access-control-request-method" in headers


def has_body(headers: Mapping[str, str]) -> bool:
    """Tell whether a request states that a body follows."""
    return "transfer-encoding" in headers or headers.get("content-length", "0").strip() != "0"


def look(kind: Where, via: Via, method: str, headers: Mapping[str, str]) -> Look:
    """Return what a refused HTTP request looks like; who has no body looks whether a port is there."""
    if via.agent in EXPORTERS or (preflight(method, headers) and kind != "other"):
        return "exporter"
    if not has_body(headers):
        return "visitor"
    content_type = headers.get("content-type", "").lower()
    otlp = answers.encoding_of(content_type) is not None or content_type.startswith("application/grpc")
    return "exporter" if otlp or kind in ("otlp", "like_otlp", "grpc") else "sender"


def look_of_bytes(error: Exception, via: Via, headers: Mapping[str, str]) -> Look:
    """Return what a connection looks like that never came to a request: a greeting of gRPC or TLS is an exporter's."""
    if isinstance(error, (SpokeHttp2, SpokeTls)):
        return "exporter"
    return look("none", via, "", headers)


def look_of_call(method: str, via: Via) -> Look:
    """Return what a refused gRPC call looks like; every gRPC library names itself, so that alone says nothing."""
    if where(method)[0] != "other" or (via.agent in EXPORTERS and via.agent != "grpc"):
        return "exporter"
    return "visitor" if method.startswith(_PROBES) else "sender"
