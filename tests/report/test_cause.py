"""Several tasks that differ for one reason are told as one, the reason first, and only where each names it."""

from __future__ import annotations

import dataclasses

import polars as pl
import pytest

from collector.model import links, verdict
from collector.model.report import Kind, Report
from collector.model.units import HOUR_NS
from collector.report.build import Evidence
from collector.report.inputs import Inputs
from tests.report.invented import START, TASKS, bad, calm, drafted, hourly, inputs, made

NOW = 32 * 24
BURST = (NOW - 10, NOW - 7)
BAD = ("task-1", "task-3", "task-4")


def runs(version: str = "2", error: str = "Error: a", machine: str = "m", n: int = 10) -> pl.DataFrame:
    """Return as many affected runs with these values as others without them."""
    return pl.DataFrame(
        {
            "run_key": [f"{i:016x}" for i in range(2 * n)],
            "run_id": [f"run {i}" for i in range(2 * n)],
            "task_id": ["t"] * 2 * n,
            "at_ns": [START + BURST[0] * HOUR_NS + i for i in range(2 * n)],
            "status": ["failed"] * n + ["completed"] * n,
            "affected": [True] * n + [False] * n,
            "version": [version] * n + ["1"] * n,
            "queue": ["q"] * 2 * n,
            "machine": [machine] * n + ["m"] * n,
            "tags": [[]] * 2 * n,
            "services": [[]] * 2 * n,
            "error_group": [error] * n + [None] * n,
        },
        schema_overrides={"tags": pl.List(pl.String), "services": pl.List(pl.String), "error_group": pl.String},
    )


def burst(tasks: tuple[str, ...] = BAD, at: tuple[int, int] = BURST, **changed: object) -> Inputs:
    """Return a month in which *tasks* failed, the last of them in the hours *at*."""
    hours = {**dict.fromkeys(tasks, BURST), tasks[-1]: at}
    return inputs(
        hourly(NOW, lambda t, h: bad(t, *hours.get(t, BURST), 0.5 if t in hours else 0)(t, h)), NOW, **changed
    )


def told(inputs_: Inputs, *evidence: pl.DataFrame) -> Report:
    """Return the report with these runs behind its anomalies, in the order of `BAD`."""
    draft = drafted(inputs_)
    names = [f.series.subject.name for f in [*draft.shown, *draft.expected]]
    return made(inputs_, {names.index(t): Evidence(e, []) for t, e in zip(BAD, evidence, strict=False) if t in names})


@pytest.mark.parametrize(
    ("shared", "dimension", "value"),
    [({"version": "7"}, "version", "7"), ({"error": "E: x"}, "error", "E: x"), ({"machine": "big"}, "machine", "big")],
)
def test_what_tasks_share_is_told_first(shared: dict[str, str], dimension: str, value: str) -> None:
    """A version, an error or a machine that the evidence of each names stands first; every task is named in it."""
    own = [{"version": "1", "error": f"E: {t}", **shared} for t in BAD]
    report = told(burst(), *(runs(**some) for some in own))  # type: ignore[arg-type]
    (anomaly,) = report.anomalies
    assert anomaly.cause is not None
    assert (anomaly.cause.dimension, anomaly.cause.value) == (dimension, value)
    assert verdict.verdict(report) == f"{dimension.capitalize()} {value}: 3 tasks failing more often."
    assert {t.subject.name for t in anomaly.together} == set(BAD)
    assert all(t.title in anomaly.text or t.subject.name in anomaly.text for t in anomaly.together)
    assert {f"Task {t}" for t in BAD} <= {link.label for link in links.of(anomaly)}


def test_tasks_that_share_nothing_stay_apart() -> None:
    """At the same time, each with a version and an error of its own: three things that happened."""
    report = told(burst(), *(runs(version=f"{i + 2}", error=f"E: {i}") for i in range(3)))
    assert [a.cause for a in report.anomalies] == [None] * 3


def test_what_was_at_another_time_is_something_else() -> None:
    """A task that shares the error, hours later, is told by itself."""
    report = told(burst(at=(NOW - 4, NOW - 1)), *[runs(version="1", error="E: x")] * 3)
    assert sorted((a.cause is not None, len(a.together)) for a in report.anomalies) == [(False, 0), (True, 2)]


def test_what_nobody_knows_of_is_no_cause() -> None:
    """Without runs behind them, and where half of the tasks alone name something, nothing is joined."""
    assert [a.cause for a in told(burst()).anomalies] == [None] * 3
    assert [a.cause for a in told(burst(), runs()).anomalies] == [None] * 3


def test_a_cause_goes_on_and_is_expected_like_anything_else() -> None:
    """It is ongoing in the report after, resolved when over, and what is called expected takes its tasks along."""
    some = [runs(version="7", error="E: x")] * 3
    first = told(burst(), *some)
    key = first.anomalies[0].key
    again = told(dataclasses.replace(burst(), previous=first), *some)
    assert [(a.key, a.state) for a in again.anomalies] == [(key, "ongoing")]
    over = made(inputs(hourly(NOW + 24), NOW + 24, previous=first))
    assert ([a.key for a in over.resolved], over.anomalies) == ([key], ())
    quiet = told(dataclasses.replace(burst(), expected={key: "deploy"}), *some)
    assert quiet.anomalies == ()
    assert [(a.key, a.expected_by_you) for a in quiet.expected] == [(key, "deploy")]


def test_what_was_said_of_a_cause_is_said_of_its_tasks() -> None:
    """After a cause that somebody called expected, the hours of each of its tasks are as usual as any, for weeks."""
    later = NOW + 168

    def share(task: str, hour: int) -> float:
        rate = bad(task, *BURST, share=0.9)(task, hour) if task in BAD else calm(task, hour)
        return 0.25 if task == BAD[-1] and hour >= later - 4 else rate

    counts = hourly(later, share)
    first = told(inputs(counts, NOW), *[runs(version="7", error="E: x")] * 3)
    (cause,) = first.anomalies
    assert {row.told_as for row in first.told} == {(cause.key,)}
    between = made(inputs(counts, NOW + 24, previous=first))
    again = inputs(counts, later, previous=between)
    assert [a.subject.name for a in made(again).anomalies] == [BAD[-1]]
    quiet = made(dataclasses.replace(again, expected={cause.key: "deploy"}))
    assert (quiet.anomalies, quiet.expected) == ((), ())


def test_a_deploy_is_the_cause_of_those_it_was_nearest_to() -> None:
    """Two tasks that fail since the first run of one version are told by the version; a third with another is not."""
    at = START + BURST[0] * HOUR_NS + 1
    versions = pl.DataFrame(
        {
            "task_id": [t for t in TASKS for _ in range(2)],
            "queue": ["q"] * 2 * len(TASKS),
            "environment": ["prod"] * 2 * len(TASKS),
            "version": [v for t in TASKS for v in ("1", "2b" if t == "task-4" else "2")],
            "first_ns": [ns for _ in TASKS for ns in (START, at)],
        }
    )
    report = made(burst(versions=versions))
    joined = [a for a in report.anomalies if a.cause is not None]
    assert [a.title for a in joined] == ["Version 2: 2 tasks failing more often"]
    assert [a.subject.name for a in report.anomalies if a.cause is None] == ["task-4"]
    assert all(a.kind is Kind.FAILURES for a in report.anomalies)
