"""J14-J16: nothing is lost, and both encodings say the same."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given

from tests.otlp.generate import requests
from tests.otlp.telemetry import (
    NOW,
    SPAN,
    decoded,
    encode,
    from_otlp_json,
    points,
    span_request,
)

VECTORS = Path(__file__).parents[1] / "vectors"
TRACE, SPAN_ID = SPAN["traceId"], SPAN["spanId"]


def test_j14_what_is_easily_lost_is_stored() -> None:
    """Event name, flags, dropped counts, schema URLs and entity references."""
    body = {
        "resourceLogs": [
            {
                "resource": {
                    "droppedAttributesCount": 1,
                    "entityRefs": [{"type": "service", "idKeys": ["service.name"], "schemaUrl": "s"}],
                },
                "schemaUrl": "https://r",
                "scopeLogs": [
                    {
                        "scope": {"name": "n", "version": "v", "droppedAttributesCount": 2},
                        "schemaUrl": "https://s",
                        "logRecords": [{"eventName": "e", "flags": 257, "droppedAttributesCount": 3}],
                    }
                ],
            }
        ]
    }
    rows, _ = decoded("logs", "json", body)
    log, resource, scope = rows["logs"][0], rows["resources"][0], rows["scopes"][0]
    assert (log["event_name"], log["flags"], log["dropped_attributes_count"]) == ("e", 257, 3)
    assert (resource["schema_url"], resource["dropped_attributes_count"]) == ("https://r", 1)
    assert json.loads(resource["entity_refs"])[0]["idKeys"] == ["service.name"]
    assert (scope["schema_url"], scope["dropped_attributes_count"], scope["version"]) == ("https://s", 2, "v")


@given(requests())
def test_j15_b4_both_encodings_give_the_same_rows(made: tuple[str, Any]) -> None:
    """Whatever a request says, protobuf and OTLP/JSON say it alike: the rows and what the sender is told."""
    signal, request = made
    as_protobuf = decoded(signal, "protobuf", request.SerializeToString())
    # As text, in which NaN equals itself and -0.0 differs from 0.0.
    assert repr(as_protobuf) == repr(decoded(signal, "json", encode(request, "json")))


@pytest.mark.parametrize("name", ["events", "logs", "metrics", "trace"])
def test_j15_official_examples_are_the_same_in_protobuf(name: str) -> None:
    """The examples of the OTLP repository, as they are and as protobuf, give the same rows."""
    body = (VECTORS / "opentelemetry-proto" / "examples" / f"{name}.json").read_bytes()
    signal = {"events": "logs", "trace": "traces"}.get(name, name)
    rows, accepted = decoded(signal, "json", body)
    assert accepted.records > 0
    assert accepted.rejected == 0
    message = from_otlp_json(signal, body)
    assert decoded(signal, "protobuf", message.SerializeToString())[0] == rows


def test_j15_saved_requests_agree() -> None:
    """A request that another project saved as JSON and as protobuf gives the same spans."""
    directory = VECTORS / "otlp-test-data"
    as_json, _ = decoded("traces", "json", (directory / "sample_traces.json").read_bytes())
    as_protobuf, _ = decoded("traces", "protobuf", (directory / "sample_traces.pb").read_bytes())
    assert [r["name"] for r in as_json["spans"]] == [r["name"] for r in as_protobuf["spans"]]


@pytest.mark.parametrize("parent", [None, ""])
def test_j16_a_root_span_may_state_an_empty_parent(parent: str | None) -> None:
    """Empty and missing are the same, and no reason for a warning."""
    rows, accepted = decoded("traces", "json", span_request({**SPAN, "parentSpanId": parent, "startTimeUnixNano": NOW}))
    assert (rows["spans"][0]["parent_span_id"], accepted.message) == (None, "")


def test_j16_a_span_that_ends_before_it_starts_has_no_duration() -> None:
    """It is kept, counted, and its duration is unknown, never negative."""
    span = {**SPAN, "startTimeUnixNano": str(NOW), "endTimeUnixNano": str(NOW - 1)}
    rows, accepted = decoded("traces", "json", span_request(span))
    assert rows["spans"][0]["duration_ns"] is None
    assert accepted.warnings["end_before_start"] == 1


def test_points_of_both_encodings_are_kept() -> None:
    """A gauge point of either encoding is one row with its integer."""
    for encoding in ("protobuf", "json"):
        rows, _ = decoded("metrics", encoding, encode(points(2, unique=False), encoding))  # type: ignore[arg-type]
        assert [r["value_int"] for r in rows["metric_points"]] == [0, 1]
