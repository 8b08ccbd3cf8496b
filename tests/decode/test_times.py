"""Times as senders give them: missing, in the wrong unit, from wrong clocks, at the ends of the range."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from collector.decode import Accepted, Batch
from collector.model.signals import LOGS, METRICS, TRACES
from collector.settings import Limits

NOW = 1_795_500_000 * 10**9
SECOND, MINUTE, DAY = 10**9, 60 * 10**9, 86_400 * 10**9
U64 = st.integers(0, 2**64 - 1)


def log(time: int, observed: int = 0) -> tuple[dict[str, Any], Accepted]:
    """Return the row of one log record and what its sender is told."""
    request = ExportLogsServiceRequest()
    record = request.resource_logs.add().scope_logs.add().log_records.add()
    record.time_unix_nano, record.observed_time_unix_nano = time, observed
    return _decoded(LOGS, "logs", request.SerializeToString())


def span(start: int, end: int) -> tuple[dict[str, Any], Accepted]:
    """Return the row of one span and what its sender is told."""
    request = ExportTraceServiceRequest()
    made = request.resource_spans.add().scope_spans.add().spans.add(trace_id=b"t" * 16, span_id=b"s" * 8, name="work")
    made.start_time_unix_nano, made.end_time_unix_nano = start, end
    return _decoded(TRACES, "spans", request.SerializeToString())


def _decoded(signal: Any, table: str, body: bytes) -> tuple[dict[str, Any], Accepted]:
    batch = Batch(Limits())
    said = batch.add(signal, "protobuf", body, project="p", received_ns=NOW)
    return batch.tables()[table].to_pylist()[0], said


def effective_ns(row: dict[str, Any]) -> int:
    """Return the effective time of a row, to the microsecond that a TIMESTAMP holds."""
    since = row["time"].replace(tzinfo=UTC) - datetime(1970, 1, 1, tzinfo=UTC)
    return since // timedelta(microseconds=1) * 1000


@pytest.mark.parametrize(
    ("time", "observed", "source", "at"),
    [
        (0, 0, "received", NOW),
        (0, NOW - SECOND, "observed", NOW - SECOND),
        (NOW - MINUTE, 0, "time", NOW - MINUTE),
        (NOW - MINUTE, NOW - SECOND, "time", NOW - MINUTE),
    ],
)
def test_zero_time_falls_back(time: int, observed: int, source: str, at: int) -> None:
    """A time of 0 is unknown: the observed time stands in, then arrival, and the row says which."""
    row, said = log(time, observed)
    assert (row["time_source"], effective_ns(row)) == (source, at)
    assert (row["time_unix_nano"], row["observed_time_unix_nano"]) == (time, observed)
    assert said.message == ""
    assert said.warnings.get("time_missing", 0) == (source == "received")


@pytest.mark.parametrize(
    ("value", "factor"),
    [
        (1, 10**9),
        (NOW // 10**9, 10**9),
        (NOW // 10**6, 10**6),
        (10**14 - 1, 10**6),
        (NOW // 10**3, 10**3),
    ],
)
def test_wrong_unit_is_converted_and_flagged(value: int, factor: int) -> None:
    """A time too small for nanoseconds is read in the unit it fits, flagged, told to the sender, and kept raw."""
    row, said = log(value)
    expected = value * factor
    if expected > NOW + 10 * MINUTE:
        assert row["time_source"] == "time_future"
    else:
        assert (row["time_source"], effective_ns(row)) == ("time_unit_suspect", expected // 1000 * 1000)
    assert row["time_unix_nano"] == value
    assert said.warnings["time_unit_suspect"] == 1
    assert "send nanoseconds" in said.message
    assert said.rejected == 0


@pytest.mark.parametrize("value", [10**17, 10**17 + 1])
def test_smallest_nanoseconds_are_trusted(value: int) -> None:
    """From 10^17 on a time is nanoseconds, however long ago."""
    row, said = log(value)
    assert row["time_source"] == "time"
    assert said.message == ""


@pytest.mark.parametrize(
    ("ahead", "source", "warned"),
    [
        (10 * MINUTE, "time", False),
        (10 * MINUTE + 1, "time_future", False),
        (DAY, "time_future", False),
        (DAY + 1, "time_future", True),
        (5 * 365 * DAY, "time_future", True),
    ],
)
def test_future_is_kept_but_not_believed(ahead: int, source: str, warned: bool) -> None:
    """More than ten minutes ahead: accepted, arrival is the effective time; more than a day: the sender is told."""
    row, said = log(NOW + ahead)
    assert row["time_source"] == source
    assert effective_ns(row) == (NOW if source == "time_future" else NOW + ahead)
    assert row["time_unix_nano"] == NOW + ahead
    assert ("a day ahead" in said.message) is warned
    assert said.records == 1


def test_past_is_accepted() -> None:
    """Records of thirty days ago keep their time and are not remarked on."""
    row, said = log(NOW - 30 * DAY)
    assert (row["time_source"], effective_ns(row), said.message) == ("time", NOW - 30 * DAY, "")


@pytest.mark.parametrize("value", [2**63 - 1, 2**63, 2**64 - 1])
def test_extremes_are_kept_raw(value: int) -> None:
    """The ends of 64 bits are stored as sent, while the derived columns stay in their range."""
    row, _ = log(value)
    assert row["time_unix_nano"] == value
    assert (row["time_source"], effective_ns(row)) == ("time_future", NOW)
    row, _ = span(value, value)
    assert (row["start_time_unix_nano"], row["end_time_unix_nano"]) == (value, value)
    assert (row["duration_ns"], effective_ns(row)) == (0, NOW)


@settings(deadline=None)
@given(start=U64, end=U64)
def test_any_span_times_are_stored(start: int, end: int) -> None:
    """Whatever the two times of a span are, it is kept, its duration is never negative, and its time is in range."""
    row, said = span(start, end)
    assert said.records == 1
    assert row["duration_ns"] is None or row["duration_ns"] >= 0
    assert 0 <= effective_ns(row) <= NOW + 10 * MINUTE


@pytest.mark.parametrize("end", [NOW + 10 * MINUTE + 1, NOW + 2 * DAY, 2**63 - 1, 2**64 - 1])
def test_a_span_has_not_ended_after_it_arrived(end: int) -> None:
    """An end that is no time, such as the greatest there is, lasts no longer than until arrival, and is remarked on."""
    row, said = span(NOW - 5 * SECOND, end)
    assert (row["duration_ns"], row["end_time_unix_nano"]) == (5 * SECOND, end)
    assert ("a day ahead" in said.message) is (end > NOW + DAY)
    assert span(NOW - 5 * SECOND, NOW + 10 * MINUTE)[0]["duration_ns"] == 10 * MINUTE + 5 * SECOND
    assert span(NOW + DAY, NOW + DAY + SECOND)[0]["duration_ns"] == SECOND


def test_end_before_start_has_no_duration() -> None:
    """A span that ends before it starts has no duration, and is counted."""
    row, said = span(NOW - SECOND, NOW - 2 * SECOND)
    assert row["duration_ns"] is None
    assert said.warnings["end_before_start"] == 1


def test_zero_length_span_has_a_duration() -> None:
    """A span that ends as it starts took 0 ns, which is a measurement."""
    row, said = span(NOW - SECOND, NOW - SECOND)
    assert (row["duration_ns"], said.warnings) == (0, {})


@pytest.mark.parametrize("unit", [10**9, 10**6, 10**3])
def test_duration_of_wrong_unit_is_converted(unit: int) -> None:
    """A span whose times are seconds, milli- or microseconds lasts as long as it says in that unit."""
    row, _ = span(NOW // unit, (NOW + 2 * SECOND) // unit)
    assert (row["time_source"], row["duration_ns"]) == ("time_unit_suspect", 2 * SECOND)


@settings(deadline=None)
@given(time=U64, observed=U64)
def test_both_encodings_agree_on_times(time: int, observed: int) -> None:
    """Protobuf and JSON give the same effective time, source and remarks for any pair of times."""
    record = {"timeUnixNano": str(time), "observedTimeUnixNano": observed}
    body = json.dumps({"resourceLogs": [{"scopeLogs": [{"logRecords": [record]}]}]}).encode()
    batch = Batch(Limits())
    said = batch.add(LOGS, "json", body, project="p", received_ns=NOW)
    row, reference = log(time, observed)
    (record,) = batch.tables()["logs"].to_pylist()
    assert (record["time"], record["time_source"], said.warnings) == (
        row["time"],
        row["time_source"],
        reference.warnings,
    )


def _points(time: int) -> Iterator[dict[str, Any]]:
    for kind, point in (("gauge", {"asInt": 1}), ("sum", {"asInt": 1}), ("histogram", {"count": 1})):
        yield {"name": kind, kind: {"dataPoints": [{"timeUnixNano": time, **point}]}}


def test_metric_points_follow_the_same_rules() -> None:
    """Points of metrics get their effective time as records do."""
    body = json.dumps({"resourceMetrics": [{"scopeMetrics": [{"metrics": list(_points(NOW + DAY + 1))}]}]}).encode()
    batch = Batch(Limits())
    said = batch.add(METRICS, "json", body, project="p", received_ns=NOW)
    rows = batch.tables()["metric_points"].to_pylist()
    assert {(row["time_source"], effective_ns(row)) for row in rows} == {("time_future", NOW)}
    assert said.warnings == {"time_far_ahead": 3}
