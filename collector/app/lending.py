"""How much more memory than its part DuckDB has for now, where it could not get on with less.

DuckDB reads and writes 2,048 values of a column at one time, whatever their size: of texts of a megabyte that is more
than its part, and who writes must get on. Its limit is locked with the file, so the store ends and starts with twice
as much, up to eight times, and with its part again when it has had enough of it for ten minutes.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable

import structlog

from collector.control import Control
from collector.store.errors import is_of_memory

MARK = "duckdb_times"
"""Mark: how many times its part DuckDB is to have at the next start."""
EXIT_CODE = 72
_GAVE_UP = 70
"""Exit code where DuckDB can do nothing more."""
_MOST = 8
_KEPT_S = 600.0


class Lending:
    """What DuckDB has, in parts; *end* ends the process with an exit code."""

    def __init__(self, control: Control, end: Callable[[int], None] = os._exit) -> None:
        self._control = control
        self._end = end
        self.times = max(1, control.mark(MARK))
        self._since = time.monotonic()

    def gave_up(self, error: Exception) -> None:
        """End the process since DuckDB cannot go on, with more at the next start where memory was why."""
        if is_of_memory(error):
            self._set(min(_MOST, 2 * self.times))
        self._end(_GAVE_UP)

    def more(self) -> None:
        """End the process to start with more, if there is more to have."""
        if self.times < _MOST:
            self._set(2 * self.times)
            self._end(EXIT_CODE)

    def caught_up(self) -> None:
        """End the process to start with less, where more was lent for long enough and nothing waits."""
        if self.times > 1 and time.monotonic() - self._since > _KEPT_S:
            self._set(1)
            self._end(EXIT_CODE)

    def _set(self, times: int) -> None:
        structlog.get_logger().warning("store_memory_lent", times=times)
        self._control.set_mark(MARK, times)
