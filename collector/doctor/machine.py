"""The machine and the data directory: what runs, files, disk, versions."""

from __future__ import annotations

import os
import platform
import shutil
import sqlite3
from importlib import metadata
from pathlib import Path
from typing import Any

from pydantic import ByteSize

from collector import __version__
from collector.app import whereabouts
from collector.app.openable import unopenable
from collector.doctor.found import Check
from collector.settings import Settings

_LIBRARIES = ("duckdb", "polars", "pyarrow", "protobuf", "grpcio", "opentelemetry-sdk", "streamlit")


def running(settings: Settings) -> dict[str, Any]:
    """Return the addresses of the runwell that runs on this data directory: a lock is held as long as it lives."""
    try:
        return whereabouts.running(settings.data)
    except OSError:  # not ours to look at
        return {}


def directory(settings: Settings) -> list[Check]:
    data = settings.data
    if not data.exists():
        return [Check("data", "note", f"{data}: not there yet; the first start creates it", {"path": str(data)})]
    if not data.is_dir() or not os.access(data, os.R_OK | os.W_OK | os.X_OK):
        return [Check("data", "problem", f"{data}: is not a directory this user may write to; choose another --data")]
    sizes = _sizes(data)
    aside = sorted(path.name for path in data.iterdir() if ".damaged-" in path.name)
    checks = [Check("data", "ok", f"{data}: {_bytes(sum(sizes.values()))}", {"path": str(data), "bytes": sizes})]
    if aside:
        told = f"{', '.join(aside)}: damaged, set aside at an earlier start; move them away when they are looked at"
        checks.append(Check("data_set_aside", "problem", told, {"files": aside}))
    for path, told in unopenable(data).items():
        checks.append(Check("file", "problem", told, {"path": str(path)}))
    return checks


def _bytes(n: int) -> str:
    return ByteSize(n).human_readable(separator=" ")


def _sizes(data: Path) -> dict[str, int]:
    """Return the bytes of each file; what is gone by the time it is looked at, as SQLite's own may be, is left out."""
    sizes = {}
    for path in sorted(data.iterdir()):
        try:
            if path.is_file():
                sizes[path.name] = path.stat().st_size
        except OSError:
            continue
    return sizes


def disk(settings: Settings) -> Check:
    place = next(p for p in (settings.data, *settings.data.absolute().parents) if p.exists())
    free, need = shutil.disk_usage(place).free, int(settings.journal.free_disk)
    facts = {"free_bytes": free, "needed_bytes": need}
    told, least = f"{_bytes(free)} free on the disk of {place}", _bytes(need)
    if free < need:
        return Check("disk", "problem", f"{told}; below journal.free_disk ({least}) nothing is taken", facts)
    if free < 4 * need:
        return Check("disk", "note", f"{told}; below {least} nothing is taken any more", facts)
    return Check("disk", "ok", told, facts)


def versions() -> Check:
    facts = {"runwell": __version__, "python": platform.python_version(), "sqlite": sqlite3.sqlite_version}
    for name in _LIBRARIES:
        try:
            facts[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            facts[name] = "missing"
    missing = [name for name, version in facts.items() if version == "missing"]
    told = ", ".join(f"{name} {version}" for name, version in facts.items())
    return Check("versions", "problem" if missing else "ok", told, facts)
