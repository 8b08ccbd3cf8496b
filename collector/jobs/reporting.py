"""Makes reports when they are due: a thread beside the one that writes, which reads snapshots and never holds it up.

A firing that is due is made, kept and owed to its channels in one transaction (`Control.settle_firing`); until then it
stays due, and a process that was killed makes it again with the same `as_of`. A report is begun at most `_MOST_BEGUN`
times, so one that ends the process does not end it for ever.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, TypeAlias

import structlog

from collector.control import Control, firings
from collector.control.firings import Firing
from collector.jobs.schedule import Plan, Scheduler
from collector.settings.reports import Channel, Reports
from collector.settings.section import nanoseconds
from collector.telemetry.log import cause

if TYPE_CHECKING:
    from collector.model.report import Report

_TURN_S = 1.0
_MOST_BEGUN = 5
_PAUSES_S = (30, 120, 600, 1800)
"""How long after the first, second, … failure a report is tried again."""
_WAIT_S = 600.0
"""How long a report waits until what arrived before it is counted."""
_LONGEST_NS = int(_WAIT_S + sum(_PAUSES_S)) * 10**9

Make: TypeAlias = "Callable[[Plan, Firing], Report]"


class Reporting(threading.Thread):
    """Looks at the clock every second. *make* makes a report; *complete* returns up to when what arrived is counted.

    *owed* is told when something is to be sent. The control file must not be the writer's.
    """

    def __init__(
        self,
        control: Control,
        settings: Reports,
        make: Make,
        complete: Callable[[], int],
        owed: Callable[[], None] = lambda: None,
        clock: Callable[[], int] = time.time_ns,
    ) -> None:
        super().__init__(name="store-reporting", daemon=True)
        self._control = control
        self._settings = settings
        self._make = make
        self._complete = complete
        self._owed = owed
        self._clock = clock
        self._scheduler = Scheduler(control, settings)
        self._catch_up_ns = nanoseconds(settings.catch_up)
        self._not_before: dict[tuple[str, int], float] = {}
        self._waiting_since: dict[tuple[str, int], float] = {}
        self._stop_asked = threading.Event()
        self.failed = ""
        """Why the last turn failed; empty when it did not."""

    def run(self) -> None:
        """Work until told to stop; what fails is tried again."""
        while not self._stop_asked.is_set():
            try:
                self.turn()
                self.failed = ""
            except Exception as e:
                if not self.failed:
                    structlog.get_logger().error("report_schedule_failed", **cause(e))
                self.failed = type(e).__name__
            self._stop_asked.wait(_TURN_S)

    def stop(self, timeout_s: float) -> None:
        """End after what is being done, or without it: it is done again by the next process."""
        self.ask_to_stop()
        if self.is_alive():
            self.join(timeout_s)

    def ask_to_stop(self) -> None:
        """Begin nothing new."""
        self._stop_asked.set()

    def turn(self) -> None:
        """Note what is due, and make it."""
        self._scheduler.tick(self._clock())
        for firing in self._control.reading(firings.due):
            if self._stop_asked.is_set():
                return
            if self._may_begin(firing):
                self._take(firing)

    def _may_begin(self, firing: Firing) -> bool:
        """Tell whether a pause is over and what arrived before is counted; that is waited for ten minutes at most."""
        key, now = (firing.schedule, firing.fire_ns), time.monotonic()
        if now < self._not_before.get(key, 0.0):
            return False
        if self._complete() >= firing.as_of_ns or now - self._waiting_since.setdefault(key, now) > _WAIT_S:
            self._waiting_since.pop(key, None)
            return True
        return False

    def _take(self, firing: Firing) -> None:
        """Make the report of *firing*, or say why there will be none."""
        plan = self._scheduler.plans.get(firing.schedule)
        if plan is None:
            self._control.writing(firings.fail, firing, "its schedule is not in the settings any more")
            return
        if firing.attempts >= _MOST_BEGUN:
            self._control.writing(
                firings.fail, firing, f"begun {firing.attempts} times; the last time it ended the process"
            )
            return
        if self._clock() - firing.fire_ns > self._catch_up_ns + _LONGEST_NS:
            self._control.writing(firings.fail, firing, "it could not be made within reports.catch_up")
            return
        self._control.writing(firings.begin, firing)
        fields = {"schedule_name": firing.schedule, "fire_ns": firing.fire_ns}
        try:
            report = self._make(plan, firing)
            channels = wanted(report, plan.schedule.deliver, self._settings)
            self._control.writing(firings.made, firing, report, channels, self._clock())
        except Exception as e:
            structlog.get_logger().error("report_make_failed", **fields, **cause(e))
            pause = _PAUSES_S[min(firing.attempts, len(_PAUSES_S) - 1)]
            self._not_before[firing.schedule, firing.fire_ns] = time.monotonic() + pause
            if firing.attempts + 1 >= _MOST_BEGUN:
                self._control.writing(firings.fail, firing, f"{type(e).__name__}; the store's log says more")
            return
        self._not_before.pop((firing.schedule, firing.fire_ns), None)
        structlog.get_logger().info("report_make_completed", **fields, report_id=report.id, channels=len(channels))
        self._owed()


def wanted(report: Report, names: tuple[str, ...], settings: Reports) -> list[str]:
    """Return which of the channels called *names* want *report*, by what they say of `when`."""
    return [c.name for c in settings.channels if c.name in names and wants(report, c)]


def wants(report: Report, channel: Channel) -> bool:
    """Tell whether *channel* wants *report*."""
    if channel.when == "always":
        return True
    return any(channel.when == "anomalies" or a.state == "new" for a in report.anomalies)
