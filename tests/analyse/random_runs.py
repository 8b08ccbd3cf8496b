"""Random histories of runs as rows of the run model: ties, zero lengths, open ends, lost attempts, every population."""

from __future__ import annotations

import random
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any

import polars as pl
from hypothesis import strategies as st

from collector.analyse.frames import schema_of

MS = 1_000_000
HOUR_MS = 3_600_000
T0 = 497_222 * HOUR_MS * MS
"""The start of an hour."""
SOURCES = ["measured", "derived", "inferred"]
STATUS_SOURCES = [*SOURCES, "phase"]


def table(name: str, rows: list[dict[str, Any]]) -> pl.DataFrame:
    """Return *rows* as a frame with the columns of table *name*, everything unsaid NULL."""
    return pl.DataFrame(rows, schema=schema_of(name), orient="row")


@dataclass
class History:
    """Rows as dictionaries, for oracles that go through them one by one, and as frames."""

    as_of_ns: int
    runs: list[dict[str, Any]] = field(default_factory=list)
    attempts: list[dict[str, Any]] = field(default_factory=list)
    waits: list[dict[str, Any]] = field(default_factory=list)
    phases: list[dict[str, Any]] = field(default_factory=list)

    def frame(self, name: str) -> pl.DataFrame:
        """Return a table of it."""
        return table(name, getattr(self, name))

    def of(self, run: dict[str, Any]) -> list[dict[str, Any]]:
        """Return the attempts of a run, by number."""
        return sorted((a for a in self.attempts if a["run_key"] == run["run_key"]), key=lambda a: a["number"])

    def part(self, keys: set[str]) -> History:
        """Return the history of some runs alone."""
        return History(
            self.as_of_ns,
            *(
                [r for r in rows if r["run_key"] in keys]
                for rows in (self.runs, self.attempts, self.waits, self.phases)
            ),
        )


def population(run: dict[str, Any]) -> str:
    """Return what a run may be counted with."""
    if run["is_test"]:
        return "test"
    if run["is_replay"]:
        return "replay"
    return "development" if (run["environment"] or "").lower() == "development" else "live"


def weakest(*sources: str) -> str:
    """Return the provenance of what rests on *sources*: that of the weakest, measured where there is none."""
    words = [{"phase": "derived", "unknown": "inferred"}.get(source, source) for source in sources]
    return max(words, key=SOURCES.index, default="measured")


def histories(most: int = 12, minutes: float = 150) -> st.SearchStrategy[History]:
    """Return a strategy for histories of up to *most* runs that start within *minutes*; fewer runs are simpler."""
    return st.builds(
        lambda seed, n: make(random.Random(seed), n, round(minutes * 60_000)),
        st.integers(0, 2**32),
        st.integers(0, most),
    )


def make(dice: random.Random, n: int, span_ms: int) -> History:
    """Return a history of *n* runs whose first attempts start within *span_ms* of `T0`."""
    history = History(as_of_ns=T0 + (span_ms + dice.choice([0, 1, span_ms])) * MS)
    grain = dice.choice([1, 1_000, 60_000])
    for i in range(n):
        _run(history, dice, i, span_ms, grain)
    return history


