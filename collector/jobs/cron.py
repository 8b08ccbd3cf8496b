"""When a cron expression comes round in a zone, by cronsim: Debian's rules, daylight saving included.

A job at a fixed time that the clock skips runs right after the jump, one in a repeated hour runs once, and one with a
wildcard hour follows real time. Two things cronsim leaves to its caller. Asked from within a repeated hour, it names
times before the one asked from: they are passed over. And its way back (`reverse`) does not always meet the times of
its way forward, so the time before is looked for forwards, from further and further back.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

from cronsim import CronSim

from collector.model.units import HOUR_NS, SECOND_NS

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_FARTHEST_NS = 80 * 366 * 24 * HOUR_NS
"""Beyond the longest gap between two times, such as 29 February on a Monday across a century without a leap day."""
_LAST_NS = int((datetime(9990, 1, 1, tzinfo=UTC) - _EPOCH) / timedelta(seconds=1)) * SECOND_NS


class Times:
    """The nominal times of *cron* (five fields) in *zone*, all in ns since 1970."""

    def __init__(self, cron: str, zone: str) -> None:
        self._cron = cron
        self._zone = ZoneInfo(zone)

    def after(self, at_ns: int) -> Iterator[int]:
        """Return the times later than *at_ns*, one after the other."""
        start = _EPOCH + timedelta(seconds=max(0, min(at_ns, _LAST_NS)) // SECOND_NS)
        for local in CronSim(self._cron, start.astimezone(self._zone)):
            ns = round((local - _EPOCH) / timedelta(seconds=1)) * SECOND_NS
            if ns > at_ns:
                yield ns

    def next(self, at_ns: int) -> int | None:
        """Return the first time later than *at_ns*; None when there is none."""
        return next(self.after(at_ns), None)

    def before(self, at_ns: int) -> int | None:
        """Return the last time earlier than *at_ns*; None when there is none since 1970."""
        back_ns = HOUR_NS
        while True:
            last_ns = None
            for ns in self.after(at_ns - back_ns):
                if ns >= at_ns:
                    break
                last_ns = ns
            if last_ns is not None or back_ns > _FARTHEST_NS or back_ns > at_ns:
                return last_ns
            back_ns *= 8
