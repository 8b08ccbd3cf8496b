"""How far a long verb has come, on stderr, where a person looks at it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.progress import Progress


@dataclass(slots=True)
class Bar:
    """A bar of bytes that were read, with the number of requests sent."""

    _shown: Progress
    _count: int = 0

    def read(self, size: int) -> None:
        """Go on by *size* bytes."""
        self._shown.advance(self._shown.task_ids[0], size)

    def sent(self) -> None:
        """Count a request."""
        self._count += 1
        self._shown.update(self._shown.task_ids[0], requests=self._count)


@contextmanager
def progress(size: int | None) -> Iterator[Bar]:
    """Show a bar of *size* bytes, None where nobody knows; nothing if stderr is no terminal."""
    from rich.console import Console
    from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeRemainingColumn

    console = Console(stderr=True)
    columns = (BarColumn(), DownloadColumn(), TextColumn("{task.fields[requests]} requests"), TimeRemainingColumn())
    with Progress(*columns, console=console, disable=not console.is_terminal, redirect_stdout=False) as shown:
        shown.add_task("read", total=size, requests=0)
        yield Bar(shown)
