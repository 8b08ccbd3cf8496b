"""What each word that ends an operation does: the table of docs/connect/keys.md, row by row, by hand."""

from __future__ import annotations

from typing import Any

import polars as pl
import pytest

from collector.analyse import calls, cohorts, durations, retries, runs, slots, throughput
from tests.analyse.story import SECOND, T0, frame, log

WORDS = {
    "s": "started",
    "c": "completed",
    "f": "failed",
    "k": "canceled",
    "x": "skipped",
    "i": "interrupted",
    "r": "retrying",
    "q": "calling_stripe",
}
AT = 1_000
TOLD: dict[str, tuple[str, tuple[str, str | None], list[str], dict[str, float | None], list[float], float]] = {
    # phases and their seconds; status and outcome; attempts; numbers; seconds of ended attempts; slot seconds
    "s0 c10": ("completed", ("completed", None), ["completed"], {"ok": 1, "bad": 0, "tries": 0, "ends": 1}, [10], 10),
    "s0 f10 s60 c70": (
        "a retry",
        ("completed", None),
        ["failed", "completed"],
        {"ok": 0, "bad": 0, "tries": 0.5, "ends": 1, "backoff": 50, "load": 2, "again": 1},
        [10, 10],
        20,
    ),
    "s0 k10": (
        "canceled",
        ("canceled", None),
        ["canceled"],
        {"ok": None, "bad": None, "tries": None, "ends": 1, "again": 0},
        [10],
        10,
    ),
    "s0 x10": (
        "skipped",
        ("completed", "skipped"),
        ["completed"],
        {"ok": None, "bad": None, "tries": None, "ends": 1, "again": 0},
        [],
        10,
    ),
    "s0 i10": (
        "interrupted",
        ("queued", None),
        ["interrupted"],
        {"ok": None, "bad": None, "tries": None, "ends": 0, "again": None, "load": 1},
        [],
        10,
    ),
    "s0 i10 s100 c120": (
        "taken up again",
        ("completed", None),
        ["completed"],
        {"ok": 1, "bad": 0, "tries": 0, "ends": 1, "again": 0, "load": 1, "backoff": None, "wasted": 0},
        [30],
        30,
    ),
    "s0 i10 s100 f120": (
        "taken up again, and failed",
        ("failed", None),
        ["failed"],
        {"ok": 0, "bad": 1, "tries": 1, "ends": 1, "again": 0, "load": 1, "backoff": None},
        [30],
        30,
    ),
    "s0 r10": (
        "to be tried again",
        ("retrying", None),
        ["failed"],
        {"ok": None, "bad": None, "tries": 1, "ends": 0, "again": 0, "load": 1},
        [10],
        10,
    ),
    "s0 r10 s60 c70": (
        "tried again",
        ("completed", None),
        ["failed", "completed"],
        {"ok": 0, "bad": 0, "tries": 0.5, "ends": 1, "again": 1, "load": 2, "backoff": 50},
        [10, 10],
        20,
    ),
}
NUMBERS = {
    "ok": ("first_attempt_success", "share"),
    "bad": ("run_failure_rate", "share"),
    "tries": ("attempt_failure_rate", "share"),
    "again": ("run_retry_rate", "share"),
    "load": ("load_amplification", "mean"),
    "backoff": ("backoff_time", "total"),
    "wasted": ("wasted_time", "total"),
    "ends": ("throughput", "count"),
}


def build(told: str, **about: Any) -> runs.RunTables:
    """Return the run model of a plain logger's words at `AT` s."""
    logs = [log("r", float(word[1:]), f"order_charge_{WORDS[word[0]]}", queue="q", **about) for word in told.split()]
    return runs.build(
        frame("spans", []),
        frame("logs", logs),
        pl.DataFrame(schema=runs.LINKS),
        as_of_ns=T0 + AT * SECOND,
        grace_ns=60 * SECOND,
        stale_ns=3_600 * SECOND,
    )


