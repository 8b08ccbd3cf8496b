"""What real senders were seen to send: each case is answered and told as its users expect (tests/vectors/field)."""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import grpc
import httpx
import pytest

from collector.cli.recordings import Recorded
from collector.model.errors import Refused
from collector.model.signals import BY_NAME, BY_PATH, Encoding
from tests.inprocess import SECOND, Pipeline
from tests.otlp.receiver import Receiver

_FILES = sorted((Path(__file__).parents[1] / "vectors" / "field").glob("*.json"))
CASES = {path.stem: json.loads(path.read_text("utf-8")) for path in _FILES}
TOLD = [name for name, case in CASES.items() if case["rows"]]
RECENT = [name for name in TOLD if CASES[name].get("recent")]
"""Cases that are told two minutes after their times; the others when nothing more can come."""
ARRIVES = 1_795_600_120 * SECOND
"""Two minutes after the times in the cases."""
DAY = 86_400 * SECOND


def body(sent: dict[str, Any]) -> bytes:
    """Return the bytes that a case sends."""
    return base64.b64decode(sent["base64"]) if "base64" in sent else sent["text"].encode()


@pytest.mark.parametrize("name", CASES)
def test_a_field_case_is_answered(receiver: Receiver, name: str) -> None:
    """With the status that lets its sender go on, and in words that help; `doctor` has tests of its own."""
    for sent in CASES[name]["send"]:
        if "http" in sent:
            url, headers = receiver.url + sent["http"], sent["headers"]
            answer = httpx.post(url, content=body(sent), headers=headers, trust_env=False)
            assert answer.status_code in sent["status"], answer.text
            assert re.search(sent.get("says") or "", answer.text)
        elif "grpc" in sent:
            with grpc.insecure_channel(f"127.0.0.1:{receiver.grpc_port}") as channel:
                said = channel.unary_unary(f"/{BY_NAME[sent['grpc']].grpc_service}/Export")(body(sent), timeout=30)
            assert re.search(sent.get("says") or "", said.decode("utf-8", "replace"))


@pytest.fixture(scope="module")
def told(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pipeline]:
    """Every case as its sender sends it, and a day later."""
    with Pipeline(tmp_path_factory.mktemp("field")) as made:
        for name in TOLD:
            store(made, name)
        made.tick(ARRIVES + DAY)
        yield made


def store(pipeline: Pipeline, name: str) -> None:
    """Store what a case sends, a request after the other."""
    for sent in CASES[name]["send"]:
        signal = BY_PATH[sent["http"]] if "http" in sent else BY_NAME[sent["grpc"]]
        encoding: Encoding = "json" if "json" in sent.get("headers", {}).get("content-type", "") else "protobuf"
        with suppress(Refused):  # which the other test knows
            pipeline.group([Recorded(signal, encoding, body(sent))], ARRIVES)
    pipeline.apply()


@pytest.mark.parametrize("name", [name for name in TOLD if name not in RECENT])
def test_a_field_case_is_told(told: Pipeline, name: str) -> None:
    """By rows and runs."""
    check(told, name)


@pytest.mark.parametrize("name", RECENT)
def test_a_field_case_is_told_two_minutes_later(tmp_path: Path, name: str) -> None:
    """Not only once nothing more can come."""
    with Pipeline(tmp_path) as pipeline:
        store(pipeline, name)
        pipeline.tick(ARRIVES)
        check(pipeline, name)


def check(pipeline: Pipeline, name: str) -> None:
    """Assert what a case says of rows."""
    for rows in CASES[name]["rows"]:
        found = pipeline.database.reading(lambda h, sql=rows["sql"]: h.frame(sql))
        assert [list(row) for row in found.iter_rows()] == rows["is"], CASES[name]["right"]
