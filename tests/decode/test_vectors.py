"""The specification's own examples, and a request that another implementation wrote in both encodings."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from collector.model.signals import BY_NAME
from tests.decode.messages import decode

VECTORS = Path(__file__).parent.parent / "vectors"
EXAMPLES = VECTORS / "opentelemetry-proto" / "examples"
AT = 1_544_712_660_300_000_000


def example(signal: str, name: str) -> dict[str, list[dict[str, Any]]]:
    """Return the rows of one of the specification's examples."""
    rows, said = decode(BY_NAME[signal], "json", (EXAMPLES / name).read_bytes())
    assert (said.rejected, said.message) == (0, "")
    assert [r["service_name"] for r in rows["resources"]] == ["my.service"]
    (scope,) = rows["scopes"]
    assert (scope["name"], scope["version"]) == ("my.library", "1.0.0")
    assert json.loads(scope["attributes"]) == {"my.scope.attribute": "some scope attribute"}
    return rows


def test_the_specifications_log_example() -> None:
    """Upper-case ids are read, and every kind of attribute keeps its type."""
    (log,) = example("logs", "logs.json")["logs"]
    assert (log["body"], log["body_type"]) == ("Example log record", "string")
    assert (log["trace_id"], log["span_id"]) == ("5b8efff798038103d269b633813fc60c", "eee19b7ec3c1b174")
    assert (log["time_unix_nano"], log["severity_number"], log["severity_text"]) == (AT, 10, "Information")
    assert json.loads(log["attributes"]) == {
        "string.attribute": "some string",
        "boolean.attribute": True,
        "int.attribute": 10,
        "double.attribute": 637.704,
        "array.attribute": ["many", "values"],
        "map.attribute": {"some.map.key": "some value"},
    }


def test_the_specifications_event_example() -> None:
    """An event has a name, and a body that is a map is kept as one."""
    (event,) = example("logs", "events.json")["logs"]
    assert (event["event_name"], event["body_type"]) == ("browser.page_view", "kvlist")
    assert json.loads(event["body"]) == {
        "type": 0,
        "url": "https://www.guidgenerator.com/online-guid-generator.aspx",
        "referrer": "https://wwww.google.com",
        "title": "Free Online GUID Generator",
    }


def test_the_specifications_trace_example() -> None:
    """A span keeps ids, name, kind and both times, and lasts as long as they are apart."""
    (span,) = example("traces", "trace.json")["spans"]
    assert (span["trace_id"], span["span_id"], span["parent_span_id"]) == (
        "5b8efff798038103d269b633813fc60c",
        "eee19b7ec3c1b174",
        "eee19b7ec3c1b173",
    )
    assert (span["name"], span["kind"], span["duration_ns"]) == ("I'm a server span", 2, 10**9)
    assert (span["status_code"], span["events"], span["links"]) == (0, "[]", "[]")


def test_the_specifications_metrics_example() -> None:
    """Each kind of metric gives a row per point, a histogram keeps its shape."""
    rows = {r["name"]: r for r in example("metrics", "metrics.json")["metric_points"]}
    counter, gauge = rows["my.counter"], rows["my.gauge"]
    assert (counter["type"], counter["value"], counter["temporality"], counter["is_monotonic"]) == (
        "sum",
        5.0,
        "delta",
        True,
    )
    assert (gauge["type"], gauge["value"], gauge["temporality"]) == ("gauge", 10.0, None)
    assert json.loads(rows["my.histogram"]["histogram"]) == {
        "count": 2,
        "sum": 2.0,
        "min": 0.0,
        "max": 2.0,
        "bucketCounts": [1, 1],
        "explicitBounds": [1.0],
    }
    shape = json.loads(rows["my.exponential.histogram"]["histogram"])
    assert (shape["scale"], shape["zeroCount"], shape["positive"]) == (0, 1, {"offset": 1, "bucketCounts": [0, 2]})
    assert all(r["time_unix_nano"] == AT for r in rows.values())


def test_another_implementations_request_gives_the_same_rows_in_both_encodings() -> None:
    """One request that OpenTelemetry's Python SDK wrote as protobuf and as JSON is one set of rows."""
    folder = VECTORS / "otlp-test-data"
    from_json, said = decode(BY_NAME["traces"], "json", (folder / "sample_traces.json").read_bytes())
    from_protobuf, _ = decode(BY_NAME["traces"], "protobuf", (folder / "sample_traces.pb").read_bytes())
    assert from_json == from_protobuf
    assert (said.records, said.rejected) == (len(from_json["spans"]), 0)
    assert said.records > 0
