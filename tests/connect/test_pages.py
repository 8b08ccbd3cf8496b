"""What stands on the pages of docs/connect holds together: installs bring imports, addresses and keys are runwell's."""

from __future__ import annotations

import ast
import re
import subprocess
from pathlib import Path

import pytest
import yaml
from packaging.utils import canonicalize_name

from collector.decode.dialects import generic
from collector.settings import Settings
from tests.connect.pages import BIN, FILES, GRPC, HTTP, PAGES, ROOT, Page, brought, package_json, pinned

CODE = [page for page in PAGES.values() if page.blocks]


@pytest.mark.parametrize("page", CODE, ids=lambda page: page.name)
def test_every_block_is_one_that_is_tried(page: Page) -> None:
    """A page shows files, commands and Collector configuration, and has an install line."""
    assert {language for language, _ in page.blocks} <= {*FILES, "sh", "yaml"}
    assert page.install
    programs = {text.split()[1] for language, text in page.blocks if language in ("python", "js")}
    assert programs <= set(page.script.split())


def _python(text: str) -> set[str]:
    found = set()
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            found.add(node.module)
    return found


def _javascript(text: str) -> set[str]:
    """Return the packages that are imported, or named to pino."""
    named = re.findall(r'^\s*(?:import .*from|target:) "((?:@[\w.-]+/)?[\w.:-]+)', text, re.M)
    return {name for name in named if not name.startswith("node:")}


@pytest.mark.parametrize("page", CODE, ids=lambda page: page.name)
def test_what_is_imported_is_installed(page: Page) -> None:
    """Each import of a page comes with what its install line names, JavaScript's by name."""
    own = {Path(name).stem for name in page.files}
    python = {m for name, text in page.files.items() if name.endswith(".py") for m in _python(text)}
    script = {m for name, text in page.files.items() if not name.endswith(".py") for m in _javascript(text)}
    standard = {"__future__", "collections.abc", "contextlib", "logging", "time", "uuid"}
    assert python - own - standard <= brought(page.packages("pip"))
    assert {name for name in script if not name.startswith(".")} == set(page.packages("npm"))
    assert bool(python) | bool(script)


def test_what_install_lines_name_is_pinned() -> None:
    """Each package that a page installs is pinned for the tests, whatever the page's reader gets."""
    python = {canonicalize_name(name) for page in CODE for name in page.packages("pip")}
    locked = "".join((ROOT / ".ci" / name).read_text("utf-8") for name in ("requirements.txt", "apart.txt"))
    assert all(f"\n{name}=={pinned()[name].version} " in f"\n{locked}" for name in python)
    exact = package_json()["dependencies"]
    assert {name for page in CODE for name in page.packages("npm")} <= set(exact)
    assert all(re.fullmatch(r"[\d.]+", version) for version in exact.values())


def test_addresses_on_pages_are_where_runwell_listens() -> None:
    """Every address is one of the defaults, but for those that the Collector in between listens on."""
    settings = Settings()
    assert tuple(f"{settings.host}:{port}" for port in (settings.http_port, settings.grpc_port)) == (HTTP, GRPC)
    elsewhere = {"127.0.0.1:14317", "127.0.0.1:14318"}
    for page in PAGES.values():
        for text in (page.text, *page.files.values()):
            assert set(re.findall(r"[\w.]+:\d{4,5}\b", text)) <= {HTTP, GRPC, *elsewhere}


def test_the_collectors_configuration_is_whole() -> None:
    """Each pipeline names receivers and exporters that are configured; it sends to runwell and takes no port of it."""
    found = [yaml.safe_load(text) for page in CODE for language, text in page.blocks if language == "yaml"]
    assert len(found) == 1
    (config,) = found
    for pipeline in config["service"]["pipelines"].values():
        assert set(pipeline["receivers"]) == set(config["receivers"])
        assert set(pipeline["exporters"]) == set(config["exporters"])
    assert set(config["service"]["pipelines"]) == {"logs", "traces"}
    assert [e["endpoint"] for e in config["exporters"].values()] == [f"http://{HTTP}"]
    listens = {p["endpoint"] for p in config["receivers"]["otlp"]["protocols"].values()}
    assert len(listens) == 2
    assert not listens & {HTTP, GRPC}


def test_the_keys_that_runwell_reads_are_those_of_its_dialect() -> None:
    """Each row of the table has the key that is preferred and every other that is read, in their order."""
    rows = re.findall(r"^\| `(\w+)` \| (`.+?`) \| .+ \|$", PAGES["keys"].text, re.M)
    told = {key: (key, *re.findall(r"`([^`]+)`", others)) for key, others in rows}
    assert len(told) == 14
    assert set(told.values()) <= set(generic.DIALECT.record.values())


def test_python_on_pages_is_formatted_as_ours_is(tmp_path: Path) -> None:
    """ruff has nothing to say of the Python on pages, printing aside."""
    for page in CODE:
        (tmp_path / page.name).mkdir()
        for name, text in page.files.items():
            if name.endswith(".py"):
                (tmp_path / page.name / name).write_text(text)
    for command in (("format", "--diff"), ("check", "--ignore=T20,I001")):
        done = subprocess.run(
            [BIN / "ruff", *command, "--config", ROOT / "pyproject.toml", tmp_path], capture_output=True, text=True
        )
        assert done.returncode == 0, done.stdout + done.stderr
