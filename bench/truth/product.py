"""The product: takes the world's requests as telemetry, in one process, and answers over its API.

The way of every record: decode, journal, store, runs job, statistics jobs; a question goes through the API's own
routes. Nothing here looks at the world.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import groupby, islice
from pathlib import Path
from typing import Any

from starlette.testclient import TestClient

from bench.truth import plan
from bench.truth.records import Request
from collector.api import routes
from collector.control import Control
from collector.decode import Batch
from collector.jobs.runner import Runner
from collector.jobs.runs import RunsJob
from collector.journal import Journal, Reader
from collector.model.project import PROJECT
from collector.model.signals import BY_NAME
from collector.model.units import HOUR_NS
from collector.settings import Limits, Queues, Settings
from collector.store.apply import applied, apply
from collector.store.database import Database
from collector.store.places import Memory

_REQUESTS = 200


def _limits() -> Queues:
    stated = {queue: limit for queue, limit in plan.LIMITS.items() if queue.name not in plan.UNSTATED}
    first: dict[str, int] = {}
    overrides = []
    for queue, limit in stated.items():
        if queue.name in first:
            named = {"platform_project": queue.project, "environment": queue.environment}
            told = {key: value for key, value in named.items() if value is not None}
            overrides.append({"queue": queue.name, "limit": limit, **told})
        else:
            first[queue.name] = limit
    return Queues.model_validate({"limits": first, "overrides": overrides})


@dataclass(frozen=True)
class Answer:
    """The rows of a statistic, and to what its range was widened; empty where it was not."""

    rows: list[dict[str, Any]]
    widened: str


class Product:
    """A store that takes telemetry, and the API over it."""

    def __init__(self, directory: Path) -> None:
        self._settings = Settings(data=directory, queues=_limits())
        self._journal, self._reader = Journal.open(directory), Reader(directory)
        self.database = Database.open(directory, self._settings.store)
        self._control, memory = Control.open(directory), Memory()
        self._job = RunsJob(self.database, self._settings.runs, memory)
        self._runner = Runner(self.database, self._control, memory, self._settings)
        app = routes.application(self.database, self._settings, dict, str, bytes)
        self._api = TestClient(app, raise_server_exceptions=False)

    def take(self, requests: Iterable[Request], as_of_ns: int, *, every_ns: int = HOUR_NS) -> None:
        """Take all of *requests* as they arrive; jobs run *every_ns* of their time, and in the end at *as_of_ns*."""
        for part, some in groupby(requests, key=lambda r: r.received_ns // every_ns):
            while group := list(islice(some, _REQUESTS)):
                batch = Batch(Limits())
                for r in group:
                    batch.add(BY_NAME[r.signal], "json", r.body, project=PROJECT, received_ns=r.received_ns)
                self._journal.append(batch.tables(), [], max(r.received_ns for r in group))
            self._work(min(as_of_ns, (part + 1) * every_ns))
        self._work(as_of_ns)

    def _work(self, as_of_ns: int) -> None:
        while entries := self._reader.entries(applied(self.database), 2**23):
            apply(self.database, entries)
        while self._job.tick(as_of_ns):
            pass
        while self._runner.run(as_of_ns):
            pass
        if self._runner.errors:
            raise SystemExit(str(self._runner.errors))

    def ask(self, statistic: str, **parameters: Any) -> Answer:
        """Return what is said of a statistic."""
        asked = {key: str(value) for key, value in parameters.items() if value is not None}
        answer = self._api.get(f"/api/v1/stats/{statistic}", params=asked)
        if answer.status_code != 200:
            raise SystemExit(f"{statistic}: {answer.status_code} {answer.text}")
        return Answer(answer.json(), answer.headers.get("x-runwell-widened", ""))

    def names(self) -> list[str]:
        """Return the statistics there are."""
        return [row["name"] for row in self._api.get("/api/v1/stats").json()]

    def close(self) -> None:
        """Close the files."""
        self._reader.close()
        self._journal.close()
        self._control.close()
        self.database.close()


@contextmanager
def opened(directory: Path) -> Iterator[Product]:
    """Open a product over *directory* until the block ends."""
    product = Product(directory)
    try:
        yield product
    finally:
        product.close()
