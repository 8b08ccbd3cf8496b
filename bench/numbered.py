"""What a new record costs whose number many queues give too, beside one of an id alone: `python -m bench.numbered`.

One process, a store of 20,000 runs of ids of their own, and 5,000 queues that each number a job 1, in groups of 500.
Then the same tick over one new record: of an id that only it has, of a queue that has a job 1, of a queue that is new,
and of one that leaves its queue open. CPU ms, the median of many; the ratio is what is promised (at most 3 for a queue
that is known).
"""

from __future__ import annotations

import os

os.environ["POLARS_MAX_THREADS"] = "1"

import json
import statistics
import tempfile
import time
from pathlib import Path
from typing import Any

from collector.decode import Batch
from collector.jobs.runs import RunsJob
from collector.journal import Entry
from collector.model.signals import LOGS
from collector.settings import Limits, Runs, Store
from collector.store.apply import apply
from collector.store.database import Database

QUEUES, ALONE, GROUP, TIMES = 5_000, 20_000, 500, 21
T0 = 1_795_000_000_000_000_000


class Told:
    """A store, taken up group by group."""

    def __init__(self, directory: Path) -> None:
        self._database = Database.open(directory, Store(threads=1), lambda e: None)
        self._job = RunsJob(self._database, Runs())
        self._groups = 0

    def add(self, *records: tuple[str, str | None]) -> float:
        """Take up a group of *records* (run id, queue); return the CPU ms that the runs job needed."""
        self._groups += 1
        at_ns = T0 + self._groups * 1_000_000
        batch = Batch(Limits())
        batch.add(LOGS, "json", request(at_ns, records), project="default", received_ns=at_ns)
        apply(self._database, [Entry(self._groups, at_ns, batch.tables())])
        began = time.process_time()
        while self._job.tick(at_ns):
            pass
        return (time.process_time() - began) * 1e3


def request(at_ns: int, records: tuple[tuple[str, str | None], ...]) -> bytes:
    """Return a request with a log for each of *records*."""

    def log(run_id: str, queue: str | None) -> dict[str, Any]:
        said = {"run_id": run_id, "task_id": "work", **({"queue": queue} if queue else {})}
        attributes = [{"key": key, "value": {"stringValue": value}} for key, value in said.items()]
        body = {"stringValue": "job_work_started"}
        return {"timeUnixNano": str(at_ns), "body": body, "attributes": attributes}

    resource = {"attributes": [{"key": "service.name", "value": {"stringValue": "worker"}}]}
    logs = [log(*record) for record in records]
    return json.dumps({"resourceLogs": [{"resource": resource, "scopeLogs": [{"logRecords": logs}]}]}).encode()


def main() -> None:
    """Print what each kind of record costs."""
    with tempfile.TemporaryDirectory() as directory:
        told = Told(Path(directory))
        for n in range(0, ALONE, GROUP):
            told.add(*((f"id-{i}", "alone") for i in range(n, n + GROUP)))
        for n in range(0, QUEUES, GROUP):
            told.add(*(("1", f"queue-{i}") for i in range(n, n + GROUP)))
        kinds = {
            "an id alone": lambda n: (f"id-{n * 97}", "alone"),
            "a queue that is known": lambda n: ("1", f"queue-{n * 97}"),
            "a new id": lambda n: (f"new-{n}", "alone"),
            "a queue that is new": lambda n: ("1", f"new-{n}"),
            "no queue": lambda n: ("1", None),
        }
        took = {kind: statistics.median(told.add(record(n)) for n in range(TIMES)) for kind, record in kinds.items()}
        for kind, ms in took.items():
            print(f"{kind:24} {ms:7.1f} ms  {ms / took['an id alone']:5.2f}")


if __name__ == "__main__":
    main()
