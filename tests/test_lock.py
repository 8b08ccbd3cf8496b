"""The lock file: what the image installs of it and what a developer does."""

from __future__ import annotations

import re
import subprocess
import tomllib
from importlib.metadata import requires
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parents[1]
LOCK = ROOT / ".ci" / "requirements.txt"
APART = ROOT / ".ci" / "apart.txt"
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]


def named(requirements: list[str]) -> set[str]:
    """Return the packages that are required on this machine."""
    parsed = [Requirement(text) for text in requirements]
    return {canonicalize_name(r.name) for r in parsed if r.marker is None or r.marker.evaluate({"extra": ""})}


def pinned(text: str) -> dict[str, list[str]]:
    """Return the hashes of each package that a text pins for this machine."""
    hashes: dict[str, list[str]] = {}
    for line in re.sub(r"\\\n", "", text).splitlines():
        pin, *rest = line.split(" --hash=sha256:")
        if line[:1].isalnum() and (name := named([pin])):
            hashes[name.pop()] = [value.strip() for value in rest]
    return hashes


def product() -> dict[str, list[str]]:
    """Return what the image installs, by the Dockerfile's own command."""
    command = re.search(r"^RUN sed '([^']+)' requirements\.txt > runwell\.txt", (ROOT / "Dockerfile").read_text(), re.M)
    assert command is not None
    done = subprocess.run(["sed", command[1], str(LOCK)], check=True, capture_output=True, text=True)
    return pinned(done.stdout)


def test_every_package_is_pinned_with_its_hashes_and_once() -> None:
    """Each package has hashes, and stands in one of the two parts or in the file of what stands apart."""
    text, apart = LOCK.read_text("utf-8"), pinned(APART.read_text("utf-8"))
    assert all((pinned(text) | apart).values())
    assert not set(pinned(text)) & set(apart)
    assert named(PROJECT["optional-dependencies"]["apart"]) <= set(apart)
    ours, theirs = text.split("# For developers as well\n")
    assert not set(pinned(ours)) & set(pinned(theirs))
    assert product() == pinned(ours)


def test_the_image_gets_what_runwell_requires_and_nothing_of_its_developers() -> None:
    """The image's part holds all that runwell and its build require, what those require in turn, and no more."""
    wanted = named(PROJECT["dependencies"] + PROJECT["optional-dependencies"]["build"])
    held: set[str] = set()
    while wanted:
        held |= wanted
        wanted = {name for package in wanted for name in named(requires(package) or [])} - held
    assert held == set(product())


def test_a_developer_gets_all_of_it() -> None:
    """The whole file holds what the tests and tools require as well."""
    assert named(PROJECT["optional-dependencies"]["dev"]) <= set(pinned(LOCK.read_text("utf-8")))
