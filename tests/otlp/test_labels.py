"""What a body looks like is named where its labels say something else, and a path that is probably meant."""

from __future__ import annotations

import base64
import gzip
import zlib
from collections.abc import Callable

import pytest
import zstandard
from hypothesis import given
from hypothesis import strategies as st

from collector.decode import Batch
from collector.model.errors import BadInput
from collector.model.signals import BY_PATH, SIGNALS, TRACES
from collector.receive import labels
from collector.settings import Limits
from tests.decode.messages import requests
from tests.otlp.receiver import Receiver, message_of
from tests.otlp.telemetry import encode, logs

PACK = {
    "gzip": gzip.compress,
    "zstd": zstandard.ZstdCompressor().compress,
    "deflate": zlib.compress,
}


@given(st.data())
def test_a_request_looks_like_what_it_is(data: st.DataObject) -> None:
    """In both encodings and packed, whatever is in it; an empty one like nothing."""
    message = data.draw(requests(data.draw(st.sampled_from(SIGNALS))))
    plain = {"JSON": encode(message, "json"), "protobuf": message.SerializeToString()}
    for name, body in (*plain.items(), *((name, pack(plain["JSON"])) for name, pack in PACK.items())):
        assert labels.look(labels.head([body])) == (name if body else "")


@given(st.binary(max_size=80))
def test_any_head_looks_like_something_or_nothing(head: bytes) -> None:
    """No bytes are too odd to be looked at, over either wire."""
    error = BadInput("no", field="f")
    for encoding in ("protobuf", "json"):
        for packing in ("", "gzip", "zstd", "identity"):
            assert labels.over_http(error, labels.head([head]), encoding, packing).field == "f"
            assert labels.over_grpc(error, labels.head([head], packing), packing).field == "f"


@pytest.mark.parametrize(
    ("encoding", "packing", "made", "said"),
    [
        ("json", "", lambda b: gzip.compress(b), "it looks like gzip; is Content-Encoding missing?"),
        ("protobuf", "", lambda b: PACK["zstd"](b), "it looks like zstd; is Content-Encoding missing?"),
        ("json", "", lambda b: zlib.compress(b), "it looks like deflate, which is not read; use gzip"),
        ("json", "gzip", lambda b: b, "it looks like JSON; is Content-Encoding right?"),
        ("json", "", lambda b: logs().SerializeToString(), "it looks like protobuf; is Content-Type right?"),
        ("protobuf", "", lambda b: b, "it looks like JSON; is Content-Type right?"),
        ("json", "", lambda b: b.decode().encode("utf-16"), "it looks like UTF-16; JSON is UTF-8"),
        ("json", "", lambda b: b"<html></html>", "it looks like XML; is Content-Type right?"),
    ],
)
def test_a_wrong_label_is_named(receiver: Receiver, encoding: str, packing: str, made: object, said: str) -> None:
    """400, in words of HTTP."""
    body = made(encode(logs(), "json"))  # type: ignore[operator]
    answer = receiver.post("/v1/logs", body, encoding, content_encoding=packing or "identity")  # type: ignore[arg-type]
    assert said in message_of(answer, 400)


def frame(body: bytes, packed: int = 0) -> bytes:
    """Return a message as gRPC frames it."""
    return bytes([packed]) + len(body).to_bytes(4, "big") + body


def raw_deflate(body: bytes) -> bytes:
    """Return what zlib packs, without its header."""
    packer = zlib.compressobj(wbits=-15)
    return packer.compress(body) + packer.flush()


WIDE = {
    "UTF-16": ("utf-16", "utf-16-le", "utf-16-be"),
    "UTF-32": ("utf-32", "utf-32-le", "utf-32-be"),
}
ROUND: dict[str, Callable[[bytes], bytes]] = {
    "a message in gRPC's frame": frame,
    "protobuf behind its length": lambda body: len(body).to_bytes(4, "big") + body,
    "base64": base64.b64encode,
}


@given(st.data())
def test_what_is_around_a_request_is_seen(data: st.DataObject) -> None:
    """A frame, a length, base64, and text of wider characters, whatever is in it."""
    message = data.draw(requests(data.draw(st.sampled_from(SIGNALS))))
    body, text = message.SerializeToString(), encode(message, "json").decode()
    if len(body) > 12:
        for name, made in ROUND.items():
            assert labels.look(labels.head([made(body)])) == name
        size = len(body)
        varint = bytes([size]) if size < 128 else bytes([size & 127 | 128, size >> 7 & 127 | 128, size >> 14])
        assert labels.look(labels.head([varint + body])) in ("protobuf behind its length", "protobuf")
        assert labels.look(labels.head([frame(gzip.compress(body), 1)])) == "a message in gRPC's frame"
        assert labels.look(labels.head([b'"' + base64.urlsafe_b64encode(body) + b'"\n'])) == "base64"
    for name, encodings in WIDE.items():
        for each in encodings:
            assert (
                labels.look(labels.head([data.draw(st.sampled_from(("", "\n", " "))).join(("", text)).encode(each)]))
                == name
            )


