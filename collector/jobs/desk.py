"""Makes the reports that people ask for, and tells which come next."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from itertools import islice
from typing import TYPE_CHECKING, Any, TypeAlias

from collector.control import Control, firings
from collector.control.firings import delivery_key
from collector.jobs.reporting import wants
from collector.jobs.schedule import Plan
from collector.model.asked import Ask, Preview
from collector.model.errors import BadInput
from collector.settings.reports import ON_DEMAND, Channel, Reports

if TYPE_CHECKING:
    from collector.model.report import Report

Make: TypeAlias = "Callable[[str, tuple[int, int], str, int], Report]"
"""Schedule, period (from, to), zone and as_of to a report; stores nothing."""


class Desk:
    """Answers for all schedules of a store. Any thread may ask."""

    def __init__(
        self,
        control: Control,
        settings: Reports,
        make: Make,
        owed: Callable[[], None],
        clock: Callable[[], int] = time.time_ns,
    ) -> None:
        self._control = control
        self._settings = settings
        self._plans = {s.name: Plan(s, settings.zone) for s in settings.schedules}
        self._make = make
        self._owed = owed
        self._clock = clock
        self._one = threading.Lock()
        """One at a time: a report may take memory and seconds."""

    def make(self, ask: Ask) -> tuple[Report, list[Preview]]:
        """Make a report now; keep it and owe it to channels, unless it is a dry run."""
        now_ns = self._clock()
        plan = self._plan(ask.schedule) if ask.schedule is not None else None
        if ask.period is not None:
            period = ask.period
        else:
            assert plan is not None
            period = plan.period(plan.times.before(now_ns + 1) or now_ns)
        zone = plan.zone if plan else self._settings.zone
        with self._one:
            report = self._make(plan.schedule.name if plan else ON_DEMAND, period, zone, now_ns)
        names = plan.schedule.deliver if plan and (ask.deliver or ask.dry_run) else ()
        previews = [self._preview(report, c) for c in self._settings.channels if c.name in names]
        if not ask.dry_run:
            wanted = [p.channel for p in previews if p.wanted]
            self._control.writing(firings.hand_over, report, wanted, now_ns)
            self._owed()
        return report, previews

    def _plan(self, name: str) -> Plan:
        if name not in self._plans:
            there = f"there are {', '.join(self._plans)}" if self._plans else "there is none in [[reports.schedules]]"
            raise BadInput(f"no schedule {name[:60]!r}; {there}", field="schedule")
        return self._plans[name]

    def _preview(self, report: Report, channel: Channel) -> Preview:
        from collector.report.notify import NotSent, channels
        from collector.report.notify.message import Message

        dashboard = str(self._settings.dashboard) if self._settings.dashboard else None
        message = Message(report, delivery_key(report.id, channel.name), dashboard)
        try:
            where, takes_picture = channels.where(channel)
        except NotSent as e:
            return Preview(channel.name, "", message.subject, False, wants(report, channel), e.reason)
        picture = takes_picture and message.picture is not None
        return Preview(channel.name, where, message.subject, picture, wants(report, channel), "")

    def upcoming(self, now_ns: int, n: int) -> list[dict[str, Any]]:
        """Return by schedule its next *n* firings and what they cover."""
        return [
            {
                "schedule": name,
                "cron": plan.schedule.cron,
                "zone": plan.zone,
                "deliver": list(plan.schedule.deliver),
                "firings": [
                    {"fire_ns": t, "from_ns": plan.period(t)[0], "to_ns": t}
                    for t in islice(plan.times.after(now_ns), n)
                ],
            }
            for name, plan in self._plans.items()
        ]
