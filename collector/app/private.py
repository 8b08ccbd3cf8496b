"""What is kept is for its owner only: what of a data directory others could read or change, mended or told.

An older directory of one's own is tightened, which needs no decision. One that belongs to another user is not used: its
owner could put other files in place of ours. Links of one's own are followed, as to another disk, and told.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from pathlib import Path

from collector.app.openable import FILES, FOLDERS
from collector.model.errors import UsageError

_OTHERS = 0o077
ROOT = 0


def tighten(directory: Path) -> list[str]:
    """Take the rights of others from *directory* and what is ours in it; return sentences on what was found.

    Raise UsageError where another user than root owns any of it, or a link in it.
    """
    if not directory.is_dir():  # not there yet, or told by `openable`
        return []
    told: list[str] = []
    opened: list[Path] = []
    for path, found in _found(directory):
        if found.st_uid not in (ROOT, os.geteuid()):
            owner = f"--data {directory}: {path.name} belongs to another user (id {found.st_uid})"
            if os.geteuid() != ROOT:
                raise UsageError(f"{owner}; choose a directory of your own, or change its owner.")
            told.append(f"{owner}, who can change what is kept.")
        if stat.S_ISLNK(found.st_mode):
            told.append(f"--data {directory}: {path.name} is a link; what is kept lies in {path.resolve()}.")
        elif found.st_mode & _OTHERS:
            try:
                path.chmod(stat.S_IMODE(found.st_mode) & ~_OTHERS)
                opened.append(path)
            except OSError as e:
                told.append(
                    f"--data {directory}: others may use {path.name}, and that cannot be changed ({e.strerror})."
                )
    if opened:
        names = ", ".join(path.name for path in opened)
        told.append(f"--data {directory}: others could use {names}; now its owner alone can.")
    return told


def _found(directory: Path) -> Iterator[tuple[Path, os.stat_result]]:
    """Yield what is there, by itself and, of a link, also where it leads."""
    for path in (directory, *(directory / name for name in (*FILES, *FOLDERS))):
        try:
            found = path.lstat()
            yield path, found
            if stat.S_ISLNK(found.st_mode):
                to = path.resolve()
                yield to, to.lstat()
        except OSError:  # not there, or told by `openable`
            continue
