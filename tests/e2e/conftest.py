"""Let the tests of this folder import its own modules and `stack`; one collector for the clients that just connect."""

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

HERE = Path(__file__).parent
sys.path[:0] = [str(HERE), str(HERE.parent)]

from stack import Stack, running  # noqa: E402 -- found through the line above


@pytest.fixture(scope="session")
def collector(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """Return a running collector."""
    with running(tmp_path_factory.mktemp("collector") / "data") as stack:
        yield stack
