"""What a tree of processes keeps in memory: proportional set size, by process, sampled while something happens.

Proportional: a page that several share counts once for all of them. Linux alone tells it.
"""

from __future__ import annotations

import contextlib
import re
import threading
from pathlib import Path
from types import TracebackType

import psutil

MIB = 2**20
_PSS = re.compile(rb"^Pss:\s+(\d+) kB", re.M)
_LOOK_S = 1.0
"""How often it is looked which processes there are."""


def pss(pid: int) -> int:
    """Return the proportional set size of a process in bytes, 0 when it is gone."""
    try:
        found = _PSS.search(Path(f"/proc/{pid}/smaps_rollup").read_bytes())
    except OSError:
        return 0
    return int(found[1]) * 1024 if found else 0


def role(process: psutil.Process) -> str:
    """Return the last part of the module a process of ours runs, `supervisor` for the one that starts them."""
    words = " ".join(process.cmdline())
    named = re.search(r"collector\.app\.(\w+)", words)
    return named[1] if named else "dashboard" if "-m dashboard" in words else "supervisor"


class Footprint:
    """Samples the tree below *pid* until the block ends."""

    def __init__(self, pid: int, every_s: float = 0.1) -> None:
        self._root = psutil.Process(pid)
        self._every_s = every_s
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._work, daemon=True)
        self.peak = 0
        """Most bytes the whole tree had at one time."""
        self.at_peak: dict[str, int] = {}
        """Role → bytes at that time."""
        self.peaks: dict[str, int] = {}
        """Role → most bytes its processes had together at any time."""

    def __enter__(self) -> Footprint:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stop.set()
        self._thread.join()

    def sample(self) -> dict[str, int]:
        """Return role → bytes now."""
        return self._sampled(self._roles())

    def _roles(self) -> dict[int, str]:
        roles = {}
        for process in [self._root, *self._root.children(recursive=True)]:
            with contextlib.suppress(psutil.Error):
                roles[process.pid] = role(process)
        return roles

    @staticmethod
    def _sampled(roles: dict[int, str]) -> dict[str, int]:
        by_role: dict[str, int] = {}
        for pid, name in roles.items():
            by_role[name] = by_role.get(name, 0) + pss(pid)
        return by_role

    def _work(self) -> None:
        looks = max(1, round(_LOOK_S / self._every_s))
        number = 0
        roles: dict[int, str] = {}
        while not self._stop.wait(self._every_s):
            with contextlib.suppress(psutil.Error):
                if number % looks == 0:
                    roles = self._roles()
                number += 1
                now = self._sampled(roles)
                for name, size in now.items():
                    self.peaks[name] = max(size, self.peaks.get(name, 0))
                if sum(now.values()) > self.peak:
                    self.peak, self.at_peak = sum(now.values()), now
