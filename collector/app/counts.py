"""How many rows tables have, counted beside: who asks waits a moment for new numbers, and else gets the last ones."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

import structlog

from collector.telemetry.log import cause

Counted = dict[str, int | None]

_FRESH_S = 1.0
_WAIT_S = 0.3
"""Enough for any store at rest; a status is told within a second also of a busy one."""


class Counts:
    """The rows of *names*, as *count* counts those of one; None for what was never counted."""

    def __init__(self, names: tuple[str, ...], count: Callable[[str], int]) -> None:
        self._count = count
        self._counts: Counted = dict.fromkeys(names)
        self._of: object = None
        self._at = 0.0
        self._lock = threading.Lock()
        self._going: threading.Thread | None = None

    def now(self, of: object) -> Counted:
        """Return the counts for a store that stands at *of*; a second old, or older while counting takes long."""
        with self._lock:
            if self._of == of and time.monotonic() - self._at < _FRESH_S:
                return self._counts
            if self._going is None or not self._going.is_alive():
                self._going = threading.Thread(target=self._renew, args=(of,), name="store-counts", daemon=True)
                self._going.start()
            going = self._going
        going.join(_WAIT_S)
        return self._counts

    def _renew(self, of: object) -> None:
        try:
            self._counts = {name: self._count(name) for name in self._counts}
        except Exception as e:  # such as a store that is being closed
            structlog.get_logger().warning("store_count_failed", **cause(e))
            return
        self._of, self._at = of, time.monotonic()
