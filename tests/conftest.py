"""For every test: `make test` tries the same examples each time, and a busy machine fails none of them."""

import os
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, settings

from tests.length import ASKED, Length, examples

os.environ["POLARS_MAX_THREADS"] = "1"  # a core for each process of tests; frames are small
import polars

polars.thread_pool_size()
del os.environ["POLARS_MAX_THREADS"]  # what tests start runs as it does elsewhere

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


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Begin with the files that start processes, which take longest, and of those with the ones of few and long tests;
    end with many short tests, so that no process of tests is left alone with a long one."""
    whole = {item.path for item in items if any(item.get_closest_marker(name) for name in ("e2e", "faults", "browser"))}
    sizes = Counter(item.path for item in items)
    items.sort(key=lambda item: (item.path not in whole, sizes[item.path], str(item.path)))


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Any:
    """Give a file to one process, and all of the dashboard, whose store takes longest to fill."""
    if config.getvalue("dist") != "loadfile":
        return None
    from xdist.scheduler import LoadFileScheduling

    class Scheduling(LoadFileScheduling):
        def _split_scope(self, nodeid: str) -> str:
            file: str = super()._split_scope(nodeid)
            return "tests/dashboard" if file.startswith("tests/dashboard/") else file

    config.option.loadscopereorder = False  # files come in the order of above
    return Scheduling(config, log)
