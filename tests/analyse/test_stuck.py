"""Runs that take too long and runs that retry now, told as stories."""

from __future__ import annotations

import random
from itertools import pairwise
from typing import Any

import polars as pl
from hypothesis import given, settings
from hypothesis import strategies as st
from random_runs import MS, T0, History, histories, population, table

from collector.analyse import stuck
from collector.model.statistics import nearest_rank
from tests.length import examples

SECOND = 1_000 * MS
NOW = T0 + 100_000 * SECOND


def run(key: str, status: str, started: int, seen: int, **extra: Any) -> dict[str, Any]:
    """Return a row of runs; times in seconds after `T0`."""
    return {
        "project": "default",
        "run_key": key,
        "run_id": key,
        "task_id": "mail",
        "environment": "PRODUCTION",
        "platform_project": None,
        "status": status,
        "started_ns": T0 + started * SECOND,
        "last_seen_ns": T0 + seen * SECOND,
        "log_count": 3,
        **extra,
    }


def attempt(key: str, number: int, started: int, ended: int | None, status: str, **extra: Any) -> dict[str, Any]:
    """Return a row of attempts; times in seconds after `T0`."""
    end = None if ended is None else T0 + ended * SECOND
    begin = T0 + started * SECOND
    return {
        "project": "default",
        "run_key": key,
        "run_id": key,
        "task_id": "mail",
        "number": number,
        "status": status,
        "started_ns": begin,
        "started_source": "measured",
        "ended_ns": end,
        "ended_source": "unknown" if end is None else "measured",
        "wall_ns": None if end is None else end - begin,
        **extra,
    }


def history(n: int = 100, seconds: int = 30) -> tuple[list[dict[str, Any]], list[dict[str, Any]], list[dict[str, Any]]]:
    """Return runs, attempts and phases of *n* completed runs that took *seconds* each and called halfway."""
    runs = [run(f"h{i}", "completed", 0, seconds, ended_ns=T0 + seconds * SECOND) for i in range(n)]
    attempts = [attempt(f"h{i}", 1, 0, seconds, "completed") for i in range(n)]
    phases = [
        {
            "project": "default",
            "run_key": f"h{i}",
            "attempt": 1,
            "operation": "mail_send",
            "phase": "calling",
            "started_ns": T0 + seconds * SECOND // 2,
            "ended_ns": T0 + seconds * SECOND,
        }
        for i in range(n)
    ]
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
    listed = stuck.stages(frames[0], frames[1], usual, as_of_ns=NOW)
    return dict(listed.select("run_key", "stage").rows())


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


def test_a_run_is_lost_when_it_is_silent_for_clearly_longer_than_its_task_ever_is() -> None:
    """Of runs that sleep for ten hours one that has been silent for five goes as usual, for 15 it is silent, for 21
    lost, and stays so for a day; where nobody knows what is usual a run that fell silent is lost.
    """
    hour = 3600
    runs, attempts, _ = history(30, 10 * hour)
    for hours in (5, 15, 21, 43, 45):
        at = 100_000 - hours * hour
        runs.append(run(f"{hours}", "unknown", at - 9, at))
        attempts.append(attempt(f"{hours}", 1, at - 9, None, "unknown"))
    runs.append(run("other", "unknown", 100_000 - 9_009, 100_000 - 9_000, task_id="other"))
    attempts.append(attempt("other", 1, 100_000 - 9_009, None, "unknown", task_id="other"))
    frames = table("runs", runs), table("attempts", attempts)
    usual = stuck.usual(*frames, table("phases", []), as_of_ns=NOW)
    assert stuck.quietest_ns(usual) == 20 * hour * SECOND
    listed = stuck.stages(*frames, usual, as_of_ns=NOW, lost_since_ns=NOW - 24 * hour * SECOND)
    assert dict(listed.select("run_key", "stage").rows()) == {
        "15": "silent",
        "21": "lost",
        "43": "lost",
        "other": "lost",
    }


