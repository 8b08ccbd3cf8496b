"""Which firings of the schedules are due: each nominal time is in the ledger once, whatever clock and process do.

The ledger has one row for each (schedule, nominal time), and a mark for each schedule: up to it, all times are noted.
Rows and mark are one transaction. A clock that goes forward makes missed firings, one that goes back takes the mark
with it; times that come round again meet their row and do nothing.
"""

from __future__ import annotations

from collector.control import Control, firings
from collector.control.firings import Firing, FiringState
from collector.jobs.cron import Times
from collector.model.units import DAY_NS
from collector.settings.reports import Reports, Schedule
from collector.settings.section import nanoseconds

MOST_MISSED = 100
"""Missed firings that get a row of their own; those before them are named in the oldest row."""
MOST_PERIOD_NS = 31 * DAY_NS


class Plan:
    """One schedule with its times."""

    def __init__(self, schedule: Schedule, zone: str) -> None:
        self.schedule = schedule
        self.zone = schedule.zone or zone
        self.times = Times(schedule.cron, self.zone)
        self.definition = f"{schedule.cron} {self.zone}"

    def period(self, fire_ns: int) -> tuple[int, int]:
        """Return from when to when the report of the firing at *fire_ns* looks: nominal, whenever it is made."""
        if self.schedule.period is not None:
            return fire_ns - nanoseconds(self.schedule.period), fire_ns
        before = self.times.before(fire_ns)
        return max(before if before is not None else 0, fire_ns - MOST_PERIOD_NS), fire_ns

    def firing(self, fire_ns: int, as_of_ns: int, state: FiringState, note: str = "") -> Firing:
        """Return the firing at *fire_ns*."""
        return Firing(self.schedule.name, fire_ns, *self.period(fire_ns), as_of_ns, state, note=note)


class Scheduler:
    """Notes what is due. Called by one thread; other processes with the same ledger do no harm."""

    def __init__(self, control: Control, settings: Reports) -> None:
        self._control = control
        self._catch_up_ns = nanoseconds(settings.catch_up)
        self.plans = {s.name: Plan(s, settings.zone) for s in settings.schedules}
        self._begun = False
        self._marks: dict[str, int] = {}
        self._next: dict[str, int | None] = {}

    def tick(self, now_ns: int) -> None:
        """Note the firings up to *now_ns* that are not noted yet."""
        if not self._begun:
            self._control.writing(firings.keep, list(self.plans))
            self._begun = True
        for name, plan in self.plans.items():
            if name not in self._marks:
                self._move(name, self._control.writing(firings.mark, name, plan.definition, now_ns))
            if now_ns < self._marks[name]:  # the clock went back
                self._control.writing(firings.note, name, [], now_ns)
                self._move(name, now_ns)
            upcoming = self._next[name]
            if upcoming is not None and upcoming <= now_ns:
                self._control.writing(firings.note, name, self._missed(plan, now_ns), now_ns)
                self._move(name, now_ns)

    def _move(self, name: str, mark_ns: int) -> None:
        self._marks[name] = mark_ns
        self._next[name] = self.plans[name].times.next(mark_ns)

    def _missed(self, plan: Plan, now_ns: int) -> list[Firing]:
        """Return the firings between mark and now: the latest is due, or too old; all before it are skipped."""
        mark_ns = self._marks[plan.schedule.name]
        times: list[int] = []
        at = plan.times.before(now_ns + 1)
        while at is not None and at > mark_ns and len(times) <= MOST_MISSED:
            times.append(at)
            at = plan.times.before(at)
        rest = " and those before it" if len(times) > MOST_MISSED else ""
        times = times[:MOST_MISSED]
        if not times:
            return []
        late = now_ns - times[0] > self._catch_up_ns
        latest = (
            plan.firing(times[0], now_ns, "skipped", "missed, and by more than reports.catch_up")
            if late
            else plan.firing(times[0], now_ns, "due")
        )
        why = "missed; a later firing stands for it"
        skipped = [plan.firing(t, now_ns, "skipped", why) for t in times[1:-1]]
        if len(times) > 1:
            skipped.append(plan.firing(times[-1], now_ns, "skipped", why + rest))
        return [latest, *skipped]
