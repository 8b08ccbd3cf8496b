"""Who sends: counts per kind of exporter and path, kept in memory and written to the control file now and then."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import structlog

from collector.control import names, senders
from collector.control.senders import MOST, Sender
from collector.decode.names import Projects
from collector.decode.origin import Origin
from collector.receive.via import Via
from collector.telemetry.log import cause

if TYPE_CHECKING:
    from collector.control import Control

log = structlog.get_logger()
_SAVE_S = 5.0
_WINDOW_NS = 300 * 10**9
_NOBODY = (Origin("", "", "", 0, 0),)


class Senders:
    """The bounded table of who has sent. For use by one thread. It writes *names* along with itself."""

    def __init__(self, control: Control, names: Projects) -> None:
        self._control = control
        self._names = names
        self._kinds: dict[tuple[str, ...], Sender] = {s.key: s for s in reversed(control.reading(senders.load))}
        self._changed: set[tuple[str, ...]] = set()
        self._windows: dict[tuple[str, ...], tuple[int, int | None, int | None]] = {}
        self._saved = time.monotonic()
        self._fresh = False
        """Whether there is a kind that was not written yet: people wait to see the first request arrive."""

    def seen(self, via: Via, signal: str, encoding: str, origins: tuple[Origin, ...], received_ns: int) -> None:
        """Note a request that was taken; one without records says nothing about its SDK."""
        for origin in origins or _NOBODY:
            path = (via.transport, signal, encoding, via.agent, via.agent_version)
            key = (*path, origin.dialect, origin.language, origin.sdk_version)
            sender = self._kinds.pop(key, None)
            if sender is None:
                sender, self._fresh = Sender(*key, first_ns=received_ns), True
            sender.requests += 1
            sender.records += origin.records
            sender.last_ns = received_ns
            if origin.newest_ns:
                sender.behind_ns = self._least(key, received_ns, received_ns - origin.newest_ns)
            self._kinds[key] = sender  # at the end: the first is always the one not seen for longest
            self._changed.add(key)
            while len(self._kinds) > MOST:
                oldest = next(iter(self._kinds))
                del self._kinds[oldest]
                self._changed.discard(oldest)
                self._windows.pop(oldest, None)

    def _least(self, key: tuple[str, ...], now_ns: int, behind_ns: int) -> int:
        """Return the least of *behind_ns* in this five-minute window and the one before."""
        window = now_ns // _WINDOW_NS
        at, this, before = self._windows.get(key, (window, None, None))
        if at != window:
            this, before = None, this if at == window - 1 else None
        this = behind_ns if this is None else min(this, behind_ns)
        self._windows[key] = (window, this, before)
        return this if before is None else min(this, before)

    def save(self, *, now: bool = False) -> None:
        """Write what changed: a new kind when asked, counts at most every few seconds unless it must be *now*."""
        if not self._changed or not (now or self._fresh or time.monotonic() - self._saved >= _SAVE_S):
            return
        self._fresh = False
        try:
            self._control.writing(senders.save, [self._kinds[key] for key in self._changed])
            self._changed.clear()
            if fresh := self._names.fresh():
                self._control.writing(names.save, fresh)
        except Exception as e:  # a table for people; tried again in a few seconds
            log.error("senders_save_failed", **cause(e))
        self._saved = time.monotonic()