def test_waits_and_the_queue_are_not_work() -> None:
    """A run in a queue or a wait is not stuck, and waits that ended are taken off an attempt's time."""
    end = 100_000
    waited = attempt("waited", 1, end - 200, None, "running", wait_ns=190 * SECOND)
    assert (
        staged(
            100,
            (run("queued", "queued", end - 9000, end - 9000), attempt("other", 1, end - 9000, None, "running")),
            (run("waiting", "waiting", end - 9000, end - 5), attempt("waiting", 1, end - 9000, None, "running")),
            (run("waited", "running", end - 200, end - 5), waited),
        )
        == {}
    )


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
    frames = table("runs", runs), table("attempts", attempts)
    retrying = stuck.retrying(*frames, stuck.usual_gaps(*frames))
    seconds = [(pl.col(c) - T0) // SECOND for c in ("failed_ns", "expected_ns", "late_ns", "given_up_ns")]
    assert retrying.select("run_key", "state", "number", "error_type", *seconds, "n").rows() == [
        ("runs", "running", 2, "Refused", 50, None, None, None, None),
        ("waits", "waiting", 1, "Timeout", 60, 64, 70, 240, 21),
    ]


def _usual(dice: random.Random) -> dict[tuple[Any, Any], tuple[int | None, int | None]]:
    """Return what is usual for some tasks: (task, environment) → (long_ns, quiet_ns), either unknown at times."""
    lengths = [None, 0, 60 * SECOND, 1_000 * SECOND]
    keys = [(task, where) for task in ("a", "b") for where in ("PRODUCTION", "DEVELOPMENT", None)]
    return {key: (dice.choice(lengths), dice.choice(lengths)) for key in keys if dice.random() < 0.8}


def _stage(
    past: History, row: dict[str, Any], long_ns: int | None, quiet_ns: int | None
) -> tuple[str | None, int] | None:
    """Return stage and working time of one run, None if nothing is to be said of it."""
    attempts = past.of(row)
    if not attempts or attempts[-1]["ended_ns"] is not None:
        return None
    fell_silent = row["status"] == "unknown" and row["log_count"] > 0
    if row["status"] != "running" and not fell_silent:
        return None
    is_lost = fell_silent and past.as_of_ns - row["last_seen_ns"] > 2 * (quiet_ns or 0)
    until = row["last_seen_ns"] if fell_silent else past.as_of_ns
    active = max(0, until - attempts[-1]["started_ns"] - (attempts[-1]["wait_ns"] or 0))
    if is_lost:
        return "lost", active
    is_long = None if long_ns is None else active > long_ns
    is_silent = None if quiet_ns is None else past.as_of_ns - row["last_seen_ns"] > quiet_ns
    names = {
        (True, True): "stuck",
        (True, False): "long",
        (True, None): "long",
        (False, True): "silent",
        (None, True): "silent",
    }
    if (is_long, is_silent) in names:
        return names[is_long, is_silent], active
    return (None, active) if is_long is None else None


@settings(max_examples=examples(25), deadline=None)
@given(histories(most=15), st.randoms(use_true_random=False))
def test_a_stage_follows_from_one_run_and_what_is_usual(past: History, dice: random.Random) -> None:
    """Lost, stuck, long, silent or nobody can tell: each run alone tells, and those that go as usual are not listed."""
    usual = _usual(dice)
    schema = {
        "project": pl.String,
        "task_id": pl.String,
        "environment": pl.String,
        "platform_project": pl.String,
        "n": pl.Int64,
        "quiet_ns": pl.Int64,
        "long_ns": pl.Int64,
    }
    rows = [("default", *key, None, 30, quiet, long) for key, (long, quiet) in usual.items()]
    frame = pl.DataFrame(rows, schema=schema, orient="row")
    listed = stuck.stages(past.frame("runs"), past.frame("attempts"), frame, as_of_ns=past.as_of_ns)
    expected = {}
    for row in past.runs:
        judged = _stage(past, row, *usual.get((row["task_id"], row["environment"]), (None, None)))
        if population(row) != "test" and judged is not None:
            expected[row["run_key"]] = judged
    assert {r["run_key"]: (r["stage"], r["active_ns"]) for r in listed.rows(named=True)} == expected
    times = listed["active_ns"].to_list()
    assert times == sorted(times, reverse=True)


@settings(max_examples=examples(15), deadline=None)
@given(histories(most=150))
def test_what_retries_now_follows_from_one_run_and_the_gaps_of_its_task(past: History) -> None:
    """A run waits for a retry or is in one; when it should begin follows from the task's earlier gaps after as many.
    What goes on after an interruption retries nothing."""
    for row in past.runs:  # few tasks, so that some have enough gaps to tell
        row["environment"] = "PRODUCTION"
    runs, attempts = past.frame("runs"), past.frame("attempts")
    retrying = stuck.retrying(runs, attempts, stuck.usual_gaps(runs, attempts))
    counted = [r for r in past.runs if population(r) != "test"]

    def of(row: dict[str, Any]) -> tuple[Any, ...]:
        return row["task_id"], row["environment"]

    gaps: dict[tuple[Any, ...], list[int]] = {}
    for row in counted:
        for a, b in pairwise(past.of(row)):
            if b["number"] == a["number"] + 1 and b["outcome"] != "skipped" and a["status"] != "interrupted":
                gaps.setdefault((*of(row), a["number"]), []).append(max(0, b["started_ns"] - a["ended_ns"]))
    expected = {}
    for row in counted:
        tries = past.of(row)
        waits = row["status"] == "retrying"
        if not tries or not (waits or (row["status"] in ("running", "waiting") and tries[-1]["number"] > 1)):
            continue
        if not waits and len(tries) > 1 and tries[-2]["status"] == "interrupted":
            continue
        before = tries[-1]["ended_ns"] if waits else tries[-2]["ended_ns"] if len(tries) > 1 else None
        earlier = sorted(gaps.get((*of(row), tries[-1]["number"]), []))
        half, most = (
            before + earlier[nearest_rank(len(earlier), p) - 1] if waits and len(earlier) >= least else None
            for p, least in ((500, 5), (950, 20))
        )
        state = "waiting" if waits else "running"
        expected[row["run_key"]] = (state, tries[-1]["number"], before, half, most, len(earlier) if waits else None)
    columns = ("state", "number", "failed_ns", "expected_ns", "late_ns", "n")
    assert {r["run_key"]: tuple(r[c] for c in columns) for r in retrying.rows(named=True)} == expected
