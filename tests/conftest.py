"""For every test: examples of properties are the same on each run, and a busy machine fails none of them."""

import os
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

from tests.length import Length

settings.register_profile(
    "here", deadline=None, derandomize=True, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large]
)
settings.load_profile("here")


def pytest_configure(config: pytest.Config) -> None:
    """Run what is long under its own target alone."""
    passed = os.environ.get("RUNWELL_TEST_PASSED")
    config.pluginmanager.register(Length(Path(passed) if passed else None))