@pytest.mark.parametrize("told", TOLD)
def test_a_word_counts_in_status_attempts_rates_durations_and_slots_as_its_row_says(told: str) -> None:
    """Each number of the run alone is what its row says: what was skipped or canceled is in no rate of failure or
    success, an interruption is no failure and no retry, and what is to be tried again has failed once."""
    _, status, attempts, numbers, lasted, held_s = TOLD[told]
    tables = build(told)
    assert tables.runs.select("status", "outcome").row(0) == status
    assert tables.attempts["status"].to_list() == attempts
    of_runs = cohorts.run_cohorts(tables.runs, tables.attempts)
    report = pl.concat(
        [
            retries.report(of_runs, ["project"], as_of_ns=T0, horizons=0),
            retries.attempts(cohorts.attempt_hours(tables.runs, tables.attempts), ["project"]),
            throughput.report(cohorts.flow_hours(tables.runs), ["project"], over_ns=SECOND),
        ]
    )
    value = {(r["measure"], r["statistic"]): r["value"] for r in report.rows(named=True)}
    for name, expected in numbers.items():
        found = value[NUMBERS[name]]
        of_time = NUMBERS[name][0].endswith("_time")
        assert found == (expected * SECOND if of_time and expected is not None else expected), name
    failures = throughput.failures(of_runs, ["project"], as_of_ns=T0, horizons=0)
    assert (failures["rate"].item(), failures["n"].item()) == (numbers["bad"], int(numbers["bad"] is not None))
    funnel = retries.funnel(of_runs, ["project"])
    assert funnel["reached"].to_list() == [1] * len(attempts)
    assert funnel["skipped"].sum() == (status[1] == "skipped")
    assert funnel["n"].sum() == len(attempts) - 1 + (numbers["bad"] is not None)
    lasting = durations.values(tables.runs, tables.attempts, as_of_ns=T0 + AT * SECOND).collect()
    ended = lasting.filter((pl.col("measure") == "attempt") & ~pl.col("is_open")).sort("number")
    assert ended["value_ns"].to_list() == [s * SECOND for s in lasted]
    held = slots.slots(tables.runs, tables.attempts, tables.waits, as_of_ns=T0 + AT * SECOND, lease_ns=0).collect()
    assert (held["to_ns"] - held["from_ns"]).sum() == held_s * SECOND


@pytest.mark.parametrize(
    ("word", "failed", "ended", "lasts"),
    [("c", 0, 1, 2), ("f", 1, 1, 2), ("r", 1, 1, 2), ("k", 0, 0, 0), ("i", 0, 0, 0)],
)
def test_a_call_failed_where_its_try_did_and_nobody_knows_where_it_was_let_go(
    word: str, failed: int, ended: int, lasts: int
) -> None:
    """A call before `_retrying` failed, one before `_canceled` or `_interrupted` is in no rate and in no duration."""
    tables = build(f"s0 q5 {word}10")
    hours = calls.phase_hours(tables.runs, tables.attempts, tables.phases)
    rate = calls.report(hours, []).filter(pl.col("measure") == "call_failure_rate").row(0, named=True)
    assert (rate["n"], rate["value"]) == (ended, failed if ended else None)
    assert calls.values(tables.runs, tables.attempts, tables.phases).collect().height == lasts
    counts = calls.durations(hours, []).filter(pl.col("outcome").is_null() & (pl.col("statistic") == "count"))
    assert counts["value"].sum() == lasts


def test_an_attempt_that_goes_on_under_another_number_is_another_but_did_not_fail() -> None:
    """What a sender counts as an attempt is one; after an interruption there was no backoff and nothing had failed."""
    logs = [
        log("r", at, f"order_charge_{WORDS[word]}", attempt=number)
        for at, word, number in ((0, "s", 1), (10, "i", 1), (100, "s", 2), (120, "c", 2))
    ]
    tables = runs.build(
        frame("spans", []),
        frame("logs", logs),
        pl.DataFrame(schema=runs.LINKS),
        as_of_ns=T0 + AT * SECOND,
        grace_ns=60 * SECOND,
        stale_ns=3_600 * SECOND,
    )
    assert tables.attempts["status"].to_list() == ["interrupted", "completed"]
    numbers = retries.attempts(cohorts.attempt_hours(tables.runs, tables.attempts), ["project"])
    assert dict(numbers.select("measure", "value").rows()) == {"attempt_failure_rate": 0, "load_amplification": 2}
    lasting = durations.values(tables.runs, tables.attempts, as_of_ns=T0 + AT * SECOND).collect()
    assert lasting.filter(pl.col("measure").is_in(["gap", "backoff"])).is_empty()


