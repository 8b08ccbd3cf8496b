"""What the processes of one supervisor hold together, looked at again and again."""

from __future__ import annotations

import contextlib
import threading
from dataclasses import dataclass, field
from pathlib import Path

import psutil

EVERY_S = 0.2


def pss(pid: int) -> int:
    """Return the proportional set size of a process in bytes: pages that several share count once among them."""
    with Path(f"/proc/{pid}/smaps_rollup").open() as file:
        return next(int(line.split()[1]) * 1024 for line in file if line.startswith("Pss:"))


@dataclass
class Tree:
    """The peak of all processes below *pid*, itself included, while the block runs; *of* says whose it was then."""

    pid: int
    most: int = 0
    of: dict[str, int] = field(default_factory=dict)
    """MiB of each process, by its module, when all together were at their peak."""
    _stop: threading.Event = field(default_factory=threading.Event)

    def look(self) -> int:
        """Return what all hold now, in bytes, and keep it if it is the most."""
        held: dict[str, int] = {}
        with contextlib.suppress(psutil.NoSuchProcess):
            top = psutil.Process(self.pid)
            for process in (top, *top.children(recursive=True)):
                # It may end while it is looked at.
                with contextlib.suppress(psutil.Error, OSError, StopIteration):
                    words = process.cmdline() or ["gone"]
                    name = next((w.rpartition(".")[2] for w in words if w.startswith("collector.")), words[-1][-20:])
                    held[name] = held.get(name, 0) + pss(process.pid)
        together = sum(held.values())
        if together > self.most:
            self.most, self.of = together, {name: size // 2**20 for name, size in held.items()}
        return together

    def _watch(self) -> None:
        while not self._stop.wait(EVERY_S):
            self.look()

    def __enter__(self) -> Tree:
        self._thread = threading.Thread(target=self._watch, daemon=True)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()
