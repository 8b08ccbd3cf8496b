"""Steps of one operation that run beside each other: each end belongs to the start that it is the end of."""

from __future__ import annotations

import json
from typing import Any

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from story import SECOND, frame, log

from collector.analyse import runs
from tests.analyse.story import T0
from tests.length import examples

_STEPS = st.lists(
    st.tuples(st.integers(0, 30), st.integers(1, 30), st.sampled_from(["completed", "failed"])), min_size=1, max_size=7
)
_HOW = ("span", "attribute", "neither")


def told(logs: list[dict[str, Any]]) -> runs.RunTables:
    """Return the run model of *logs*, long after them."""
    return runs.build(
        frame("spans", []),
        frame("logs", logs),
        pl.DataFrame(schema=runs.LINKS),
        as_of_ns=T0 + 10**6 * SECOND,
        grace_ns=180 * SECOND,
        stale_ns=3600 * SECOND,
    )


def steps(made: list[tuple[int, int, str]], how: str) -> list[dict[str, Any]]:
    """Return the logs of a run that mails, each from a second for so many, in an operation around them."""
    logs = [log("r", -1, "report_send_started", attempt=1), log("r", 100, "report_send_completed", attempt=1)]
    for i, (start, lasts, end) in enumerate(made):
        own: dict[str, Any] = {"attributes": json.dumps({"n": i % 2, "to": "x"}, separators=(",", ":"))}
        if how == "span":
            own |= {"trace_id": "7" * 32, "span_id": f"{i + 1:016x}"}
        elif how == "attribute":
            own["attributes"] = json.dumps({"n": i % 2, "to": f'mail "{i}"', "x": {"y": 1}}, separators=(",", ":"))
        for at, phase in ((start + i / 100, "started"), (start + lasts + i / 100, end)):
            logs.append(log("r", at, f"mail_send_{phase}", attempt=1, **own))
    return logs


@settings(max_examples=examples(25), deadline=None)
@given(made=_STEPS, how=st.sampled_from(_HOW), seed=st.randoms(use_true_random=False))
def test_each_step_is_one_whatever_runs_beside_it(made: list[tuple[int, int, str]], how: str, seed: Any) -> None:
    """By span or by attribute to the last one; else as many, as long together, and as many of them failed."""
    logs = steps(made, how)
    seed.shuffle(logs)
    phases = told(logs).phases.filter(pl.col("operation") == "mail_send")
    assert phases["phase"].to_list() == ["started"] * len(made)
    assert sorted(phases["outcome"]) == sorted(end for _, _, end in made)
    assert phases["duration_ns"].sum() == sum(lasts for _, lasts, _ in made) * SECOND
    if how != "neither":
        expected = sorted(
            (T0 + (s * 100 + i) * SECOND // 100, lasts * SECOND, e) for i, (s, lasts, e) in enumerate(made)
        )
        assert sorted(phases.select("started_ns", "duration_ns", "outcome").rows()) == expected


@pytest.mark.parametrize("how", ["span", "attribute"])
def test_a_step_that_never_ended_is_the_one_that_did_not(how: str) -> None:
    """Of several beside each other those that ended are told, however many died."""
    logs = steps([(0, 9, "completed"), (1, 5, "failed"), (2, 3, "completed")], how)
    logs = [row for row in logs if row["body"] != "mail_send_failed"]
    phases = told(logs).phases.filter(pl.col("operation") == "mail_send").sort("started_ns")
    assert phases["outcome"].to_list() == ["completed", "unknown", "completed"]
    assert phases["duration_ns"].to_list() == [9 * SECOND, None, 3 * SECOND]


UNNUMBERED = {
    "one died, another took it up": ("ssc", 2, ["failed", "completed"]),
    "both ended": ("sscc", 1, ["completed"]),
    "both ended, and it was done again": ("ssccsc", 1, ["completed"]),
    "it failed and was tried again": ("sfsc", 2, ["failed", "completed"]),
    "both failed, and it was tried again": ("ssffsc", 2, ["failed", "completed"]),
    "two died": ("sssc", 3, ["failed", "failed", "completed"]),
}


@pytest.mark.parametrize("name", UNNUMBERED)
def test_two_workers_on_one_job_are_no_retry_once_both_have_ended(name: str) -> None:
    """Where no attempt is stated, as many ends as starts tell that they worked side by side; fewer that one died."""
    letters, count, expected = UNNUMBERED[name]
    word = {"s": "started", "c": "completed", "f": "failed"}
    tables = told([log("r", at * 10, f"work_{word[letter]}") for at, letter in enumerate(letters)])
    assert tables.runs.select("status", "attempt_count").row(0) == ("completed", count)
    assert tables.attempts["status"].to_list() == expected
