"""B2: every text comes back as it was sent, to the byte, from every place that holds text, over every transport."""

from __future__ import annotations

import gzip
import json
from typing import Any

import grpc
import pytest

from collector.decode import Batch
from collector.model.signals import BY_NAME
from collector.settings import Limits
from tests.otlp.naughty import TEXTS
from tests.otlp.receiver import Receiver
from tests.otlp.telemetry import NOW, encode

KEPT_KEY = Limits().key
Placed = dict[str, list[str | None]]


def text_of(text: str) -> str | None:
    """Return what a column holds of *text*: an empty one is absent."""
    return text or None


def request_of_logs() -> Any:
    """Return a request with one log record for each text, and the text wherever a log holds any."""
    request = BY_NAME["logs"].request()
    for text in TEXTS:
        block = request.resource_logs.add(schema_url=text)
        block.resource.attributes.add(key="service.name").value.string_value = text
        group = block.scope_logs.add(schema_url=text)
        group.scope.name, group.scope.version = text, text
        group.scope.attributes.add(key="a").value.string_value = text
        record = group.log_records.add(time_unix_nano=NOW, severity_text=text, event_name=text)
        record.body.string_value = text
        record.attributes.add(key=text).value.string_value = text
        inner = record.attributes.add(key=" nested").value
        inner.array_value.values.add().string_value = text
        inner.array_value.values.add().kvlist_value.values.add(key=text).value.string_value = text
    return request


def check_logs(rows: dict[str, list[dict[str, Any]]]) -> None:
    """Compare the rows of `request_of_logs` with the texts."""
    resources = {r["resource_id"]: r for r in rows["resources"]}
    scopes = {r["scope_id"]: r for r in rows["scopes"]}
    assert len(rows["logs"]) == len(TEXTS)
    for text, row in zip(TEXTS, rows["logs"], strict=True):
        resource, scope = resources[row["resource_id"]], scopes[row["scope_id"]]
        key = text[:KEPT_KEY]
        expected = {key: text, " nested": [text, {key: text}]}
        if key == " nested":
            expected = {" nested": [text, {key: text}]}
        assert row["body"] == text
        assert [row["severity_text"], row["event_name"], resource["schema_url"], scope["schema_url"]] == [
            text_of(text)
        ] * 4
        assert [scope["name"], scope["version"]] == [text_of(text)] * 2
        assert json.loads(resource["attributes"]) == {"service.name": text}
        assert json.loads(scope["attributes"]) == {"a": text}
        assert json.loads(row["attributes"]) == expected


def request_of_spans() -> Any:
    """Return a request with one span for each text, and the text wherever a span holds any."""
    request = BY_NAME["traces"].request()
    group = request.resource_spans.add().scope_spans.add()
    for i, text in enumerate(TEXTS, 1):
        span = group.spans.add(
            trace_id=i.to_bytes(16, "big"),
            span_id=i.to_bytes(8, "big"),
            name=text,
            trace_state=text,
            start_time_unix_nano=NOW,
            end_time_unix_nano=NOW,
        )
        span.status.message = text
        event = span.events.add(name=text)
        event.attributes.add(key=text).value.string_value = text
        link = span.links.add(trace_id=span.trace_id, span_id=span.span_id, trace_state=text)
        link.attributes.add(key="a").value.string_value = text
    return request


def check_spans(rows: dict[str, list[dict[str, Any]]]) -> None:
    """Compare the rows of `request_of_spans` with the texts."""
    assert len(rows["spans"]) == len(TEXTS)
    for text, row in zip(TEXTS, rows["spans"], strict=True):
        event, link = json.loads(row["events"])[0], json.loads(row["links"])[0]
        assert row["name"] == text
        assert [row["trace_state"], row["status_message"]] == [text_of(text)] * 2
        assert (event["name"], event["attributes"]) == (text, {text[:KEPT_KEY]: text})
        assert (link["traceState"], link["attributes"]) == (text, {"a": text})


def request_of_metrics() -> Any:
    """Return a request with one point for each text, and the text wherever a metric holds any."""
    request = BY_NAME["metrics"].request()
    group = request.resource_metrics.add().scope_metrics.add()
    for text in TEXTS:
        metric = group.metrics.add(name=text, description=text, unit=text)
        metric.metadata.add(key="a").value.string_value = text
        point = metric.gauge.data_points.add(time_unix_nano=NOW, as_int=1)
        point.attributes.add(key="a").value.string_value = text
        point.exemplars.add(as_int=1).filtered_attributes.add(key="a").value.string_value = text
    return request


def check_metrics(rows: dict[str, list[dict[str, Any]]]) -> None:
    """Compare the rows of `request_of_metrics` with the texts."""
    for text, row in zip(TEXTS, rows["metric_points"], strict=True):
        assert row["name"] == text
        assert [row["description"], row["unit"]] == [text_of(text)] * 2
        assert json.loads(row["attributes"]) == json.loads(row["metadata"]) == {"a": text}
        assert json.loads(row["exemplars"])[0]["filteredAttributes"] == {"a": text}


CASES = {
    "logs": (request_of_logs, check_logs),
    "traces": (request_of_spans, check_spans),
    "metrics": (request_of_metrics, check_metrics),
}


def test_b2_there_are_as_many_texts_as_stated() -> None:
    """At least 150, all different."""
    assert len(set(TEXTS)) == len(TEXTS) >= 150


@pytest.mark.parametrize("transport", ["http protobuf", "http json", "http json gzip", "grpc"])
@pytest.mark.parametrize("signal", CASES)
def test_b2_texts_come_back_as_they_were_sent(flooded: Receiver, signal: str, transport: str) -> None:
    """From the journal, whichever way they came."""
    make, check = CASES[signal]
    before = flooded.seq
    request = make()
    # Another request than over the other transports: the same one is stored once.
    group = getattr(
        request, {"logs": "resource_logs", "traces": "resource_spans", "metrics": "resource_metrics"}[signal]
    )
    group.add(schema_url=transport)
    kind = BY_NAME[signal]
    if transport == "grpc":
        with grpc.insecure_channel(f"127.0.0.1:{flooded.grpc_port}") as channel:
            channel.unary_unary(f"/{kind.grpc_service}/Export")(request.SerializeToString(), timeout=60)
    else:
        encoding = "json" if "json" in transport else "protobuf"
        body = encode(request, encoding)  # type: ignore[arg-type]
        packed = "gzip" in transport
        sent = gzip.compress(body) if packed else body
        response = flooded.post(kind.path, sent, encoding, content_encoding="gzip" if packed else "identity")
        assert response.status_code == 200
    tables = ("resources", "scopes", kind.table)
    check({table: flooded.rows(table, before) for table in tables})


def test_b2_texts_are_the_same_in_arrow() -> None:
    """Text columns are valid UTF-8 after the journal's format, NUL and all."""
    batch = Batch(Limits())
    body = request_of_logs().SerializeToString()
    batch.add(BY_NAME["logs"], "protobuf", body, project="p", received_ns=NOW)
    for table in batch.tables().values():
        table.validate(full=True)
    assert batch.tables()["logs"].column("body").to_pylist() == list(TEXTS)
