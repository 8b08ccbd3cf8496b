"""What of the store process makes and sends reports: two kinds of threads, and the routes, around one control file."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from starlette.routing import Route

from collector.api import reports as api
from collector.control import Control
from collector.control.firings import Firing
from collector.jobs.deliveries import Deliveries
from collector.jobs.desk import Desk
from collector.jobs.reporting import Reporting
from collector.jobs.schedule import Plan
from collector.settings import Settings
from collector.store.database import Database

if TYPE_CHECKING:
    from collector.model.report import Report

_LAST_S = 0.3
"""How long each kind of thread may still work once it is told to stop."""


class Reports:
    """Schedules, deliveries and routes. *complete*: up to when what arrived is counted (ns)."""

    def __init__(self, settings: Settings, database: Database, complete: Callable[[], int]) -> None:
        # Of their own: the writer's transactions are none of theirs.
        self._control = Control.open(settings.data)
        self._settings = settings
        self._database = database
        self._deliveries = Deliveries(self._control, settings.reports)
        self._reporting = Reporting(self._control, settings.reports, self._due, complete, self._deliveries.wake)
        self._desk = Desk(self._control, settings.reports, self._make, self._deliveries.wake)

    def routes(self) -> list[Route]:
        """Return the routes under /api/v1/reports."""
        dashboard = self._settings.reports.dashboard
        wait_s = self._settings.store.query_time.total_seconds()
        return api.routes(self._control, self._desk, str(dashboard) if dashboard else None, wait_s)

    def start(self) -> None:
        """Begin."""
        self._reporting.start()
        self._deliveries.start()

    def ask_to_stop(self) -> None:
        """Begin nothing new."""
        self._reporting.ask_to_stop()

    def stop(self) -> list[str]:
        """End what can be ended at once; return what could not."""
        self._reporting.stop(_LAST_S)
        delivered = self._deliveries.stop(_LAST_S)
        return [*(["report"] if self._reporting.is_alive() else []), *([] if delivered else ["delivery"])]

    def close(self) -> None:
        """Close the control file."""
        self._control.close()

    def _due(self, plan: Plan, firing: Firing) -> Report:
        return self._make(firing.schedule, (firing.from_ns, firing.to_ns), plan.zone, firing.as_of_ns)

    def _make(self, schedule: str, period: tuple[int, int], zone: str, as_of_ns: int) -> Report:
        from collector.jobs import report  # heavy, and many a store never makes one
        from collector.model.report import Span

        with self._database.aside():
            return report.make(
                self._database,
                self._control,
                schedule=schedule,
                period=Span(from_ns=period[0], to_ns=period[1]),
                zone=zone,
                as_of_ns=as_of_ns,
            )