PLAIN: dict[str, tuple[Callable[[bytes], bytes], str]] = {
    "UTF-16": (lambda b: b.decode().encode("utf-16-be"), "it looks like UTF-16; JSON is UTF-8"),
    "UTF-32": (lambda b: b.decode().encode("utf-32"), "it looks like UTF-32; JSON is UTF-8"),
    "frame": (lambda b: frame(logs().SerializeToString()), "it looks like a message in gRPC's frame; send the"),
    "length": (lambda b: ROUND["protobuf behind its length"](logs().SerializeToString()), "behind its length; send"),
    "base64": (lambda b: base64.b64encode(logs().SerializeToString()), "it looks like base64; send the bytes"),
    "protobuf": (lambda b: logs().SerializeToString(), "it looks like protobuf; is Content-Type right?"),
}


@pytest.mark.parametrize("packing", ["", "gzip", "zstd"])
@pytest.mark.parametrize("form", PLAIN)
def test_it_is_looked_behind_the_packing(receiver: Receiver, form: str, packing: str) -> None:
    """What is no OTLP/JSON is named the same whether it is packed or not."""
    made, said = PLAIN[form]
    body = PACK.get(packing, bytes)(made(encode(logs(), "json")))
    answer = receiver.post("/v1/logs", body, "json", content_encoding=packing or "identity")
    assert said in message_of(answer, 400)


@pytest.mark.parametrize("encoding", ["json", "protobuf"])
@pytest.mark.parametrize("outer", ["gzip", "zstd"])
@pytest.mark.parametrize("inner", PACK)
def test_what_is_packed_twice_is_told(receiver: Receiver, encoding: str, outer: str, inner: str) -> None:
    """By whichever, over HTTP and in the words of gRPC."""
    plain = encode(logs(), encoding) * (20 if encoding == "protobuf" else 1)  # type: ignore[arg-type]
    body = PACK[outer](PACK[inner](plain))
    said = f"behind {outer} it looks like {inner}; pack it once"
    assert said in message_of(receiver.post("/v1/logs", body, encoding, content_encoding=outer), 400)  # type: ignore[arg-type]
    assert said in labels.over_grpc(BadInput("no"), labels.head([body], outer), outer).message


def test_another_signal_is_told_in_words_of_its_wire(receiver: Receiver) -> None:
    """The path over HTTP, the service over gRPC, and neither of the other's."""
    body = logs().SerializeToString()
    http = message_of(receiver.post("/v1/traces", body, "protobuf"), 400)
    assert "/v1/traces takes traces" in http and "Service/" not in http
    with pytest.raises(BadInput) as raised:
        Batch(Limits()).add(TRACES, "protobuf", body, project="p", received_ns=1)
    grpc = labels.over_grpc(raised.value, labels.head([body]), "", TRACES).message
    assert "TraceService/Export takes traces" in grpc and "/v1/" not in grpc and "Content" not in grpc


def test_what_is_nothing_is_said_to_be_empty(receiver: Receiver) -> None:
    """An empty body is not cut off, raw deflate neither, and a damaged one is what it is called."""
    assert "the body is empty" in message_of(receiver.post("/v1/logs", b"", "json"), 400)
    assert "the body is empty" in message_of(receiver.post("/v1/logs", b" \n", "json"), 400)
    for encoding in ("json", "protobuf"):
        body = raw_deflate(encode(logs(), encoding))  # type: ignore[arg-type]
        answer = message_of(receiver.post("/v1/logs", body, encoding), 400)  # type: ignore[arg-type]
        assert answer.endswith("it looks like raw deflate, which is not read; use gzip")
    damaged = receiver.post("/v1/logs", b"no gzip at all", "json", content_encoding="gzip")
    assert message_of(damaged, 400).endswith("; expected gzip, as Content-Encoding says")


@given(
    st.sampled_from(sorted(BY_PATH)),
    st.lists(st.sampled_from(["v1", "otlp", "api", "V1", "traces", "v1/logs", "", "x"]), max_size=3),
)
def test_a_path_with_otlps_in_it_names_the_last_one(meant: str, before: list[str]) -> None:
    """Doubled, prefixed, with slashes or capitals."""
    assert f"did you mean {meant}?" in labels.path("/" + "/".join(before) + meant + "/")


def test_other_paths_are_told_what_there_is() -> None:
    """A method of gRPC, one word of a signal, and anything else."""
    assert "gRPC" in labels.path("/opentelemetry.proto.collector.logs.v1.LogsService/Export")
    assert "did you mean /v1/traces?" in labels.path("/trace")
    assert all(path in labels.path("/x/y") for path in BY_PATH)
