"""Words to write a rule's cases in: log records and spans, clean unless the case says otherwise.

Tests turn them into OTLP, decode it and build the run model; the rule pages print them.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

IDS = {"correlation_id": "order-81f2c0aa", "request_id": "req_5d1c77", "run_id": "run_0b7e"}
"""The ids of the run that cases are about."""


def log(
    body: str,
    at: float = 0.0,
    *,
    level: str = "info",
    run: str | None = "run_0b7e",
    task: str = "charge-order",
    attempt: int = 1,
    runner: str = "generic",
    scope: str = "tasks",
    without: tuple[str, ...] = (),
    ids: dict[str, str] | None = None,
    context: dict[str, Any] | None = None,
    keys: Mapping[str, Any] | None = None,
    **attributes: Any,
) -> dict[str, Any]:
    """Return a log record *at* seconds, with the three ids but for those in *without*.

    *runner* `trigger` puts task, run and attempt where the Trigger.dev worker puts them, otherwise they are plain
    keys. *context* adds run context. Other arguments are attributes, `__` in a name stands for a dot; *keys* are
    attributes whose keys are no Python names.
    """
    given = {**IDS, **(ids or {})}
    if run is not None:
        given["run_id"] = run
    kept = {k: v for k, v in given.items() if k not in without and not (k == "run_id" and run is None)}
    own = {**{k.replace("__", "."): v for k, v in attributes.items()}, **(keys or {})}
    return {
        "body": body, "at": at, "level": level, "run": run, "task": task, "attempt": attempt, "runner": runner,
        "scope": scope, "context": context or {}, "attributes": {**kept, **own},
    }  # fmt: skip
