"""A page of docs/connect, played as a reader plays it: its files written down, its commands run.

The first line of a Python, JavaScript or TypeScript block names its file; a block of shell is a command to install, or
one to run. `make test` plays pages with what is pinned, `make docs-live` each with what its own install line brings.
"""

from __future__ import annotations

import json
import os
import re
import shlex
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from functools import cached_property
from importlib.metadata import Distribution, distributions
from pathlib import Path
from typing import Any

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from tests.length import ASKED

ROOT = Path(__file__).parents[2]
CONNECT = ROOT / "docs" / "connect"
LIVE = ASKED == "docs-live"
BIN = Path(sys.executable).parent
"""Where Python, node and npm of the tests are."""
NPM = ROOT / "tests" / "e2e" / "js"
APART = ROOT / ".venv" / "apart"
"""Packages that the tests must not share an environment with."""
FILES = {"python": "#", "js": "//", "ts": "//"}
"""Languages of blocks that are files → how their first line begins."""
Changes = tuple[tuple[str, str], ...]
"""Pieces of a page → what stands there instead."""
HTTP, GRPC = "127.0.0.1:4318", "127.0.0.1:4317"
"""What stands on pages for the collector that is played to."""


@dataclass(frozen=True)
class Page:
    """One page, in parts."""

    name: str

    @cached_property
    def text(self) -> str:
        """Return the page as it stands."""
        return (CONNECT / f"{self.name}.md").read_text("utf-8")

    @cached_property
    def blocks(self) -> list[tuple[str, str]]:
        """Return language and text of every fenced block."""
        return re.findall(r"^```(\w*)\n(.*?)^```$", self.text, re.M | re.S)

    @cached_property
    def _commands(self) -> list[str]:
        return [text.replace("\\\n", "") for language, text in self.blocks if language == "sh"]

    @cached_property
    def install(self) -> list[list[str]]:
        """Return the commands that install something, in words."""
        return [shlex.split(text) for text in self._commands if text.startswith(("pip install ", "npm install "))]

    @cached_property
    def script(self) -> str:
        """Return every other command."""
        installs = ("pip install ", "npm install ")
        return "".join(text for text in self._commands if not text.startswith(installs))

    @cached_property
    def files(self) -> dict[str, str]:
        """Return the files that the page names, in blocks or as ones to copy."""
        files = {}
        for language, text in self.blocks:
            if language in FILES:
                named = re.match(rf"{FILES[language]} ([\w.-]+\.\w+)", text)
                assert named is not None, f"{self.name}: the first line names no file: {text[:80]}"
                assert named[1] not in files, f"{self.name}: {named[1]} stands there twice"
                files[named[1]] = text
        for name in re.findall(r"\]\(([\w-]+\.(?:py|ts))\)", self.text):
            files[name] = (CONNECT / name).read_text("utf-8")
        return files

    def packages(self, installer: str) -> list[str]:
        """Return the names of the packages that *installer*, pip or npm, is told to install."""
        return [word for command in self.install if command[0] == installer for word in command[2:]]


PAGES = {path.stem: Page(path.stem) for path in sorted(CONNECT.glob("*.md"))}


