"""The walls of the house hold: what pyproject.toml says of imports, and who may read a clock or the environment."""

from __future__ import annotations

import ast
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
BREACHES = (
    ("analyse/runs", "collector.store.database"),
    ("analyse/runs", "duckdb"),
    ("api/stats", "collector.jobs.runs"),
    ("client", "collector.store.database"),
    ("client", "collector.api.form"),
    ("decode/rows", "collector.rules.engine"),
    ("doctor/checks", "duckdb"),
    ("doctor/checks", "uvicorn"),
    ("jobs/runner", "collector.api.reports"),
    ("jobs/runner", "collector.api.stats"),
    ("jobs/runner", "starlette.routing"),
    ("model/words", "httpx"),
    ("otlp/compression", "socket"),
    ("personal/kinds", "polars"),
    ("report/build", "collector.store.database"),
    ("report/build", "duckdb"),
    ("report/build", "httpx"),
    ("report/words", "sqlite3"),
    ("rules/engine", "threading"),
    ("settings/reports", "grpc"),
    ("store/apply", "dashboard.strings"),
    ("telemetry/log", "streamlit"),
    ("dashboard/data", "collector.api.stats"),
    ("dashboard/data", "collector.doctor.checks"),
    ("dashboard/data", "collector.report.render"),
    ("dashboard/data", "collector.telemetry.log"),
    ("dashboard/parts/look", "duckdb"),
)
"""An import that must not be, in a file of the collector or the dashboard."""
ASK_THE_TIME = {"api", "app", "cli", "dashboard", "doctor", "jobs", "receive", "telemetry"}
"""Rooms that read a clock; every other is told the time."""
READ_THE_ENVIRONMENT = {
    "app/allocators",
    "cli/access",
    "cli/dashboard",
    "cli/demo",  # what they hand to a process that they start
    "settings/replaced",
    "settings/reports",
    "telemetry/log",
    "dashboard/data",
}
CLOCKS = {
    "time.time",
    "time.time_ns",
    "time.monotonic",
    "time.monotonic_ns",
    "time.perf_counter",
    "time.perf_counter_ns",
    "time.localtime",
    "time.gmtime",
    "time.sleep",
    "datetime.now",
    "datetime.utcnow",
    "datetime.today",
    "date.today",
}
ENVIRONMENT = {"os.environ", "os.environb", "os.getenv", "os.putenv"}


@pytest.fixture(scope="module")
def broken(tmp_path_factory: pytest.TempPathFactory) -> str:
    """Return what is said of a copy of the house in which every breach is planted, and a room that nobody named."""
    house = tmp_path_factory.mktemp("house")
    for part in ("collector", "dashboard"):
        shutil.copytree(ROOT / part, house / part, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / "pyproject.toml", house)
    (house / "collector/annex").mkdir()
    (house / "collector/annex/__init__.py").touch()
    for place, imported in BREACHES:
        with (house / _file(place)).open("a") as file:
            file.write(f"\n\ndef _planted() -> None:\n    import {imported}\n")
    done = subprocess.run(
        [Path(sys.executable).with_name("lint-imports"), "--no-cache"],
        cwd=house,
        env={**os.environ, "PYTHONPATH": str(house), "COLUMNS": "500"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1, done.stderr
    return " ".join(done.stdout.split())


@pytest.mark.parametrize(("place", "imported"), BREACHES, ids=[f"{p}-{i}" for p, i in BREACHES])
def test_an_import_through_a_wall_is_seen(place: str, imported: str, broken: str) -> None:
    """Wherever it is planted, inside a function too, it is named."""
    importer = _file(place).removesuffix(".py").replace("/", ".")
    named = imported if imported.startswith(("collector", "dashboard")) else imported.partition(".")[0]
    assert f"{importer} -> {named} (l." in broken or f"{importer} is not allowed to import {named}" in broken


def test_a_room_that_nobody_named_is_seen(broken: str) -> None:
    """A room added beside the others has to be given its place."""
    assert "annex" in broken


def test_only_some_rooms_know_the_time_and_the_environment() -> None:
    """What is worked out is a function of what came and of the time that is passed, not of where and when."""
    assert {place.partition("/")[0] for place in _reading(CLOCKS)} == ASK_THE_TIME
    assert set(_reading(ENVIRONMENT)) == READ_THE_ENVIRONMENT


def _file(place: str) -> str:
    return f"{place}.py" if place.startswith("dashboard/") else f"collector/{place}.py"


def _reading(names: set[str]) -> Iterator[str]:
    """Yield the places where one of *names* is read, however its module was imported."""
    for part in ("collector", "dashboard"):
        for path in sorted((ROOT / part).rglob("*.py")):
            tree = ast.parse(path.read_text("utf-8"))
            called = {}
            for node in ast.walk(tree):
                if isinstance(node, ast.Import):
                    called |= {(a.asname or a.name): a.name for a in node.names}
                elif isinstance(node, ast.ImportFrom):
                    called |= {(a.asname or a.name): f"{node.module}.{a.name}" for a in node.names}
            for node in ast.walk(tree):
                if isinstance(node, (ast.Attribute, ast.Name)):
                    head, *rest = ast.unparse(node).split(".")
                    full = ".".join([called.get(head, head), *rest]).removeprefix("datetime.")
                    if full in names:
                        yield path.relative_to(ROOT).with_suffix("").as_posix().removeprefix("collector/")
