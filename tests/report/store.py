"""A store with recorded or invented telemetry, settled, and what a report of it says."""

from __future__ import annotations

from pathlib import Path

from collector.cli.recordings import Recorded, newest_ns
from collector.control import Control
from collector.jobs import report
from collector.jobs.runner import Runner
from collector.model.report import Report, Span
from collector.settings import Settings
from collector.store.places import Memory
from tests.inprocess import Pipeline


class Store:
    """Telemetry as it is after all jobs came to rest at *as_of_ns*."""

    def __init__(self, directory: Path, requests: list[Recorded], as_of_ns: int) -> None:
        self.pipeline = Pipeline(directory)
        self.control = Control.open(directory)
        self.settings = Settings(data=directory)
        self.as_of_ns = as_of_ns
        for r in sorted(requests, key=newest_ns):
            self.pipeline.group([r], newest_ns(r))
        self.pipeline.apply()
        self.pipeline.tick(as_of_ns)
        runner = Runner(self.pipeline.database, self.control, Memory(), self.settings)
        while runner.run(as_of_ns):
            pass
        assert not runner.errors

    def report(
        self, period: Span, *, zone: str = "Europe/Berlin", schedule: str = "morning", as_of_ns: int | None = None
    ) -> Report:
        """Return the report of *period*, as of the time everything came to rest unless told otherwise."""
        return report.make(
            self.pipeline.database,
            self.control,
            schedule=schedule,
            period=period,
            zone=zone,
            as_of_ns=as_of_ns or self.as_of_ns,
        )

    def close(self) -> None:
        """Close the files."""
        self.pipeline.close()
        self.control.close()
