"""Metrics and log records as OTLP had them until 0.9 are read as today's, and told; what cannot be read is told."""

from __future__ import annotations

import json
import struct
import time
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from collector.decode import Batch, Beyond
from collector.model.errors import TooLarge
from collector.model.signals import LOGS, METRICS
from collector.settings import Limits
from tests.decode.messages import NOW, decode
from tests.otlp.telemetry import ld, varint

INTEGERS = st.integers(-(2**63), 2**63 - 1)
TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=5)
NUMBERS = st.floats(allow_nan=False, allow_infinity=False)


def fixed(number: int, value: float, of: str) -> bytes:
    """Return a field of eight bytes."""
    return varint(number << 3 | 1) + struct.pack(of, value)


def label(key: str, value: str) -> bytes:
    """Return a key and a value, as old OTLP had them."""
    return ld(1, ld(1, key.encode()) + ld(2, value.encode()))


def in_protobuf(number: int, *points: bytes, more: bytes = b"") -> bytes:
    """Return a request with one metric, of the kind in field *number*."""
    return ld(1, ld(2, ld(2, ld(1, b"m") + ld(number, b"".join(ld(1, p) for p in points) + more))))


def in_json(metric: dict[str, Any], *others: dict[str, Any]) -> bytes:
    """Return a request with a metric and others."""
    metrics = [{"name": "m", **metric}, *others]
    return json.dumps({"resourceMetrics": [{"scopeMetrics": [{"metrics": metrics}]}]}).encode()


@given(st.sampled_from(["gauge", "sum"]), st.lists(st.tuples(INTEGERS, NUMBERS, TEXT, TEXT), min_size=1, max_size=3))
def test_old_gauges_and_sums_are_read(kind: str, points: list[tuple[int, float, str, str]]) -> None:
    """Of integers and doubles, in both encodings, with labels and exemplars; a value that is not there was 0."""
    for whole in (True, False):
        bits, name = ("<q", f"int{kind.capitalize()}") if whole else ("<d", f"double{kind.capitalize()}")
        values = [p[0] if whole else p[1] + 0.0 for p in points]
        labels = [{"key": p[2], "value": p[3]} for p in points]
        made = [
            label(p[2], p[3])
            + fixed(3, NOW, "<Q")
            + (fixed(4, v, bits) if v else b"")
            + ld(5, label("x", "y") + fixed(3, v, bits))
            for p, v in zip(points, values, strict=True)
        ]
        number = {"gauge": 5, "sum": 7}[kind] - whole
        told = [
            {
                "timeUnixNano": str(NOW),
                "labels": [said],
                "exemplars": [{"filteredLabels": [{"key": "x", "value": "y"}], "value": v}],
                **({"value": str(v) if whole else v} if v else {}),
            }
            for v, said in zip(values, labels, strict=True)
        ]
        body = in_json({name: {"dataPoints": told, "isMonotonic": True, "aggregationTemporality": 2}})
        old = in_protobuf(number, *made, more=b"\x10\x02\x18\x01" if kind == "sum" else b"")
        for encoding, request in (("json", body), ("protobuf", old)):
            rows, said = decode(METRICS, encoding, request)  # type: ignore[arg-type]
            got = rows["metric_points"]
            assert [r["value"] for r in got] == [float(v) for v in values]
            assert [r["value_int"] for r in got] == (values if whole else [None] * len(values))
            assert [json.loads(r["attributes"]) for r in got] == [{p[2]: p[3]} for p in points]
            assert [json.loads(r["exemplars"])[0]["filteredAttributes"] for r in got] == [{"x": "y"}] * len(got)
            assert [json.loads(r["exemplars"])[0]["value"] for r in got] == values
            assert {(r["type"], r["temporality"], r["is_monotonic"]) for r in got} == {
                (kind, "cumulative", True) if kind == "sum" else (kind, None, None)
            }
            assert said.warnings["old_labels"] == 2 * len(points)
            assert said.rejected == 0 and "labels" in said.message
            if whole or encoding == "json":
                assert said.warnings["old_metric"] == 1


def test_old_histograms_and_summaries_are_read() -> None:
    """Their points are today's but for a sum of integers."""
    point = {"count": "3", "sum": "-12", "bucketCounts": ["1", "2"], "explicitBounds": [5]}
    shape = {"count": 3, "sum": -12.0, "min": None, "max": None, "bucketCounts": [1, 2], "explicitBounds": [5.0]}
    buckets = ld(6, struct.pack("<QQ", 1, 2)) + ld(7, struct.pack("<d", 5))
    old = in_protobuf(8, fixed(4, 3, "<Q") + fixed(5, -12, "<q") + buckets)
    bodies: list[tuple[Any, bytes]] = [("protobuf", old)]
    bodies += [("json", in_json({name: {"dataPoints": [point]}})) for name in ("intHistogram", "doubleHistogram")]
    for encoding, body in bodies:
        rows, said = decode(METRICS, encoding, body)
        assert json.loads(rows["metric_points"][0]["histogram"]) == shape
        assert (rows["metric_points"][0]["type"], said.warnings["old_metric"]) == ("histogram", 1)
    rows, _ = decode(METRICS, "json", in_json({"doubleSummary": {"dataPoints": [{"count": "3", "sum": 5}]}}))
    assert rows["metric_points"][0]["type"] == "summary"


