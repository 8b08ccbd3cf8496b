"""A data directory with files of a newer runwell is refused before anything in it changes by a byte."""

from __future__ import annotations

import asyncio
import contextlib
import sys
from pathlib import Path

from collector import control
from collector.journal import files
from collector.model.errors import UsageError


async def refuse(directory: Path) -> None:
    """Raise UsageError when one of the files in *directory* is of a newer version.

    The database is looked at by a process of its own, which takes 0.2 s: the supervisor has no other need of DuckDB,
    and it would stay in its memory.
    """
    if not _holds_files(directory):
        return
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "collector.store.version", str(directory), stdout=asyncio.subprocess.PIPE
    )
    try:
        refusal, _ = await process.communicate()
    finally:  # we are told to stop
        with contextlib.suppress(ProcessLookupError):
            process.kill()
    if refusal.strip():
        raise UsageError(refusal.decode().strip())


def _holds_files(directory: Path) -> bool:
    """Tell whether there is a database to look at; what is no database is looked at here."""
    files.refuse_newer(directory)
    control.refuse_newer(directory)
    return any(directory.glob("*.duckdb"))
