"""A deploy comes between two attempts of a run: whatever counts attempts goes by theirs, whatever counts runs by the
last."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest

from collector.model.report import Kind
from collector.settings import Settings
from collector.store import anomaly_runs, anomaly_series
from collector.store.anomaly_runs import Asked
from collector.store.anomaly_series import Range
from tests.inprocess import SECOND
from tests.jobs.test_field_runs import CASES, Told

REFUSED = [{"key": "error_type", "value": {"stringValue": "A"}}, {"key": "http_status", "value": {"intValue": "401"}}]


@pytest.fixture(scope="module")
def told(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Told]:
    """A run whose first attempt fails with 401 on version 1, its second on version 2."""
    made = Told(tmp_path_factory.mktemp("deploy"), Settings())
    sent = json.dumps(CASES["deploy-mid-run"]["send"])
    made.send(json.loads(sent.replace(json.dumps(REFUSED[0]), ", ".join(map(json.dumps, REFUSED)))))
    made.settle()
    yield made
    made.close()


def of(told: Told, name: str, **asked: str) -> dict[Any, Any]:
    """Return the numbers of a statistic: (version, measure) → (value, n), those that rest on something."""
    answer = told.api.get(f"/api/v1/stats/{name}", params={"by": "version", **asked})
    assert answer.status_code == 200, answer.text
    return {
        (r["version"], r["measure"]): (r["value"], r["n"])
        for r in answer.json()
        if r["n"] and r["statistic"] in ("share", "count") and not r.get("outcome")
    }


def test_each_attempt_has_the_version_it_ran_on(told: Told) -> None:
    """The first is of version 1, the second of 2, and so is the run."""
    assert told.rows({"sql": "SELECT number, version FROM attempts ORDER BY number"}) == [[1, "1"], [2, "2"]]
    assert told.rows({"sql": "SELECT version FROM runs"}) == [["2"]]


def test_rates_of_attempts_go_by_theirs_and_those_of_runs_by_the_last(told: Told) -> None:
    """One attempt failed on each version, and the run, which was retried and failed, is of version 2 alone."""
    rates = of(told, "retries")
    attempts = {version: rate for (version, measure), rate in rates.items() if measure == "attempt_failure_rate"}
    assert attempts == {"1": (1.0, 1), "2": (1.0, 1)}
    assert {version for version, measure in rates if measure == "run_failure_rate"} <= {"2"}
    assert of(told, "retries", version="1") == {k: v for k, v in rates.items() if k[0] == "1"}


@pytest.mark.parametrize("by", ["version", "version,hour_ns"])
@pytest.mark.parametrize("version", ["1", "2"])
def test_durations_of_attempts_are_found_though_their_run_is_of_another_version(
    told: Told, version: str, by: str
) -> None:
    """Exact and by the hour: each version has an attempt, the run and the pause before its last attempt are of 2."""
    counted = {measure: n for (_, measure), (_, n) in of(told, "durations", version=version, by=by).items()}
    assert counted["attempt"] == 1
    assert ("execution" in counted, "gap" in counted) == (version == "2", version == "2")


def test_what_a_report_names_is_the_version_that_failed(told: Told) -> None:
    """A version is first seen with its first attempt, not with the run; error A is of version 1, B of 2."""
    whole = Range("default", told.now_ns - 7200 * SECOND, told.now_ns - 3600 * SECOND, told.now_ns)
    read = told.database.reading
    seen = read(lambda h: anomaly_series.versions(h, whole)).sort("version")
    begins = [["1", told.now_ns - 900 * SECOND], ["2", told.now_ns - 880 * SECOND]]
    assert [list(row) for row in seen.select("version", "first_ns").rows()] == begins
    for error, version in (("A", "1"), ("B", "2")):
        asked = Asked(Kind.NEW_ERROR, "job-v", None, None, None, error, whole.from_ns, whole.to_ns)
        behind = read(lambda h, asked=asked: anomaly_runs.runs(h, "default", asked))
        assert behind.select("affected", "version").rows() == [(True, version)]
    window = f"from_ns={whole.from_ns}&to_ns={whole.to_ns}&task=job-v"
    marks = {"api": f"/api/v1/query/page_task_versions?{window}", "in": [], "pick": ["version", "first_ns"]}
    assert told.rows(marks) == begins


def test_a_finding_of_an_attempt_names_its_version(told: Told) -> None:
    """The attempt that failed for good and was retried ran on version 1."""
    found = told.rows({"sql": "SELECT since_version FROM findings WHERE code = 'RTY001'"})
    assert found == [["1"]]