def test_attributes_count_before_labels() -> None:
    """Senders of the time between wrote both; a point without either has none, and nothing is told."""
    point = {"asInt": 5, "attributes": [{"key": "a", "value": {"stringValue": "new"}}]}
    rows, said = decode(
        METRICS,
        "json",
        in_json({"gauge": {"dataPoints": [{**point, "labels": [{"key": "a", "value": "old"}]}, point]}}),
    )
    assert [r["attributes"] for r in rows["metric_points"]] == ['{"a":"new"}'] * 2
    rows, said = decode(METRICS, "json", in_json({"gauge": {"dataPoints": [{"asInt": 5, "timeUnixNano": NOW}]}}))
    assert said.message == ""


@pytest.mark.parametrize("odd", [5, None, [], "a", [5], {"dataPoints": 5}, {"dataPoints": [{"value": {}}]}])
@pytest.mark.parametrize("name", ["intGauge", "doubleHistogram", "doubleSummary"])
def test_members_of_those_names_may_be_anything(name: str, odd: Any) -> None:
    """A metric beside them is kept, and what holds something is told."""
    good = {"name": "good", "gauge": {"dataPoints": [{"asInt": 1}]}}
    _, said = decode(METRICS, "json", in_json({name: odd}, good))
    assert (said.records, said.rejected) == (1, 0)
    assert ("object_foreign" in said.warnings) is (odd is not None)
    _, said = decode(METRICS, "json", in_json({"gauge": {"dataPoints": [{"asInt": 1, "labels": odd}]}}))
    assert said.records == 1


@given(st.integers(1, 12), st.binary(max_size=40), st.binary(max_size=20))
def test_no_bytes_in_old_fields_are_a_defect(number: int, inside: bytes, labels: bytes) -> None:
    """Whatever an unknown field of a metric or of its points holds, the metric beside it is kept."""
    good = ld(2, ld(1, b"good") + ld(5, ld(1, fixed(6, 5, "<q") + ld(1, labels))))
    odd = ld(2, ld(1, b"m") + (ld(number, inside) if number in (4, 6, 8) else ld(13, inside)))
    rows, said = decode(METRICS, "protobuf", ld(1, ld(2, odd + good)))
    assert rows["metric_points"][-1]["name"] == "good"
    assert said.rejected == 0


def test_old_metrics_inside_instrumentation_libraries_are_read() -> None:
    """As their senders sent them; both are told."""
    metric = ld(1, b"m") + ld(4, ld(1, fixed(4, 7, "<q")))
    library = ld(2, metric)
    body = ld(1, varint(1000 << 3 | 2) + varint(len(library)) + library)
    rows, said = decode(METRICS, "protobuf", body)
    assert rows["metric_points"][0]["value_int"] == 7
    assert (said.warnings["old_otlp"], said.warnings["old_metric"]) == (1, 1)


def test_old_points_are_counted_before_they_are_read() -> None:
    """As today's are."""
    with pytest.raises(TooLarge, match=r"limits\.parts"):
        decode(METRICS, "protobuf", in_protobuf(4, *[b""] * 2_500_000))


@pytest.mark.parametrize("many", [ld(1, ld(1, b"") * 2_000) * 60, ld(1, b"\x98\x06\x01" * 1_300) * 60])
def test_labels_and_unknown_fields_of_points_are_counted_as_work(many: bytes) -> None:
    """However many there are in each, no more is done than may be."""
    hasty = Batch(Limits(), most_work=10_000)
    began = time.process_time()
    with pytest.raises(Beyond):
        hasty.add(METRICS, "protobuf", ld(1, ld(2, ld(2, ld(5, many)))), project="p", received_ns=NOW)
    assert time.process_time() - began < 0.2


def test_labels_that_are_not_unicode_are_mended_and_told() -> None:
    """As other texts are."""
    rows, said = decode(METRICS, "protobuf", in_protobuf(5, ld(1, ld(1, b"k\xff") + ld(2, b"v"))))
    assert (rows["metric_points"][0]["attributes"], said.warnings["text_mended"]) == ('{"k\ufffd":"v"}', 1)


def test_the_name_of_a_log_record_is_its_events_name() -> None:
    """Where it has none, in both encodings; a name that is no text is ignored."""
    for encoding, body in (
        ("json", b'{"resourceLogs":[{"scopeLogs":[{"logRecords":[{"name":"a_b_started"}]}]}]}'),
        ("protobuf", ld(1, ld(2, ld(2, ld(4, b"a_b_started"))))),
    ):
        rows, said = decode(LOGS, encoding, body)  # type: ignore[arg-type]
        row = rows["logs"][0]
        assert (row["event_name"], row["operation"], row["phase"]) == ("a_b_started", "a_b", "started")
        assert said.warnings["old_name"] == 1
    for odd in (5, None, {}, ["a"]):
        record = {"name": odd, "body": {"stringValue": "x"}}
        rows, said = decode(
            LOGS, "json", json.dumps({"resourceLogs": [{"scopeLogs": [{"logRecords": [record]}]}]}).encode()
        )
        assert (rows["logs"][0]["event_name"], said.message) == (None, "")
