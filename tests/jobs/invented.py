"""Invented histories of runs over days, as rows of the raw tables: attempts, waits, phases, ends that come late.

Records of one run may name different tasks, queues and versions, so that a run moves when an earlier one arrives late.
"""

from __future__ import annotations

from typing import Any

from hypothesis import strategies as st

from collector.journal import Entry
from collector.store.apply import apply
from collector.store.database import Database
from tests.analyse.story import T0, attempt, frame, log, span

HOUR = 3_600.0
FATES = ("completed", "failed", "canceled", "skipped", "interrupted", "retrying")
_QUEUES = st.sampled_from(["mail", "reports", None])
_TASKS = st.sampled_from(["send", "build", None])
# Few distinct times, so that starts, ends and hours coincide; some lie days apart, some ends precede their start.
_TIMES = st.sampled_from([0.0, 10.0, 10.001, 1800.0, 3599.999, 3600.0, 3700.0, 7200.0, 30_000.0, 172_800.0])
_LENGTHS = st.sampled_from([0.0, 0.5, 10.0, -5.0, 1800.0, 3600.0, 90_000.0])
_MOVED = st.just({}) | st.fixed_dictionaries(
    {
        "task_id": _TASKS,
        "queue": _QUEUES,
        "version": st.sampled_from([None, "1", "2"]),
        "is_replay": st.sampled_from([None, True]),
    }
)


@st.composite
def run(draw: st.DrawFn, name: str) -> list[tuple[str, dict[str, Any]]]:
    """Return the records of one run as (table, row) pairs."""
    about: dict[str, Any] = {
        "task_id": draw(_TASKS),
        "queue": draw(_QUEUES),
        "is_test": draw(st.sampled_from([None, None, True])),
        "environment": draw(st.sampled_from(["PRODUCTION", "DEVELOPMENT"])),
        "platform_project": draw(st.sampled_from([None, "x", "y"])),
    }
    records: list[tuple[str, dict[str, Any]]] = []
    start = draw(_TIMES)
    for number in range(1, draw(st.integers(1, 3)) + 1):
        end = draw(st.none() | _LENGTHS.map(lambda length, s=start: s + length))
        failed = draw(st.booleans())
        about["dequeued_ns"] = draw(st.sampled_from([None, T0 + round((start - 2) * 1e9)]))
        records.append(("spans", attempt(name, number, start, end, failed=failed, compute_ms=5.0, **about)))
        if end is not None and draw(st.booleans()):
            # The same attempt announced before it ended: it may arrive days apart from its end.
            records.append(("spans", attempt(name, number, start, None, **about)))
        if draw(st.booleans()):
            over = draw(st.none() | _LENGTHS.map(lambda length, s=start: s + 1 + length))
            kind = draw(st.sampled_from(["for", "child"]))
            waits = span(name, "wait()", start + 1, over, wait_kind=kind, attempt=number, **about)
            records.append(("spans", waits))
        if draw(st.booleans()):
            attributes = {
                **{k: v for k, v in about.items() if k != "dequeued_ns"},
                "attempt": number,
                "dialect": "trigger_dev",
            }
            waited, ending = draw(st.none() | st.just(2e6)), draw(st.sampled_from(["failed", "completed"]))
            for after, body in ((0.0, "started"), (0.2, "calling_stripe"), (0.4, ending)):
                records.append(
                    ("logs", log(name, start + after, f"order_process_{body}", queue_wait_ms=waited, **attributes))
                )
        start = (end if end is not None else start) + draw(st.sampled_from([0.0, 2.0, 3600.0]))
    if draw(st.booleans()):
        records = [(table, {**row, **draw(_MOVED)}) for table, row in records]
    return records


@st.composite
def told(draw: st.DrawFn, name: str) -> list[tuple[str, dict[str, Any]]]:
    """Return the logs of one run of a plain logger that says what became of it, as (table, row) pairs."""
    about = {"task_id": draw(_TASKS), "queue": draw(_QUEUES), "environment": "PRODUCTION"}
    at = draw(_TIMES)
    words = draw(st.lists(st.sampled_from(FATES), min_size=1, max_size=3))
    records = []
    for word in words:
        numbered = {"attempt": draw(st.sampled_from([None, None, 1, 2]))}
        for after, ending in ((0.0, "started"), (draw(_LENGTHS), word)):
            row = log(name, at + after, f"order_process_{ending}", **about, **numbered)
            records.append(("logs", row))
        at += draw(_TIMES)
    return records


@st.composite
def arrivals(draw: st.DrawFn) -> list[list[tuple[str, dict[str, Any]]]]:
    """Return groups of records in the order they arrive."""
    records = [r for i in range(draw(st.integers(1, 4))) for r in draw(run(f"run_{i}") | told(f"run_{i}"))]
    records = draw(st.permutations(records))
    size = draw(st.integers(1, 6))
    return [records[i : i + size] for i in range(0, len(records), size)]


def store(database: Database, seq: int, records: list[tuple[str, dict[str, Any]]], received_ns: int = T0) -> None:
    """Write *records* as journal group *seq*."""
    tables = {}
    for name in ("spans", "logs"):
        rows = [row for table, row in records if table == name]
        if rows:
            tables[name] = frame(name, rows).drop("seq", "row").with_columns(received_ns=received_ns).to_arrow()
    apply(database, [Entry(seq, received_ns, tables)])
