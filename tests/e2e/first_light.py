"""When do the runs of clients that have flushed show up?"""

from __future__ import annotations

import time
from collections.abc import Iterator

from stack import Stack, until

COLUMNS = "run_id, task_id, queue, status, attempt_count, version, log_count, span_count"


def runs_of(stack: Stack, labels: set[str]) -> dict[str, dict[str, object]]:
    """Return the rows of the runs that are named by *labels*, once all of them are there."""

    def ask() -> dict[str, dict[str, object]]:
        rows = stack.client.sql(f"SELECT {COLUMNS} FROM runs").table.to_pylist()
        runs = {str(row["run_id"]): row for row in rows if row["run_id"] in labels}
        return runs if runs.keys() == labels else {}

    return until(ask, why="the runs of all clients")


def lags(stack: Stack, flushed: Iterator[tuple[str, float]]) -> dict[str, float]:
    """Return the seconds from each client's flush (label, unix time) until its run can be asked for."""
    taken: dict[str, float] = {}
    client = stack.client
    for label, at in flushed:
        until(lambda label=label: client.runs(q=label).total, why=f"the run of {label}")  # type: ignore[misc]
        taken[label] = time.time() - at
    return taken