def _run(history: History, dice: random.Random, i: int, span_ms: int, grain: int) -> None:
    queue = dice.choice(["mail", "mail", "pay", None])
    about = {
        "project": "default",
        "run_key": f"k{i}",
        "run_id": f"r{i}",
        "task_id": dice.choice(["a", "b"]),
        "queue": queue,
    }
    now = T0 + dice.randrange(0, span_ms) // grain * grain * MS
    first = now
    count = dice.choice([1, 1, 1, 2, 3, 4])
    ends = ["completed", "completed", "failed", "canceled", "skipped", "interrupted", "running", "unknown", "none"]
    last = dice.choice(ends)
    attempts: list[dict[str, Any]] = []
    for number in range(1, count + 1):
        is_last = number == count
        if is_last and last == "none":
            break
        status = last if is_last else dice.choice(["failed", "failed", "interrupted"])
        ends = status not in ("running", "unknown")
        end = now + dice.choice([0, dice.randrange(1, 100_000), dice.randrange(1, 5_000_000)]) // grain * grain * MS
        wait = dice.choice([None, 0, 5_000 * MS])
        wall = end - now if ends else None
        attempts.append(
            {
                **about,
                "number": number,
                "version": dice.choice(["1", "2", None]),
                "status": "completed" if status == "skipped" else status,
                "outcome": status if status == "skipped" else None,
                "status_source": dice.choice(STATUS_SOURCES),
                "started_ns": now,
                "started_source": dice.choice(SOURCES),
                "ended_ns": end if ends else None,
                "ended_source": dice.choice(SOURCES) if ends else "unknown",
                "dequeued_ns": dice.choice([None, None, now, now - dice.randrange(0, 5_000) * MS]),
                "queue_wait_ns": dice.choice([None, 0, dice.randrange(0, 3_000) * MS]),
                "wall_ns": wall,
                "wait_ns": wait,
                "idle_ns": dice.choice([None, 0, 0, (end - now) // 2]),
                "active_ns": None if wall is None or wait is None else max(0, wall - wait),
                "cost_cents": dice.choice([None, 0.1, 0.25]),
                "error_type": "Timeout" if status == "failed" else None,
            }
        )
        _waits(history, dice, about, number, now, end)
        _phases(history, dice, about, number, now, end if ends else None, status)
        now = end + dice.choice([0, dice.randrange(0, 60_000)]) // grain * grain * MS
    while len(attempts) > 1 and dice.random() < 0.15:
        del attempts[dice.randrange(0, len(attempts) - 1)]  # an attempt whose records were lost
    history.attempts += attempts
    history.runs.append(_summary(history, dice, about, attempts, first))


def _summary(
    history: History, dice: random.Random, about: dict[str, Any], attempts: list[dict[str, Any]], first: int
) -> dict[str, Any]:
    end = attempts[-1]["ended_ns"] if attempts else None
    status = attempts[-1]["status"] if attempts else dice.choice(["queued", "unknown", "expired"])
    if status == "interrupted":
        status = "queued"
    if status == "failed" and dice.random() < 0.2:
        status = "retrying"
    over = status in ("completed", "failed", "canceled")
    starts = [a["started_ns"] for a in attempts]
    whole = bool(attempts) and attempts[-1]["number"] == len(attempts)
    gaps = [max(0, b["started_ns"] - a["ended_ns"]) for a, b in pairwise(attempts)]
    queued = dice.choice([None, (starts[0] if attempts else first) - dice.randrange(0, 20_000) * MS])
    ended = end if over else None
    walls = [a["active_ns"] for a in attempts]
    versions = [a["version"] for a in attempts if a["version"] is not None]
    costs = [a["cost_cents"] for a in attempts if a["cost_cents"] is not None]
    return {
        **about,
        "environment": dice.choice(["PRODUCTION", "PRODUCTION", "DEVELOPMENT", None]),
        "version": versions[-1] if versions else dice.choice(["1", "2", None]),
        "is_test": dice.choice([None, False, False, True]),
        "is_replay": dice.choice([None, False, True]),
        "parent_run_id": dice.choice([None, f"r{dice.randrange(0, 4)}"]),
        "status": status,
        "outcome": attempts[-1]["outcome"] if attempts else None,
        "status_source": dice.choice(STATUS_SOURCES),
        "attempt_count_source": dice.choice(SOURCES),
        "queued_ns": queued,
        "queued_source": dice.choice(["derived", "inferred"]) if queued is not None else "unknown",
        "started_ns": starts[0] if attempts else None,
        "started_source": dice.choice(SOURCES) if attempts else "unknown",
        "ended_ns": ended,
        "ended_source": dice.choice(SOURCES) if ended is not None else "unknown",
        "queue_wait_ns": starts[0] - queued if attempts and queued is not None else None,
        "queue_wait_source": "derived" if attempts and queued is not None else "unknown",
        "active_ns": sum(walls) if whole and None not in walls else None,
        "wait_ns": dice.choice([None, 0, 7 * MS]),
        "backoff_ns": sum(gaps) if whole else None,
        "end_to_end_ns": ended - queued if ended is not None and queued is not None else None,
        "cost_cents": sum(costs) if costs else None,
        "first_seen_ns": starts[0] if attempts else first,
        "last_seen_ns": max([*(t for a in attempts for t in (a["started_ns"], a["ended_ns"]) if t is not None), first]),
        "log_count": 3,
        "due_ns": history.as_of_ns + 1 if status == "retrying" else None,
    }


def _waits(history: History, dice: random.Random, about: dict[str, Any], number: int, start: int, end: int) -> None:
    for _ in range(dice.choice([0, 0, 1, 2])):
        begins = start + dice.randrange(0, max(1, (end - start) // MS)) * MS
        released = dice.choice([None, begins, begins + dice.randrange(0, 30_000) * MS])
        history.waits.append(
            {
                **{k: about[k] for k in ("project", "run_key", "run_id")},
                "attempt": number,
                "kind": "for",
                "started_ns": begins,
                "ended_ns": dice.choice([None, begins, begins + dice.randrange(0, 90_000) * MS]),
                "released_ns": released,
                "released_source": dice.choice(["derived", "inferred"] if released else ["measured", "inferred"]),
            }
        )


def _phases(
    history: History, dice: random.Random, about: dict[str, Any], number: int, start: int, end: int | None, status: str
) -> None:
    stated_end = end if end is not None and dice.random() < 0.9 else None
    calls = {word: word for word in ("failed", "canceled", "interrupted")}
    for service in dice.choice([[], ["bank"], ["bank", "bank", "mailer"]]):
        begins = start + (0 if stated_end is None else dice.randrange(0, (stated_end - start) // MS + 1) * MS)
        history.phases.append(
            {
                **{k: about[k] for k in ("project", "run_key", "run_id")},
                "attempt": number,
                "operation": "order_pay",
                "phase": "calling",
                "called_service": service,
                "started_ns": begins,
                "ended_ns": stated_end,
                "duration_ns": None if stated_end is None else stated_end - begins,
                "outcome": "unknown" if stated_end is None else calls.get(status, "completed"),
            }
        )
