"""Invented inputs of a report: some tasks with runs every hour, calm but for what a test plants."""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import polars as pl

from collector.model.report import Report, Span, Totals
from collector.model.units import DAY_NS, HOUR_NS
from collector.report.build import Draft, Evidence, build, detect
from collector.report.inputs import HISTORY_DAYS, Inputs, judged

START = 1_790_035_200 * 10**9  # a midnight, UTC
TASKS = tuple(f"task-{i}" for i in range(8))
KEY = {"kind": pl.String, "type": pl.String, "name": pl.String, "task_id": pl.String, "environment": pl.String}
KEY |= {"platform_project": pl.String, "detail": pl.String}
WHOSE = {"environment": pl.String, "platform_project": pl.String}
EMPTY = {
    "histograms": {**KEY, "hour_ns": pl.Int64, "ix": pl.Int32, "n": pl.Int64},
    "full_queues": {**KEY, "hour_ns": pl.Int64, "value": pl.Float64},
    "senders": {"type": pl.String, "name": pl.String, **WHOSE, "hour_ns": pl.Int64, "n": pl.Int64},
    "regular": {"task_id": pl.String, **WHOSE, "at_ns": pl.Int64, "run_key": pl.String},
    "errors": {
        "name": pl.String,
        **WHOSE,
        "error": pl.String,
        "before": pl.Int64,
        "now": pl.Int64,
        "first_ns": pl.Int64,
        "last_ns": pl.Int64,
    },
    "versions": {
        "task_id": pl.String,
        "queue": pl.String,
        **WHOSE,
        "version": pl.String,
        "first_ns": pl.Int64,
    },
    "limit_steps": {
        "queue": pl.String,
        **WHOSE,
        "from_ns": pl.Int64,
        "before": pl.Int64,
        "limit": pl.Int64,
    },
    "stuck": {
        "task_id": pl.String,
        **WHOSE,
        "run_key": pl.String,
        "stage": pl.String,
        "since_ns": pl.Int64,
        "active_ns": pl.Int64,
        "long_ns": pl.Int64,
        "n": pl.Int64,
    },
}
Share = Callable[[str, int], float]
"""Share of failing runs of a task in the hour so many hours after `START`."""


def calm(task: str, hour: int) -> float:
    """Return the usual share of failures."""
    return 0.03


def bad(task: str, first: int, end: int, share: float = 0.5) -> Share:
    """Return calm but for *task* in the hours [*first*, *end*)."""
    return lambda t, h: share if t == task and first <= h < end else calm(t, h)


def hourly(
    until: int, share: Share = calm, *, since: int = 0, n: int = 25, seed: int = 8, names: Sequence[str] = TASKS
) -> pl.DataFrame:
    """Return failures and arrivals of the tasks *names* from hour *since* to *until*."""
    rows = []
    for task in names:
        dice = random.Random(f"{seed} {task}")
        for hour in range(until):
            failed = sum(dice.random() < share(task, hour) for _ in range(n))
            if hour >= since:
                about = {
                    "type": "task",
                    "name": task,
                    "task_id": None,
                    "environment": "prod",
                    "detail": "",
                    "hour_ns": START + hour * HOUR_NS,
                    "n": n,
                }
                rows += [{"kind": "failures", **about, "x": failed}, {"kind": "volume", **about, "x": n}]
    return pl.DataFrame(rows, schema={**KEY, "hour_ns": pl.Int64, "n": pl.Int64, "x": pl.Int64})


def inputs(counts: pl.DataFrame, hour: int, **changed: Any) -> Inputs:
    """Return the inputs of the report of the 24 hours that end *hour* hours after `START`, made an hour later."""
    period = Span(from_ns=START + (hour - 24) * HOUR_NS, to_ns=START + hour * HOUR_NS)
    from_ns, to_ns = judged(period, period.to_ns + HOUR_NS)
    inside = pl.col("hour_ns").is_between(from_ns - HISTORY_DAYS * DAY_NS, to_ns, closed="left")
    counts = counts.filter(inside)
    frames = {name: pl.DataFrame(schema=schema) for name, schema in EMPTY.items()}
    used = pl.DataFrame(
        {
            "task_id": TASKS,
            "environment": ["prod"] * len(TASKS),
            "queue": ["q"] * len(TASKS),
            "called_service": [None] * len(TASKS),
        },
        schema_overrides={"called_service": pl.String},
    )
    plain: dict[str, Any] = {
        "project": "default",
        "schedule": "morning",
        "zone": "Europe/Berlin",
        "period": period,
        "as_of_ns": period.to_ns + HOUR_NS,
        "from_ns": from_ns,
        "to_ns": to_ns,
        "totals": Totals(
            runs=0,
            ended=0,
            failed=0,
            retried=0,
            tasks=0,
            before_runs=None,
            before_ended=None,
            before_failed=None,
            before_retried=None,
        ),
        "activity": counts.filter(pl.col("kind") == "volume").group_by("hour_ns").agg(pl.col("n").sum()),
        "counts": counts,
        "used": used,
        "previous": None,
        "expected": {},
        **frames,
    }
    return Inputs(**{name: _stating(value) for name, value in {**plain, **changed}.items()})


def _stating(value: Any) -> Any:
    """Return a frame of things of environments with their platform project, none where it has no such column."""
    if not isinstance(value, pl.DataFrame) or "environment" not in value.columns:
        return value
    none = pl.lit(None, pl.String).alias("platform_project")
    return value if "platform_project" in value.columns else value.with_columns(none)


def made(inputs_: Inputs, evidence: Mapping[int, Evidence] | None = None) -> Report:
    """Return the report of *inputs_*."""
    return build(inputs_, detect(inputs_), evidence or {})


def drafted(inputs_: Inputs) -> Draft:
    """Return what differs in *inputs_*."""
    return detect(inputs_)
