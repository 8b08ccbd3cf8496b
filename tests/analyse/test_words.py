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
    hours = calls.phase_hours(tables.runs, tables.phases)
    rate = calls.report(hours, []).filter(pl.col("measure") == "call_failure_rate").row(0, named=True)
    assert (rate["n"], rate["value"]) == (ended, failed if ended else None)
    assert calls.values(tables.runs, tables.phases).collect().height == lasts
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
