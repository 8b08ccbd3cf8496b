"""What of ours in a data directory cannot be opened: told before anything starts, and by doctor. Opens nothing."""

from __future__ import annotations

import os
import stat
from pathlib import Path

from collector import control
from collector.app import child, whereabouts
from collector.journal import files
from collector.model.errors import UsageError
from collector.store import FILE

_LOCKED = (*whereabouts.NAMES, *(role + child.SUPERVISOR for role in whereabouts.NAMES), "control", whereabouts.FILE)
FILES = (
    *(name + suffix for name in (control.FILE, files.NAME) for suffix in ("", "-wal", "-shm")),
    *(FILE, f"{FILE}.wal", files.HEAD, whereabouts.FILE),
    *(f"{name}.lock" for name in _LOCKED),
)
FOLDERS = ("tmp", files.ASIDE)


def unopenable(directory: Path) -> dict[Path, str]:
    """Return what cannot be opened, each with a sentence that says why and what helps; what is not there can be made.

    A directory that cannot be looked into is passed over: that is another sentence.
    """
    if not _may(directory, os.R_OK | os.W_OK | os.X_OK):
        return {}
    named = [(directory / name, False) for name in FILES] + [(directory / name, True) for name in FOLDERS]
    return {
        path: f"{path}: cannot be opened, {why}"
        for path, is_folder in named
        if (why := _trouble(path, folder=is_folder))
    }


def refuse(directory: Path) -> None:
    """Raise UsageError for the first of what cannot be opened in *directory*."""
    for told in unopenable(directory).values():
        raise UsageError(f"{told}.")


def _trouble(path: Path, *, folder: bool) -> str:
    away = "move it away, and put back what stood there"
    try:
        mode = path.stat().st_mode
    except FileNotFoundError:
        # A link to where there is nothing yet is followed, if something can be made there.
        return f"it is a link to nowhere; {away}" if path.is_symlink() and not path.resolve().parent.is_dir() else ""
    except OSError as e:
        return f"{e.strerror}; {away}"
    if not (stat.S_ISDIR(mode) if folder else stat.S_ISREG(mode)):
        return f"it is {'a directory' if stat.S_ISDIR(mode) else 'no directory' if folder else 'no file'}; {away}"
    needed = os.R_OK | os.W_OK | (os.X_OK if folder else 0)
    return "" if _may(path, needed) else "this user may not read and write it; look at its owner and its rights"


def _may(path: Path, needed: int) -> bool:
    return os.access(path, needed, effective_ids=os.access in os.supports_effective_ids)