DUE: dict[str, tuple[dict[str, Any], float | None, tuple[float | None, float | None, str]]] = {
    # what the first log says; when a parent made it; due, queue wait and its source, in s before and after the start
    "nothing": ({}, None, (None, None, "unknown")),
    "a wait": ({"queue_wait_ms": 30_000.0}, None, (None, 30, "measured")),
    "a wait and a delay in it": ({"queue_wait_ms": 30_000.0, "delay_ms": 20_000.0}, None, (-10, 10, "derived")),
    "a wait since it was due": ({"queue_wait_ms": 5_000.0, "delay_ms": 20_000.0}, None, (-5, 5, "measured")),
    "a parent and a delay": ({"delay_ms": 60_000.0}, -100, (-40, 40, "derived")),
    "a parent alone": ({}, -100, (None, 100, "inferred")),
    "a delay alone": ({"delay_ms": 60_000.0}, None, (None, None, "unknown")),
    "a due time": ({"due_at_ns": T0 - 7 * SECOND}, None, (-7, 7, "derived")),
    "a due time before it was queued": ({"due_at_ns": T0 - 500 * SECOND}, -100, (-500, 100, "derived")),
    "both": ({"due_at_ns": T0 - 7 * SECOND, "delay_ms": 60_000.0}, -100, (-7, 7, "derived")),
    "clocks apart": ({"due_at_ns": T0 + 2 * SECOND}, None, (2, 0, "derived")),
    "due long after it began": ({"due_at_ns": T0 + 900 * SECOND}, -100, (None, 100, "inferred")),
    "an impossible delay": ({"delay_ms": -5.0}, -100, (None, 100, "inferred")),
    "a due time of another age": ({"due_at_ns": T0 - 400 * 86_400 * SECOND}, -100, (None, 100, "inferred")),
}


@pytest.mark.parametrize("name", DUE)
def test_a_run_that_is_not_due_does_not_wait_for_its_queue(name: str) -> None:
    """Queue wait begins when a run was queued and due, in any order of its logs; what a retry says is its own; what
    cannot be is unknown, and so is a wait of which neither start is known."""
    said, made, (due, waited, source) = DUE[name]
    logs = [
        log("r", 0, "order_charge_started", attempt=1, **said),
        log("r", 10, "order_charge_failed", attempt=1, **said),
        log("r", 60, "order_charge_started", attempt=2, delay_ms=50_000.0, due_at_ns=T0 + 60 * SECOND),
    ]
    links = pl.DataFrame(schema=runs.LINKS)
    if made is not None:
        at = T0 + made * SECOND
        same = {name: logs[0][name] for name in ("project", "run_key", "run_id", "dialect", "environment")}
        times = {"started_ns": at, "ended_ns": at + SECOND}
        link = {**same, "parent_run_id": "p", "source": "derived", "waits": False, **times}
        links = pl.DataFrame([link], schema=runs.LINKS)
    for order in (logs, logs[::-1]):
        run = told(order, links=links).runs.row(0, named=True)
        assert run["delayed_until_ns"] == (None if due is None else T0 + due * SECOND)
        assert run["queue_wait_ns"] == (None if waited is None else waited * SECOND)
        assert run["queue_wait_source"] == source
        assert run["queued_ns"] == (None if waited is None else T0 - waited * SECOND if due != 2 else T0 + 2 * SECOND)


def told(logs: list[dict[str, Any]], *, at: int = AT, links: pl.DataFrame | None = None) -> runs.RunTables:
    """Return the run model of *logs* at *at* s."""
    return runs.build(
        frame("spans", []),
        frame("logs", logs),
        pl.DataFrame(schema=runs.LINKS) if links is None else links,
        as_of_ns=T0 + at * SECOND,
        grace_ns=60 * SECOND,
        stale_ns=3_600 * SECOND,
    )


@pytest.mark.parametrize(
    ("most", "word", "number", "expected"),
    [
        (None, "f", 2, ("retrying", "inferred")),
        (3, "f", 2, ("retrying", "inferred")),
        (2, "f", 2, ("failed", "phase")),
        (1, "f", 2, ("failed", "phase")),
        (0, "f", 2, ("retrying", "inferred")),
        (1, "f", None, ("failed", "derived")),
        (2, "f", None, ("retrying", "inferred")),
        (2, "r", 2, ("retrying", "phase")),
        (2, "c", 2, ("completed", "phase")),
    ],
)
def test_the_last_attempt_that_is_allowed_fails_for_good(
    most: int | None, word: str, number: int | None, expected: tuple[str, str]
) -> None:
    """A failed attempt with the number of `max_attempts` or more is final at once, derived where it was counted; who
    says that it will be tried again is believed; of several the most counts, and no number below 1 is one."""
    logs = [
        log("r", 0, "order_charge_started", attempt=number, max_attempts=most, priority="high"),
        log("r", 10, f"order_charge_{WORDS[word]}", attempt=number, max_attempts=most and most - 1, priority="low"),
    ]
    for order in (logs, logs[::-1]):
        run = told(order, at=20).runs.row(0, named=True)
        assert (run["status"], run["status_source"]) == expected
        assert (run["due_ns"] is None) == (expected[0] in ("failed", "completed"))
        assert (run["max_attempts"], run["priority"]) == (most or None, "high")