class Desk:
    """A folder in which a page is played, and the packages that are at hand there."""

    def __init__(self, page: Page, folder: Path, collector: dict[str, str]) -> None:
        """*collector*: what stands on pages for the collector → where it is."""
        self.page = page
        self.folder = folder
        self._collector = collector
        folder.mkdir()
        self._write(folder)
        self.problem = ""
        """Why the page's install line failed."""
        if LIVE:
            self._install()
        else:
            self._path, self._apart = f"{BIN}:{os.defpath}", str(APART)
            (folder / "node_modules").symlink_to(NPM / "node_modules")

    def _install(self) -> None:
        """Do what the page's install lines say in an environment of its own, where nothing of the tests' is at hand."""
        bin_, venv = self.folder / "bin", self.folder / "venv"
        self._path, self._apart = f"{venv / 'bin'}:{bin_}:{os.defpath}", ""
        bin_.mkdir()
        for name in ("node", "npm"):
            (bin_ / name).symlink_to(BIN / name)
        (self.folder / "package.json").write_text('{"private": true}')
        commands = [[sys.executable, "-m", "venv", str(venv)], *self.page.install]
        if self._typescript:
            commands.append(["npm", "install", "typescript"])
        for command in commands:
            env = {**os.environ, "PATH": self._path}
            done = subprocess.run(command, cwd=self.folder, env=env, capture_output=True, text=True)
            if done.returncode:
                self.problem = f"{self.page.name}: {shlex.join(command)}\n{done.stdout}{done.stderr}"
                return

    @property
    def _typescript(self) -> bool:
        return any(name.endswith(".ts") for name in self.page.files)

    def _write(self, folder: Path, changes: Changes = ()) -> str:
        """Write the page's files, and return its commands."""
        for name, text in self.page.files.items():
            (folder / name).write_text(self._changed(text, changes))
        return self._changed(self.page.script, changes)

    def _changed(self, text: str, changes: Changes) -> str:
        for old, new in (*changes, *self._collector.items()):
            text = text.replace(old, new)
        return text

    def start(self, changes: Changes = ()) -> subprocess.Popen[str]:
        """Start the page's commands in a shell that knows nothing of the tests, with *changes* in a folder below."""
        folder = self.folder
        if changes:
            folder = Path(tempfile.mkdtemp(dir=folder))
        script = self._write(folder, changes)
        env = {"PATH": self._path, "HOME": str(folder), "PYTHONPATH": self._apart}
        return subprocess.Popen(
            ["sh", "-e", "-c", script],
            cwd=folder,
            env=env,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )

    def run(self, *command: str | Path) -> str:
        """Return what *command* says, run in the folder; it has to succeed."""
        assert not self.problem, self.problem
        done = subprocess.run(command, cwd=self.folder, capture_output=True, text=True, timeout=120)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    def versions(self) -> dict[str, str]:
        """Return the versions of what the page's install lines name, nothing where they failed."""
        if self.problem:
            return {}
        found: dict[str, str] = {}
        if named := self.page.packages("pip"):
            listed = json.loads(self.run(self.folder / "venv/bin/python", "-m", "pip", "list", "--format", "json"))
            installed = {canonicalize_name(p["name"]): p["version"] for p in listed}
            found |= {name: installed[canonicalize_name(name)] for name in named}
        for name in [*self.page.packages("npm"), *(["typescript"] if self._typescript else [])]:
            found[name] = json.loads((self.folder / "node_modules" / name / "package.json").read_text())["version"]
        return found


def pinned() -> dict[str, Distribution]:
    """Return the Python packages at hand in `make test`, by name."""
    return {canonicalize_name(d.metadata["Name"]): d for d in distributions(path=[*sys.path, str(APART)])}


def brought(names: list[str]) -> set[str]:
    """Return the modules that the packages *names* bring, those that they require included."""
    at_hand, wanted, modules = pinned(), {canonicalize_name(name) for name in names}, set[str]()
    seen: set[str] = set()
    while wanted:
        name = wanted.pop()
        seen.add(name)
        for file in at_hand[name].files or ():
            if file.suffix == ".py":
                parts = file.with_suffix("").parts
                modules.add(".".join(parts[:-1] if parts[-1] == "__init__" else parts))
        for text in at_hand[name].requires or ():
            requirement = Requirement(text)
            if requirement.marker is None or requirement.marker.evaluate({"extra": ""}):
                wanted |= {canonicalize_name(requirement.name)} - seen
    return modules


def package_json() -> dict[str, Any]:
    """Return what is pinned of JavaScript."""
    return json.loads((NPM / "package.json").read_text())  # type: ignore[no-any-return]
