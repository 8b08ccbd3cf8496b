"""Ids as decode reads them."""

from __future__ import annotations

import pytest

from tests.decode.test_dialects import DIALECTS, TRIGGER, log, span

SPELLED = {
    "correlation_id": (
        "correlation_id",
        "correlation.id",
        "correlationId",
        "CorrelationID",
        "X-Correlation-ID",
        "corrId",
    ),
    "request_id": ("request_id", "request.id", "requestId", "RequestID", "request_Id", "X-Request-ID", "reqID"),
    "run_id": ("run_id", "run.id", "runId", "RunID", "run-id", "task.run_id"),
}


@pytest.mark.parametrize("dialect", DIALECTS)
def test_an_id_is_read_however_its_key_is_spelled(dialect: str) -> None:
    """Logs and spans of both dialects have it in its column; a Trigger.dev task's own `runId` is never the run's."""
    _, resource = DIALECTS[dialect]
    for column, keys in SPELLED.items():
        expected = None if (dialect, column) == ("trigger_dev", "run_id") else "two"
        assert {make({key: "two"}, resource)[column] for make in (log, span) for key in keys} == {expected}


def test_the_first_key_that_holds_an_id_counts() -> None:
    """Where the name itself holds none, another spelling does."""
    assert log({"request_id": "undefined", "X-Request-ID": "r9"}, {})["request_id"] == "r9"
    assert log({"requestId": "r8", "request_id": "r9"}, TRIGGER)["request_id"] == "r9"


def test_a_placeholder_joins_nothing() -> None:
    """Records whose ids are placeholders have none: no run, no parent, nothing to be found by."""
    for nothing in ("undefined", "N/A", "", "order-None", "00000000-0000-0000-0000-000000000000"):
        row = log(dict.fromkeys(("run_id", "parent_run_id", "correlation_id", "request_id"), nothing), {})
        assert {row[c] for c in ("run_id", "run_key", "parent_run_id", "correlation_id", "request_id")} == {None}
        assert row["attributes"].count(f'"{nothing}"') == 4
