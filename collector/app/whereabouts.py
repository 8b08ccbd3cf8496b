"""`runwell.json`: where what runs on a data directory listens. Supervisors of single roles share it.

`{"http": {"host", "port"}, "grpc": {…}, "api": {…}, "pid", "version"}`; *pid* is the supervisor that wrote last.
"""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

from collector import __version__
from collector.app import child
from collector.model.errors import UsageError

FILE = "runwell.json"
NAMES = {"receive": ("http",), "gate": ("grpc",), "store": ("api", "dashboard")}
"""Role → what listens with it."""


def write(directory: Path, roles: tuple[str, ...], addresses: dict[str, Any]) -> None:
    """Write *addresses* of *roles*, beside those of roles that another supervisor runs; none left, no file."""
    with child.lock(directory, FILE):
        others = {
            name: where
            for role, names in NAMES.items()
            if role not in roles and _runs(directory, role)
            for name, where in _read(directory).items()
            if name in names
        }
        path = directory / FILE
        if not others and not addresses:
            path.unlink(missing_ok=True)
            return
        new = path.with_suffix(f".{os.getpid()}.new")
        with child.own_file(new) as file:
            file.write(json.dumps({**others, **addresses, "pid": os.getpid(), "version": __version__}) + "\n")
        new.rename(path)


def running(directory: Path) -> dict[str, Any]:
    """Return what `FILE` says, without the addresses of roles that no supervisor runs; nothing where none does."""
    said = _read(directory)
    absent = {name for role, names in NAMES.items() if not (said and _runs(directory, role)) for name in names}
    listening = {name: where for name, where in said.items() if name not in absent}
    return listening if listening.keys() - {"pid", "version"} else {}


def _read(directory: Path) -> dict[str, Any]:
    try:
        content = json.loads((directory / FILE).read_text("utf-8"))
    except (OSError, ValueError):
        return {}
    return content if isinstance(content, dict) else {}


def _runs(directory: Path, role: str) -> bool:
    """Tell whether a supervisor holds *role* in *directory*."""
    try:
        child.lock(directory, role + child.SUPERVISOR, wait_s=0).close()
    except UsageError:
        return True
    return False
