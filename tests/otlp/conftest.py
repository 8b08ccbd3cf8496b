"""Receive processes that the tests share: one with the defaults, one that is quick to lose patience."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta

import pytest

from tests.otlp.receiver import Receiver, receiving

ORIGIN = "https://app.example.com"


@pytest.fixture(scope="session")
def receiver(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Receiver]:
    """A receive process with the default settings."""
    with receiving(tmp_path_factory.mktemp("otlp") / "data") as made:
        yield made


@pytest.fixture(scope="module")
def flooded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Receiver]:
    """A receive process that meets more names than are kept apart, so that others are not told of them."""
    with receiving(tmp_path_factory.mktemp("flooded") / "data") as made:
        yield made


@pytest.fixture(scope="session")
def small(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Receiver]:
    """A receive process with a 1 MiB body, deadlines of a second or two, and one origin."""
    second = timedelta(seconds=1)
    with receiving(
        tmp_path_factory.mktemp("small") / "data",
        limits={"body": 2**20, "header_time": second, "body_time": second, "idle_time": 3 * second, "grpc_streams": 4},
        cors={"origins": [ORIGIN]},
    ) as made:
        yield made
