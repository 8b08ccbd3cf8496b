"""What a body looks like is named where its labels say something else, and a path that is probably meant."""

from __future__ import annotations

import gzip
import zlib

import pytest
import zstandard
from hypothesis import given
from hypothesis import strategies as st

from collector.model.errors import BadInput
from collector.model.signals import BY_PATH, SIGNALS
from collector.receive import labels
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
    assert labels.over_grpc(error, labels.head([head])).field == "f"


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
