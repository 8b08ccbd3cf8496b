"""Runs that take too long and runs that retry now, told as stories."""

from __future__ import annotations

from typing import Any

import polars as pl
from random_runs import MS, T0, table

from collector.analyse import stuck

SECOND = 1_000 * MS
NOW = T0 + 100_000 * SECOND


def run(key: str, status: str, started: int, seen: int, **extra: Any) -> dict[str, Any]:
    """Return a row of runs; times in seconds after `T0`."""
    return {
        "project": "default", "run_key": key, "run_id": key, "task_id": "mail", "environment": "PRODUCTION",
        "status": status, "started_ns": T0 + started * SECOND, "last_seen_ns": T0 + seen * SECOND, "log_count": 3,
        **extra,
    }  # fmt: skip


def attempt(key: str, number: int, started: int, ended: int | None, status: str, **extra: Any) -> dict[str, Any]:
    """Return a row of attempts; times in seconds after `T0`."""
    end = None if ended is None else T0 + ended * SECOND
    begin = T0 + started * SECOND
    return {
        "project": "default", "run_key": key, "run_id": key, "task_id": "mail", "number": number, "status": status,
        "started_ns": begin, "started_source": "measured", "ended_ns": end,
        "ended_source": "unknown" if end is None else "measured",
        "wall_ns": None if end is None else end - begin, **extra,
    }  # fmt: skip


def history(n: int = 100, seconds: int = 30) -> tuple[list[dict[str, Any]], list[dict[str, Any]], list[dict[str, Any]]]:
    """Return runs, attempts and phases of *n* completed runs that took *seconds* each and called halfway."""
    runs = [run(f"h{i}", "completed", 0, seconds, ended_ns=T0 + seconds * SECOND) for i in range(n)]
    attempts = [attempt(f"h{i}", 1, 0, seconds, "completed") for i in range(n)]
    phases = [
        {"project": "default", "run_key": f"h{i}", "attempt": 1, "operation": "mail_send", "phase": "calling",
         "started_ns": T0 + seconds * SECOND // 2, "ended_ns": T0 + seconds * SECOND}
        for i in range(n)
    ]  # fmt: skip
    return runs, attempts, phases


def staged(n: int, *now: tuple[dict[str, Any], dict[str, Any]]) -> dict[str, str | None]:
    """Return run → stage of the given (run, attempt) on top of a history of *n*."""
    runs, attempts, phases = history(n)
    frames = (
        table("runs", runs + [r for r, _ in now]),
        table("attempts", attempts + [a for _, a in now]),
        table("phases", phases),
    )
    usual = stuck.usual(*frames, as_of_ns=NOW)
    found = stuck.stages(frames[0], frames[1], usual, as_of_ns=NOW)
    return dict(found.select("run_key", "stage").rows())


def test_what_is_long_is_three_slow_attempts_and_what_is_quiet_is_usual_silence() -> None:
    """Three times the 95th percentile, the 99th, or a minute, whichever is most; silence between signs of life."""
    frames = [table(name, rows) for name, rows in zip(("runs", "attempts", "phases"), history(100), strict=True)]
    usual = stuck.usual(*frames, as_of_ns=NOW).row(0, named=True)
    assert (usual["n"], usual["long_ns"], usual["quiet_ns"]) == (100, 90 * SECOND, 15 * SECOND)


def test_long_silent_stuck_and_lost_are_told_apart() -> None:
    """Long is the attempt, silent the log, stuck both; a run nobody heard of again is lost."""
    end = 100_000
    assert staged(
        100,
        (run("usual", "running", end - 20, end - 5), attempt("usual", 1, end - 20, None, "running")),
        (run("long", "running", end - 200, end - 5), attempt("long", 1, end - 200, None, "running")),
        (run("silent", "running", end - 50, end - 40), attempt("silent", 1, end - 50, None, "running")),
        (run("stuck", "running", end - 200, end - 190), attempt("stuck", 1, end - 200, None, "running")),
        (run("lost", "unknown", end - 9000, end - 8000), attempt("lost", 1, end - 9000, None, "unknown")),
    ) == {"long": "long", "silent": "silent", "stuck": "stuck", "lost": "lost"}


def test_waits_and_the_queue_are_not_work() -> None:
    """A run in a queue or a wait is not stuck, and waits that ended are taken off an attempt's time."""
    end = 100_000
    waited = attempt("waited", 1, end - 200, None, "running", wait_ns=190 * SECOND)
    assert staged(
        100,
        (run("queued", "queued", end - 9000, end - 9000), attempt("other", 1, end - 9000, None, "running")),
        (run("waiting", "waiting", end - 9000, end - 5), attempt("waiting", 1, end - 9000, None, "running")),
        (run("waited", "running", end - 200, end - 5), waited),
    ) == {}  # fmt: skip


def test_a_retry_starts_the_clock_again() -> None:
    """The attempt that runs now is judged, not the time since the first one began."""
    end = 100_000
    runs, attempts, phases = history(100)
    runs.append(run("again", "running", end - 5000, end - 5))
    attempts += [attempt("again", 1, end - 5000, end - 4000, "failed"), attempt("again", 2, end - 20, None, "running")]
    frames = table("runs", runs), table("attempts", attempts), table("phases", phases)
    usual = stuck.usual(*frames, as_of_ns=NOW)
    assert stuck.stages(frames[0], frames[1], usual, as_of_ns=NOW).is_empty()


def test_without_history_nobody_can_tell() -> None:
    """Under 20 attempts a run that has lasted for hours is listed without a stage."""
    end = 100_000
    assert staged(19, (run("r", "running", end - 9000, end - 5), attempt("r", 1, end - 9000, None, "running"))) == {
        "r": None
    }


def test_runs_that_retry_now_say_when_the_next_attempt_is_expected() -> None:
    """Half of the task's retries began 4 s after such a failure and 95 % within 10 s; a running retry says so."""
    runs, attempts = [], []
    for i in range(20):
        gap = 4 if i < 18 else 10
        runs.append(run(f"h{i}", "completed", 0, 30, ended_ns=T0 + 30 * SECOND))
        attempts += [
            attempt(f"h{i}", 1, 0, 10, "failed"),
            attempt(f"h{i}", 2, 10 + gap, 30, "completed"),
        ]
    runs += [
        run("waits", "retrying", 50, 60, error_type="Timeout", due_ns=T0 + 240 * SECOND),
        run("runs", "running", 40, 80),
        run("first", "running", 70, 80),
        run("test", "retrying", 50, 60, is_test=True),
    ]
    attempts += [
        attempt("waits", 1, 50, 60, "failed"),
        attempt("runs", 1, 40, 50, "failed", error_type="Refused"),
        attempt("runs", 2, 56, None, "running"),
        attempt("first", 1, 70, None, "running"),
        attempt("test", 1, 50, 60, "failed"),
    ]
    told = table("runs", runs), table("attempts", attempts)
    found = stuck.retrying(*told, stuck.usual_gaps(*told))
    seconds = [(pl.col(c) - T0) // SECOND for c in ("failed_ns", "expected_ns", "late_ns", "given_up_ns")]
    assert found.select("run_key", "state", "number", "error_type", *seconds, "n").rows() == [
        ("runs", "running", 2, "Refused", 50, None, None, None, None),
        ("waits", "waiting", 1, "Timeout", 60, 64, 70, 240, 21),
    ]
