"""For every test: `make test` tries the same examples each time, and a busy machine fails none of them."""

import os
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

from tests.length import ASKED, Length, examples

settings.register_profile(
    "here",
    max_examples=examples(100),
    deadline=None,
    derandomize=ASKED != "properties",
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)
settings.load_profile("here")


def pytest_configure(config: pytest.Config) -> None:
    """Run what is long under its own target alone."""
    passed = os.environ.get("RUNWELL_TEST_PASSED")
    config.pluginmanager.register(Length(Path(passed) if passed else None))
